//! Whose TPMs count, and which licenses go into which containers.

use protocol::errors::ErrorCode;
use protocol::ids::hex;
use serde_json::{Value, json};
use strongroom_tests::enrollment::Applicant;
use strongroom_tests::soft_tpm::SoftTpm;

use super::tpm::Maker;
use super::{admin, begin, bytes, certified, changes, gateway, in_tpm, is, own, proved};
use crate::server::Got;
use crate::stage::Stage;

/// Adds a maker; its id.
fn believe(stage: &Stage, maker: &Maker) -> String {
    let new = json!({ "name": "A maker", "certificate": maker.pem });
    let made = admin(stage, "POST", "/v1/tpm-authorities", &new).ok(201).body;
    assert_eq!(admin(stage, "POST", "/v1/tpm-authorities", &new).ok(201).body, made);
    made["id"].as_str().expect("an id").to_owned()
}

/// What is shown of a container's machine, once the container is known.
fn machine(stage: &Stage, applicant: &Applicant, certificate: &[u8]) -> Value {
    gateway(stage, "collections", &applicant.context(certificate), json!({})).ok(200);
    let path = format!("/v1/containers/{}", hex(applicant.id.bytes()));
    admin(stage, "GET", &path, &json!({})).ok(200).body["machine"].clone()
}

/// Redeems a new ticket with these terms.
fn activate(stage: &Stage, (applicant, certificate): &(Applicant, Vec<u8>), terms: Value) -> Got {
    let number = format!("o{}", stage.grants().len());
    let order = json!({ "number": number, "sku": "ED-1", "terms": terms });
    let made = stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let context = applicant.context(certificate);
    gateway(stage, "activations", &context, json!({ "ticket": made.body["code"] }))
}

fn virtually(stage: &Stage, number: u8, tpm: &SoftTpm) -> (Applicant, Vec<u8>) {
    let applicant = Applicant::new(number, stage.root_fp()).in_tpm(tpm);
    let applicant = applicant.in_virtual_machine();
    let certificate = own(&bytes(&proved(stage, &applicant, tpm), "certificate"));
    (applicant, certificate)
}

#[test]
fn a_machine_is_what_an_authority_on_the_list_says() {
    let stage = Stage::new();
    let (maker, stranger) = (Maker::new(), Maker::new());
    let id = believe(&stage, &maker);
    let cases = [
        (maker.certifies(SoftTpm::new(1), 2999), false, "tpm", None),
        (maker.certifies(SoftTpm::new(2), 2999), true, "virtual-tpm", None),
        (SoftTpm::new(3), false, "unproven-tpm", Some("no certificate")),
        (stranger.certifies(SoftTpm::new(4), 2999), false, "unproven-tpm", Some("no authority")),
        (maker.certifies(SoftTpm::new(5), 2021), false, "unproven-tpm", Some("expired")),
    ];
    for (number, (tpm, is_virtual, class, why)) in (20..).zip(cases) {
        let (applicant, certificate) = match is_virtual {
            true => virtually(&stage, number, &tpm),
            false => in_tpm(&stage, number, &tpm),
        };
        let shown = machine(&stage, &applicant, &certificate);
        assert_eq!(shown["class"], class, "{shown}");
        assert_eq!(shown["maker"].is_object(), why.is_none(), "{shown}");
        let said = shown["unproven"].as_str().unwrap_or_default();
        assert!(said.contains(why.unwrap_or_default()), "{said}");
    }
    let traits = Applicant::new(30, stage.root_fp());
    let certificate = certified(&stage, &traits);
    assert_eq!(machine(&stage, &traits, &certificate)["class"], "traits");
    // Off the list nobody is believed any more; who was certified stays what he was.
    let path = format!("/v1/tpm-authorities/{id}");
    admin(&stage, "DELETE", &path, &Value::Null).ok(200);
    let listed = admin(&stage, "GET", "/v1/tpm-authorities", &Value::Null).ok(200).body;
    assert_eq!(listed["rows"], json!([]));
    let (late, certificate) = in_tpm(&stage, 31, &maker.certifies(SoftTpm::new(6), 2999));
    assert_eq!(machine(&stage, &late, &certificate)["class"], "unproven-tpm");
}

#[test]
fn sec_the_certificate_of_another_tpm_proves_nothing() {
    let stage = Stage::new();
    let maker = Maker::new();
    believe(&stage, &maker);
    let tpm =
        SoftTpm::new(1).certified(maker.certifies(SoftTpm::new(2), 2999).certificate().to_vec());
    let (applicant, certificate) = in_tpm(&stage, 9, &tpm);
    assert_eq!(machine(&stage, &applicant, &certificate)["class"], "unproven-tpm");
}

