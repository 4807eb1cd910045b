//! Protects a file or a program: one open file is examined, read and sealed into a new one.

mod error;
mod input;

use std::io::{self, Write};
use std::path::Path;

use protocol::objects::artifact::ProgramOptions;

pub use error::ProtectError;
use input::Input;
pub(crate) use input::open_at_once;

use crate::artifact::{ArtifactHead, Content, Protection, Signer, write_artifact};
use crate::atomic::{AtomicFile, Existing};
use crate::elf::{Concern, Suitability, Verdict, examine_file};
use crate::seal::{MODE_MASK, SealError, seal};
use crate::verify::is_protected;

/// The word that accepts children without a seat of their own.
const UNWATCHED_FORKS: &str = Concern::FLAGS[1];

/// From where to where.
#[derive(Debug, Clone, Copy)]
pub struct Paths<'a> {
    /// The original.
    pub input: &'a Path,
    /// The protected file.
    pub output: &'a Path,
    /// What to do if it exists.
    pub existing: Existing,
}

/// What is decided about a program beside its slots.
pub struct ProgramSettings<'a> {
    /// The loader, a static position-independent program.
    pub loader: &'a [u8],
    /// Concerns that the vendor accepts, by [`Concern::flag`]. Accepted `unwatched-forks` is
    /// passed on to the loader.
    pub accepted: &'a [String],
    /// What the loader is told.
    pub options: ProgramOptions,
}

/// What was made.
#[derive(Debug)]
pub struct Protected {
    /// Its head.
    pub head: ArtifactHead,
    /// What was found about a program.
    pub suitability: Option<Suitability>,
}

/// Protects a data file. The new file gets the original's permission bits. `progress` is told
/// bytes done and bytes in all.
///
/// # Errors
/// [`ProtectError`]; `output` then shows what it showed before.
pub fn protect_file(
    paths: Paths<'_>,
    protection: &Protection<'_>,
    signer: &mut Signer<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Protected, ProtectError> {
    let input = Input::open(paths.input)?;
    if is_protected(input.file()).map_err(|error| input.failed(error))? {
        return Err(ProtectError::AlreadyProtected { path: paths.input.to_owned() });
    }
    let mut output = AtomicFile::create(paths.output, input.mode() & MODE_MASK, paths.existing)?;
    let content = Content { program: None, len_bytes: input.len_bytes(), reader: input.file() };
    let head = write_artifact(protection, signer, content, &mut output, progress)
        .map_err(|error| ProtectError::of_artifact(error, paths))?;
    input.check_unchanged()?;
    output.commit()?;
    Ok(Protected { head, suitability: None })
}

/// Whether [`protect_file`] would take this original. Nothing is written.
///
/// # Errors
/// [`ProtectError`], as protecting would end.
pub fn check_file(original: &Path) -> Result<(), ProtectError> {
    let input = Input::open(original)?;
    match is_protected(input.file()).map_err(|error| input.failed(error))? {
        true => Err(ProtectError::AlreadyProtected { path: original.to_owned() }),
        false => Ok(()),
    }
}

/// Whether [`protect_program`] would take this original, and what it finds in it. Nothing is
/// written.
///
/// # Errors
/// [`ProtectError`], as protecting would end.
pub fn check_program(original: &Path, accepted: &[String]) -> Result<Suitability, ProtectError> {
    let input = Input::open(original)?;
    let suitability = examine_file(input.file()).map_err(|error| input.failed(error))?;
    sealed_len(&suitability, accepted).map(|_| suitability)
}

/// Protects a program: the loader, with the program in an artifact. `progress` is told bytes
/// done and bytes in all.
///
/// # Errors
/// [`ProtectError`]; `output` then shows what it showed before.
pub fn protect_program(
    paths: Paths<'_>,
    settings: &ProgramSettings<'_>,
    protection: &Protection<'_>,
    signer: &mut Signer<'_>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Protected, ProtectError> {
    let input = Input::open(paths.input)?;
    let suitability = examine_file(input.file()).map_err(|error| input.failed(error))?;
    let len_bytes = sealed_len(&suitability, settings.accepted)?;
    let mut options = settings.options.clone();
    options.accept_unwatched_forks |= settings.accepted.iter().any(|flag| flag == UNWATCHED_FORKS);
    let mut made = None;
    let write = |out: &mut dyn Write| {
        let content = Content { program: Some(options), len_bytes, reader: input.file() };
        let head = write_artifact(protection, signer, content, out, progress)
            .map_err(|error| ProtectError::of_artifact(error, paths))
            .and_then(|head| input.check_unchanged().map(|()| head))
            .map_err(io::Error::other)?;
        made = Some(head);
        Ok(())
    };
    seal(settings.loader, paths.output, input.mode(), paths.existing, write)
        .map_err(ProtectError::of_seal)?;
    // A file that was sealed had its artifact written.
    let head = made.ok_or(ProtectError::Seal(SealError::Magic))?;
    Ok(Protected { head, suitability: Some(suitability) })
}

/// How much of the program is sealed, if it can be.
fn sealed_len(suitability: &Suitability, accepted: &[String]) -> Result<u64, ProtectError> {
    if let Verdict::Refused(refusal) = &suitability.verdict {
        return Err(ProtectError::Unsuitable(refusal.clone()));
    }
    let open: Vec<Concern> = suitability.open_concerns(accepted).into_iter().cloned().collect();
    match &suitability.program {
        Some(program) if open.is_empty() => Ok(program.sealed_len_bytes),
        _ => Err(ProtectError::Concerns(open)),
    }
}
