//! AES-256-GCM (NIST SP 800-38D), in place, 96-bit nonce, 128-bit tag.
//!
//! The library decrypts only after the tag matched, so that a failure leaves ciphertext behind;
//! here a failure zeroes the buffer, so that nobody can take what is in it for a message. The key
//! schedule is made anew for each call: 32 bytes instead of about a kilobyte then stay in memory
//! for each channel.

use aes_gcm::aead::AeadInOut;
use aes_gcm::{Aes256Gcm, KeyInit};
use zeroize::Zeroize;

use super::CryptoError;

/// Bytes of a key.
pub const KEY_LEN: usize = 32;
/// Bytes of a nonce.
pub const NONCE_LEN: usize = 12;
/// Bytes of a tag.
pub const TAG_LEN: usize = 16;

/// Encrypts `buf` in place and returns the tag. A nonce must never meet the same key twice.
pub fn seal_in_place(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
) -> [u8; TAG_LEN] {
    Aes256Gcm::new(key.into())
        .encrypt_inout_detached(nonce.into(), aad, buf.into())
        // The only error is a buffer above 64 GiB, and callers hold whole messages in memory.
        .expect("a message of less than 64 GiB")
        .into()
}

/// Decrypts `buf` in place.
///
/// # Errors
/// [`CryptoError::Tag`] where anything differs; `buf` is then zero.
pub fn open_in_place(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
    tag: &[u8; TAG_LEN],
) -> Result<(), CryptoError> {
    let opened = Aes256Gcm::new(key.into()).decrypt_inout_detached(
        nonce.into(),
        aad,
        (&mut *buf).into(),
        tag.into(),
    );
    opened.map_err(|_| {
        buf.zeroize();
        CryptoError::Tag
    })
}

/// Encrypts the first `plaintext_len` bytes of `buf` in place, puts the tag behind them and returns
/// the length of both.
///
/// # Errors
/// [`CryptoError::Length`] where `buf` has no room for the tag; `buf` is untouched.
pub fn seal_appended(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
    plaintext_len: usize,
) -> Result<usize, CryptoError> {
    let (text, rest) = buf.split_at_mut_checked(plaintext_len).ok_or(CryptoError::Length)?;
    let place = rest.first_chunk_mut::<TAG_LEN>().ok_or(CryptoError::Length)?;
    *place = seal_in_place(key, nonce, aad, text);
    Ok(plaintext_len + TAG_LEN)
}

/// Decrypts `buf`, ciphertext and tag, in place and returns the length of the plaintext.
///
/// # Errors
/// [`CryptoError::Tag`] where anything differs or `buf` is shorter than a tag; all of `buf` is then
/// zero.
pub fn open_appended(
    key: &[u8; KEY_LEN],
    nonce: &[u8; NONCE_LEN],
    aad: &[u8],
    buf: &mut [u8],
) -> Result<usize, CryptoError> {
    let opened = match buf.split_last_chunk_mut::<TAG_LEN>() {
        Some((text, tag)) => open_in_place(key, nonce, aad, text, tag).map(|()| text.len()),
        None => Err(CryptoError::Tag),
    };
    if opened.is_err() {
        buf.zeroize();
    }
    opened
}
