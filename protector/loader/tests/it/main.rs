//! The loader with programs in it: as plain programs behave, watched, and closed to others.
//!
//! Run as root from the loader's folder: `cargo test --release --features plain-image`. Attackers
//! run as another user.

mod counts;
mod forks;
mod harness;
mod loss;
mod mapping;
mod programs;
mod refusals;
mod resident_symbols;
mod seal;
mod seat;
mod secrecy;
mod supervision;
