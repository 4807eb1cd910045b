//! Artifacts: protected programs and files. Slots, keys, and the header they stand in.
//!
//! The content key is random. Each slot wraps it under a key that depends on the item key, the
//! artifact and the hash of the slot's requirement: weaker conditions give another key, not a
//! bypass. The content key never leaves the container; what leaves are keys of parts, derived from
//! it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::license::Requirement;
use super::root::Mode;
use crate::codec::{self, Fixed, List, Text};
use crate::crypto::aead;
use crate::crypto::hash::sha256;
use crate::crypto::kdf::hkdf;
use crate::ids::{ArtifactId, Generation, ProductCode, RootFp};
use crate::limits::SLOTS_MAX;

/// One way to open an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Slot {
    /// What must be fulfilled.
    pub requirement: Requirement,
    /// The wrapped content key.
    pub wrapped: WrappedKey,
}

/// A content key under the key of a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct WrappedKey {
    /// Random for each slot, so that its key is used once.
    pub salt: Fixed<16>,
    /// 32 bytes of content key, 16 of tag; AES-256-GCM with nonce zero.
    pub ciphertext: Fixed<48>,
}

/// What an artifact holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ArtifactKind {
    /// A data file.
    File,
    /// A program that the loader maps.
    Program,
}

/// What happens when a license is lost while a program runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LossPolicy {
    /// Ends the program.
    Stop,
    /// Says so on stderr every `every_s` seconds; the program goes on.
    Warn {
        /// Seconds between two warnings.
        every_s: u32,
    },
    /// Says so, and ends the program after `for_s` seconds unless the license is back.
    Grace {
        /// Seconds until the end.
        for_s: u32,
    },
}

/// What the loader is told beside the content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramOptions {
    /// What to do at loss.
    pub loss: LossPolicy,
    /// Whether `LD_PRELOAD`, `LD_AUDIT`, `LD_LIBRARY_PATH` and their like reach the program.
    pub allow_preload: bool,
    /// Whether the vendor accepted that forked children of this program run without a seat of
    /// their own.
    pub accept_unwatched_forks: bool,
    /// The vendor's texts for a refusal.
    pub refusal_texts: List<RefusalText, 8>,
}

/// A vendor's own words for a refusal, in one language.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusalText {
    /// Language as in `LANG` before the dot, such as `de` or `de_AT`; empty = any.
    pub language: Text<16>,
    /// Said before the reason.
    pub text: Text<512>,
    /// Where to buy or renew.
    pub shop: Text<256>,
    /// Where to ask.
    pub support: Text<256>,
}

/// The body of an artifact header. `target` of the signed header is the artifact's id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ArtifactBody {
    /// File or program.
    pub kind: ArtifactKind,
    /// Whether the firm that made it plays or sells: decides which containers may open it.
    pub mode: Mode,
    /// The firm's name, for messages.
    pub firm_name: Text<64>,
    /// What it is called, for messages.
    pub name: Text<128>,
    /// Ways to open it, tried in this order.
    pub slots: List<Slot, SLOTS_MAX>,
    /// Bytes of the content before encryption.
    pub content_len: u64,
    /// For programs.
    pub program: Option<ProgramOptions>,
    /// Parts of the content, the main part included.
    pub parts: u32,
}

/// Number of a part of the content.
pub type PartId = u32;

/// The part that is the whole content, or all that no function key covers.
pub const MAIN_PART: PartId = 0;

/// A 32-byte key that wipes itself.
pub type SecretKey = Zeroizing<[u8; 32]>;

/// Item key of a product and generation, derived from the firm's key in the vendor's key store.
pub fn item_key(
    firm_key: &[u8; 32],
    root_fp: RootFp,
    product: ProductCode,
    generation: Generation,
) -> SecretKey {
    hkdf(firm_key, &[], &item_key_info(root_fp, product, generation))
}

/// What an item key is expanded with. A token that was born with the pseudorandom key in the place
/// of the firm key expands it by one HMAC, over this and a byte 1 (RFC 5869 sections 2.3 and 3.3).
pub fn item_key_info(root_fp: RootFp, product: ProductCode, generation: Generation) -> Vec<u8> {
    let mut info = Vec::from(&b"strongroom/item-key/v1\0"[..]);
    info.extend_from_slice(root_fp.bytes());
    info.extend_from_slice(&product.0.to_be_bytes());
    info.extend_from_slice(&generation.0.to_be_bytes());
    info
}

