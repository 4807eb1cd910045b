//! A root: a firm's (or a maker's) name, its keys and what each may sign.
//!
//! Version 1 is trusted by its fingerprint; how it got there is the owner's decision at the first
//! update. Version N + 1 is trusted where version N is: it names it by its hash, and is signed by
//! the threshold of both. So a root that was skipped leads nowhere.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, Fixed, List, Text};
use crate::crypto::ecdsa::{Sign, VerifyingKey};
use crate::crypto::hash::sha256;
use crate::ids::{FirmCode, KeyId, RootFp};
use crate::limits::{
    FIRM_NAME_LEN_MAX, ROLE_KEYS_MAX, ROLES_MAX, ROOT_BODY_LEN_MAX, ROOT_KEYS_MAX,
};
use crate::signed::{
    HYBRID_SUITE, Header, Kind, ObjectError, Proof, Role, SUITE, UnverifiedObject, VerifyError,
    sign_threshold, verify_threshold, write_object,
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
    /// How many distinct keys must sign. 1 for roles that sign trees ([`Role::has_threshold`]).
    pub threshold: u8,
    /// Compressed SEC 1 points, or hashes of hybrid keys.
    pub keys: List<RootKey, ROLE_KEYS_MAX>,
}

/// What a root says for a key: a compressed point of P-256 (suite 1), or [`HYBRID_NAME`] and the
/// SHA-256 of a key of suite 2. So the trusted root fixes the suite of each key.
pub type RootKey = Fixed<33>;

/// Begins the name of a key of suite 2. Points begin with 2 or 3.
pub const HYBRID_NAME: u8 = 0x12;

/// The name of a key of suite 2.
pub fn hybrid_name(public: &[u8]) -> RootKey {
    let mut name = [HYBRID_NAME; 33];
    name[1..].copy_from_slice(&sha256(public));
    Fixed(name)
}

/// The suite of the key that `name` stands for, and its id.
pub fn named_key(name: &RootKey) -> Option<(u8, KeyId)> {
    match name.0 {
        [HYBRID_NAME, a, b, c, d, e, f, g, h, ..] => {
            Some((HYBRID_SUITE, KeyId::new([a, b, c, d, e, f, g, h])))
        }
        point => VerifyingKey::from_bytes(&point).ok().map(|key| (SUITE, key.id())),
    }
}

/// The body of a root v1, and the beginning of every later one.
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

/// The body of a root from version 2 on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NextBody {
    /// What every root says.
    pub body: RootBody,
    /// The least epoch of revocations under which a delegation counts.
    pub min_epoch: u32,
}

/// A root that was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// The firm.
    pub root_fp: RootFp,
    /// Version, from 1.
    pub version: u64,
    /// SHA-256 of its preimage: what the next root and revocations name.
    pub hash: [u8; 32],
    /// Last second in which it counts, for who knows the time; 0 = no end.
    pub until_s: u64,
    /// The least epoch of revocations under which a delegation counts.
    pub min_epoch: u32,
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
    /// The body contradicts itself, or the root before it.
    #[cfg_attr(feature = "std", error("{0}"))]
    Contents(&'static str),
    /// Fewer distinct keys signed than the root itself demands, or the one before it.
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
    /// Another version than the next.
    #[cfg_attr(feature = "std", error("root version {found}, where {needed} is the next"))]
    NotNext {
        /// The version that it has.
        found: u64,
        /// The version that would follow.
        needed: u64,
    },
}

impl Root {
    /// Verifies a root v1, which vouches for itself: its fingerprint is what callers compare.
    pub fn verify_first(object: &UnverifiedObject<'_>) -> Result<Root, RootError> {
        let header = object.header();
        let zero = RootFp::default();
        if header.kind != Kind::Root || header.seq != 1 || header.root_fp != zero {
            return Err(RootError::NotFirst);
        }
        // A root names the keys that must have signed it, so its body is read before its
        // signatures are checked; the hash in the signed header is compared first, and
        // nothing is taken from it until they hold.
        let body: RootBody = read_body(object)?;
        body.check().map_err(RootError::Contents)?;
        body.check_signed(header, object.proof(), Role::Root)?;
        let hash = header.hash();
        let root_fp = fingerprint(&hash);
        Ok(Root { root_fp, version: 1, hash, until_s: header.until_s, min_epoch: 0, body })
    }

