//! The one error of this crate: a row of the error table, its values, and what the system said.

use std::fmt;

use protocol::errors::{ErrorCode, Failure, Shown};

use crate::dongle::{LinkError, PipeError};

/// Why something with a container did not work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error {
    /// The row and its values. Refusals by the container come as they are.
    pub failure: Failure,
    /// What the system or a lower layer said, if anything.
    pub detail: String,
}

impl Error {
    /// An error without values.
    pub fn new(code: ErrorCode, detail: impl fmt::Display) -> Self {
        Error { failure: code.failure(), detail: detail.to_string() }
    }

    /// Whether this is row `code`.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.failure.known() == Some(code)
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        Error { failure, detail: String::new() }
    }
}

impl From<Error> for Shown {
    fn from(error: Error) -> Self {
        Shown::from(error.failure).detailed(error.detail)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let title = self.failure.title(&|s| format!("second {s}"));
        write!(f, "{}: {title}", self.failure.shown_code())?;
        if self.detail.is_empty() { Ok(()) } else { write!(f, " ({})", self.detail) }
    }
}

impl std::error::Error for Error {}

impl From<PipeError> for Error {
    fn from(error: PipeError) -> Self {
        let code = match &error {
            PipeError::TimedOut => ErrorCode::DeviceSilent,
            PipeError::Gone => ErrorCode::ChannelDead,
            PipeError::Absent(_) => ErrorCode::SourceFailed,
            PipeError::Denied(_) => return ErrorCode::NoPermission.with(1, 0).detailed(&error),
            PipeError::Io(_) => ErrorCode::SourceFailed,
        };
        Error::new(code, error)
    }
}

impl From<LinkError> for Error {
    fn from(error: LinkError) -> Self {
        let code = match error {
            LinkError::Pipe(error) => return error.into(),
            LinkError::TooLong(_) => ErrorCode::TooLong,
            LinkError::Busy | LinkError::NoChannel => ErrorCode::TooManySessions,
            LinkError::Version(version) => {
                return ErrorCode::NewerVersion.with(version.into(), 0).detailed(&error);
            }
            LinkError::NoAnswer => ErrorCode::DeviceSilent,
            LinkError::Refused(_) | LinkError::Garbled(_) => ErrorCode::DeviceGarbage,
            LinkError::Dead => ErrorCode::ChannelDead,
        };
        Error::new(code, error)
    }
}

trait Detailed {
    fn detailed(self, detail: &dyn fmt::Display) -> Error;
}

impl Detailed for Failure {
    fn detailed(self, detail: &dyn fmt::Display) -> Error {
        Error { failure: self, detail: detail.to_string() }
    }
}
