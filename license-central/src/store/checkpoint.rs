//! Moves what SQLite's log has into its file, on a connection of its own: a commit never waits for
//! that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;

/// Commits between two looks at the log's length.
const COMMITS: u32 = 16;

/// Bytes of the log from which on it is moved.
const LOG_LEN: u64 = 4 << 20;

/// Bytes from which on it also begins anew, for which writers wait a moment.
const LOG_LEN_MAX: u64 = 32 << 20;

/// Told of each commit.
#[derive(Clone)]
pub(super) struct Checkpoints {
    commits: Arc<AtomicU32>,
    wake: SyncSender<()>,
}

impl Checkpoints {
    /// Begins a thread that works until nobody can commit any more.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        database: PathBuf,
        connect: impl Fn() -> rusqlite::Result<Connection> + Send + 'static,
    ) -> std::io::Result<Self> {
        let (wake, wakes) = sync_channel(1);
        let named = std::thread::Builder::new().name("checkpoints".into());
        named.spawn(move || run(&log_of(&database), &connect, &wakes))?;
        Ok(Checkpoints { commits: Arc::default(), wake })
    }

    /// Something was committed.
    pub(super) fn committed(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMMITS) {
            // One that is under way already looks again.
            let _ = self.wake.try_send(());
        }
    }
}

fn run(log: &Path, connect: &dyn Fn() -> rusqlite::Result<Connection>, wakes: &Receiver<()>) {
    let mut connection = None;
    for () in wakes {
        let long = |max| std::fs::metadata(log).is_ok_and(|data| data.len() > max);
        if !long(LOG_LEN) {
            continue;
        }
        let moved = match connection.take().map_or_else(connect, Ok) {
            Err(error) => Err(error),
            Ok(own) => {
                let moved = checkpoint(&own, "PASSIVE").and_then(|()| match long(LOG_LEN_MAX) {
                    true => checkpoint(&own, "TRUNCATE"),
                    false => Ok(()),
                });
                connection = Some(own);
                moved
            }
        };
        if let Err(error) = moved {
            // Nothing is lost by a longer log.
            tracing::warn!(%error, "the database's log was not moved into its file");
        }
    }
}

fn checkpoint(connection: &Connection, how: &str) -> rusqlite::Result<()> {
    // It answers how far it came.
    connection.query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |_| Ok(()))
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
