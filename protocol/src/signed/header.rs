//! The header that every signed object has: fixed width, big-endian, 144 bytes.

use alloc::vec::Vec;

use crate::crypto::hash::sha256;
use crate::ids::{KeyId, RootFp};

/// Bytes of a header.
pub const HEADER_LEN: usize = 144;

/// The suite that version byte 1 names: P-256, SHA-256, AES-256-GCM, postcard.
pub const SUITE: u8 = 1;

/// The suite that version byte 2 names: suite 1, and over a tree ML-DSA-65 beside P-256. Hosts
/// verify it, containers do not.
pub const HYBRID_SUITE: u8 = 2;

/// What an object is. The number stands in the header; the label starts the preimage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum Kind {
    /// A firm's (or a maker's) keys and roles.
    Root = 1,
    /// A container's keys, certified by a `device` role.
    Device = 2,
    /// A container's description of itself for one firm.
    Context = 3,
    /// A change of what a firm keeps in a container.
    Update = 4,
    /// A container's proof of an applied update.
    Receipt = 5,
    /// The header of a protected program or file.
    Artifact = 6,
    /// An answer to a container that asked for the time.
    TimeToken = 7,
    /// A right to issue, handed on to another key.
    Delegation = 8,
    /// Keys, containers and firmware that count no more.
    Revocation = 9,
    /// A change in a container that the `recovery` role may make.
    Recovery = 10,
    /// A container's usage log, up to one entry.
    UsageHead = 11,
    /// A firm's word that it has a usage log, up to one entry.
    UsageAck = 12,
    /// A container's proof that a license is in use.
    Proof = 13,
    /// What a container that is decommissioned leaves to a firm.
    Final = 14,
    /// A server's word that a seat is held until a time.
    Lease = 15,
    /// A container asks a firm to certify its keys.
    Enrollment = 16,
    /// A container's proof that it is where it said.
    EnrollmentProof = 17,
}

impl Kind {
    /// All kinds, for tests that pair each with each.
    pub const ALL: [Kind; 17] = [
        Kind::Root,
        Kind::Device,
        Kind::Context,
        Kind::Update,
        Kind::Receipt,
        Kind::Artifact,
        Kind::TimeToken,
        Kind::Delegation,
        Kind::Revocation,
        Kind::Recovery,
        Kind::UsageHead,
        Kind::UsageAck,
        Kind::Proof,
        Kind::Final,
        Kind::Lease,
        Kind::Enrollment,
        Kind::EnrollmentProof,
    ];

    /// The domain label. None is a prefix of another.
    pub const fn label(self) -> &'static [u8] {
        match self {
            Kind::Root => b"strongroom/root/v1",
            Kind::Device => b"strongroom/device/v1",
            Kind::Context => b"strongroom/context/v1",
            Kind::Update => b"strongroom/update/v1",
            Kind::Receipt => b"strongroom/receipt/v1",
            Kind::Artifact => b"strongroom/artifact/v1",
            Kind::TimeToken => b"strongroom/time-token/v1",
            Kind::Delegation => b"strongroom/delegation/v1",
            Kind::Revocation => b"strongroom/revocation/v1",
            Kind::Recovery => b"strongroom/recovery/v1",
            Kind::UsageHead => b"strongroom/usage-head/v1",
            Kind::UsageAck => b"strongroom/usage-ack/v1",
            Kind::Proof => b"strongroom/proof/v1",
            Kind::Final => b"strongroom/final/v1",
            Kind::Lease => b"strongroom/lease/v1",
            Kind::Enrollment => b"strongroom/enrollment/v1",
            Kind::EnrollmentProof => b"strongroom/proof-of-enrollment/v1",
        }
    }

    /// The one role whose keys may sign this kind.
    pub const fn role(self) -> Role {
        match self {
            Kind::Root => Role::Root,
            Kind::Device => Role::Device,
            Kind::Context
            | Kind::Receipt
            | Kind::UsageHead
            | Kind::Proof
            | Kind::Final
            | Kind::Enrollment
            | Kind::EnrollmentProof => Role::Container,
            Kind::Update | Kind::Delegation | Kind::Lease => Role::Licensing,
            Kind::Artifact => Role::Protect,
            Kind::TimeToken => Role::Time,
            Kind::Revocation => Role::Revocation,
            Kind::Recovery => Role::Recovery,
            Kind::UsageAck => Role::Log,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// What a key may sign. Numbers are never reused.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize,
)]
#[repr(u8)]
#[non_exhaustive]
pub enum Role {
    /// Roots.
    Root = 0,
    /// Updates, delegations and leases.
    Licensing = 1,
    /// Artifacts.
    Protect = 2,
    /// Device certificates.
    Device = 3,
    /// Time tokens.
    Time = 4,
    /// Revocation sets.
    Revocation = 5,
    /// Acknowledgements of usage logs.
    Log = 6,
    /// Turning checkpoint licenses perpetual.
    Recovery = 7,
    /// A container's own statements. Never in a root.
    Container = 8,
}

