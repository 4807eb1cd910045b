//! Writing an artifact: a fresh content key, wrapped for each slot, then the content in one pass.

use std::io::{self, Read, Take, Write};

use content::{Sealer, seal_reader};
use protocol::codec::{self, List, Text};
use protocol::crypto::ecdsa::Sign;
use protocol::crypto::{Random, RandomFailed};
use protocol::ids::ArtifactId;
use protocol::limits::SLOTS_MAX;
use protocol::objects::artifact::{
    ArtifactBody, ArtifactKind, MAIN_PART, ProgramOptions, SecretKey, Slot, part_key,
    wrap_content_key, wrap_trap,
};
use protocol::objects::file::{FileKind, prefix};
use protocol::objects::license::Requirement;
use protocol::signed::{Header, Kind, sign_batch, write_object};
use zeroize::Zeroizing;

use super::{ArtifactError, ArtifactHead, Firm, parse_artifact_head};

/// What a vendor decides about an artifact.
pub struct Protection<'a> {
    /// Who protects.
    pub firm: &'a Firm,
    /// What it is called in messages.
    pub name: Text<128>,
    /// Ways to open it, 1 to 16, tried in this order.
    pub slots: Vec<SlotSpec>,
    /// When it is made, Unix seconds UTC.
    pub issued_s: u64,
}

/// One way to open an artifact.
pub struct SlotSpec {
    /// What must be fulfilled.
    pub requirement: Requirement,
    /// Item key of the product and generation that the requirement names.
    pub item_key: SecretKey,
    /// No key is behind it: whoever asks for one locks the firm's licenses in that container.
    pub is_trap: bool,
}

/// What signs and where chance comes from: the vendor's key store.
pub struct Signer<'a> {
    /// A key that holds the firm's `protect` role.
    pub key: &'a dyn Sign,
    /// For keys, salts, the artifact's id and the signature.
    pub random: &'a mut dyn Random,
}

/// What is protected.
pub struct Content<R> {
    /// For programs, what the loader is told.
    pub program: Option<ProgramOptions>,
    /// Bytes to read; they stand in the signed header, which is written first.
    pub len_bytes: u64,
    /// Gives at least that many.
    pub reader: R,
}

