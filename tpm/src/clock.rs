//! Time of this machine.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::platform::Clock;
use rustix::event::{Timespec, poll};

/// The machine's clock, which does not fall below the latest that it showed. Clones show the same.
#[derive(Debug, Clone)]
pub struct HostClock {
    started: Stopwatch,
    seen_s: Rc<Cell<u64>>,
}

impl HostClock {
    /// The clock of a machine that showed `seen_s`, Unix seconds UTC, already.
    pub fn new(seen_s: u64) -> Self {
        HostClock { started: Stopwatch::start(), seen_s: Rc::new(Cell::new(seen_s)) }
    }

    /// The latest that it showed.
    pub fn seen_s(&self) -> u64 {
        let host_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.seen_s.set(self.seen_s.get().max(host_s));
        self.seen_s.get()
    }
}

impl Clock for HostClock {
    fn ticks_ms(&mut self) -> u64 {
        self.started.ms()
    }

    fn rtc_s(&mut self) -> Option<u64> {
        Some(self.seen_s())
    }
}

/// Waits where there is nothing to wait for but time: a TPM that asks for it.
pub(crate) fn pause_ms(ms: u64) {
    let until = Timespec {
        tv_sec: i64::try_from(ms / 1000).unwrap_or(i64::MAX),
        tv_nsec: (ms % 1000) as i64 * 1_000_000,
    };
    // A signal ends the wait early, which does no harm.
    let _ = poll(&mut [], Some(&until));
}

/// Measures how long something takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stopwatch(Instant);

impl Stopwatch {
    pub(crate) fn start() -> Self {
        Stopwatch(Instant::now())
    }

    /// Milliseconds since the start.
    pub(crate) fn ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
