//! One direction of a channel: a key and the counter that is its nonce.

use zeroize::{Zeroize, Zeroizing};

use super::ChannelError;
use crate::crypto::aead::{self, KEY_LEN, NONCE_LEN};

/// The counter value that Noise reserves for rekeying (section 4.2): no message ever uses it.
const NONCE_RESERVED: u64 = u64::MAX;

/// A key with its counter. Neither can be copied out, so that no pair is used twice.
pub(super) struct Cipher {
    pub(super) key: Zeroizing<[u8; KEY_LEN]>,
    /// Number of the next message.
    pub(super) next: u64,
}

impl Cipher {
    pub(super) fn new(key: [u8; KEY_LEN]) -> Self {
        Cipher { key: Zeroizing::new(key), next: 0 }
    }

    /// Encrypts the first `len` bytes of `buf` and appends the tag.
    pub(super) fn seal(
        &mut self,
        aad: &[u8],
        buf: &mut [u8],
        len: usize,
    ) -> Result<usize, ChannelError> {
        let nonce = self.nonce()?;
        let sealed_len = aead::seal_appended(&self.key, &nonce, aad, buf, len)?;
        self.next += 1;
        Ok(sealed_len)
    }

    /// Decrypts `buf`. The counter moves on only if the tag matched: what anyone can send must not
    /// move it.
    pub(super) fn open(&mut self, aad: &[u8], buf: &mut [u8]) -> Result<usize, ChannelError> {
        let opened =
            self.nonce().and_then(|nonce| Ok(aead::open_appended(&self.key, &nonce, aad, buf)?));
        match opened {
            Ok(_) => self.next += 1,
            Err(_) => buf.zeroize(),
        }
        opened
    }

    /// Replaces the key after Noise section 4.2; the counter goes on.
    pub(super) fn rekey(&mut self) {
        let mut next = Zeroizing::new([0; KEY_LEN]);
        aead::seal_in_place(&self.key, &nonce_bytes(NONCE_RESERVED), &[], &mut next[..]);
        self.key = next;
    }

    fn nonce(&self) -> Result<[u8; NONCE_LEN], ChannelError> {
        if self.next == NONCE_RESERVED {
            return Err(ChannelError::Exhausted);
        }
        Ok(nonce_bytes(self.next))
    }
}

/// Four zero bytes and the counter, big-endian (Noise section 12.4).
fn nonce_bytes(counter: u64) -> [u8; NONCE_LEN] {
    let mut nonce = [0; NONCE_LEN];
    nonce[4..].copy_from_slice(&counter.to_be_bytes());
    nonce
}
