//! Opens protected files and programs, and verifies them as far as is possible without a license.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

use content::{CHUNK_LEN, RandomAccess, ReadAt};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::RootFp;
use zeroize::Zeroizing;

use crate::artifact::{ArtifactError, ArtifactHead, Section, open_content, read_artifact_head};
use crate::protect::open_at_once;
use crate::seal::{ArtifactRange, FindError, MAGIC, find_artifact};

const ELF_MAGIC: &[u8; 4] = b"\x7fELF";
/// Bytes read at once where they are not decrypted.
const READ_LEN: usize = 1 << 20;

/// A protected file or program whose head is verified.
#[derive(Debug)]
pub struct ProtectedFile {
    head: ArtifactHead,
    range: ArtifactRange,
    file: File,
}

/// The content of a protected file, decrypted at any offset.
pub type FileContent = RandomAccess<Section<Section<File>>>;

/// What was verified.
#[derive(Debug)]
pub struct VerifyReport {
    /// The head, signed by the vendor: who, what, and the ways to open it.
    pub head: ArtifactHead,
    /// Where the artifact stands in the file. What stands before it, the loader, is not signed.
    pub range: ArtifactRange,
    /// Chunks of the content.
    pub chunks: u64,
    /// How far the content was checked.
    pub content: ContentCheck,
}

/// How far the content was checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ContentCheck {
    /// It can be read and has the signed length. Whether it was altered shows only with the key.
    LengthOnly,
    /// Every chunk is as the vendor sealed it.
    EveryChunk,
}

/// Why a protected file does not hold.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// A program without an artifact, or cut before its end.
    #[error(transparent)]
    Find(#[from] FindError),
    /// The artifact does not hold.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another firm's.
    #[error("it is from vendor {found}, not from {expected}")]
    OtherFirm {
        /// Fingerprint asked for.
        expected: RootFp,
        /// Fingerprint in the file.
        found: RootFp,
    },
}

impl VerifyError {
    /// Its row of the error table; none for an error of the system.
    pub fn failure(&self) -> Option<Failure> {
        match self {
            Self::Find(FindError::NotProtected) => Some(ErrorCode::NotStrongroom.failure()),
            Self::Find(FindError::CutShort { missing_bytes }) => {
                Some(ErrorCode::CutShort.with(*missing_bytes, 0))
            }
            Self::Find(FindError::Io(_)) => None,
            Self::Artifact(error) => error.failure(),
            Self::OtherFirm { .. } => Some(ErrorCode::ArtifactBroken.failure()),
        }
    }
}

impl From<io::Error> for VerifyError {
    fn from(error: io::Error) -> Self {
        Self::Artifact(ArtifactError::Io(error))
    }
}

impl ProtectedFile {
    /// Opens a protected file or program and verifies its head.
    ///
    /// # Errors
    /// [`VerifyError`].
    pub fn open(path: &Path) -> Result<Self, VerifyError> {
        let file = open_at_once(path)?;
        let range = locate(&file)?;
        let head = read_artifact_head(&section(&file, range))?;
        Ok(Self { head, range, file })
    }

    /// The head.
    pub fn head(&self) -> &ArtifactHead {
        &self.head
    }

    /// Where the artifact stands in the file.
    pub fn range(&self) -> ArtifactRange {
        self.range
    }

    /// Opens the content with the key of its main part, as a container released it.
    ///
    /// # Errors
    /// [`ArtifactError`].
    pub fn into_content(self, part_key: &[u8; 32]) -> Result<FileContent, ArtifactError> {
        let Self { head, range, file } = self;
        open_content(&head, part_key, section(file, range))
    }
}

/// Verifies all of a protected file or program: signatures, structure, lengths, that it can be
/// read to its end, and with `part_key` every chunk. `expected` is the firm that it must be from:
/// without it only the file's own word says who made it. `progress` is told bytes done and bytes
/// in all.
///
/// # Errors
/// [`VerifyError`].
pub fn verify(
    path: &Path,
    expected: Option<RootFp>,
    part_key: Option<&[u8; 32]>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<VerifyReport, VerifyError> {
    let file = ProtectedFile::open(path)?;
    let (head, range) = (file.head.clone(), file.range);
    if let Some(expected) = expected.filter(|expected| *expected != head.root_fp()) {
        return Err(VerifyError::OtherFirm { expected, found: head.root_fp() });
    }
    let content = match part_key {
        Some(key) => {
            open_all(&file.into_content(key)?, progress)?;
            ContentCheck::EveryChunk
        }
        None => {
            read_all(&section(&file.file, range), progress)?;
            ContentCheck::LengthOnly
        }
    };
    // The final chunk is always there and always shorter.
    let chunks = head.body.content_len / CHUNK_LEN as u64 + 1;
    Ok(VerifyReport { head, range, chunks, content })
}

/// Whether a file is a protected file or program, sound or not.
pub(crate) fn is_protected(file: &File) -> io::Result<bool> {
    match locate(file) {
        Ok(range) if range.len_bytes < MAGIC.len() as u64 => Ok(false),
        Ok(range) => {
            let mut bytes = [0; MAGIC.len() + 1];
            let len = bytes.len().min(range.len_bytes as usize);
            let found = file.bytes_at(range.offset_bytes, len, &mut bytes)?;
            let artifact = protocol::objects::file::FileKind::Artifact as u8;
            Ok(found.starts_with(MAGIC) && found.get(MAGIC.len()) == Some(&artifact))
        }
        Err(FindError::Io(error)) => Err(error),
        Err(_) => Ok(false),
    }
}

/// The artifact's place: behind the loader of a program, else the whole file.
fn locate(file: &File) -> Result<ArtifactRange, FindError> {
    let len_bytes = file.metadata()?.len();
    let mut front = [0; ELF_MAGIC.len()];
    if len_bytes >= front.len() as u64 {
        file.read_exact_at(&mut front, 0)?;
    }
    if &front == ELF_MAGIC {
        return find_artifact(file);
    }
    Ok(ArtifactRange { offset_bytes: 0, len_bytes })
}

fn section<R>(source: R, range: ArtifactRange) -> Section<R> {
    Section::new(source, range.offset_bytes, range.len_bytes)
}

fn open_all(
    content: &FileContent,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), ArtifactError> {
    let total = content.plaintext_len();
    let mut plain = Zeroizing::new(vec![0; CHUNK_LEN]);
    let mut done = 0;
    while done < total {
        done += content.read_at(done, &mut plain)? as u64;
        progress(done, total);
    }
    Ok(())
}

fn read_all(source: &impl ReadAt, progress: &mut dyn FnMut(u64, u64)) -> io::Result<()> {
    let total = source.len_bytes()?;
    let mut scratch = vec![0; READ_LEN];
    let mut done = 0;
    while done < total {
        let len = (total - done).min(READ_LEN as u64) as usize;
        source.bytes_at(done, len, &mut scratch)?;
        done += len as u64;
        progress(done, total);
    }
    Ok(())
}
