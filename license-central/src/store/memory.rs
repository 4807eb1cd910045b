//! A store in memory: for simulation and tests, with faults at any call.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::seats::{Counter, Seat, SeatChanges, SeatEvent, SeatKey, SeatTables};
use super::{
    Filter, OpenTransaction, Page, Purpose, Row, Store, StoreError, Table, Transaction, Value,
    Write,
};

/// Decides before each storage call whether it fails. A commit is a call too.
pub type Fault = Box<dyn FnMut() -> Option<StoreError> + Send>;

/// By tenant, table and id.
type Rows = BTreeMap<(String, &'static str, String), Row>;

/// Rows in memory.
#[derive(Default)]
pub struct MemoryStore(Arc<Shared>);

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Whether somebody writes: one at a time.
    writes: Mutex<bool>,
    written: Condvar,
}

#[derive(Default)]
struct State {
    tables: Tables,
    fault: Option<Fault>,
}

/// All that is kept.
#[derive(Clone, Default)]
struct Tables {
    rows: Rows,
    seats: SeatTables,
}

impl MemoryStore {
    /// Asks `fault` before each storage call from now on; `None` ends that.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.0.lock().fault = fault;
    }

    /// A copy of what is in it, for a restore of an old backup.
    pub fn backup(&self) -> Self {
        let tables = self.0.lock().tables.clone();
        let state = Mutex::new(State { tables, fault: None });
        MemoryStore(Arc::new(Shared { state, ..Shared::default() }))
    }

    /// What was done with seats, for tests.
    pub fn seat_log(&self) -> Vec<SeatEvent> {
        self.0.lock().tables.seats.log.clone()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A step that panicked has changed a copy at most.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn call(&self) -> Result<(), StoreError> {
        match self.lock().fault.as_mut().and_then(|fault| fault()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }

    /// Waits until nobody else writes.
    fn turn(self: &Arc<Self>) -> Turn {
        let writes = self.writes.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.written.wait_while(writes, |writes| *writes);
        *waited.unwrap_or_else(PoisonError::into_inner) = true;
        Turn(self.clone())
    }
}

/// The turn to write. It ends when it is dropped.
struct Turn(Arc<Shared>);

impl Drop for Turn {
    fn drop(&mut self) {
        *self.0.writes.lock().unwrap_or_else(PoisonError::into_inner) = false;
        self.0.written.notify_one();
    }
}

impl Store for MemoryStore {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        let turn = (purpose != Purpose::Read).then(|| self.0.turn());
        let tables = self.0.lock().tables.clone();
        Ok(Box::new(Open { shared: self.0.clone(), tables, turn }))
    }
}

/// A transaction on a copy.
struct Open {
    shared: Arc<Shared>,
    tables: Tables,
    /// Only of one that writes.
    turn: Option<Turn>,
}

impl OpenTransaction for Open {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.shared.call()?;
        if self.turn.is_some() {
            self.shared.lock().tables = self.tables;
        }
        Ok(())
    }
}

impl Transaction for Open {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.shared.call()?;
        Ok(self.tables.rows.get(&(tenant.to_owned(), table.name, id.to_owned())).cloned())
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.shared.call()?;
        let is_behind = |row: &&Row| page.after.is_none_or(|after| row.id.as_str() > after);
        let rows = of_table(&self.tables.rows, tenant, table).filter(is_behind);
        Ok(rows.filter(|row| filter.takes(table, row)).take(page.limit).cloned().collect())
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.shared.call()?;
        self.check_turn()?;
        for write in writes {
            let table = write.table;
            let key = (write.tenant.clone(), table.name, write.row.id.clone());
            match (self.tables.rows.get(&key), write.row.version) {
                (None, 1) => {}
                (Some(_), 1) => return Err(StoreError::Taken { table: table.name }),
                (Some(old), version) if old.version + 1 == version => {}
                _ => return Err(StoreError::Conflict),
            }
            if self.is_taken(write) {
                return Err(StoreError::Taken { table: table.name });
            }
            self.tables.rows.insert(key, write.row.clone());
        }
        Ok(())
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.shared.call()?;
        self.check_turn()?;
        for write in rows {
            let key = (write.tenant.clone(), write.table.name, write.row.id.clone());
            if self.tables.rows.contains_key(&key) || self.is_taken(write) {
                return Err(StoreError::Taken { table: write.table.name });
            }
            self.tables.rows.insert(key, write.row.clone());
        }
        Ok(())
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        self.shared.call()?;
        self.check_turn()?;
        for id in ids {
            self.tables.rows.remove(&(tenant.to_owned(), table.name, id.clone()));
        }
        Ok(())
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.shared.call()?;
        Ok(self.tables.seats.counters(ids))
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.shared.call()?;
        Ok(self.tables.seats.seats(keys))
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.shared.call()?;
        Ok(self.tables.seats.due(now_ms, limit))
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.shared.call()?;
        self.check_turn()?;
        self.tables.seats.change(changes)
    }
}

impl Open {
    fn check_turn(&self) -> Result<(), StoreError> {
        let why = "a transaction that reads cannot write";
        self.turn.as_ref().map(drop).ok_or_else(|| StoreError::Unavailable(why.into()))
    }

    /// Whether another row has the value of a unique column.
    fn is_taken(&self, write: &Write) -> bool {
        let unique = write.table.columns.iter().enumerate().filter(|(_, column)| column.unique);
        let mut values = unique.map(|(at, _)| (at, &write.row.columns[at]));
        values.any(|(at, value)| {
            let mut others = of_table(&self.tables.rows, &write.tenant, write.table);
            *value != Value::Null
                && others.any(|row| row.id != write.row.id && row.columns[at] == *value)
        })
    }
}

fn of_table<'a>(rows: &'a Rows, tenant: &str, table: &Table) -> impl Iterator<Item = &'a Row> {
    let (tenant, name) = (tenant.to_owned(), table.name);
    let first = (tenant.clone(), name, String::new());
    rows.range(first..)
        .take_while(move |((of, table, _), _)| *of == tenant && *table == name)
        .map(|(_, row)| row)
}
