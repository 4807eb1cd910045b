//! The desk over each store: instances beside one another, commits that fail, restarts, leases.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, AtomicU32, Ordering};

use protocol::codec::{self, Fixed};
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::objects::lease::LeaseBody;
use protocol::objects::root::Mode;
use protocol::signed::hybrid::UnverifiedHybrid;
use protocol::signed::{Role, UnverifiedObject};
use strongroom_tests::postgres::Postgres;
use vendor::{Home, Passphrase, Rotation, Vendor};

use super::super::env::SystemRandom;
use super::super::firm::{Firm, LocalSigner};
use super::super::seats::{Wish, first_break};
use super::*;
use crate::place::ServerSecrets;
use crate::store::seats::{Counter, SeatKey};
use crate::store::{MemoryStore, SqlStore};

pub(super) const NOW_MS: i64 = 1_800_000_000_000;
/// Behind this a seat is free that nobody keeps: time-out and grace.
const FREE_MS: i64 = 30_000 + protocol::limits::SEAT_GRACE_S as i64 * 1000;
const TENANT: &str = "acme";

/// A clock that stands still.
struct Standing(AtomicI64);

impl Clock for Standing {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}

pub(super) fn counter(id: i64, seats: i64) -> Counter {
    let (from_ms, until_ms) = (0, i64::MAX);
    Counter { id, seats, in_use: 0, from_ms, until_ms, timeout_ms: 30_000, linger_ms: 0, open: 1 }
}

pub(super) fn desk(
    store: Arc<dyn Store>,
    now_ms: i64,
    firms: BTreeMap<String, Arc<Firm>>,
) -> Arc<Desk> {
    let clock = Arc::new(Standing(AtomicI64::new(now_ms)));
    Arc::new(Desk::new(store, clock, Arc::new(SystemRandom), firms))
}

fn asked(counter: i64, number: i64, n: i64, what: Wish) -> Asked {
    let key = SeatKey { high: NOW_MS << 16 | 0x7000, low: number, counter };
    let lease = Lease { tenant: TENANT.into(), grant: [5; 16], product: 7 };
    Asked { request: Request { key, n, what }, lease }
}

pub(super) fn take(counter: i64, number: i64) -> Asked {
    asked(counter, number, 0, Wish::Take(1))
}

fn open_counters(store: &dyn Store, counters: &[Counter]) {
    let changes = SeatChanges { opened: counters.to_vec(), ..SeatChanges::default() };
    store.transact(Purpose::Write, &mut |open| open.change_seats(&changes)).unwrap();
}

fn in_use(store: &dyn Store, id: i64) -> i64 {
    let mut found = None;
    let read = store.transact(Purpose::Read, &mut |open| {
        found = open.counters(&[id])?.pop();
        Ok(())
    });
    read.unwrap();
    found.unwrap().in_use
}

/// Two instances with four threads each want 800 seats of 3 licenses with 100 each, in batches.
fn instances_beside_one_another_give_no_seat_too_many(store: Arc<dyn Store>) {
    open_counters(&*store, &[counter(1, 100), counter(2, 100), counter(3, 100)]);
    let desks = [
        desk(store.clone(), NOW_MS, BTreeMap::new()),
        desk(store.clone(), NOW_MS, BTreeMap::new()),
    ];
    let given = AtomicU32::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8_i64 {
            let (desk, given) = (&desks[thread as usize % 2], &given);
            scope.spawn(move || {
                for batch in 0..10 {
                    let number = |at: i64| (thread * 10 + batch) * 10 + at;
                    let asked: Vec<Asked> =
                        (0..10).map(|at| take(1 + number(at) % 3, number(at))).collect();
                    for done in desk.commit(&asked) {
                        match done {
                            Ok(_) => drop(given.fetch_add(1, Ordering::SeqCst)),
                            Err(Refusal::Told(_)) => {}
                            Err(other) => panic!("{other:?}"),
                        }
                    }
                }
            });
        }
    });
    assert_eq!(given.into_inner(), 300);
    assert_eq!([1, 2, 3].map(|id| in_use(&*store, id)), [100; 3]);
    who_asks_again_gets_the_same(&*store, &desks[1]);
    // Whoever starts anew has forgotten nothing: full as long as those are held, and free behind.
    let anew = desk(store.clone(), NOW_MS + FREE_MS - 1, BTreeMap::new());
    let refused = anew.commit(&[take(1, 5000)]);
    assert!(matches!(&refused[0], Err(Refusal::Told(shown)) if shown.code() == "S0B42"));
    let later = desk(store.clone(), NOW_MS + FREE_MS, BTreeMap::new());
    assert!(later.commit(&[take(1, 5001)])[0].is_ok());
    assert_eq!([1, 2, 3].map(|id| in_use(&*store, id)), [1, 0, 0]);
}

