//! Backups of one store, restored into another.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::errors::ErrorCode;
use strongroom_tests::postgres::Postgres;
use tempfile::TempDir;

use super::{backup, restore};
use crate::domain::env::{Env, SystemRandom};
use crate::domain::keys::SYSTEM;
use crate::domain::lapse;
use crate::domain::records::{Grant, Place};
use crate::domain::serving::{self, SeatTerms};
use crate::domain::work::Work;
use crate::store::seats::Counter;
use crate::store::tables::{self, ANSWER, CUSTOMER, TICKET};
use crate::store::{Filter, MemoryStore, Page, Purpose, Row, SqlStore, Store, Table, Value, Write};

const TENANTS: [&str; 3] = [SYSTEM, "firm-a", "firm-b"];

/// All rows, by tenant and table.
fn rows(store: &dyn Store) -> Vec<(String, &'static str, Row)> {
    let mut all = Vec::new();
    let read = store.transact(Purpose::Read, &mut |open| {
        all.clear();
        for tenant in TENANTS {
            for table in tables::ALL {
                let page = Page { after: None, limit: 10_000 };
                let rows = open.find(tenant, table, &Filter::All, &page)?;
                all.extend(rows.into_iter().map(|row| (tenant.to_owned(), table.name, row)));
            }
        }
        Ok(())
    });
    read.unwrap();
    all
}

fn write(tenant: &str, table: &'static Table, id: &str, columns: &[Value], body: &str) -> Write {
    let row = Row { id: id.into(), version: 1, columns: columns.to_vec(), body: body.into() };
    Write { tenant: tenant.into(), table, row }
}

/// More rows than go through at a time, of two tenants, with what text may have in it.
fn fill(store: &dyn Store) {
    let mut writes = Vec::new();
    for at in 0..1203 {
        let (id, hash) = (format!("t{at:05}"), format!("h{at}"));
        writes.push(write("firm-a", &TICKET, &id, &[hash.as_str().into(), "o".into()], "{}"));
    }
    let odd = "{\"name\":\"Ünï\\u0000\\n\\\"{}\"}";
    writes.push(write("firm-b", &CUSTOMER, "c\n1", &[Value::Null, "a\"b".into()], odd));
    writes.push(write(SYSTEM, &ANSWER, "a", &[Value::Number(i64::MIN)], ""));
    store.transact(Purpose::Write, &mut |open| open.apply(&writes)).unwrap();
    let mut changed = writes[7].clone();
    changed.row.version = 2;
    changed.row.body = "{\"v\":2}".into();
    store.transact(Purpose::Write, &mut |open| open.apply(&[changed.clone()])).unwrap();
}

fn make(store: &dyn Store, dir: &TempDir, name: &str) -> std::path::PathBuf {
    let path = dir.path().join(name);
    let made = backup::make(store, &TENANTS.map(str::to_owned), &path, 5).unwrap();
    assert_eq!((made.rows, made.made_ms), (1205, 5));
    path
}

fn put_into(store: &dyn Store, path: &std::path::Path) -> Result<(), protocol::errors::Shown> {
    restore::run(store, path, &restore::preview(path)?, (0, &BTreeMap::new()))
}

fn code(refused: Result<(), protocol::errors::Shown>) -> Option<ErrorCode> {
    refused.unwrap_err().failure().and_then(|failure| failure.known())
}

#[test]
fn a_backup_of_any_store_is_restored_into_any_other() {
    let dir = tempfile::tempdir().unwrap();
    let postgres = Postgres::start();
    let memory = MemoryStore::default();
    let sqlite = SqlStore::sqlite(&dir.path().join("central.db")).unwrap();
    let other = SqlStore::postgres(&postgres.url()).unwrap();
    fill(&memory);
    let chain: [Arc<dyn Store>; 3] = [Arc::new(memory), Arc::new(sqlite), Arc::new(other)];
    let first = rows(&*chain[0]);
    for (at, pair) in chain.windows(2).enumerate() {
        let path = make(&*pair[0], &dir, &format!("{at}"));
        if at == 0 {
            SqlStore::sqlite(&dir.path().join("central.db")).unwrap().migrate().unwrap();
        } else {
            SqlStore::postgres(&postgres.url()).unwrap().migrate().unwrap();
        }
        put_into(&*pair[1], &path).unwrap();
        assert_eq!(rows(&*pair[1]), first);
        assert_eq!(code(put_into(&*pair[1], &path)), Some(ErrorCode::StoreFilled));
    }
    let files = ["0", "1"].map(|name| std::fs::read(dir.path().join(name)).unwrap());
    assert_eq!(files[0], files[1], "one form for all of them");
}

#[test]
fn a_backup_is_for_its_owner_and_never_takes_the_place_of_another() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    fill(&store);
    let path = make(&store, &dir, "one");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(backup::make(&store, &TENANTS.map(str::to_owned), &path, 6).is_err());
    assert_eq!(restore::preview(&path).unwrap().0.made_ms, 5);
}

