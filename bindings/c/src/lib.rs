//! The C interface: the host library and protected files, behind handles, lengths and numbers.
//!
//! ```text
//! abi        what C sees: the functions, and all that is done with its pointers
//! types      structures and constants that C sees
//!   errors   the outcome of a call: a row of the error table, and what is told of the last one
//!   handles  numbers that stand for objects
//!     context, seat, file    the objects
//! ```
//!
//! `include/strongroom.h` is made from `abi` and `types` by `cargo xtask header`, and their
//! documentation is written for its readers.
#![deny(unsafe_code)]

pub mod abi;
mod context;
mod errors;
mod file;
mod handles;
mod seat;
pub mod types;
