//! Reading a head: prefix, root, license header, each verified before anything in it is used.

use protocol::codec;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, RootFp};
use protocol::limits::{
    ARTIFACT_BODY_LEN_MAX, ARTIFACT_ROOTS_MAX, HEAD_LEN_MAX, ROOT_BODY_LEN_MAX, ROOT_OBJECT_LEN_MAX,
};
use protocol::objects::artifact::{ArtifactBody, ArtifactKind};
use protocol::objects::file::{self, FileKind, PREFIX_LEN};
use protocol::objects::root::Root;
use protocol::signed::{
    HEADER_LEN, Header, HeaderError, Kind, ObjectError, Role, UnverifiedObject, VerifyError,
};

use super::{ArtifactError, Section};
use crate::{RandomAccess, ReadAt, ciphertext_len};

/// Bytes before the content, at most.
pub const ARTIFACT_HEAD_LEN_MAX: usize =
    PREFIX_LEN + ARTIFACT_ROOTS_MAX * ROOT_OBJECT_LEN_MAX + HEAD_LEN_MAX + ARTIFACT_BODY_LEN_MAX;

/// A verified head.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArtifactHead {
    /// The firm's root that protected: v1 vouches for itself, each later one for the next.
    pub root: Root,
    /// The license header, signed by the root's `protect` role.
    pub header: Header,
    /// Its body.
    pub body: ArtifactBody,
    /// The artifact.
    pub artifact_id: ArtifactId,
    /// Context of the content: SHA-256 of the license header's preimage.
    pub context: [u8; 32],
    /// Where the content begins in the artifact.
    pub content_offset: u64,
    /// Bytes of the content as stored, which end the artifact.
    pub sealed_len: u64,
}

impl ArtifactHead {
    /// The firm.
    pub fn root_fp(&self) -> RootFp {
        self.root.root_fp
    }

    /// Bytes of the artifact, content included.
    pub fn artifact_len(&self) -> u64 {
        self.content_offset + self.sealed_len
    }

    /// Refuses an artifact that is shorter or longer than the vendor signed.
    fn check_len(&self, artifact_len: u64) -> Result<(), ArtifactError> {
        match artifact_len.checked_sub(self.artifact_len()) {
            Some(0) => Ok(()),
            Some(extra_bytes) => Err(ArtifactError::ContentLong { extra_bytes }),
            None => {
                let missing_bytes = self.artifact_len() - artifact_len;
                Err(ArtifactError::ContentShort { missing_bytes })
            }
        }
    }
}

/// Reads the head of an artifact that `source` consists of, and checks that the source ends with
/// the content. Memory is not copied but for the decoded values.
///
/// # Errors
/// [`ArtifactError`].
pub fn read_artifact_head(source: &impl ReadAt) -> Result<ArtifactHead, ArtifactError> {
    let artifact_len = source.len_bytes()?;
    let len = artifact_len.min(ARTIFACT_HEAD_LEN_MAX as u64) as usize;
    let mut scratch = vec![0; len];
    let bytes = source.bytes_at(0, len, &mut scratch)?;
    let head = parse_artifact_head(bytes)?;
    head.check_len(artifact_len)?;
    Ok(head)
}

/// Reads a head from the first bytes of an artifact: all of it, or at least
/// [`ARTIFACT_HEAD_LEN_MAX`]. Whether the content is complete is not looked at.
///
/// # Errors
/// [`ArtifactError`].
pub fn parse_artifact_head(bytes: &[u8]) -> Result<ArtifactHead, ArtifactError> {
    let window = &bytes[..bytes.len().min(ARTIFACT_HEAD_LEN_MAX)];
    let objects = file::expect(window, FileKind::Artifact).map_err(ArtifactError::Unreadable)?;
    let (root, object, rest) = read_roots(objects, window)?;
    let (header, body) = verify_header(&root, &object)?;
    let sealed_len = ciphertext_len(body.content_len)
        .map_err(|_| ArtifactError::Contents("a content of impossible length"))?;
    Ok(ArtifactHead {
        root,
        artifact_id: ArtifactId::new(header.target),
        context: header.hash(),
        content_offset: (window.len() - rest.len()) as u64,
        sealed_len,
        header,
        body,
    })
}

