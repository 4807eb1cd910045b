//! PostgreSQL, by `sqlx`.

use std::net::IpAddr;

use sqlx::pool::PoolOptions;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgPool, PgPoolOptions, PgRow, PgSslMode, Postgres,
};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Column as _, Connection as _, Row as _, TypeInfo as _};
use tokio::runtime::{Builder, Handle, Runtime};

use super::sql::Param;
use super::{Purpose, StoreError, Value};

/// Connections.
const CONNECTIONS: u32 = 8;

/// A pool, and the thread that waits for the database's answers.
pub(super) struct Server {
    runtime: Runtime,
    pool: PgPool,
}

/// A transaction.
pub(super) struct Open {
    handle: Handle,
    /// Until it ends.
    open: Option<sqlx::Transaction<'static, Postgres>>,
}

/// Whether nobody between here and the database of this URL can read or change what is said: it is
/// on this machine, or proves by TLS that it is the one that is named.
pub(super) fn is_guarded(url: &str) -> Result<bool, StoreError> {
    let options: PgConnectOptions = url.parse().map_err(|error| refused("", &error))?;
    let host = options.get_host();
    let is_here = options.get_socket().is_some()
        || host == "localhost"
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    Ok(is_here || matches!(options.get_ssl_mode(), PgSslMode::VerifyFull))
}

impl Server {
    /// Connects to the database of this URL.
    pub(super) fn connect(url: &str) -> Result<Self, StoreError> {
        let built = Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = built.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let pool = by_indexes(whole(PgPoolOptions::new().max_connections(CONNECTIONS)));
        let pool = runtime.block_on(pool.connect(url)).map_err(|error| refused("", &error))?;
        Ok(Server { runtime, pool })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, purpose: Purpose) -> Result<Open, StoreError> {
        let begin = match purpose {
            Purpose::Read => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            // What it reads it locks, so that it need not be tried again.
            Purpose::Seats => "BEGIN ISOLATION LEVEL READ COMMITTED",
            Purpose::Write => "BEGIN ISOLATION LEVEL SERIALIZABLE",
        };
        let begun = self.runtime.block_on(self.pool.begin_with(begin));
        let open = Some(begun.map_err(|error| refused("", &error))?);
        Ok(Open { handle: self.runtime.handle().clone(), open })
    }
}

/// Closes a connection whose transaction could neither be committed nor undone: no other could
/// begin on it.
fn whole(options: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    options.before_acquire(|connection, _| {
        let is_whole = !connection.is_in_transaction();
        Box::pin(async move { Ok(is_whole) })
    })
}

/// All is found by an index. A plan that was made while a table was small would go through it from
/// end to end when it is not any more.
fn by_indexes(options: PoolOptions<Postgres>) -> PoolOptions<Postgres> {
    options.after_connect(|connection, _| {
        Box::pin(async move {
            sqlx::query("SET enable_seqscan = off").execute(connection).await.map(drop)
        })
    })
}

fn ended() -> StoreError {
    StoreError::Unavailable("the transaction has ended".into())
}

fn query<'q>(text: &str, params: &'q [Param<'q>]) -> Query<'q, Postgres, PgArguments> {
    params.iter().fold(sqlx::query(AssertSqlSafe(text.to_owned())), |query, param| match param {
        Param::Text(text) => query.bind(*text),
        Param::Number(number) => query.bind(*number),
        Param::Numbers(numbers) => query.bind(&numbers[..]),
    })
}

impl Open {
    /// How many rows a statement changed. `table` is what refusals name.
    pub(super) fn execute(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let open = self.open.as_mut().ok_or_else(ended)?;
        let done = self.handle.block_on(query(text, params).execute(&mut **open));
        done.map(|done| done.rows_affected()).map_err(|error| refused(table, &error))
    }

    /// What a statement finds.
    pub(super) fn query(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let open = self.open.as_mut().ok_or_else(ended)?;
        let found = self.handle.block_on(query(text, params).fetch_all(&mut **open));
        let rows = found.map_err(|error| refused(table, &error))?;
        rows.iter().map(values).collect::<sqlx::Result<_>>().map_err(|error| refused(table, &error))
    }

    /// When it returns `Ok`, what was written is durable.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        let open = self.open.take().ok_or_else(ended)?;
        self.handle.block_on(open.commit()).map_err(|error| refused("", &error))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        if let Some(open) = self.open.take() {
            // A connection that cannot even do this is closed by the pool.
            let _ = self.handle.block_on(open.rollback());
        }
    }
}

fn values(row: &PgRow) -> sqlx::Result<Vec<Value>> {
    let value = |column: &sqlx::postgres::PgColumn| {
        let at = column.ordinal();
        Ok(match column.type_info().name() {
            "INT8" => row.try_get::<Option<i64>, _>(at)?.into(),
            _ => row.try_get::<Option<String>, _>(at)?.into(),
        })
    };
    row.columns().iter().map(value).collect()
}

/// What the database said. Serialization failures and deadlocks are conflicts.
fn refused(table: &'static str, error: &sqlx::Error) -> StoreError {
    if let sqlx::Error::ColumnDecode { .. } | sqlx::Error::Decode(_) = error {
        return StoreError::Damaged { table, why: error.to_string() };
    }
    let Some(database) = error.as_database_error() else {
        return StoreError::Unavailable(error.to_string());
    };
    match &*database.code().unwrap_or_default() {
        "40001" | "40P01" => StoreError::Conflict,
        _ if database.is_unique_violation() => StoreError::Taken { table },
        _ => StoreError::Unavailable(error.to_string()),
    }
}
