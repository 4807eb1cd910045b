//! Who this TPM is: the certificate of its endorsement key, its attestation key, and the proof that
//! both are in one TPM.

use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, ek};
use tss_esapi::constants::SessionType;
use tss_esapi::handles::{AuthHandle, KeyHandle, NvIndexHandle};
use tss_esapi::interface_types::algorithm::HashingAlgorithm;
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::interface_types::resource_handles::{Hierarchy as TssHierarchy, NvAuth};
use tss_esapi::interface_types::session_handles::{AuthSession, PolicySession};
use tss_esapi::structures::{
    Data, Digest, DigestList, EncryptedSecret, IdObject, Nonce, PcrSelectionList, Public,
    SignatureScheme, SymmetricDefinition,
};
use tss_esapi::traits::{Marshall, UnMarshall};
use zeroize::Zeroizing;

use super::extension::Extension;
use super::{Chip, Hierarchy, IndexRecord, Passwords, Trouble, patiently, primary, templates};

/// Kinds of endorsement keys, in the order in which they are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EkKind {
    /// P-256.
    P256,
    /// RSA-2048.
    Rsa2048,
    /// P-384.
    P384,
}

/// Bytes of a certificate that are read in one go: every TPM can.
const READ_LEN: usize = 256;
/// Bytes of an index that may hold a certificate.
const CERTIFICATE_LEN_MAX: usize = 4096;

/// An endorsement key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endorsement {
    /// Its kind.
    pub kind: EkKind,
    /// Its public area, `TPMT_PUBLIC`.
    pub public: Vec<u8>,
    /// What the maker of the TPM wrote beside it: X.509, with whatever fills its index behind. None
    /// where there is none.
    pub certificate: Option<Vec<u8>>,
}

/// Something that the attestation key signed: `TPMS_ATTEST` and `TPMT_SIGNATURE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// What is attested.
    pub attest: Vec<u8>,
    /// The signature.
    pub signature: Vec<u8>,
}

impl EkKind {
    /// In the order in which they are preferred.
    pub const ALL: [EkKind; 3] = [EkKind::P256, EkKind::Rsa2048, EkKind::P384];

    /// The kind of a key, by its public area (`TPMT_PUBLIC`).
    pub fn of(public: &[u8]) -> Option<Self> {
        match Public::unmarshall(public).ok()? {
            Public::Rsa { .. } => Some(EkKind::Rsa2048),
            Public::Ecc { parameters, .. } => match parameters.ecc_curve() {
                EccCurve::NistP256 => Some(EkKind::P256),
                EccCurve::NistP384 => Some(EkKind::P384),
                _ => None,
            },
            _ => None,
        }
    }

    /// Where the certificate is: TCG EK Credential Profile for TPM Family 2.0, 2.2.1.4 and 2.2.1.5.
    const fn certificate_handle(self) -> u32 {
        match self {
            EkKind::P256 => 0x01c0_000a,
            EkKind::Rsa2048 => 0x01c0_0002,
            EkKind::P384 => 0x01c0_0016,
        }
    }

    fn algorithm(self) -> AsymmetricAlgorithmSelection {
        match self {
            EkKind::P256 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
            EkKind::Rsa2048 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048),
            EkKind::P384 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP384),
        }
    }
}

impl Chip {
    /// The endorsement key that the maker certified, the first of [`EkKind::ALL`]; P-256 without a
    /// certificate where there is none. RSA takes a TPM seconds.
    ///
    /// # Errors
    /// [`Trouble::Password`], and what the TPM says.
    pub fn endorsement(&mut self) -> Result<Endorsement, Trouble> {
        let (mut kind, mut certificate) = (EkKind::P256, None);
        for one in EkKind::ALL {
            certificate = self.certificate(one)?;
            if certificate.is_some() {
                kind = one;
                break;
            }
        }
        let (handle, public) = self.endorsement_key(kind)?;
        self.flush(handle)?;
        Ok(Endorsement { kind, public, certificate })
    }

    /// The attestation key of a vendor, `TPMT_PUBLIC`.
    ///
    /// # Errors
    /// [`Trouble::Password`], and what the TPM says.
    pub fn attestation_key(&mut self, unique: [u8; 32]) -> Result<Vec<u8>, Trouble> {
        let (handle, public) = self.attestation(unique)?;
        self.flush(handle)?;
        Ok(public)
    }

