//! The clock of the server's machine: the one place that reads it.

use std::sync::LazyLock;
use std::time::Instant;

use crate::domain::central::Clock;

/// The system's clock.
pub struct SystemClock;

impl Clock for SystemClock {
    fn now_ms(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.ok().and_then(|since| i64::try_from(since.as_millis()).ok()).unwrap_or(0)
    }
}

/// Milliseconds since the program began: a clock that nobody sets, for what lasts and for rates.
pub fn running_ms() -> u64 {
    static START: LazyLock<Instant> = LazyLock::new(Instant::now);
    u64::try_from(START.elapsed().as_millis()).unwrap_or(u64::MAX)
}
