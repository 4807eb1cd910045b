//! The clock of this machine, as containers without one are told.

use std::time::{SystemTime, UNIX_EPOCH};

/// Unix seconds UTC; 0 where it shows a time before 1970.
pub(crate) fn now_s() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}
