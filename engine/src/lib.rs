//! What a license container does: pure steps and one committing shell over five capabilities.
#![cfg_attr(not(any(test, feature = "testing")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

mod blocks;
mod clock;
mod data;
mod engine;
mod evaluate;
mod health;
pub mod journal;
mod judge;
mod pin;
pub mod platform;
mod power;
mod records;
mod requests;
mod retire;
mod sealed;
mod seats;
mod session;
mod steps;
mod time;
mod trust;
mod units;
mod update;
mod usage_log;
mod uses;
mod vendor_keys;

pub use engine::{Engine, Locked, Pace, Profile};
pub use evaluate::{
    AfterPowerUp, Circumstances, Presence, Question, STEPS, Stage, Step, TimeView, end_s, evaluate,
    firm_locked,
};
pub use health::check_random;
pub use requests::{Answered, answered};
pub use seats::{SeatTimes, Taken};
pub use session::REFUSAL;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
