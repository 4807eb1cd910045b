//! Files: magic, kind, version, then objects one behind the other.

use alloc::vec::Vec;

use crate::errors::{ErrorCode, Failure};
use crate::ids::RootFp;
use crate::signed::{HYBRID_SUITE, HeaderError, ObjectError, UnverifiedObject};

/// The first bytes of every file.
pub const MAGIC: &[u8; 8] = b"STRGROOM";

/// Bytes in front of the first object.
pub const PREFIX_LEN: usize = MAGIC.len() + 2;

/// Version of all kinds of file so far.
pub const VERSION: u8 = 1;

/// What a file holds. Numbers are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
#[non_exhaustive]
pub enum FileKind {
    /// A firm's public root: one root object.
    Root = 1,
    /// A device certificate and a context.
    Context = 2,
    /// The firm's roots, revocation and delegations, as far as they are needed, then an update.
    Update = 3,
    /// A device certificate and a receipt.
    Receipt = 4,
    /// The firm's roots, an artifact header, then encrypted content.
    Artifact = 5,
    /// The firm's roots, then its revocation if there is one: for containers and hosts.
    Trust = 6,
    /// The firm's roots, then delegations: for whom a right was handed on to.
    Delegation = 7,
    /// A device certificate, the head of a usage log, then its entries.
    UsageLog = 8,
    /// A firm's acknowledgement of a usage log.
    UsageAck = 9,
    /// A device certificate, then a firm and a nonce: a container asks what time it is.
    TimeRequest = 10,
    /// A time token.
    TimeToken = 11,
    /// A device certificate, a context, then the configuration whose hash stands in it.
    Inventory = 12,
    /// A device certificate and a final statement.
    FinalStatement = 13,
    /// A device certificate and a proof of use.
    Proof = 14,
    /// A block with what is needed to open it.
    Block = 15,
    /// The firm's roots, revocation and delegations, as far as they are needed, then updates in the
    /// order in which one container applies them.
    Updates = 16,
    /// What a soft license's container is bound to, as it lies in its folder.
    SoftContainer = 17,
    /// The sealed state of such a container.
    SoftState = 18,
    /// A container asks a firm to certify it.
    Enrollment = 19,
    /// What it has to prove first.
    EnrollmentChallenge = 20,
    /// The proof.
    EnrollmentProof = 21,
    /// The firm's roots, then a device certificate.
    Certification = 22,
}

/// Bytes of a request for the time behind the certificate: the firm, then the nonce.
pub const TIME_REQUEST_LEN: usize = 16 + 32;

/// Takes a request for the time apart: the firm that is asked, and the nonce.
pub fn split_time_request(bytes: &[u8; TIME_REQUEST_LEN]) -> (RootFp, [u8; 32]) {
    let (mut root_fp, mut nonce) = ([0; 16], [0; 32]);
    root_fp.copy_from_slice(&bytes[..16]);
    nonce.copy_from_slice(&bytes[16..]);
    (RootFp::new(root_fp), nonce)
}

impl FileKind {
    const ALL: [FileKind; 22] = [
        FileKind::Root,
        FileKind::Context,
        FileKind::Update,
        FileKind::Receipt,
        FileKind::Artifact,
        FileKind::Trust,
        FileKind::Delegation,
        FileKind::UsageLog,
        FileKind::UsageAck,
        FileKind::TimeRequest,
        FileKind::TimeToken,
        FileKind::Inventory,
        FileKind::FinalStatement,
        FileKind::Proof,
        FileKind::Block,
        FileKind::Updates,
        FileKind::SoftContainer,
        FileKind::SoftState,
        FileKind::Enrollment,
        FileKind::EnrollmentChallenge,
        FileKind::EnrollmentProof,
        FileKind::Certification,
    ];

