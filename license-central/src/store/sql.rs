//! SQLite and PostgreSQL, by the same SQL.

use std::path::Path;

use super::seats::{Counter, Seat, SeatChanges, SeatKey};
use super::{
    ColumnKind, Filter, OpenTransaction, Page, Purpose, Row, Store, StoreError, Table, Transaction,
    Value, Write, together,
};
use super::{postgres, sqlite};

/// What makes the tables, in order. Each runs once, in one transaction.
const MIGRATIONS: &[(i64, &str)] = &[
    (1, include_str!("../../migrations/0001_first.sql")),
    (2, include_str!("../../migrations/0002_soft.sql")),
    (3, include_str!("../../migrations/0003_take_over.sql")),
];

/// A store behind a database.
pub struct SqlStore(Database);

enum Database {
    Sqlite(sqlite::Sqlite),
    Postgres(postgres::Server),
}

/// A transaction.
pub(super) enum Open {
    Sqlite(sqlite::Open),
    Postgres(postgres::Open),
}

/// What stands in a place of a statement, with the type that it has when there is nothing.
#[derive(Debug)]
pub(super) enum Param<'a> {
    Text(Option<&'a str>),
    Number(Option<i64>),
    /// A list, as only PostgreSQL has them.
    Numbers(Vec<i64>),
}

impl SqlStore {
    /// Opens or makes the embedded database in the file `path`.
    pub fn sqlite(path: &Path) -> Result<Self, StoreError> {
        Ok(SqlStore(Database::Sqlite(sqlite::Sqlite::open(path)?)))
    }

    /// Connects to the PostgreSQL database of this URL.
    pub fn postgres(url: &str) -> Result<Self, StoreError> {
        Ok(SqlStore(Database::Postgres(postgres::Server::connect(url)?)))
    }

    /// Whether nobody between here and the PostgreSQL database of this URL can read or change what
    /// is said: it is on this machine, or proves by TLS that it is the one that is named.
    pub fn is_guarded(url: &str) -> Result<bool, StoreError> {
        postgres::is_guarded(url)
    }

    /// Brings the tables up to date; how many steps that took.
    pub fn migrate(&self) -> Result<usize, StoreError> {
        let known = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY)";
        self.attempt(&mut |open| open.execute("", known, &[]).map(drop))?;
        let mut made = 0;
        for (number, text) in MIGRATIONS {
            self.attempt(&mut |open| {
                let known = "SELECT number FROM migration WHERE number = $1";
                let number = [Param::Number(Some(*number))];
                if !open.query("migration", known, &number)?.is_empty() {
                    return Ok(());
                }
                for statement in statements(text) {
                    open.execute("", &self.own(statement), &[])?;
                }
                made += 1;
                let done = "INSERT INTO migration (number) VALUES ($1)";
                open.execute("migration", done, &number).map(drop)
            })?;
        }
        Ok(made)
    }

    /// What makes a table, as this database says it: SQLite keeps rows apart from their key unless
    /// it is told otherwise.
    fn own(&self, statement: &str) -> String {
        match self.0 {
            Database::Sqlite(_) => statement
                .replace("BIGINT PRIMARY KEY", "INTEGER PRIMARY KEY")
                .replace("/* by its key */", "WITHOUT ROWID"),
            Database::Postgres(_) => statement.to_owned(),
        }
    }

    fn open(&self, purpose: Purpose) -> Result<Open, StoreError> {
        match &self.0 {
            Database::Sqlite(sqlite) => sqlite.begin(purpose).map(Open::Sqlite),
            Database::Postgres(server) => server.begin(purpose).map(Open::Postgres),
        }
    }

    fn attempt(
        &self,
        step: &mut dyn FnMut(&mut Open) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut open = self.open(Purpose::Write)?;
        step(&mut open)?;
        open.commit()
    }
}

impl Store for SqlStore {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        Ok(Box::new(Session { open: self.open(purpose)?, purpose }))
    }

    fn is_embedded(&self) -> bool {
        matches!(self.0, Database::Sqlite(_))
    }
}

impl Open {
    /// How many rows a statement changed. `table` is what refusals name.
    pub(super) fn execute(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        match self {
            Open::Sqlite(open) => open.execute(table, text, params),
            Open::Postgres(open) => open.execute(table, text, params),
        }
    }

    /// What a statement finds.
    pub(super) fn query(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        match self {
            Open::Sqlite(open) => open.query(table, text, params),
            Open::Postgres(open) => open.query(table, text, params),
        }
    }

    fn commit(self) -> Result<(), StoreError> {
        match self {
            Open::Sqlite(open) => open.commit(),
            Open::Postgres(open) => open.commit(),
        }
    }
}

/// A transaction, as steps see it. Dropped, it is undone.
pub(super) struct Session {
    pub(super) open: Open,
    pub(super) purpose: Purpose,
}

impl OpenTransaction for Session {
    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.open.commit()
    }
}