/// The answer may have been lost: the license is full by then, others ask beside, or it is not.
fn who_asks_again_gets_the_same(store: &dyn Store, desk: &Desk) {
    open_counters(store, &[counter(4, 2), counter(5, 100)]);
    let [one, two, three] = [take(4, 1), take(4, 2), take(5, 1)];
    let first = told(&desk.commit(&[one.clone(), two.clone(), three.clone()]));
    assert!(first.iter().all(Option::is_some));
    let again =
        |asked: &[&Asked]| told(&desk.commit(&asked.iter().copied().cloned().collect::<Vec<_>>()));
    assert_eq!(again(&[&one]), first[..1]);
    let others = [take(4, 3), take(5, 2), take(5, 3)];
    let beside = again(&[&others[0], &two, &one, &others[1]]);
    assert_eq!((&beside[0], &beside[1], &beside[2]), (&None, &first[1], &first[0]));
    assert!(beside[3].is_some());
    let beside = again(&[&others[2], &three, &three]);
    assert!(beside[0].is_some());
    assert_eq!([&beside[1], &beside[2]], [&first[2]; 2]);
    assert_eq!([4, 5].map(|id| in_use(store, id)), [2, 3]);
}

fn told(done: &[Outcome<Answer>]) -> Vec<Option<Answer>> {
    done.iter().map(|one| one.as_ref().ok().cloned()).collect()
}

#[test]
fn sec_f3_in_memory_no_seat_is_given_twice_also_after_a_restart() {
    let store = Arc::new(MemoryStore::default());
    instances_beside_one_another_give_no_seat_too_many(store.clone());
    let mut writers: BTreeMap<i64, Vec<_>> = BTreeMap::new();
    for event in store.seat_log() {
        writers.entry(event.writer).or_default().push(event);
    }
    // One of the two may have come too late for every seat.
    assert!((2..=3).contains(&writers.len()), "{}", writers.len());
    assert!(writers.values().all(|events| first_break(events).is_none()));
}

#[test]
fn sec_f3_on_sqlite_no_seat_is_given_twice_also_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let store = SqlStore::sqlite(&dir.path().join("central.db")).unwrap();
    store.migrate().unwrap();
    instances_beside_one_another_give_no_seat_too_many(Arc::new(store));
}

#[test]
fn sec_f3_on_postgresql_no_seat_is_given_twice_also_after_a_restart() {
    let postgres = Postgres::start();
    let store = SqlStore::postgres(&postgres.url()).unwrap();
    store.migrate().unwrap();
    instances_beside_one_another_give_no_seat_too_many(Arc::new(store));
}

#[test]
fn a_batch_that_meets_a_conflict_is_carried_out_one_by_one() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 100)]);
    let mut calls = 0;
    // The first attempts fail, as often as one is tried; those that follow do not.
    store.set_fault(Some(Box::new(move || {
        calls += 1;
        (calls <= 20).then_some(StoreError::Conflict)
    })));
    let desk = desk(store.clone(), NOW_MS, BTreeMap::new());
    let all: Vec<Asked> = (0..10).map(|number| take(1, number)).collect();
    assert!(desk.commit(&all).iter().all(Result::is_ok));
    store.set_fault(None);
    assert_eq!(in_use(&*store, 1), 10);
}

