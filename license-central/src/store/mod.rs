//! Where records are kept: tables whose rows are found by a few columns, in transactions.
//!
//! All stores pass one suite, the contract. All is synchronous, since what happens in a transaction
//! is a sequence; a server calls it from threads that may wait.

mod checkpoint;
mod gathered;
mod memory;
mod postgres;
pub mod seats;
mod seats_sql;
mod sql;
mod sqlite;
pub mod tables;

#[cfg(test)]
mod contract;

use seats::{Counter, Seat, SeatChanges, SeatKey};

pub(crate) use gathered::Gathered;
pub use memory::{Fault, MemoryStore};
pub use sql::SqlStore;

/// A table.
#[derive(Debug)]
pub struct Table {
    /// Its name in SQL.
    pub name: &'static str,
    /// What rows are found by, beside their id.
    pub columns: &'static [Column],
}

/// What rows are found by.
#[derive(Debug)]
pub struct Column {
    /// Its name in SQL.
    pub name: &'static str,
    /// What it holds.
    pub kind: ColumnKind,
    /// Whether no two rows of a tenant have the same value. Rows without a value do not count.
    pub unique: bool,
}

/// What a column holds, beside nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ColumnKind {
    /// Text.
    Text,
    /// A number.
    Number,
}

/// A value of a column.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Value {
    /// None.
    Null,
    /// A number: a time in milliseconds since 1970 UTC, or a count.
    Number(i64),
    /// Text.
    Text(String),
}

/// A row. `version` rises by one with each change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Unique in the table and tenant. Rows are listed in this order.
    pub id: String,
    /// From 1.
    pub version: i64,
    /// As many as the table has columns.
    pub columns: Vec<Value>,
    /// The record, JSON.
    pub body: String,
}

/// Which rows.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Filter {
    /// All.
    All,
    /// Those with this value in a column.
    Is(&'static str, Value),
    /// Those with a number below this one in a column.
    Below(&'static str, i64),
}

/// Which part of them: in the order of ids, behind `after`, at most `limit`.
#[derive(Debug, Clone)]
pub struct Page<'a> {
    /// The last id that was seen.
    pub after: Option<&'a str>,
    /// How many.
    pub limit: usize,
}

/// A change of one row of a tenant.
#[derive(Debug, Clone)]
pub struct Write {
    /// Whose.
    pub tenant: String,
    /// In which table.
    pub table: &'static Table,
    /// The row as it shall be. Version 1 inserts; a higher one replaces the version before.
    pub row: Row,
}

/// Why a store did not do it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another transaction came between. Done again, it may go well.
    #[error("another change came between")]
    Conflict,
    /// A unique column, or an id, is taken.
    #[error("{table} has one with this value already")]
    Taken {
        /// Where.
        table: &'static str,
    },
    /// The store cannot be reached, is full or broken.
    #[error("the database: {0}")]
    Unavailable(String),
    /// A row cannot be read as what it should be.
    #[error("a row of {table} is damaged: {why}")]
    Damaged {
        /// Where.
        table: &'static str,
        /// Why.
        why: String,
    },
}

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// It only reads, and sees one state.
    Read,
    /// It may write. Transactions that write are as if one ran after the other.
    Write,
    /// It takes seats and gives them back. What it reads is locked until it ends, and it sees
    /// nothing else.
    Seats,
}

/// One transaction. Each call names the tenant whose rows it sees; there is none that sees several.
/// Seats are found by numbers that only records of their tenant have.
pub trait Transaction {
    /// One row.
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError>;

    /// Rows in the order of their ids.
    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError>;

    /// Changes rows. [`StoreError::Conflict`] where a version is not the one before.
    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError>;

    /// Adds rows of any version, as they were in another store.
    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError>;

    /// Deletes rows. What is not there is no mistake.
    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError>;

    /// Counters of seats. They cannot change until the end.
    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError>;

    /// Seats. They cannot change until the end.
    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError>;

    /// Seats that are to be free by now, at most `limit`, the oldest first.
    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError>;

    /// Changes seats and counters. [`StoreError::Conflict`] where a counter would fall below none
    /// or rise above its seats.
    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError>;
}

