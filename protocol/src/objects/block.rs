//! Blocks that are encrypted and decrypted inside the container: the key never leaves it.
//!
//! Small secrets, challenges and answers: what a program cannot do without asking. A vendor that
//! knows the key's source makes the same blocks without a container.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::codec::{self, Bytes};
use crate::crypto::aead;
use crate::crypto::hash::sha256;
use crate::crypto::kdf::hkdf;
use crate::limits::{BLOCK_LEN_MAX, SEALED_BLOCK_LEN_MAX};
use crate::objects::artifact::SecretKey;
use crate::objects::data::DataField;
use crate::objects::license::Requirement;

/// Bytes of nonce in front of a sealed block.
pub const BLOCK_NONCE_LEN: usize = 12;

const TAG_LEN: usize = 16;

/// What a block's key is derived from. Numbers are the order here: append, never reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum KeySource {
    /// The item key of the requirement's product and generation.
    ItemKey,
    /// Hidden data of the entry.
    Hidden(u8),
    /// Secret data of the entry, which nobody reads.
    Secret(u8),
}

impl KeySource {
    /// The data field, where it is one.
    pub fn field(self) -> Option<DataField> {
        match self {
            KeySource::ItemKey => None,
            KeySource::Hidden(number) => Some(DataField::Hidden(number)),
            KeySource::Secret(number) => Some(DataField::Secret(number)),
        }
    }
}

/// Which way a block goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum BlockWay {
    /// Encrypted, under a fresh nonce.
    Encrypt,
    /// Decrypted; what is not authentic is refused.
    Decrypt,
}

/// A sealed block with all that a container needs to open it: the body of a block file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedBlock {
    /// What must hold.
    pub requirement: Requirement,
    /// Where its key comes from.
    pub source: KeySource,
    /// 12 bytes of nonce, the ciphertext, 16 of tag.
    pub bytes: Bytes<SEALED_BLOCK_LEN_MAX>,
}

/// Key of blocks: HKDF(source, no salt, label || source || SHA-256 of the requirement). Other
/// conditions give another key.
pub fn block_key(secret: &[u8], source: KeySource, requirement: &Requirement) -> SecretKey {
    let mut info = Vec::from(&b"strongroom/block-key/v1\0"[..]);
    info.extend_from_slice(&codec::encode(&source));
    info.extend_from_slice(&sha256(&codec::encode(requirement)));
    hkdf(secret, &[], &info)
}

/// Encrypts a block with AES-256-GCM. `nonce` must be random.
pub fn seal_block(key: &[u8; 32], nonce: [u8; BLOCK_NONCE_LEN], plain: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::from(nonce);
    sealed.extend_from_slice(plain);
    let tag = aead::seal_in_place(key, &nonce, &[], &mut sealed[BLOCK_NONCE_LEN..]);
    sealed.extend_from_slice(&tag);
    sealed
}

/// Decrypts a block, or `None` where it is not authentic.
pub fn open_block(key: &[u8; 32], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (nonce, rest) = sealed.split_first_chunk::<BLOCK_NONCE_LEN>()?;
    let (ciphertext, tag) = rest.split_last_chunk::<TAG_LEN>()?;
    let mut plain = Zeroizing::new(Vec::from(ciphertext));
    if plain.len() > BLOCK_LEN_MAX {
        return None;
    }
    aead::open_in_place(key, nonce, &[], &mut plain, tag).ok()?;
    Some(plain)
}
