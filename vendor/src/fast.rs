//! The library that signs on servers: about four times as fast as the portable one.

use aws_lc_rs::digest::{Digest, SHA256};
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use protocol::crypto::CryptoError;
use protocol::crypto::ecdsa::{SIGNATURE_LEN, Sign, SigningKey, VerifyingKey};
use protocol::crypto::hash::Hash32;
use protocol::ids::KeyId;

/// A signing key in that library, which wipes it when it is dropped.
pub(crate) struct FastKey {
    pair: EcdsaKeyPair,
    public: VerifyingKey,
    point: [u8; 33],
    id: KeyId,
}

impl FastKey {
    /// The same key; none where the library does not take it.
    pub(crate) fn of(key: &SigningKey) -> Option<Self> {
        let public = key.verifying_key();
        let (algorithm, point) = (&ECDSA_P256_SHA256_FIXED_SIGNING, public.to_bytes());
        let secret = key.to_secret_bytes();
        let pair = EcdsaKeyPair::from_private_key_and_public_key(algorithm, &secret[..], &point);
        Some(FastKey { pair: pair.ok()?, public, point, id: public.id() })
    }
}

impl Sign for FastKey {
    fn verifying_key(&self) -> VerifyingKey {
        self.public
    }

    fn point(&self) -> [u8; 33] {
        self.point
    }

    fn id(&self) -> KeyId {
        self.id
    }

    /// Draws its nonce itself.
    fn any_s(&self, hash: &Hash32, _: &[u8; 32]) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
        let failed = |_| CryptoError::KeyHome;
        let digest = Digest::import_less_safe(hash, &SHA256).map_err(failed)?;
        let signature = self.pair.sign_digest(&digest).map_err(failed)?;
        signature.as_ref().try_into().map_err(|_| CryptoError::KeyHome)
    }
}

#[cfg(test)]
mod tests {
    use protocol::crypto::ecdsa::{sign, verify};

    use super::*;

    #[test]
    fn what_it_signs_is_verified_in_low_s() {
        for scalar in 1..=100_u8 {
            let key = SigningKey::from_bytes(&[scalar; 32]).unwrap();
            let fast = FastKey::of(&key).unwrap();
            let signature = sign(&fast, &[scalar], &[0; 32]).unwrap();
            assert_eq!(verify(&key.verifying_key(), &[scalar], &signature), Ok(()));
            assert!(verify(&key.verifying_key(), &[scalar ^ 1], &signature).is_err());
            assert_eq!(fast.verifying_key(), key.verifying_key());
        }
    }
}
