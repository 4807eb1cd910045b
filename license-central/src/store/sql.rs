//! SQLite and PostgreSQL, by the same SQL.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{PgConnectOptions, PgPool, PgPoolOptions, PgSslMode};
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{AssertSqlSafe, Connection as _, Database, Row as _};
use tokio::runtime::{Builder, Handle, Runtime};

use super::checkpoint::Checkpoints;
use super::seats::{Counter, Seat, SeatChanges, SeatKey};
use super::{
    ColumnKind, Filter, OpenTransaction, Page, Purpose, Row, Store, StoreError, Table, Transaction,
    Value, Write,
};

/// Connections that read at the same time.
const READERS: u32 = 4;

/// What makes the tables, in order. Each runs once, in one transaction.
const MIGRATIONS: &[(i64, &str)] = &[(1, include_str!("../../migrations/0001_first.sql"))];

/// A store behind a database.
pub struct SqlStore {
    runtime: Runtime,
    pools: Pools,
    checkpoints: Option<Checkpoints>,
}

/// Connections. SQLite has one that writes, so that nobody waits for a lock inside the library.
enum Pools {
    Sqlite { reads: SqlitePool, writes: SqlitePool },
    Postgres(PgPool),
}

/// An open transaction of either.
pub(super) enum Open {
    Sqlite(sqlx::Transaction<'static, sqlx::Sqlite>),
    Postgres(sqlx::Transaction<'static, sqlx::Postgres>),
}

/// The same expression for both databases.
macro_rules! on_each {
    ($open:expr, $connection:ident => $do:expr) => {
        match $open {
            Open::Sqlite(open) => {
                let $connection = &mut **open;
                $do
            }
            Open::Postgres(open) => {
                let $connection = &mut **open;
                $do
            }
        }
    };
}

/// Binds a column's value, with the type that it has when there is none.
macro_rules! bind {
    ($query:expr, $column:expr, $value:expr) => {
        match ($column.kind, $value) {
            (ColumnKind::Number, Value::Number(number)) => $query.bind(Some(*number)),
            (ColumnKind::Number, _) => $query.bind(None::<i64>),
            (ColumnKind::Text, Value::Text(text)) => $query.bind(Some(text.as_str())),
            (ColumnKind::Text, _) => $query.bind(None::<&str>),
        }
    };
}

/// Reads what [`select`] asks for.
macro_rules! row_of {
    ($table:expr, $row:expr) => {{
        let row = $row;
        let columns = $table.columns.iter().enumerate().map(|(at, column)| {
            Ok(match column.kind {
                ColumnKind::Number => row.try_get::<Option<i64>, _>(at + 3)?.into(),
                ColumnKind::Text => row.try_get::<Option<String>, _>(at + 3)?.into(),
            })
        });
        let columns = columns.collect::<sqlx::Result<Vec<Value>>>();
        columns.and_then(|columns| {
            Ok(Row {
                id: row.try_get(0)?,
                version: row.try_get(1)?,
                columns,
                body: row.try_get(2)?,
            })
        })
    }};
}

impl SqlStore {
    /// Opens or makes the embedded database in the file `path`.
    pub fn sqlite(path: &Path) -> Result<Self, StoreError> {
        let runtime = runtime()?;
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .statement_cache_capacity(256)
            .foreign_keys(true)
            .busy_timeout(Duration::from_secs(5));
        let checkpoints = Checkpoints::new();
        let pools = runtime.block_on(async {
            let writes = whole(SqlitePoolOptions::new().max_connections(1));
            // Whoever commits does not move the log.
            let committing = options.clone().pragma("wal_autocheckpoint", "0");
            let writes = writes.connect_with(committing).await?;
            let options = options.create_if_missing(false);
            let reads = whole(SqlitePoolOptions::new().max_connections(READERS));
            let reads = reads.connect_with(options.clone()).await?;
            let moving = SqlitePoolOptions::new().max_connections(1).connect_with(options).await?;
            tokio::spawn(checkpoints.clone().run(path.to_owned(), moving));
            Ok(Pools::Sqlite { reads, writes })
        });
        let pools = pools.map_err(|error| refused("", &error))?;
        Ok(SqlStore { runtime, pools, checkpoints: Some(checkpoints) })
    }

    /// Connects to the PostgreSQL database of this URL.
    pub fn postgres(url: &str) -> Result<Self, StoreError> {
        let runtime = runtime()?;
        let pool = whole(PgPoolOptions::new().max_connections(READERS + 4));
        let pool = runtime.block_on(pool.connect(url)).map_err(|error| refused("", &error))?;
        Ok(SqlStore { runtime, pools: Pools::Postgres(pool), checkpoints: None })
    }

    /// Whether nobody between here and the PostgreSQL database of this URL can read or change what
    /// is said: it is on this machine, or proves by TLS that it is the one that is named.
    pub fn is_guarded(url: &str) -> Result<bool, StoreError> {
        let options: PgConnectOptions = url.parse().map_err(|error| refused("", &error))?;
        let host = options.get_host();
        let is_here = options.get_socket().is_some()
            || host == "localhost"
            || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        Ok(is_here || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull))
    }

    /// Brings the tables up to date; how many steps that took.
    pub fn migrate(&self) -> Result<usize, StoreError> {
        let known = "CREATE TABLE IF NOT EXISTS migration (number BIGINT PRIMARY KEY)";
        self.attempt(Purpose::Write, &mut |open| self.execute(open, known))?;
        let mut made = 0;
        for (number, text) in MIGRATIONS {
            self.attempt(Purpose::Write, &mut |open| {
                let query = "SELECT number FROM migration WHERE number = $1";
                let found = self.runtime.block_on(async {
                    on_each!(open, connection => {
                        let query = sqlx::query(query).bind(*number);
                        query.fetch_optional(connection).await.map(|row| row.is_some())
                    })
                });
                if found.map_err(|error| refused("migration", &error))? {
                    return Ok(());
                }
                for statement in statements(text) {
                    self.execute(open, statement)?;
                }
                made += 1;
                self.execute(open, &format!("INSERT INTO migration (number) VALUES ({number})"))
            })?;
        }
        Ok(made)
    }

    fn execute(&self, open: &mut Open, statement: &str) -> Result<(), StoreError> {
        self.runtime
            .block_on(async {
                on_each!(open, connection => {
                    let query = sqlx::query(AssertSqlSafe(statement.to_owned()));
                    query.execute(connection).await.map(drop)
                })
            })
            .map_err(|error| refused("", &error))
    }

    fn open(&self, purpose: Purpose) -> Result<Open, StoreError> {
        let reads = purpose == Purpose::Read;
        let begun = self.runtime.block_on(async {
            match &self.pools {
                Pools::Sqlite { reads: pool, .. } if reads => {
                    pool.begin_with("BEGIN DEFERRED").await.map(Open::Sqlite)
                }
                Pools::Sqlite { writes, .. } => {
                    writes.begin_with("BEGIN IMMEDIATE").await.map(Open::Sqlite)
                }
                Pools::Postgres(pool) if reads => {
                    let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
                    pool.begin_with(begin).await.map(Open::Postgres)
                }
                Pools::Postgres(pool) if purpose == Purpose::Seats => {
                    // What it reads it locks, so that it need not be tried again.
                    let begin = "BEGIN ISOLATION LEVEL READ COMMITTED";
                    pool.begin_with(begin).await.map(Open::Postgres)
                }
                Pools::Postgres(pool) => {
                    let begin = "BEGIN ISOLATION LEVEL SERIALIZABLE";
                    pool.begin_with(begin).await.map(Open::Postgres)
                }
            }
        });
        begun.map_err(|error| refused("", &error))
    }

    fn attempt(
        &self,
        purpose: Purpose,
        step: &mut dyn FnMut(&mut Open) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut open = self.open(purpose)?;
        let done = step(&mut open);
        let ended = self.runtime.block_on(async {
            match (open, done.is_ok()) {
                (Open::Sqlite(open), true) => open.commit().await,
                (Open::Postgres(open), true) => open.commit().await,
                (Open::Sqlite(open), false) => open.rollback().await,
                (Open::Postgres(open), false) => open.rollback().await,
            }
        });
        done.and_then(|()| ended.map_err(|error| refused("", &error)))
    }
}

impl Store for SqlStore {
    fn begin(&self, purpose: Purpose) -> Result<Box<dyn OpenTransaction>, StoreError> {
        let open = Some(self.open(purpose)?);
        let handle = self.runtime.handle().clone();
        Ok(Box::new(Session { handle, open, purpose, checkpoints: self.checkpoints.clone() }))
    }
}

/// A transaction, as steps see it.
pub(super) struct Session {
    handle: Handle,
    /// Until it ends.
    open: Option<Open>,
    pub(super) purpose: Purpose,
    checkpoints: Option<Checkpoints>,
}

impl OpenTransaction for Session {
    fn commit(mut self: Box<Self>) -> Result<(), StoreError> {
        let Some(open) = self.open.take() else { return Err(ended()) };
        let committed = self.handle.block_on(async {
            match open {
                Open::Sqlite(open) => open.commit().await,
                Open::Postgres(open) => open.commit().await,
            }
        });
        committed.map_err(|error| refused("", &error))?;
        if self.purpose != Purpose::Read {
            self.checkpoints.iter().for_each(Checkpoints::committed);
        }
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(open) = self.open.take() else { return };
        // A connection that cannot even do this is closed by the pool.
        let _ = self.handle.block_on(async {
            match open {
                Open::Sqlite(open) => open.rollback().await,
                Open::Postgres(open) => open.rollback().await,
            }
        });
    }
}

impl Session {
    /// What a statement runs on.
    pub(super) fn parts(&mut self) -> Result<(&Handle, &mut Open), StoreError> {
        let open = self.open.as_mut().ok_or_else(ended)?;
        Ok((&self.handle, open))
    }
}

fn ended() -> StoreError {
    StoreError::Unavailable("the transaction has ended".into())
}

impl Transaction for Session {
    fn get(
        &mut self,
        tenant: &str,
        table: &'static Table,
        id: &str,
    ) -> Result<Option<Row>, StoreError> {
        let text = format!("{} WHERE tenant = $1 AND id = $2", select(table));
        let (handle, open) = self.parts()?;
        let found = handle.block_on(async {
            on_each!(open, connection => {
                let query = sqlx::query(AssertSqlSafe(text)).bind(tenant).bind(id);
                let found = query.fetch_optional(connection).await?;
                found.map(|row| row_of!(table, row)).transpose()
            })
        });
        found.map_err(|error| refused(table.name, &error))
    }

