//! Sealing: full chunks in order, then the final short one, which consumes the sealer.

use aws_lc_rs::aead::Aad;

use crate::derive::ContentKeys;
use crate::layout::{CHUNK_LEN, HEADER_LEN, SALT_LEN, SEALED_CHUNK_LEN, TAG_LEN};
use crate::{Error, MAX_CHUNKS};

/// Seals one content. Chunks are numbered by the sealer, so no nonce can be used twice.
pub struct Sealer {
    keys: ContentKeys,
    header: [u8; HEADER_LEN],
    next_index: u64,
}

impl Sealer {
    /// Draws the salt and derives the keys of a new content. `input_key` is uniformly random or
    /// the output of a key derivation; `context` is bound to the content and not stored in it.
    ///
    /// # Errors
    /// [`Error::Random`] if `random` fails.
    pub fn new<E>(
        input_key: &[u8; 32],
        context: &[u8],
        random: impl FnOnce(&mut [u8]) -> Result<(), E>,
    ) -> Result<Self, Error>
    where
        E: std::error::Error + Send + Sync + 'static,
    {
        let mut salt = [0; SALT_LEN];
        random(&mut salt).map_err(|e| Error::Random(Box::new(e)))?;
        let keys = ContentKeys::derive(input_key, &salt, context)?;
        let mut header = [0; HEADER_LEN];
        header[..SALT_LEN].copy_from_slice(&salt);
        header[SALT_LEN..].copy_from_slice(&*keys.commitment);
        Ok(Self { keys, header, next_index: 0 })
    }

    /// The bytes that stand before the first chunk.
    #[must_use]
    pub fn header(&self) -> &[u8; HEADER_LEN] {
        &self.header
    }

    /// Seals the next full chunk.
    ///
    /// # Errors
    /// [`Error::TooLong`] when only a final chunk may follow.
    pub fn seal_chunk(
        &mut self,
        plaintext: &[u8; CHUNK_LEN],
        out: &mut [u8; SEALED_CHUNK_LEN],
    ) -> Result<(), Error> {
        if self.next_index + 1 >= MAX_CHUNKS {
            return Err(Error::TooLong);
        }
        self.seal(plaintext, out)?;
        self.next_index += 1;
        Ok(())
    }

    /// Seals the final chunk: fewer than [`CHUNK_LEN`] bytes, possibly none. `out` is
    /// [`TAG_LEN`] bytes longer than `plaintext`.
    ///
    /// # Errors
    /// [`Error::Buffer`] if a length is wrong.
    pub fn seal_final(self, plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        if plaintext.len() >= CHUNK_LEN {
            return Err(Error::Buffer { want: CHUNK_LEN - 1, got: plaintext.len() });
        }
        self.seal(plaintext, out)
    }

    fn seal(&self, plaintext: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let want = plaintext.len() + TAG_LEN;
        if out.len() != want {
            return Err(Error::Buffer { want, got: out.len() });
        }
        let nonce = self.keys.nonce(self.next_index)?;
        let (ciphertext, tag) = out.split_at_mut(plaintext.len());
        self.keys
            .key()
            .seal_out_of_place_scatter(nonce, Aad::empty(), plaintext, ciphertext, &[], tag)
            .map_err(|_| Error::Library)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[test]
    fn the_last_number_is_kept_for_the_final_chunk() {
        let mut sealer = Sealer::new(&[1; 32], b"", |_| Ok::<_, Infallible>(())).unwrap();
        sealer.next_index = MAX_CHUNKS - 2;
        let (plain, mut out) = ([0; CHUNK_LEN], [0; SEALED_CHUNK_LEN]);
        sealer.seal_chunk(&plain, &mut out).unwrap();
        assert!(matches!(sealer.seal_chunk(&plain, &mut out), Err(Error::TooLong)));
        sealer.seal_final(b"end", &mut [0; 19]).unwrap();
    }
}
