//! A new container in the place of a lost one: by itself on the same machine and so often a year,
//! else when a person decided, and never twice.

use license_central::domain::records::{Grant, Place, TakeOver};
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use serde_json::{Value, json};
use strongroom_tests::enrollment::Applicant;
use strongroom_tests::soft_tpm::SoftTpm;

use super::{admin, begin, bytes, certified, changes, finish, gateway, in_tpm, is, own, proved};
use crate::server::Got;
use crate::stage::Stage;

/// Seconds of a year.
const YEAR_S: i64 = 365 * 24 * 3600;

/// A container that is known, on a machine or without a TPM.
struct Soft<'a> {
    stage: &'a Stage,
    tpm: Option<&'a SoftTpm>,
    applicant: Applicant,
    certificate: Vec<u8>,
    /// What the last proof was answered.
    answer: Got,
}

impl<'a> Soft<'a> {
    fn new(stage: &'a Stage, tpm: Option<&'a SoftTpm>, number: u8) -> Self {
        Self::enrolled(stage, tpm, Applicant::new(number, stage.root_fp()))
    }

    fn enrolled(stage: &'a Stage, tpm: Option<&'a SoftTpm>, applicant: Applicant) -> Self {
        let applicant = match tpm {
            Some(tpm) => applicant.in_tpm(tpm),
            None => applicant,
        };
        let answer = match tpm {
            Some(tpm) => proved(stage, &applicant, tpm),
            None => {
                let challenge = bytes(&begin(stage, &applicant).ok(200), "challenge");
                finish(stage, &applicant.proof(&challenge, None)).ok(200)
            }
        };
        let certificate = own(&bytes(&answer, "certificate"));
        Soft { stage, tpm, applicant, certificate, answer }
    }

    /// The next one, in the place of this one: on this machine or another.
    fn lost(&self, number: u8, tpm: Option<&'a SoftTpm>) -> Soft<'a> {
        let next = Applicant::new(number, self.stage.root_fp()).replacing(self.applicant.id);
        Soft::enrolled(self.stage, tpm, next)
    }

    /// The next one on the same machine.
    fn again(&self, number: u8) -> Soft<'a> {
        self.lost(number, self.tpm)
    }

    fn id(&self) -> String {
        hex(self.applicant.id.bytes())
    }

    fn asks(&self, what: &str, body: Value) -> Got {
        gateway(self.stage, what, &self.applicant.context(&self.certificate), body)
    }

    /// Redeems a ticket of its own.
    fn licensed(self, order: &str) -> Self {
        let terms = json!({ "expires": "+10y" });
        let order = json!({ "number": order, "sku": "ED-1", "terms": terms });
        let made = self.stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
        let got = self.asks("activations", json!({ "ticket": made.body["code"] })).ok(200);
        assert_eq!(Stage::updates(&got).len(), 1);
        self
    }

    /// How many updates wait for it that do more than answer.
    fn collects(&self) -> usize {
        changes(&self.asks("collections", json!({})).ok(200))
    }

    /// Why it gets nothing.
    #[track_caller]
    fn waits(&self, code: ErrorCode, numbers: [&str; 2]) {
        is(&self.asks("collections", json!({})), code);
        let said = &self.answer.body["waits"];
        assert_eq!(said["code"], format!("S{:04X}", code.number()), "{said}");
        let title = said["title"].as_str().expect("words");
        assert!(numbers.iter().all(|number| title.contains(number)), "{title}");
    }

    fn holder(&self) -> Grant {
        let [grant] = &self.stage.grants()[..] else { panic!("one license") };
        grant.clone()
    }
}

fn set(stage: &Stage, rules: Value) {
    admin(stage, "POST", "/v1/soft-rules", &rules).ok(200);
}

fn cases(stage: &Stage) -> Vec<Value> {
    let rows = admin(stage, "GET", "/v1/cases", &json!({})).ok(200).body;
    rows["rows"].as_array().expect("rows").clone()
}

fn decide(stage: &Stage, case: &Value, decision: &str) -> Got {
    let path = format!("/v1/cases/{}/decide", case["id"].as_str().expect("an id"));
    admin(stage, "POST", &path, &json!({ "decision": decision, "reason": "told by phone" }))
}

