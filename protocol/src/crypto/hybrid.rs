//! How suite 2 signs: ECDSA over P-256 and ML-DSA-65 (FIPS 204), both over the same bytes, and a
//! signature holds where both do. For hosts.

use std::vec::Vec;

use aws_lc_rs::signature::{KeyPair, ML_DSA_65, ML_DSA_65_SIGNING, ParsedPublicKey, PqdsaKeyPair};
use zeroize::Zeroizing;

use super::ecdsa::{self, SIGNATURE_LEN, Sign, SigningKey, VERIFYING_KEY_LEN, VerifyingKey};
use super::hash::sha256;
use super::kdf::Prk;
use super::{CryptoError, Random};
use crate::ids::KeyId;
use crate::objects::root::{RootKey, hybrid_name};

/// Bytes of a signature of ML-DSA-65.
pub const ML_DSA_SIGNATURE_LEN: usize = 3309;
/// Bytes of a public key of ML-DSA-65.
pub const ML_DSA_KEY_LEN: usize = 1952;
/// Bytes of a verifying key: the compressed point, then the key of ML-DSA-65.
pub const HYBRID_KEY_LEN: usize = VERIFYING_KEY_LEN + ML_DSA_KEY_LEN;

/// Both halves of a signature.
pub struct HybridSignature {
    /// ECDSA, `r || s`, low `s`.
    pub p256: [u8; SIGNATURE_LEN],
    /// ML-DSA-65 with an empty context.
    pub ml_dsa: Vec<u8>,
}

/// A private key of both kinds, from one seed. The seed is wiped on drop, and the libraries wipe
/// what they made of it.
pub struct HybridKey {
    seed: Zeroizing<[u8; 32]>,
    p256: SigningKey,
    ml_dsa: PqdsaKeyPair,
    public: Vec<u8>,
}

impl HybridKey {
    /// The key of a seed, which is uniformly random.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for a seed that gives no P-256 key, one in 2^32: draw another.
    pub fn from_seed(seed: &[u8; 32]) -> Result<HybridKey, CryptoError> {
        let prk = Prk::from_bytes(*seed);
        let part = |label| {
            let mut part = Zeroizing::new([0; 32]);
            prk.expand_label(label, &[], &mut part[..]).map(|()| part)
        };
        let p256 = SigningKey::from_bytes(&*part("strongroom/suite-2/p256")?)?;
        let ml_dsa = part("strongroom/suite-2/ml-dsa-65")?;
        let ml_dsa = PqdsaKeyPair::from_seed(&ML_DSA_65_SIGNING, &ml_dsa[..]);
        let ml_dsa = ml_dsa.map_err(|_| CryptoError::Key)?;
        let public = [&p256.verifying_key().to_bytes()[..], ml_dsa.public_key().as_ref()].concat();
        Ok(HybridKey { seed: Zeroizing::new(*seed), p256, ml_dsa, public })
    }

    /// A new key.
    ///
    /// # Errors
    /// [`CryptoError::Random`] when the source fails.
    pub fn generate(random: &mut dyn Random) -> Result<HybridKey, CryptoError> {
        let mut seed = Zeroizing::new([0; 32]);
        loop {
            random.fill(&mut seed[..])?;
            match HybridKey::from_seed(&seed) {
                Err(CryptoError::Key) => {}
                made => return made,
            }
        }
    }

    /// The seed, for the place that keeps the key.
    pub fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }

    /// The P-256 half.
    pub fn p256(&self) -> &SigningKey {
        &self.p256
    }

    /// The bytes of the key that verifies.
    pub fn public(&self) -> &[u8] {
        &self.public
    }

    /// What a root says for it.
    pub fn name(&self) -> RootKey {
        hybrid_name(&self.public)
    }

    /// What names it elsewhere.
    pub fn id(&self) -> KeyId {
        id_of(&self.public)
    }

    /// Signs `message`. `p256` holds the P-256 half, where that is faster than
    /// [`HybridKey::p256`].
    ///
    /// # Errors
    /// [`CryptoError::KeyHome`] where a library does not sign, or `p256` is another key.
    pub fn sign(
        &self,
        message: &[u8],
        p256: &(impl Sign + ?Sized),
        entropy: &[u8; 32],
    ) -> Result<HybridSignature, CryptoError> {
        if p256.verifying_key() != self.p256.verifying_key() {
            return Err(CryptoError::KeyHome);
        }
        let p256 = ecdsa::sign(p256, message, entropy)?;
        let mut ml_dsa = vec![0; ML_DSA_SIGNATURE_LEN];
        let len = self.ml_dsa.sign(message, &mut ml_dsa).map_err(|_| CryptoError::KeyHome)?;
        if len != ML_DSA_SIGNATURE_LEN {
            return Err(CryptoError::KeyHome);
        }
        Ok(HybridSignature { p256, ml_dsa })
    }
}

/// A public key that verifies both halves.
pub struct HybridVerifyingKey {
    p256: VerifyingKey,
    ml_dsa: ParsedPublicKey,
    bytes: Vec<u8>,
}

impl HybridVerifyingKey {
    /// A key from its bytes.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for another length, and where a half is no key.
    pub fn from_bytes(bytes: &[u8]) -> Result<HybridVerifyingKey, CryptoError> {
        let (point, ml_dsa) = bytes.split_first_chunk().ok_or(CryptoError::Key)?;
        // The library also reads longer forms of a key; one form is ours.
        if ml_dsa.len() != ML_DSA_KEY_LEN {
            return Err(CryptoError::Key);
        }
        let p256 = VerifyingKey::from_bytes(point)?;
        let ml_dsa = ParsedPublicKey::new(&ML_DSA_65, ml_dsa).map_err(|_| CryptoError::Key)?;
        Ok(HybridVerifyingKey { p256, ml_dsa, bytes: bytes.to_vec() })
    }

    /// What a root says for it.
    pub fn name(&self) -> RootKey {
        hybrid_name(&self.bytes)
    }

    /// What names it elsewhere.
    pub fn id(&self) -> KeyId {
        id_of(&self.bytes)
    }

    /// Verifies both halves of a signature over `message`.
    ///
    /// # Errors
    /// [`CryptoError::Signature`] where one of them does not hold.
    pub fn verify(
        &self,
        message: &[u8],
        p256: &[u8; SIGNATURE_LEN],
        ml_dsa: &[u8],
    ) -> Result<(), CryptoError> {
        ecdsa::verify(&self.p256, message, p256)?;
        verify_ml_dsa(&self.ml_dsa, message, ml_dsa)
    }
}

fn verify_ml_dsa(
    key: &ParsedPublicKey,
    message: &[u8],
    signature: &[u8],
) -> Result<(), CryptoError> {
    key.verify_sig(message, signature).map_err(|_| CryptoError::Signature)
}

fn id_of(public: &[u8]) -> KeyId {
    let [a, b, c, d, e, f, g, h, ..] = sha256(public);
    KeyId::new([a, b, c, d, e, f, g, h])
}
