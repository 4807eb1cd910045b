//! A container that is certified asks again; and what nobody goes on with is forgotten.

use license_central::domain::enrollment;
use license_central::domain::records::Enrolled;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::signed::Role;
use serde_json::json;
use strongroom_tests::enrollment::Applicant;
use strongroom_tests::soft_tpm::SoftTpm;

use super::{begin, bytes, certified, finish, gateway, in_tpm, is, own, proved};
use crate::stage::Stage;
use crate::trust::rotated;

/// Milliseconds of a day.
const DAY_MS: i64 = 24 * 3_600_000;

#[test]
fn a_certified_container_is_certified_anew_under_the_next_key() {
    let mut stage = Stage::new();
    let tpm = SoftTpm::new(1);
    let (applicant, first) = in_tpm(&stage, 9, &tpm);
    gateway(&stage, "collections", &applicant.context(&first), json!({})).ok(200);
    stage.change_vendor(|vendor| rotated(vendor, Role::Device));
    assert!(stage.reread().expect("it follows"));
    assert!(stage.take_over().expect("it follows"));
    // What the old key certified counts no more, so the container asks again.
    let old = gateway(&stage, "collections", &applicant.context(&first), json!({}));
    assert!(old.status >= 400, "{old:?}");
    let again = applicant.again(77);
    let second = own(&bytes(&proved(&stage, &again, &tpm), "certificate"));
    assert_ne!(first, second);
    let got = gateway(&stage, "collections", &again.context(&second), json!({}));
    got.ok(200);
    // Still nobody else.
    let thief = Applicant::with_key(9, 8, stage.root_fp());
    is(&begin(&stage, &thief), ErrorCode::EnrollmentTaken);
}

/// Its keys were read out of a helper's memory: they are not certified anew elsewhere.
#[test]
fn sec_k07_a_container_is_not_certified_anew_in_another_tpm() {
    let stage = Stage::new();
    let (applicant, certificate) = in_tpm(&stage, 9, &SoftTpm::new(1));
    let before = stage.record::<Enrolled>(&hex(applicant.id.bytes()));
    let stolen = || Applicant::new(9, stage.root_fp()).again(3);
    for request in [stolen(), stolen().in_tpm(&SoftTpm::new(2))] {
        is(&begin(&stage, &request), ErrorCode::EnrollmentTaken);
    }
    assert_eq!(stage.record::<Enrolled>(&hex(applicant.id.bytes())), before);
    // What was proved stays what it is while its own request waits.
    begin(&stage, &stolen().in_tpm(&SoftTpm::new(1))).ok(200);
    let after = stage.record::<Enrolled>(&hex(applicant.id.bytes()));
    assert_eq!((after.proved, after.certificate), (before.proved, Some(hex(&certificate))));
}

#[test]
fn sec_a_container_that_is_known_is_not_met_with_another_key() {
    let stage = Stage::new();
    let applicant = Applicant::new(9, stage.root_fp());
    let certificate = certified(&stage, &applicant);
    gateway(&stage, "collections", &applicant.context(&certificate), json!({})).ok(200);
    // As if the vendor had certified another key for it, by hand.
    let thief = Applicant::with_key(9, 8, stage.root_fp());
    let forged = stage.certify(thief.id, &thief.device());
    let context = thief.context(&forged);
    is(&gateway(&stage, "collections", &context, json!({})), ErrorCode::EnrollmentTaken);
}

#[test]
fn a_request_that_nobody_proves_anything_for_is_forgotten_after_90_days() {
    let stage = Stage::new();
    let (waits, done) = (Applicant::new(9, stage.root_fp()), Applicant::new(10, stage.root_fp()));
    let challenge = bytes(&begin(&stage, &waits).ok(200), "challenge");
    certified(&stage, &done);
    let forget = |days: i64| {
        let now_ms = stage.now_ms() + days * DAY_MS;
        enrollment::forget(&*stage.store, "acme", now_ms).expect("records")
    };
    assert_eq!(forget(89), 0);
    assert_eq!(forget(91), 1);
    assert_eq!(forget(91), 0);
    is(&finish(&stage, &waits.proof(&challenge, None)), ErrorCode::EnrollmentUnknown);
    assert!(stage.record::<Enrolled>(&hex(done.id.bytes())).certificate.is_some());
}
