//! An attestation key: it signs nothing but what its TPM says.

use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::ecdsa::VerifyingKey;

use crate::hash::{HashAlg, Name};
use crate::public::{Curve, Key, Point, Public, attribute};

/// `TPM_RH_ENDORSEMENT` (Part 2, 7.4).
const ENDORSEMENT_HIERARCHY: u32 = 0x4000_000b;

/// What an attestation key must have, and the refusal where it has not.
const AK_NEEDS: [(u32, AkError); 6] = [
    (attribute::FIXED_TPM, AkError::NotFixedTpm),
    (attribute::FIXED_PARENT, AkError::NotFixedParent),
    (attribute::SENSITIVE_DATA_ORIGIN, AkError::NotMadeByTpm),
    (attribute::USER_WITH_AUTH, AkError::NotUserWithAuth),
    (attribute::RESTRICTED, AkError::NotRestricted),
    (attribute::SIGN, AkError::NotSigning),
];

/// An attestation key that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttestationKey {
    name: Name,
    key: VerifyingKey,
}

/// Why a key is not taken for attestation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AkError {
    /// No key of P-256, or its name is not made with SHA-256, or it protects others.
    #[error("the attestation key is not of P-256 and SHA-256")]
    Kind,
    /// It signs by something else than ECDSA with SHA-256.
    #[error("the attestation key is not for ECDSA with SHA-256")]
    Scheme,
    /// It can leave its TPM.
    #[error("the attestation key is not fixed to its TPM")]
    NotFixedTpm,
    /// It can leave its parent.
    #[error("the attestation key is not fixed to its parent")]
    NotFixedParent,
    /// Somebody else than the TPM made it, and may have it elsewhere.
    #[error("the attestation key was not made by the TPM")]
    NotMadeByTpm,
    /// It cannot be used with its authorization value.
    #[error("the attestation key is not used with its authorization value")]
    NotUserWithAuth,
    /// It signs anything that looks like a statement of the TPM.
    #[error("the attestation key is not restricted")]
    NotRestricted,
    /// It does not sign.
    #[error("the attestation key does not sign")]
    NotSigning,
    /// It decrypts, too.
    #[error("the attestation key decrypts")]
    Decrypts,
    /// It has attributes, these, that an attestation key has no use for.
    #[error("the attestation key has the attributes {0:#x}, too")]
    Attributes(u32),
    /// Its point is not on the curve.
    #[error("the attestation key is not a point of its curve")]
    Point,
}

/// Takes a key for attestation: P-256, ECDSA with SHA-256, made by its TPM, never to leave it, and
/// restricted to what the TPM says. It may be free of the lockout (`noDA`), since its authorization
/// is no secret.
///
/// # Errors
/// One of [`AkError`] for each of these that it is not.
pub fn check_ak(public: &Public) -> Result<AttestationKey, AkError> {
    let Key::Point(point @ Point { curve: Curve::P256, .. }) = &public.key else {
        return Err(AkError::Kind);
    };
    if public.name_alg != HashAlg::Sha256 || public.aes_bits.is_some() {
        return Err(AkError::Kind);
    }
    if public.ecdsa != Some(HashAlg::Sha256) {
        return Err(AkError::Scheme);
    }
    let has = |bits| public.attributes & bits != 0;
    if let Some((_, missing)) = AK_NEEDS.iter().find(|(bit, _)| !has(*bit)) {
        return Err(*missing);
    }
    if has(attribute::DECRYPT) {
        return Err(AkError::Decrypts);
    }
    let known = AK_NEEDS.iter().fold(attribute::NO_DA, |known, (bit, _)| known | bit);
    if has(!known) {
        return Err(AkError::Attributes(public.attributes & !known));
    }
    let key = verifying_key(point).ok_or(AkError::Point)?;
    Ok(AttestationKey { name: public.name(), key })
}

impl AttestationKey {
    /// Its name, which a license server knows it again by.
    pub fn name(&self) -> &Name {
        &self.name
    }

