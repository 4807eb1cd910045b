//! Diffie-Hellman over P-256 (SP 800-56A), with private keys that may live elsewhere.
//!
//! Bare metal computes by the portable library; hosts by `aws-lc-rs`, in a fifth of the time.

use p256::ecdsa::VerifyingKey;
use p256::elliptic_curve::sec1::ToSec1Point;
use zeroize::Zeroizing;

use super::{CryptoError, Random};

/// Bytes of a compressed point, as keys stand in our objects.
pub const COMPRESSED_LEN: usize = 33;
/// Bytes of an uncompressed point, as keys travel in handshakes and sealed messages.
pub const UNCOMPRESSED_LEN: usize = 65;

/// Scalars drawn before the source of randomness is taken for broken. One in 2^32 is out of range.
const DRAWS_MAX: u32 = 8;

/// A point of the curve, never the identity.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(p256::PublicKey);

impl PublicKey {
    /// From the compressed form (SEC 1 section 2.3.3, tags 2 and 3).
    ///
    /// # Errors
    /// [`CryptoError::Key`] for any other form, and for what is no point of the curve.
    pub fn from_compressed(point: &[u8; COMPRESSED_LEN]) -> Result<PublicKey, CryptoError> {
        // The library also knows a compact form of the same length, which would be a second
        // encoding.
        if !matches!(point[0], 2 | 3) {
            return Err(CryptoError::Key);
        }
        parse(point)
    }

    /// From the uncompressed form (tag 4).
    ///
    /// # Errors
    /// [`CryptoError::Key`] for any other form, and for what is no point of the curve.
    pub fn from_uncompressed(point: &[u8; UNCOMPRESSED_LEN]) -> Result<PublicKey, CryptoError> {
        if point[0] != 4 {
            return Err(CryptoError::Key);
        }
        parse(point)
    }

    /// The compressed form.
    pub fn to_compressed(&self) -> [u8; COMPRESSED_LEN] {
        let mut bytes = [0; COMPRESSED_LEN];
        // The length is fixed by the curve, since the point is not the identity.
        bytes.copy_from_slice(self.0.to_sec1_point(true).as_bytes());
        bytes
    }

    /// The uncompressed form.
    pub fn to_uncompressed(&self) -> [u8; UNCOMPRESSED_LEN] {
        let mut bytes = [0; UNCOMPRESSED_LEN];
        // The length is fixed by the curve, since the point is not the identity.
        bytes.copy_from_slice(self.0.to_sec1_point(false).as_bytes());
        bytes
    }
}

impl From<PublicKey> for VerifyingKey {
    fn from(key: PublicKey) -> VerifyingKey {
        key.0.into()
    }
}

fn parse(point: &[u8]) -> Result<PublicKey, CryptoError> {
    p256::PublicKey::from_sec1_bytes(point).map(PublicKey).map_err(|_| CryptoError::Key)
}

/// What two parties share: the x coordinate, not yet a key. Wiped on drop.
pub struct SharedSecret(Zeroizing<[u8; 32]>);

impl SharedSecret {
    /// Wraps what a secure element computed.
    pub fn from_bytes(x: [u8; 32]) -> SharedSecret {
        SharedSecret(Zeroizing::new(x))
    }

    /// The x coordinate, big-endian.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

/// A long-term private key for key agreement, wherever it lives.
pub trait StaticKey {
    /// The public half.
    fn public(&self) -> PublicKey;

    /// Agrees with `peer`.
    ///
    /// # Errors
    /// [`CryptoError::KeyHome`] where the key's home does not answer.
    fn diffie_hellman(&self, peer: &PublicKey) -> Result<SharedSecret, CryptoError>;
}

/// A private key in memory. Wiped on drop.
pub struct SoftwareKey {
    secret: p256::SecretKey,
    public: PublicKey,
}

impl SoftwareKey {
    /// A key from its scalar, big-endian.
    ///
    /// # Errors
    /// [`CryptoError::Key`] for zero and for values not below the group order.
    pub fn from_bytes(scalar: &[u8; 32]) -> Result<SoftwareKey, CryptoError> {
        let secret = p256::SecretKey::from_bytes(scalar.into()).map_err(|_| CryptoError::Key)?;
        let public = library::public(&secret)?;
        Ok(SoftwareKey { secret, public })
    }

