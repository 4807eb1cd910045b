//! What shows that an object was signed: a direct signature, or a place in a signed tree.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::header::{Header, Role, SUITE};
use super::tree;
use crate::codec::{Fixed, List};
use crate::crypto::ecdsa::{self, VerifyingKey};
use crate::ids::KeyId;
use crate::limits::{ROOT_SIGNATURES_MAX, TREE_DEPTH_MAX};

/// How an object is signed. Which form is right follows from its kind, never from the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Proof {
    /// A container's signature over the preimage.
    Direct(Fixed<64>),
    /// A place in a tree that a role's key signed.
    Batch(BatchProof),
    /// Several direct signatures, each by a named key: roots.
    Threshold(List<(KeyId, Fixed<64>), ROOT_SIGNATURES_MAX>),
}

/// A leaf's place in a signed tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchProof {
    /// Leaves of the tree.
    pub tree_size: u32,
    /// Place of this leaf, from 0.
    pub index: u32,
    /// Sibling hashes from the bottom up.
    pub path: List<Fixed<32>, TREE_DEPTH_MAX>,
    /// Signature over [`tree_preimage`], r || s.
    pub signature: Fixed<64>,
}

/// Why a signed object was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum VerifyError {
    /// Signed by a key other than the one that is trusted for it.
    #[cfg_attr(feature = "std", error("signed by another key than the trusted one"))]
    OtherKey,
    /// The form of the proof does not belong to this kind of object.
    #[cfg_attr(feature = "std", error("a proof of the wrong form"))]
    Form,
    /// The path does not fit the place in the tree.
    #[cfg_attr(feature = "std", error("the proof does not fit its place in the tree"))]
    Path,
    /// The signature is wrong.
    #[cfg_attr(feature = "std", error("the signature is wrong"))]
    Signature,
}

/// What a role's key signs for a tree: label, 0, length, then suite, role, zero bytes, firm, key, size, root hash.
/// A key that signs trees signs nothing else, not even for a tree of one leaf.
pub fn tree_preimage(header: &Header, tree_size: u32, root_hash: &tree::Hash) -> Vec<u8> {
    const FIELDS_LEN: u32 = 4 + 16 + 8 + 4 + 32;
    let mut out = Vec::with_capacity(tree::LABEL.len() + 5 + FIELDS_LEN as usize);
    out.extend_from_slice(tree::LABEL);
    out.push(0);
    out.extend_from_slice(&FIELDS_LEN.to_be_bytes());
    out.extend_from_slice(&[SUITE, header.role as u8, 0, 0]);
    out.extend_from_slice(header.root_fp.bytes());
    out.extend_from_slice(header.key_id.bytes());
    out.extend_from_slice(&tree_size.to_be_bytes());
    out.extend_from_slice(root_hash);
    out
}

/// Checks that `header` lies in a tree signed by `key`. The key comes from a trusted root, with its role.
pub fn verify_batch(
    header: &Header,
    proof: &Proof,
    role: Role,
    key: &VerifyingKey,
) -> Result<(), VerifyError> {
    let Proof::Batch(batch) = proof else { return Err(VerifyError::Form) };
    if header.role != role || header.kind.role() != role {
        return Err(VerifyError::Form);
    }
    if header.key_id != key.id() {
        return Err(VerifyError::OtherKey);
    }
    let path: Vec<tree::Hash> = batch.path.iter().map(|hash| hash.0).collect();
    let leaf = tree::leaf_hash(&header.preimage());
    let root =
        tree::root_from_path(leaf, batch.index, batch.tree_size, &path).ok_or(VerifyError::Path)?;
    ecdsa::verify(key, &tree_preimage(header, batch.tree_size, &root), &batch.signature.0)
        .map_err(|_| VerifyError::Signature)
}

/// Checks a container's own signature over `header`.
pub fn verify_direct(
    header: &Header,
    proof: &Proof,
    key: &VerifyingKey,
) -> Result<(), VerifyError> {
    let Proof::Direct(signature) = proof else { return Err(VerifyError::Form) };
    if header.role != Role::Container {
        return Err(VerifyError::Form);
    }
    if header.key_id != key.id() {
        return Err(VerifyError::OtherKey);
    }
    ecdsa::verify(key, &header.preimage(), &signature.0).map_err(|_| VerifyError::Signature)
}
