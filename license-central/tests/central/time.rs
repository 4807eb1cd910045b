//! Certified time: who is told it, how often, and never one before what was certified.

use std::sync::atomic::{AtomicI64, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::clock::SystemClock;
use license_central::domain::central::Clock;
use protocol::codec::Bytes;
use protocol::command::{Command, Reply};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::RootFp;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::TimeInfo;
use serde_json::json;

use crate::dongle::Dongle;
use crate::server::Got;
use crate::stage::Stage;

/// The system's clock, which a test puts forward and back.
#[derive(Default)]
pub(crate) struct Shifted {
    by_ms: AtomicI64,
}

impl Shifted {
    pub(crate) fn shift_s(&self, by_s: i64) {
        self.by_ms.store(by_s * 1000, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now_ms(&self) -> i64 {
        SystemClock.now_ms() + self.by_ms.load(Ordering::Relaxed)
    }
}

/// A dongle that has a license of the stage's vendor.
fn licensed(stage: &Stage, seed: u64) -> Dongle {
    let mut dongle = stage.dongle(seed);
    let ticket = stage.ticket(&seed.to_string(), 1);
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    dongle
}

/// A request under a nonce that the dongle draws.
fn request(stage: &Stage, dongle: &mut Dongle) -> Vec<u8> {
    let asked = Command::TimeNonce { firm: stage.root_fp() };
    let Reply::Nonce(nonce) = dongle.bench.command(asked) else { panic!("no nonce") };
    written(dongle, stage.root_fp(), &nonce.0)
}

pub(crate) fn written(dongle: &Dongle, firm: RootFp, nonce: &[u8]) -> Vec<u8> {
    let parts = [dongle.bench.certificate(), firm.bytes(), nonce];
    file::write(FileKind::TimeRequest, &parts)
}

fn ask(stage: &Stage, request: &[u8]) -> Got {
    let body = json!({ "request": BASE64.encode(request) });
    stage.post("/v1/acme/time", &body)
}

/// Gives the dongle the token of an answer.
fn give(dongle: &mut Dongle, got: &Got) -> Result<TimeInfo, Option<ErrorCode>> {
    let token = BASE64.decode(got.body["token"].as_str().expect("a token")).expect("base64");
    let object = file::expect(&token, FileKind::TimeToken).expect("a token file").to_vec();
    let command = Command::TimeToken(Bytes::new(object).expect("a small one"));
    match dongle.bench.command(command) {
        Reply::Time(info) => Ok(info),
        Reply::Failed(Failure { code, .. }) => Err(ErrorCode::from_number(code)),
        _ => panic!("neither time nor a refusal"),
    }
}

#[test]
fn a_container_is_told_the_time_once_for_each_nonce() {
    let stage = Stage::new();
    let mut dongle = licensed(&stage, 1);
    let asked = request(&stage, &mut dongle);
    let [first, second] = [(); 2].map(|()| ask(&stage, &asked).ok(200));
    let told = give(&mut dongle, &first).expect("it answers the nonce");
    let now_s = SystemClock.now_ms() as u64 / 1000;
    assert!(told.certified_s <= now_s && told.certified_s + 60 > now_s, "{told:?} at {now_s}");
    // Neither the same token nor another one for the same nonce counts again.
    assert_eq!(give(&mut dongle, &first), Err(Some(ErrorCode::NonceUnknown)));
    assert_eq!(give(&mut dongle, &second), Err(Some(ErrorCode::NonceUnknown)));
    // Nor one that another container asked for.
    let mut other = licensed(&stage, 2);
    let asked = request(&stage, &mut other);
    let got = ask(&stage, &asked).ok(200);
    assert!(give(&mut dongle, &got).is_err());
    give(&mut other, &got).expect("it is for this one");
    assert_eq!(stage.journal().len(), 2, "tokens are no updates");
}

#[test]
fn what_is_no_request_of_a_container_of_this_vendor_is_refused() {
    let stage = Stage::new();
    let mut dongle = licensed(&stage, 1);
    let good = request(&stage, &mut dongle);
    ask(&stage, b"?").refused(422, "S0105");
    let len = good.len();
    for cut in [1, 31, 32, 33, 48, 49, 100] {
        let got = ask(&stage, &good[..len - cut]);
        assert!((400..500).contains(&got.status), "{cut} bytes less: {got:?}");
    }
    assert!((400..500).contains(&ask(&stage, &[&good[..], &[0]].concat()).status));
    let foreign = written(&dongle, RootFp::new([9; 16]), &[1; 32]);
    ask(&stage, &foreign).refused(422, "S0A04");
    // A certificate that nobody signed.
    let mut forged = good.clone();
    forged[60] ^= 1;
    ask(&stage, &forged).refused(422, "S0206");
    let other = json!({ "request": BASE64.encode(&good) });
    stage.post("/v1/other/time", &other).refused(404, "S0B05");
}

#[test]
fn a_container_that_gets_nothing_more_is_not_told_the_time() {
    let stage = Stage::new();
    let mut dongle = licensed(&stage, 1);
    let path = |what: &str| format!("/v1/containers/{}/{what}", dongle.id());
    let (block, unblock) = (path("block"), path("unblock"));
    stage.owner(("admin", "POST", &block), &json!({})).ok(200);
    let asked = request(&stage, &mut dongle);
    ask(&stage, &asked).refused(409, "S0B0F");
    stage.owner(("admin", "POST", &unblock), &json!({})).ok(200);
    ask(&stage, &asked).ok(200);
}

#[test]
fn no_time_is_certified_before_one_that_was() {
    let mut stage = Stage::new();
    let mut dongle = licensed(&stage, 1);
    let tell = |stage: &Stage, dongle: &mut Dongle| {
        let asked = request(stage, dongle);
        ask(stage, &asked)
    };
    stage.clock.shift_s(3600);
    let got = tell(&stage, &mut dongle).ok(200);
    let hour_later_s = give(&mut dongle, &got).expect("later than before").certified_s;
    stage.clock.shift_s(0);
    tell(&stage, &mut dongle).refused(503, "S0B90");
    // Whoever starts the signer again gets no further.
    stage.restart();
    tell(&stage, &mut dongle).refused(503, "S0B90");
    // Licenses are issued meanwhile as ever.
    licensed(&stage, 2);
    stage.clock.shift_s(3600);
    let got = tell(&stage, &mut dongle).ok(200);
    assert!(give(&mut dongle, &got).expect("no earlier one").certified_s >= hour_later_s);
}

#[test]
fn tokens_have_a_cap_of_the_day_and_a_rate_for_each_container() {
    let caps = license_central::signer::caps::FIRST.replace("times = 1_000_000", "times = 14");
    let stage = Stage::capped(&caps);
    let (mut one, mut two) = (licensed(&stage, 1), licensed(&stage, 2));
    let [asked, other] = [&mut one, &mut two].map(|dongle| request(&stage, dongle));
    (0..12).for_each(|_| drop(ask(&stage, &asked).ok(200)));
    let waits = ask(&stage, &asked);
    waits.refused(429, "S0B50");
    (0..2).for_each(|_| drop(ask(&stage, &other).ok(200)));
    ask(&stage, &other).refused(409, "S0B31");
}
