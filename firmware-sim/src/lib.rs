//! A dongle in software: simulated flash, USB framing and fault control around the engine.
#![forbid(unsafe_code)]

pub mod server;
pub mod usb;