    fn find(
        &mut self,
        tenant: &str,
        table: &'static Table,
        filter: &Filter,
        page: &Page<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let condition = match filter {
            Filter::All => String::new(),
            Filter::Is(column, _) => format!(" AND {column} = $4"),
            Filter::Below(column, _) => format!(" AND {column} < $4"),
        };
        let select = select(table);
        let text =
            format!("{select} WHERE tenant = $1 AND id > $2{condition} ORDER BY id LIMIT $3");
        let limit = i64::try_from(page.limit).unwrap_or(i64::MAX);
        let (handle, open) = self.parts()?;
        let found = handle.block_on(async {
            on_each!(open, connection => {
                let query = sqlx::query(AssertSqlSafe(text)).bind(tenant);
                let query = query.bind(page.after.unwrap_or_default()).bind(limit);
                let query = match filter {
                    Filter::All => query,
                    Filter::Is(column, value) => {
                        bind!(query, table.columns[table.place(column)], value)
                    }
                    Filter::Below(_, bound) => query.bind(*bound),
                };
                let rows = query.fetch_all(connection).await?;
                rows.into_iter().map(|row| row_of!(table, row)).collect::<sqlx::Result<Vec<_>>>()
            })
        });
        found.map_err(|error| refused(table.name, &error))
    }

