//! Host library: find a license container, open it, use a license.
#![forbid(unsafe_code)]

pub mod dongle;
