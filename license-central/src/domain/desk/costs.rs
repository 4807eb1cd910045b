//! What a checkout costs the embedded database: counted in its log, the same on every machine.

use std::collections::BTreeMap;
use std::path::Path;

use super::tests::*;
use super::*;
use crate::store::SqlStore;
use crate::store::seats::SeatChanges;

const LICENSES: i64 = 100_000;
const BATCH: usize = 64;
const BATCHES: usize = 10;

/// Bytes of the log's head, and of that of a page in it.
const LOG_HEAD_LEN: usize = 32;
const PAGE_HEAD_LEN: usize = 24;
const PAGE_LEN: usize = 4096;

/// Pages in the log, and how many of them end a commit. Each of those is one fsync: that is what
/// `synchronous=FULL` means in this mode.
fn log(database: &Path) -> (usize, usize) {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    let bytes = std::fs::read(name).unwrap();
    let pages = bytes.get(LOG_HEAD_LEN..).unwrap_or_default();
    let pages = pages.chunks_exact(PAGE_HEAD_LEN + PAGE_LEN);
    let ends = pages.clone().filter(|page| page[4..8] != [0; 4]).count();
    (pages.len(), ends)
}

#[test]
fn a_checkout_costs_a_page_and_a_commit_one_fsync() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("central.db");
    {
        let store = SqlStore::sqlite(&path).unwrap();
        store.migrate().unwrap();
        let opened: Vec<_> = (0..LICENSES).map(|id| counter(id << 20, 1000)).collect();
        let changes = SeatChanges { opened, ..SeatChanges::default() };
        store.transact(Purpose::Write, &mut |open| open.change_seats(&changes)).unwrap();
    }
    let store = Arc::new(SqlStore::sqlite(&path).unwrap());
    let desk = desk(store, NOW_MS, BTreeMap::new());
    // Drawn by a simple rule, all over the table.
    let license = |at: usize| (at as i64 * 7_919 + 13) % LICENSES;
    let (pages_before, ends_before) = log(&path);
    for batch in 0..BATCHES {
        let asked: Vec<Asked> = (0..BATCH)
            .map(|at| batch * BATCH + at)
            .map(|at| take(license(at) << 20, at as i64))
            .collect();
        assert!(desk.commit(&asked).iter().all(Result::is_ok));
    }
    let (pages, ends) = log(&path);
    let checkouts = (BATCH * BATCHES) as f64;
    let each = (pages - pages_before) as f64 / checkouts;
    let fsyncs = (ends - ends_before) as f64 * BATCH as f64 / checkouts;
    println!("figure: a checkout writes {each:.2} pages of SQLite's log, batches of {BATCH}");
    println!("figure: {fsyncs:.2} fsyncs for each commit of {BATCH} checkouts");
    assert!(fsyncs <= 1.1, "{fsyncs}");
    assert!(each <= 1.5, "{each}");
}
