//! Public areas of the keys and blobs that this home uses, and attributes of its indices.

use tss_esapi::attributes::{NvIndexAttributesBuilder, ObjectAttributesBuilder};
use tss_esapi::constants::NvIndexType;
use tss_esapi::handles::NvIndexTpmHandle;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::structures::{
    EccParameter, EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, KeyedHashScheme,
    NvPublic, NvPublicBuilder, Public, PublicBuilder, PublicEccParametersBuilder,
    PublicKeyedHashParameters, SymmetricDefinitionObject,
};

use super::Trouble;

/// The storage key: TCG TPM v2.0 Provisioning Guidance, 7.5.1, for P-256.
pub(super) fn storage_key() -> Result<Public, Trouble> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .with_restricted(true)
        .with_decrypt(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new()
        .with_ecc_scheme(EccScheme::Null)
        .with_curve(EccCurve::NistP256)
        .with_symmetric(SymmetricDefinitionObject::AES_128_CFB)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_decryption_key(true)
        .with_restricted(true)
        .build()?;
    // The guidance fills `unique` with zeros, so that the key is the one that others make too.
    let zeros = || EccParameter::try_from(vec![0; 32]);
    Ok(PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::new(zeros()?, zeros()?))
        .build()?)
}

/// Whether a persistent key may stand for the storage key: a restricted decryption key that never
/// left this TPM, P-256 or RSA-2048, used without a policy and outside the defense against
/// guessing.
pub(super) fn is_storage_key(public: &Public) -> bool {
    let attributes = public.object_attributes();
    let is_strong = match public {
        Public::Ecc { parameters, .. } => parameters.ecc_curve() == EccCurve::NistP256,
        Public::Rsa { parameters, .. } => parameters.key_bits() == RsaKeyBits::Rsa2048,
        _ => false,
    };
    is_strong
        && attributes.restricted()
        && attributes.decrypt()
        && !attributes.sign_encrypt()
        && attributes.fixed_tpm()
        && attributes.fixed_parent()
        && attributes.sensitive_data_origin()
        && attributes.user_with_auth()
        && attributes.no_da()
}

/// A sealed blob. Outside the defense against guessing: its authorization has 256 bits, and a wrong
/// one must not lock the user's TPM.
pub(super) fn sealed() -> Result<Public, Trouble> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_user_with_auth(true)
        .with_no_da(true)
        .build()?;
    Ok(PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::KeyedHash)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_keyed_hash_parameters(PublicKeyedHashParameters::new(KeyedHashScheme::Null))
        .with_keyed_hash_unique_identifier(Default::default())
        .build()?)
}

/// The attestation key, a primary key of the endorsement hierarchy: made again from the TPM's own
/// seed whenever it is needed. `unique` keeps those of two vendors apart.
pub(super) fn attestation_key(unique: [u8; 32]) -> Result<Public, Trouble> {
    let attributes = ObjectAttributesBuilder::new()
        .with_fixed_tpm(true)
        .with_fixed_parent(true)
        .with_sensitive_data_origin(true)
        .with_user_with_auth(true)
        .with_restricted(true)
        .with_sign_encrypt(true)
        .build()?;
    let parameters = PublicEccParametersBuilder::new()
        .with_ecc_scheme(EccScheme::EcDsa(HashScheme::new(HashingAlgorithm::Sha256)))
        .with_curve(EccCurve::NistP256)
        .with_key_derivation_function_scheme(KeyDerivationFunctionScheme::Null)
        .with_is_signing_key(true)
        .with_restricted(true)
        .build()?;
    let x = EccParameter::try_from(unique.to_vec())?;
    Ok(PublicBuilder::new()
        .with_public_algorithm(PublicAlgorithm::Ecc)
        .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
        .with_object_attributes(attributes)
        .with_ecc_parameters(parameters)
        .with_ecc_unique_identifier(EccPoint::new(x, EccParameter::default()))
        .build()?)
}

/// An index of ours: read and written by its own authorization only, never by the owner's, and
/// outside the defense against guessing.
pub(super) fn index(
    handle: u32,
    kind: NvIndexType,
    len: usize,
    is_written: bool,
) -> Result<NvPublic, Trouble> {
    let attributes = NvIndexAttributesBuilder::new()
        .with_nv_index_type(kind)
        .with_auth_read(true)
        .with_auth_write(true)
        .with_no_da(true)
        .with_written(is_written)
        .build()?;
    Ok(NvPublicBuilder::new()
        .with_nv_index(NvIndexTpmHandle::new(handle)?)
        .with_index_name_algorithm(HashingAlgorithm::Sha256)
        .with_index_attributes(attributes)
        .with_data_area_size(len)
        .build()?)
}
