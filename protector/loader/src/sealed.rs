//! The program as it stands encrypted in the payload, decrypted chunk by chunk straight into place.

use content::{CHUNK_LEN, Error, HEADER_LEN, RandomAccess, SEALED_CHUNK_LEN};

use crate::opening::ImageSource;
use crate::payload::Payload;
use crate::resident::reasons;
use crate::resident::refusal::Refusal;

/// The encrypted image: content of the payload from some offset to its end. Its keys are wiped when
/// it is dropped.
pub struct SealedImage {
    content: RandomAccess<&'static [u8]>,
    payload: Payload,
    at: usize,
}

impl SealedImage {
    /// Opens the content that begins at `at` in the payload. `key` is that of the content's part,
    /// `context` the hash of the header before it.
    ///
    /// # Errors
    /// Key, header or length is not this content's.
    pub fn open(
        payload: Payload,
        at: usize,
        key: &[u8; 32],
        context: &[u8],
    ) -> Result<Self, Refusal> {
        let sealed = payload.bytes().get(at..).ok_or_else(|| broken(&Error::Truncated))?;
        let content = RandomAccess::open(key, context, sealed).map_err(|error| broken(&error))?;
        Ok(Self { content, payload, at })
    }

    /// The bytes of the payload that hold a range of the program, less where the payload ends.
    fn stored(&self, offset: u64, len: u64) -> (usize, usize) {
        let unit = CHUNK_LEN as u64;
        let chunk_at = |index: u64| HEADER_LEN as u64 + index * SEALED_CHUNK_LEN as u64;
        let start = chunk_at(offset / unit);
        let end = chunk_at((offset + len).div_ceil(unit));
        let left = (self.payload.bytes().len() - self.at) as u64;
        let (start, end) = (start.min(left), end.min(left));
        (self.at + start as usize, (end - start) as usize)
    }
}

impl ImageSource for SealedImage {
    fn len(&self) -> u64 {
        self.content.plaintext_len()
    }

    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<(), Refusal> {
        let wanted = out.len();
        match self.content.read_at(offset, out) {
            Ok(got) if got == wanted => Ok(()),
            Ok(_) => Err(broken(&Error::Truncated)),
            Err(error) => Err(broken(&error)),
        }
    }

    fn unit_len(&self) -> u64 {
        CHUNK_LEN as u64
    }

    fn will_read(&self, offset: u64, len: u64) {
        let (start, len) = self.stored(offset, len);
        self.payload.populate(start, len);
    }

    fn has_read(&self, offset: u64, len: u64) {
        let (start, len) = self.stored(offset, len);
        self.payload.release(start, len);
    }
}

fn broken(error: &Error) -> Refusal {
    reasons::content_broken().detail(&error.to_string())
}
