//! The embedded database, by `rusqlite`: what runs in a transaction is a sequence, so nobody gains
//! by a library that hands each statement to another thread.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, ErrorCode, ToSql, params_from_iter};

use super::checkpoint::Checkpoints;
use super::sql::Param;
use super::{Purpose, StoreError, Value};

/// Connections that read at the same time.
const READERS: usize = 4;

/// Statements that a connection keeps prepared.
const PREPARED: usize = 256;

/// KiB of pages that a connection keeps: counters of some 100,000 licenses.
const CACHE_KIB: i64 = 64 * 1024;

/// Bytes of the log that stay when it begins anew: twice what it comes to if nobody reads for long.
const LOG_LEN_MAX: i64 = 128 * 1024 * 1024;

/// How long a connection waits for another process that writes.
const BUSY: Duration = Duration::from_secs(5);

/// Its connections: one writes, so that nobody waits for a lock inside the library.
pub(super) struct Sqlite {
    reads: Arc<Pool>,
    writes: Arc<Pool>,
    checkpoints: Checkpoints,
}

/// A transaction.
pub(super) struct Open {
    /// Until it is given back.
    connection: Option<Connection>,
    home: Arc<Pool>,
    /// Told of a commit, where something may have been written.
    committed: Option<Checkpoints>,
}

/// Connections, given out in the order in which they were asked for.
struct Pool {
    open: Box<dyn Fn() -> rusqlite::Result<Connection> + Send + Sync>,
    most: usize,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    idle: Vec<Connection>,
    /// How many there are, those included that are in use.
    made: usize,
    /// Each gets a connection, or leave to open one.
    waiting: VecDeque<SyncSender<Option<Connection>>>,
}

impl Sqlite {
    /// Opens or makes the database in the file `path`.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        let own = path.to_owned();
        let connect = move || connect(&own);
        let committing = {
            let connect = connect.clone();
            move || {
                let connection = connect()?;
                Checkpoints::watch(&connection)?;
                Ok(connection)
            }
        };
        let writes = Pool::new(1, committing);
        // Whether it can be opened at all is said now.
        writes.give(Some(writes.take().map_err(|error| refused("", &error))?));
        let turn = writes.clone();
        let checkpoints = Checkpoints::start(connect.clone(), move |step| {
            let connection = turn.take()?;
            let done = step();
            turn.give(Some(connection));
            done
        });
        let checkpoints =
            checkpoints.map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Sqlite { reads: Pool::new(READERS, connect), writes, checkpoints })
    }

    /// Begins a transaction.
    pub(super) fn begin(&self, purpose: Purpose) -> Result<Open, StoreError> {
        let (home, begin, committed) = match purpose {
            Purpose::Read => (&self.reads, "BEGIN DEFERRED", None),
            Purpose::Write | Purpose::Seats => {
                (&self.writes, "BEGIN IMMEDIATE", Some(self.checkpoints.clone()))
            }
        };
        let connection = Some(home.take().map_err(|error| refused("", &error))?);
        let mut open = Open { connection, home: home.clone(), committed };
        open.run(begin)?;
        Ok(open)
    }
}

fn connect(path: &PathBuf) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    // Its answer is the mode.
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LEN_MAX, |_| Ok(()))?;
    Ok(connection)
}

impl Open {
    fn connection(&self) -> Result<&Connection, StoreError> {
        let ended = || StoreError::Unavailable("the transaction has ended".into());
        self.connection.as_ref().ok_or_else(ended)
    }

    /// Runs a statement that says nothing.
    fn run(&mut self, text: &str) -> Result<(), StoreError> {
        let ran = self.connection()?.prepare_cached(text).and_then(|mut own| own.execute([]));
        ran.map(drop).map_err(|error| refused("", &error))
    }

