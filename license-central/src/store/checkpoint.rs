//! Moves what SQLite's log has into its file, on a connection of its own: a commit never waits for
//! that.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use sqlx::sqlite::SqlitePool;
use tokio::sync::Notify;

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
    wake: Arc<Notify>,
}

impl Checkpoints {
    pub(super) fn new() -> Self {
        Checkpoints { commits: Arc::default(), wake: Arc::default() }
    }

    /// Something was committed.
    pub(super) fn committed(&self) {
        if self.commits.fetch_add(1, Ordering::Relaxed).is_multiple_of(COMMITS) {
            self.wake.notify_one();
        }
    }

    /// Works until the runtime ends.
    pub(super) async fn run(self, database: PathBuf, pool: SqlitePool) {
        let log = log_of(&database);
        loop {
            self.wake.notified().await;
            let long = |max| std::fs::metadata(&log).is_ok_and(|data| data.len() > max);
            if !long(LOG_LEN) {
                continue;
            }
            // What fails now is done at another time: nothing is lost by a longer log.
            let moved = sqlx::query("PRAGMA wal_checkpoint(PASSIVE)").execute(&pool).await;
            let moved = match moved {
                Ok(_) if long(LOG_LEN_MAX) => {
                    sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&pool).await
                }
                moved => moved,
            };
            if let Err(error) = moved {
                tracing::warn!(%error, "the database's log was not moved into its file");
            }
        }
    }
}

fn log_of(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push("-wal");
    PathBuf::from(name)
}