    /// Verifies the root that follows this one.
    pub fn verify_next(&self, object: &UnverifiedObject<'_>) -> Result<Root, RootError> {
        let header = object.header();
        if header.kind != Kind::Root || header.root_fp != self.root_fp {
            return Err(RootError::Contents("not a root of this vendor"));
        }
        if header.seq != self.version + 1 {
            return Err(RootError::NotNext { found: header.seq, needed: self.version + 1 });
        }
        if header.state != self.hash {
            return Err(RootError::Contents("it follows another root of the same version"));
        }
        self.body.check_signed(header, object.proof(), Role::Root)?;
        let NextBody { body, min_epoch } = read_body(object)?;
        body.check().map_err(RootError::Contents)?;
        body.check_signed(header, object.proof(), Role::Root)?;
        if body.mode != self.body.mode {
            return Err(RootError::Contents("a test vendor stays one, and a live one too"));
        }
        Ok(Root {
            root_fp: self.root_fp,
            version: header.seq,
            hash: header.hash(),
            until_s: header.until_s,
            min_epoch,
            body,
        })
    }

    /// Keys that hold `role`.
    pub fn keys(&self, role: Role) -> impl Iterator<Item = &RootKey> {
        self.body.keys(role)
    }

    /// The key of `role` that `key_id` names.
    pub fn key(&self, role: Role, key_id: KeyId) -> Option<VerifyingKey> {
        self.body.key(role, key_id)
    }

    /// Signs and writes a root v1.
    pub fn write_first(
        body: &RootBody,
        issued_s: u64,
        signers: &[&(impl Sign + ?Sized)],
        entropy: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let bytes = codec::encode(body);
        let header = Header { seq: 1, issued_s, ..Header::new(Kind::Root, &bytes) };
        write(header, &bytes, signers, entropy)
    }

    /// Signs and writes the root that follows this one. `signers` are those of both thresholds.
    pub fn write_next(
        &self,
        body: &NextBody,
        (issued_s, until_s): (u64, u64),
        signers: &[&(impl Sign + ?Sized)],
        entropy: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let bytes = codec::encode(body);
        let header = Header {
            root_fp: self.root_fp,
            seq: self.version.checked_add(1)?,
            state: self.hash,
            issued_s,
            until_s,
            ..Header::new(Kind::Root, &bytes)
        };
        write(header, &bytes, signers, entropy)
    }
}

impl RootBody {
    /// Keys and threshold of a role, if there are any.
    pub fn role(&self, role: Role) -> Option<&RoleKeys> {
        self.roles.iter().find(|keys| keys.role == role)
    }

    /// Keys that hold `role`.
    pub fn keys(&self, role: Role) -> impl Iterator<Item = &Fixed<33>> {
        self.role(role).into_iter().flat_map(|keys| keys.keys.iter())
    }

    /// The key of `role` that `key_id` names.
    pub fn key(&self, role: Role, key_id: KeyId) -> Option<VerifyingKey> {
        self.verifying_keys(role).find(|key| key.id() == key_id)
    }

    /// The suite of what `role` signs for hosts alone: 2 as soon as it has a key of suite 2, and
    /// then no other counts.
    pub fn host_suite(&self, role: Role) -> u8 {
        let is_hybrid = |name: &RootKey| name.0[0] == HYBRID_NAME;
        if self.keys(role).any(is_hybrid) { HYBRID_SUITE } else { SUITE }
    }

