//! The head of an artifact: what stands before encrypted content, and what of it is believed.
//!
//! An artifact is the file prefix, the firm's root v1, the license header signed by the firm's
//! `protect` role, and content keyed by the container. `docs/formats/31-artifact.md` has the
//! bytes. Reading needs no more than this crate, so that the loader stays small; writing is the
//! protector's.
//!
//! A root vouches for itself only. Who knows which firm to expect compares
//! [`ArtifactHead::root_fp`]; who does not is protected all the same, since the key comes from a
//! container that holds a license of that very firm.

mod error;
mod head;
mod section;

pub use error::ArtifactError;
pub use head::{
    ARTIFACT_HEAD_LEN_MAX, ArtifactHead, open_content, parse_artifact_head, read_artifact_head,
};
pub use section::Section;
