//! Files in and out: bounded reading, atomic writing.

use std::fs::File;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use protector::atomic::{self, AtomicFile, Existing, WriteError};
use protocol::errors::ErrorCode;

use crate::{Result, Shown};

/// Bytes of the largest file that is read as a whole: an update with everything around it, and
/// some.
const WHOLE_LEN_MAX: u64 = 256 * 1024;

/// Bytes of the largest record that a vendor keeps of one container.
const RECORD_LEN_MAX: u64 = 256 * 1024 * 1024;

/// Reads a small file.
pub fn read(path: &Path) -> Result<Vec<u8>> {
    read_within(path, WHOLE_LEN_MAX)
}

/// Reads a record that grows over years.
pub fn read_record(path: &Path) -> Result<Vec<u8>> {
    read_within(path, RECORD_LEN_MAX)
}

fn read_within(path: &Path, len_max: u64) -> Result<Vec<u8>> {
    let failed = |error| Shown::io(path, &error);
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(len_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > len_max {
        let failure = ErrorCode::TooLong.with(bytes.len() as u64, len_max);
        return Err(Shown::from(failure).about(path.display()));
    }
    Ok(bytes)
}

/// The text that a file holds. What is none is refused: a guess would be shown, signed or written
/// back.
pub fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes)
        .map_err(|error| Shown::usage(error, "Save the file as text in UTF-8."))
}

/// Writes a file whole or not at all. What is there already is kept, and that is an error.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o644, Existing::Keep)
}

/// The same for its owner only.
pub fn write_private(path: &Path, bytes: &[u8]) -> Result<()> {
    write(path, bytes, 0o600, Existing::Keep)
}

/// What [`write_new`] would meet, without writing: for `--dry-run`.
pub fn check_new(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() {
        return Err(Shown::conflict(
            format!("{} is there already", path.display()),
            "Choose another name, or remove what is there.",
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::read_dir(folder).map(drop).map_err(|error| Shown::io(folder, &error))
}

/// Refuses a folder for a whole set of new files that is there already, unless it is empty.
pub fn check_empty(folder: &Path) -> Result<()> {
    let is_empty = |mut entries: std::fs::ReadDir| entries.next().is_none();
    if folder.exists() && !std::fs::read_dir(folder).is_ok_and(is_empty) {
        return Err(Shown::conflict(
            format!("{} is there already, and is no empty folder", folder.display()),
            "Choose another folder.",
        ));
    }
    Ok(())
}

/// A folder for new files, made if missing.
pub fn make_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| Shown::io(path, &error))
}

/// Writes a file whole or not at all, in place of what was there.
pub fn replace(path: &Path, bytes: &[u8], mode: u32) -> Result<()> {
    write(path, bytes, mode, Existing::Replace)
}

fn write(path: &Path, bytes: &[u8], mode: u32, existing: Existing) -> Result<()> {
    atomic::write_file(path, mode, existing, bytes).map_err(|error| write_error(path, error))
}

/// A new file on its way: nothing is in its place before [`NewFile::commit`].
pub struct NewFile {
    path: PathBuf,
    file: AtomicFile,
}

impl NewFile {
    /// Begins a file where none may be yet: early, so that what cannot be written is known before
    /// anything else is done.
    pub fn begin(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path, 0o644, Existing::Keep);
        let file = file.map_err(|error| write_error(path, error))?;
        Ok(NewFile { path: path.to_owned(), file })
    }

    /// The same for its owner only.
    pub fn begin_private(path: &Path) -> Result<Self> {
        let file = AtomicFile::create(path, 0o600, Existing::Keep);
        let file = file.map_err(|error| write_error(path, error))?;
        Ok(NewFile { path: path.to_owned(), file })
    }

    /// Where it will be.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Writes its contents.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| Shown::io(&self.path, &error))
    }

    /// Puts it in its place.
    pub fn commit(self) -> Result<()> {
        self.file.commit().map_err(|error| write_error(&self.path, error))
    }
}

/// An atomic write that failed.
pub fn write_error(path: &Path, error: WriteError) -> Shown {
    match error {
        WriteError::Io { path, source, .. } => Shown::io(&path, &source),
        other => Shown::conflict(
            format!("{}: {other}", path.display()),
            "Choose another name, or remove what is there.",
        ),
    }
}