    /// A new key.
    ///
    /// # Errors
    /// [`CryptoError::Random`] when the source fails.
    pub fn generate(random: &mut dyn Random) -> Result<SoftwareKey, CryptoError> {
        let scalar = draw_scalar(random)?;
        SoftwareKey::from_bytes(&scalar)
    }

    /// The scalar, for the place that keeps the key.
    pub fn to_secret_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.secret.to_bytes().into())
    }
}

impl StaticKey for SoftwareKey {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn diffie_hellman(&self, peer: &PublicKey) -> Result<SharedSecret, CryptoError> {
        library::agree(&self.secret, peer)
    }
}

#[cfg(feature = "aws-lc")]
use fast as library;
#[cfg(not(feature = "aws-lc"))]
use portable as library;

#[cfg(any(test, not(feature = "aws-lc")))]
mod portable {
    use super::{CryptoError, PublicKey, SharedSecret};

    pub(super) fn public(secret: &p256::SecretKey) -> Result<PublicKey, CryptoError> {
        Ok(PublicKey(secret.public_key()))
    }

    pub(super) fn agree(
        secret: &p256::SecretKey,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError> {
        let shared = secret.diffie_hellman(&peer.0);
        Ok(SharedSecret::from_bytes((*shared.raw_secret_bytes()).into()))
    }
}

#[cfg(feature = "aws-lc")]
mod fast {
    use aws_lc_rs::agreement::{self, ECDH_P256, PrivateKey, UnparsedPublicKey};
    use zeroize::Zeroizing;

    use super::{CryptoError, PublicKey, SharedSecret, parse};

    pub(super) fn public(secret: &p256::SecretKey) -> Result<PublicKey, CryptoError> {
        let public = private(secret)?.compute_public_key().map_err(|_| CryptoError::Key)?;
        parse(public.as_ref())
    }

    pub(super) fn agree(
        secret: &p256::SecretKey,
        peer: &PublicKey,
    ) -> Result<SharedSecret, CryptoError> {
        let point = UnparsedPublicKey::new(&ECDH_P256, peer.to_uncompressed());
        agreement::agree(&private(secret)?, point, CryptoError::Key, |x| {
            let x = Zeroizing::new(x.try_into().map_err(|_| CryptoError::Key)?);
            Ok(SharedSecret::from_bytes(*x))
        })
    }

    /// Wiped by its library.
    fn private(secret: &p256::SecretKey) -> Result<PrivateKey, CryptoError> {
        let scalar = Zeroizing::<[u8; 32]>::new(secret.to_bytes().into());
        PrivateKey::from_private_key(&ECDH_P256, &scalar[..]).map_err(|_| CryptoError::Key)
    }
}

/// A scalar between 1 and the group order, by drawing until one fits: no bias.
pub(super) fn draw_scalar(random: &mut dyn Random) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let mut scalar = Zeroizing::new([0; 32]);
    for _ in 0..DRAWS_MAX {
        random.fill(&mut scalar[..])?;
        if p256::SecretKey::from_bytes((&*scalar).into()).is_ok() {
            return Ok(scalar);
        }
    }
    Err(CryptoError::Random)
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use super::*;

    #[test]
    fn both_libraries_compute_the_same() {
        let mut near_order = [0xff; 32];
        near_order[4..8].fill(0);
        near_order[16..].fill(0);
        for scalar in (1..=40).map(|byte| [byte; 32]).chain([near_order]) {
            let own = p256::SecretKey::from_bytes((&scalar).into()).unwrap();
            let public = fast::public(&own).unwrap();
            assert_eq!(portable::public(&own), Ok(public));
            let peer = SoftwareKey::from_bytes(&[scalar[0] ^ 0x55; 32]).unwrap().public();
            let [fast, portable] = [fast::agree, portable::agree]
                .map(|agree| *agree(&own, &peer).map_err(|_| ()).unwrap().as_bytes());
            assert_eq!(fast, portable);
        }
    }
}
