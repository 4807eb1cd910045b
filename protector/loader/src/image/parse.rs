//! Reads the headers of a program. Bounded: whatever the bytes are, the answer is a program or a
//! reason.

use object::Endianness;
use object::elf;
use object::read::elf::{FileHeader, ProgramHeader};

use crate::memory::{PAGE_LEN, page_down, page_up};
use crate::opening::ImageSource;
use crate::resident::Refusal;
use crate::resident::reasons::bad_program;

type Header = elf::FileHeader64<Endianness>;

/// Bytes of the file that are read at first; nearly all programs have their headers there.
const HEAD_LEN: usize = 4096;

/// Bytes within which the program headers must lie.
const HEAD_LEN_MAX: usize = 64 * 1024;

/// Segments of a program.
const SEGMENTS_MAX: usize = 128;

/// Bytes of the dynamic linker's path, as the kernel bounds it.
const PATH_LEN_MAX: usize = 4096;

/// End of the addresses that a program can have.
const ADDRESS_END: u64 = 0x7fff_ffff_f000;

/// A loadable segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Segment {
    /// Address in the file's own terms.
    pub address: usize,
    /// Bytes in memory.
    pub memory_len: usize,
    /// Where its bytes stand in the file.
    pub file_offset: u64,
    /// Bytes in the file; the rest is zeros.
    pub file_len: usize,
    /// `PF_R`, `PF_W`, `PF_X`.
    pub flags: u32,
}

impl Segment {
    /// First address and end, once mapped.
    pub fn at(&self, bias: usize) -> (usize, usize) {
        let start = self.address.wrapping_add(bias);
        (start, start.wrapping_add(self.memory_len))
    }

    /// The pages it touches, once mapped.
    pub fn pages(&self, bias: usize) -> (usize, usize) {
        let (start, end) = self.at(bias);
        (page_down(start), page_up(end))
    }

    /// Whether it may be executed.
    pub fn is_executable(&self) -> bool {
        self.flags & elf::PF_X.0 != 0
    }
}

/// What a program's headers say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Whether it must lie at its own addresses.
    pub fixed: bool,
    /// Address of its first instruction.
    pub entry: usize,
    /// At least one, in order of address, none overlapping.
    pub segments: Vec<Segment>,
    /// Address of the program headers, if a segment has them.
    pub headers_at: Option<usize>,
    /// The program headers themselves.
    pub headers: Vec<u8>,
    /// Number of program headers.
    pub header_count: usize,
    /// Address of the dynamic section.
    pub dynamic: Option<usize>,
    /// Where in the file the path of the dynamic linker stands, and its length.
    pub interpreter: Option<(u64, usize)>,
    /// Whether it wants an executable stack.
    pub executable_stack: bool,
    /// Greatest alignment of a segment.
    pub align: usize,
}

impl Program {
    /// First address and end.
    pub fn span(&self) -> (usize, usize) {
        let start = self.segments.first().map_or(0, |s| s.address);
        (start, self.segments.last().map_or(0, |s| s.address + s.memory_len))
    }

    /// End of the bytes that come from the file.
    pub fn file_end(&self) -> usize {
        self.segments.iter().map(|s| s.address + s.file_len).max().unwrap_or(0)
    }

    /// Bytes that come from the file.
    pub fn file_len(&self) -> usize {
        self.segments.iter().map(|s| s.file_len).fold(0, usize::saturating_add)
    }
}

/// Reads the headers of a program.
///
/// # Errors
/// It is no program of this machine, or its headers contradict each other.
pub fn read(source: &impl ImageSource) -> Result<Program, Refusal> {
    let mut head = vec![0; HEAD_LEN.min(usize::try_from(source.len()).unwrap_or(HEAD_LEN))];
    source.read_into(0, &mut head)?;
    let needed = headers_end(&head)?;
    if needed > head.len() {
        if needed > HEAD_LEN_MAX || needed as u64 > source.len() {
            return Err(bad_program("its program headers lie too far behind"));
        }
        head.resize(needed, 0);
        source.read_into(0, &mut head)?;
    }
    parse(&head, source.len())
}

fn header(head: &[u8]) -> Result<(&Header, Endianness), Refusal> {
    let header = Header::parse(head).map_err(|_| bad_program("it is no 64-bit ELF file"))?;
    let endian = header.endian().map_err(|_| bad_program("it is no ELF file"))?;
    if endian != Endianness::Little || header.e_machine.get(endian) != elf::EM_X86_64 {
        return Err(bad_program("it is for another machine"));
    }
    Ok((header, endian))
}

fn headers_end(head: &[u8]) -> Result<usize, Refusal> {
    let (header, endian) = header(head)?;
    let len = u64::from(header.e_phnum.get(endian)) * u64::from(header.e_phentsize.get(endian));
    let end = header.e_phoff.get(endian).checked_add(len);
    end.and_then(|end| usize::try_from(end).ok())
        .ok_or_else(|| bad_program("its headers lie nowhere"))
}

