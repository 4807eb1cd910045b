//! How long a check takes. The models themselves know no clock but their ticks.

use std::time::Instant;

/// Runs `work` and says how many seconds it took.
pub fn timed<T>(work: impl FnOnce() -> T) -> (T, f64) {
    let start = Instant::now();
    let done = work();
    (done, start.elapsed().as_secs_f64())
}
