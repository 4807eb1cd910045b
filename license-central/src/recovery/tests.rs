//! Backups of one store, restored into another.

use std::sync::Arc;

use protocol::errors::ErrorCode;
use strongroom_tests::postgres::Postgres;
use tempfile::TempDir;

use super::{backup, restore};
use crate::domain::keys::SYSTEM;
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
    restore::run(store, path, &restore::preview(path)?)
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
        assert!(restore::run(&empty, &path, &held).is_err());
        assert!(rows(&empty).is_empty());
    }
}
