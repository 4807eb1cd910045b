//! One step of the domain: it reads records, gathers changes, and all of them are made or none.

use std::collections::BTreeMap;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::refusal::{Outcome, Refusal};
use crate::store::seats::{Counter, SeatChanges};
use crate::store::{Filter, Page, Row, StoreError, Table, Transaction, Value, Write, overlaid};

/// What is kept in a table.
pub trait Record: Serialize + DeserializeOwned {
    /// Where.
    const TABLE: &'static Table;

    /// Unique among the tenant's records of its kind.
    fn id(&self) -> String;

    /// What it is found by, as many as the table has columns.
    fn columns(&self) -> Vec<Value>;
}

/// A record as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored<R> {
    /// Its version, which rises with each change.
    pub version: i64,
    /// The record.
    pub record: R,
}

/// Changes of one tenant's records, gathered.
pub struct Work<'a> {
    open: &'a mut dyn Transaction,
    tenant: &'a str,
    /// Rows as they will be.
    changed: BTreeMap<(&'static str, String), Write>,
    notes: Vec<Note>,
    seats: SeatChanges,
}

/// A place in a step: what it had changed and said by then.
pub struct Mark {
    changed: BTreeMap<(&'static str, String), Write>,
    notes: usize,
    seats: SeatChanges,
}

/// What an audit says of one effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Note {
    /// Whose it is.
    pub tenant: String,
    /// What was done: `ticket.redeem`.
    pub action: &'static str,
    /// To which record.
    pub object: String,
    /// More of it, for people. No secrets.
    pub detail: String,
}

impl<'a> Work<'a> {
    /// Begins a step on the records of `tenant`.
    pub fn new(open: &'a mut dyn Transaction, tenant: &'a str) -> Self {
        Work {
            open,
            tenant,
            changed: BTreeMap::new(),
            notes: Vec::new(),
            seats: SeatChanges::default(),
        }
    }

    /// Whose records these are.
    pub fn tenant(&self) -> &str {
        self.tenant
    }

    /// The record of this id, if there is one.
    pub fn find<R: Record>(&mut self, id: &str) -> Outcome<Option<Stored<R>>> {
        let key = (R::TABLE.name, id.to_owned());
        if let Some(write) = self.changed.get(&key) {
            return Ok(Some(read(&write.row)?));
        }
        let row = self.open.get(self.tenant, R::TABLE, id)?;
        Ok(row.as_ref().map(read).transpose()?)
    }

    /// The record of this id.
    pub fn get<R: Record>(&mut self, id: &str) -> Outcome<Stored<R>> {
        let found = self.find(id)?;
        found.ok_or_else(|| Refusal::missing(format!("{} {id:?}", R::TABLE.name.replace('_', " "))))
    }

    /// A record that was read before, as this step has left it by now.
    pub fn latest<R: Record>(&self, known: Stored<R>) -> Outcome<Stored<R>> {
        let changed = self.changed.get(&(R::TABLE.name, known.record.id()));
        Ok(changed.map(|write| read(&write.row)).transpose()?.unwrap_or(known))
    }

    /// Records in the order of their ids. Those that this step changed count as they will be.
    pub fn list<R: Record>(&mut self, filter: &Filter, page: &Page<'_>) -> Outcome<Vec<Stored<R>>> {
        let table = R::TABLE;
        let own = self.changed.values().filter(|write| write.table.name == table.name);
        let own: Vec<&Row> = own.map(|write| &write.row).collect();
        let wide = Page { limit: page.limit.saturating_add(own.len()), ..*page };
        let rows = self.open.find(self.tenant, table, filter, &wide)?;
        let rows = overlaid(rows, own, table, filter, page);
        Ok(rows.iter().map(read).collect::<Result<_, _>>()?)
    }

    /// All records that fit. For what is few by its nature.
    pub fn all<R: Record>(&mut self, filter: &Filter) -> Outcome<Vec<Stored<R>>> {
        self.list(filter, &Page { after: None, limit: usize::MAX })
    }

    /// The one record with this value in a unique column.
    pub fn by<R: Record>(
        &mut self,
        column: &'static str,
        value: Value,
    ) -> Outcome<Option<Stored<R>>> {
        let found = self.list(&Filter::Is(column, value), &Page { after: None, limit: 1 })?;
        Ok(found.into_iter().next())
    }

    /// Adds a record.
    pub fn insert<R: Record>(&mut self, record: &R) -> Outcome<()> {
        self.put(record, 1)
    }

    /// Changes a record that was read in this step.
    pub fn update<R: Record>(&mut self, stored: &Stored<R>) -> Outcome<()> {
        let key = (R::TABLE.name, stored.record.id());
        // A row that this step changed already is still only one version ahead.
        let pending = self.changed.get(&key).map(|write| write.row.version);
        self.put(&stored.record, pending.unwrap_or(stored.version + 1))
    }

    fn put<R: Record>(&mut self, record: &R, version: i64) -> Outcome<()> {
        let table = R::TABLE;
        let body = serde_json::to_string(record)
            .map_err(|error| StoreError::Damaged { table: table.name, why: error.to_string() })?;
        let row = Row { id: record.id(), version, columns: record.columns(), body };
        let key = (table.name, row.id.clone());
        self.changed.insert(key, Write { tenant: self.tenant.to_owned(), table, row });
        Ok(())
    }

    /// Says what was done, for the audit.
    pub fn note(
        &mut self,
        action: &'static str,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) {
        self.note_of(self.tenant, action, object, detail);
    }

    /// The same, for the audit of `tenant`: of records that the installation keeps for it.
    pub fn note_of(
        &mut self,
        tenant: impl Into<String>,
        action: &'static str,
        object: impl Into<String>,
        detail: impl Into<String>,
    ) {
        let (tenant, object, detail) = (tenant.into(), object.into(), detail.into());
        self.notes.push(Note { tenant, action, object, detail });
    }

    /// Where the step is now, to come back to.
    pub fn mark(&self) -> Mark {
        Mark { changed: self.changed.clone(), notes: self.notes.len(), seats: self.seats.clone() }
    }

    /// Forgets what came behind the mark.
    pub fn back_to(&mut self, mark: Mark) {
        self.changed = mark.changed;
        self.notes.truncate(mark.notes);
        self.seats = mark.seats;
    }

    /// A counter of seats as it was before this step.
    pub fn counter(&mut self, id: i64) -> Outcome<Option<Counter>> {
        Ok(self.open.counters(&[id])?.pop())
    }

    /// Gives seats from now on.
    pub fn open_counter(&mut self, counter: Counter) {
        self.seats.opened.push(counter);
    }

    /// Gives no more seats of this counter.
    pub fn close_counter(&mut self, id: i64) {
        self.seats.closed.push(id);
    }

    /// Gives no seats of this counter before `from_ms`.
    pub fn hold_counter(&mut self, id: i64, from_ms: i64) {
        self.seats.held.push((id, from_ms));
    }

    /// What the step changed, and what it says of it.
    pub fn finish(self) -> (Vec<Write>, Vec<Note>, SeatChanges) {
        (self.changed.into_values().collect(), self.notes, self.seats)
    }
}

fn read<R: Record>(row: &Row) -> Result<Stored<R>, StoreError> {
    let record = serde_json::from_str(&row.body).map_err(|error| StoreError::Damaged {
        table: R::TABLE.name,
        why: format!("{}: {error}", row.id),
    })?;
    Ok(Stored { version: row.version, record })
}
