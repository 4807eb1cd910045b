//! The clock of these tests: for watchdogs against hanging, and for promised ends of use.

use std::time::Instant;

/// The beginning of a wait.
pub(crate) fn start() -> Instant {
    Instant::now()
}
