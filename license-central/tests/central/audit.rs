//! The audit against whoever may write the database.

use std::collections::BTreeMap;
use std::sync::Arc;

use license_central::clock::SystemClock;
use license_central::domain::anchors::{self, Fault};
use license_central::domain::audit::Entry;
use license_central::domain::central::Central;
use license_central::domain::env::SystemRandom;
use license_central::domain::keys::Secret;
use license_central::store::{Filter, SqlStore};
use serde_json::json;

use crate::place::{ask, sell};
use crate::process::Place;

/// All entries of all tenants.
fn entries(place: &Place) -> Vec<Entry> {
    let store = SqlStore::sqlite(&place.data().join("central.db")).expect("the database");
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let secret = Secret::new([0; 32]);
    let central = Central::new(Arc::new(store), clock, random, secret, BTreeMap::new());
    let of = |tenant: &str| {
        let rows = central.read(tenant, |work| work.all::<Entry>(&Filter::All)).expect("entries");
        rows.into_iter().map(|row| row.record).collect::<Vec<_>>()
    };
    [of(""), of("acme")].concat()
}

#[test]
fn sec_w20_an_entry_that_was_changed_moved_or_cut_off_is_named() {
    let place = Place::init();
    let key = place.text("owner.key");
    let server = place.run(&[]);
    sell(&server, &key);
    for number in 0..6 {
        let order = json!({ "number": number.to_string(), "sku": "ED-1" }).to_string();
        assert_eq!(ask((&server, "sales"), "POST /v1/orders", &key, "", &order).status, 201);
    }
    assert_eq!(server.end().code, Some(0));
    let heads = anchors::read(&place.data()).expect("heads");
    let all = entries(&place);
    assert_eq!(anchors::verify(&all, &heads), []);
    let head = heads.last().expect("the end of the server is one");
    let own = |entries: &[Entry], number: u64| {
        let mine = |entry: &Entry| entry.writer == head.writer && entry.number == number;
        entries.iter().position(mine).expect("it is there")
    };
    // Whom the vendor trusts, a product, an item, six orders.
    assert_eq!(head.number, 9);
    for number in 1..=head.number {
        let at = own(&all, number);
        let found = |entries: &[Entry], number: u64, what: Fault| {
            let breaks = anchors::verify(entries, &heads);
            let named = |one: &anchors::Break| one.number == number && one.what == what;
            assert!(breaks.iter().any(named), "{number} {what:?}: {breaks:?}");
        };
        let mut gone = all.clone();
        gone.remove(at);
        found(&gone, number, Fault::Missing);
        let mut twice = all.clone();
        twice.push(all[at].clone());
        found(&twice, number, Fault::Twice);
        let fields: [fn(&mut Entry); 6] = [
            |entry| entry.detail.push('x'),
            |entry| entry.object.push('x'),
            |entry| entry.actor.push('x'),
            |entry| entry.action.push('x'),
            |entry| entry.tenant.push('x'),
            |entry| entry.at_ms += 1,
        ];
        for change in fields {
            let mut changed = all.clone();
            change(&mut changed[at]);
            found(&changed, number, Fault::Changed);
        }
        if number > 1 {
            let mut moved = all.clone();
            let before = own(&all, number - 1);
            (moved[at].number, moved[before].number) = (number - 1, number);
            found(&moved, number, Fault::Changed);
        }
        let mut cut = all.clone();
        cut.retain(|entry| entry.writer != head.writer || entry.number < number);
        found(&cut, head.number, Fault::Missing);
    }
}
