//! The store under License Central: rows in memory, faults at any call, and a record of what was
//! committed.

use std::sync::{Arc, Mutex, PoisonError};

use license_central::store::{
    Filter, MemoryStore, Page, Purpose, Row, Step, Store, StoreError, Table, Transaction, Write,
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
    state: Mutex<State>,
}

struct State {
    fault: Fault,
    commits: Vec<Vec<Write>>,
}

impl Disk {
    pub(super) fn new() -> Arc<Self> {
        let state = Mutex::new(State { fault: Fault::None, commits: Vec::new() });
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

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Store for Disk {
    fn transact(&self, purpose: Purpose, step: Step<'_>) -> Result<(), StoreError> {
        let mut writes = Vec::new();
        self.rows.transact(purpose, &mut |open| {
            writes.clear();
            step(&mut Watched { open, writes: &mut writes })
        })?;
        let mut state = self.state();
        let was_written = !writes.is_empty();
        if was_written {
            state.commits.push(writes);
        }
        if was_written && state.fault == Fault::AfterCommit {
            return Err(StoreError::Unavailable("nobody hears of the commit".into()));
        }
        Ok(())
    }
}

/// A transaction whose writes are noted.
struct Watched<'a> {
    open: &'a mut dyn Transaction,
    writes: &'a mut Vec<Write>,
}

impl Transaction for Watched<'_> {
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
        Ok(())
    }
}
