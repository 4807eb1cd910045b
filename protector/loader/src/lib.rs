//! The loader that ships inside a protected program: opens it, maps it into its own process,
//! watches its license.
//!
//! The program is never written anywhere and never executed anew: process id, job control,
//! `/proc/self/exe` and `$ORIGIN` stay those of the protected file. [`start`] has the order of a
//! start, [`image`] maps, [`resident`] is what stays beside the program, [`opening`] is the seam to
//! whatever gives the license.

// A reason has no heap, since the resident part makes some, and is made at most once in a process.
#![allow(clippy::result_large_err, clippy::large_enum_variant)]

pub mod image;
pub mod leave;
pub mod license;
pub mod memory;
pub mod opening;
pub mod payload;
#[cfg(feature = "plain-image")]
pub mod plain;
pub mod resident;
pub mod sealed;
mod secrecy;
pub mod stack;
pub mod start;