#[test]
fn sec_a_license_without_an_end_needs_a_physical_tpm() {
    let stage = Stage::new();
    let maker = Maker::new();
    believe(&stage, &maker);
    let physical = in_tpm(&stage, 20, &maker.certifies(SoftTpm::new(1), 2999));
    let in_vm = virtually(&stage, 21, &maker.certifies(SoftTpm::new(2), 2999));
    let unproven = in_tpm(&stage, 22, &SoftTpm::new(3));
    let traits = Applicant::new(23, stage.root_fp());
    let traits = (traits.again(1), certified(&stage, &Applicant::new(23, stage.root_fp())));
    let ends = [json!({ "expires": "+1y" }), json!({ "checkpoint": "30d" })];
    for end in ends {
        for container in [&physical, &in_vm, &unproven, &traits] {
            activate(&stage, container, end.clone()).ok(200);
        }
    }
    activate(&stage, &physical, json!({})).ok(200);
    for container in [&in_vm, &unproven] {
        is(&activate(&stage, container, json!({})), ErrorCode::PhysicalTpmNeeded);
    }
    is(&activate(&stage, &traits, json!({})), ErrorCode::EndNeeded);
    // By the vendor's rule, or the product's own.
    let rules = |physical: bool| json!({ "physical_tpm": physical });
    admin(&stage, "POST", "/v1/soft-rules", &rules(false)).ok(200);
    activate(&stage, &in_vm, json!({})).ok(200);
    is(&activate(&stage, &traits, json!({})), ErrorCode::EndNeeded);
    admin(&stage, "POST", "/v1/soft-rules", &rules(true)).ok(200);
    let product = json!({ "code": 8, "name": "Viewer", "physical_tpm": false });
    stage.owner(("admin", "PUT", "/v1/products"), &product).ok(200);
    let item = json!({ "sku": "VI-1", "name": "Viewer", "parts": [{ "product": 8 }] });
    stage.owner(("admin", "PUT", "/v1/items"), &item).ok(200);
    let order = json!({ "number": "v", "sku": "VI-1" });
    let made = stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let context = unproven.0.context(&unproven.1);
    gateway(&stage, "activations", &context, json!({ "ticket": made.body["code"] })).ok(200);
}

#[test]
fn what_has_no_place_in_a_container_waits_and_the_rest_comes() {
    let stage = Stage::new();
    let (applicant, certificate) = in_tpm(&stage, 9, &SoftTpm::new(1));
    let context = applicant.context(&certificate);
    let shown = machine(&stage, &applicant, &certificate);
    assert_eq!(shown["class"], "unproven-tpm");
    let path = format!("/v1/containers/{}", hex(applicant.id.bytes()));
    let container = admin(&stage, "GET", &path, &json!({})).ok(200).body["container"].clone();
    for (number, terms) in [("1", json!({})), ("2", json!({ "expires": "+1y" }))] {
        let order = json!({ "number": number, "sku": "ED-1", "terms": terms });
        stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    }
    let to = json!({ "container": container["serial"] });
    for grant in stage.grants() {
        let assign = format!("/v1/grants/{}/assign", grant.id);
        admin(&stage, "POST", &assign, &to).ok(200);
    }
    let got = gateway(&stage, "collections", &context, json!({})).ok(200);
    assert_eq!(changes(&got), 1);
    assert_eq!(stage.free(), 1, "the one without an end");
}

#[test]
fn a_container_is_told_why_it_does_not_get_what_waits() {
    let stage = Stage::new();
    let (applicant, certificate) = in_tpm(&stage, 9, &SoftTpm::new(1));
    machine(&stage, &applicant, &certificate);
    let order = json!({ "number": "1", "sku": "ED-1" });
    stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let [grant] = &stage.grants()[..] else { panic!("one license") };
    let path = format!("/v1/containers/{}", hex(applicant.id.bytes()));
    let container = admin(&stage, "GET", &path, &json!({})).ok(200).body["container"].clone();
    let to = json!({ "container": container["serial"] });
    admin(&stage, "POST", &format!("/v1/grants/{}/assign", grant.id), &to).ok(200);
    let first = gateway(&stage, "collections", &applicant.context(&certificate), json!({}));
    let [answer] = &Stage::updates(&first.ok(200))[..] else { panic!("its answer") };
    let context = applicant.context_behind(&certificate, answer);
    is(&gateway(&stage, "collections", &context, json!({})), ErrorCode::PhysicalTpmNeeded);
}

#[test]
fn sec_a_virtual_machine_without_a_tpm_is_certified_where_the_vendor_allows_it() {
    let stage = Stage::new();
    let applicant = || Applicant::new(9, stage.root_fp()).in_virtual_machine();
    is(&begin(&stage, &applicant()), ErrorCode::VirtualRefused);
    admin(&stage, "POST", "/v1/soft-rules", &json!({ "allow_vm": true })).ok(200);
    let certificate = certified(&stage, &applicant());
    let shown = machine(&stage, &applicant(), &certificate);
    assert_eq!((&shown["class"], &shown["is_virtual"]), (&json!("traits"), &json!(true)));
}

#[test]
fn rules_change_one_by_one_and_by_their_version() {
    let stage = Stage::new();
    let rules = admin(&stage, "GET", "/v1/soft-rules", &Value::Null).ok(200);
    let default = json!({
        "same_machine_a_year": 4, "elsewhere_a_year": 0, "physical_tpm": true, "allow_vm": false,
        "copies": "all", "grace_days": 14,
    });
    assert_eq!((rules.body, rules.tag.as_deref()), (default, Some("\"0\"")));
    let set = admin(&stage, "POST", "/v1/soft-rules", &json!({ "elsewhere_a_year": 2 })).ok(200);
    assert_eq!((&set.body["elsewhere_a_year"], set.tag.as_deref()), (&json!(2), Some("\"1\"")));
    assert_eq!(set.body["same_machine_a_year"], 4);
    let old = stage.changed("/v1/soft-rules", "\"0\"", &json!({ "allow_vm": true }));
    is(&old, ErrorCode::RecordChanged);
    stage.changed("/v1/soft-rules", "\"1\"", &json!({ "allow_vm": true })).ok(200);
    for wrong in [json!({ "elsewhere_a_year": 1001 }), json!({ "more": 1 })] {
        is(&admin(&stage, "POST", "/v1/soft-rules", &wrong), ErrorCode::RequestMalformed);
    }
}

#[test]
fn what_is_no_certificate_is_no_authority() {
    let stage = Stage::new();
    let two = [Maker::new().pem, Maker::new().pem].concat();
    let empty = "-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----\n";
    for wrong in ["?", "AAAA", empty, &two] {
        let new = json!({ "name": "x", "certificate": wrong });
        is(&admin(&stage, "POST", "/v1/tpm-authorities", &new), ErrorCode::RequestMalformed);
    }
}