#[test]
fn on_the_same_machine_what_was_lost_goes_to_the_new_container_once() {
    let stage = Stage::new();
    let tpm = SoftTpm::new(1);
    let old = Soft::new(&stage, Some(&tpm), 9).licensed("1");
    let new = old.again(10);
    assert_eq!(new.answer.body["waits"], Value::Null);
    assert_eq!(new.collects(), 1);
    let grant = new.holder();
    assert_eq!(grant.place.container(), Some(&*new.id()));
    assert_eq!((grant.overlaps, grant.epoch), (1, 2), "booked as a risk");
    // Asked again in the same or in another request, nothing is done twice.
    let renewed = Applicant::new(10, stage.root_fp()).replacing(old.applicant.id).again(3);
    let renewed = Soft::enrolled(&stage, Some(&tpm), renewed);
    assert_eq!((renewed.holder(), renewed.collects()), (grant.clone(), 1));
    // The old one is lost for everything.
    is(&old.asks("collections", json!({})), ErrorCode::SoftReplaced);
    is(&begin(&stage, &old.applicant), ErrorCode::SoftReplaced);
    let shown = admin(&stage, "GET", &format!("/v1/containers/{}", old.id()), &json!({})).ok(200);
    assert_eq!(shown.body["container"]["state"], "blocked");
    assert_eq!(shown.body["replaced_by"]["successor"], *new.id());
    let unblock = format!("/v1/containers/{}/unblock", old.id());
    is(&admin(&stage, "POST", &unblock, &json!({})), ErrorCode::SoftReplaced);
    // A third one that names it finds nothing there.
    let third = old.again(11);
    assert_eq!((third.collects(), third.holder()), (0, grant));
    let audit = admin(&stage, "GET", "/v1/audit?limit=200", &json!({})).ok(200).body;
    let count = |action: &str| {
        let rows = audit["rows"].as_array().expect("rows").iter();
        rows.filter(|row| row["action"] == action).count()
    };
    assert_eq!((count("container.take-over"), count("container.lost")), (1, 1));
}

#[test]
fn sec_beyond_so_many_times_a_year_a_person_decides() {
    let stage = Stage::new();
    set(&stage, json!({ "same_machine_a_year": 2 }));
    let tpm = SoftTpm::new(1);
    let mut last = Soft::new(&stage, Some(&tpm), 9).licensed("1");
    for number in [10, 11] {
        last = last.again(number);
        assert_eq!(last.collects(), 1);
    }
    let next = last.again(12);
    next.waits(ErrorCode::TakeOverTooOften, ["2 times", "2 are allowed"]);
    assert_eq!(next.holder().place.container(), Some(&*last.id()), "until somebody decides");
    assert_eq!(last.collects(), 1, "nor is the old one ended");
    // Asked again it is the same case.
    let case = cases(&stage);
    let asked = Applicant::new(12, stage.root_fp()).replacing(last.applicant.id).again(3);
    Soft::enrolled(&stage, Some(&tpm), asked).waits(ErrorCode::TakeOverTooOften, ["2", "2"]);
    assert_eq!(cases(&stage), case);
    assert_eq!(case[0]["claim"]["successor"], *next.id());
    decide(&stage, &case[0], "adopt").ok(200);
    is(&decide(&stage, &case[0], "adopt"), ErrorCode::RecordTaken);
    assert_eq!(next.collects(), 1);
    is(&last.asks("collections", json!({})), ErrorCode::SoftReplaced);
    // A year later it goes by itself again.
    stage.clock.shift_s(YEAR_S + 1);
    assert_eq!(next.again(13).collects(), 1);
}

#[test]
fn sec_to_another_machine_nothing_goes_by_itself() {
    let stage = Stage::new();
    let (tpm, other) = (SoftTpm::new(1), SoftTpm::new(2));
    let old = Soft::new(&stage, Some(&tpm), 9).licensed("1");
    for (number, machine) in [(10, Some(&other)), (11, None)] {
        let next = old.lost(number, machine);
        next.waits(ErrorCode::TakeOverElsewhere, ["0 of 0", "a year"]);
    }
    assert_eq!(old.collects(), 1, "it is as it was");
    let open = cases(&stage);
    assert_eq!(open.len(), 2);
    decide(&stage, &open[0], "dismiss").ok(200);
    decide(&stage, &open[1], "adopt").ok(200);
    let claim = open[1]["claim"]["successor"].as_str().expect("an id");
    assert_eq!(stage.record::<TakeOver>(&old.id()).successor, claim);
    is(&old.asks("collections", json!({})), ErrorCode::SoftReplaced);
}

