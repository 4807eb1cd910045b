//! Data that a program can only have from its own file: appended archives and the like.
//!
//! A protected program that opens `/proc/self/exe` finds the protected file, so these would miss
//! their data.

use std::fmt;
use std::fs::File;

use super::raw::{SHF_ALLOC, SHT_PROGBITS, Section, read_at};

/// How much of the file's end is searched for the marks of archives.
const TAIL_LEN: u64 = 128 * 1024;
/// Padding that linkers and file systems leave.
const MAX_PADDING_LEN: u64 = 4096;
/// Unknown sections below this are remarks of tools, not data.
const MIN_SECTION_LEN: u64 = 4096;
const PYINSTALLER_MARK: &[u8] = b"MEI\x0c\x0b\x0a\x0b\x0e";
const ZIP_END_MARK: &[u8] = b"PK\x05\x06";
const ZIP_END_LEN: usize = 22;

/// Sections that tools leave for tools.
const TOOL_SECTIONS: [&[u8]; 9] = [
    b".debug",
    b".zdebug",
    b".comment",
    b".note",
    b".gnu",
    b".stab",
    b".gdb",
    b".annobin",
    b".GCC",
];

/// Formats known by the first bytes of what is appended.
const FIRST_BYTES: [(&[u8], &str); 7] = [
    (b"hsqs", "a squashfs image, as in an AppImage"),
    (b"PK\x03\x04", "a zip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x1f\x8b", "a gzip stream"),
    (b"\xfd7zXZ\0", "an xz stream"),
    (b"\x28\xb5\x2f\xfd", "a zstd stream"),
    (b"\x7fELF", "another program"),
];

/// A piece of the file that is not loaded into memory and that the program may read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OwnData {
    /// A PyInstaller bundle.
    PyInstaller,
    /// A zip archive at the end.
    Zip,
    /// Bytes behind everything that the headers describe.
    Appended {
        /// How many.
        len_bytes: u64,
        /// What they look like, if that is known.
        format: Option<&'static str>,
    },
    /// A large section that is not loaded and belongs to no known tool.
    Section {
        /// Its name.
        name: String,
        /// Its size.
        len_bytes: u64,
    },
}

impl fmt::Display for OwnData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PyInstaller => write!(f, "a PyInstaller bundle"),
            Self::Zip => write!(f, "a zip archive at its end"),
            Self::Appended { len_bytes, format: Some(format) } => {
                write!(f, "{len_bytes} bytes behind the program, {format}")
            }
            Self::Appended { len_bytes, format: None } => {
                write!(f, "{len_bytes} bytes behind the program")
            }
            Self::Section { name, len_bytes } => {
                write!(f, "section {name} of {len_bytes} bytes, which is not loaded")
            }
        }
    }
}

/// Three ends in a file, in bytes from its beginning.
pub(super) struct Extent {
    /// Of what is loaded.
    pub(super) sealed: u64,
    /// Of what headers describe.
    pub(super) described: u64,
    /// Of the file.
    pub(super) file: u64,
}

pub(super) fn find(file: &File, extent: Extent, sections: Option<&[Section]>) -> Vec<OwnData> {
    let mut found = Vec::new();
    let start = extent.sealed.max(extent.file.saturating_sub(TAIL_LEN));
    let tail = read_at(file, start, extent.file.saturating_sub(start) as usize).unwrap_or_default();
    let has_bundle_section = sections.is_some_and(|s| s.iter().any(|s| s.name == b"pydata"));
    if has_bundle_section || tail.windows(PYINSTALLER_MARK.len()).any(|w| w == PYINSTALLER_MARK) {
        found.push(OwnData::PyInstaller);
    }
    if ends_with_zip(&tail) {
        found.push(OwnData::Zip);
    }
    found.extend(sections.unwrap_or_default().iter().filter_map(unknown_section));
    if found.is_empty() {
        found.extend(appended(file, &extent));
    }
    found
}

pub(super) fn has_debug_information(sections: &[Section]) -> bool {
    sections.iter().any(|s| s.name.starts_with(b".debug") || s.name.starts_with(b".zdebug"))
}

/// A zip ends with a record that gives the length of the comment behind it: so a chance mark in
/// other data does not count.
fn ends_with_zip(tail: &[u8]) -> bool {
    tail.windows(ZIP_END_LEN).enumerate().any(|(at, record)| {
        let comment_len = usize::from(record[20]) | usize::from(record[21]) << 8;
        record.starts_with(ZIP_END_MARK) && at + ZIP_END_LEN + comment_len == tail.len()
    })
}

fn unknown_section(section: &Section) -> Option<OwnData> {
    let is_data = section.kind == SHT_PROGBITS && section.flags & SHF_ALLOC == 0;
    let is_tools = TOOL_SECTIONS.iter().any(|prefix| section.name.starts_with(prefix));
    let known_apart = section.name == b"pydata";
    (is_data && !is_tools && !known_apart && section.len >= MIN_SECTION_LEN).then(|| {
        OwnData::Section {
            name: String::from_utf8_lossy(&section.name).into_owned(),
            len_bytes: section.len,
        }
    })
}

fn appended(file: &File, extent: &Extent) -> Option<OwnData> {
    let len_bytes = extent.file.checked_sub(extent.described).filter(|len| *len > 0)?;
    let front = read_at(file, extent.described, len_bytes.min(MAX_PADDING_LEN) as usize);
    let front = front.unwrap_or_default();
    if len_bytes <= MAX_PADDING_LEN && front.iter().all(|b| *b == 0) {
        return None;
    }
    // What was appended may have been aligned first.
    let data = front.iter().position(|b| *b != 0).map_or(&front[..], |at| &front[at..]);
    let format = FIRST_BYTES.iter().find(|(first, _)| data.starts_with(first)).map(|(_, n)| *n);
    Some(OwnData::Appended { len_bytes, format })
}
