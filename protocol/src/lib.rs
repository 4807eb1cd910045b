//! Every byte that crosses a boundary: ids, limits, frames, commands, signed objects.
#![no_std]
#![forbid(unsafe_code)]

pub mod frame;