/// Key of a slot: HKDF(item key, salt, label || artifact id || SHA-256 of the requirement).
pub fn slot_key(
    item_key: &[u8; 32],
    salt: &[u8; 16],
    artifact: ArtifactId,
    requirement: &Requirement,
) -> SecretKey {
    wrapping_key(b"strongroom/slot-key/v1\0", item_key, salt, artifact, requirement)
}

fn wrapping_key(
    label: &[u8],
    item_key: &[u8; 32],
    salt: &[u8; 16],
    artifact: ArtifactId,
    requirement: &Requirement,
) -> SecretKey {
    let mut info = Vec::from(label);
    info.extend_from_slice(artifact.bytes());
    info.extend_from_slice(&sha256(&codec::encode(requirement)));
    hkdf(item_key, salt, &info)
}

/// Key of a part: HKDF(content key, label || part).
pub fn part_key(content_key: &[u8; 32], part: PartId) -> SecretKey {
    let mut info = Vec::from(&b"strongroom/part-key/v1\0"[..]);
    info.extend_from_slice(&part.to_be_bytes());
    hkdf(content_key, &[], &info)
}

/// Wraps a content key for a slot. `salt` must be fresh: the nonce is fixed since the key is used
/// once.
pub fn wrap_content_key(
    item_key: &[u8; 32],
    salt: [u8; 16],
    artifact: ArtifactId,
    requirement: &Requirement,
    content_key: &[u8; 32],
) -> WrappedKey {
    wrap(&slot_key(item_key, &salt, artifact, requirement), salt, content_key)
}

/// A trap: what looks like a wrapped content key to everybody who has no item key. A program never
/// asks for it; a container that is asked to open it locks the firm's licenses.
pub fn wrap_trap(
    item_key: &[u8; 32],
    salt: [u8; 16],
    artifact: ArtifactId,
    requirement: &Requirement,
) -> WrappedKey {
    wrap(&trap_key(item_key, &salt, artifact, requirement), salt, &[0; 32])
}

/// Unwraps a content key, or `None` where item key, artifact, requirement or bytes are not those of
/// the slot.
pub fn unwrap_content_key(
    item_key: &[u8; 32],
    artifact: ArtifactId,
    requirement: &Requirement,
    wrapped: &WrappedKey,
) -> Option<SecretKey> {
    unwrap(&slot_key(item_key, &wrapped.salt.0, artifact, requirement), wrapped)
}

/// Whether it is a trap of this artifact and requirement.
pub fn is_trap(
    item_key: &[u8; 32],
    artifact: ArtifactId,
    requirement: &Requirement,
    wrapped: &WrappedKey,
) -> bool {
    unwrap(&trap_key(item_key, &wrapped.salt.0, artifact, requirement), wrapped).is_some()
}

fn trap_key(
    item_key: &[u8; 32],
    salt: &[u8; 16],
    artifact: ArtifactId,
    requirement: &Requirement,
) -> SecretKey {
    wrapping_key(b"strongroom/trap-key/v1\0", item_key, salt, artifact, requirement)
}

fn wrap(key: &[u8; 32], salt: [u8; 16], content_key: &[u8; 32]) -> WrappedKey {
    let mut bytes = [0; 48];
    bytes[..32].copy_from_slice(content_key);
    let tag = aead::seal_in_place(key, &[0; 12], &[], &mut bytes[..32]);
    bytes[32..].copy_from_slice(&tag);
    WrappedKey { salt: Fixed(salt), ciphertext: Fixed(bytes) }
}

fn unwrap(key: &[u8; 32], wrapped: &WrappedKey) -> Option<SecretKey> {
    let (sealed, tag) = wrapped.ciphertext.0.split_at(32);
    let mut content_key = Zeroizing::new([0; 32]);
    content_key.copy_from_slice(sealed);
    let tag: &[u8; 16] = tag.try_into().ok()?;
    aead::open_in_place(key, &[0; 12], &[], &mut content_key[..], tag).ok()?;
    Some(content_key)
}