    /// Checks that the threshold of `role`, the one of the header's kind, signed the header.
    pub fn check_signed(
        &self,
        header: &Header,
        proof: &Proof,
        role: Role,
    ) -> Result<(), RootError> {
        let needed = self.role(role).map_or(u8::MAX, |keys| keys.threshold);
        if header.kind.role() != role || header.role != role {
            return Err(RootError::Object(VerifyError::Form.into()));
        }
        match verify_threshold(header, proof, self.verifying_keys(role), needed) {
            Ok(()) => Ok(()),
            Err(VerifyError::Threshold { found, needed }) => {
                Err(RootError::Threshold { found, needed })
            }
            Err(error) => Err(RootError::Object(error.into())),
        }
    }

    /// Whether the roles make sense together.
    pub fn check(&self) -> Result<(), &'static str> {
        if !self.roles.windows(2).all(|pair| pair[0].role < pair[1].role) {
            return Err("roles are not in rising order, or one appears twice");
        }
        if self.roles.first().map(|keys| keys.role) != Some(Role::Root) {
            return Err("no keys for the root itself");
        }
        if self.roles.iter().map(|keys| keys.keys.len()).sum::<usize>() > ROOT_KEYS_MAX {
            return Err("more keys than a root may have");
        }
        self.roles.iter().try_for_each(RoleKeys::check)?;
        self.check_apart()
    }

    /// A key that signs trees signs nothing else, so it holds no role with a threshold.
    fn check_apart(&self) -> Result<(), &'static str> {
        let of = |threshold: bool| {
            let roles =
                self.roles.iter().filter(move |keys| keys.role.has_threshold() == threshold);
            roles.flat_map(|keys| keys.keys.iter())
        };
        match of(true).any(|key| of(false).any(|other| other == key)) {
            true => Err("one key for a role that signs trees and for one that does not"),
            false => Ok(()),
        }
    }

    fn verifying_keys(&self, role: Role) -> impl Iterator<Item = VerifyingKey> {
        self.keys(role).filter_map(|bytes| VerifyingKey::from_bytes(&bytes.0).ok())
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
        if !self.role.has_threshold() && threshold != 1 {
            return Err("a threshold above one for a role that signs trees");
        }
        let distinct = self.keys.iter().enumerate().all(|(i, key)| !self.keys[..i].contains(key));
        if !distinct {
            return Err("a key is listed twice");
        }
        let suites = || self.keys.iter().map(|name| named_key(name).map(|(suite, _)| suite));
        if suites().any(|suite| suite.is_none()) {
            return Err("a key that is no point of the curve");
        }
        let hybrid = suites().any(|suite| suite == Some(HYBRID_SUITE));
        // Other roles sign what containers verify, and nothing else.
        if hybrid && self.role != Role::Licensing {
            return Err("a key of suite 2 for a role other than licensing");
        }
        if hybrid && !suites().any(|suite| suite == Some(SUITE)) {
            return Err("no key that containers verify beside those of suite 2");
        }
        Ok(())
    }
}

fn read_body<T: Serialize + serde::de::DeserializeOwned>(
    object: &UnverifiedObject<'_>,
) -> Result<T, RootError> {
    let object = object.checked().map_err(RootError::Object)?;
    codec::decode(object.body, ROOT_BODY_LEN_MAX).map_err(RootError::Body)
}

fn write(
    header: Header,
    body: &[u8],
    signers: &[&(impl Sign + ?Sized)],
    entropy: &[u8; 32],
) -> Option<Vec<u8>> {
    let proof = sign_threshold(&header, signers, entropy)?;
    (body.len() <= ROOT_BODY_LEN_MAX).then(|| write_object(&header, &proof, body))
}

/// First 16 bytes of SHA-256 over the preimage of a root v1.
fn fingerprint(hash: &[u8; 32]) -> RootFp {
    let mut fp = [0; 16];
    fp.copy_from_slice(&hash[..16]);
    RootFp::new(fp)
}
