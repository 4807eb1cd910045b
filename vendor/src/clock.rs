//! The clock of a vendor's machine: the one place that reads it.

use jiff::{Timestamp, Zoned};

/// The present, Unix seconds.
pub fn now_s() -> u64 {
    u64::try_from(Timestamp::now().as_second()).unwrap_or(0)
}

/// The present with the local time zone.
pub fn now_here() -> Zoned {
    Zoned::now()
}
