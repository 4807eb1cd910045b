//! Signed objects: one header for all, verified over the bytes received.
//!
//! `object = header[144] || proof_len u16 || proof || body`. What is signed is the *preimage*:
//! domain label, a zero byte, the header's length (u32) and the header, which ends with length and
//! hash of the body. So the proof is checked first, then the body's hash is compared, and only then
//! is the body parsed.
//!
//! Keys of a firm's roles sign trees of such preimages (RFC 6962 hashing), never a preimage itself:
//! one signature serves a whole batch. Containers sign their statements directly; roots,
//! revocations and recovery carry several direct signatures. `docs/formats/01-signed-objects.md`
//! has the byte table.

mod header;
#[cfg(feature = "aws-lc")]
pub mod hybrid;
mod object;
mod proof;
pub mod tree;

pub use header::{HEADER_LEN, HYBRID_SUITE, Header, HeaderError, Kind, Role, SUITE};
pub use object::{Object, ObjectError, UnverifiedObject, read_head, write_object};
pub use proof::{
    BatchProof, Proof, VerifyError, sign_batch, sign_threshold, tree_preimage, verify_batch,
    verify_direct, verify_threshold,
};
