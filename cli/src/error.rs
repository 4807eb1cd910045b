//! What goes wrong in a command: a row of the error table where there is one, with what to do next.

use std::fmt::Display;
use std::path::Path;

use protocol::errors::{ErrorCode, Exit, Failure};

use crate::times;

/// An error as it is shown.
#[derive(Debug)]
pub(crate) struct CliError {
    /// `S0380`, or a word for what has no number.
    pub(crate) code: String,
    /// What happened.
    pub(crate) title: String,
    /// What to do next.
    pub(crate) hint: String,
    exit: Exit,
}

pub(crate) type Result<T> = std::result::Result<T, CliError>;

impl CliError {
    /// A wrong command.
    pub(crate) fn usage(title: impl Display, hint: impl Display) -> Self {
        Self::plain("usage", Exit::Usage, title, hint)
    }

    /// Something is in the way.
    pub(crate) fn conflict(title: impl Display, hint: impl Display) -> Self {
        Self::plain("conflict", Exit::Conflict, title, hint)
    }

    /// Something is not there.
    pub(crate) fn not_found(title: impl Display, hint: impl Display) -> Self {
        Self::plain("not-found", Exit::NotFound, title, hint)
    }

    /// What the system said of a file or folder.
    pub(crate) fn io(path: &Path, error: &std::io::Error) -> Self {
        let (exit, hint) = match error.kind() {
            std::io::ErrorKind::NotFound => (Exit::NotFound, "Check the name."),
            std::io::ErrorKind::PermissionDenied => {
                (Exit::Permission, "Use another place, or ask for the right to use this one.")
            }
            std::io::ErrorKind::AlreadyExists => (Exit::Conflict, "Choose another name."),
            std::io::ErrorKind::StorageFull => (Exit::Failure, "Make room and repeat the command."),
            _ => (Exit::Failure, "Nothing was changed. Repeat the command when the cause is gone."),
        };
        Self::plain("io", exit, format!("{}: {error}", path.display()), hint)
    }

    /// The exit code.
    pub(crate) fn exit(&self) -> u8 {
        self.exit as u8
    }

    /// Adds what was being done.
    pub(crate) fn about(mut self, what: impl Display) -> Self {
        self.title = format!("{what}: {}", self.title);
        self
    }

    /// Says another thing to do next.
    pub(crate) fn hinting(mut self, hint: impl Display) -> Self {
        self.hint = hint.to_string();
        self
    }

    fn plain(code: &str, exit: Exit, title: impl Display, hint: impl Display) -> Self {
        CliError { code: code.into(), title: title.to_string(), hint: hint.to_string(), exit }
    }
}

impl From<Failure> for CliError {
    fn from(failure: Failure) -> Self {
        let known = failure.known().map(ErrorCode::row);
        CliError {
            code: failure.shown_code(),
            title: failure.title(&times::show),
            hint: failure.hint(&times::show),
            exit: known.map_or(Exit::Failure, |row| row.exit),
        }
    }
}

impl From<container::Error> for CliError {
    fn from(error: container::Error) -> Self {
        let mut shown = CliError::from(error.failure);
        if !error.detail.is_empty() {
            shown.title = format!("{} ({})", shown.title, error.detail);
        }
        shown
    }
}
