//! Why the helper refuses: a row of the table, and what the machine had to say.

use std::io;

use machine::record::{BindError, Refused, RuleBroken};
use protocol::errors::{ErrorCode, Failure};

use crate::chip::Trouble;
use crate::helper;
use crate::vault::Shut;

/// A refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The row and its values.
    pub failure: Failure,
    /// What is to be said besides, or nothing. No value of a trait is in it.
    pub detail: String,
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        Refusal { failure, detail: String::new() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        code.failure().into()
    }
}

impl From<Shut> for Refusal {
    fn from(shut: Shut) -> Self {
        helper::shut(shut).into()
    }
}

impl From<Trouble> for Refusal {
    fn from(trouble: Trouble) -> Self {
        helper::trouble(trouble).into()
    }
}

/// A folder that cannot be read.
impl From<io::Error> for Refusal {
    fn from(_: io::Error) -> Self {
        ErrorCode::SoftDamaged.into()
    }
}

impl From<BindError> for Refusal {
    fn from(error: BindError) -> Self {
        let failure = match &error {
            BindError::Machine { rule: RuleBroken::TooLight { weight, needed }, .. } => {
                ErrorCode::SoftIndistinct.with((*weight).into(), (*needed).into())
            }
            BindError::Machine { .. } => ErrorCode::SoftIndistinct.failure(),
            BindError::Random => ErrorCode::RandomFailed.failure(),
            _ => ErrorCode::HelperFailed.failure(),
        };
        Refusal { failure, detail: error.to_string() }
    }
}

impl From<Refused> for Refusal {
    fn from(refused: Refused) -> Self {
        let code = match &refused {
            Refused::Missing { .. } | Refused::OtherMachine { .. } => ErrorCode::SoftTraits,
            Refused::Memory => ErrorCode::HelperFailed,
            _ => ErrorCode::SoftDamaged,
        };
        Refusal { failure: code.failure(), detail: refused.to_string() }
    }
}