    /// Opens a credential that was made for the endorsement key and the attestation key of this
    /// TPM: `TPM2_ActivateCredential`.
    ///
    /// # Errors
    /// [`Trouble::Foreign`] where it was made for another TPM or key, and what the TPM says.
    pub fn activate(
        &mut self,
        kind: EkKind,
        unique: [u8; 32],
        id_object: &[u8],
        secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let (ak, _) = self.attestation(unique)?;
        let (ek, _) = match self.endorsement_key(kind) {
            Ok(made) => made,
            Err(trouble) => {
                self.flush(ak)?;
                return Err(trouble);
            }
        };
        let opened = self.open_credential(kind, (ak, ek), id_object, secret);
        self.flush(ak)?;
        self.flush(ek)?;
        opened
    }

    /// A quote over no register, for what it says of the TPM and of `qualifying` (at most 32
    /// bytes).
    ///
    /// # Errors
    /// What the TPM says.
    pub fn quote(&mut self, unique: [u8; 32], qualifying: &[u8; 32]) -> Result<Evidence, Trouble> {
        let (ak, _) = self.attestation(unique)?;
        let quoted = patiently(|| {
            self.context.execute_with_session(Some(AuthSession::Password), |context| {
                let data = Data::try_from(qualifying.to_vec())?;
                let none = PcrSelectionList::builder().build()?;
                context.quote(ak, data, SignatureScheme::Null, none)
            })
        });
        self.flush(ak)?;
        let (attest, signature) = quoted?;
        Ok(Evidence { attest: attest.marshall()?, signature: signature.marshall()? })
    }

    /// What the attestation key says of the counter, over a second connection: the part of the
    /// library that can do this has one of its own.
    ///
    /// # Errors
    /// What the TPM says.
    pub fn certify_counter(
        &self,
        passwords: &Passwords,
        unique: [u8; 32],
        counter: &IndexRecord,
        qualifying: &[u8; 32],
    ) -> Result<Evidence, Trouble> {
        let template = templates::attestation_key(unique)?;
        Extension::open(&self.tcti)?.certify(passwords, template, counter.handle, qualifying)
    }

    /// The certificate beside an endorsement key, as it is in the TPM.
    fn certificate(&mut self, kind: EkKind) -> Result<Option<Vec<u8>>, Trouble> {
        let index = match self.at(kind.certificate_handle()) {
            Ok(index) => index,
            Err(Trouble::Missing) => return Ok(None),
            Err(trouble) => return Err(trouble),
        };
        let (public, _) = self.bare(|context| context.nv_read_public(index))?;
        let len = public.data_size();
        if len > CERTIFICATE_LEN_MAX {
            return Err(Trouble::Garbled);
        }
        let mut certificate = Vec::with_capacity(len);
        while certificate.len() < len {
            let piece = (len - certificate.len()).min(READ_LEN);
            certificate.extend(self.read_open(index, certificate.len(), piece)?);
        }
        Ok(Some(certificate))
    }

    /// A piece of an index that anybody may read.
    fn read_open(
        &mut self,
        index: NvIndexHandle,
        at: usize,
        len: usize,
    ) -> Result<Vec<u8>, Trouble> {
        let (at, len) = (at as u16, len as u16);
        let read = patiently(|| {
            self.context.execute_with_session(Some(AuthSession::Password), |context| {
                context.nv_read(NvAuth::NvIndex(index), index, len, at)
            })
        })?;
        if read.value().len() == usize::from(len) {
            Ok(read.value().to_vec())
        } else {
            Err(Trouble::Garbled)
        }
    }

    fn endorsement_key(&mut self, kind: EkKind) -> Result<(KeyHandle, Vec<u8>), Trouble> {
        let template = ek::create_ek_public_from_default_template_2(kind.algorithm(), None)?;
        let (handle, public) = primary(&mut self.context, TssHierarchy::Endorsement, template)?;
        Ok((handle, public.marshall()?))
    }

    fn attestation(&mut self, unique: [u8; 32]) -> Result<(KeyHandle, Vec<u8>), Trouble> {
        let template = templates::attestation_key(unique)?;
        let (handle, public) = primary(&mut self.context, TssHierarchy::Endorsement, template)?;
        Ok((handle, public.marshall()?))
    }