    /// How many rows a statement changed. `table` is what refusals name.
    pub(super) fn execute(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<u64, StoreError> {
        let done = self
            .connection()?
            .prepare_cached(&numbered(text))
            .and_then(|mut statement| statement.execute(params_from_iter(params)));
        done.map(|count| count as u64).map_err(|error| refused(table, &error))
    }

    /// What a statement finds.
    pub(super) fn query(
        &mut self,
        table: &'static str,
        text: &str,
        params: &[Param<'_>],
    ) -> Result<Vec<Vec<Value>>, StoreError> {
        let found = self.connection()?.prepare_cached(&numbered(text)).and_then(|mut statement| {
            let width = statement.column_count();
            let rows = statement.query_map(params_from_iter(params), |row| {
                (0..width).map(|at| value(row.get_ref(at)?, at)).collect()
            })?;
            rows.collect()
        });
        found.map_err(|error| refused(table, &error))
    }

    /// How many rows a statement changed that takes `width` numbers, with each row of `set`.
    pub(super) fn execute_each(
        &mut self,
        table: &'static str,
        text: &str,
        set: &[i64],
        width: usize,
    ) -> Result<u64, StoreError> {
        let done = self.connection()?.prepare_cached(text).and_then(|mut statement| {
            let mut rows = set.chunks_exact(width);
            rows.try_fold(
                0,
                |done, row| Ok(done + statement.execute(params_from_iter(row))? as u64),
            )
        });
        done.map_err(|error| refused(table, &error))
    }

    /// What it finds with each, one after the other.
    pub(super) fn query_each<const N: usize>(
        &mut self,
        table: &'static str,
        text: &str,
        set: &[i64],
        width: usize,
    ) -> Result<Vec<[i64; N]>, StoreError> {
        let found = self.connection()?.prepare_cached(text).and_then(|mut statement| {
            let mut found = Vec::with_capacity(set.len() / width);
            for row in set.chunks_exact(width) {
                let mut rows = statement.query(params_from_iter(row))?;
                while let Some(row) = rows.next()? {
                    let mut numbers = [0; N];
                    for (at, number) in numbers.iter_mut().enumerate() {
                        *number = row.get(at)?;
                    }
                    found.push(numbers);
                }
            }
            Ok(found)
        });
        found.map_err(|error| refused(table, &error))
    }

    /// When it returns `Ok`, what was written is durable.
    pub(super) fn commit(mut self) -> Result<(), StoreError> {
        self.run("COMMIT")?;
        self.committed.iter().for_each(Checkpoints::committed);
        Ok(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let Some(connection) = self.connection.take() else { return };
        if !connection.is_autocommit() {
            // What cannot even be undone, as on a full disk, is not used again.
            let _ = connection.execute_batch("ROLLBACK");
        }
        let is_whole = connection.is_autocommit();
        self.home.give(is_whole.then_some(connection));
    }
}

impl Pool {
    fn new(
        most: usize,
        open: impl Fn() -> rusqlite::Result<Connection> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Pool { open: Box::new(open), most, state: Mutex::default() })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn take(&self) -> rusqlite::Result<Connection> {
        let given = {
            let mut state = self.lock();
            match state.idle.pop() {
                Some(connection) => return Ok(connection),
                None if state.made < self.most => {
                    state.made += 1;
                    None
                }
                None => {
                    let (give, given) = sync_channel(1);
                    state.waiting.push_back(give);
                    drop(state);
                    // Whoever has one gives it back, also where it panics.
                    given.recv().unwrap_or_default()
                }
            }
        };
        match given {
            Some(connection) => Ok(connection),
            None => (self.open)().inspect_err(|_| self.give(None)),
        }
    }

    /// Gives one back; none where it was closed.
    fn give(&self, connection: Option<Connection>) {
        let mut state = self.lock();
        if let Some(next) = state.waiting.pop_front() {
            // It waits until it gets one.
            let _ = next.send(connection);
            return;
        }
        match connection {
            Some(connection) => state.idle.push(connection),
            None => state.made -= 1,
        }
    }
}

/// Places of parameters as this database numbers them.
fn numbered(text: &str) -> String {
    text.replace('$', "?")
}

fn value(value: ValueRef<'_>, at: usize) -> rusqlite::Result<Value> {
    match value {
        ValueRef::Null => Ok(Value::Null),
        ValueRef::Integer(number) => Ok(Value::Number(number)),
        ValueRef::Text(text) => std::str::from_utf8(text)
            .map(|text| Value::Text(text.to_owned()))
            .map_err(|error| rusqlite::Error::Utf8Error(at, error)),
        other => {
            let kind = other.data_type();
            Err(rusqlite::Error::InvalidColumnType(at, String::new(), kind))
        }
    }
}

impl ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Param::Text(Some(text)) => ToSqlOutput::Borrowed(ValueRef::Text(text.as_bytes())),
            Param::Number(Some(number)) => ToSqlOutput::Borrowed(ValueRef::Integer(*number)),
            Param::Text(None) | Param::Number(None) => ToSqlOutput::Borrowed(ValueRef::Null),
            Param::Numbers(_) => {
                let why = "this database has no lists".into();
                return Err(rusqlite::Error::ToSqlConversionFailure(why));
            }
        })
    }
}

/// What the database said. Where it is busy, another came between.
fn refused(table: &'static str, error: &rusqlite::Error) -> StoreError {
    use rusqlite::Error;
    match error {
        Error::InvalidColumnType(..)
        | Error::Utf8Error(..)
        | Error::FromSqlConversionFailure(..) => {
            StoreError::Damaged { table, why: error.to_string() }
        }
        Error::SqliteFailure(failure, _) => match (failure.code, failure.extended_code) {
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Conflict,
            (
                _,
                rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE
                | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY,
            ) => StoreError::Taken { table },
            _ => StoreError::Unavailable(error.to_string()),
        },
        _ => StoreError::Unavailable(error.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_that_became_long_is_cut_off_when_it_begins_anew() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("central.db");
        let sqlite = Sqlite::open(&path).unwrap();
        let write = |text: &str| {
            let mut open = sqlite.begin(Purpose::Write).unwrap();
            open.execute("", text, &[]).unwrap();
            open.commit().unwrap();
        };
        let log_len = || {
            let log = std::fs::metadata(path.with_extension("db-wal")).unwrap();
            i64::try_from(log.len()).unwrap()
        };
        write("CREATE TABLE kept (bytes)");
        write(&format!("INSERT INTO kept VALUES (zeroblob({}))", LOG_LEN_MAX + 1));
        assert!(log_len() > LOG_LEN_MAX);
        // As soon as it was moved, which takes as long as some of these.
        let is_cut = (0..100_000).any(|_| {
            write("INSERT INTO kept VALUES (1)");
            log_len() <= LOG_LEN_MAX
        });
        assert!(is_cut);
    }
}