impl Role {
    /// All roles, for tests that pair each with each.
    pub const ALL: [Role; 9] = [
        Role::Root,
        Role::Licensing,
        Role::Protect,
        Role::Device,
        Role::Time,
        Role::Revocation,
        Role::Log,
        Role::Recovery,
        Role::Container,
    ];

    /// Whether objects of this role carry the signatures of several people over the object itself.
    /// All other roles of a root sign trees, with one key.
    pub const fn has_threshold(self) -> bool {
        matches!(self, Role::Root | Role::Revocation | Role::Recovery)
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Role::ALL.into_iter().find(|role| *role as u8 == byte)
    }
}

/// The header of a signed object. A field that a kind does not use is zero, and is refused
/// otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// What follows.
    pub kind: Kind,
    /// Who signs.
    pub role: Role,
    /// Whose object this is. Zero in a root v1, which defines it.
    pub root_fp: RootFp,
    /// Which key signs. Zero where a threshold does, since the proof names its keys.
    pub key_id: KeyId,
    /// A container (all but root, delegation, revocation, artifact and lease), an artifact, or the
    /// grant of a lease.
    pub target: [u8; 16],
    /// `firm_seq` (context, update, recovery, receipt, proof, final), version (root), epoch
    /// (revocation), number of the last entry (usage head and acknowledgement), or number of the
    /// request that is answered (lease).
    pub seq: u64,
    /// `firm_state_hash` before (update, recovery) or at (context, receipt, proof, final) `seq`;
    /// hash of the preimage of the root before this one (root), or of the one that it goes with
    /// (revocation); the nonce that it answers (time token); the head after `seq` (usage head and
    /// acknowledgement).
    pub state: [u8; 32],
    /// When it was signed, Unix seconds UTC by the signer's clock.
    pub issued_s: u64,
    /// Last second in which it counts (`apply_before` of an update, expiry of a root, certificate,
    /// delegation, revocation or lease); 0 = no end.
    pub until_s: u64,
    /// Position in the firm's log of issued licenses; 0 = not logged.
    pub log_index: u64,
    /// Bytes of the body.
    pub body_len: u32,
    /// SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// Why bytes are not a header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum HeaderError {
    /// Fewer bytes than a header has.
    #[cfg_attr(feature = "std", error("cut short inside the header"))]
    Short,
    /// Another suite than the one that is read: of a newer version, or the one for hosts.
    #[cfg_attr(feature = "std", error("suite {0} is not taken here"))]
    Suite(u8),
    /// A kind or role of a newer version.
    #[cfg_attr(feature = "std", error("kind {kind} with role {role} is not known to this version"))]
    Kind {
        /// The kind found.
        kind: u8,
        /// The role found.
        role: u8,
    },
    /// The role may not sign this kind, or a reserved byte is set.
    #[cfg_attr(feature = "std", error("this role may not sign this kind of object"))]
    Role,
}

impl Header {
    /// A header of `kind` with the right role and all else zero, for `body`.
    pub fn new(kind: Kind, body: &[u8]) -> Self {
        Header {
            kind,
            role: kind.role(),
            root_fp: RootFp::default(),
            key_id: KeyId::default(),
            target: [0; 16],
            seq: 0,
            state: [0; 32],
            issued_s: 0,
            until_s: 0,
            log_index: 0,
            // Bodies are bounded far below 2^32; one that is not is refused by its own limit.
            body_len: body.len().try_into().unwrap_or(u32::MAX),
            body_hash: sha256(body),
        }
    }

