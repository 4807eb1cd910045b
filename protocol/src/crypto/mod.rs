//! Cryptography: thin, strict wrappers over RustCrypto, the channel, and sealing to a container.
//!
//! Nothing here needs a heap, reads a clock or draws randomness by itself. P-256, AES-256-GCM and
//! SHA-256 are the whole of suite 1; a version byte elsewhere names it, nothing negotiates it.
//! Suite 2, which only hosts have, adds ML-DSA-65 to signatures over trees (feature `hybrid`).

pub mod aead;
pub mod channel;
pub mod ecdh;
pub mod ecdsa;
pub mod hash;
pub mod hpke;
#[cfg(feature = "aws-lc")]
pub mod hybrid;
pub mod kdf;
pub mod mac;
mod random;
mod wipe;

pub use random::{Random, RandomFailed};
pub use wipe::wipe_stack;

/// Why a cryptographic operation was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum CryptoError {
    /// No point of the curve, the identity, not the expected encoding, or a private key out of
    /// range.
    #[cfg_attr(feature = "std", error("not a valid P-256 key"))]
    Key,
    /// The signature does not verify, or is not in low-S form.
    #[cfg_attr(feature = "std", error("the signature does not verify"))]
    Signature,
    /// An authentication tag does not match. The buffer was zeroed.
    #[cfg_attr(feature = "std", error("the authentication tag does not match"))]
    Tag,
    /// A buffer is too small, or more bytes were asked for than the algorithm gives.
    #[cfg_attr(feature = "std", error("a buffer has an unusable length"))]
    Length,
    /// The source of random bytes failed.
    #[cfg_attr(feature = "std", error("the source of random bytes failed"))]
    Random,
    /// The place that keeps the private key (a secure element, say) did not answer.
    #[cfg_attr(feature = "std", error("the private key's home did not answer"))]
    KeyHome,
}

impl From<RandomFailed> for CryptoError {
    fn from(_: RandomFailed) -> Self {
        CryptoError::Random
    }
}