#[test]
fn a_backup_that_was_cut_or_changed_restores_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    fill(&store);
    let whole = std::fs::read(make(&store, &dir, "whole")).unwrap();
    let path = dir.path().join("other");
    let empty = MemoryStore::default();
    let lines: Vec<&[u8]> = whole.split_inclusive(|byte| *byte == b'\n').collect();
    let mut swapped = lines.clone();
    swapped.swap(3, 4);
    let mut missing = lines.clone();
    missing.remove(600);
    let mut twice = lines.clone();
    twice.push(lines[lines.len() - 1]);
    let text = String::from_utf8(whole.clone()).unwrap();
    let mut wrong = vec![
        swapped.concat(),
        missing.concat(),
        twice.concat(),
        text.replacen("h77\"", "h78\"", 1).into_bytes(),
        text.replacen("\"ticket\"", "\"tickets\"", 1).into_bytes(),
        text.replacen("backup/v1", "backup/v2", 1).into_bytes(),
        Vec::new(),
    ];
    wrong.extend((1..whole.len()).step_by(1009).map(|len| whole[..len].to_vec()));
    for bytes in wrong {
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(code(put_into(&empty, &path)), Some(ErrorCode::BackupDamaged));
        // Not even where it was whole when it was previewed.
        let held = restore::preview(&dir.path().join("whole")).unwrap();
        assert!(restore::run(&empty, &path, &held, (0, &BTreeMap::new())).is_err());
        assert!(rows(&empty).is_empty());
    }
}

const NOW_MS: i64 = 1_800_000_000_000;

/// Does something as a tenant, at a time.
fn act<T>(store: &dyn Store, now_ms: i64, mut act: impl FnMut(&mut Work<'_>, &Env<'_>) -> T) -> T {
    let (env, mut done) = (Env::new(now_ms, &SystemRandom, "test"), None);
    let written = store.transact(Purpose::Write, &mut |open| {
        let mut work = Work::new(open, "firm-a");
        done = Some(act(&mut work, &env));
        let (writes, _, seats) = work.finish();
        open.apply(&writes)?;
        open.change_seats(&seats)
    });
    written.unwrap();
    done.unwrap()
}

fn get(store: &dyn Store, id: &str) -> Grant {
    act(store, NOW_MS, |work, _| work.get::<Grant>(id).unwrap().record)
}

fn counter(store: &dyn Store, grant: &Grant) -> Counter {
    let Place::Served { counter, .. } = grant.place else { panic!("{grant:?}") };
    act(store, NOW_MS, |work, _| work.counter(counter.0).unwrap()).unwrap()
}

/// One that is served, one that may have been since, and one that cannot be.
fn fill_served(store: &dyn Store) {
    act(store, NOW_MS, |work, env| {
        for (id, terms) in [
            ("gra_1", "{\"quantity\": 3, \"linger\": \"5s\"}"),
            ("gra_2", "{\"quantity\": 2}"),
            ("gra_3", "{\"quantity\": 2, \"checkpoint\": \"2d\"}"),
        ] {
            let terms = serde_json::from_str(terms).unwrap();
            work.insert(&Grant::new(id.into(), "tic_1", (7, 0), terms)).unwrap();
        }
        let terms = SeatTerms { heartbeat_s: 60, timeout_s: 600, linger_s: None };
        serving::serve(work, env, None, ("gra_1", &terms)).unwrap();
    });
}

#[test]
fn sec_f3_no_seat_is_given_after_a_restore_before_all_leases_are_over() {
    let dir = tempfile::tempdir().unwrap();
    let store = MemoryStore::default();
    fill_served(&store);
    let path = dir.path().join("served");
    backup::make(&store, &TENANTS.map(str::to_owned), &path, 5).unwrap();
    let before = counter(&store, &get(&store, "gra_1"));
    let leased_s = BTreeMap::from([("firm-a".to_owned(), 1_800_000_777)]);
    // The last second of a lease, and two in which its holder may not have noticed.
    for (at, (leased_s, until_ms)) in
        [(leased_s, 1_800_000_780_000), (BTreeMap::new(), NOW_MS + 603_000)].iter().enumerate()
    {
        let store = SqlStore::sqlite(&dir.path().join(format!("{at}.db"))).unwrap();
        store.migrate().unwrap();
        let held = restore::preview(&path).unwrap();
        restore::run(&store, &path, &held, (NOW_MS, leased_s)).unwrap();
        let grants = ["gra_1", "gra_2", "gra_3"].map(|id| get(&store, id));
        let waits = grants.each_ref().map(|grant| grant.seats_until_ms);
        assert_eq!(waits, [Some(*until_ms), Some(*until_ms), None]);
        let from_ms = until_ms + 5000;
        assert_eq!(counter(&store, &grants[0]), Counter { from_ms, ..before });
        let serve = |now_ms| {
            let serve = |work: &mut Work<'_>, env: &Env<'_>| {
                serving::serve(work, env, None, ("gra_2", &SeatTerms::default())).map(drop)
            };
            act(&store, now_ms, serve).map_err(|refused| refused.shown().code())
        };
        assert_eq!(serve(until_ms - 1), Err("S0B4B".to_owned()));
        serve(*until_ms).unwrap();
        // The other one was looked at when it was served.
        let due = |work: &mut Work<'_>, env: &Env<'_>| lapse::due(work, env.now_ms, None);
        assert_eq!(act(&store, until_ms + 1, due).unwrap().0, ["gra_1"]);
    }
}
