//! What shows that an object was signed: a direct signature, or a place in a signed tree.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::header::{Header, Role, SUITE};
use super::tree;
use crate::codec::{Fixed, List};
use crate::crypto::ecdsa::{self, Sign, VerifyingKey};
use crate::ids::KeyId;
use crate::limits::{THRESHOLD_SIGNATURES_MAX, TREE_DEPTH_MAX};

/// How an object is signed. Which form is right follows from its kind, never from the message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Proof {
    /// A container's signature over the preimage.
    Direct(Fixed<64>),
    /// A place in a tree that a role's key signed.
    Batch(BatchProof),
    /// Several direct signatures, each by a named key: roots, revocations, recovery.
    Threshold(List<(KeyId, Fixed<64>), THRESHOLD_SIGNATURES_MAX>),
}

impl Proof {
    /// Bytes that it has at most, encoded.
    pub(super) fn len_max(&self) -> usize {
        match self {
            Proof::Direct(_) => 65,
            Proof::Batch(batch) => 76 + 32 * batch.path.len(),
            Proof::Threshold(signatures) => 6 + 72 * signatures.len(),
        }
    }
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
    /// Fewer distinct keys signed than must.
    #[cfg_attr(feature = "std", error("{found} distinct keys signed, {needed} are needed"))]
    Threshold {
        /// Distinct keys whose signatures hold.
        found: u8,
        /// Distinct keys needed.
        needed: u8,
    },
}

/// What a role's key signs for a tree: label, 0, length, then suite, role, zero bytes, firm, key,
/// size, root hash. A key that signs trees signs nothing else, not even for a tree of one leaf.
pub fn tree_preimage(header: &Header, tree_size: u32, root_hash: &tree::Hash) -> Vec<u8> {
    tree_preimage_in(SUITE, header, tree_size, root_hash)
}

pub(super) fn tree_preimage_in(
    suite: u8,
    header: &Header,
    tree_size: u32,
    root_hash: &tree::Hash,
) -> Vec<u8> {
    const FIELDS_LEN: u32 = 4 + 16 + 8 + 4 + 32;
    let mut out = Vec::with_capacity(tree::LABEL.len() + 5 + FIELDS_LEN as usize);
    out.extend_from_slice(tree::LABEL);
    out.push(0);
    out.extend_from_slice(&FIELDS_LEN.to_be_bytes());
    out.extend_from_slice(&[suite, header.role as u8, 0, 0]);
    out.extend_from_slice(header.root_fp.bytes());
    out.extend_from_slice(header.key_id.bytes());
    out.extend_from_slice(&tree_size.to_be_bytes());
    out.extend_from_slice(root_hash);
    out
}

/// Signs all of `headers` with one signature and returns their proofs in the same order. Sets their
/// key id; they must be of one firm and role. `None` for none, for a mixed batch, for more than fit
/// a tree, or where the key does not sign.
pub fn sign_batch(
    headers: &mut [Header],
    key: &(impl Sign + ?Sized),
    entropy: &[u8; 32],
) -> Option<Vec<Proof>> {
    let planted = plant(SUITE, headers, key.id())?;
    let signature = Fixed(ecdsa::sign(key, &planted.preimage, entropy).ok()?);
    let proof = |Place { tree_size, index, path }| {
        Proof::Batch(BatchProof { tree_size, index, path, signature })
    };
    Some(planted.places.into_iter().map(proof).collect())
}

/// A tree that waits for its signature.
pub(super) struct Planted {
    /// What is signed.
    pub(super) preimage: Vec<u8>,
    /// Where the leaves are, in their order.
    pub(super) places: Vec<Place>,
}

/// Where a leaf is in its tree.
pub(super) struct Place {
    pub(super) tree_size: u32,
    pub(super) index: u32,
    pub(super) path: List<Fixed<32>, TREE_DEPTH_MAX>,
}

/// Makes the tree of `headers` in a suite, and sets their key id.
pub(super) fn plant(suite: u8, headers: &mut [Header], key_id: KeyId) -> Option<Planted> {
    let first = *headers.first()?;
    let alike = |header: &Header| header.role == first.role && header.root_fp == first.root_fp;
    if !headers.iter().all(alike) || headers.len() > 1 << TREE_DEPTH_MAX {
        return None;
    }
    headers.iter_mut().for_each(|header| header.key_id = key_id);
    let leaves: Vec<tree::Hash> =
        headers.iter().map(|header| tree::leaf_hash(&header.preimage_in(suite))).collect();
    let (root, paths) = tree::build(&leaves)?;
    let tree_size = u32::try_from(headers.len()).ok()?;
    let preimage = tree_preimage_in(suite, &headers[0], tree_size, &root);
    let place = |(index, path): (usize, Vec<tree::Hash>)| {
        let path = List::new(path.into_iter().map(Fixed).collect())?;
        Some(Place { tree_size, index: u32::try_from(index).ok()?, path })
    };
    let places = paths.into_iter().enumerate().map(place).collect::<Option<_>>()?;
    Some(Planted { preimage, places })
}

/// Checks that `header` lies in a tree signed by `key`. The key comes from a trusted root, with its
/// role.
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
    let signed = signed_tree(SUITE, header, (batch.tree_size, batch.index), &batch.path)?;
    ecdsa::verify(key, &signed, &batch.signature.0).map_err(|_| VerifyError::Signature)
}

/// What was signed if `header` has this place (size of the tree, index) and path.
pub(super) fn signed_tree(
    suite: u8,
    header: &Header,
    (tree_size, index): (u32, u32),
    path: &[Fixed<32>],
) -> Result<Vec<u8>, VerifyError> {
    let path: Vec<tree::Hash> = path.iter().map(|hash| hash.0).collect();
    let leaf = tree::leaf_hash(&header.preimage_in(suite));
    let root = tree::root_from_path(leaf, index, tree_size, &path).ok_or(VerifyError::Path)?;
    Ok(tree_preimage_in(suite, header, tree_size, &root))
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

/// Signs `header` with each of `signers`. `None` for too many, or where one does not sign.
pub fn sign_threshold(
    header: &Header,
    signers: &[&(impl Sign + ?Sized)],
    entropy: &[u8; 32],
) -> Option<Proof> {
    let preimage = header.preimage();
    let mut signatures = Vec::with_capacity(signers.len());
    for signer in signers {
        let signature = ecdsa::sign(*signer, &preimage, entropy).ok()?;
        signatures.push((signer.verifying_key().id(), Fixed(signature)));
    }
    Some(Proof::Threshold(List::new(signatures)?))
}

/// Checks that at least `needed` of `keys`, which are distinct, signed `header`. Counted per key,
/// not per signature, so that a repeated signature adds nothing.
pub fn verify_threshold(
    header: &Header,
    proof: &Proof,
    keys: impl Iterator<Item = VerifyingKey>,
    needed: u8,
) -> Result<(), VerifyError> {
    let Proof::Threshold(signatures) = proof else { return Err(VerifyError::Form) };
    if !header.role.has_threshold() || header.key_id != KeyId::default() || needed == 0 {
        return Err(VerifyError::Form);
    }
    let preimage = header.preimage();
    let signed = |key: &VerifyingKey| {
        signatures.iter().any(|(id, signature)| {
            *id == key.id() && ecdsa::verify(key, &preimage, &signature.0).is_ok()
        })
    };
    let found = keys.filter(signed).count() as u8;
    if found < needed { Err(VerifyError::Threshold { found, needed }) } else { Ok(()) }
}
