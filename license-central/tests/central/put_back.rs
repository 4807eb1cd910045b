//! C3: the records are put back to an older state, and what was signed since is not issued again.

use std::sync::Arc;

use license_central::domain::records::Place;
use license_central::recovery::check::Kind;
use license_central::store::MemoryStore;
use serde_json::json;
use strongroom_tests::dice::Dice;

use crate::dongle::Dongle;
use crate::seats::session;
use crate::server::Got;
use crate::stage::Stage;

/// Runs of random traffic; more in `./dev soak`.
fn runs() -> u64 {
    if std::env::var_os("STRONGROOM_SOAK").is_some() { 1000 } else { 12 }
}

impl Stage {
    /// Stops all, puts the records back to what `old` has, and starts again.
    fn put_back(&mut self, old: &MemoryStore) {
        self.stop();
        self.store = Arc::new(old.backup());
        self.start();
    }

    fn release(&self, dongle: &mut Dongle) -> Got {
        self.gateway("releases", dongle, json!({}))
    }
}

#[test]
fn sec_c3_after_a_restore_nothing_is_issued_until_the_journal_was_taken_in() {
    let mut stage = Stage::new();
    let ticket = stage.ticket("1", 2);
    let [mut one, mut two, mut three] = [1, 2, 3].map(|seed| stage.dongle(seed));
    let got = stage.activate(&ticket, &mut one).ok(200);
    stage.apply(&got, &mut one, true);
    let old = stage.store.backup();
    let got = stage.activate(&ticket, &mut two).ok(200);
    stage.apply(&got, &mut two, true);
    assert_eq!(stage.free(), 0);
    stage.put_back(&old);
    assert_eq!(stage.free(), 1, "the records do not know the second dongle");
    stage.activate(&ticket, &mut three).refused(503, "S0B36");
    stage.release(&mut one).refused(503, "S0B36");
    assert_eq!((stage.findings(), stage.journal().len()), (vec![Kind::Lost, Kind::Misplaced], 2));
    stage.stop();
    let done = stage.repair();
    assert_eq!((done.updates.len(), done.unexplained.len(), done.differ.len()), (1, 0, 0));
    assert_eq!(stage.repair().updates.len(), 0, "once is enough");
    stage.start();
    assert_eq!((stage.findings(), stage.free()), (vec![], 0));
    stage.activate(&ticket, &mut three).refused(409, "S0B03");
    assert_eq!(stage.apply(&stage.activate(&ticket, &mut two).ok(200), &mut two, true), 0);
    let got = stage.release(&mut two).ok(200);
    assert_eq!(stage.apply(&got, &mut two, true), 1);
    assert_eq!(stage.free(), 1, "it came back by its receipt");
    let got = stage.activate(&ticket, &mut three).ok(200);
    assert_eq!(stage.apply(&got, &mut three, true), 1);
}