    /// The 144 bytes.
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        self.to_bytes_in(SUITE)
    }

    pub(super) fn to_bytes_in(self, suite: u8) -> [u8; HEADER_LEN] {
        let mut out = [0; HEADER_LEN];
        let mut writer = Writer { out: &mut out, at: 0 };
        writer.put(&[suite, self.kind as u8, self.role as u8, 0]);
        writer.put(self.root_fp.bytes());
        writer.put(self.key_id.bytes());
        writer.put(&self.target);
        writer.put(&self.seq.to_be_bytes());
        writer.put(&self.state);
        writer.put(&self.issued_s.to_be_bytes());
        writer.put(&self.until_s.to_be_bytes());
        writer.put(&self.log_index.to_be_bytes());
        writer.put(&self.body_len.to_be_bytes());
        writer.put(&self.body_hash);
        out
    }

    /// Reads a header from the front of `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, HeaderError> {
        Header::from_bytes_in(SUITE, bytes)
    }

    /// The same, of an object of one suite: the reader has it from the trusted key, and takes no
    /// other.
    pub(super) fn from_bytes_in(wanted: u8, bytes: &[u8]) -> Result<Self, HeaderError> {
        let bytes: &[u8; HEADER_LEN] =
            bytes.get(..HEADER_LEN).and_then(|b| b.try_into().ok()).ok_or(HeaderError::Short)?;
        let mut reader = Reader { bytes, at: 0 };
        let [suite, kind, role, reserved] = reader.take();
        if suite != wanted {
            return Err(HeaderError::Suite(suite));
        }
        let (Some(kind), Some(role)) = (Kind::from_byte(kind), Role::from_byte(role)) else {
            return Err(HeaderError::Kind { kind, role });
        };
        if role != kind.role() || reserved != 0 {
            return Err(HeaderError::Role);
        }
        Ok(Header {
            kind,
            role,
            root_fp: RootFp::new(reader.take()),
            key_id: KeyId::new(reader.take()),
            target: reader.take(),
            seq: u64::from_be_bytes(reader.take()),
            state: reader.take(),
            issued_s: u64::from_be_bytes(reader.take()),
            until_s: u64::from_be_bytes(reader.take()),
            log_index: u64::from_be_bytes(reader.take()),
            body_len: u32::from_be_bytes(reader.take()),
            body_hash: reader.take(),
        })
    }

    /// What is signed, or hashed into a tree: label, 0, length of the header, header.
    pub fn preimage(&self) -> Vec<u8> {
        self.preimage_in(SUITE)
    }

    pub(super) fn preimage_in(&self, suite: u8) -> Vec<u8> {
        let label = self.kind.label();
        let mut out = Vec::with_capacity(label.len() + 5 + HEADER_LEN);
        out.extend_from_slice(label);
        out.push(0);
        out.extend_from_slice(&(HEADER_LEN as u32).to_be_bytes());
        out.extend_from_slice(&self.to_bytes_in(suite));
        out
    }

    /// SHA-256 of the preimage: what names this object elsewhere (`update_hash`). Signatures never
    /// do.
    pub fn hash(&self) -> [u8; 32] {
        sha256(&self.preimage())
    }
}

struct Writer<'a> {
    out: &'a mut [u8; HEADER_LEN],
    at: usize,
}

impl Writer<'_> {
    fn put(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }
}

struct Reader<'a> {
    bytes: &'a [u8; HEADER_LEN],
    at: usize,
}

impl Reader<'_> {
    /// The fields' widths sum to the header's length (tested), so this stays inside.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        out.copy_from_slice(&self.bytes[self.at..self.at + N]);
        self.at += N;
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> Header {
        Header {
            root_fp: RootFp::new([1; 16]),
            key_id: KeyId::new([2; 8]),
            target: [3; 16],
            seq: 4,
            state: [5; 32],
            issued_s: 6,
            until_s: 7,
            log_index: 8,
            ..Header::new(Kind::Update, b"body")
        }
    }

    #[test]
    fn a_header_is_read_back() {
        assert_eq!(Header::from_bytes(&sample().to_bytes()), Ok(sample()));
    }

    #[test]
    fn every_cut_is_short() {
        let bytes = sample().to_bytes();
        for len in 0..HEADER_LEN {
            assert_eq!(Header::from_bytes(&bytes[..len]), Err(HeaderError::Short));
        }
    }

    #[test]
    fn newer_suites_and_kinds_are_named_as_such() {
        let mut bytes = sample().to_bytes();
        bytes[0] = 2;
        assert_eq!(Header::from_bytes(&bytes), Err(HeaderError::Suite(2)));
        bytes[0] = 1;
        bytes[1] = 200;
        assert_eq!(Header::from_bytes(&bytes), Err(HeaderError::Kind { kind: 200, role: 1 }));
    }

    #[test]
    fn only_the_role_of_a_kind_may_sign_it() {
        for kind in Kind::ALL {
            for role in Role::ALL {
                let mut bytes = Header::new(kind, b"").to_bytes();
                bytes[2] = role as u8;
                assert_eq!(Header::from_bytes(&bytes).is_ok(), role == kind.role());
            }
        }
    }

    #[test]
    fn sec_s04_no_label_is_a_prefix_of_another() {
        let mut labels: Vec<&[u8]> = Kind::ALL.iter().map(|kind| kind.label()).collect();
        labels.push(crate::signed::tree::LABEL);
        for (i, a) in labels.iter().enumerate() {
            for (j, b) in labels.iter().enumerate() {
                assert!(i == j || !a.starts_with(b));
            }
        }
    }
}
