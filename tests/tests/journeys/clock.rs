//! The clock of these tests: only watchdogs against hanging read it.

use std::time::Instant;

/// The beginning of a wait.
pub(crate) fn start() -> Instant {
    Instant::now()
}
