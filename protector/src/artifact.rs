//! Artifacts: written here, read by what the content crate shares with the loader.

mod firm;
mod write;

pub use content::artifact::{
    ARTIFACT_HEAD_LEN_MAX, ArtifactError, ArtifactHead, Section, open_content, parse_artifact_head,
    read_artifact_head,
};
pub use firm::Firm;
pub use write::{ArtifactWriteError, Content, Protection, Signer, SlotSpec, write_artifact};
