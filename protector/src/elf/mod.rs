//! Looks at a program before it is protected: what it is, and whether the scheme can hold it.
//!
//! [`examine`] reads headers and, where needed, text; it never runs the program and never reads
//! it whole. What it says about forks of stripped static programs is a guess from instructions
//! and is called one.

mod dynamic;
mod forks;
mod image;
pub(crate) mod raw;
mod self_reading;
mod suitability;

pub use forks::Forks;
pub use image::{Kind, Program, Refusal};
pub use self_reading::OwnData;
pub use suitability::{Concern, Note, Suitability, Verdict};

use std::fs::File;
use std::io;
use std::path::Path;

/// Judges the file at `path` as a program to protect.
///
/// # Errors
/// Only if the file cannot be read; whatever is wrong with its content is in the verdict.
pub fn examine(path: &Path) -> io::Result<Suitability> {
    // Opening a pipe would wait for a writer.
    if !path.metadata()?.is_file() {
        return Ok(Suitability::refused(Refusal::NotAFile));
    }
    examine_file(&File::open(path)?)
}

/// Judges an open file, so that what is sealed afterwards is what was judged.
///
/// # Errors
/// As [`examine`].
pub fn examine_file(file: &File) -> io::Result<Suitability> {
    Ok(match image::read(file)? {
        Ok(program) => Suitability::of(program),
        Err(refusal) => Suitability::refused(refusal),
    })
}