/// Reads headers from the first bytes of a file of `file_len` bytes.
///
/// # Errors
/// As [`read`].
pub fn parse(head: &[u8], file_len: u64) -> Result<Program, Refusal> {
    let (header, endian) = header(head)?;
    let fixed = match header.e_type.get(endian) {
        elf::ET_EXEC => true,
        elf::ET_DYN => false,
        _ => return Err(bad_program("it is no executable")),
    };
    let table = header.program_headers(endian, head);
    let table = table.map_err(|_| bad_program("its program headers are cut off"))?;
    if table.is_empty() || table.len() > SEGMENTS_MAX {
        return Err(bad_program("it has no or too many program headers"));
    }
    let offset = header.e_phoff.get(endian);
    let mut program = Program {
        fixed,
        entry: address(header.e_entry.get(endian))?,
        segments: Vec::new(),
        headers_at: None,
        headers: bytes_at(head, offset, size_of_val(table)),
        header_count: table.len(),
        dynamic: None,
        interpreter: None,
        executable_stack: false,
        align: PAGE_LEN,
    };
    for entry in table {
        note(&mut program, entry, endian, file_len)?;
    }
    program.headers_at = covering(&program.segments, offset, program.headers.len());
    check(&program)?;
    Ok(program)
}

fn note(
    program: &mut Program,
    entry: &elf::ProgramHeader64<Endianness>,
    endian: Endianness,
    file_len: u64,
) -> Result<(), Refusal> {
    let (offset, in_file) = (entry.p_offset(endian), entry.p_filesz(endian));
    let end = offset.checked_add(in_file);
    match entry.p_type(endian) {
        elf::PT_LOAD if entry.p_memsz(endian) > 0 => {
            let (start, len) = (entry.p_vaddr(endian), entry.p_memsz(endian));
            address(start.saturating_add(len))?;
            if in_file > len || end.is_none_or(|end| end > file_len) {
                return Err(bad_program("a segment has bytes that the file does not have"));
            }
            program.align = program.align.max(alignment(entry.p_align(endian)));
            program.segments.push(Segment {
                address: address(start)?,
                memory_len: len as usize,
                file_offset: offset,
                file_len: in_file as usize,
                flags: entry.p_flags(endian).0,
            });
        }
        elf::PT_INTERP => {
            let fits = in_file >= 2 && in_file <= PATH_LEN_MAX as u64;
            if !fits || end.is_none_or(|end| end > file_len) {
                return Err(bad_program("the path of its dynamic linker is missing"));
            }
            program.interpreter = Some((offset, in_file as usize));
        }
        elf::PT_DYNAMIC => program.dynamic = Some(address(entry.p_vaddr(endian))?),
        elf::PT_GNU_STACK => program.executable_stack = entry.p_flags(endian).0 & elf::PF_X.0 != 0,
        _ => {}
    }
    Ok(())
}

/// Segments in order, apart from each other, with the entry and the dynamic section inside.
fn check(program: &Program) -> Result<(), Refusal> {
    if program.segments.is_empty() {
        return Err(bad_program("it has no segments"));
    }
    let ordered = program.segments.is_sorted_by(|a, b| a.address + a.memory_len <= b.address);
    if !ordered {
        return Err(bad_program("its segments overlap"));
    }
    let inside = |at: usize| {
        program.segments.iter().any(|s| at >= s.address && at - s.address < s.memory_len)
    };
    if !inside(program.entry) || !program.dynamic.is_none_or(inside) {
        return Err(bad_program("it begins outside of its segments"));
    }
    Ok(())
}

fn covering(segments: &[Segment], offset: u64, len: usize) -> Option<usize> {
    let end = offset.checked_add(len as u64)?;
    let segment = segments
        .iter()
        .find(|s| offset >= s.file_offset && end <= s.file_offset + s.file_len as u64)?;
    segment.address.checked_add(usize::try_from(offset - segment.file_offset).ok()?)
}

fn address(at: u64) -> Result<usize, Refusal> {
    if at >= ADDRESS_END {
        Err(bad_program("an address lies outside of memory"))
    } else {
        Ok(at as usize)
    }
}

fn alignment(align: u64) -> usize {
    let usable = align.is_power_of_two() && align <= crate::memory::HUGE_LEN as u64;
    if usable { align as usize } else { PAGE_LEN }
}

fn bytes_at(head: &[u8], offset: u64, len: usize) -> Vec<u8> {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    head.get(start..start.saturating_add(len)).map(Vec::from).unwrap_or_default()
}

#[cfg(test)]
#[path = "parse_tests.rs"]
mod tests;
