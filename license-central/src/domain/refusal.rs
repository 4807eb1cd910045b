//! Why something was not done.

use protocol::errors::{ErrorCode, Failure, Shown};

use crate::store::StoreError;

/// Why a step did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It may not be done; a row of the error table, or words.
    Told(Shown),
    /// The store failed or met a conflict.
    Store(StoreError),
}

/// What a step returns.
pub type Outcome<T> = Result<T, Refusal>;

impl Refusal {
    /// A request that cannot be understood, and why.
    pub fn malformed(why: impl std::fmt::Display) -> Self {
        Refusal::Told(Shown::from(ErrorCode::RequestMalformed.failure()).detailed(why))
    }

    /// No record of this id.
    pub fn missing(what: impl std::fmt::Display) -> Self {
        Refusal::Told(Shown::from(ErrorCode::RecordMissing.failure()).about(what))
    }

    /// Whether it is this row.
    pub fn is(&self, code: ErrorCode) -> bool {
        matches!(self, Refusal::Told(shown) if shown.is(code))
    }

    /// As it is shown to whoever asked. What the database said stays in the log.
    pub fn shown(self) -> Shown {
        match self {
            Refusal::Told(shown) => shown,
            Refusal::Store(StoreError::Taken { table }) => {
                Shown::from(ErrorCode::RecordTaken.failure()).about(table.replace('_', " "))
            }
            Refusal::Store(_) => ErrorCode::StoreUnavailable.failure().into(),
        }
    }
}

impl From<Shown> for Refusal {
    fn from(shown: Shown) -> Self {
        Refusal::Told(shown)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal::Told(failure.into())
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        code.failure().into()
    }
}

impl From<StoreError> for Refusal {
    fn from(error: StoreError) -> Self {
        Refusal::Store(error)
    }
}
