//! Where things are in sealed content: sizes, and lengths converted both ways.

use crate::Error;

/// Plaintext bytes in every chunk but the final one, which is always shorter.
pub const CHUNK_LEN: usize = 16 * 1024;
/// Bytes of the authentication tag behind each chunk.
pub const TAG_LEN: usize = 16;
/// Bytes of a full chunk as stored.
pub const SEALED_CHUNK_LEN: usize = CHUNK_LEN + TAG_LEN;
/// Bytes of the salt that opens the header.
pub const SALT_LEN: usize = 24;
/// Bytes of the header: salt and commitment.
pub const HEADER_LEN: usize = SALT_LEN + COMMITMENT_LEN;
/// Chunks that one content can have, the final one included.
pub const MAX_CHUNKS: u64 = 1 << 38;
/// Plaintext bytes that one content can have: 4 PiB - 1.
pub const MAX_PLAINTEXT_LEN: u64 = MAX_CHUNKS * CHUNK_LEN as u64 - 1;

pub(crate) const COMMITMENT_LEN: usize = 32;

/// Bytes of sealed content for `plaintext_len` bytes, header included.
///
/// # Errors
/// [`Error::TooLong`] above [`MAX_PLAINTEXT_LEN`].
pub fn ciphertext_len(plaintext_len: u64) -> Result<u64, Error> {
    if plaintext_len > MAX_PLAINTEXT_LEN {
        return Err(Error::TooLong);
    }
    // Below 2^52 + 2^38 * 16 + 56, so nothing here can overflow.
    let chunks = plaintext_len / CHUNK_LEN as u64 + 1;
    Ok(HEADER_LEN as u64 + plaintext_len + chunks * TAG_LEN as u64)
}

/// Bytes of plaintext in sealed content of `ciphertext_len` bytes, header included. That the
/// content really ends there is known only once its final chunk was opened.
///
/// # Errors
/// [`Error::Truncated`] for a length that no content has, [`Error::TooLong`] above the limit.
pub fn plaintext_len(ciphertext_len: u64) -> Result<u64, Error> {
    let shape = Shape::of(ciphertext_len)?;
    Ok(shape.full_chunks * CHUNK_LEN as u64 + shape.final_len as u64)
}

/// How complete content divides into chunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shape {
    /// Chunks before the final one, and so the final one's number.
    pub(crate) full_chunks: u64,
    /// Plaintext bytes of the final chunk, below [`CHUNK_LEN`].
    pub(crate) final_len: usize,
}

impl Shape {
    pub(crate) fn of(ciphertext_len: u64) -> Result<Self, Error> {
        let body = ciphertext_len.checked_sub(HEADER_LEN as u64).ok_or(Error::Truncated)?;
        let full_chunks = body / SEALED_CHUNK_LEN as u64;
        let rest = (body % SEALED_CHUNK_LEN as u64) as usize;
        let final_len = rest.checked_sub(TAG_LEN).ok_or(Error::Truncated)?;
        if full_chunks >= MAX_CHUNKS {
            return Err(Error::TooLong);
        }
        Ok(Self { full_chunks, final_len })
    }
}

/// Where the stored chunk `index` begins in the content. The caller keeps `index` below
/// [`MAX_CHUNKS`].
pub(crate) fn chunk_offset(index: u64) -> u64 {
    HEADER_LEN as u64 + index * SEALED_CHUNK_LEN as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use proptest::test_runner::RngSeed;

    #[test]
    fn lengths_at_the_edges() {
        assert_eq!(ciphertext_len(0).unwrap(), 72);
        assert_eq!(ciphertext_len(16_383).unwrap(), 56 + 16_399);
        assert_eq!(ciphertext_len(16_384).unwrap(), 56 + 16_400 + 16);
        let longest = ciphertext_len(MAX_PLAINTEXT_LEN).unwrap();
        assert_eq!(plaintext_len(longest).unwrap(), MAX_PLAINTEXT_LEN);
        assert!(matches!(ciphertext_len(MAX_PLAINTEXT_LEN + 1), Err(Error::TooLong)));
        assert!(matches!(ciphertext_len(u64::MAX), Err(Error::TooLong)));
        assert!(matches!(plaintext_len(longest + TAG_LEN as u64 + 1), Err(Error::TooLong)));
    }

    #[test]
    fn lengths_that_no_content_has() {
        for len in (0..72).chain([16_456, 16_457, 16_471]) {
            assert!(matches!(plaintext_len(len), Err(Error::Truncated)), "{len}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            rng_seed: RngSeed::Fixed(30),
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn lengths_convert_back(len in 0..=MAX_PLAINTEXT_LEN) {
            prop_assert_eq!(plaintext_len(ciphertext_len(len).unwrap()).unwrap(), len);
        }

        #[test]
        fn any_length_is_judged_without_overflow(len: u64) {
            if let Ok(plain) = plaintext_len(len) {
                prop_assert_eq!(ciphertext_len(plain).unwrap(), len);
            }
        }
    }
}
