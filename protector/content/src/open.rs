//! Opening: the commitment first, then any chunk in any order.

use aws_lc_rs::aead::Aad;
use aws_lc_rs::constant_time::verify_slices_are_equal;

use crate::Error;
use crate::derive::ContentKeys;
use crate::layout::{CHUNK_LEN, HEADER_LEN, SALT_LEN, TAG_LEN};

/// Opens the chunks of one content. It holds no position and can be shared between threads.
pub struct Opener {
    keys: ContentKeys,
}

impl Opener {
    /// Derives the keys and compares the commitment in `header`.
    ///
    /// # Errors
    /// [`Error::Commitment`] if key, context or header is not this content's.
    pub fn new(
        input_key: &[u8; 32],
        context: &[u8],
        header: &[u8; HEADER_LEN],
    ) -> Result<Self, Error> {
        let mut salt = [0; SALT_LEN];
        salt.copy_from_slice(&header[..SALT_LEN]);
        let keys = ContentKeys::derive(input_key, &salt, context)?;
        verify_slices_are_equal(&*keys.commitment, &header[SALT_LEN..])
            .map_err(|_| Error::Commitment)?;
        Ok(Self { keys })
    }

    /// Opens the stored chunk `index` (tag included) straight into `out`, which is [`TAG_LEN`]
    /// bytes shorter. `is_final` says whether the content ends with this chunk; a chunk of the
    /// other kind is refused by its length. After any error `out` holds zeros.
    ///
    /// # Errors
    /// [`Error::Truncated`] for a length that this kind of chunk cannot have, [`Error::Buffer`]
    /// if `out` does not fit, [`Error::Chunk`] if authentication fails, [`Error::TooLong`].
    pub fn open_chunk(
        &self,
        index: u64,
        is_final: bool,
        sealed: &[u8],
        out: &mut [u8],
    ) -> Result<(), Error> {
        let opened = self.open(index, is_final, sealed, out);
        if opened.is_err() {
            out.fill(0);
        }
        opened
    }

    fn open(&self, index: u64, is_final: bool, sealed: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let want = sealed.len().checked_sub(TAG_LEN).ok_or(Error::Truncated)?;
        if want > CHUNK_LEN || is_final != (want < CHUNK_LEN) {
            return Err(Error::Truncated);
        }
        if out.len() != want {
            return Err(Error::Buffer { want, got: out.len() });
        }
        let nonce = self.keys.nonce(index)?;
        let (ciphertext, tag) = sealed.split_at(want);
        self.keys
            .key()
            .open_separate_gather(nonce, Aad::empty(), ciphertext, tag, out)
            .map_err(|_| Error::Chunk { index })
    }
}
