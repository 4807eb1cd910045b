//! Why nothing was protected.

use std::fmt::Write as _;
use std::io;
use std::path::PathBuf;

use protocol::errors::{ErrorCode, Failure};

use super::Paths;
use crate::artifact::ArtifactWriteError;
use crate::atomic::WriteError;
use crate::elf::{Concern, Refusal};
use crate::seal::SealError;

/// Why nothing was protected. The output shows what it showed before.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProtectError {
    /// The original cannot be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The original.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// The original is a directory, device or the like.
    #[error("{} is not a regular file", path.display())]
    NotAFile {
        /// The original.
        path: PathBuf,
    },
    /// Somebody wrote to the original while it was read.
    #[error("{} was changed while it was being read", path.display())]
    Changed {
        /// The original.
        path: PathBuf,
    },
    /// The original is a protected file.
    #[error("{} is protected already: protect the original", path.display())]
    AlreadyProtected {
        /// The original.
        path: PathBuf,
    },
    /// The program can never be protected.
    #[error(transparent)]
    Unsuitable(Refusal),
    /// The program may work differently once protected, and not all of that was accepted.
    #[error("it may work differently once protected:{}", listed(.0))]
    Concerns(Vec<Concern>),
    /// The artifact cannot be made.
    #[error(transparent)]
    Artifact(ArtifactWriteError),
    /// The loader cannot carry it.
    #[error(transparent)]
    Seal(SealError),
    /// The output cannot be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl ProtectError {
    /// Its row of the error table; none where the caller or the system is at fault.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Unsuitable(_) | Self::Concerns(_) => Some(ErrorCode::Unsuitable.failure()),
            _ => None,
        }
    }

    /// Names the files in what went wrong with the artifact.
    pub(super) fn of_artifact(error: ArtifactWriteError, paths: Paths<'_>) -> Self {
        match error {
            ArtifactWriteError::Read(source) => Self::Read { path: paths.input.to_owned(), source },
            // Only a file that was cut meanwhile ends before its length.
            ArtifactWriteError::ContentLen { .. } => Self::Changed { path: paths.input.to_owned() },
            ArtifactWriteError::Write(source) => Self::Write(WriteError::Io {
                path: paths.output.to_owned(),
                doing: "writing",
                source,
            }),
            other => Self::Artifact(other),
        }
    }

    /// Unwraps what was handed through [`crate::seal::seal`] as an error of the system.
    pub(super) fn of_seal(error: SealError) -> Self {
        match error {
            SealError::Artifact(error) => {
                error.downcast().unwrap_or_else(|error| Self::Seal(SealError::Artifact(error)))
            }
            SealError::Write(error) => Self::Write(error),
            other => Self::Seal(other),
        }
    }
}

fn listed(concerns: &[Concern]) -> String {
    concerns.iter().fold(String::new(), |mut list, concern| {
        // Writing to a string cannot fail.
        let _ = write!(list, "\n  {concern} (accepted by {})", concern.flag());
        list
    })
}