    /// Its qualified name as a primary key of the endorsement hierarchy, the only place for it: a
    /// hash over the name of what it hangs below and its own (Part 1, "Qualified Name"). Below
    /// another hierarchy, a TPM blurs its count of resets for each key differently.
    pub fn qualified_name(&self) -> Name {
        let parent = ENDORSEMENT_HIERARCHY.to_be_bytes();
        Name::of(HashAlg::Sha256, &[&parent, self.name.as_bytes()])
    }

    pub(crate) fn key(&self) -> &VerifyingKey {
        &self.key
    }
}

fn verifying_key(point: &Point) -> Option<VerifyingKey> {
    let bytes = point.to_uncompressed().try_into().ok()?;
    let key = PublicKey::from_uncompressed(&bytes).ok()?;
    VerifyingKey::from_bytes(&key.to_compressed()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::public::attribute::*;
    use crate::samples;

    #[test]
    fn names_are_those_that_the_tpm_gives() {
        let ak = samples::ak();
        let name = "000b966bdf63e8dc5169c87d87753b29be59f4aeead4ed1df8dbac1634136c1f56b8";
        assert_eq!(samples::hex(ak.name().as_bytes()), name);
        let qualified = "000b9daa77ddd6e3c5687f07f5e975f9bb6e65a9df5c485c52f63aa76a38bdd5b22f";
        assert_eq!(samples::hex(ak.qualified_name().as_bytes()), qualified);
    }

    #[test]
    fn an_attestation_key_needs_each_of_its_properties() {
        let good = samples::ak_public();
        let with = |attributes: u32| check_ak(&Public { attributes, ..good.clone() });
        assert!(with(good.attributes).is_ok() && with(good.attributes | NO_DA).is_ok());
        let without = |bit: u32| with(good.attributes & !bit);
        assert_eq!(without(FIXED_TPM), Err(AkError::NotFixedTpm));
        assert_eq!(without(FIXED_PARENT), Err(AkError::NotFixedParent));
        assert_eq!(without(SENSITIVE_DATA_ORIGIN), Err(AkError::NotMadeByTpm));
        assert_eq!(without(USER_WITH_AUTH), Err(AkError::NotUserWithAuth));
        assert_eq!(without(RESTRICTED), Err(AkError::NotRestricted));
        assert_eq!(without(SIGN), Err(AkError::NotSigning));
        assert_eq!(with(good.attributes | DECRYPT), Err(AkError::Decrypts));
        let is_other = |bit: &u32| (good.attributes | NO_DA | DECRYPT) & bit == 0;
        for bit in (0..32).map(|at| 1 << at).filter(is_other) {
            assert_eq!(with(good.attributes | bit), Err(AkError::Attributes(bit)));
        }
    }

    #[test]
    fn an_attestation_key_is_of_p256_and_sha256() {
        let refusal = |change: fn(&mut Public)| {
            let mut public = samples::ak_public();
            change(&mut public);
            check_ak(&public).err()
        };
        assert_eq!(refusal(|ak| ak.ecdsa = None), Some(AkError::Scheme));
        assert_eq!(refusal(|ak| ak.ecdsa = Some(HashAlg::Sha384)), Some(AkError::Scheme));
        assert_eq!(refusal(|ak| ak.name_alg = HashAlg::Sha384), Some(AkError::Kind));
        assert_eq!(refusal(|ak| ak.aes_bits = Some(128)), Some(AkError::Kind));
        let [rsa, p384] = [0, 2].map(|at| samples::ek_publics()[at].key.clone());
        for key in [rsa, p384] {
            let other = Public { key, ..samples::ak_public() };
            assert_eq!(check_ak(&other).err(), Some(AkError::Kind));
        }
        let off_curve = refusal(|ak| {
            let Key::Point(point) = &mut ak.key else { unreachable!() };
            point.y = point.x.clone();
        });
        assert_eq!(off_curve, Some(AkError::Point));
    }
}