    fn apply(&mut self, writes: &[Write]) -> Result<(), StoreError> {
        let text = |write: &Write| match write.row.version {
            1 => insert(write.table),
            _ => update(write.table),
        };
        writes.iter().try_for_each(|write| self.write(write, text(write)))
    }

    fn load(&mut self, rows: &[Write]) -> Result<(), StoreError> {
        rows.iter().try_for_each(|row| self.write(row, insert(row.table)))
    }

    fn remove(
        &mut self,
        tenant: &str,
        table: &'static Table,
        ids: &[String],
    ) -> Result<(), StoreError> {
        let text = format!("DELETE FROM {} WHERE tenant = $1 AND id = $2", table.name);
        for id in ids {
            let (handle, open) = self.parts()?;
            let done = handle.block_on(async {
                on_each!(open, connection => {
                    let query = sqlx::query(AssertSqlSafe(text.clone())).bind(tenant).bind(id);
                    query.execute(connection).await.map(drop)
                })
            });
            done.map_err(|error| refused(table.name, &error))?;
        }
        Ok(())
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
    fn write(&mut self, write: &Write, text: String) -> Result<(), StoreError> {
        let (table, row) = (write.table, &write.row);
        let (handle, open) = self.parts()?;
        let done = handle.block_on(async {
            on_each!(open, connection => {
                let query = sqlx::query(AssertSqlSafe(text)).bind(&write.tenant).bind(&row.id);
                let query = query.bind(row.version).bind(&row.body);
                let values = table.columns.iter().zip(&row.columns);
                let query =
                    values.fold(query, |query, (column, value)| bind!(query, column, value));
                query.execute(connection).await.map(|done| done.rows_affected())
            })
        });
        match done {
            Ok(1) => Ok(()),
            Ok(_) => Err(StoreError::Conflict),
            Err(error) => Err(refused(table.name, &error)),
        }
    }
}

fn select(table: &Table) -> String {
    let columns: String = table.columns.iter().map(|column| format!(", {}", column.name)).collect();
    format!("SELECT id, version, body{columns} FROM {}", table.name)
}

fn insert(table: &Table) -> String {
    let names: String = table.columns.iter().map(|column| format!(", {}", column.name)).collect();
    let values: String = (0..table.columns.len()).map(|at| format!(", ${}", at + 5)).collect();
    let name = table.name;
    format!("INSERT INTO {name} (tenant, id, version, body{names}) VALUES ($1, $2, $3, $4{values})")
}

fn update(table: &Table) -> String {
    let columns = table.columns.iter().enumerate();
    let set: String = columns.map(|(at, own)| format!(", {} = ${}", own.name, at + 5)).collect();
    let name = table.name;
    format!(
        "UPDATE {name} SET version = $3, body = $4{set} \
         WHERE tenant = $1 AND id = $2 AND version = $3 - 1"
    )
}

/// The statements of a migration.
fn statements(text: &str) -> impl Iterator<Item = &str> {
    text.split(";\n").map(str::trim).filter(|statement| !statement.is_empty())
}

/// Closes a connection whose transaction could neither be committed nor undone, as on a full disk:
/// no other could begin on it.
fn whole<D: Database>(options: PoolOptions<D>) -> PoolOptions<D> {
    options.before_acquire(|connection, _| {
        let is_whole = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_whole) })
    })
}

