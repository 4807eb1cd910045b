//! The firm that protects: its roots, verified once and carried by each artifact.

use protocol::errors::ErrorCode;
use protocol::limits::{ARTIFACT_ROOTS_MAX, ROOT_BODY_LEN_MAX};
use protocol::objects::file::next_object;
use protocol::objects::root::Root;

use super::ArtifactError;

/// A firm's roots from v1 on, as bytes, and the last of them, verified.
#[derive(Debug, Clone)]
pub struct Firm {
    object: Vec<u8>,
    root: Root,
}

impl Firm {
    /// Takes roots as objects, one behind the other, without the prefix of a file.
    ///
    /// # Errors
    /// [`ArtifactError::Unreadable`] and [`ArtifactError::Root`].
    pub fn new(roots: &[u8]) -> Result<Self, ArtifactError> {
        let (object, mut rest) =
            next_object(roots, ROOT_BODY_LEN_MAX).map_err(ArtifactError::Unreadable)?;
        let mut root = Root::verify_first(&object).map_err(ArtifactError::Root)?;
        while !rest.is_empty() {
            let (object, behind) =
                next_object(rest, ROOT_BODY_LEN_MAX).map_err(ArtifactError::Unreadable)?;
            root = root.verify_next(&object).map_err(ArtifactError::Root)?;
            rest = behind;
        }
        let (version, most) = (root.version, ARTIFACT_ROOTS_MAX as u64);
        if version > most {
            return Err(ArtifactError::Unreadable(ErrorCode::TooLong.with(version, most)));
        }
        Ok(Self { object: roots.to_vec(), root })
    }

    /// The newest root, with the firm's mode and name.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// The bytes that were verified.
    pub fn object(&self) -> &[u8] {
        &self.object
    }
}
