//! A protected file, open for reading with its license.

use std::fmt::Display;
use std::path::Path;

use container::{Error, KeptSeat, Registry};
use protector::artifact::ArtifactError;
use protector::verify::{FileContent, ProtectedFile, VerifyError};
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::artifact::MAIN_PART;

use crate::seat;

/// Content that is decrypted where it is read, as long as the seat is held.
pub(crate) struct OpenFile {
    content: FileContent,
    seat: KeptSeat,
}

/// Opens a protected file and verifies its head; nothing of it is decrypted.
///
/// # Errors
/// It is no such file, was changed, or cannot be read.
pub(crate) fn protected(path: &Path) -> Result<ProtectedFile, Error> {
    ProtectedFile::open(path).map_err(|error: VerifyError| told(error.failure(), &error))
}

impl OpenFile {
    /// Takes a seat, and the key that comes with it.
    ///
    /// # Errors
    /// The use is refused, or the file was changed.
    pub(crate) fn open(
        registry: &Registry,
        serial: Option<&str>,
        path: &Path,
    ) -> Result<Self, Error> {
        let file = protected(path)?;
        let (seat, slot) = seat::for_file(registry, serial, &file)?;
        let key = seat.release_key(&slot.wrapped, MAIN_PART)?;
        let content = file.into_content(&key).map_err(broken)?;
        Ok(OpenFile { content, seat: seat.keep() })
    }

    /// Bytes of content.
    pub(crate) fn len(&self) -> u64 {
        self.content.plaintext_len()
    }

    /// Reads from `offset` on: all of `buf`, or less at the end.
    ///
    /// # Errors
    /// The seat was lost, or the content was changed.
    pub(crate) fn read(&self, offset: u64, buf: &mut [u8]) -> Result<usize, Error> {
        self.seat.check()?;
        self.content.read_at(offset, buf).map_err(|error| broken(error.into()))
    }
}

fn broken(error: ArtifactError) -> Error {
    told(error.failure(), &error)
}

/// What has no row of its own is what the system said of the file.
fn told(failure: Option<Failure>, error: &dyn Display) -> Error {
    let failure = failure.unwrap_or(ErrorCode::FileUnreadable.failure());
    let title = failure.title(&|at_s| at_s.to_string());
    let said = error.to_string();
    Error { failure, detail: if said == title { String::new() } else { said } }
}
