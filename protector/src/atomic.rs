//! Writes a file so that its name shows either what was there before or all of the new bytes.
//!
//! The bytes go to a temporary file in the same directory, which is synced and then renamed. An
//! error at any point, a full disk included, removes the temporary file and changes nothing.

use std::fs::{self, File, Permissions};
use std::io::{self, Seek, SeekFrom, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// What to do with a file that has the name already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// Keep it and fail with [`WriteError::Exists`].
    Keep,
    /// Put the new file in its place.
    Replace,
}

/// Why a file was not written. The name shows what it showed before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WriteError {
    /// The name is taken and replacing was not asked for.
    #[error("{} exists already and was kept", path.display())]
    Exists {
        /// The name.
        path: PathBuf,
    },
    /// The name belongs to a directory, link, device or other thing that is never replaced.
    #[error("{} is not a regular file and was kept", path.display())]
    NotAFile {
        /// The name.
        path: PathBuf,
    },
    /// The system refused.
    #[error("cannot write {}: {doing} failed, and nothing was changed", path.display())]
    Io {
        /// The name.
        path: PathBuf,
        /// The step.
        doing: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

/// A file that gets its name only at [`AtomicFile::commit`]. Dropped before, it vanishes.
pub struct AtomicFile {
    temporary: NamedTempFile,
    destination: PathBuf,
    mode: u32,
    existing: Existing,
}

impl AtomicFile {
    /// Begins a file that will be `destination` with the permission bits `mode`. Until then its
    /// mode is 0600.
    ///
    /// # Errors
    /// [`WriteError`], also if the destination could not be written in the end.
    pub fn create(destination: &Path, mode: u32, existing: Existing) -> Result<Self, WriteError> {
        check_destination(destination, existing)?;
        let temporary = tempfile::Builder::new()
            .prefix(".strongroom-")
            .suffix(".tmp")
            .tempfile_in(directory_of(destination))
            .map_err(failed(destination, "creating a file in its directory"))?;
        Ok(Self { temporary, destination: destination.to_owned(), mode, existing })
    }

    /// The file behind, for reading back and patching.
    pub fn file(&self) -> &File {
        self.temporary.as_file()
    }

    /// Wraps an error met while writing into this file.
    pub fn failed(&self, source: io::Error) -> WriteError {
        failed(&self.destination, "writing")(source)
    }

    /// Sets the mode, makes the bytes durable and gives them their name.
    ///
    /// # Errors
    /// [`WriteError`]; the name is then unchanged, unless only syncing the directory failed.
    pub fn commit(self) -> Result<(), WriteError> {
        let Self { temporary, destination, mode, existing } = self;
        let file = temporary.as_file();
        file.set_permissions(Permissions::from_mode(mode))
            .map_err(failed(&destination, "setting the mode"))?;
        file.sync_all().map_err(failed(&destination, "syncing"))?;
        check_destination(&destination, existing)?;
        let named = match existing {
            Existing::Keep => temporary.persist_noclobber(&destination),
            Existing::Replace => temporary.persist(&destination),
        };
        named.map_err(|e| match e.error.kind() {
            io::ErrorKind::AlreadyExists => WriteError::Exists { path: destination.clone() },
            _ => failed(&destination, "renaming")(e.error),
        })?;
        File::open(directory_of(&destination))
            .and_then(|directory| directory.sync_all())
            .map_err(failed(&destination, "syncing its directory"))
    }
}

impl Write for AtomicFile {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.temporary.write(buf)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.temporary.flush()
    }
}

impl Seek for AtomicFile {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        self.temporary.seek(to)
    }
}

/// Writes `contents` to `destination` in one go.
///
/// # Errors
/// [`WriteError`].
pub fn write_file(
    destination: &Path,
    mode: u32,
    existing: Existing,
    contents: &[u8],
) -> Result<(), WriteError> {
    let mut file = AtomicFile::create(destination, mode, existing)?;
    file.write_all(contents).map_err(|e| file.failed(e))?;
    file.commit()
}

/// Asked for early, so that no work is done in vain, and again before the rename.
fn check_destination(destination: &Path, existing: Existing) -> Result<(), WriteError> {
    let path = || destination.to_owned();
    match fs::symlink_metadata(destination) {
        Ok(found) if !found.is_file() => Err(WriteError::NotAFile { path: path() }),
        Ok(_) if existing == Existing::Keep => Err(WriteError::Exists { path: path() }),
        Ok(_) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(failed(destination, "looking at it")(e)),
    }
}

fn directory_of(destination: &Path) -> &Path {
    match destination.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn failed(path: &Path, doing: &'static str) -> impl FnOnce(io::Error) -> WriteError {
    let path = path.to_owned();
    move |source| WriteError::Io { path, doing, source }
}
