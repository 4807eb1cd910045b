//! SHA-256 (FIPS 180-4).

use sha2::Digest;

/// Bytes of a hash.
pub const HASH_LEN: usize = 32;

/// A SHA-256 hash.
pub type Hash32 = [u8; HASH_LEN];

/// Hash of `bytes`.
pub fn sha256(bytes: &[u8]) -> Hash32 {
    sha2::Sha256::digest(bytes).into()
}

/// SHA-256 over bytes as they come.
#[derive(Clone, Default)]
pub struct Sha256(sha2::Sha256);

impl Sha256 {
    /// The hash of nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The hash of all bytes taken in.
    pub fn finish(self) -> Hash32 {
        self.0.finalize().into()
    }

    /// The first 16 bytes of it: for names, which nobody gains by choosing two alike.
    pub fn finish_16(self) -> [u8; 16] {
        let (mut short, hash) = ([0; 16], self.finish());
        short.iter_mut().zip(hash).for_each(|(short, byte)| *short = byte);
        short
    }
}
