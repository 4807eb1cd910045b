//! Diffie-Hellman over P-256 (SP 800-56A), with private keys that may live elsewhere.

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
        let public = PublicKey(secret.public_key());
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
        let shared = self.secret.diffie_hellman(&peer.0);
        Ok(SharedSecret::from_bytes((*shared.raw_secret_bytes()).into()))
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
