//! The server of the tests' seats: counts what is asked and answers as told.

use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use std::{fs, thread};

/// A wait for something that never comes ends the test after this; nothing is asserted of it.
const HANG_S: u64 = 60;

/// What the server says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Keep,
    Deny,
    Silence,
}

/// What was asked so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Counts {
    /// First processes that opened a seat.
    pub(crate) opened: usize,
    /// Forked children that opened an entry of it.
    pub(crate) children: usize,
    /// Renewals asked for.
    pub(crate) renewals: usize,
    /// Connections that ended.
    pub(crate) returned: usize,
}

struct State {
    counts: Counts,
    answer: Answer,
}

/// A running server with its socket in `dir`.
pub(crate) struct SeatServer {
    path: PathBuf,
    state: Arc<(Mutex<State>, Condvar)>,
}

impl SeatServer {
    pub(crate) fn start(dir: &Path) -> Self {
        let path = dir.join("seat");
        let _ = fs::remove_file(&path);
        let listener = UnixListener::bind(&path).expect("a socket in a fresh folder");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o777)).expect("own socket");
        let counts = Counts { opened: 0, children: 0, renewals: 0, returned: 0 };
        let state = Arc::new((Mutex::new(State { counts, answer: Answer::Keep }), Condvar::new()));
        let shared = Arc::clone(&state);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = Arc::clone(&shared);
                thread::spawn(move || serve(stream, &shared));
            }
        });
        Self { path, state }
    }

    /// The lines for a payload that uses this server.
    pub(crate) fn settings(&self, more: &[&str]) -> Vec<String> {
        let mut lines = vec![format!("seat={}", self.path.display())];
        lines.extend(more.iter().map(|line| (*line).to_owned()));
        lines
    }

    pub(crate) fn answer(&self, answer: Answer) {
        self.state.0.lock().expect("no panic while locked").answer = answer;
    }

    pub(crate) fn counts(&self) -> Counts {
        self.state.0.lock().expect("no panic while locked").counts
    }

    /// Waits until the counts fulfill `done`.
    pub(crate) fn wait(&self, what: &str, done: impl Fn(Counts) -> bool) -> Counts {
        let (state, changed) = &*self.state;
        let locked = state.lock().expect("no panic while locked");
        let hang = Duration::from_secs(HANG_S);
        let waited = changed.wait_timeout_while(locked, hang, |state| !done(state.counts));
        let (locked, hung) = waited.expect("no panic while locked");
        assert!(!hung.timed_out(), "waited for {what}: {:?}", locked.counts);
        locked.counts
    }

    /// Waits until every seat and every child's entry has come back.
    pub(crate) fn wait_all_returned(&self) -> Counts {
        self.wait("all seats to come back", |c| c.returned == c.opened + c.children)
    }

    /// Waits for one more renewal than there are now.
    pub(crate) fn wait_renewal(&self) {
        let before = self.counts().renewals;
        self.wait("a renewal", |c| c.renewals > before);
    }
}

fn serve(mut stream: UnixStream, (state, changed): &(Mutex<State>, Condvar)) {
    let mut asked = [0];
    while matches!(stream.read(&mut asked), Ok(1)) {
        let mut locked = state.lock().expect("no panic while locked");
        let count = match asked[0] {
            b'o' => &mut locked.counts.opened,
            b'c' => &mut locked.counts.children,
            _ => &mut locked.counts.renewals,
        };
        *count += 1;
        let said = match locked.answer {
            Answer::Keep => Some(b'k'),
            Answer::Deny => Some(b'x'),
            Answer::Silence => None,
        };
        changed.notify_all();
        drop(locked);
        if let Some(byte) = said {
            let _ = stream.write_all(&[byte]);
        }
    }
    state.lock().expect("no panic while locked").counts.returned += 1;
    changed.notify_all();
}