#[test]
fn what_was_sold_after_the_backup_is_named_as_explained_by_no_order() {
    let mut stage = Stage::new();
    let old = stage.store.backup();
    let ticket = stage.ticket("1", 1);
    let mut dongle = stage.dongle(1);
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    let grant = stage.grants()[0].id.clone();
    stage.put_back(&old);
    stage.stop();
    let done = stage.repair();
    assert_eq!((done.updates.len(), &done.unexplained), (1, &vec![grant]));
    stage.start();
    assert_eq!(stage.findings(), [Kind::Unexplained]);
    assert_eq!(stage.grants()[0].place.container(), Some(&dongle.id()[..]));
    // The container tells who it is, and gives it back.
    let got = stage.release(&mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert_eq!(stage.grants()[0].place, Place::Pool);
}

#[test]
fn what_was_written_off_is_free_after_a_restore_where_another_took_its_entry() {
    let mut stage = Stage::new();
    let old = stage.store.backup();
    let ticket = stage.ticket("1", 2);
    let mut dongle = stage.dongle(1);
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    let sold = stage.store.backup();
    let first = stage.grants().into_iter().find(|grant| grant.place != Place::Pool);
    let first = first.expect("it is in the dongle").id;
    for what in ["write-off", "suspend"] {
        let path = format!("/v1/grants/{first}/{what}");
        stage.owner(("admin", "POST", &path), &json!({ "reason": "lost" })).ok(200);
    }
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    for (before, unexplained) in [(sold, 0), (old, 2)] {
        stage.put_back(&before);
        stage.stop();
        assert_eq!(stage.repair().unexplained.len(), unexplained);
        stage.start();
        for grant in stage.grants() {
            let at = grant.place.container();
            assert_eq!(at, (grant.id != first).then_some(&dongle.id()[..]), "{grant:?}");
            assert_eq!(grant.overlaps, u32::from(grant.id == first));
        }
        assert!(!stage.findings().contains(&Kind::Misplaced));
    }
}

/// Decides the one case there is: what the container showed counts.
fn adopt(stage: &Stage) {
    let cases = stage.owner(("admin", "GET", "/v1/cases"), &json!({})).ok(200);
    let case = cases.body["rows"][0]["id"].as_str().expect("a case").to_owned();
    let decision = json!({ "decision": "adopt", "reason": "made by hand" });
    let path = format!("/v1/cases/{case}/decide");
    stage.owner(("admin", "POST", &path), &decision).ok(200);
}

/// A dongle with a license, whose next state was made elsewhere and adopted; `ask` had something
/// signed behind it, with a ticket that is free: that update. Then the records were put back to
/// before the decision, repaired, and it was decided again.
fn adopted_again(ask: impl Fn(&Stage, &mut Dongle, &str) -> Got) -> (Stage, Dongle, Vec<u8>) {
    let mut stage = Stage::new();
    let (own, other, mut dongle) = (stage.ticket("1", 1), stage.ticket("2", 1), stage.dongle(1));
    let got = stage.activate(&own, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    let (old, journal) = (stage.store.backup(), std::fs::read(stage.journal_path()).expect("it"));
    let got = stage.activate(&other, &mut dongle).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    // Journal and records know nothing of it: it was made elsewhere.
    stage.stop();
    std::fs::write(stage.journal_path(), journal).expect("room");
    stage.put_back(&old);
    stage.gateway("collections", &mut dongle, json!({})).refused(409, "S0B10");
    let undecided = stage.store.backup();
    adopt(&stage);
    let signed = Stage::updates(&ask(&stage, &mut dongle, &other).ok(200)).remove(0);
    stage.stop();
    stage.put_back(&undecided);
    stage.stop();
    assert_eq!(stage.repair().differ.len(), 1);
    stage.start();
    adopt(&stage);
    (stage, dongle, signed)
}

#[test]
fn a_state_that_is_adopted_again_goes_on_behind_what_was_signed_the_first_time() {
    let (stage, mut dongle, signed) =
        adopted_again(|stage, dongle, ticket| stage.activate(ticket, dongle));
    stage.gateway("collections", &mut dongle, json!({})).ok(200);
    dongle.apply(&signed).expect("a receipt that is lost");
    let got = stage.gateway("collections", &mut dongle, json!({})).ok(200);
    assert_eq!(stage.apply(&got, &mut dongle, true), 1);
    assert_eq!((stage.journal().len(), stage.findings(), stage.free()), (3, vec![], 0));
}

#[test]
fn a_license_that_left_before_its_state_was_adopted_again_is_free() {
    let (stage, mut dongle, signed) = adopted_again(|stage, dongle, _| stage.release(dongle));
    assert_eq!(stage.free(), 1, "the one that was made elsewhere");
    dongle.apply(&signed).expect("a receipt that is lost");
    let got = stage.gateway("collections", &mut dongle, json!({})).ok(200);
    assert_eq!(Stage::updates(&got), Vec::<Vec<u8>>::new());
    assert_eq!((stage.free(), stage.findings()), (2, vec![]));
}

#[test]
fn a_journal_that_is_older_than_the_records_know_is_refused_until_a_person_takes_it() {
    let mut stage = Stage::new();
    let ticket = stage.ticket("1", 3);
    stage.activate(&ticket, &mut stage.dongle(1)).ok(200);
    let old = std::fs::read(stage.journal_path()).expect("a file");
    stage.activate(&ticket, &mut stage.dongle(2)).ok(200);
    // At its start the server notes how far it knows the journal.
    stage.restart();
    stage.activate(&ticket, &mut stage.dongle(2)).ok(200);
    stage.stop();
    std::fs::write(stage.journal_path(), old).expect("room");
    stage.start();
    stage.activate(&ticket, &mut stage.dongle(3)).refused(503, "S0B37");
    assert_eq!(stage.findings(), [Kind::JournalBehind]);
    stage.stop();
    assert_eq!(stage.accept().number, 1);
    stage.start();
    stage.activate(&ticket, &mut stage.dongle(3)).ok(200);
    assert_eq!((stage.findings(), stage.check().unsigned.len()), (vec![], 1));
    stage.activate(&ticket, &mut stage.dongle(2)).ok(200);
    assert_eq!((stage.journal().len(), stage.check().unsigned.len()), (3, 0));
}

/// One moment of traffic: whatever is asked for may be applied or not, and told or not.
fn step(stage: &Stage, dice: &mut Dice, ticket: &str, dongles: &mut [Dongle]) {
    let dongle = &mut dongles[dice.below(3)];
    let got = match dice.below(3) {
        0 | 1 => stage.activate(ticket, dongle),
        _ => stage.release(dongle),
    };
    if got.status == 200 && dice.below(4) > 0 {
        stage.apply(&got, dongle, dice.below(2) > 0);
    }
}

/// No license that a dongle may use is free as well, or in another's place.
fn none_is_twice(stage: &Stage, dongles: &mut [Dongle], seed: u64) {
    let held = dongles.iter_mut().map(|dongle| usize::from(dongle.holds(7))).sum::<usize>();
    let (free, all) = (stage.free(), stage.grants().len());
    assert!(held + free <= all, "seed {seed}: {held} in dongles, {free} free, of {all}");
}

#[test]
fn sec_c3_whatever_was_lost_no_license_is_twice() {
    for seed in 0..runs() {
        let mut dice = Dice::new(seed);
        let mut stage = Stage::new();
        let ticket = stage.ticket("1", 2);
        let mut dongles = [1, 2, 3].map(|number| stage.dongle(seed * 10 + number));
        let (before, after) = (dice.below(6), 1 + dice.below(6));
        (0..before).for_each(|_| step(&stage, &mut dice, &ticket, &mut dongles));
        let old = stage.store.backup();
        (0..after).for_each(|_| step(&stage, &mut dice, &ticket, &mut dongles));
        stage.put_back(&old);
        stage.stop();
        stage.repair();
        stage.start();
        none_is_twice(&stage, &mut dongles, seed);
        assert_eq!(stage.findings(), [], "seed {seed}");
        for _ in 0..6 {
            step(&stage, &mut dice, &ticket, &mut dongles);
            none_is_twice(&stage, &mut dongles, seed);
        }
        assert_eq!(stage.findings(), [], "seed {seed}");
    }
}

#[test]
fn sec_f1_what_the_journal_has_in_a_container_gives_no_seats_after_a_restore() {
    let mut stage = Stage::new();
    let ticket = stage.ticket("1", 1);
    let mut dongle = stage.dongle(1);
    let serve = |stage: &Stage| stage.post("/v1/acme/served", &json!({ "ticket": ticket }));
    let take = |stage: &Stage, credential: &str, session: &str| {
        let body = json!({ "product": 7, "session": session }).to_string();
        stage.server().with(credential, ("gateway", "POST", "/v1/acme/seats"), &body)
    };
    let free = stage.store.backup();
    let made = serve(&stage).ok(201).body;
    let credential = made["credential"].as_str().expect("a credential").to_owned();
    let served = stage.store.backup();
    let unserve = format!("/v1/grants/{}/unserve", stage.grants()[0].id);
    stage.owner(("admin", "POST", &unserve), &json!(null)).ok(200);
    let got = stage.activate(&ticket, &mut dongle).ok(200);
    stage.apply(&got, &mut dongle, true);
    stage.put_back(&free);
    serve(&stage).refused(503, "S0B36");
    stage.put_back(&served);
    let first = session();
    take(&stage, &credential, &first).refused(503, "S0B36");
    stage.stop();
    assert_eq!(stage.repair().updates.len(), 1);
    stage.start();
    // Not even to who was counted, and had no lease.
    take(&stage, &credential, &first).refused(409, "S0B46");
    take(&stage, &credential, &session()).refused(409, "S0B46");
    assert_eq!(stage.grants()[0].place.container(), Some(&dongle.id()[..]));
}
