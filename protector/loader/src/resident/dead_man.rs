//! The dead man's switch: a kernel timer that kills the process when its watcher no longer runs.

use linux_raw_sys::general as nr;

use super::sys;

/// A timer that sends SIGKILL unless it is armed anew in time. Nobody outside the process can stop
/// it.
#[derive(Debug)]
pub(super) struct DeadMan {
    timer: i32,
}

impl DeadMan {
    /// On the processor time of the process: one that is stopped uses none and lives.
    pub(super) fn on_processor_time() -> sys::Result<Self> {
        Self::on(nr::CLOCK_PROCESS_CPUTIME_ID)
    }

    /// On time that passes.
    pub(super) fn on_time() -> sys::Result<Self> {
        Self::on(nr::CLOCK_MONOTONIC)
    }

    fn on(clock: u32) -> sys::Result<Self> {
        // SAFETY: a sigevent of zeros is a valid one.
        let mut event: nr::sigevent = unsafe { core::mem::zeroed() };
        event.sigev_notify = nr::SIGEV_SIGNAL as i32;
        event.sigev_signo = nr::SIGKILL as i32;
        let mut timer = 0i32;
        let args = [clock as usize, &raw const event as usize, &raw mut timer as usize];
        // SAFETY: the kernel reads the event and writes the timer's number.
        unsafe { sys::call(nr::__NR_timer_create, args) }?;
        Ok(Self { timer })
    }

    /// Kills the process in `seconds`, unless called again before.
    pub(super) fn arm(&self, seconds: u32) -> sys::Result<()> {
        // SAFETY: an itimerspec of zeros is a valid one.
        let mut spec: nr::itimerspec = unsafe { core::mem::zeroed() };
        spec.it_value.tv_sec = i64::from(seconds);
        let args = [self.timer as usize, 0, &raw const spec as usize, 0];
        // SAFETY: the kernel only reads the specification.
        unsafe { sys::call(nr::__NR_timer_settime, args) }.map(drop)
    }
}