#[test]
fn a_store_that_fails_gives_nobody_a_seat_and_begins_a_new_log() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 100)]);
    let desk = desk(store.clone(), NOW_MS, BTreeMap::new());
    assert!(desk.commit(&[take(1, 1)])[0].is_ok());
    store.set_fault(Some(Box::new(|| Some(StoreError::Unavailable("cut".into())))));
    assert!(desk.commit(&[take(1, 2), take(1, 3)]).iter().all(Result::is_err));
    store.set_fault(None);
    assert!(desk.commit(&[take(1, 2)])[0].is_ok());
    let log = store.seat_log();
    assert_eq!((log.len(), in_use(&*store, 1)), (2, 2));
    assert!(log[0].writer != log[1].writer && log[1].number == 1);
}

#[test]
fn what_nobody_asks_for_is_swept_and_forgotten() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 3000)]);
    let desk_now = desk(store.clone(), NOW_MS, BTreeMap::new());
    let all: Vec<Asked> = (0..2500).map(|number| take(1, number)).collect();
    assert!(desk_now.commit(&all).iter().all(Result::is_ok));
    assert_eq!(desk_now.sweep(true).unwrap(), 0);
    let later = desk(store.clone(), NOW_MS + FREE_MS, BTreeMap::new());
    assert_eq!((later.sweep(false).unwrap(), in_use(&*store, 1)), (2500, 0));
    let rows = || {
        let keys: Vec<SeatKey> = all.iter().map(|one| one.request.key).collect();
        let mut count = 0;
        let read = store.transact(Purpose::Read, &mut |open| {
            count = open.seats(&keys)?.len();
            Ok(())
        });
        read.unwrap();
        count
    };
    later.sweep(true).unwrap();
    assert_eq!(rows(), 2500);
    let next_days = desk(store.clone(), NOW_MS + 3 * 24 * 3600 * 1000, BTreeMap::new());
    next_days.sweep(true).unwrap();
    assert_eq!(rows(), 0);
}

/// 64 that ask while somebody is at work are one commit, and each gets its own answer.
#[test]
fn those_who_ask_meanwhile_are_one_commit() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 100)]);
    let commits = Arc::new(AtomicU32::new(0));
    let (counted, gate) = (commits.clone(), Arc::new(std::sync::Barrier::new(2)));
    let held = gate.clone();
    let mut calls = 0;
    // Calls of an attempt: seats, due, counters, change, commit. The first commit waits.
    store.set_fault(Some(Box::new(move || {
        calls += 1;
        if calls % 5 == 0 && counted.fetch_add(1, Ordering::SeqCst) == 0 {
            held.wait();
            held.wait();
        }
        None
    })));
    let desk = desk(store, NOW_MS, BTreeMap::new());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let ask = |number| {
        let desk = desk.clone();
        runtime.spawn(async move { desk.ask(take(1, number)).await })
    };
    let first = ask(0);
    gate.wait();
    let others: Vec<_> = (1..=64).map(ask).collect();
    while desk.queue().waiting.len() < 64 {
        std::thread::yield_now();
    }
    gate.wait();
    runtime.block_on(async {
        first.await.unwrap().unwrap();
        for (number, other) in (1..).zip(others) {
            assert_eq!(other.await.unwrap().unwrap().held.seat.key.low, number);
        }
    });
    assert_eq!(commits.load(Ordering::SeqCst), 2);
}

fn firm(dir: &std::path::Path) -> Arc<Firm> {
    firm_of(Vendor::init(dir, "Acme", 1, Mode::Test, None, &Passphrase::empty()).unwrap())
}

fn firm_of(vendor: Vendor) -> Arc<Firm> {
    let keys = vendor.keys(&ServerSecrets::new(None)).unwrap();
    let signer = Box::new(LocalSigner::new(vendor.trust.clone(), keys));
    Arc::new(Firm::new(vendor.trust, signer))
}

