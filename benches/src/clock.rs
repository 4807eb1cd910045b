//! The clocks of the measurements: time on the wall, and processor time of one thread.

use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Result;

/// Seconds on the wall that `work` takes.
pub(crate) fn wall_s(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = Instant::now();
    work()?;
    Ok(start.elapsed().as_secs_f64())
}

/// Seconds of processor time that `work` takes in this thread. Others on the machine change it
/// little.
pub(crate) fn cpu_s(work: impl FnOnce() -> Result<()>) -> Result<f64> {
    let start = thread_s();
    work()?;
    Ok(thread_s() - start)
}

/// Waits until it is so; none if it is not within ten seconds.
pub(crate) fn until(mut is_so: impl FnMut() -> bool) -> Option<()> {
    let start = Instant::now();
    while !is_so() {
        if start.elapsed() > Duration::from_secs(10) {
            return None;
        }
        std::thread::yield_now();
    }
    Some(())
}

fn thread_s() -> f64 {
    let now = clock_gettime(ClockId::ThreadCPUTime);
    now.tv_sec as f64 + now.tv_nsec as f64 / 1e9
}
