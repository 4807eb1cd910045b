//! The running hash and keys of a handshake (Noise, section 5.2, `SymmetricState`).

use zeroize::Zeroizing;

use super::cipher::Cipher;
use super::{ChannelError, PROLOGUE_LABEL, Pattern, VERSION};
use crate::crypto::ecdh::SharedSecret;
use crate::crypto::hash::{Hash32, Sha256};
use crate::crypto::kdf::Prk;

pub(super) struct Symmetric {
    hash: Hash32,
    chaining_key: Zeroizing<[u8; 32]>,
    cipher: Option<Cipher>,
}

impl Symmetric {
    /// The state after the protocol's name and the prologue.
    pub(super) fn new(pattern: Pattern) -> Self {
        let name = pattern.protocol_name().as_bytes();
        // Names of at most 32 bytes are padded with zeros instead of hashed; both of ours have 27.
        let mut hash = [0; 32];
        hash[..name.len()].copy_from_slice(name);
        let mut state = Symmetric { hash, chaining_key: Zeroizing::new(hash), cipher: None };
        state.mix_parts(&[PROLOGUE_LABEL.as_bytes(), &[0, VERSION, pattern as u8]]);
        state
    }

    pub(super) fn mix_hash(&mut self, bytes: &[u8]) {
        self.mix_parts(&[bytes]);
    }

    pub(super) fn mix_key(&mut self, secret: &SharedSecret) {
        let (chaining_key, key) = self.derive(secret.as_bytes());
        self.chaining_key = chaining_key;
        self.cipher = Some(Cipher::new(*key));
    }

    /// Encrypts (once there is a key) the first `len` bytes of `buf` in place and mixes in the
    /// result.
    pub(super) fn encrypt(&mut self, buf: &mut [u8], len: usize) -> Result<usize, ChannelError> {
        let sealed_len = match &mut self.cipher {
            Some(cipher) => cipher.seal(&self.hash, buf, len)?,
            None => len,
        };
        let sealed = buf.get(..sealed_len).ok_or(ChannelError::Length)?;
        self.mix_hash(sealed);
        Ok(sealed_len)
    }

    /// Mixes in `buf` and decrypts it in place (once there is a key).
    pub(super) fn decrypt(&mut self, buf: &mut [u8]) -> Result<usize, ChannelError> {
        let before = self.hash;
        self.mix_hash(buf);
        match &mut self.cipher {
            Some(cipher) => cipher.open(&before, buf),
            None => Ok(buf.len()),
        }
    }

    /// The keys of the initiator's and of the responder's direction, and the hash of the whole
    /// handshake.
    pub(super) fn split(self) -> (Cipher, Cipher, Hash32) {
        let (initiator, responder) = self.derive(&[]);
        (Cipher::new(*initiator), Cipher::new(*responder), self.hash)
    }

    fn mix_parts(&mut self, parts: &[&[u8]]) {
        let mut hash = Sha256::new();
        hash.update(&self.hash);
        parts.iter().for_each(|part| hash.update(part));
        self.hash = hash.finish();
    }

    /// Noise's HKDF with two outputs is RFC 5869 with the chaining key as salt and no info.
    fn derive(&self, ikm: &[u8]) -> (Zeroizing<[u8; 32]>, Zeroizing<[u8; 32]>) {
        let mut okm = Zeroizing::new([0; 64]);
        // Two blocks of 255: the length is always allowed.
        Prk::extract(&self.chaining_key[..], &[ikm]).expand(&[], &mut okm[..]).expect("two blocks");
        let (mut first, mut second) = (Zeroizing::new([0; 32]), Zeroizing::new([0; 32]));
        first.copy_from_slice(&okm[..32]);
        second.copy_from_slice(&okm[32..]);
        (first, second)
    }
}
