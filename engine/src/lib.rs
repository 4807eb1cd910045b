//! What a license container does: pure steps and one committing shell over five capabilities.
#![cfg_attr(not(any(test, feature = "testing")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod engine;
mod evaluate;
pub mod journal;
pub mod platform;
mod records;
mod seats;
mod session;
mod steps;
mod time;
mod trust;
mod update;

pub use engine::{Engine, Locked, Profile};
pub use seats::SeatTimes;
pub use session::REFUSAL;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
