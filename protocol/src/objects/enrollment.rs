//! How a firm comes to certify a container of its own: a soft license's, whose keys are made on the
//! customer's machine.
//!
//! The container asks, and signs with the key that it wants to have certified. Where a TPM keeps
//! it, the firm makes a credential that only that TPM opens for its attestation key, and the
//! attestation key then signs what was asked: so keys, attestation key and the TPM that its maker
//! certified are in one place.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::device::AnchorClass;
use crate::codec::{self, Bytes, Fixed, List};
use crate::crypto::ecdsa::{SigningKey, VerifyingKey};
use crate::crypto::hash::{Hash32, sha256};
use crate::ids::{ContainerId, RootFp};
use crate::limits::{ENROLLMENT_BODY_LEN_MAX, ENROLLMENT_PROOF_LEN_MAX};
use crate::signed::{
    Header, Kind, ObjectError, Proof, UnverifiedObject, VerifyError, write_object,
};

/// Bytes of a public area of a TPM's key.
pub const TPM_PUBLIC_LEN_MAX: usize = 512;
/// Bytes of what a TPM signs, or of its signature.
pub const TPM_ATTEST_LEN_MAX: usize = 1024;
/// Bytes of a certificate of a TPM.
pub const TPM_CERTIFICATE_LEN_MAX: usize = 4096;
/// Certificates of a TPM between its own and its maker's.
pub const TPM_INTERMEDIATES_MAX: usize = 2;

/// What a container says of itself when it asks to be certified. `target` of the header is its id,
/// `root_fp` the firm.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentBody {
    /// Signs this, and statements later. Compressed SEC 1 point, as the next two.
    pub identity_key: Fixed<33>,
    /// Static key of the channel.
    pub channel_key: Fixed<33>,
    /// Item keys are sealed to it.
    pub sealing_key: Fixed<33>,
    /// What keeps its state from going back.
    pub anchor: AnchorClass,
    /// The TPM that keeps it, if one does.
    pub tpm: Option<TpmIdentity>,
    /// Whether the machine says that it is a virtual one.
    pub is_virtual: bool,
    /// The container that was lost, if it takes its place.
    pub replaces: Option<ContainerId>,
    /// Version of the home: major << 16 | minor << 8 | patch.
    pub home_version: u32,
    /// Drawn for this request.
    pub nonce: Fixed<16>,
}

/// Who a TPM is, and what of it belongs to the container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmIdentity {
    /// Its endorsement key, `TPMT_PUBLIC`.
    pub endorsement_key: Bytes<TPM_PUBLIC_LEN_MAX>,
    /// Its maker's certificate for that, X.509 DER as it lies in the TPM; empty where none is.
    pub certificate: Bytes<TPM_CERTIFICATE_LEN_MAX>,
    /// Certificates between that and the maker's own.
    pub intermediates: List<Bytes<TPM_CERTIFICATE_LEN_MAX>, TPM_INTERMEDIATES_MAX>,
    /// The attestation key for this firm, `TPMT_PUBLIC`.
    pub attestation_key: Bytes<TPM_PUBLIC_LEN_MAX>,
    /// Handle of the machine's counter.
    pub counter: u32,
}

/// What has to be proven: a file's contents. Nothing in it is secret but for the one who opens the
/// credential.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// The container.
    pub container: ContainerId,
    /// Hash of the request's preimage.
    pub request: Fixed<32>,
    /// Drawn by the firm.
    pub nonce: Fixed<32>,
    /// For the TPM, if one keeps it.
    pub credential: Option<Credential>,
}

/// A secret that one TPM opens for one of its keys (TCG TPM 2.0 Library, Part 1, "Credential
/// Protection").
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT`.
    pub id_object: Bytes<TPM_PUBLIC_LEN_MAX>,
    /// `TPM2B_ENCRYPTED_SECRET`.
    pub secret: Bytes<TPM_PUBLIC_LEN_MAX>,
}

/// The answer to a challenge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrollmentProofBody {
    /// Hash of the request's preimage.
    pub request: Fixed<32>,
    /// What the challenge drew.
    pub nonce: Fixed<32>,
    /// What the TPM signed, if one keeps it.
    pub tpm: Option<TpmEvidence>,
}

/// What an attestation key signed over [`qualifying`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TpmEvidence {
    /// A quote.
    pub quote: Attested,
    /// The machine's counter.
    pub counter: Attested,
}

/// `TPMS_ATTEST` and `TPMT_SIGNATURE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attested {
    /// What is attested.
    pub attest: Bytes<TPM_ATTEST_LEN_MAX>,
    /// The signature.
    pub signature: Bytes<TPM_ATTEST_LEN_MAX>,
}

