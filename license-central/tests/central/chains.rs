//! A container's chain of updates goes on, whatever became of one of them.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::domain::records::{Grant, Place, Standing};
use license_central::recovery::check::Kind;
use protocol::signed::Role;
use serde_json::json;

use crate::stage::Stage;
use crate::trust::rotated;

/// Another product in a container, on its way to it when the key is rotated.
fn rotated_under_way() -> (Stage, crate::dongle::Dongle, String, Vec<u8>) {
    let mut stage = Stage::new();
    let (first, second, mut dongle) = (stage.ticket("1", 1), stage.ticket("2", 1), stage.dongle(1));
    let got = stage.activate(&first, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let old = Stage::updates(&stage.activate(&second, &mut dongle).ok(200)).remove(0);
    stage.change_vendor(|vendor| rotated(vendor, Role::Licensing));
    assert!(stage.reread().expect("it follows"));
    assert!(stage.take_over().expect("it follows"));
    (stage, dongle, second, old)
}

#[test]
fn an_update_under_a_key_that_was_rotated_is_made_anew() {
    let (stage, mut dongle, ticket, old) = rotated_under_way();
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_ne!(Stage::updates(&got), std::slice::from_ref(&old));
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert!(dongle.apply(&old).is_none(), "it has that number already");
    assert_eq!((stage.journal().len(), stage.free(), stage.findings()), (3, 0, vec![]));
}

#[test]
fn either_of_two_updates_of_a_number_may_be_the_one_that_is_applied() {
    let (stage, mut dongle, ticket, old) = rotated_under_way();
    // Both are out, and more behind the new one.
    stage.activate(&ticket, &mut dongle).ok(200);
    let third = stage.ticket("3", 1);
    assert_eq!(Stage::updates(&stage.activate(&third, &mut dongle).ok(200)).len(), 2);
    dongle.apply(&old).expect("a receipt that is lost");
    // What followed the new one never arrives, and is issued again where it is asked for.
    let got = stage.activate(&third, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let held = stage.grants().iter().filter(|one| matches!(one.place, Place::Held { .. })).count();
    assert_eq!((held, stage.free(), stage.findings()), (3, 0, vec![]));
}

#[test]
fn the_check_names_what_counts_as_free_and_was_put_into_a_container() {
    let (stage, mut dongle, ticket, old) = rotated_under_way();
    stage.activate(&ticket, &mut dongle).ok(200);
    let first = stage.grants()[0].id.clone();
    let path = format!("/v1/grants/{first}/suspend");
    stage.owner(("admin", "POST", &path), &json!({ "reason": "unpaid" })).ok(200);
    stage.gateway("collections", &mut dongle, json!({})).ok(200);
    // The suspension never arrives; what it should have suspended did long ago.
    let receipt = BASE64.encode(dongle.apply(&old).expect("a receipt"));
    stage.post("/v1/acme/receipts", &json!({ "receipt": receipt })).ok(200);
    stage.forge(&first, |grant| grant.place = Place::Pool);
    assert_eq!(stage.findings(), [Kind::Misplaced]);
}

/// What waits for the container is issued behind the update of the new key, and ruled out by the
/// old one: how each license stands then, and how many updates the container gets.
fn ruled_out(decide: impl FnOnce(&Stage, &mut crate::dongle::Dongle)) -> (Vec<Grant>, usize) {
    let (stage, mut dongle, ticket, old) = rotated_under_way();
    stage.activate(&ticket, &mut dongle).ok(200);
    decide(&stage, &mut dongle);
    stage.gateway("releases", &mut dongle, json!({})).ok(200);
    dongle.apply(&old).expect("a receipt that is lost");
    let got = stage.gateway("collections", &mut dongle, json!({})).ok(200);
    let applied = stage.apply(&got, &mut dongle, true);
    assert_eq!(stage.findings(), []);
    (stage.grants(), applied)
}

#[test]
fn a_license_that_never_arrived_is_free_though_it_was_to_be_released() {
    let (grants, updates) = ruled_out(|stage, dongle| {
        stage.activate(&stage.ticket("3", 1), dongle).ok(200);
    });
    let places: Vec<_> = grants.iter().map(|grant| grant.place.name()).collect();
    assert_eq!((&places[..], updates), (&["held", "held", "pool"][..], 0));
}

#[test]
fn a_suspension_that_was_ruled_out_with_the_release_behind_it_is_issued_again() {
    let (grants, updates) = ruled_out(|stage, dongle| {
        let path = format!("/v1/grants/{}/suspend", stage.grants()[0].id);
        stage.owner(("admin", "POST", &path), &json!({ "reason": "unpaid" })).ok(200);
        stage.gateway("collections", dongle, json!({})).ok(200);
    });
    let proven: Vec<_> = grants.iter().map(|grant| grant.proven).collect();
    assert_eq!((&proven[..], updates), (&[Standing::Suspended, Standing::Active][..], 1));
}

#[test]
fn what_lapsed_in_the_container_that_asks_is_not_free_for_another() {
    let stage = Stage::new();
    let product = json!({
        "code": 8, "name": "Rent", "reclaim": { "after": 0 }, "terms": { "checkpoint": "1d" },
    });
    let item = json!({ "sku": "RENT", "name": "Rent", "parts": [{ "product": 8 }] });
    let order = json!({ "number": "1", "sku": "RENT", "quantity": 2 });
    stage.owner(("admin", "PUT", "/v1/products"), &product).ok(200);
    stage.owner(("admin", "PUT", "/v1/items"), &item).ok(200);
    let sold = stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let ticket = sold.body["code"].as_str().expect("a ticket").to_owned();
    let mut dongle = stage.dongle(1);
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let held = stage.grants().into_iter().find(|grant| grant.place != Place::Pool);
    let path = format!("/v1/grants/{}/suspend", held.expect("it is in the dongle").id);
    stage.owner(("admin", "POST", &path), &json!({ "reason": "unpaid" })).ok(200);
    stage.clock.shift_s(30 * 86_400);
    // It is told so, and the other license of the ticket does not take its place.
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert_eq!((stage.free(), stage.journal().len(), stage.findings()), (1, 2, vec![]));
    // Elsewhere it is free by now, but for the suspension.
    let mut other = stage.dongle(2);
    let got = stage.activate(&ticket, &mut other).ok(200);
    assert_eq!((stage.apply(&got, &mut other, true), stage.free()), (1, 1));
}

#[test]
fn a_module_goes_where_its_parent_is_and_leaves_with_it() {
    let stage = Stage::new();
    let put = |path: &str, body| stage.owner(("admin", "PUT", path), &body).ok(200);
    put(
        "/v1/products",
        json!({
            "code": 8, "name": "Plug-in", "terms": { "module-of": "7:0" },
        }),
    );
    let parts = json!([{ "product": 8 }]);
    put("/v1/items", json!({ "sku": "PLUG", "name": "Plug-in", "parts": parts }));
    let order = json!({ "number": "9", "sku": "PLUG", "quantity": 1 });
    let made = stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201);
    let module = made.body["code"].as_str().expect("a ticket").to_owned();
    let (parent, mut dongle) = (stage.ticket("1", 2), stage.dongle(1));
    // Alone it would stop the container's chain.
    stage.activate(&module, &mut dongle).refused(409, "S0B94");
    let got = stage.activate(&parent, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    let got = stage.activate(&module, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    assert!(dongle.holds(7) && dongle.holds(8));
    // The parent is given back, and the module with it.
    let got = stage.gateway("releases", &mut dongle, json!({ "products": [7] })).ok(200);
    stage.apply(&got, &mut dongle, true);
    assert!(!dongle.holds(7) && !dongle.holds(8));
    assert_eq!((stage.free(), stage.findings()), (3, vec![]));
    // They move together.
    for ticket in [&parent, &module] {
        let got = stage.activate(ticket, &mut dongle).ok(200);
        stage.apply(&got, &mut dongle, true);
    }
    let mut other = stage.dongle(2);
    stage.gateway("collections", &mut other, json!({})).ok(200);
    let shown = format!("/v1/containers/{}", other.id());
    let shown = stage.owner(("admin", "GET", &shown), &json!({})).ok(200).body;
    let moved = json!({ "products": [7], "to": shown["container"]["serial"] });
    let got = stage.gateway("moves", &mut dongle, moved).ok(200);
    stage.apply(&got, &mut dongle, true);
    let got = stage.gateway("collections", &mut other, json!({})).ok(200);
    stage.apply(&got, &mut other, true);
    assert!(other.holds(7) && other.holds(8) && !dongle.holds(8));
    // None waits for what is not there.
    let got = stage.activate(&parent, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    assert!(dongle.holds(7) && !dongle.holds(8));
}
