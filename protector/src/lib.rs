//! Encrypts programs and files against a license container.
//!
//! [`protect`] does the whole of it for a file or a program, [`verify`] looks at the result;
//! below them [`artifact`] writes the license header and content, [`elf`] judges programs,
//! [`seal`] puts an artifact behind the loader, and [`atomic`] gives files their names. Nothing
//! here knows containers: keys are passed in.
#![forbid(unsafe_code)]

pub mod artifact;
pub mod atomic;
pub mod elf;
pub mod protect;
pub mod seal;
pub mod verify;
