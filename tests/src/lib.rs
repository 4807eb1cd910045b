//! What the system tests share: a vendor, a dongle on a bench, a wire, and ways to do damage.
//!
//! Everything follows from a seed, and time stands still unless a test moves it.
#![forbid(unsafe_code)]

pub mod bench;
pub mod costs;
pub mod device;
pub mod dice;
pub mod enrollment;
pub mod folders;
pub mod home;
pub mod memory;
pub mod mutate;
pub mod postgres;
pub mod samples;
pub mod seen;
pub mod soft_tpm;
pub mod swtpm;
pub mod trace;
pub mod tree;
pub mod trust;
pub mod vendor;
pub mod wire;
pub mod worlds;
