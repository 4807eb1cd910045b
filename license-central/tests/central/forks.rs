//! Copies of a container are told apart where both ask, and nobody else is taken for one.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::domain::orders::unhex;
use license_central::recovery::check::Kind;
use protocol::codec;
use protocol::ids::hex;
use protocol::limits::{STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX};
use protocol::objects::file::{self, FileKind};
use protocol::objects::request::Request;
use protocol::objects::statement::ContextBody;
use serde_json::{Value, json};
use strongroom_tests::dice::Dice;
use strongroom_tests::enrollment::Applicant;
use strongroom_tests::soft_tpm::{Now, SoftTpm};

use crate::dongle::Dongle;
use crate::server::Got;
use crate::stage::Stage;

/// A vendor, and a container that can be copied, with a license.
fn licensed() -> (Stage, Dongle) {
    let stage = Stage::new();
    let mut soft = Dongle::soft(1, stage.root_fp());
    let ticket = stage.ticket("1", 1);
    let got = stage.activate(&ticket, &mut soft).ok(200);
    assert_eq!(stage.apply(&got, &mut soft, true), 1);
    (stage, soft)
}

fn collect(stage: &Stage, soft: &mut Dongle) -> Got {
    stage.gateway("collections", soft, json!({}))
}

/// Asks, and takes the answer.
fn pass(stage: &Stage, soft: &mut Dongle) {
    let got = collect(stage, soft).ok(200);
    assert_eq!(stage.apply(&got, soft, true), 1);
}

/// What is signed of the one update that came: signatures differ each time.
fn signed(got: &Got) -> Vec<u8> {
    let [update] = &Stage::updates(got)[..] else { panic!("one update: {got:?}") };
    let mut rest = file::expect(update, FileKind::Update).expect("an update file");
    loop {
        let (object, behind) = file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("objects");
        if behind.is_empty() {
            return object.header().to_bytes().to_vec();
        }
        rest = behind;
    }
}

fn cases(stage: &Stage) -> Vec<Value> {
    let listed = stage.owner(("admin", "GET", "/v1/cases"), &json!({})).ok(200);
    listed.body["rows"].as_array().expect("rows").clone()
}

/// By what a context asks that was kept.
fn asked(context: &Value) -> Request {
    let bytes = unhex(context.as_str().expect("a context")).expect("hexadecimal");
    let mut rest = file::expect(&bytes, FileKind::Context).expect("a context file");
    (_, rest) = file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("the certificate");
    let (head, _) = file::next_object(rest, UPDATE_BODY_LEN_MAX).expect("the context");
    let body = &rest[rest.len() - head.header().body_len as usize..];
    let body: ContextBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("its body");
    body.request.expect("a request")
}

fn decide(stage: &Stage, decision: &str) -> Got {
    let listed = cases(stage);
    let open = listed.iter().find(|case| case["decision"].is_null()).expect("an open case");
    let path = format!("/v1/cases/{}/decide", open["id"].as_str().expect("an id"));
    let decision = json!({ "decision": decision, "reason": "he called" });
    stage.owner(("admin", "POST", &path), &decision)
}

#[test]
fn sec_k07_the_second_of_two_copies_to_ask_is_found_with_the_evidence_of_both() {
    let (stage, mut soft) = licensed();
    let mut copy = soft.copy(2);
    pass(&stage, &mut soft);
    collect(&stage, &mut copy).refused(409, "S0C70");
    let [case] = &cases(&stage)[..] else { panic!("one case") };
    let [shown, answered] = [&case["evidence"], &case["copy"]["answered"]].map(asked);
    assert_eq!(case["copy"]["draw"], hex(&shown.draw.0));
    assert_eq!((shown.number, shown.after), (answered.number, answered.after));
    assert_ne!(shown.draw, answered.draw);
    // Nobody gets anything before somebody decided, and nothing is found twice.
    for either in [&mut soft, &mut copy] {
        collect(&stage, either).refused(409, "S0B1A");
    }
    assert_eq!(cases(&stage).len(), 1);
}

#[test]
fn copies_of_one_that_waits_get_the_same_answer_and_are_found_at_the_next() {
    let (stage, mut soft) = licensed();
    let lost = collect(&stage, &mut soft).ok(200);
    let mut copy = soft.copy(2);
    let got = collect(&stage, &mut soft).ok(200);
    assert_eq!(signed(&got), signed(&lost));
    assert_eq!(stage.apply(&got, &mut soft, true), 1);
    // The first has proved that it applied it, and the copy gets it all the same.
    let got = collect(&stage, &mut copy).ok(200);
    assert_eq!(signed(&got), signed(&lost));
    assert_eq!(stage.apply(&got, &mut copy, true), 1);
    assert_eq!(cases(&stage).len(), 0);
    pass(&stage, &mut copy);
    collect(&stage, &mut soft).refused(409, "S0C70");
    assert_eq!(cases(&stage).len(), 1);
}