/// A transaction that is open. Dropped, it leaves nothing.
pub trait OpenTransaction: Transaction + Send {
    /// When it returns `Ok`, what was written is durable.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// What a transaction does. Called again after a [`StoreError::Conflict`], so it starts over.
pub type Step<'a> = &'a mut dyn FnMut(&mut dyn Transaction) -> Result<(), StoreError>;

/// Keeps records.
pub trait Store: Send + Sync {
    /// Begins a transaction.
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError>;

    /// Whether nothing between here and the records can fall silent, as a network can.
    fn is_embedded(&self) -> bool {
        true
    }

    /// Runs `step` in a transaction and commits it if it returns `Ok`: what it wrote is durable
    /// then. After a conflict it is done again, some times.
    fn transact(&self, purpose: Purpose, step: Step<'_>) -> Result<(), StoreError> {
        retry(|| {
            let mut open = self.begin(purpose)?;
            step(&mut *open)?;
            open.commit()
        })
    }
}

/// How often a transaction is tried.
const TRIES: u32 = 20;

/// Runs `attempt` until it does not meet a conflict.
pub(crate) fn retry<T>(
    mut attempt: impl FnMut() -> Result<T, StoreError>,
) -> Result<T, StoreError> {
    for _ in 0..TRIES {
        match attempt() {
            // Whoever came between has a moment to be done.
            Err(StoreError::Conflict) => std::thread::yield_now(),
            done => return done,
        }
    }
    Err(StoreError::Conflict)
}

impl Table {
    /// Place of a column.
    ///
    /// # Panics
    /// Where the table has no such column: a mistake in the program.
    fn place(&self, column: &str) -> usize {
        let found = self.columns.iter().position(|own| own.name == column);
        found.unwrap_or_else(|| panic!("{} has no column {column}", self.name))
    }
}

impl Filter {
    /// Whether `row` is one of them.
    pub(crate) fn takes(&self, table: &Table, row: &Row) -> bool {
        match self {
            Filter::All => true,
            // As in SQL, nothing equals nothing.
            Filter::Is(_, Value::Null) => false,
            Filter::Is(column, value) => row.columns[table.place(column)] == *value,
            Filter::Below(column, bound) => {
                matches!(row.columns[table.place(column)], Value::Number(own) if own < *bound)
            }
        }
    }
}

/// Rows that were found, as they are with `own` changes: some fit no more, and others fill their
/// place. `rows` is as long as the page and the changes together.
pub(crate) fn overlaid(
    mut rows: Vec<Row>,
    own: Vec<&Row>,
    table: &Table,
    filter: &Filter,
    page: &Page<'_>,
) -> Vec<Row> {
    if !own.is_empty() {
        rows.retain(|row| !own.iter().any(|changed| changed.id == row.id));
        let is_behind = |row: &&&Row| page.after.is_none_or(|after| row.id.as_str() > after);
        let fits = own.iter().filter(is_behind).filter(|row| filter.takes(table, row));
        rows.extend(fits.map(|row| Row::clone(row)));
        rows.sort_by(|a, b| a.id.cmp(&b.id));
    }
    rows.truncate(page.limit);
    rows
}

/// Most rows that one statement writes.
const TOGETHER_MAX: usize = 64;

/// Writes as statements take them: those of one table that are all new, or all changes. In few
/// lengths, since a database knows statements by their text.
pub(crate) fn together(writes: &[Write]) -> impl Iterator<Item = &[Write]> {
    let is_new = |write: &Write| write.row.version == 1;
    let alike =
        move |a: &Write, b: &Write| std::ptr::eq(a.table, b.table) && is_new(a) == is_new(b);
    writes.chunk_by(alike).flat_map(|mut run| {
        std::iter::from_fn(move || {
            let len = 1 << run.len().min(TOGETHER_MAX).checked_ilog2()?;
            let (first, rest) = run.split_at(len);
            run = rest;
            Some(first)
        })
    })
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Value::Text(text.to_owned())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Value::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Value::Number(number)
    }
}

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Value::Null, Into::into)
    }
}
