//! The ELF records that matter here, read one by one and bounded by the file and by limits.
//!
//! Layouts: System V gABI, chapter "Object Files", 64-bit little-endian.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

pub(crate) const HEADER_LEN: usize = 64;
pub(crate) const SEGMENT_LEN: usize = 56;
const SECTION_LEN: usize = 64;

/// The kernel refuses a table of program headers above 64 KiB.
const MAX_SEGMENTS: u16 = (65_536 / SEGMENT_LEN) as u16;

pub(crate) const ET_EXEC: u16 = 2;
pub(crate) const ET_DYN: u16 = 3;
pub(crate) const EM_X86_64: u16 = 62;

pub(crate) const PT_LOAD: u32 = 1;
pub(crate) const PT_DYNAMIC: u32 = 2;
pub(crate) const PT_INTERP: u32 = 3;
pub(crate) const PT_NOTE: u32 = 4;
pub(crate) const PT_TLS: u32 = 7;
pub(crate) const PT_GNU_STACK: u32 = 0x6474_e551;
pub(crate) const PT_GNU_PROPERTY: u32 = 0x6474_e553;
pub(crate) const PF_X: u32 = 1;
pub(crate) const PF_W: u32 = 2;
pub(crate) const PF_R: u32 = 4;

pub(crate) const SHT_PROGBITS: u32 = 1;
pub(crate) const SHT_SYMTAB: u32 = 2;
pub(crate) const SHT_NOBITS: u32 = 8;
pub(crate) const SHF_ALLOC: u64 = 2;

/// The first 64 bytes of a file, split into fields but not judged.
#[derive(Clone, Debug)]
pub(crate) struct Header {
    pub(crate) ident: [u8; 16],
    pub(crate) file_type: u16,
    pub(crate) machine: u16,
    pub(crate) entry: u64,
    pub(crate) segments_offset: u64,
    sections_offset: u64,
    segment_len: u16,
    segment_count: u16,
    section_len: u16,
    section_count: u16,
    names_index: u16,
}

/// One program header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    pub(crate) kind: u32,
    pub(crate) flags: u32,
    pub(crate) offset: u64,
    pub(crate) vaddr: u64,
    pub(crate) paddr: u64,
    pub(crate) file_len: u64,
    pub(crate) mem_len: u64,
    pub(crate) align: u64,
}

/// One section header.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    pub(crate) kind: u32,
    pub(crate) flags: u64,
    pub(crate) offset: u64,
    pub(crate) len: u64,
    pub(crate) link: u32,
}

impl Header {
    pub(crate) fn parse(bytes: &[u8; HEADER_LEN]) -> Self {
        let mut ident = [0; 16];
        ident.copy_from_slice(&bytes[..16]);
        Self {
            ident,
            file_type: u16_at(bytes, 16),
            machine: u16_at(bytes, 18),
            entry: u64_at(bytes, 24),
            segments_offset: u64_at(bytes, 32),
            sections_offset: u64_at(bytes, 40),
            segment_len: u16_at(bytes, 54),
            segment_count: u16_at(bytes, 56),
            section_len: u16_at(bytes, 58),
            section_count: u16_at(bytes, 60),
            names_index: u16_at(bytes, 62),
        }
    }

    /// Whether this is ELF, 64-bit, little-endian, version 1.
    pub(crate) fn is_elf64_le(&self) -> bool {
        self.ident[..7] == [0x7f, b'E', b'L', b'F', 2, 1, 1]
    }

    /// Where the table of program headers ends, if it is one that the kernel accepts.
    pub(crate) fn segments_end(&self) -> Option<u64> {
        let sound = usize::from(self.segment_len) == SEGMENT_LEN
            && (1..=MAX_SEGMENTS).contains(&self.segment_count);
        let table_len = u64::from(self.segment_count) * SEGMENT_LEN as u64;
        sound.then(|| self.segments_offset.checked_add(table_len)).flatten()
    }

    /// All program headers.
    ///
    /// # Errors
    /// `InvalidData` if the kernel would refuse the table, `UnexpectedEof` if it is cut.
    pub(crate) fn segments(&self, file: &File) -> io::Result<Vec<Segment>> {
        let end = self.segments_end().ok_or(io::ErrorKind::InvalidData)?;
        let table_len = (end - self.segments_offset) as usize;
        let table = read_at(file, self.segments_offset, table_len)?;
        Ok(table
            .chunks_exact(SEGMENT_LEN)
            .filter_map(<[u8]>::first_chunk)
            .map(Segment::parse)
            .collect())
    }

