//! An error as people see it: a row of the table or words of its own, and what was being done.

use std::boxed::Box;
use std::fmt::Display;
use std::path::Path;
use std::string::{String, ToString};
use std::{format, io};

use super::{ErrorCode, Exit, Failure};

/// An error to be shown. Its texts are made when they are asked for: a terminal wants local times,
/// a server UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    what: What,
    /// What was being done, the widest first, each with `: ` behind it.
    doing: String,
    /// What a lower layer said.
    detail: String,
    /// What to do next, where the row does not say it.
    hint: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum What {
    Row(Failure),
    /// A row, as somebody else has put it into words.
    Told {
        failure: Failure,
        title: Box<str>,
    },
    Words {
        code: &'static str,
        exit: Exit,
        title: String,
    },
}

impl Shown {
    /// A wrong command.
    pub fn usage(title: impl Display, hint: impl Display) -> Self {
        Self::words("usage", Exit::Usage, title, hint)
    }

    /// Something is in the way.
    pub fn conflict(title: impl Display, hint: impl Display) -> Self {
        Self::words("conflict", Exit::Conflict, title, hint)
    }

    /// Something is not there.
    pub fn not_found(title: impl Display, hint: impl Display) -> Self {
        Self::words("not-found", Exit::NotFound, title, hint)
    }

    /// What the system said of a file or folder.
    pub fn io(path: &Path, error: &io::Error) -> Self {
        let (exit, hint) = match error.kind() {
            io::ErrorKind::NotFound => (Exit::NotFound, "Check the name."),
            io::ErrorKind::PermissionDenied => {
                (Exit::Permission, "Use another place, or ask for the right to use this one.")
            }
            io::ErrorKind::AlreadyExists => (Exit::Conflict, "Choose another name."),
            io::ErrorKind::StorageFull => (Exit::Failure, "Make room and repeat the command."),
            _ => (Exit::Failure, "Nothing was changed. Repeat the command when the cause is gone."),
        };
        Self::words("io", exit, format!("{}: {error}", path.display()), hint)
    }

    /// Adds what was being done.
    pub fn about(mut self, what: impl Display) -> Self {
        self.doing = format!("{what}: {}", self.doing);
        self
    }

    /// Says another thing to do next.
    pub fn hinting(mut self, hint: impl Display) -> Self {
        self.hint = Some(hint.to_string());
        self
    }

    /// A row in the words of another program, which knows more of what happened.
    pub fn told(failure: Failure, title: impl Display) -> Self {
        Self::of(What::Told { failure, title: title.to_string().into() })
    }

    /// Adds what a lower layer said, if anything.
    pub fn detailed(mut self, detail: impl Display) -> Self {
        self.detail = detail.to_string();
        self
    }

    /// The row of the table with its values, where there is one.
    pub fn failure(&self) -> Option<Failure> {
        match self.what {
            What::Row(failure) | What::Told { failure, .. } => Some(failure),
            What::Words { .. } => None,
        }
    }

    /// Whether it is this row.
    pub fn is(&self, code: ErrorCode) -> bool {
        self.failure().and_then(|failure| failure.known()) == Some(code)
    }

    /// `S0380`, or a word for what has no number.
    pub fn code(&self) -> String {
        match &self.what {
            What::Row(failure) | What::Told { failure, .. } => failure.shown_code(),
            What::Words { code, .. } => (*code).to_string(),
        }
    }

    /// What happened; `time` shows Unix seconds.
    pub fn title(&self, time: &dyn Fn(u64) -> String) -> String {
        let title = match &self.what {
            What::Row(failure) => failure.title(time),
            What::Told { title, .. } => title.to_string(),
            What::Words { title, .. } => title.clone(),
        };
        let title = format!("{}{title}", self.doing);
        if self.detail.is_empty() { title } else { format!("{title} ({})", self.detail) }
    }

    /// What to do next; `time` shows Unix seconds.
    pub fn hint(&self, time: &dyn Fn(u64) -> String) -> String {
        match (&self.hint, &self.what) {
            (Some(hint), _) => hint.clone(),
            (None, What::Row(failure) | What::Told { failure, .. }) => failure.hint(time),
            (None, What::Words { .. }) => String::new(),
        }
    }

    /// The exit code of the command line.
    pub fn exit(&self) -> u8 {
        let exit = match &self.what {
            What::Row(failure) | What::Told { failure, .. } => {
                failure.known().map_or(Exit::Failure, |code| code.row().exit)
            }
            What::Words { exit, .. } => *exit,
        };
        exit as u8
    }

    fn words(code: &'static str, exit: Exit, title: impl Display, hint: impl Display) -> Self {
        Self::of(What::Words { code, exit, title: title.to_string() }).hinting(hint)
    }

    fn of(what: What) -> Self {
        Shown { what, doing: String::new(), detail: String::new(), hint: None }
    }
}

impl From<Failure> for Shown {
    fn from(failure: Failure) -> Self {
        Self::of(What::Row(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::errors::ErrorCode;

    #[test]
    fn times_are_written_as_whoever_shows_it_wants() {
        let expired = Shown::from(ErrorCode::Expired.with(10, 20));
        let (there, here) =
            (expired.title(&|s| format!("T{s}")), expired.title(&|s| format!("L{s}")));
        assert!(there.contains("T10") && here.contains("L10"), "{there} {here}");
        assert_eq!((expired.code(), expired.exit()), ("S0380".into(), 5));
        assert_eq!(expired.failure(), Some(ErrorCode::Expired.with(10, 20)));
    }

    #[test]
    fn what_was_done_stands_before_and_what_was_said_behind() {
        let plain = |_| String::new();
        let error = Shown::usage("no", "Say yes.").detailed("why").about("inner").about("outer");
        assert_eq!(error.title(&plain), "outer: inner: no (why)");
        assert_eq!((error.hint(&plain), error.exit()), ("Say yes.".into(), 2));
        assert_eq!(error.hinting("Wait.").hint(&plain), "Wait.");
        assert_eq!(Shown::not_found("a", "b").failure(), None);
    }

    #[test]
    fn a_row_in_the_words_of_another_keeps_its_number() {
        let told = Shown::told(ErrorCode::Expired.failure(), "over since Monday").hinting("Pay.");
        let plain = |_| String::new();
        assert_eq!((told.code(), told.exit()), ("S0380".into(), 5));
        assert_eq!(
            (told.title(&plain), told.hint(&plain)),
            ("over since Monday".into(), "Pay.".into())
        );
        assert!(size_of::<Shown>() < 128, "it is returned everywhere");
    }

    #[test]
    fn an_unknown_number_is_a_failure_like_any_other() {
        let unknown = Shown::from(Failure { code: 0xFFFF, a: 0, b: 0 });
        assert_eq!((unknown.code(), unknown.exit()), ("SFFFF".into(), 1));
    }
}
