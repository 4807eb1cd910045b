//! Which machine this is, tolerantly: traits that may drift, and the generation of a virtual
//! machine. No TPM is needed.
//!
//! A key is shared among the machine's traits, so that enough of them give it back, and what is
//! stored says nothing of any of them. Traits give tolerance and privacy, not more: whoever owns
//! the machine can read all of them, and a copy of a virtual machine has them all.
//!
//! ```no_run
//! use std::path::Path;
//!
//! use machine::{Tolerance, collect, record};
//! use protocol::crypto::Random;
//!
//! fn bind_and_open(random: &mut impl Random) -> Result<(), Box<dyn std::error::Error>> {
//!     let (bound, key) =
//!         record::bind(&collect::traits(Path::new("/")), Tolerance::default(), random)?;
//!     let opened = record::open(&bound, &collect::traits(Path::new("/")))?;
//!     assert!(opened.key.as_bytes() == key.as_bytes());
//!     println!("{}", opened.drift);
//!     Ok(())
//! }
//! ```
#![forbid(unsafe_code)]

mod canon;
mod class;
pub mod collect;
mod files;
pub mod generation;
pub mod rebind;
pub mod record;
mod shamir;
#[cfg(test)]
mod testing;
mod traits;

pub use class::{CLASSES_MIN, Tolerance, TraitClass};
pub use traits::{Report, Traits, Why};
