//! Soft licenses: a container that a software TPM seals, served by its helper.
#![forbid(unsafe_code)]

mod contract;
mod counter;
mod proxy;
mod soft;
mod swtpm;
