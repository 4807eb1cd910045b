//! Every byte that crosses a boundary: ids, limits, frames, commands, signed objects.
//!
//! No I/O, no clock, no globals. Parsing is bounded and strict ([`codec`]), and signed objects are
//! verified over the bytes received before anything in their bodies is parsed ([`signed`]).
#![cfg_attr(not(any(test, feature = "std")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod codec;
pub mod command;
pub mod crypto;
pub mod errors;
pub mod frame;
pub mod ids;
pub mod limits;
pub mod objects;
pub mod signed;
#[cfg(feature = "testing")]
pub mod testing;
