//! A store over a real one that fails at any of its calls.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use license_central::store::seats::{Counter, Seat, SeatChanges, SeatKey};
use license_central::store::{
    Filter, OpenTransaction, Page, Purpose, Row, Store, StoreError, Table, Transaction, Write,
};

/// A real store, and what goes wrong with it.
pub(crate) struct Disk {
    store: Arc<dyn Store>,
    plan: Plan,
}

/// Shared with the transactions that are open.
#[derive(Clone, Default)]
struct Plan(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// Calls until the one that fails, and how it does.
    fault: Option<(u32, StoreError)>,
}

impl Disk {
    pub(crate) fn over(store: Arc<dyn Store>) -> Arc<Self> {
        Arc::new(Disk { store, plan: Plan::default() })
    }

    /// The call of this number from now, from 1, fails so, once.
    pub(crate) fn arm(&self, number: u32, error: StoreError) {
        self.plan.state().fault = Some((number, error));
    }

    /// Nothing fails from now on; whether something did.
    pub(crate) fn disarm(&self) -> bool {
        self.plan.state().fault.take().is_none()
    }
}

impl Plan {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) -> Result<(), StoreError> {
        let mut state = self.state();
        let Some((left, _)) = &mut state.fault else { return Ok(()) };
        *left -= 1;
        match *left {
            0 => Err(state.fault.take().map_or(StoreError::Conflict, |(_, error)| error)),
            _ => Ok(()),
        }
    }

    /// What is durable was no conflict.
    fn is_conflict(&self) -> bool {
        matches!(self.state().fault, Some((_, StoreError::Conflict)))
    }
}

impl Store for Disk {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        self.plan.call()?;
        let (open, plan) = (self.store.begin(purpose)?, self.plan.clone());
        Ok(Box::new(Faulty { open, plan }))
    }
}

/// A transaction of it.
struct Faulty {
    open: Box<dyn OpenTransaction>,
    plan: Plan,
}

impl OpenTransaction for Faulty {
    /// Two calls: one that does not arrive, and one of which nobody hears that it was made.
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.plan.call()?;
        self.open.commit()?;
        if self.plan.is_conflict() { Ok(()) } else { self.plan.call() }
    }
}

impl Transaction for Faulty {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.plan.call()?;
        self.open.get(tenant, table, id)
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.plan.call()?;
        self.open.find(tenant, table, filter, page)
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.plan.call()?;
        self.open.apply(writes)
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.plan.call()?;
        self.open.load(rows)
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.plan.call()?;
        self.open.remove(tenant, table, ids)
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.plan.call()?;
        self.open.counters(ids)
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.plan.call()?;
        self.open.seats(keys)
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.plan.call()?;
        self.open.due_seats(now_ms, limit)
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.plan.call()?;
        self.open.change_seats(changes)
    }
}
