//! What an attestation key signs: quotes, and contents of NV (`TPMS_ATTEST`; TCG TPM 2.0 Library,
//! Part 2, "Attestation Structures"). No byte of it is read before the signature holds.

use protocol::crypto::CryptoError;
use protocol::crypto::ecdsa::verify_any_s;
use protocol::crypto::hash::Hash32;

use crate::hash::HashAlg;
use crate::keys::AttestationKey;
use crate::nv::Index;
use crate::wire::{Reader, WireError};

/// `TPM_GENERATED_VALUE`: what a TPM puts in front of what it says itself, and of nothing else that
/// a restricted key signs (Part 2, 6.2).
const GENERATED: u32 = 0xff54_4347;
/// `TPM_ST_ATTEST_NV` (Part 2, 6.9).
const ATTEST_NV: u16 = 0x8014;
/// `TPM_ST_ATTEST_QUOTE` (Part 2, 6.9).
const ATTEST_QUOTE: u16 = 0x8018;
/// `TPM_ALG_ECDSA` (Part 2, 6.3).
const ALG_ECDSA: u16 = 0x0018;

/// Bytes of a name at most: of SHA-512, and its algorithm.
const NAME_LEN_MAX: usize = 66;
/// Bytes of a nonce at most (`TPM2B_DATA`).
const NONCE_LEN_MAX: usize = 66;
/// Banks of PCRs at most (`HASH_COUNT`).
const BANKS_MAX: u32 = 16;
/// Bytes of a selection from a bank at most: 32 PCRs.
const SELECT_LEN_MAX: u8 = 4;
/// Bytes of NV that are certified at once, at most (`MAX_NV_BUFFER_SIZE`).
const CONTENTS_LEN_MAX: usize = 2_048;

/// Where a TPM stands in its own time (`TPMS_CLOCK_INFO`; Part 2, 10.11.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClockInfo {
    /// Milliseconds that it was powered since it was last cleared.
    pub clock_ms: u64,
    /// Resets of it since then.
    pub reset_count: u32,
    /// Restarts and resumptions since the last reset.
    pub restart_count: u32,
    /// No later value of the clock has been told before.
    pub safe: bool,
}

/// PCRs of a bank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PcrSelection {
    /// `TPM_ALG_ID` of the bank.
    pub bank: u16,
    /// PCR 0 is the lowest bit of the first byte.
    pub bits: Vec<u8>,
}

/// A quote that held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quoted {
    /// When it was made.
    pub clock: ClockInfo,
    /// Version of the TPM's firmware, in a form of its maker.
    pub firmware_version: u64,
    /// PCRs that it covers.
    pub selections: Vec<PcrSelection>,
    /// SHA-256 over their values.
    pub pcr_digest: Hash32,
}

/// Contents of an NV index, certified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certified {
    /// When it was made.
    pub clock: ClockInfo,
    /// Version of the TPM's firmware, in a form of its maker.
    pub firmware_version: u64,
    /// All bytes of the index.
    pub contents: Vec<u8>,
}

impl Certified {
    /// The value of a counter.
    pub fn counter(&self) -> Option<u64> {
        self.contents[..].try_into().ok().map(u64::from_be_bytes)
    }
}

/// Why evidence was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvidenceError {
    /// The signature cannot be read.
    #[error("the signature cannot be read: {0}")]
    SignatureForm(WireError),
    /// The attestation key did not sign this.
    #[error("the attestation key did not sign this")]
    Signature,
    /// What was signed cannot be read.
    #[error("the attestation cannot be read: {0}")]
    Form(#[from] WireError),
    /// What was signed begins with this: no TPM says so.
    #[error("the attestation begins with {0:#x}, as nothing that a TPM made")]
    Magic(u32),
    /// It is of this type.
    #[error("the attestation is of type {0:#x}")]
    Type(u16),
    /// The signer hangs in another place than the endorsement hierarchy.
    #[error("the signer is no primary key of the endorsement hierarchy")]
    Signer,
    /// It answers another nonce.
    #[error("the attestation is for another nonce")]
    Nonce,
    /// It is about another index, or about one of other attributes, policy or size.
    #[error("the attestation is about another index")]
    Index,
    /// It begins at this offset of the index.
    #[error("the attestation begins at byte {0} of the index")]
    Offset(u16),
    /// It has this many bytes of the index, of so many.
    #[error("the attestation has {0} bytes of {1} of the index")]
    Len(usize, u16),
}

