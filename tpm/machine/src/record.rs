//! What binds a key to a machine: shares of it, each masked by the trait that it belongs to.
//!
//! ```text
//! K      32 random bytes: the key
//! s(x)   its share at x = 1, 2, …: a trait of weight w holds the next w of them
//! t      Argon2id(value, salt), 19 MiB, 2 passes, 1 lane, 32 bytes (RFC 9106)
//! mask   HKDF-SHA256(t, "strongroom/trait-share/v1", 0, class, x)
//! check  HKDF-SHA256(K, "strongroom/trait-check/v1", 0)
//! stored for each trait: class, salt, every s(x) XOR mask; and once the check
//! ```
//!
//! No trait has a check of its own: who tries values must guess as many at once as the threshold
//! asks for. So a key that does not come back says nothing of which traits are wrong; one that does
//! names each trait that drifted.

mod bind;
mod masks;
mod open;
mod rules;
#[cfg(test)]
mod tests;

use std::fmt;

use protocol::codec::{self, DecodeError, Fixed, List};
use serde::{Deserialize, Serialize};

use crate::class::{CLASSES, Tolerance, TraitClass, WEIGHT_MAX};

pub use bind::{BindError, bind};
pub use open::{Drift, Opened, Refused, TraitState, open};
pub use rules::RuleBroken;

/// Bytes of an encoded record at most.
pub const RECORD_LEN_MAX: usize = 1280;

/// Bytes of a trait's salt.
const SALT_LEN: usize = 16;

/// A key as it is bound to a machine. Not secret, but private: it lets who has it try values.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Version of the rule by which values are written.
    canon: u8,
    tolerance: Tolerance,
    /// By rising classes.
    traits: List<BoundTrait, CLASSES>,
    check: Fixed<32>,
}

/// The shares of one trait; as many as it weighs.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct BoundTrait {
    class: TraitClass,
    salt: Fixed<SALT_LEN>,
    shares: List<Fixed<32>, WEIGHT_MAX>,
}

impl Record {
    /// The one encoding.
    pub fn to_bytes(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads one back.
    ///
    /// # Errors
    /// Longer than [`RECORD_LEN_MAX`], or not the one encoding of a record.
    pub fn from_bytes(bytes: &[u8]) -> Result<Record, DecodeError> {
        codec::decode(bytes, RECORD_LEN_MAX)
    }

    /// How much must be the same.
    pub fn tolerance(&self) -> Tolerance {
        self.tolerance
    }

    /// What it is bound to.
    pub fn classes(&self) -> impl Iterator<Item = TraitClass> {
        self.traits.iter().map(|bound| bound.class)
    }

    fn weights(&self) -> Vec<(TraitClass, u8)> {
        self.traits.iter().map(|bound| (bound.class, bound.shares.len() as u8)).collect()
    }
}

impl fmt::Debug for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Record({:?}, {:?})", self.tolerance, self.classes().collect::<Vec<_>>())
    }
}
