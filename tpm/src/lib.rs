//! The home of soft licenses: a container whose state is sealed to a TPM, kept by one process.
#![deny(unsafe_code)]

pub mod binding;
pub mod chip;
mod clock;
pub mod command;
pub mod directory;
pub mod enroll;
mod guard;
pub mod helper;
pub mod home;
pub mod look;
pub mod machine_key;
mod opening;
pub mod probe;
pub mod rebind;
pub mod refusal;
pub mod selftest;
pub mod server;
mod signals;
pub mod state;
pub mod state_file;
pub mod vault;
pub mod watch;
