//! Encrypts programs and files against a license container.
#![forbid(unsafe_code)]

pub mod atomic;
pub mod elf;
pub mod seal;