/// A request whose signature held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrollment {
    /// The container.
    pub container: ContainerId,
    /// Who is asked.
    pub firm: RootFp,
    /// Hash of its preimage, which names the request.
    pub hash: Hash32,
    /// What it says.
    pub body: EnrollmentBody,
}

impl Enrollment {
    /// Reads a request. It names the key that signed it, so its body is read once its hash was
    /// compared, and nothing is taken from it until that key's signature held.
    ///
    /// # Errors
    /// It is none, or its signature does not hold.
    pub fn verify(object: &UnverifiedObject<'_>) -> Result<Self, ObjectError> {
        let header = object.header();
        let body = object.body_if_intact().ok_or(VerifyError::Form)?;
        let body: EnrollmentBody =
            codec::decode(body, ENROLLMENT_BODY_LEN_MAX).map_err(|_| VerifyError::Form)?;
        let key = VerifyingKey::from_bytes(&body.identity_key.0).map_err(|_| VerifyError::Form)?;
        if header.kind != Kind::Enrollment {
            return Err(VerifyError::Form.into());
        }
        object.verify_container(&key)?;
        Ok(Enrollment {
            container: ContainerId::new(header.target),
            firm: header.root_fp,
            hash: header.hash(),
            body,
        })
    }

    /// Reads the answer to a challenge, signed by the key of the request.
    ///
    /// # Errors
    /// It is none, is of another request, or its signature does not hold.
    pub fn verify_proof(
        &self,
        object: &UnverifiedObject<'_>,
    ) -> Result<EnrollmentProofBody, ObjectError> {
        let header = object.header();
        let is_own = header.kind == Kind::EnrollmentProof
            && header.root_fp == self.firm
            && header.target == *self.container.bytes();
        if !is_own {
            return Err(VerifyError::Form.into());
        }
        let key = &self.body.identity_key.0;
        let key = VerifyingKey::from_bytes(key).map_err(|_| VerifyError::Form)?;
        let object = object.verify_container(&key)?;
        let body: EnrollmentProofBody =
            codec::decode(object.body, ENROLLMENT_PROOF_LEN_MAX).map_err(|_| VerifyError::Form)?;
        if body.request.0 == self.hash { Ok(body) } else { Err(VerifyError::Form.into()) }
    }
}

/// What the attestation key signs over: the request, the challenge, and the secret that its TPM
/// alone could read.
pub fn qualifying(request: &Hash32, nonce: &[u8; 32], secret: &[u8; 32]) -> Hash32 {
    let label = b"strongroom/enrollment-evidence/v1\0";
    sha256(&[&label[..], request, nonce, secret].concat())
}

/// What keeps the attestation keys of two firms on one TPM apart: `unique` of its template.
pub fn attestation_unique(firm: RootFp) -> [u8; 32] {
    sha256(&[&b"strongroom/attestation-key/v1\0"[..], firm.bytes()].concat())
}

/// A request, or the answer to a challenge, signed by the container's identity key. `entropy` is
/// fresh.
pub fn sign<T: Serialize>(
    kind: Kind,
    (firm, container): (RootFp, ContainerId),
    body: &T,
    key: &SigningKey,
    entropy: &[u8; 32],
) -> Vec<u8> {
    let body = codec::encode(body);
    let header = Header {
        root_fp: firm,
        target: *container.bytes(),
        key_id: key.verifying_key().id(),
        ..Header::new(kind, &body)
    };
    let signature = key.sign(&header.preimage(), entropy);
    write_object(&header, &Proof::Direct(Fixed(signature)), &body)
}
