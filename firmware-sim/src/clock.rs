//! Time of a simulated device: ticks since power-up, and a battery clock that follows the host's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use engine::platform::Clock;

/// Time of the simulated device: the host's, moved by what a fault says.
#[derive(Debug, Clone)]
pub struct SimClock {
    powered: Instant,
    rtc: bool,
    offset_s: Arc<AtomicI64>,
}

impl SimClock {
    /// A clock that starts ticking now.
    pub fn power_up(rtc: bool, offset_s: Arc<AtomicI64>) -> Self {
        SimClock { powered: Instant::now(), rtc, offset_s }
    }
}

impl Clock for SimClock {
    fn ticks_ms(&mut self) -> u64 {
        u64::try_from(self.powered.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    fn rtc_s(&mut self) -> Option<u64> {
        let host_s = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
        self.rtc.then(|| host_s.saturating_add_signed(self.offset_s.load(Ordering::Relaxed)))
    }
}