/// Opens the content of the artifact that `source` consists of. `part_key` is the main part's, as
/// a container released it.
///
/// # Errors
/// [`ArtifactError`]: the key is another artifact's, or the content was altered or cut.
pub fn open_content<R: ReadAt>(
    head: &ArtifactHead,
    part_key: &[u8; 32],
    source: R,
) -> Result<RandomAccess<Section<R>>, ArtifactError> {
    head.check_len(source.len_bytes()?)?;
    let content = Section::new(source, head.content_offset, head.sealed_len);
    Ok(RandomAccess::open(part_key, &head.context, content)?)
}

/// The roots in front, each verified by the one before, and the object behind them.
fn read_roots<'a>(
    objects: &'a [u8],
    window: &[u8],
) -> Result<(Root, UnverifiedObject<'a>, &'a [u8]), ArtifactError> {
    let (object, mut rest) = read_object(objects, window, ROOT_BODY_LEN_MAX)?;
    let mut root = Root::verify_first(&object).map_err(ArtifactError::Root)?;
    loop {
        let (object, behind) = read_object(rest, window, ARTIFACT_BODY_LEN_MAX)?;
        if object.header().kind != Kind::Root || root.version >= ARTIFACT_ROOTS_MAX as u64 {
            return Ok((root, object, behind));
        }
        root = root.verify_next(&object).map_err(ArtifactError::Root)?;
        rest = behind;
    }
}

/// The next object in `rest`, the end of `window`.
fn read_object<'a>(
    rest: &'a [u8],
    window: &[u8],
    body_len_max: usize,
) -> Result<(UnverifiedObject<'a>, &'a [u8]), ArtifactError> {
    let failure = |error| {
        // An object that ends behind the longest possible head has a damaged length.
        let cut = window.len() < ARTIFACT_HEAD_LEN_MAX;
        ArtifactError::Unreadable(object_failure(error, rest.len(), cut))
    };
    UnverifiedObject::read(rest, body_len_max).map_err(failure)
}

fn object_failure(error: ObjectError, left: usize, cut: bool) -> Failure {
    match error {
        ObjectError::Header(HeaderError::Suite(suite)) => {
            ErrorCode::NewerVersion.with(suite.into(), 0)
        }
        ObjectError::Header(HeaderError::Short) if cut => {
            ErrorCode::CutShort.with(HEADER_LEN.saturating_sub(left) as u64, 0)
        }
        ObjectError::Short { missing } if cut => ErrorCode::CutShort.with(missing as u64, 0),
        _ => ErrorCode::ArtifactBroken.failure(),
    }
}

/// Signature first, then the body's hash, then the body.
fn verify_header(
    root: &Root,
    object: &UnverifiedObject<'_>,
) -> Result<(Header, ArtifactBody), ArtifactError> {
    let refused = |error: VerifyError| ArtifactError::Header(error.into());
    let key_id = object.header().key_id;
    let key = root.key(Role::Protect, key_id).ok_or_else(|| refused(VerifyError::OtherKey))?;
    let object = object.verify_role(Role::Protect, &key).map_err(ArtifactError::Header)?;
    let body: ArtifactBody =
        codec::decode(object.body, ARTIFACT_BODY_LEN_MAX).map_err(ArtifactError::Body)?;
    check_header(root, &object.header).map_err(ArtifactError::Contents)?;
    check_body(root, &body).map_err(ArtifactError::Contents)?;
    Ok((object.header, body))
}

fn check_header(root: &Root, header: &Header) -> Result<(), &'static str> {
    if header.kind != Kind::Artifact || header.root_fp != root.root_fp {
        return Err("it is for another vendor than its root");
    }
    let unused = (header.seq, header.state, header.until_s, header.log_index);
    if unused != (0, [0; 32], 0, 0) {
        return Err("a field that artifacts do not use is set");
    }
    Ok(())
}

fn check_body(root: &Root, body: &ArtifactBody) -> Result<(), &'static str> {
    if body.mode != root.body.mode {
        return Err("test and live are mixed");
    }
    if body.slots.is_empty() {
        return Err("no slot to open it");
    }
    if body.slots.iter().any(|slot| slot.requirement.root_fp != root.root_fp) {
        return Err("a slot asks for a license of another vendor");
    }
    let has_options = body.program.is_some();
    if has_options != (body.kind == ArtifactKind::Program) {
        return Err("options of programs belong to programs");
    }
    if body.parts == 0 {
        return Err("no part of content");
    }
    Ok(())
}
