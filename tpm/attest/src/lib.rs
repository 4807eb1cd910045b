//! Judges what a customer's TPM 2.0 sent, without one of its own and without a library for them.
//!
//! In the order of an activation: [`endorsement`] says whether a maker's authority vouches for the
//! endorsement key, [`keys`] whether endorsement and attestation key are of the forms that the rest
//! relies on, [`credential`] makes the challenge that only a TPM with both can answer, and
//! [`evidence`] reads what the attestation key then signs: quotes, and counters in NV, whose names
//! come from [`nv`].
//!
//! Nothing here reads a clock or a file. Bytes from outside are bounded and never cause a panic.

#![forbid(unsafe_code)]

pub mod credential;
mod der;
pub mod endorsement;
pub mod evidence;
pub mod hash;
pub mod keys;
pub mod nv;
pub mod public;
#[cfg(test)]
mod samples;
pub mod wire;
