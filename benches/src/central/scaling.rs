//! The desk over more and more licenses, without a network.

use std::collections::BTreeMap;
use std::sync::Arc;

use license_central::clock::SystemClock;
use license_central::domain::desk::{Asked, Desk};
use license_central::domain::env::SystemRandom;
use license_central::domain::lease::Lease;
use license_central::domain::seats::{Request, Wish};
use license_central::store::seats::{Counter, SeatChanges, SeatKey};
use license_central::store::{Purpose, SqlStore, Store};

use crate::Result;
use crate::clock::wall_s;
use crate::measure::{against, in_turn};
use crate::table::Row;

/// Requests of a batch, and batches that are timed together.
pub(super) const BATCH: usize = 64;
const BATCHES: usize = 100;

/// Seconds of them in microseconds of one checkout.
pub(super) const US: (&str, f64) = ("us", 1e6 / (BATCH * BATCHES) as f64);

/// Throughput with a million licenses against a hundred thousand, and against a thousand.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let mut rows = Vec::new();
    for (few, many, bound) in [(100_000, 1_000_000, Some(1.0 / 0.6)), (1_000, 1_000_000, None)] {
        let (small, large) = (Filled::sqlite(few)?, Filled::sqlite(many)?);
        let pairs = against(bound, || in_turn(5, || large.checkouts(), || small.checkouts()))?;
        let name = format!("checkouts in batches of 64, {many} licenses / {few}");
        rows.push(Row::of_pairs(name, &pairs, bound, US, ("many", "few")));
    }
    Ok(rows)
}

/// A desk with licenses.
pub(super) struct Filled {
    desk: Desk,
    licenses: usize,
    next: std::sync::atomic::AtomicUsize,
    _dir: Option<tempfile::TempDir>,
}

impl Filled {
    fn sqlite(licenses: usize) -> Result<Self> {
        let dir = tempfile::tempdir()?;
        let store = SqlStore::sqlite(&dir.path().join("central.db"))?;
        Self::over(store, licenses, Some(dir))
    }

    pub(super) fn over(
        store: SqlStore,
        licenses: usize,
        dir: Option<tempfile::TempDir>,
    ) -> Result<Self> {
        store.migrate()?;
        let all: Vec<i64> = (0..licenses as i64).collect();
        for part in all.chunks(10_000) {
            let opened = part.iter().map(|id| counter(*id)).collect();
            let changes = SeatChanges { opened, ..SeatChanges::default() };
            store.transact(Purpose::Write, &mut |open| open.change_seats(&changes))?;
        }
        Ok(Filled { _dir: dir, ..Self::again(store, licenses)? })
    }

    /// Another instance on a database that is filled.
    pub(super) fn again(store: SqlStore, licenses: usize) -> Result<Self> {
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let desk = Desk::new(Arc::new(store), clock, random, BTreeMap::new());
        Ok(Filled { desk, licenses, next: Default::default(), _dir: None })
    }

    /// Seconds of a hundred batches.
    pub(super) fn checkouts(&self) -> Result<f64> {
        wall_s(|| (0..BATCHES).try_for_each(|_| self.batch()))
    }

    pub(super) fn batch(&self) -> Result<()> {
        let first = self.next.fetch_add(BATCH, std::sync::atomic::Ordering::Relaxed);
        let asked: Vec<Asked> = (first..first + BATCH).map(|number| self.asked(number)).collect();
        match self.desk.commit(&asked).into_iter().find_map(|done| done.err()) {
            None => Ok(()),
            Some(refused) => Err(format!("{refused:?}").into()),
        }
    }

    fn asked(&self, number: usize) -> Asked {
        let (high, low) = uuid::Uuid::now_v7().as_u64_pair();
        let counter = (number.wrapping_mul(7_919) % self.licenses) as i64;
        let key = SeatKey { high: high.cast_signed(), low: low.cast_signed(), counter };
        let lease = Lease { tenant: "acme".into(), grant: [0; 16], product: 7 };
        Asked { request: Request { key, n: 0, what: Wish::Take(1) }, lease }
    }
}

fn counter(id: i64) -> Counter {
    let (seats, until_ms, timeout_ms) = (1_000_000, i64::MAX, 7_200_000);
    Counter { id, seats, in_use: 0, from_ms: 0, until_ms, timeout_ms, linger_ms: 0, open: 1 }
}