    /// Where the table of section headers ends.
    pub(crate) fn sections_end(&self) -> Option<u64> {
        let table_len = u64::from(self.section_count) * SECTION_LEN as u64;
        self.sections_offset.checked_add(table_len)
    }

    /// All section headers with their names; none if the file has none. Programs run without
    /// them, so a broken table is the same as no table.
    pub(crate) fn sections(&self, file: &File) -> Option<Vec<Section>> {
        if usize::from(self.section_len) != SECTION_LEN || self.section_count == 0 {
            return None;
        }
        let table_len = usize::from(self.section_count) * SECTION_LEN;
        let table = read_at(file, self.sections_offset, table_len).ok()?;
        let entries = || table.chunks_exact(SECTION_LEN).filter_map(<[u8]>::first_chunk);
        let names = entries().nth(usize::from(self.names_index))?;
        let names_len = usize::try_from(u64_at(names, 32)).ok()?.min(1 << 20);
        let names = read_at(file, u64_at(names, 24), names_len).ok()?;
        Some(entries().map(|entry| Section::parse(entry, &names)).collect())
    }
}

impl Segment {
    pub(crate) fn parse(bytes: &[u8; SEGMENT_LEN]) -> Self {
        Self {
            kind: u32_at(bytes, 0),
            flags: u32_at(bytes, 4),
            offset: u64_at(bytes, 8),
            vaddr: u64_at(bytes, 16),
            paddr: u64_at(bytes, 24),
            file_len: u64_at(bytes, 32),
            mem_len: u64_at(bytes, 40),
            align: u64_at(bytes, 48),
        }
    }

    pub(crate) fn to_bytes(self) -> [u8; SEGMENT_LEN] {
        let mut bytes = [0; SEGMENT_LEN];
        bytes[..4].copy_from_slice(&self.kind.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.flags.to_le_bytes());
        let words = [self.offset, self.vaddr, self.paddr, self.file_len, self.mem_len, self.align];
        for (place, word) in bytes[8..].chunks_exact_mut(8).zip(words) {
            place.copy_from_slice(&word.to_le_bytes());
        }
        bytes
    }

    /// Where its bytes end in the file.
    pub(crate) fn file_end(&self) -> Option<u64> {
        self.offset.checked_add(self.file_len)
    }

    /// Where it ends in memory.
    pub(crate) fn mem_end(&self) -> Option<u64> {
        self.vaddr.checked_add(self.mem_len)
    }
}

impl Section {
    fn parse(bytes: &[u8; SECTION_LEN], names: &[u8]) -> Self {
        Self {
            name: c_string(names, u32_at(bytes, 0) as usize).to_vec(),
            kind: u32_at(bytes, 4),
            flags: u64_at(bytes, 8),
            offset: u64_at(bytes, 24),
            len: u64_at(bytes, 32),
            link: u32_at(bytes, 40),
        }
    }

    /// Where its bytes end in the file.
    pub(crate) fn file_end(&self) -> Option<u64> {
        match self.kind {
            SHT_NOBITS => Some(self.offset),
            _ => self.offset.checked_add(self.len),
        }
    }
}

/// Reads exactly `len` bytes. The file's own length is asked first, so that a wild length in a
/// broken file allocates nothing.
pub(crate) fn read_at(file: &File, offset: u64, len: usize) -> io::Result<Vec<u8>> {
    let end = offset.checked_add(len as u64).ok_or(io::ErrorKind::UnexpectedEof)?;
    if end > file.metadata()?.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let mut bytes = vec![0; len];
    file.read_exact_at(&mut bytes, offset)?;
    Ok(bytes)
}

/// The bytes from `start` to the next zero; nothing if there is none.
pub(crate) fn c_string(table: &[u8], start: usize) -> &[u8] {
    let rest = table.get(start..).unwrap_or_default();
    rest.iter().position(|b| *b == 0).map_or(&[], |end| &rest[..end])
}

// The offsets below are constants inside arrays of fixed length, so the slices always fit.

pub(crate) fn u16_at<const N: usize>(bytes: &[u8; N], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

pub(crate) fn u32_at<const N: usize>(bytes: &[u8; N], at: usize) -> u32 {
    u32::from(u16_at(bytes, at)) | u32::from(u16_at(bytes, at + 2)) << 16
}

pub(crate) fn u64_at<const N: usize>(bytes: &[u8; N], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}