/// One thread, which waits for the database's answers.
fn runtime() -> Result<Runtime, StoreError> {
    let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
    built.map_err(|error| StoreError::Unavailable(error.to_string()))
}

/// What the database said. Serialization failures and deadlocks of PostgreSQL, and a busy SQLite,
/// are conflicts.
pub(super) fn refused(table: &'static str, error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
        return StoreError::Damaged { table, why: error.to_string() };
    }
    let Some(database) = error.as_database_error() else {
        return StoreError::Unavailable(error.to_string());
    };
    let code = database.code().unwrap_or_default();
    match &*code {
        "40001" | "40P01" => StoreError::Conflict,
        // Extended codes of SQLite have the plain one in their low byte: 5 busy, 6 locked.
        _ if code.parse().is_ok_and(|code: u32| code < 10_000 && matches!(code & 0xff, 5 | 6)) => {
            StoreError::Conflict
        }
        _ if database.is_unique_violation() => StoreError::Taken { table },
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
impl SqlStore {
    /// Names of the columns that the database says a table has.
    pub(super) fn columns_of(&self, table: &Table) -> Vec<String> {
        use sqlx::{Column as _, Executor as _, SqlSafeStr as _, Statement as _};
        let mut names = Vec::new();
        self.attempt(Purpose::Read, &mut |open| {
            let text = AssertSqlSafe(format!("SELECT * FROM {}", table.name)).into_sql_str();
            names = self
                .runtime
                .block_on(async {
                    on_each!(open, connection => {
                        let prepared = connection.prepare(text).await?;
                        let columns = prepared.columns().iter();
                        sqlx::Result::Ok(columns.map(|own| own.name().to_owned()).collect())
                    })
                })
                .map_err(|error| refused(table.name, &error))?;
            Ok(())
        })
        .expect("the table is there");
        names
    }
}
