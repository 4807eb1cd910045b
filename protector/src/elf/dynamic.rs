//! The dynamic section: whether this is a program at all, and which paths follow its place.

use std::fs::File;

use super::image::Refusal;
use super::raw::{PT_LOAD, Segment, c_string, read_at, u64_at};

const ENTRY_LEN: usize = 16;
/// Real programs have some dozens of entries.
const MAX_LEN: u64 = 4096 * ENTRY_LEN as u64;
const MAX_STRING_LEN: u64 = 64 * 1024;

const DT_NULL: u64 = 0;
const DT_STRTAB: u64 = 5;
const DT_SONAME: u64 = 14;
const DT_RPATH: u64 = 15;
const DT_RUNPATH: u64 = 29;
const DT_FLAGS_1: u64 = 0x6fff_fffb;
const DF_1_PIE: u64 = 0x0800_0000;

/// What the dynamic section says.
#[derive(Debug, Default)]
pub(super) struct Dynamic {
    /// Marked as a program by the linker.
    pub(super) is_pie: bool,
    /// Has a library's name.
    pub(super) has_name: bool,
    /// Entries of RUNPATH and RPATH that contain `$ORIGIN`.
    pub(super) origin_paths: Vec<String>,
}

impl Dynamic {
    pub(super) fn read(
        file: &File,
        segment: &Segment,
        segments: &[Segment],
    ) -> Result<Self, Refusal> {
        const BROKEN: Refusal = Refusal::Damaged("its dynamic section cannot be read");
        if segment.file_len > MAX_LEN {
            return Err(BROKEN);
        }
        let bytes = read_at(file, segment.offset, segment.file_len as usize).map_err(|_| BROKEN)?;
        let entries: Vec<(u64, u64)> = bytes
            .chunks_exact(ENTRY_LEN)
            .filter_map(<[u8]>::first_chunk::<ENTRY_LEN>)
            .map(|entry| (u64_at(entry, 0), u64_at(entry, 8)))
            .take_while(|(tag, _)| *tag != DT_NULL)
            .collect();
        let value = |wanted| entries.iter().find(|(tag, _)| *tag == wanted).map(|(_, v)| *v);

        let mut origin_paths = Vec::new();
        for place in [DT_RUNPATH, DT_RPATH].into_iter().filter_map(value) {
            let strings = value(DT_STRTAB).ok_or(BROKEN)?;
            let address = strings.checked_add(place).ok_or(BROKEN)?;
            let paths = string_at(file, address, segments).ok_or(BROKEN)?;
            let relative = paths
                .split(':')
                .filter(|path| path.contains("$ORIGIN") || path.contains("${ORIGIN}"));
            origin_paths.extend(relative.map(str::to_owned));
        }
        Ok(Self {
            is_pie: value(DT_FLAGS_1).is_some_and(|flags| flags & DF_1_PIE != 0),
            has_name: value(DT_SONAME).is_some(),
            origin_paths,
        })
    }
}

/// The string at an address, read from the segment that covers it.
fn string_at(file: &File, address: u64, segments: &[Segment]) -> Option<String> {
    let covers =
        |s: &&Segment| s.kind == PT_LOAD && address >= s.vaddr && address - s.vaddr < s.file_len;
    let segment = segments.iter().find(covers)?;
    let inside = address - segment.vaddr;
    let len = (segment.file_len - inside).min(MAX_STRING_LEN);
    let bytes = read_at(file, segment.offset.checked_add(inside)?, len as usize).ok()?;
    Some(String::from_utf8_lossy(c_string(&bytes, 0)).into_owned())
}