impl Transaction for Session {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        let text = format!("{} WHERE tenant = $1 AND id = $2", select(table));
        let found = self.open.query(table.name, &text, &[tenant.into(), id.into()])?;
        found.into_iter().next().map(|values| row(table, values)).transpose()
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let mut params = vec![tenant.into(), page.after.unwrap_or_default().into()];
        params.push(Param::Number(Some(i64::try_from(page.limit).unwrap_or(i64::MAX))));
        let condition = match filter {
            Filter::All => String::new(),
            Filter::Is(column, value) => {
                params.push(param(table.columns[table.place(column)].kind, value));
                format!(" AND {column} = $4")
            }
            Filter::Below(column, bound) => {
                params.push(Param::Number(Some(*bound)));
                format!(" AND {column} < $4")
            }
        };
        let select = select(table);
        // With a bare number as its limit SQLite plans a statement anew each time that it is given.
        let text =
            format!("{select} WHERE tenant = $1 AND id > $2{condition} ORDER BY id LIMIT $3 + 0");
        let found = self.open.query(table.name, &text, &params)?;
        found.into_iter().map(|values| row(table, values)).collect()
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        for writes in together(writes) {
            let Write { table, row, .. } = &writes[0];
            let text = if row.version == 1 { insert } else { update };
            self.write(writes, &text(table, writes.len()))?;
        }
        Ok(())
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| self.write(std::slice::from_ref(row), &insert(row.table, 1)))
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        let text = format!("DELETE FROM {} WHERE tenant = $1 AND id = $2", table.name);
        ids.iter().try_for_each(|id| {
            self.open.execute(table.name, &text, &[tenant.into(), id.as_str().into()]).map(drop)
        })
    }

    fn counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        self.read_counters(ids)
    }

    fn seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        self.read_seats(keys)
    }

    fn due_seats(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.read_due(now_ms, limit)
    }

    fn change_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        self.write_seats(changes)
    }
}

impl Session {
    /// Writes rows of one table.
    fn write(&mut self, writes: &[Write], text: &str) -> Result<(), StoreError> {
        let Some(Write { table, .. }) = writes.first() else { return Ok(()) };
        let mut params = Vec::with_capacity(writes.len() * (4 + table.columns.len()));
        for Write { tenant, row, .. } in writes {
            params.extend([Param::from(&tenant[..]), row.id.as_str().into()]);
            params.extend([Param::Number(Some(row.version)), row.body.as_str().into()]);
            let values = table.columns.iter().zip(&row.columns);
            params.extend(values.map(|(column, value)| param(column.kind, value)));
        }
        match self.open.execute(table.name, text, &params)? {
            count if count == writes.len() as u64 => Ok(()),
            _ => Err(StoreError::Conflict),
        }
    }
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(text: &'a str) -> Self {
        Param::Text(Some(text))
    }
}

fn param(kind: ColumnKind, value: &Value) -> Param<'_> {
    match (kind, value) {
        (ColumnKind::Number, Value::Number(number)) => Param::Number(Some(*number)),
        (ColumnKind::Number, _) => Param::Number(None),
        (ColumnKind::Text, Value::Text(text)) => Param::Text(Some(text)),
        (ColumnKind::Text, _) => Param::Text(None),
    }
}

/// Reads what [`select`] asks for.
fn row(table: &Table, mut values: Vec<Value>) -> Result<Row, StoreError> {
    let columns = values.split_off(3.min(values.len()));
    let fits = |(column, value): (&super::Column, &Value)| {
        matches!(
            (column.kind, value),
            (_, Value::Null)
                | (ColumnKind::Number, Value::Number(_))
                | (ColumnKind::Text, Value::Text(_))
        )
    };
    match <[Value; 3]>::try_from(values) {
        Ok([Value::Text(id), Value::Number(version), Value::Text(body)])
            if table.columns.iter().zip(&columns).all(fits) =>
        {
            Ok(Row { id, version, columns, body })
        }
        _ => Err(StoreError::Damaged { table: table.name, why: "a column of another type".into() }),
    }
}

fn select(table: &Table) -> String {
    let columns: String = table.columns.iter().map(|column| format!(", {}", column.name)).collect();
    format!("SELECT id, version, body{columns} FROM {}", table.name)
}

fn insert(table: &Table, rows: usize) -> String {
    let names: String = table.columns.iter().map(|column| format!(", {}", column.name)).collect();
    let name = table.name;
    format!("INSERT INTO {name} (tenant, id, version, body{names}) {}", values(table, rows))
}

/// Both databases name what `VALUES` has `column1` and so on.
fn update(table: &Table, rows: usize) -> String {
    let columns = table.columns.iter().enumerate();
    let set: String =
        columns.map(|(at, own)| format!(", {} = given.column{}", own.name, at + 5)).collect();
    let (name, values) = (table.name, values(table, rows));
    format!(
        "UPDATE {name} SET version = given.column3, body = given.column4{set} \
         FROM ({values}) AS given \
         WHERE {name}.tenant = given.column1 AND {name}.id = given.column2 \
         AND {name}.version = given.column3 - 1"
    )
}

/// Places of so many rows.
fn values(table: &Table, rows: usize) -> String {
    let width = table.columns.len() + 4;
    let row = |row: usize| {
        let places: Vec<_> = (1..=width).map(|at| format!("${}", row * width + at)).collect();
        format!("({})", places.join(", "))
    };
    format!("VALUES {}", (0..rows).map(row).collect::<Vec<_>>().join(", "))
}

/// The statements of a migration.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

#[cfg(test)]
impl SqlStore {
    /// Names of the columns that the database says a table has.
    pub(super) fn columns_of(&self, table: &Table) -> Vec<String> {
        let text = match self.0 {
            Database::Sqlite(_) => "SELECT name FROM pragma_table_info($1) ORDER BY cid",
            Database::Postgres(_) => {
                "SELECT column_name::text FROM information_schema.columns \
                 WHERE table_name = $1 ORDER BY ordinal_position"
            }
        };
        let found = self.open(Purpose::Read).unwrap().query("", text, &[table.name.into()]);
        let name = |mut row: Vec<Value>| match row.pop() {
            Some(Value::Text(name)) => name,
            other => panic!("{other:?}"),
        };
        found.unwrap().into_iter().map(name).collect()
    }
}