#[test]
fn leases_of_a_commit_have_one_signature_and_each_holds_alone() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 5)]);
    let dir = tempfile::tempdir().unwrap();
    let firm = firm(&dir.path().join("acme"));
    let desk = desk(store, NOW_MS, BTreeMap::from([(TENANT.to_owned(), firm.clone())]));
    let asked: Vec<Asked> = (0..7).map(|number| take(1, number)).collect();
    let done = desk.commit(&asked);
    let held: Vec<&Answer> = done.iter().flatten().collect();
    assert_eq!(held.len(), 5);
    let root = firm.trust.root.as_ref().unwrap();
    let key = VerifyingKey::from_bytes(&root.body.keys(Role::Licensing).next().unwrap().0).unwrap();
    let mut signatures = std::collections::BTreeSet::new();
    for (number, answer) in held.iter().enumerate() {
        let bytes = answer.lease.as_ref().unwrap();
        let (object, rest) = UnverifiedObject::read(bytes, 100).unwrap();
        assert!(rest.is_empty());
        let lease = object.verify_role(Role::Licensing, &key).unwrap();
        let body: LeaseBody = codec::decode(lease.body, 100).unwrap();
        assert_eq!((body.seats, body.product.0), (1, 7));
        let mut session = [0; 16];
        session[..8].copy_from_slice(&(NOW_MS << 16 | 0x7000).to_be_bytes());
        session[8..].copy_from_slice(&(number as i64).to_be_bytes());
        assert_eq!(body.session, Fixed(session));
        let header = lease.header;
        let until_s = (NOW_MS / 1000 + 29).cast_unsigned();
        assert_eq!((header.target, header.seq, header.until_s), ([5; 16], 0, until_s));
        let protocol::signed::Proof::Batch(proof) = object.proof() else { panic!("no tree") };
        signatures.insert(proof.signature.0);
        let mut other = bytes.clone();
        *other.last_mut().unwrap() ^= 1;
        let (other, _) = UnverifiedObject::read(&other, 100).unwrap();
        assert!(other.verify_role(Role::Licensing, &key).is_err());
    }
    assert_eq!(signatures.len(), 1);
    let back = desk.commit(&[self::asked(1, 0, 1, Wish::Return)]).remove(0).unwrap();
    assert_eq!(back.lease, None);
}

#[test]
fn leases_are_of_suite_2_where_the_root_says_so_and_a_commit_has_one_signature() {
    let store = Arc::new(MemoryStore::default());
    open_counters(&*store, &[counter(1, 70)]);
    let dir = tempfile::tempdir().unwrap();
    let own = Passphrase::empty();
    let path = dir.path().join("acme");
    let vendor = Vendor::init(&path, "Acme", 1, Mode::Test, None, &own).unwrap();
    let (role, home) = (Role::Licensing, (0, Home::File));
    let rotation = Rotation::of(&vendor.root, role, None, None, Some(2), home).unwrap();
    let keys = vendor.keys(&ServerSecrets::new(None)).unwrap();
    let firm = firm_of(vendor.rotate(&rotation, keys, &own, None).unwrap());
    let desk = desk(store, NOW_MS, BTreeMap::from([(TENANT.to_owned(), firm.clone())]));
    let asked: Vec<Asked> = (0..64).map(|number| take(1, number)).collect();
    let mut signatures = std::collections::BTreeSet::new();
    for answer in desk.commit(&asked) {
        let bytes = answer.unwrap().lease.unwrap();
        let lease = firm.trust.verify_lease(&bytes, NOW_MS.cast_unsigned() / 1000).unwrap();
        assert_eq!((lease.suite, lease.body.seats), (2, 1));
        let (object, _) = UnverifiedHybrid::read(&bytes, 100).unwrap();
        signatures.insert((object.proof().p256.0, object.proof().ml_dsa.to_vec()));
    }
    assert_eq!(signatures.len(), 1);
}
