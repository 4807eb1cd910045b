//! Encrypted content in chunks of 16 KiB, with random access and key commitment.
//!
//! This is C2SP chunked encryption (<https://c2sp.org/chunked-encryption>, version 1) in its
//! suite of SHA-512 and AES-256-GCM, named Cobblestone-256 there. `docs/formats/30-content.md`
//! has the bytes. For hosts only: containers hand out keys and never see content.
//!
//! - [`Sealer`] encrypts, chunk by chunk or with [`seal_reader`] from any reader, in constant
//!   memory;
//! - [`Opener`] checks the commitment first and then opens any chunk, from many threads at once;
//! - [`RandomAccess`] reads any range of a complete file, and [`open_reader`] all of it in order;
//! - [`artifact`] reads the license header before it, for loader and protector alike;
//! - [`ciphertext_len`] and [`plaintext_len`] convert lengths.
#![forbid(unsafe_code)]

pub mod artifact;
mod derive;
mod error;
mod layout;
mod open;
mod random_access;
mod seal;
mod stream;

pub use error::Error;
pub use layout::{
    CHUNK_LEN, HEADER_LEN, MAX_CHUNKS, MAX_PLAINTEXT_LEN, SALT_LEN, SEALED_CHUNK_LEN, TAG_LEN,
    ciphertext_len, plaintext_len,
};
pub use open::Opener;
pub use random_access::{RandomAccess, ReadAt};
pub use seal::Sealer;
pub use stream::{open_reader, seal_reader};
