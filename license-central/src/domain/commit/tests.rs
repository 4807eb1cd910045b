//! Callers that wait together: how many commits, in which order, and who fails.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::AtomicU32;

use protocol::errors::ErrorCode;

use super::super::audit::{Entry, first_break};
use super::super::central::{Central, Clock};
use super::super::env::SystemRandom;
use super::super::firm::Firm;
use super::super::keys::Secret;
use super::super::records::Customer;
use super::super::work::Work;
use super::*;
use crate::clock::SystemClock;
use crate::store::seats::{Counter, Seat, SeatChanges, SeatKey};
use crate::store::{Filter, MemoryStore, Page, Row, Table, Transaction, Write, together};

pub(super) const TENANT: &str = "acme";
pub(super) const CALLERS: usize = 64;

/// Counts commits and statements. The first commit waits for the barrier, so that all others come
/// meanwhile.
struct Counting {
    store: Box<dyn Store>,
    commits: Arc<AtomicU32>,
    statements: Arc<AtomicU32>,
    first: Arc<Barrier>,
    /// How the commit of this number fails.
    fails: Option<(u32, StoreError)>,
}

struct Open {
    open: Box<dyn OpenTransaction>,
    writes: bool,
    commits: Arc<AtomicU32>,
    statements: Arc<AtomicU32>,
    first: Arc<Barrier>,
    fails: Option<(u32, StoreError)>,
}

impl Store for Counting {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        let (commits, first) = (self.commits.clone(), self.first.clone());
        let (open, writes) = (self.store.begin(purpose)?, purpose == Purpose::Write);
        let (statements, fails) = (self.statements.clone(), self.fails.clone());
        Ok(Box::new(Open { open, writes, commits, statements, first, fails }))
    }
}

impl OpenTransaction for Open {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        if !self.writes {
            return self.open.commit();
        }
        let number = self.commits.fetch_add(1, Ordering::SeqCst);
        if number == 0 {
            self.first.wait();
            self.first.wait();
        }
        match self.fails {
            Some((failing, error)) if failing == number => Err(error),
            _ => self.open.commit(),
        }
    }
}

impl Open {
    fn count(&self, statements: usize) {
        self.statements.fetch_add(statements as u32, Ordering::SeqCst);
    }
}

impl Transaction for Open {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.count(1);
        self.open.get(tenant, table, id)
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.count(1);
        self.open.find(tenant, table, filter, page)
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.count(together(writes).count());
        self.open.apply(writes)
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.count(rows.len());
        self.open.load(rows)
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.count(ids.len());
        self.open.remove(tenant, table, ids)
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.count(1);
        self.open.counters(ids)
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.count(1);
        self.open.seats(keys)
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.count(1);
        self.open.due_seats(now_ms, limit)
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.count(1);
        self.open.change_seats(changes)
    }
}

/// A Central whose first commit waits until the callers behind it wait too.
pub(super) struct World {
    pub(super) central: Central,
    commits: Arc<AtomicU32>,
    pub(super) statements: Arc<AtomicU32>,
    first: Arc<Barrier>,
}

impl World {
    fn new(fails: Option<(u32, StoreError)>) -> Self {
        let store = Box::new(MemoryStore::default());
        World::over(store, fails, Arc::new(SystemClock), BTreeMap::new())
    }

    pub(super) fn over(
        store: Box<dyn Store>,
        fails: Option<(u32, StoreError)>,
        clock: Arc<dyn Clock>,
        firms: BTreeMap<String, Arc<Firm>>,
    ) -> Self {
        let (commits, first) = (Arc::<AtomicU32>::default(), Arc::new(Barrier::new(2)));
        let statements = Arc::<AtomicU32>::default();
        let counted = (commits.clone(), statements.clone(), first.clone());
        let store =
            Counting { store, commits: counted.0, statements: counted.1, first: counted.2, fails };
        let (random, secret) = (Arc::new(SystemRandom), Secret::new([7; 32]));
        let central = Central::new(Arc::new(store), clock, random, secret, firms);
        World { central, commits, statements, first }
    }

    /// One caller, and 64 that come while it commits: what they got, by their numbers.
    pub(super) fn meet<T: Send>(&self, call: impl Fn(usize) -> T + Sync) -> Vec<T> {
        std::thread::scope(|scope| {
            let first = scope.spawn(|| add(&self.central, "first", None));
            self.first.wait();
            let call = &call;
            let callers: Vec<_> =
                (0..CALLERS).map(|number| scope.spawn(move || call(number))).collect();
            while self.central.waiting() < CALLERS {
                std::thread::yield_now();
            }
            self.first.wait();
            first.join().unwrap().unwrap();
            callers.into_iter().map(|caller| caller.join().unwrap()).collect()
        })
    }

    pub(super) fn commits(&self) -> u32 {
        self.commits.load(Ordering::SeqCst)
    }

    fn customers(&self) -> usize {
        self.central.read(TENANT, |work| work.all::<Customer>(&Filter::All)).unwrap().len()
    }

    /// How many entries the audit has; each writer's chain must hold.
    fn audited(&self) -> usize {
        let all = self.central.read(TENANT, |work| work.all::<Entry>(&Filter::All)).unwrap();
        let mut writers: BTreeMap<String, Vec<Entry>> = BTreeMap::new();
        for entry in all.iter().map(|stored| stored.record.clone()) {
            writers.entry(entry.writer.clone()).or_default().push(entry);
        }
        assert!(writers.values().all(|entries| first_break(entries).is_none()));
        all.len()
    }
}

