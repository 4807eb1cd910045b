//! Soft licenses: a container that a software TPM seals, served by its helper; and what that TPM
//! proves to a license server.
#![forbid(unsafe_code)]

mod answers;
mod bare;
mod clear;
mod commands;
mod contract;
mod copies;
mod counter;
mod credentials;
mod disk;
mod drafts;
mod endurance;
mod evidence;
mod files;
mod handles;
mod interposer;
mod keys;
mod kills;
mod library;
mod machine;
mod owners;
mod proxy;
mod rebind;
mod rollback;
mod sniffer;
mod soft;
mod starts;
mod steps;
mod swtpm;
mod trouble;
mod writers;
