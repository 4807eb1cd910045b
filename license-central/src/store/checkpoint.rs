//! Moves what SQLite's log has into its file, on a connection of its own: commits wait for the last
//! of it alone.

use std::cell::Cell;
use std::ffi::c_int;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use rusqlite::Connection;
use rusqlite::hooks::Wal;

/// Pages of the log, of 4 KiB each, from which on it is moved: what many commits wrote is moved
/// once. Then it begins anew in the same place of its file, which costs a commit less than a file
/// that grows.
const PAGES: u32 = 16_384;

/// Pages that come meanwhile until it is tried again: somebody may still read in the log.
const MORE_PAGES: u32 = 1024;

/// How often it is moved before writers have to wait: each time there is less to do.
const TURNS: u32 = 2;

thread_local! {
    /// Pages in the log after this thread's last commit.
    static LOGGED: Cell<u32> = const { Cell::new(0) };
}

/// Told of each commit.
#[derive(Clone)]
pub(super) struct Checkpoints {
    pages: Arc<AtomicU32>,
    wake: SyncSender<()>,
}

impl Checkpoints {
    /// Begins a thread that works until nobody can commit any more. `alone` does a step while
    /// nobody else writes.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(
        connect: impl Fn() -> rusqlite::Result<Connection> + Send + 'static,
        alone: impl Fn(&mut dyn FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()>
        + Send
        + 'static,
    ) -> std::io::Result<Self> {
        let (wake, wakes) = sync_channel(1);
        let named = std::thread::Builder::new().name("checkpoints".into());
        named.spawn(move || run(&connect, &alone, &wakes))?;
        Ok(Checkpoints { pages: Arc::default(), wake })
    }

    /// Makes a connection that only notes how long the log is, instead of moving it itself.
    ///
    /// # Errors
    /// The database refuses.
    pub(super) fn watch(connection: &Connection) -> rusqlite::Result<()> {
        connection.pragma_update(None, "wal_autocheckpoint", 0)?;
        connection.wal_hook(Some(logged));
        Ok(())
    }

    /// Something was committed by this thread, on a connection that is watched.
    pub(super) fn committed(&self) {
        let pages = LOGGED.get();
        let before = self.pages.swap(pages, Ordering::Relaxed);
        if pages >= PAGES && pages / MORE_PAGES != before / MORE_PAGES {
            // One that is asked for already sees these pages too.
            let _ = self.wake.try_send(());
        }
    }
}

fn logged(_: &Wal, pages: c_int) -> rusqlite::Result<()> {
    LOGGED.set(u32::try_from(pages).unwrap_or(0));
    Ok(())
}

/// Does a step while nobody else writes.
type Alone = dyn Fn(&mut dyn FnMut() -> rusqlite::Result<()>) -> rusqlite::Result<()>;

fn run(connect: &dyn Fn() -> rusqlite::Result<Connection>, alone: &Alone, wakes: &Receiver<()>) {
    let mut connection = None;
    for () in wakes {
        let moved = connection.take().map_or_else(connect, Ok).and_then(|own| {
            for _ in 0..TURNS {
                checkpoint(&own)?;
            }
            // With all of it moved, and nobody who reads in it, the next commit begins it anew.
            alone(&mut || checkpoint(&own))?;
            connection = Some(own);
            Ok(())
        });
        if let Err(error) = moved {
            // Nothing is lost by a longer log.
            tracing::warn!(%error, "the database's log was not moved into its file");
        }
    }
}

/// Moves what nobody needs in the log, without waiting for anybody.
fn checkpoint(connection: &Connection) -> rusqlite::Result<()> {
    // It answers whether somebody was in the way, how many pages there were, how many are moved.
    connection.query_row("PRAGMA wal_checkpoint(PASSIVE)", [], |_| Ok(()))
}
