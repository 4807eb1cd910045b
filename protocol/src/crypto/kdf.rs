//! HKDF-SHA256 (RFC 5869).

use ::hkdf::Hkdf;
use zeroize::{Zeroize, Zeroizing};

use super::CryptoError;

/// Bytes that one expansion gives at most: 255 blocks (RFC 5869 section 2.3).
pub const EXPAND_LEN_MAX: usize = 255 * 32;

/// A 32-byte key: extract with `salt`, expand with `info`.
pub fn hkdf(ikm: &[u8], salt: &[u8], info: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    // One block of 255: the length is always allowed.
    Hkdf::<sha2::Sha256>::new(Some(salt), ikm).expand(info, &mut key[..]).expect("one block");
    key
}

/// A pseudorandom key between extract and expand.
pub struct Prk(Zeroizing<[u8; 32]>);

impl Prk {
    /// HKDF-Extract over the concatenation of `ikm`. An empty salt is the salt of 32 zero bytes.
    pub fn extract(salt: &[u8], ikm: &[&[u8]]) -> Prk {
        // Extract is HMAC(salt, ikm), and HMAC pads a short key with zeros.
        Prk(Zeroizing::new(super::mac::hmac_sha256(salt, ikm)))
    }

    /// A key that is already uniformly random.
    pub fn from_bytes(bytes: [u8; 32]) -> Prk {
        Prk(Zeroizing::new(bytes))
    }

    /// HKDF-Expand with the concatenation of `info`.
    ///
    /// # Errors
    /// [`CryptoError::Length`] above [`EXPAND_LEN_MAX`]; `out` is zeroed.
    pub fn expand(&self, info: &[&[u8]], out: &mut [u8]) -> Result<(), CryptoError> {
        let hkdf = Hkdf::<sha2::Sha256>::from_prk(&self.0[..]).map_err(|_| CryptoError::Length)?;
        hkdf.expand_multi_info(info, out).map_err(|_| {
            out.zeroize();
            CryptoError::Length
        })
    }

    /// HKDF-Expand with `label || 0x00 || context`, so that no label is the beginning of another's
    /// input. The parts of `context` must have fixed lengths, or carry them.
    ///
    /// # Errors
    /// [`CryptoError::Length`] above [`EXPAND_LEN_MAX`]; `out` is zeroed.
    pub fn expand_label(
        &self,
        label: &str,
        context: &[u8],
        out: &mut [u8],
    ) -> Result<(), CryptoError> {
        self.expand(&[label.as_bytes(), &[0], context], out)
    }

    /// The key itself.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}
