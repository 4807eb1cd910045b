//! The command line's clocks: the vendor's, and one for what lasts.

use std::time::Instant;

pub(crate) use vendor::clock::now_s;

/// The beginning of something whose duration matters.
pub(crate) fn start() -> Instant {
    Instant::now()
}