/// Judges a quote: `attest` as it was signed (a `TPMS_ATTEST`), `signature` a `TPMT_SIGNATURE`.
/// What the PCRs should be, the caller knows.
///
/// # Errors
/// As [`EvidenceError`] says; always [`EvidenceError::Signature`] or its form first.
pub fn verify_quote(
    ak: &AttestationKey,
    attest: &[u8],
    signature: &[u8],
    nonce: &Hash32,
) -> Result<Quoted, EvidenceError> {
    let (clock, firmware_version, mut rest) = open(ak, attest, signature, nonce, ATTEST_QUOTE)?;
    let selections = read_selections(&mut rest)?;
    let digest = rest.sized(HashAlg::Sha256.hash_len())?;
    let not_sha256 = |_| WireError::Value("length of the digest", digest.len() as u32);
    let pcr_digest = digest.try_into().map_err(not_sha256)?;
    rest.finish()?;
    Ok(Quoted { clock, firmware_version, selections, pcr_digest })
}

/// Judges a certified NV index: all of `index`, under the name that it has after it was checked.
/// `attest` and `signature` as for [`verify_quote`].
///
/// # Errors
/// As [`verify_quote`].
pub fn verify_nv_certify(
    ak: &AttestationKey,
    attest: &[u8],
    signature: &[u8],
    nonce: &Hash32,
    index: &Index,
) -> Result<Certified, EvidenceError> {
    let (clock, firmware_version, mut rest) = open(ak, attest, signature, nonce, ATTEST_NV)?;
    let name = rest.sized(NAME_LEN_MAX)?;
    let offset = rest.u16()?;
    let contents = rest.sized(CONTENTS_LEN_MAX)?.to_vec();
    rest.finish()?;
    if name != index.name().as_bytes() {
        return Err(EvidenceError::Index);
    }
    if offset != 0 {
        return Err(EvidenceError::Offset(offset));
    }
    if contents.len() != usize::from(index.data_len()) {
        return Err(EvidenceError::Len(contents.len(), index.data_len()));
    }
    Ok(Certified { clock, firmware_version, contents })
}

/// Verifies the signature, then reads what all attestations have in front.
fn open<'a>(
    ak: &AttestationKey,
    attest: &'a [u8],
    signature: &[u8],
    nonce: &Hash32,
    kind: u16,
) -> Result<(ClockInfo, u64, Reader<'a>), EvidenceError> {
    let signature = read_signature(signature).map_err(EvidenceError::SignatureForm)?;
    verify_any_s(ak.key(), attest, &signature)
        .map_err(|_: CryptoError| EvidenceError::Signature)?;
    let mut reader = Reader::new(attest);
    let magic = reader.u32()?;
    if magic != GENERATED {
        return Err(EvidenceError::Magic(magic));
    }
    let found = reader.u16()?;
    if found != kind {
        return Err(EvidenceError::Type(found));
    }
    if reader.sized(NAME_LEN_MAX)? != ak.qualified_name().as_bytes() {
        return Err(EvidenceError::Signer);
    }
    if reader.sized(NONCE_LEN_MAX)? != nonce {
        return Err(EvidenceError::Nonce);
    }
    let clock = read_clock(&mut reader)?;
    let firmware_version = reader.u64()?;
    Ok((clock, firmware_version, reader))
}

/// `TPMT_SIGNATURE` of ECDSA over P-256 with SHA-256, as `r || s`. Some TPMs leave leading zeros
/// away.
fn read_signature(bytes: &[u8]) -> Result<[u8; 64], WireError> {
    let mut reader = Reader::new(bytes);
    let algorithm = reader.u16()?;
    if algorithm != ALG_ECDSA {
        return Err(WireError::Value("algorithm", algorithm.into()));
    }
    let hash = reader.u16()?;
    if hash != HashAlg::Sha256.id() {
        return Err(WireError::Value("hash", hash.into()));
    }
    let mut both = [0; 64];
    let (r, s) = both.split_at_mut(32);
    for half in [r, s] {
        let number = reader.sized(32)?;
        half.iter_mut().rev().zip(number.iter().rev()).for_each(|(place, byte)| *place = *byte);
    }
    reader.finish()?;
    Ok(both)
}

fn read_clock(reader: &mut Reader<'_>) -> Result<ClockInfo, WireError> {
    let clock_ms = reader.u64()?;
    let reset_count = reader.u32()?;
    let restart_count = reader.u32()?;
    let safe = match reader.u8()? {
        0 => false,
        1 => true,
        other => return Err(WireError::Value("safe", other.into())),
    };
    Ok(ClockInfo { clock_ms, reset_count, restart_count, safe })
}

/// `TPML_PCR_SELECTION`.
fn read_selections(reader: &mut Reader<'_>) -> Result<Vec<PcrSelection>, WireError> {
    let count = reader.u32()?;
    if count > BANKS_MAX {
        return Err(WireError::Value("number of banks", count));
    }
    let mut read = || {
        let bank = reader.u16()?;
        let len = reader.u8()?;
        if len > SELECT_LEN_MAX {
            return Err(WireError::Long(len.into(), SELECT_LEN_MAX.into()));
        }
        Ok(PcrSelection { bank, bits: reader.take(len.into())?.to_vec() })
    };
    (0..count).map(|_| read()).collect()
}

#[cfg(test)]
mod tests;