    fn open_credential(
        &mut self,
        kind: EkKind,
        (ak, ek): (KeyHandle, KeyHandle),
        id_object: &[u8],
        secret: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Trouble> {
        let policy = self.endorsement_policy(kind)?;
        let session = AuthSession::PolicySession(policy);
        let sessions = (Some(AuthSession::Password), Some(session), None);
        let opened = patiently(|| {
            self.context.execute_with_sessions(sessions, |context| {
                let id_object = IdObject::try_from(id_object.to_vec())?;
                let secret = EncryptedSecret::try_from(secret.to_vec())?;
                context.activate_credential(ak, ek, id_object, secret)
            })
        });
        // Where it was not used up, it is ended here.
        let session = tss_esapi::handles::SessionHandle::from(session).into();
        let _ = self.context.execute_without_session(|context| context.flush_context(session));
        Ok(Zeroizing::new(opened?.value().to_vec()))
    }

    /// A session that fulfills the policy of an endorsement key: TCG EK Credential Profile, B.6.
    fn endorsement_policy(&mut self, kind: EkKind) -> Result<PolicySession, Trouble> {
        let hash = match kind {
            EkKind::P384 => HashingAlgorithm::Sha384,
            _ => HashingAlgorithm::Sha256,
        };
        let symmetric = SymmetricDefinition::AES_128_CFB;
        let begun = self.bare(|context| {
            context.start_auth_session(None, None, None, SessionType::Policy, symmetric, hash)
        })?;
        let session = PolicySession::try_from(begun.ok_or(Trouble::Garbled)?)?;
        let fulfilled = patiently(|| {
            self.context.execute_with_session(Some(AuthSession::Password), |context| {
                let none = (Nonce::default(), Digest::default(), Nonce::default());
                context.policy_secret(
                    session,
                    AuthHandle::Endorsement,
                    none.0,
                    none.1,
                    none.2,
                    None,
                )
            })
        });
        fulfilled.map_err(|trouble| match trouble {
            Trouble::Alien => Trouble::Password(Hierarchy::Endorsement),
            trouble => trouble,
        })?;
        if kind == EkKind::P384 {
            self.bare(|context| {
                let mut either = DigestList::new();
                either.add(Digest::try_from(POLICY_A_SHA384.to_vec())?)?;
                either.add(Digest::try_from(POLICY_C_SHA384.to_vec())?)?;
                context.policy_or(session, either)
            })?;
        }
        Ok(session)
    }

    fn flush(&mut self, key: KeyHandle) -> Result<(), Trouble> {
        self.bare(|context| context.flush_context(key.into()))
    }
}

/// The two ways to use a P-384 endorsement key: by its hierarchy's password, or as an index says.
/// TCG EK Credential Profile, B.6.2 and B.6.4.
const POLICY_A_SHA384: [u8; 48] = [
    0x8b, 0xbf, 0x22, 0x66, 0x53, 0x7c, 0x17, 0x1c, 0xb5, 0x6e, 0x40, 0x3c, 0x4d, 0xc1, 0xd4, 0xb6,
    0x4f, 0x43, 0x26, 0x11, 0xdc, 0x38, 0x6e, 0x6f, 0x53, 0x20, 0x50, 0xc3, 0x27, 0x8c, 0x93, 0x0e,
    0x14, 0x3e, 0x8b, 0xb1, 0x13, 0x38, 0x24, 0xcc, 0xb4, 0x31, 0x05, 0x38, 0x71, 0xc6, 0xdb, 0x53,
];
const POLICY_C_SHA384: [u8; 48] = [
    0xd6, 0x03, 0x2c, 0xe6, 0x1f, 0x2f, 0xb3, 0xc2, 0x40, 0xeb, 0x3c, 0xf6, 0xa3, 0x32, 0x37, 0xef,
    0x2b, 0x6a, 0x16, 0xf4, 0x29, 0x3c, 0x22, 0xb4, 0x55, 0xe2, 0x61, 0xcf, 0xfd, 0x21, 0x7a, 0xd5,
    0xb4, 0x94, 0x7c, 0x2d, 0x73, 0xe6, 0x30, 0x05, 0xee, 0xd2, 0xdc, 0x2b, 0x35, 0x93, 0xd1, 0x65,
];
