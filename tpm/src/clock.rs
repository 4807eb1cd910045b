//! Time of this machine.

use std::cell::Cell;
use std::rc::Rc;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::platform::Clock;
use protocol::errors::{ErrorCode, Failure};
use rustix::event::{Timespec, poll};

/// Seconds by which the machine's clock may be behind what it showed: more than a wrong time zone.
const BACK_MAX_S: u64 = 24 * 60 * 60;

/// The machine's clock, which does not fall below the latest that it showed, and goes on with the
/// process where it was set back. Clones show the same.
#[derive(Debug, Clone)]
pub struct HostClock {
    started: Stopwatch,
    /// The latest that the machine showed, and at which tick.
    shown: Rc<Cell<(u64, u64)>>,
    machine: fn() -> u64,
}

impl HostClock {
    /// The clock of a machine that showed `seen_s`, Unix seconds UTC, already.
    pub fn new(seen_s: u64) -> Self {
        Self::over(machine_s, seen_s)
    }

    fn over(machine: fn() -> u64, seen_s: u64) -> Self {
        let shown = Rc::new(Cell::new((seen_s, 0)));
        HostClock { started: Stopwatch::start(), shown, machine }
    }

    /// The latest that it showed, and what went by since.
    pub fn seen_s(&self) -> u64 {
        self.at(self.started.ms())
    }

    /// Refuses a machine whose clock is more than a day behind.
    ///
    /// # Errors
    /// [`ErrorCode::SoftTimeBack`].
    pub fn check(&self) -> Result<(), Failure> {
        let (seen_s, machine_s) = (self.seen_s(), (self.machine)());
        match seen_s.saturating_sub(machine_s) > BACK_MAX_S {
            true => Err(ErrorCode::SoftTimeBack.with(machine_s, seen_s)),
            false => Ok(()),
        }
    }

    fn at(&self, now_ms: u64) -> u64 {
        let (shown_s, at_ms) = self.shown.get();
        let carried_s = shown_s.saturating_add(now_ms.saturating_sub(at_ms) / 1000);
        let machine_s = (self.machine)();
        if machine_s > carried_s {
            self.shown.set((machine_s, now_ms));
        }
        carried_s.max(machine_s)
    }
}

fn machine_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
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

#[cfg(test)]
mod tests {
    use super::*;

    /// The latest that the machine showed.
    const SHOWN_S: u64 = 1_000_000;

    fn clock(machine: fn() -> u64) -> HostClock {
        HostClock::over(machine, SHOWN_S)
    }

    #[test]
    fn a_clock_that_was_set_back_goes_on_with_the_process() {
        let clock = clock(|| SHOWN_S - 5000);
        assert_eq!([0, 999, 1000, 61_500].map(|ms| clock.at(ms) - SHOWN_S), [0, 0, 1, 61]);
        assert_eq!(clock.clone().at(7_200_000), SHOWN_S + 7200);
    }

    #[test]
    fn a_clock_that_is_ahead_counts_at_once_and_never_less_again() {
        let mut clock = clock(|| SHOWN_S + 50);
        assert_eq!(clock.at(1000), SHOWN_S + 50);
        clock.machine = || SHOWN_S;
        assert_eq!([1000, 4000].map(|ms| clock.at(ms)), [SHOWN_S + 50, SHOWN_S + 53]);
    }

    #[test]
    fn a_clock_that_is_more_than_a_day_behind_is_refused_with_both_times() {
        assert_eq!(clock(|| SHOWN_S - 3600).check(), Ok(()));
        assert_eq!(clock(|| SHOWN_S - BACK_MAX_S + 100).check(), Ok(()));
        let refused = clock(|| SHOWN_S - BACK_MAX_S - 1).check().unwrap_err();
        assert_eq!(refused.known(), Some(ErrorCode::SoftTimeBack));
        assert_eq!((refused.a, refused.b), (SHOWN_S - BACK_MAX_S - 1, SHOWN_S));
    }
}
