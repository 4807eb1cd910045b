//! Soft licenses: a container that a software TPM seals, served by its helper.
#![forbid(unsafe_code)]

mod answers;
mod bare;
mod clear;
mod commands;
mod contract;
mod counter;
mod disk;
mod drafts;
mod endurance;
mod files;
mod handles;
mod interposer;
mod keys;
mod kills;
mod machine;
mod owners;
mod proxy;
mod rebind;
mod rollback;
mod sniffer;
mod soft;
mod steps;
mod swtpm;
mod trouble;
mod writers;