    /// In words.
    pub const fn name(self) -> &'static str {
        match self {
            FileKind::Root => "root",
            FileKind::Context => "context",
            FileKind::Update => "update",
            FileKind::Receipt => "receipt",
            FileKind::Artifact => "protected content",
            FileKind::Trust => "roots and revocations",
            FileKind::Delegation => "delegation",
            FileKind::UsageLog => "usage log",
            FileKind::UsageAck => "acknowledgement of a usage log",
            FileKind::TimeRequest => "request for the time",
            FileKind::TimeToken => "time token",
            FileKind::Inventory => "inventory",
            FileKind::FinalStatement => "final statement",
            FileKind::Proof => "proof of use",
            FileKind::Block => "block",
            FileKind::Updates => "updates",
            FileKind::SoftContainer => "binding of a soft license",
            FileKind::SoftState => "state of a soft license",
            FileKind::Enrollment => "request for a certificate",
            FileKind::EnrollmentChallenge => "challenge to a container",
            FileKind::EnrollmentProof => "answer to a challenge",
            FileKind::Certification => "certificate of a container",
        }
    }
}

/// Starts a file.
pub fn prefix(kind: FileKind) -> [u8; PREFIX_LEN] {
    let mut out = [0; PREFIX_LEN];
    out[..MAGIC.len()].copy_from_slice(MAGIC);
    out[MAGIC.len()] = kind as u8;
    out[MAGIC.len() + 1] = VERSION;
    out
}

/// A file of `kind` with these objects.
pub fn write(kind: FileKind, objects: &[&[u8]]) -> Vec<u8> {
    let mut out = Vec::from(prefix(kind));
    objects.iter().for_each(|object| out.extend_from_slice(object));
    out
}

/// What kind of file `bytes` begin, and what follows.
pub fn kind(bytes: &[u8]) -> Result<(FileKind, &[u8]), Failure> {
    let Some((prefix, rest)) = bytes.split_at_checked(PREFIX_LEN) else {
        let is_start =
            MAGIC.starts_with(bytes.get(..MAGIC.len()).unwrap_or(bytes)) && !bytes.is_empty();
        let missing = (PREFIX_LEN - bytes.len()) as u64;
        return Err(if is_start {
            ErrorCode::CutShort.with(missing, 0)
        } else {
            ErrorCode::NotStrongroom.failure()
        });
    };
    if &prefix[..MAGIC.len()] != MAGIC {
        return Err(ErrorCode::NotStrongroom.failure());
    }
    let version = prefix[MAGIC.len() + 1];
    if version != VERSION {
        return Err(ErrorCode::NewerVersion.with(version.into(), 0));
    }
    let number = prefix[MAGIC.len()];
    match FileKind::ALL.into_iter().find(|kind| *kind as u8 == number) {
        Some(kind) => Ok((kind, rest)),
        None => Err(ErrorCode::NewerVersion.with(number.into(), 0)),
    }
}

/// What follows the prefix of a file that must be of kind `wanted`.
pub fn expect(bytes: &[u8], wanted: FileKind) -> Result<&[u8], Failure> {
    let (found, rest) = kind(bytes)?;
    if found == wanted {
        Ok(rest)
    } else {
        Err(ErrorCode::OtherFileKind.with(found as u64, wanted as u64))
    }
}

/// Reads the next object of a file, with its reason as a failure.
pub fn next_object(
    bytes: &[u8],
    body_len_max: usize,
) -> Result<(UnverifiedObject<'_>, &[u8]), Failure> {
    UnverifiedObject::read(bytes, body_len_max).map_err(object_failure)
}

/// Refuses what is left over behind the last object.
pub fn finish(rest: &[u8]) -> Result<(), Failure> {
    if rest.is_empty() { Ok(()) } else { Err(ErrorCode::Malformed.failure()) }
}

/// The number for an object that could not be read.
pub fn object_failure(error: ObjectError) -> Failure {
    match error {
        ObjectError::Header(HeaderError::Suite(HYBRID_SUITE)) => {
            ErrorCode::SuiteForHosts.with(HYBRID_SUITE.into(), 0)
        }
        ObjectError::Header(HeaderError::Suite(version)) => {
            ErrorCode::NewerVersion.with(version.into(), 0)
        }
        ObjectError::Header(HeaderError::Short) => ErrorCode::CutShort.with(1, 0),
        ObjectError::Short { missing } => ErrorCode::CutShort.with(missing as u64, 0),
        ObjectError::BodyLen { len, max } => ErrorCode::TooLong.with(len as u64, max as u64),
        _ => ErrorCode::Malformed.failure(),
    }
}
