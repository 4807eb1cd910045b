//! A root: a firm's (or a maker's) name, its keys and what each may sign.
//!
//! Version 1 is trusted by its fingerprint; how it got there is the owner's decision at the first
//! update.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, Fixed, List, Text};
use crate::crypto::ecdsa::{self, SigningKey, VerifyingKey};
use crate::crypto::hash::sha256;
use crate::ids::{FirmCode, KeyId, RootFp};
use crate::limits::{
    FIRM_NAME_LEN_MAX, ROLE_KEYS_MAX, ROLES_MAX, ROOT_BODY_LEN_MAX, ROOT_SIGNATURES_MAX,
};
use crate::signed::{
    Header, Kind, ObjectError, Proof, Role, UnverifiedObject, VerifyError, write_object,
};

/// Whether a firm plays or sells. A test firm's licenses go into simulated containers only, a live
/// firm's never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Mode {
    /// Simulated containers, nothing of value.
    Test,
    /// Real containers.
    Live,
}

/// Keys of one role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoleKeys {
    /// The role.
    pub role: Role,
    /// How many distinct keys must sign. 1 for all roles but [`Role::Root`].
    pub threshold: u8,
    /// Compressed SEC 1 points, 33 bytes each.
    pub keys: List<Fixed<33>, ROLE_KEYS_MAX>,
}

/// The body of a root.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RootBody {
    /// Test or live.
    pub mode: Mode,
    /// The firm's name, for people.
    pub name: Text<FIRM_NAME_LEN_MAX>,
    /// The firm's number, for people.
    pub firm_code: FirmCode,
    /// Roles in rising order, each at most once.
    pub roles: List<RoleKeys, ROLES_MAX>,
}

/// A root that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The firm.
    pub root_fp: RootFp,
    /// Version, from 1.
    pub version: u64,
    /// Contents.
    pub body: RootBody,
}

/// Why a root was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum RootError {
    /// Not an object, or a wrong signature.
    #[cfg_attr(feature = "std", error(transparent))]
    Object(ObjectError),
    /// The signed body cannot be read.
    #[cfg_attr(feature = "std", error("the signed body cannot be read: {0}"))]
    Body(DecodeError),
    /// The body contradicts itself.
    #[cfg_attr(feature = "std", error("{0}"))]
    Contents(&'static str),
    /// Fewer distinct keys signed than the root itself demands.
    #[cfg_attr(feature = "std", error("{found} distinct keys signed, {needed} are needed"))]
    Threshold {
        /// Distinct keys whose signatures hold.
        found: u8,
        /// Distinct keys needed.
        needed: u8,
    },
    /// Another kind of object, or another version than 1.
    #[cfg_attr(feature = "std", error("not a root of version 1"))]
    NotFirst,
}

impl Root {
    /// Verifies a root v1, which vouches for itself: its fingerprint is what callers compare.
    pub fn verify_first(object: &UnverifiedObject<'_>) -> Result<Root, RootError> {
        let header = object.header();
        let zero = RootFp::default();
        if header.kind != Kind::Root || header.seq != 1 || header.root_fp != zero {
            return Err(RootError::NotFirst);
        }
        // A root v1 names the keys that must have signed it, so its body is read before its
        // signatures are checked; the hash in the signed header is compared first, and
        // nothing is taken from it until they hold.
        let object_checked = object.checked().map_err(RootError::Object)?;
        let body: RootBody =
            codec::decode(object_checked.body, ROOT_BODY_LEN_MAX).map_err(RootError::Body)?;
        body.check().map_err(RootError::Contents)?;
        let root = Root { root_fp: fingerprint(header), version: 1, body };
        root.check_threshold(header, object.proof())?;
        Ok(root)
    }

    /// Keys that hold `role`.
    pub fn keys(&self, role: Role) -> impl Iterator<Item = &Fixed<33>> {
        self.body
            .roles
            .iter()
            .filter(move |keys| keys.role == role)
            .flat_map(|keys| keys.keys.iter())
    }

    /// The key of `role` that `key_id` names.
    pub fn key(&self, role: Role, key_id: KeyId) -> Option<VerifyingKey> {
        self.keys(role)
            .filter_map(|bytes| VerifyingKey::from_bytes(&bytes.0).ok())
            .find(|key| key.id() == key_id)
    }

    /// Signs and writes a root v1.
    pub fn write_first(
        body: &RootBody,
        issued_s: u64,
        signers: &[&SigningKey],
        entropy: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let bytes = codec::encode(body);
        let header = Header { seq: 1, issued_s, ..Header::new(Kind::Root, &bytes) };
        let preimage = header.preimage();
        let signatures = signers
            .iter()
            .map(|key| (key.verifying_key().id(), Fixed(key.sign(&preimage, entropy))))
            .collect();
        let proof = Proof::Threshold(List::<_, ROOT_SIGNATURES_MAX>::new(signatures)?);
        (bytes.len() <= ROOT_BODY_LEN_MAX).then(|| write_object(&header, &proof, &bytes))
    }

    fn check_threshold(&self, header: &Header, proof: &Proof) -> Result<(), RootError> {
        let Proof::Threshold(signatures) = proof else {
            return Err(RootError::Object(ObjectError::Verify(VerifyError::Form)));
        };
        let preimage = header.preimage();
        let needed = self.threshold();
        // Counted per distinct key of the root, so that a repeated signature adds nothing.
        let found = self
            .keys(Role::Root)
            .filter_map(|bytes| VerifyingKey::from_bytes(&bytes.0).ok())
            .filter(|key| {
                signatures.iter().any(|(id, signature)| {
                    *id == key.id() && ecdsa::verify(key, &preimage, &signature.0).is_ok()
                })
            })
            .count() as u8;
        if found < needed { Err(RootError::Threshold { found, needed }) } else { Ok(()) }
    }

    fn threshold(&self) -> u8 {
        self.body
            .roles
            .iter()
            .find(|keys| keys.role == Role::Root)
            .map_or(u8::MAX, |keys| keys.threshold)
    }
}

impl RootBody {
    /// Whether the roles make sense together.
    fn check(&self) -> Result<(), &'static str> {
        if !self.roles.windows(2).all(|pair| pair[0].role < pair[1].role) {
            return Err("roles are not in rising order, or one appears twice");
        }
        if self.roles.first().map(|keys| keys.role) != Some(Role::Root) {
            return Err("no keys for the root itself");
        }
        self.roles.iter().try_for_each(RoleKeys::check)
    }
}

impl RoleKeys {
    fn check(&self) -> Result<(), &'static str> {
        if self.role == Role::Container {
            return Err("a container's own role stands in no root");
        }
        let threshold = usize::from(self.threshold);
        if threshold == 0 || threshold > self.keys.len() {
            return Err("a threshold of zero, or above the number of keys");
        }
        if self.role != Role::Root && threshold != 1 {
            return Err("a threshold above one for a role that signs trees");
        }
        let distinct = self.keys.iter().enumerate().all(|(i, key)| !self.keys[..i].contains(key));
        if !distinct {
            return Err("a key is listed twice");
        }
        if self.keys.iter().any(|key| VerifyingKey::from_bytes(&key.0).is_err()) {
            return Err("a key that is no point of the curve");
        }
        Ok(())
    }
}

/// First 16 bytes of SHA-256 over the preimage of a root v1.
fn fingerprint(header: &Header) -> RootFp {
    let mut fp = [0; 16];
    fp.copy_from_slice(&sha256(&header.preimage())[..16]);
    RootFp::new(fp)
}
