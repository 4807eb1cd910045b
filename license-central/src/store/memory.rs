//! A store in memory: for simulation and tests, with faults at any call.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use super::{
    Filter, Page, Purpose, Row, Step, Store, StoreError, Table, Transaction, Value, Write, retry,
};

/// Decides before each storage call whether it fails. A commit is a call too.
pub type Fault = Box<dyn FnMut() -> Option<StoreError> + Send>;

/// By tenant, table and id.
type Rows = BTreeMap<(String, &'static str, String), Row>;

/// Rows in memory.
#[derive(Default)]
pub struct MemoryStore {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    rows: Rows,
    fault: Option<Fault>,
}

impl MemoryStore {
    /// Asks `fault` before each storage call from now on; `None` ends that.
    pub fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// A copy of what is in it, for a restore of an old backup.
    pub fn backup(&self) -> Self {
        let rows = self.lock().rows.clone();
        MemoryStore { state: Mutex::new(State { rows, fault: None }) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        // A step that panicked has changed a copy at most.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn call(&mut self) -> Result<(), StoreError> {
        match self.fault.as_mut().and_then(|fault| fault()) {
            Some(error) => Err(error),
            None => Ok(()),
        }
    }
}

impl Store for MemoryStore {
    fn transact(&self, purpose: Purpose, step: Step<'_>) -> Result<(), StoreError> {
        retry(|| {
            let mut state = self.lock();
            let rows = state.rows.clone();
            let mut open = Open { state: &mut state, rows, purpose };
            step(&mut open)?;
            let rows = open.rows;
            state.call()?;
            state.rows = rows;
            Ok(())
        })
    }
}

/// A transaction on a copy.
struct Open<'a> {
    state: &'a mut State,
    rows: Rows,
    purpose: Purpose,
}

impl Transaction for Open<'_> {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        self.state.call()?;
        Ok(self.rows.get(&(tenant.to_owned(), table.name, id.to_owned())).cloned())
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.state.call()?;
        let is_behind = |row: &&Row| page.after.is_none_or(|after| row.id.as_str() > after);
        let rows = of_table(&self.rows, tenant, table).filter(is_behind);
        Ok(rows.filter(|row| filter.takes(table, row)).take(page.limit).cloned().collect())
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        self.state.call()?;
        if self.purpose == Purpose::Read {
            return Err(StoreError::Unavailable("a transaction that reads cannot write".into()));
        }
        for write in writes {
            let table = write.table;
            let key = (write.tenant.clone(), table.name, write.row.id.clone());
            match (self.rows.get(&key), write.row.version) {
                (None, 1) => {}
                (Some(_), 1) => return Err(StoreError::Taken { table: table.name }),
                (Some(old), version) if old.version + 1 == version => {}
                _ => return Err(StoreError::Conflict),
            }
            if self.is_taken(write) {
                return Err(StoreError::Taken { table: table.name });
            }
            self.rows.insert(key, write.row.clone());
        }
        Ok(())
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        self.apply(&[])?;
        for write in rows {
            let key = (write.tenant.clone(), write.table.name, write.row.id.clone());
            if self.rows.contains_key(&key) || self.is_taken(write) {
                return Err(StoreError::Taken { table: write.table.name });
            }
            self.rows.insert(key, write.row.clone());
        }
        Ok(())
    }
}

impl Open<'_> {
    /// Whether another row has the value of a unique column.
    fn is_taken(&self, write: &Write) -> bool {
        let unique = write.table.columns.iter().enumerate().filter(|(_, column)| column.unique);
        let mut values = unique.map(|(at, _)| (at, &write.row.columns[at]));
        values.any(|(at, value)| {
            let mut others = of_table(&self.rows, &write.tenant, write.table);
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
