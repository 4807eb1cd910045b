//! The hashes that objects of a TPM are named with, and the names.

use aws_lc_rs::{digest, hmac};

use crate::wire::WireError;

/// `TPM_ALG_NULL` (Part 2, 6.3), here and elsewhere "none".
pub(crate) const ALG_NULL: u16 = 0x0010;

/// A hash algorithm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashAlg {
    /// SHA-256.
    Sha256,
    /// SHA-384.
    Sha384,
}

impl HashAlg {
    /// Its `TPM_ALG_ID` (Part 2, 6.3).
    pub const fn id(self) -> u16 {
        match self {
            HashAlg::Sha256 => 0x000b,
            HashAlg::Sha384 => 0x000c,
        }
    }

    /// Bytes of a hash.
    pub const fn hash_len(self) -> usize {
        match self {
            HashAlg::Sha256 => 32,
            HashAlg::Sha384 => 48,
        }
    }

    pub(crate) fn from_id(id: u16) -> Result<Self, WireError> {
        let all = [HashAlg::Sha256, HashAlg::Sha384];
        all.into_iter().find(|alg| alg.id() == id).ok_or(WireError::Value("hash", id.into()))
    }

    /// Hash of the concatenation of `parts`.
    pub(crate) fn hash(self, parts: &[&[u8]]) -> digest::Digest {
        let mut context = digest::Context::new(match self {
            HashAlg::Sha256 => &digest::SHA256,
            HashAlg::Sha384 => &digest::SHA384,
        });
        parts.iter().for_each(|part| context.update(part));
        context.finish()
    }

    /// HMAC over the concatenation of `parts`.
    pub(crate) fn hmac(self, key: &[u8], parts: &[&[u8]]) -> hmac::Tag {
        let algorithm = match self {
            HashAlg::Sha256 => hmac::HMAC_SHA256,
            HashAlg::Sha384 => hmac::HMAC_SHA384,
        };
        let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, key));
        parts.iter().for_each(|part| context.update(part));
        context.sign()
    }
}

/// What a TPM calls an object or an NV index: a hash algorithm and the hash of its public area
/// (Part 1, "Names").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name(Vec<u8>);

impl Name {
    /// As it stands in structures, without its length.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(crate) fn of(alg: HashAlg, parts: &[&[u8]]) -> Self {
        Name([&alg.id().to_be_bytes(), alg.hash(parts).as_ref()].concat())
    }
}
