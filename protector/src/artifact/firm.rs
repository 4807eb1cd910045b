//! The firm that protects: its root v1, verified once and carried by each artifact.

use protocol::limits::ROOT_BODY_LEN_MAX;
use protocol::objects::file::{finish, next_object};
use protocol::objects::root::Root;

use super::ArtifactError;

/// A firm's root v1, as bytes and verified.
#[derive(Debug, Clone)]
pub struct Firm {
    object: Vec<u8>,
    root: Root,
}

impl Firm {
    /// Takes a root v1 as an object, without the prefix of a file.
    ///
    /// # Errors
    /// [`ArtifactError::Unreadable`] and [`ArtifactError::Root`].
    pub fn new(root_object: &[u8]) -> Result<Self, ArtifactError> {
        let (object, rest) =
            next_object(root_object, ROOT_BODY_LEN_MAX).map_err(ArtifactError::Unreadable)?;
        finish(rest).map_err(ArtifactError::Unreadable)?;
        let root = Root::verify_first(&object).map_err(ArtifactError::Root)?;
        Ok(Self { object: root_object.to_vec(), root })
    }

    /// The root, with the firm's mode and name.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The bytes that were verified.
    pub fn object(&self) -> &[u8] {
        &self.object
    }
}
