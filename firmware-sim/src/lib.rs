//! A dongle in software: simulated flash, USB framing and fault control around the engine.
#![forbid(unsafe_code)]

pub mod clock;
pub mod device;
pub mod fault;
pub mod flash;
pub mod flash_file;
pub mod keys;
pub mod server;
pub mod usb;

#[cfg(test)]
mod flash_chip_tests;
#[cfg(test)]
mod flash_tests;
