//! Why an artifact was not read or opened, with its row of the error table.

use std::io;

use protocol::codec::DecodeError;
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::file::VERSION;
use protocol::objects::root::RootError;
use protocol::signed::ObjectError;

use crate::Error;

/// Why an artifact was not read or opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactError {
    /// Not a Strongroom file, one of another kind or of a newer version, or one that ends early.
    #[error("{}", .0.title(&|time_s| time_s.to_string()))]
    Unreadable(Failure),
    /// The root is not signed by the keys it names.
    #[error("the vendor's root in it is not valid: {0}")]
    Root(#[source] RootError),
    /// The license header is not signed by the vendor.
    #[error("the license header is not the one that the vendor signed: {0}")]
    Header(#[source] ObjectError),
    /// The vendor signed a license header that this version cannot read.
    #[error("the license header cannot be read: {0}")]
    Body(#[source] DecodeError),
    /// The license header contradicts itself or its root.
    #[error("the license header contradicts itself: {0}")]
    Contents(&'static str),
    /// The content ends before the length that the vendor signed.
    #[error("the content is cut short: {missing_bytes} bytes are missing")]
    ContentShort {
        /// Bytes missing.
        missing_bytes: u64,
    },
    /// Something follows the content.
    #[error("{extra_bytes} bytes follow the content")]
    ContentLong {
        /// Bytes left over.
        extra_bytes: u64,
    },
    /// The content does not open.
    #[error(transparent)]
    Content(Error),
    /// It cannot be read from where it is.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl ArtifactError {
    /// Its row of the error table; none for an error of the system, which speaks for itself.
    pub fn failure(&self) -> Option<Failure> {
        Some(match self {
            Self::Unreadable(failure) => *failure,
            Self::Root(_) | Self::Header(_) | Self::Contents(_) => {
                ErrorCode::ArtifactBroken.failure()
            }
            // Signed and yet not readable: made by a version that knows more.
            Self::Body(_) => ErrorCode::NewerVersion.with(VERSION.into(), 0),
            Self::ContentShort { missing_bytes } => ErrorCode::CutShort.with(*missing_bytes, 0),
            Self::Content(Error::Io(_)) | Self::Io(_) => return None,
            Self::ContentLong { .. } | Self::Content(_) => ErrorCode::ContentBroken.failure(),
        })
    }
}

impl From<Error> for ArtifactError {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(inner) => Self::Io(inner),
            other => Self::Content(other),
        }
    }
}
