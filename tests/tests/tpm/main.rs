//! Soft licenses: a container that a software TPM seals, served by its helper.
#![forbid(unsafe_code)]

mod answers;
mod bare;
mod clear;
mod commands;
mod contract;
mod counter;
mod drafts;
mod files;
mod keys;
mod proxy;
mod rollback;
mod soft;
mod steps;
mod swtpm;
mod writers;
