//! The command line's clocks: the one place that reads them.

use std::time::Instant;

use jiff::{Timestamp, Zoned};

/// The present, Unix seconds.
pub(crate) fn now_s() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// The present with the local time zone.
pub(crate) fn now_here() -> Zoned {
    Zoned::now()
}

/// The beginning of something whose duration matters.
pub(crate) fn start() -> Instant {
    Instant::now()
}
