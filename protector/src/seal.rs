//! Writes a protected executable, the loader with an artifact that the kernel maps with it, and
//! finds the artifact in one.
//!
//! The artifact is a segment, not merely appended data: so the loader finds it in its own memory
//! and need not open its file, which can then be installed execute-only. Room for the program
//! header comes from one of the loader's notes, which nothing reads at run time.

use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::atomic::{AtomicFile, Existing, WriteError};
use crate::elf::raw::{
    EM_X86_64, ET_DYN, HEADER_LEN, Header, PF_R, PT_GNU_PROPERTY, PT_INTERP, PT_LOAD, PT_NOTE,
    Segment, read_at,
};

/// What every artifact begins with, as all files of the project do.
pub const MAGIC: &[u8; 8] = b"STRGROOM";

const PAGE_LEN: u64 = 4096;
/// The kernel can map huge pages of the page cache where file offset and address agree in these.
const HUGE_PAGE_LEN: u64 = 2 << 20;
/// Permission bits that a protected file keeps: all but set-user-id, set-group-id and sticky.
pub(crate) const MODE_MASK: u32 = 0o777;

/// Where the artifact stands in a protected file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ArtifactRange {
    /// First byte, page-aligned.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub len_bytes: u64,
}

/// Why no protected file was written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SealError {
    /// The loader is not a static-pie program with a note to spare: a broken installation.
    #[error("the loader cannot carry a program: {0}")]
    Loader(&'static str),
    /// The artifact could not be made.
    #[error("the protected content could not be written")]
    Artifact(#[source] io::Error),
    /// What was made is no artifact.
    #[error("the protected content does not begin as an artifact")]
    Magic,
    /// The file could not be written.
    #[error(transparent)]
    Write(#[from] WriteError),
}

/// Why no artifact was found in a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FindError {
    /// An ordinary program or another kind of file.
    #[error("the file is not a protected program")]
    NotProtected,
    /// A program, protected or not, that lacks its end.
    #[error("the program is cut short: {missing_bytes} bytes are missing")]
    CutShort {
        /// Bytes missing.
        missing_bytes: u64,
    },
    /// The file cannot be read.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes `loader` and behind it what `write_artifact` writes, which may be large: it is streamed.
/// `mode` is that of the original program; its set-id bits are dropped.
///
/// # Errors
/// [`SealError`]; nothing is then left at `destination` that was not there before.
pub fn seal(
    loader: &[u8],
    destination: &Path,
    mode: u32,
    existing: Existing,
    write_artifact: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<ArtifactRange, SealError> {
    let mut file = AtomicFile::create(destination, mode & MODE_MASK, existing)?;
    let offset_bytes = (loader.len() as u64).next_multiple_of(PAGE_LEN);
    let padding = vec![0; offset_bytes as usize - loader.len()];
    file.write_all(loader).and_then(|()| file.write_all(&padding)).map_err(|e| file.failed(e))?;

    let mut counted = Counted { inner: &mut file, len_bytes: 0 };
    write_artifact(&mut counted).map_err(SealError::Artifact)?;
    let range = ArtifactRange { offset_bytes, len_bytes: counted.len_bytes };
    if read_at(file.file(), offset_bytes, MAGIC.len()).ok().as_deref() != Some(MAGIC) {
        return Err(SealError::Magic);
    }
    add_segment(file.file(), range)?.map_err(|e| file.failed(e))?;
    file.commit()?;
    Ok(range)
}

/// Finds the artifact in a protected file. Only its place and magic are looked at.
///
/// # Errors
/// [`FindError`].
pub fn find_artifact(file: &File) -> Result<ArtifactRange, FindError> {
    let file_len = file.metadata()?.len();
    let mut bytes = [0; HEADER_LEN];
    match file.read_exact_at(&mut bytes, 0) {
        Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => return Err(FindError::NotProtected),
        other => other?,
    }
    let header = Header::parse(&bytes);
    if !header.is_elf64_le() {
        return Err(FindError::NotProtected);
    }
    let segments = header.segments(file).map_err(|_| FindError::NotProtected)?;
    let missing = |s: &Segment| s.file_end().unwrap_or(u64::MAX).saturating_sub(file_len);
    for segment in segments.iter().rev().filter(|s| s.kind == PT_LOAD && s.flags == PF_R) {
        if read_at(file, segment.offset, MAGIC.len()).ok().as_deref() == Some(MAGIC) {
            if missing(segment) > 0 {
                return Err(FindError::CutShort { missing_bytes: missing(segment) });
            }
            let (offset_bytes, len_bytes) = (segment.offset, segment.file_len);
            return Ok(ArtifactRange { offset_bytes, len_bytes });
        }
    }
    match segments.iter().filter(|s| s.kind == PT_LOAD).map(missing).max() {
        None | Some(0) => Err(FindError::NotProtected),
        Some(missing_bytes) => Err(FindError::CutShort { missing_bytes }),
    }
}

/// Rewrites the program headers of the loader at the front of `file`, in their place. The outer
/// error is the loader's, the inner one the file's.
fn add_segment(file: &File, artifact: ArtifactRange) -> Result<io::Result<()>, SealError> {
    let bytes: [u8; HEADER_LEN] = match read_at(file, 0, HEADER_LEN).map(TryInto::try_into) {
        Ok(Ok(bytes)) => bytes,
        _ => return Err(SealError::Loader("it is too short")),
    };
    let header = Header::parse(&bytes);
    if !header.is_elf64_le() || header.machine != EM_X86_64 || header.file_type != ET_DYN {
        return Err(SealError::Loader("it is not a position-independent x86-64 program"));
    }
    let segments =
        header.segments(file).map_err(|_| SealError::Loader("its program headers are broken"))?;
    if segments.iter().any(|s| s.kind == PT_INTERP) {
        return Err(SealError::Loader("it needs an interpreter"));
    }
    let table: Vec<u8> =
        with_artifact(segments, artifact)?.into_iter().flat_map(Segment::to_bytes).collect();
    Ok(file.write_all_at(&table, header.segments_offset))
}

/// The table with a note replaced by the artifact's segment, which stands behind the last other
/// PT_LOAD, since the kernel wants these in ascending order.
fn with_artifact(
    mut segments: Vec<Segment>,
    artifact: ArtifactRange,
) -> Result<Vec<Segment>, SealError> {
    let property = segments.iter().find(|s| s.kind == PT_GNU_PROPERTY).map(|s| s.offset);
    let is_note = |s: &Segment| s.kind == PT_NOTE;
    let note = segments
        .iter()
        .position(|s| is_note(s) && Some(s.offset) != property)
        .or_else(|| segments.iter().position(is_note))
        .ok_or(SealError::Loader("it has no note whose place could be taken"))?;
    segments.remove(note);

    let last = segments
        .iter()
        .rposition(|s| s.kind == PT_LOAD)
        .ok_or(SealError::Loader("it loads nothing"))?;
    let vaddr = segments[last]
        .mem_end()
        .and_then(|end| end.checked_next_multiple_of(HUGE_PAGE_LEN))
        .and_then(|free| free.checked_add(artifact.offset_bytes % HUGE_PAGE_LEN))
        .ok_or(SealError::Loader("its last segment has no end"))?;
    let segment = Segment {
        kind: PT_LOAD,
        flags: PF_R,
        offset: artifact.offset_bytes,
        vaddr,
        paddr: vaddr,
        file_len: artifact.len_bytes,
        mem_len: artifact.len_bytes,
        align: PAGE_LEN,
    };
    segments.insert(last + 1, segment);
    Ok(segments)
}

struct Counted<'a> {
    inner: &'a mut AtomicFile,
    len_bytes: u64,
}

impl Write for Counted<'_> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let len = self.inner.write(buf)?;
        self.len_bytes += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DOCUMENT: &str = include_str!("../../docs/formats/32-protected-program.md");

    #[test]
    fn the_worked_example_of_the_document_holds() {
        let block = DOCUMENT.split("```example\n").nth(1).expect("the document has an example");
        let field = |line: &'static str| {
            let (name, value) = line.split_once('=').expect("name = value");
            let digits = value.trim().trim_start_matches("0x");
            (name.trim(), u64::from_str_radix(digits, 16).expect("hexadecimal"))
        };
        let lines = block.split("```").next().expect("the block ends").lines();
        let example: BTreeMap<_, _> = lines.map(field).collect();

        let load = Segment {
            kind: PT_LOAD,
            flags: 6,
            offset: 0,
            vaddr: example["last p_vaddr"],
            paddr: 0,
            file_len: 0,
            mem_len: example["last p_memsz"],
            align: PAGE_LEN,
        };
        let note = Segment { kind: PT_NOTE, ..load };
        let offset_bytes = example["loader length"].next_multiple_of(PAGE_LEN);
        let artifact = ArtifactRange { offset_bytes, len_bytes: example["artifact length"] };
        let table = with_artifact(vec![load, note], artifact).expect("a sound loader");
        let expected = Segment {
            kind: example["p_type"] as u32,
            flags: example["p_flags"] as u32,
            offset: example["p_offset"],
            vaddr: example["p_vaddr"],
            paddr: example["p_paddr"],
            file_len: example["p_filesz"],
            mem_len: example["p_memsz"],
            align: example["p_align"],
        };
        assert_eq!(table, [load, expected]);
    }
}
