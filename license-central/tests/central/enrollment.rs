//! Certificates for soft licenses: who gets one, who does not, and that repeating changes nothing.

mod renewal;
mod rules;
mod takeover;
pub(crate) mod tpm;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::ErrorCode;
use protocol::ids::RootFp;
use protocol::limits::ROOT_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use protocol::signed::Kind;
use serde_json::{Value, json};
use strongroom_tests::enrollment::Applicant;
use strongroom_tests::soft_tpm::SoftTpm;

use crate::server::Got;
use crate::stage::Stage;

fn post(stage: &Stage, what: &str, field: &str, bytes: &[u8]) -> Got {
    stage.post(&format!("/v1/acme/{what}"), &json!({ field: BASE64.encode(bytes) }))
}

fn begin(stage: &Stage, applicant: &Applicant) -> Got {
    post(stage, "enrollments", "request", &applicant.request())
}

fn finish(stage: &Stage, proof: &[u8]) -> Got {
    post(stage, "enrollments/proofs", "proof", proof)
}

#[track_caller]
fn is(got: &Got, code: ErrorCode) {
    let number = format!("S{:04X}", code.number());
    assert_eq!(got.body["code"].as_str(), Some(number.as_str()), "{:?}", got.body);
}

fn bytes(got: &Got, field: &str) -> Vec<u8> {
    BASE64.decode(got.body[field].as_str().expect("a text")).expect("base64")
}

/// The certificate of an applicant that proves all that it is asked for.
fn certified(stage: &Stage, applicant: &Applicant) -> Vec<u8> {
    let challenge = bytes(&begin(stage, applicant).ok(200), "challenge");
    own(&bytes(&finish(stage, &applicant.proof(&challenge, None)).ok(200), "certificate"))
}

/// The answer to the proof of an applicant in a TPM.
fn proved(stage: &Stage, applicant: &Applicant, tpm: &SoftTpm) -> Got {
    let challenge = bytes(&begin(stage, applicant).ok(200), "challenge");
    let evidence = tpm::evidence(tpm, stage, applicant, &challenge);
    finish(stage, &applicant.proof(&challenge, Some(evidence))).ok(200)
}

/// A container in a TPM, and its certificate.
fn in_tpm(stage: &Stage, number: u8, tpm: &SoftTpm) -> (Applicant, Vec<u8>) {
    let applicant = Applicant::new(number, stage.root_fp()).in_tpm(tpm);
    let certificate = own(&bytes(&proved(stage, &applicant, tpm), "certificate"));
    (applicant, certificate)
}

/// The certificate alone, of a file that has the roots in front of it.
fn own(file: &[u8]) -> Vec<u8> {
    let mut rest = file::expect(file, FileKind::Certification).expect("a certificate");
    while let Ok((object, behind)) = file::next_object(rest, ROOT_BODY_LEN_MAX) {
        if object.header().kind == Kind::Device {
            assert!(behind.is_empty());
            return rest.to_vec();
        }
        rest = behind;
    }
    panic!("roots, and no certificate");
}

/// How many updates came that do more than answer.
fn changes(got: &Got) -> usize {
    let updates = got.body["updates"].as_array().expect("updates");
    updates.iter().filter(|update| update["what"] != "answer").count()
}

/// Asks the Gateway for updates of a container.
fn gateway(stage: &Stage, what: &str, context: &[u8], mut body: Value) -> Got {
    body["context"] = BASE64.encode(context).into();
    stage.post(&format!("/v1/acme/{what}"), &body)
}

/// Asks the owner's interface.
fn admin(stage: &Stage, method: &str, path: &str, body: &Value) -> Got {
    stage.owner(("admin", method, path), body)
}

#[test]
fn a_container_is_certified_once_however_often_it_asks() {
    let stage = Stage::new();
    let applicant = Applicant::new(9, stage.root_fp());
    let challenge = bytes(&begin(&stage, &applicant).ok(200), "challenge");
    assert_eq!(bytes(&begin(&stage, &applicant).ok(200), "challenge"), challenge);
    let proof = applicant.proof(&challenge, None);
    let first = bytes(&finish(&stage, &proof).ok(200), "certificate");
    assert_eq!(bytes(&finish(&stage, &proof).ok(200), "certificate"), first, "byte for byte");
    let certificate = own(&first);
    let (object, _) = file::next_object(&certificate, ROOT_BODY_LEN_MAX).expect("an object");
    assert_eq!(&object.header().target, applicant.id.bytes());
}

#[test]
fn sec_nobody_is_certified_in_the_name_of_another_container() {
    let stage = Stage::new();
    certified(&stage, &Applicant::new(9, stage.root_fp()));
    let thief = Applicant::with_key(9, 8, stage.root_fp());
    is(&begin(&stage, &thief), ErrorCode::EnrollmentTaken);
}

#[test]
fn a_request_for_another_vendor_and_a_proof_of_nothing_are_refused() {
    let stage = Stage::new();
    let other = Applicant::new(9, RootFp::new([1; 16]));
    is(&begin(&stage, &other), ErrorCode::EnrollmentRefused);
    let applicant = Applicant::new(9, stage.root_fp());
    let challenge = bytes(&begin(&stage, &applicant).ok(200), "challenge");
    let thief = Applicant::with_key(9, 8, stage.root_fp());
    is(&finish(&stage, &thief.proof(&challenge, None)), ErrorCode::EnrollmentRefused);
    let stranger = Applicant::new(10, stage.root_fp());
    is(&finish(&stage, &stranger.proof(&challenge, None)), ErrorCode::EnrollmentUnknown);
}