#[test]
fn one_that_was_put_back_is_found_however_far_it_is_behind() {
    let (stage, mut soft) = licensed();
    let mut behind = Vec::new();
    for seed in 2..5 {
        behind.push(soft.copy(seed));
        pass(&stage, &mut soft);
    }
    for mut old in behind {
        collect(&stage, &mut old).refused(409, "S0C70");
        decide(&stage, "dismiss").ok(200);
    }
    pass(&stage, &mut soft);
}

#[test]
fn an_update_for_one_copy_fits_no_other() {
    let (stage, mut soft) = licensed();
    let mut copy = soft.copy(2);
    copy.context();
    let got = collect(&stage, &mut soft).ok(200);
    let update = Stage::updates(&got).remove(0);
    assert!(copy.apply(&update).is_none(), "it asked by another request");
    assert!(soft.apply(&update).is_some());
}

#[test]
fn answers_that_are_lost_make_no_copy_of_anybody() {
    let mut dice = Dice::of(7, 1);
    let (stage, mut soft) = licensed();
    for _ in 0..60 {
        let got = collect(&stage, &mut soft).ok(200);
        match dice.below(4) {
            // Never arrived.
            0 => {}
            // Applied, and the receipt was lost.
            1 => drop(stage.apply(&got, &mut soft, false)),
            2 => drop(stage.apply(&got, &mut soft, true)),
            // Never arrived, and the container lost its power.
            _ => soft.bench.power_up().expect("power"),
        }
    }
    assert_eq!(cases(&stage).len(), 0);
    assert_eq!(stage.findings(), Vec::<Kind>::new());
}

#[test]
fn what_somebody_decides_is_whether_the_first_goes_on() {
    let (stage, mut soft) = licensed();
    let mut copy = soft.copy(2);
    pass(&stage, &mut soft);
    collect(&stage, &mut copy).refused(409, "S0C70");
    decide(&stage, "adopt").refused(409, "S0C71");
    decide(&stage, "dismiss").ok(200);
    pass(&stage, &mut soft);
    collect(&stage, &mut copy).refused(409, "S0C70");
    decide(&stage, "block").ok(200);
    collect(&stage, &mut copy).refused(409, "S0C70");
}

#[test]
fn where_the_vendor_says_so_the_first_goes_on_at_once() {
    for (rule, open) in [("newest", true), ("notify", false)] {
        let (stage, mut soft) = licensed();
        stage.owner(("admin", "POST", "/v1/soft-rules"), &json!({ "copies": rule })).ok(200);
        let mut copy = soft.copy(2);
        pass(&stage, &mut soft);
        for _ in 0..3 {
            collect(&stage, &mut copy).refused(409, "S0C70");
        }
        let [case] = &cases(&stage)[..] else { panic!("one case") };
        assert_eq!(case["decision"].is_null(), open, "{case}");
        pass(&stage, &mut soft);
    }
}

/// The same in a TPM that License Central knows it by.
fn in_tpm() -> (Stage, Dongle, SoftTpm) {
    let (stage, tpm) = (Stage::new(), SoftTpm::new(5));
    let mut soft = Dongle::soft(1, stage.root_fp());
    soft.bench.tpm = Some(tpm.clone());
    soft.bench.power_up().expect("power");
    let applicant = Applicant::new(1, stage.root_fp()).named(soft.bench.id());
    let request = BASE64.encode(applicant.in_tpm(&tpm).request());
    stage.post("/v1/acme/enrollments", &json!({ "request": request })).ok(200);
    pass(&stage, &mut soft);
    (stage, soft, tpm)
}

/// The keys were read out of a helper's memory, and asked with where the TPM is not.
#[test]
fn sec_k07_who_has_the_keys_and_not_the_tpm_gets_nothing() {
    let (stage, soft, _) = in_tpm();
    for tpm in [None, Some(SoftTpm::new(6))] {
        let mut stolen = soft.copy(2);
        stolen.bench.tpm = tpm;
        stolen.bench.power_up().expect("power");
        collect(&stage, &mut stolen).refused(422, "S0C62");
    }
    assert_eq!(cases(&stage).len(), 0);
}

#[test]
fn sec_k07_a_tpm_that_went_back_is_that_of_a_copy() {
    for back in [
        |now: Now| Now { count: now.count - 1, ..now },
        |now: Now| Now { resets: now.resets - 1, ..now },
        |now: Now| Now { clock_ms: now.clock_ms - 20, ..now },
    ] {
        let (stage, mut soft, tpm) = in_tpm();
        tpm.set(back(tpm.now()));
        collect(&stage, &mut soft).refused(409, "S0C70");
        assert_eq!(cases(&stage).len(), 1);
    }
}

/// Its clock goes back when its power is cut, and is counted as a reset.
#[test]
fn a_tpm_that_lost_its_power_is_the_same() {
    let (stage, mut soft, tpm) = in_tpm();
    let now = tpm.now();
    tpm.set(Now { resets: now.resets + 1, clock_ms: 7, ..now });
    pass(&stage, &mut soft);
}