/// Why no artifact was written. What was written by then is no artifact.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArtifactWriteError {
    /// None, or more than a header holds.
    #[error("{0} ways to open it, where 1 to {max} can be given", max = SLOTS_MAX)]
    Slots(usize),
    /// Nobody could read it: a key without the role, or a slot for another firm.
    #[error("nobody could open it: {0}")]
    Unreadable(#[source] ArtifactError),
    /// No random bytes.
    #[error("no random bytes")]
    Random,
    /// The home of the key did not sign.
    #[error("the key store did not sign")]
    NotSigned,
    /// The content ended early.
    #[error("{got_bytes} bytes came where {want_bytes} were announced")]
    ContentLen {
        /// Bytes announced.
        want_bytes: u64,
        /// Bytes read.
        got_bytes: u64,
    },
    /// The content could not be read.
    #[error("the original could not be read")]
    Read(#[source] io::Error),
    /// The artifact could not be written.
    #[error("the protected content could not be written")]
    Write(#[source] io::Error),
    /// Encryption failed.
    #[error(transparent)]
    Seal(content::Error),
}

impl From<RandomFailed> for ArtifactWriteError {
    fn from(_: RandomFailed) -> Self {
        Self::Random
    }
}

/// Writes an artifact, streaming the content. `progress` is told bytes done and bytes in all.
/// Returns the head as a reader will see it.
///
/// # Errors
/// [`ArtifactWriteError`].
pub fn write_artifact(
    protection: &Protection<'_>,
    signer: &mut Signer<'_>,
    content: Content<impl Read>,
    mut out: impl Write,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<ArtifactHead, ArtifactWriteError> {
    let Content { program, len_bytes, reader } = content;
    let artifact_id = ArtifactId::new(draw(signer.random)?);
    let mut content_key = Zeroizing::new([0; 32]);
    signer.random.fill(&mut content_key[..])?;
    let slots = wrapped_slots(protection, artifact_id, &content_key, signer.random)?;
    let body = body(protection, slots, program, len_bytes);
    let bytes = signed_head(protection, artifact_id, &body, signer)?;
    // Read as everyone will, so that a wrong key or slot is found before any content is sealed.
    let head = parse_artifact_head(&bytes).map_err(ArtifactWriteError::Unreadable)?;
    out.write_all(&bytes).map_err(ArtifactWriteError::Write)?;

    let key = part_key(&content_key, MAIN_PART);
    let salt = |salt: &mut [u8]| signer.random.fill(salt).map_err(|_| io::Error::other("random"));
    let sealer = Sealer::new(&key, &head.context, salt).map_err(seal_error)?;
    let reader = reader.take(len_bytes);
    let mut source = Source { reader, done: 0, total: len_bytes, progress, failed: None };
    let sealed = seal_reader(sealer, &mut source, out);
    if let Some(error) = source.failed {
        return Err(ArtifactWriteError::Read(error));
    }
    let got_bytes = sealed.map_err(seal_error)?;
    if got_bytes != len_bytes {
        return Err(ArtifactWriteError::ContentLen { want_bytes: len_bytes, got_bytes });
    }
    Ok(head)
}

fn wrapped_slots(
    protection: &Protection<'_>,
    artifact_id: ArtifactId,
    content_key: &[u8; 32],
    random: &mut dyn Random,
) -> Result<List<Slot, SLOTS_MAX>, ArtifactWriteError> {
    let refused = || ArtifactWriteError::Slots(protection.slots.len());
    if protection.slots.is_empty() || protection.slots.len() > SLOTS_MAX {
        return Err(refused());
    }
    let wrap = |SlotSpec { requirement, item_key, is_trap }: &SlotSpec| {
        let salt = draw(random)?;
        let wrapped = match is_trap {
            true => wrap_trap(item_key, salt, artifact_id, requirement),
            false => wrap_content_key(item_key, salt, artifact_id, requirement, content_key),
        };
        Ok(Slot { requirement: *requirement, wrapped })
    };
    let slots = protection.slots.iter().map(wrap).collect::<Result<_, RandomFailed>>()?;
    List::new(slots).ok_or_else(refused)
}

fn body(
    protection: &Protection<'_>,
    slots: List<Slot, SLOTS_MAX>,
    program: Option<ProgramOptions>,
    content_len: u64,
) -> ArtifactBody {
    let root = &protection.firm.root().body;
    ArtifactBody {
        kind: if program.is_some() { ArtifactKind::Program } else { ArtifactKind::File },
        mode: root.mode,
        firm_name: root.name.clone(),
        name: protection.name.clone(),
        slots,
        content_len,
        program,
        parts: 1,
    }
}

/// Prefix, root and license header.
fn signed_head(
    protection: &Protection<'_>,
    artifact_id: ArtifactId,
    body: &ArtifactBody,
    signer: &mut Signer<'_>,
) -> Result<Vec<u8>, ArtifactWriteError> {
    let body = codec::encode(body);
    let mut headers = [Header {
        root_fp: protection.firm.root().root_fp,
        target: *artifact_id.bytes(),
        issued_s: protection.issued_s,
        ..Header::new(Kind::Artifact, &body)
    }];
    let entropy = Zeroizing::new(draw(signer.random)?);
    let proofs = sign_batch(&mut headers, signer.key, &entropy);
    let proofs = proofs.ok_or(ArtifactWriteError::NotSigned)?;
    let mut bytes = Vec::from(prefix(FileKind::Artifact));
    bytes.extend_from_slice(protection.firm.object());
    // One header has one proof.
    for proof in proofs {
        bytes.extend_from_slice(&write_object(&headers[0], &proof, &body));
    }
    Ok(bytes)
}

fn draw<const N: usize>(random: &mut dyn Random) -> Result<[u8; N], RandomFailed> {
    let mut bytes = [0; N];
    random.fill(&mut bytes)?;
    Ok(bytes)
}

/// What the source did not cause is the sink's: the two are told apart by [`Source::failed`].
fn seal_error(error: content::Error) -> ArtifactWriteError {
    match error {
        content::Error::Io(inner) => ArtifactWriteError::Write(inner),
        content::Error::Random(_) => ArtifactWriteError::Random,
        other => ArtifactWriteError::Seal(other),
    }
}

/// The content on its way: counts, and keeps the error of the reader.
struct Source<'a, R> {
    reader: Take<R>,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
    failed: Option<io::Error>,
}

impl<R: Read> Read for Source<'_, R> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        match self.reader.read(buf) {
            Ok(len) => {
                self.done += len as u64;
                if len > 0 {
                    (self.progress)(self.done, self.total);
                }
                Ok(len)
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Err(error),
            Err(error) => {
                let kind = error.kind();
                self.failed = Some(error);
                Err(kind.into())
            }
        }
    }
}
