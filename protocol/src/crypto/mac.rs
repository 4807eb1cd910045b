//! HMAC-SHA256 (RFC 2104, FIPS 198-1).

use hmac::{Hmac, KeyInit, Mac};
use subtle::ConstantTimeEq;

use super::CryptoError;

/// Bytes of a complete tag.
pub const MAC_LEN: usize = 32;

/// Tag over the concatenation of `parts`, under a key of any length.
pub fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; MAC_LEN] {
    // HMAC takes keys of every length; the error belongs to other algorithms behind the same trait.
    let mut mac = Hmac::<sha2::Sha256>::new_from_slice(key).expect("HMAC takes any key length");
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Compares a complete tag in constant time.
///
/// # Errors
/// [`CryptoError::Tag`] where it differs.
pub fn verify_hmac_sha256(
    key: &[u8],
    parts: &[&[u8]],
    tag: &[u8; MAC_LEN],
) -> Result<(), CryptoError> {
    if hmac_sha256(key, parts).ct_eq(tag).into() { Ok(()) } else { Err(CryptoError::Tag) }
}
