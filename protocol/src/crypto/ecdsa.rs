//! ECDSA over P-256 with SHA-256 (FIPS 186-5), low-S only.
//!
//! Signing takes its nonce from RFC 6979 with 32 bytes of added entropy: a broken random source
//! cannot repeat one, and a glitched computation meets a fresh one. Our own objects have one valid
//! form of a signature only: the one with the lower `s`.
//!
//! Bare metal verifies by the portable library; hosts by `aws-lc-rs`, in a fifth of the time.

use p256::NistP256;
use p256::elliptic_curve::scalar::IsHigh;
use zeroize::Zeroizing;

use super::hash::{Hash32, sha256};
use super::{CryptoError, Random, ecdh};
use crate::ids::KeyId;

/// Bytes of a signature: `r || s`, big-endian.
pub const SIGNATURE_LEN: usize = 64;
/// Bytes of a verifying key on the wire: a compressed point (SEC 1 section 2.3.3).
pub const VERIFYING_KEY_LEN: usize = 33;

/// What holds a private key and signs with it: a [`SigningKey`], or a token that never gives it
/// away.
pub trait Sign {
    /// The key that verifies.
    fn verifying_key(&self) -> VerifyingKey;

    /// It as roots name it.
    fn point(&self) -> [u8; 33] {
        self.verifying_key().to_bytes()
    }

    /// Its id.
    fn id(&self) -> KeyId {
        self.verifying_key().id()
    }

    /// Signs a message of which `hash` is the SHA-256, with either form of `s`: [`sign`] makes it
    /// ours. `entropy` is for those who draw their nonce here.
    ///
    /// # Errors
    /// [`CryptoError::KeyHome`] where the home of the key does not sign.
    fn any_s(&self, hash: &Hash32, entropy: &[u8; 32]) -> Result<[u8; SIGNATURE_LEN], CryptoError>;
}

/// Signs `message` for one of our own objects: in low-S form, whoever signs.
///
/// # Errors
/// As [`Sign::any_s`], and as [`normalize`].
pub fn sign(
    signer: &(impl Sign + ?Sized),
    message: &[u8],
    entropy: &[u8; 32],
) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
    normalize(&signer.any_s(&sha256(message), entropy)?)
}

/// A private key that signs. Wiped on drop.
pub struct SigningKey(p256::ecdsa::SigningKey);

impl SigningKey {
    /// A key from its scalar, big-endian.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for zero and for values not below the group order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<SigningKey, CryptoError> {
        p256::ecdsa::SigningKey::from_bytes(scalar.into())
            .map(SigningKey)
            .map_err(|_| CryptoError::Key)
    }

    /// A new key.
    ///
    /// # Errors
    /// [`CryptoError::Random`] when the source fails.
    pub fn generate(random: &mut dyn Random) -> Result<SigningKey, CryptoError> {
        let scalar = ecdh::draw_scalar(random)?;
        SigningKey::from_bytes(&scalar)
    }

    /// The scalar, for the place that keeps the key.
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes().into())
    }

    /// The key that verifies.
    pub fn verifying_key(&self) -> VerifyingKey {
        VerifyingKey(*self.0.verifying_key())
    }

    /// Signs `message`. `entropy` should be fresh; the signature stays secure where it is not.
    pub fn sign(&self, message: &[u8], entropy: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        self.sign_hash(&sha256(message), entropy)
    }

    /// Signs a message of which `hash` is the SHA-256.
    pub fn sign_hash(&self, hash: &Hash32, entropy: &[u8; 32]) -> [u8; SIGNATURE_LEN] {
        let scalar = self.0.as_nonzero_scalar();
        let (signature, _) = ::ecdsa::hazmat::sign_prehashed_rfc6979::<NistP256, sha2::Sha256>(
            scalar, hash, entropy,
        );
        signature.normalize_s().to_bytes().into()
    }
}

impl Sign for SigningKey {
    fn verifying_key(&self) -> VerifyingKey {
        self.verifying_key()
    }

    fn any_s(&self, hash: &Hash32, entropy: &[u8; 32]) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
        Ok(self.sign_hash(hash, entropy))
    }
}

/// A public key that verifies signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyingKey(p256::ecdsa::VerifyingKey);

impl VerifyingKey {
    /// A key from its compressed point.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for any other form, and for what is no point of the curve.
    pub fn from_bytes(point: &[u8; VERIFYING_KEY_LEN]) -> Result<VerifyingKey, CryptoError> {
        ecdh::PublicKey::from_compressed(point).map(|key| VerifyingKey(key.into()))
    }

    /// The compressed point.
    pub fn to_bytes(&self) -> [u8; VERIFYING_KEY_LEN] {
        let mut bytes = [0; VERIFYING_KEY_LEN];
        // A compressed point of this curve has 33 bytes: never the identity.
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }

    /// The first 8 bytes of SHA-256 over the compressed point.
    pub fn id(&self) -> KeyId {
        let [a, b, c, d, e, f, g, h, ..] = sha256(&self.to_bytes());
        KeyId::new([a, b, c, d, e, f, g, h])
    }
}

/// Verifies a signature of one of our own objects over `message`.
///
/// # Errors
/// [`CryptoError::Signature`] where it does not hold or is in high-S form.
pub fn verify(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), CryptoError> {
    verify_hash(key, &sha256(message), signature)
}