/// Adds a customer, and says how many there were before it.
fn add(central: &Central, id: &str, reference: Option<&str>) -> Outcome<usize> {
    central.write(TENANT, "me", |work, env| insert(work, env.now_ms, (id, reference)))
}

fn insert(
    work: &mut Work<'_>,
    created_ms: i64,
    (id, reference): (&str, Option<&str>),
) -> Outcome<usize> {
    let before = work.all::<Customer>(&Filter::All)?.len();
    let reference = reference.map(str::to_owned);
    let (id, name) = (id.to_owned(), String::new());
    work.insert(&Customer { id: id.clone(), name, reference, email: None, created_ms })?;
    work.note("customer.create", id, "");
    Ok(before)
}

#[test]
fn those_who_wait_together_are_one_commit_and_each_sees_the_ones_before() {
    let world = World::new(None);
    let mut before: Vec<usize> =
        world.meet(|number| add(&world.central, &format!("c{number}"), None).unwrap());
    assert_eq!(world.commits(), 2, "for {} steps", CALLERS + 1);
    println!("figure: 65 steps that wait together take {} commits", world.commits());
    before.sort_unstable();
    assert_eq!(before, (1..=CALLERS).collect::<Vec<_>>());
    assert_eq!((world.customers(), world.audited()), (CALLERS + 1, CALLERS + 1));
}

#[test]
fn one_who_is_alone_commits_at_once() {
    let world = World::new(None);
    std::thread::scope(|scope| {
        let first = scope.spawn(|| add(&world.central, "first", None));
        world.first.wait();
        world.first.wait();
        first.join().unwrap().unwrap();
    });
    for number in 0..5 {
        add(&world.central, &format!("c{number}"), None).unwrap();
    }
    assert_eq!((world.commits(), world.customers()), (6, 6));
}

#[test]
fn a_step_that_refuses_leaves_nothing_and_costs_its_neighbors_nothing() {
    let world = World::new(None);
    let done = world.meet(|number| {
        world.central.write(TENANT, "me", |work, env| {
            insert(work, env.now_ms, (&format!("c{number}"), None))?;
            if number % 2 == 0 { Err(ErrorCode::RecordChanged.into()) } else { Ok(()) }
        })
    });
    let refused: Vec<bool> = done.iter().map(|done| done.is_err()).collect();
    assert_eq!(refused, (0..CALLERS).map(|number| number % 2 == 0).collect::<Vec<_>>());
    assert_eq!((world.commits(), world.customers()), (2, CALLERS / 2 + 1));
    assert_eq!(world.audited(), CALLERS / 2 + 1);
}

#[test]
fn a_step_whose_record_is_taken_fails_alone() {
    let world = World::new(None);
    // All want to be number 1; one of them is, and the others of every second number are others.
    let done = world.meet(|number| {
        let reference = if number % 2 == 0 { "1".to_owned() } else { format!("n{number}") };
        add(&world.central, &format!("c{number}"), Some(&reference))
    });
    let taken = Refusal::Store(StoreError::Taken { table: "customer" });
    let failed = done.iter().filter(|done| **done == Err(taken.clone())).count();
    let gone = done.iter().filter(|done| done.is_ok()).count();
    assert_eq!((failed, gone), (CALLERS / 2 - 1, CALLERS / 2 + 1));
    assert_eq!((world.customers(), world.audited()), (gone + 1, gone + 1));
}

#[test]
fn a_batch_that_meets_a_conflict_at_its_commit_is_tried_one_by_one() {
    let world = World::new(Some((1, StoreError::Conflict)));
    let done = world.meet(|number| add(&world.central, &format!("c{number}"), None));
    assert!(done.iter().all(Result::is_ok));
    assert_eq!(world.commits(), 2 + CALLERS as u32);
    assert_eq!((world.customers(), world.audited()), (CALLERS + 1, CALLERS + 1));
}

#[test]
fn a_store_that_fails_is_told_to_all_and_a_new_chain_begins() {
    let down = StoreError::Unavailable("cut".into());
    let world = World::new(Some((1, down.clone())));
    let done = world.meet(|number| add(&world.central, &format!("c{number}"), None));
    assert!(done.iter().all(|done| *done == Err(Refusal::Store(down.clone()))));
    assert_eq!((world.commits(), world.customers()), (2, 1));
    add(&world.central, "later", None).unwrap();
    let all = world.central.read(TENANT, |work| work.all::<Entry>(&Filter::All)).unwrap();
    assert_ne!(all[0].record.writer, all[1].record.writer);
    assert_eq!(world.audited(), 2);
}

#[test]
fn a_step_that_panics_fails_alone() {
    let world = World::new(None);
    let done = world.meet(|number| {
        catch_unwind(AssertUnwindSafe(|| {
            world.central.write(TENANT, "me", |work, env| {
                let done = insert(work, env.now_ms, (&format!("c{number}"), None));
                assert!(number != 20, "a mistake in the program");
                done
            })
        }))
    });
    let panicked: Vec<usize> = (0..CALLERS).filter(|number| done[*number].is_err()).collect();
    assert_eq!(panicked, [20]);
    assert!(done.into_iter().flatten().all(|done| done.is_ok()));
    assert_eq!((world.customers(), world.audited()), (CALLERS, CALLERS));
}
