//! The store under License Central: rows in memory, faults at any call, and a record of what was
//! committed.

use std::sync::{Arc, Mutex, PoisonError};

use license_central::store::seats::{Counter, Seat, SeatChanges, SeatEvent, SeatKey};
use license_central::store::{
    Filter, MemoryStore, OpenTransaction, Page, Purpose, Row, Store, StoreError, Table,
    Transaction, Write,
};

/// What goes wrong in the next call of Central.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nothing.
    None,
    /// The storage call of this number from now fails: nothing is committed.
    Gone(u32),
    /// It meets another transaction, once.
    Conflict(u32),
    /// The commit is made, and nobody hears of it.
    AfterCommit,
}

/// A store that can be told to fail.
pub(super) struct Disk {
    rows: MemoryStore,
    state: Arc<Mutex<State>>,
}

struct State {
    fault: Fault,
    commits: Vec<Vec<Write>>,
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        let state = State { fault: Fault::None, commits: Vec::new() };
        let state = Arc::new(Mutex::new(state));
        Arc::new(Disk { rows: MemoryStore::default(), state })
    }

    /// Fails so from now on; [`Fault::None`] ends that.
    pub(super) fn arm(&self, fault: Fault) {
        self.state().fault = fault;
        let (mut left, error) = match fault {
            Fault::None | Fault::AfterCommit => return self.rows.set_fault(None),
            Fault::Gone(at) => (at, StoreError::Unavailable("a fault of the simulation".into())),
            Fault::Conflict(at) => (at, StoreError::Conflict),
        };
        let goes_on = matches!(fault, Fault::Gone(_));
        let mut is_over = false;
        self.rows.set_fault(Some(Box::new(move || {
            if left > 0 {
                left -= 1;
                return None;
            }
            let fails = goes_on || !is_over;
            is_over = true;
            fails.then(|| error.clone())
        })));
    }

    /// What was committed since this was asked last.
    pub(super) fn take_commits(&self) -> Vec<Vec<Write>> {
        std::mem::take(&mut self.state().commits)
    }

    /// What was done with seats.
    pub(super) fn seat_log(&self) -> Vec<SeatEvent> {
        self.rows.seat_log()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Disk {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        let open = self.rows.begin(purpose)?;
        Ok(Box::new(Watched {
            open,
            writes: Vec::new(),
            was_written: false,
            state: self.state.clone(),
        }))
    }
}

/// A transaction whose writes are noted.
struct Watched {
    open: Box<dyn OpenTransaction>,
    writes: Vec<Write>,
    was_written: bool,
    state: Arc<Mutex<State>>,
}

impl OpenTransaction for Watched {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.open.commit()?;
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if !self.writes.is_empty() {
            state.commits.push(self.writes);
        }
        if self.was_written && state.fault == Fault::AfterCommit {
            return Err(StoreError::Unavailable("nobody hears of the commit".into()));
        }
        Ok(())
    }
}

impl Transaction for Watched {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.open.get(tenant, table, id)
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.open.find(tenant, table, filter, page)
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.open.apply(writes)?;
        self.writes.extend_from_slice(writes);
        self.was_written = true;
        Ok(())
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.open.load(rows)
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.open.remove(tenant, table, ids)
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.open.counters(ids)
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.open.seats(keys)
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.open.due_seats(now_ms, limit)
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.was_written = true;
        self.open.change_seats(changes)
    }
}