/// Verifies a signature of one of our own objects over a message of which `hash` is the SHA-256.
///
/// # Errors
/// As [`verify`].
pub fn verify_hash(
    key: &VerifyingKey,
    hash: &Hash32,
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), CryptoError> {
    let signature = parse(signature)?;
    if signature.s().is_high().into() {
        return Err(CryptoError::Signature);
    }
    check(key, hash, &signature)
}

/// Verifies a signature that others made, either form of `s`: X.509 certificates and TPM
/// attestations.
///
/// # Errors
/// [`CryptoError::Signature`] where it does not hold.
pub fn verify_any_s(
    key: &VerifyingKey,
    message: &[u8],
    signature: &[u8; SIGNATURE_LEN],
) -> Result<(), CryptoError> {
    check(key, &sha256(message), &parse(signature)?)
}

#[cfg(feature = "aws-lc")]
use fast as check;
#[cfg(not(feature = "aws-lc"))]
use portable as check;

#[cfg(any(test, not(feature = "aws-lc")))]
fn portable(
    key: &VerifyingKey,
    hash: &Hash32,
    signature: &p256::ecdsa::Signature,
) -> Result<(), CryptoError> {
    use p256::ecdsa::signature::hazmat::PrehashVerifier;

    key.0.verify_prehash(hash, signature).map_err(|_| CryptoError::Signature)
}

#[cfg(feature = "aws-lc")]
fn fast(
    key: &VerifyingKey,
    hash: &Hash32,
    signature: &p256::ecdsa::Signature,
) -> Result<(), CryptoError> {
    use aws_lc_rs::digest::{Digest, SHA256};
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, UnparsedPublicKey};

    let refused = |_| CryptoError::Signature;
    let digest = Digest::import_less_safe(hash, &SHA256).map_err(refused)?;
    let point = key.0.to_sec1_point(false);
    let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point.as_bytes());
    key.verify_digest(&digest, &signature.to_bytes()).map_err(refused)
}

/// Brings a signature that a token or TPM made into low-S form.
///
/// # Errors
/// [`CryptoError::Signature`] where `r` or `s` is zero or not below the group order.
pub fn normalize(signature: &[u8; SIGNATURE_LEN]) -> Result<[u8; SIGNATURE_LEN], CryptoError> {
    let (r, s) = signature.split_at(SIGNATURE_LEN / 2);
    let is_in = |number: &[u8], end: &[u8; 32]| number < &end[..] && number != [0; 32];
    if is_in(r, &ORDER) && is_in(s, &HALF_ORDER_END) {
        return Ok(*signature);
    }
    Ok(parse(signature)?.normalize_s().to_bytes().into())
}

/// The order of the group (SP 800-186, 3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

/// The least number above its half: `s` is low below it.
const HALF_ORDER_END: [u8; 32] = [
    0x7f, 0xff, 0xff, 0xff, 0x80, 0x00, 0x00, 0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xde, 0x73, 0x7d, 0x56, 0xd3, 0x8b, 0xcf, 0x42, 0x79, 0xdc, 0xe5, 0x61, 0x7e, 0x31, 0x92, 0xa9,
];

fn parse(signature: &[u8; SIGNATURE_LEN]) -> Result<p256::ecdsa::Signature, CryptoError> {
    p256::ecdsa::Signature::from_slice(signature).map_err(|_| CryptoError::Signature)
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;

    fn both(key: &VerifyingKey, hash: &Hash32, signature: &[u8; SIGNATURE_LEN]) -> [bool; 2] {
        let Ok(signature) = parse(signature) else { return [false; 2] };
        [portable, fast].map(|library| library(key, hash, &signature).is_ok())
    }

    #[test]
    fn both_libraries_take_and_refuse_the_same() {
        let other = SigningKey::from_bytes(&[77; 32]).unwrap().verifying_key();
        for scalar in 1..=24_u8 {
            let signing = SigningKey::from_bytes(&[scalar; 32]).unwrap();
            let (key, hash) = (signing.verifying_key(), sha256(&[scalar]));
            let signature = signing.sign_hash(&hash, &[scalar; 32]);
            assert_eq!(both(&key, &hash, &signature), [true; 2]);
            assert_eq!(both(&other, &hash, &signature), [false; 2]);
            for bit in 0..8 * SIGNATURE_LEN {
                let mut changed = signature;
                changed[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(both(&key, &hash, &changed), [false; 2], "bit {bit}");
            }
        }
    }

    /// Hashes of all zeros and ones, and the other form of `s`, which this layer takes.
    #[test]
    fn both_libraries_agree_at_the_edges() {
        let signing = SigningKey::from_bytes(&[5; 32]).unwrap();
        let key = signing.verifying_key();
        for hash in [[0; 32], [0xff; 32]] {
            let low = parse(&signing.sign_hash(&hash, &[1; 32])).unwrap();
            let high = p256::ecdsa::Signature::from_scalars(*low.r(), -*low.s()).unwrap();
            for signature in [low, high] {
                assert_eq!(both(&key, &hash, &signature.to_bytes().into()), [true; 2]);
                assert_eq!(both(&key, &[7; 32], &signature.to_bytes().into()), [false; 2]);
            }
        }
    }
}
