//! Signed objects of suite 2: a place in a tree that P-256 and ML-DSA-65 both signed. For hosts.
//!
//! An object of suite 2 is read here and nowhere else, and this reader takes no other: which of the
//! two is right, the root says, never the message. What is signed has the suite in it.

use std::vec::Vec;

use serde::{Deserialize, Serialize};

use super::header::{HYBRID_SUITE, Header};
use super::object::{Object, ObjectError, check_body, frame, split};
use super::proof::{Place, VerifyError, plant, signed_tree};
use crate::codec::{self, Bytes, Fixed, List};
use crate::crypto::ecdsa::Sign;
use crate::crypto::hybrid::{HYBRID_KEY_LEN, HybridKey, HybridVerifyingKey, ML_DSA_SIGNATURE_LEN};
use crate::limits::{HYBRID_PROOF_LEN_MAX, TREE_DEPTH_MAX};
use crate::objects::root::RootBody;

/// A leaf's place in a tree that both halves of a key signed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HybridProof {
    /// Leaves of the tree.
    pub tree_size: u32,
    /// Place of this leaf, from 0.
    pub index: u32,
    /// Sibling hashes from the bottom up.
    pub path: List<Fixed<32>, TREE_DEPTH_MAX>,
    /// ECDSA signature over the tree's preimage, r || s.
    pub p256: Fixed<64>,
    /// ML-DSA-65 signature over the same.
    pub ml_dsa: Bytes<ML_DSA_SIGNATURE_LEN>,
    /// The key. It counts where the trusted root has its hash: a root holds no key of this length.
    pub key: Bytes<HYBRID_KEY_LEN>,
}

/// An object of suite 2 as received: nothing in it is believed yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedHybrid<'a> {
    header: Header,
    proof: HybridProof,
    body: &'a [u8],
}

impl<'a> UnverifiedHybrid<'a> {
    /// Reads one object from the front of `bytes` and returns it with what follows.
    /// The body may have at most `body_len_max` bytes.
    ///
    /// # Errors
    /// It is none, or of another suite.
    pub fn read(bytes: &'a [u8], body_len_max: usize) -> Result<(Self, &'a [u8]), ObjectError> {
        let header = Header::from_bytes_in(HYBRID_SUITE, bytes).map_err(ObjectError::Header)?;
        let (proof, rest) = split(bytes)?;
        let proof = codec::decode(proof, HYBRID_PROOF_LEN_MAX).map_err(ObjectError::Proof)?;
        let (body, rest) = header.take_body(rest, body_len_max)?;
        Ok((UnverifiedHybrid { header, proof, body }, rest))
    }

    /// The header, before anything is known of who made it.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The proof.
    pub fn proof(&self) -> &HybridProof {
        &self.proof
    }

    /// Verifies against a trusted root: it names the key by its hash, in the role of this kind.
    ///
    /// # Errors
    /// The root has no such key, a half of the signature does not hold, or the body is another.
    pub fn verify(&self, root: &RootBody) -> Result<Object<'a>, ObjectError> {
        let (header, proof) = (&self.header, &self.proof);
        let key = HybridVerifyingKey::from_bytes(&proof.key).map_err(|_| VerifyError::OtherKey)?;
        let named = root.keys(header.kind.role()).any(|name| *name == key.name());
        if !named || header.key_id != key.id() {
            return Err(VerifyError::OtherKey.into());
        }
        let place = (proof.tree_size, proof.index);
        let signed = signed_tree(HYBRID_SUITE, header, place, &proof.path)?;
        key.verify(&signed, &proof.p256.0, &proof.ml_dsa).map_err(|_| VerifyError::Signature)?;
        check_body(header, self.body)
    }
}

/// Signs all of `headers` with one signature of both kinds, as
/// [`sign_batch`](super::sign_batch) does with one of P-256.
pub fn sign_hybrid_batch(
    headers: &mut [Header],
    key: &HybridKey,
    p256: &(impl Sign + ?Sized),
    entropy: &[u8; 32],
) -> Option<Vec<HybridProof>> {
    let planted = plant(HYBRID_SUITE, headers, key.id())?;
    let signature = key.sign(&planted.preimage, p256, entropy).ok()?;
    let ml_dsa = Bytes::new(signature.ml_dsa)?;
    let public = Bytes::new(key.public())?;
    let proof = |Place { tree_size, index, path }| HybridProof {
        tree_size,
        index,
        path,
        p256: Fixed(signature.p256),
        ml_dsa: ml_dsa.clone(),
        key: public.clone(),
    };
    Some(planted.places.into_iter().map(proof).collect())
}

/// The bytes of an object of suite 2.
pub fn write_hybrid(header: &Header, proof: &HybridProof, body: &[u8]) -> Vec<u8> {
    let len_max = 85 + 32 * proof.path.len() + ML_DSA_SIGNATURE_LEN + HYBRID_KEY_LEN;
    frame(&header.to_bytes_in(HYBRID_SUITE), (proof, len_max), body)
}
