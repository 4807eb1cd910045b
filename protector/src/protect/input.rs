//! The original: opened once, so that what is examined is what is sealed.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;

use super::ProtectError;

/// An open regular file, with what was known of it when it was opened.
pub(super) struct Input {
    file: File,
    metadata: Metadata,
    path: PathBuf,
}

impl Input {
    pub(super) fn open(path: &Path) -> Result<Self, ProtectError> {
        let failed = |source| ProtectError::Read { path: path.to_owned(), source };
        let file = open_at_once(path).map_err(failed)?;
        let metadata = file.metadata().map_err(failed)?;
        if !metadata.is_file() {
            return Err(ProtectError::NotAFile { path: path.to_owned() });
        }
        Ok(Self { file, metadata, path: path.to_owned() })
    }

    pub(super) fn file(&self) -> &File {
        &self.file
    }

    pub(super) fn len_bytes(&self) -> u64 {
        self.metadata.len()
    }

    pub(super) fn mode(&self) -> u32 {
        self.metadata.mode()
    }

    pub(super) fn failed(&self, source: io::Error) -> ProtectError {
        ProtectError::Read { path: self.path.clone(), source }
    }

    /// Refuses an original that somebody wrote to meanwhile: parts of two versions were sealed.
    pub(super) fn check_unchanged(&self) -> Result<(), ProtectError> {
        let now = self.file.metadata().map_err(|error| self.failed(error))?;
        let state = |of: &Metadata| (of.len(), of.mtime(), of.mtime_nsec());
        if state(&now) == state(&self.metadata) {
            Ok(())
        } else {
            Err(ProtectError::Changed { path: self.path.clone() })
        }
    }
}

/// Opens a file for reading. A pipe does not wait for a writer, and is found empty.
pub(crate) fn open_at_once(path: &Path) -> io::Result<File> {
    let flags = OFlags::NONBLOCK.bits() as i32;
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}