#[test]
fn what_the_vendor_allows_elsewhere_is_counted_for_the_whole_line() {
    let stage = Stage::new();
    set(&stage, json!({ "elsewhere_a_year": 1 }));
    let (one, two, three) = (SoftTpm::new(1), SoftTpm::new(2), SoftTpm::new(3));
    let first = Soft::new(&stage, Some(&one), 9).licensed("1");
    let second = first.lost(10, Some(&two));
    assert_eq!(second.collects(), 1);
    let third = second.again(11);
    assert_eq!(third.collects(), 1);
    let fourth = third.lost(12, Some(&three));
    fourth.waits(ErrorCode::TakeOverElsewhere, ["1 of 1", "a year"]);
    let [case] = &cases(&stage)[..] else { panic!("one case") };
    decide(&stage, case, "block").ok(200);
    let shown = admin(&stage, "GET", &format!("/v1/containers/{}", third.id()), &json!({})).ok(200);
    assert_eq!(shown.body["container"]["state"], "blocked");
    assert_eq!(fourth.collects(), 0);
}

#[test]
fn sec_a_container_that_the_vendor_stopped_is_not_made_good_by_a_new_one() {
    let stage = Stage::new();
    let tpm = SoftTpm::new(1);
    let old = Soft::new(&stage, Some(&tpm), 9).licensed("1");
    let block = format!("/v1/containers/{}/block", old.id());
    admin(&stage, "POST", &block, &json!({})).ok(200);
    old.again(10).waits(ErrorCode::TakeOverStopped, ["blocked", "question"]);
}

#[test]
fn sec_a_container_does_not_take_its_own_place_under_another_id() {
    let stage = Stage::new();
    let tpm = SoftTpm::new(1);
    let old = Soft::new(&stage, Some(&tpm), 9).licensed("1");
    let copy = Applicant::with_key(10, 9, stage.root_fp()).replacing(old.applicant.id);
    let copy = Soft::enrolled(&stage, Some(&tpm), copy);
    assert_eq!((copy.collects(), old.collects()), (0, 1));
}

#[test]
fn who_is_nobody_to_a_container_does_not_end_it() {
    let stage = Stage::new();
    let (tpm, other) = (SoftTpm::new(1), SoftTpm::new(2));
    let empty = Soft::new(&stage, Some(&tpm), 9);
    assert_eq!(empty.collects(), 0);
    let stranger = empty.lost(10, Some(&other));
    assert_eq!(stranger.answer.body["waits"], Value::Null);
    assert_eq!((empty.collects(), cases(&stage).len()), (0, 0));
    // Nor does it matter to name one that was never here.
    let never =
        Applicant::new(11, stage.root_fp()).replacing(Applicant::new(99, stage.root_fp()).id);
    certified(&stage, &never);
    let (_, _) = in_tpm(&stage, 12, &other);
}

#[test]
fn what_waited_for_the_lost_container_waits_for_the_new_one() {
    let stage = Stage::new();
    let tpm = SoftTpm::new(1);
    let old = Soft::new(&stage, Some(&tpm), 9);
    assert_eq!(old.collects(), 0);
    let order = json!({ "number": "1", "sku": "ED-1", "terms": { "expires": "+1y" } });
    stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let (grant, serial) = (old.holder().id, serial(&old));
    let assign = format!("/v1/grants/{grant}/assign");
    admin(&stage, "POST", &assign, &json!({ "container": serial })).ok(200);
    let new = old.again(10);
    assert_eq!(new.collects(), 1);
    let held = new.holder();
    assert!(matches!(held.place, Place::Held { .. }));
    assert_eq!(held.overlaps, 0, "it was nowhere");
}

fn serial(of: &Soft<'_>) -> String {
    let path = format!("/v1/containers/{}", of.id());
    let shown = admin(of.stage, "GET", &path, &json!({})).ok(200).body;
    shown["container"]["serial"].as_str().expect("a serial").to_owned()
}
