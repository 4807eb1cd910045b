//! Objects as bytes: read unverified, and become readable by verification only.

use alloc::vec::Vec;

use serde::Serialize;
use subtle::ConstantTimeEq;

use super::header::{HEADER_LEN, Header, HeaderError, Role};
use super::proof::{Proof, VerifyError, verify_batch, verify_direct};
use crate::codec::{self, DecodeError};
use crate::crypto::ecdsa::VerifyingKey;
use crate::crypto::hash::sha256;
use crate::limits::PROOF_LEN_MAX;

/// Why bytes are not an object of the wanted kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum ObjectError {
    /// The header cannot be read.
    #[cfg_attr(feature = "std", error(transparent))]
    Header(HeaderError),
    /// The bytes end inside the proof or the body.
    #[cfg_attr(feature = "std", error("cut short: {missing} bytes are missing"))]
    Short {
        /// Bytes missing.
        missing: usize,
    },
    /// The proof cannot be read.
    #[cfg_attr(feature = "std", error("the proof cannot be read: {0}"))]
    Proof(DecodeError),
    /// The proof does not hold.
    #[cfg_attr(feature = "std", error(transparent))]
    Verify(VerifyError),
    /// The body is not the one that was signed.
    #[cfg_attr(feature = "std", error("the body is not the one that was signed"))]
    BodyHash,
    /// The body is longer than its kind allows.
    #[cfg_attr(feature = "std", error("the body has {len} bytes, where at most {max} are allowed"))]
    BodyLen {
        /// Bytes declared.
        len: usize,
        /// Bytes allowed.
        max: usize,
    },
}

impl From<VerifyError> for ObjectError {
    fn from(error: VerifyError) -> Self {
        ObjectError::Verify(error)
    }
}

/// An object as received: nothing in it is believed yet, and its body cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnverifiedObject<'a> {
    header: Header,
    proof: Proof,
    body: &'a [u8],
}

/// An object whose proof held and whose body is the signed one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object<'a> {
    /// The header.
    pub header: Header,
    /// The body, now fit to be parsed.
    pub body: &'a [u8],
}

impl<'a> UnverifiedObject<'a> {
    /// Reads one object from the front of `bytes` and returns it with what follows.
    /// The body may have at most `body_len_max` bytes.
    pub fn read(bytes: &'a [u8], body_len_max: usize) -> Result<(Self, &'a [u8]), ObjectError> {
        let (header, proof, rest) = read_head(bytes)?;
        let (body, rest) = header.take_body(rest, body_len_max)?;
        Ok((UnverifiedObject { header, proof, body }, rest))
    }

    /// The header, before anything is known of who made it: good for looking up the key, and for
    /// `inspect`.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The proof.
    pub fn proof(&self) -> &Proof {
        &self.proof
    }

    /// Verifies against a key that holds `role`.
    pub fn verify_role(&self, role: Role, key: &VerifyingKey) -> Result<Object<'a>, ObjectError> {
        verify_batch(&self.header, &self.proof, role, key)?;
        self.checked()
    }

    /// Verifies against a container's key.
    pub fn verify_container(&self, key: &VerifyingKey) -> Result<Object<'a>, ObjectError> {
        verify_direct(&self.header, &self.proof, key)?;
        self.checked()
    }

    /// The body, if it is the one that the header names. Says nothing of who made the header: for
    /// showing what a file holds before a container judges it.
    pub fn body_if_intact(&self) -> Option<&'a [u8]> {
        self.checked().ok().map(|object| object.body)
    }

    /// The object, once a proof over the header held; the body's hash is compared here.
    pub(crate) fn checked(&self) -> Result<Object<'a>, ObjectError> {
        check_body(&self.header, self.body)
    }
}

/// The object, if the body is the one that the header names.
pub(super) fn check_body<'a>(header: &Header, body: &'a [u8]) -> Result<Object<'a>, ObjectError> {
    let same: bool = sha256(body).ct_eq(&header.body_hash).into();
    if same { Ok(Object { header: *header, body }) } else { Err(ObjectError::BodyHash) }
}

impl Header {
    /// The body behind a proof, and what follows.
    pub(super) fn take_body<'a>(
        &self,
        rest: &'a [u8],
        body_len_max: usize,
    ) -> Result<(&'a [u8], &'a [u8]), ObjectError> {
        let len = self.body_len as usize;
        if len > body_len_max {
            return Err(ObjectError::BodyLen { len, max: body_len_max });
        }
        take(rest, len)
    }
}

/// Reads header and proof from the front of `bytes` and returns them with what follows: for an
/// update whose body comes later, in chunks.
pub fn read_head(bytes: &[u8]) -> Result<(Header, Proof, &[u8]), ObjectError> {
    let header = Header::from_bytes(bytes).map_err(ObjectError::Header)?;
    let (proof, rest) = split(bytes)?;
    let proof = codec::decode(proof, PROOF_LEN_MAX).map_err(ObjectError::Proof)?;
    Ok((header, proof, rest))
}

/// The proof behind the header that `bytes` begin with, and what follows.
pub(super) fn split(bytes: &[u8]) -> Result<(&[u8], &[u8]), ObjectError> {
    let (_, rest) = take(bytes, HEADER_LEN)?;
    let (len, rest) = take(rest, 2)?;
    take(rest, usize::from(u16::from_be_bytes([len[0], len[1]])))
}

fn take(bytes: &[u8], len: usize) -> Result<(&[u8], &[u8]), ObjectError> {
    bytes
        .split_at_checked(len)
        .ok_or(ObjectError::Short { missing: len.saturating_sub(bytes.len()) })
}

/// The bytes of an object.
pub fn write_object(header: &Header, proof: &Proof, body: &[u8]) -> Vec<u8> {
    frame(&header.to_bytes(), (proof, proof.len_max()), body)
}

/// A header, the length of its proof, the proof of at most so many bytes, and the body. A proof is
/// at most 64 KiB by its types.
pub(super) fn frame(
    header: &[u8; HEADER_LEN],
    (proof, len_max): (&impl Serialize, usize),
    body: &[u8],
) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER_LEN + 2 + len_max + body.len());
    out.extend_from_slice(header);
    out.extend_from_slice(&[0; 2]);
    let mut out = codec::append(proof, out);
    let len = out.len().saturating_sub(HEADER_LEN + 2) as u16;
    if let Some(place) = out.get_mut(HEADER_LEN..HEADER_LEN + 2) {
        place.copy_from_slice(&len.to_be_bytes());
    }
    out.extend_from_slice(body);
    out
}
