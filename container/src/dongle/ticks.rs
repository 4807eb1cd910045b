//! The clock of the dongle's links: the one place here that asks the system for the time.

use std::time::Instant;

/// A steady clock in milliseconds from an arbitrary start.
pub trait Ticks {
    /// The time now.
    fn now_ms(&self) -> u64;
}

/// The system's steady clock, counted from when this value was made.
#[derive(Clone, Copy, Debug)]
pub struct SystemTicks(Instant);

impl Default for SystemTicks {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Ticks for SystemTicks {
    fn now_ms(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
