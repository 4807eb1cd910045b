//! What can go wrong with a TPM, told apart by what is to be done about it.

use thiserror::Error;
use tss_esapi::Error as TssError;
use tss_esapi::constants::response_code::{Tss2ResponseCode, Tss2ResponseCodeKind as Kind};

/// Why a TPM did not do what was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Trouble {
    /// There is no TPM at the address that was named, or nobody may use it.
    #[error("no TPM answers there")]
    Absent,
    /// An object or index is not there.
    #[error("what was asked for is not in the TPM")]
    Missing,
    /// A blob is not of this TPM.
    #[error("the TPM did not make this blob")]
    Foreign,
    /// An index or a key is there, and it is not ours: another Name, or another authorization.
    #[error("what is in the TPM at this place is not ours")]
    Alien,
    /// An index was defined and never written.
    #[error("the index was never written")]
    Unwritten,
    /// Somebody else used the TPM between a read and the write that depended on it.
    #[error("the TPM was used by somebody else in between")]
    Interrupted,
    /// Somebody else defined an index at this place.
    #[error("the place is taken")]
    Taken,
    /// No room for another index.
    #[error("the TPM has no room for another index")]
    NoSpace,
    /// The owner or endorsement hierarchy has a password, and none or a wrong one was given.
    #[error("the TPM wants the password of its {0} hierarchy")]
    Password(Hierarchy),
    /// The owner or endorsement hierarchy is switched off.
    #[error("a hierarchy of the TPM is switched off")]
    Disabled,
    /// Too many sessions or objects are loaded, by others.
    #[error("the sessions or objects of the TPM are used up")]
    Exhausted,
    /// The TPM defends itself against guessing.
    #[error("the TPM is locked out against guessing")]
    Lockout,
    /// It is busy, tests itself or limits how often it writes, for longer than is waited for.
    #[error("the TPM stayed busy")]
    Busy,
    /// It was never started.
    #[error("the TPM was not started")]
    NotStarted,
    /// The answer was changed on its way, or lost.
    #[error("the answer of the TPM was lost or changed on its way")]
    Garbled,
    /// Anything else, as the TPM's software tells it.
    #[error("{0}")]
    Other(Tss2ResponseCode),
}

/// A hierarchy that may have a password.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Hierarchy {
    /// Of the owner: indices and storage keys.
    #[error("owner")]
    Owner,
    /// Of the endorsement key.
    #[error("endorsement")]
    Endorsement,
}

/// Codes that name one thing each, whatever the command: TCG TPM 2.0 Library, Part 2, 6.6.3
/// (`TPM_RC`), and, from 0x70000 on, of the layers between (TCG TSS 2.0 Overview and Common
/// Structures, 2.5).
const CODES: [(u32, Trouble); 22] = [
    (0x100, Trouble::NotStarted),
    (0x121, Trouble::Interrupted),
    (0x149, Trouble::Alien),
    (0x14a, Trouble::Unwritten),
    (0x14b, Trouble::NoSpace),
    (0x14c, Trouble::Taken),
    (0x902, Trouble::Exhausted),
    (0x903, Trouble::Exhausted),
    (0x904, Trouble::Exhausted),
    (0x905, Trouble::Exhausted),
    (0x906, Trouble::Exhausted),
    (0x908, Trouble::Busy),
    (0x909, Trouble::Busy),
    (0x90a, Trouble::Busy),
    (0x920, Trouble::Busy),
    (0x921, Trouble::Lockout),
    (0x922, Trouble::Busy),
    (0x923, Trouble::Busy),
    (0x7001b, Trouble::Garbled),
    (0xa0008, Trouble::Absent),
    (0xa000a, Trouble::Absent),
    (0xa000b, Trouble::Absent),
];

impl From<TssError> for Trouble {
    fn from(error: TssError) -> Self {
        let TssError::Tss2Error(code) = error else { return Trouble::Garbled };
        let named = CODES.into_iter().find(|(number, _)| Tss2ResponseCode::from(*number) == code);
        match (named, code) {
            (Some((_, trouble)), _) => trouble,
            // These name the handle, parameter or session that they are about.
            (None, Tss2ResponseCode::FormatOne(_)) => match code.kind() {
                Some(Kind::Handle) => Trouble::Missing,
                Some(Kind::Integrity) => Trouble::Foreign,
                Some(Kind::AuthFail | Kind::BadAuth) => Trouble::Alien,
                Some(Kind::Hierarchy) => Trouble::Disabled,
                _ => Trouble::Other(code),
            },
            (None, _) => Trouble::Other(code),
        }
    }
}
