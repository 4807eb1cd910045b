//! What can go wrong when content is sealed or opened.

use std::io;

/// Why content could not be sealed or opened. No plaintext comes with any of them.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The commitment differs: another key, another context, or an altered header.
    #[error("the content belongs to another key or license header, or its beginning was altered")]
    Commitment,
    /// The content ends before its final chunk, or inside it.
    #[error("the content is cut short")]
    Truncated,
    /// A chunk fails authentication: altered, moved, or from another file.
    #[error("chunk {index} of the content was altered or does not belong here")]
    Chunk {
        /// Number of the chunk, from 0.
        index: u64,
    },
    /// More chunks than the format can hold (2^38).
    #[error("the content is longer than 4 PiB")]
    TooLong,
    /// The caller's buffer does not fit the chunk: a programming error, not an attack.
    #[error("buffer of {got} bytes where {want} are needed")]
    Buffer {
        /// Bytes needed.
        want: usize,
        /// Bytes given.
        got: usize,
    },
    /// The source of randomness failed.
    #[error("no random bytes")]
    Random(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The cryptographic library refused, which sound input cannot cause.
    #[error("the cryptographic library failed")]
    Library,
    /// Reading or writing failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        match error {
            Error::Io(inner) => inner,
            Error::Truncated => Self::new(io::ErrorKind::UnexpectedEof, error),
            other => Self::new(io::ErrorKind::InvalidData, other),
        }
    }
}
