//! The facts about one program file, or the reason why it is not one that can be protected.

use std::fs::File;
use std::io;
use std::os::unix::fs::{FileExt, PermissionsExt};

use super::dynamic::Dynamic;
use super::forks::{self, Forks};
use super::raw::{
    EM_X86_64, ET_DYN, ET_EXEC, HEADER_LEN, Header, PF_W, PF_X, PT_DYNAMIC, PT_GNU_STACK,
    PT_INTERP, PT_LOAD, PT_TLS, Section, Segment, c_string, read_at,
};
use super::self_reading::{self, OwnData};
use crate::seal;

const PAGE_LEN: u64 = 4096;
/// End of the address range that the kernel gives to programs.
const USER_SPACE_END: u64 = 0x7fff_ffff_f000;
const MAX_PATH_LEN: u64 = 4096;
/// Bytes of all loaded segments together. The loader maps them as private memory at each start.
const MAX_LOADED_LEN: u64 = 4 << 30;

/// How a program is linked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// At a fixed address, no shared libraries.
    StaticExec,
    /// At any address, no shared libraries.
    StaticPie,
    /// At a fixed address, started by an interpreter (ld.so).
    DynamicExec,
    /// At any address, started by an interpreter (ld.so).
    DynamicPie,
}

impl Kind {
    /// Whether the program starts without an interpreter.
    pub fn is_static(self) -> bool {
        matches!(self, Self::StaticExec | Self::StaticPie)
    }
}

/// What a program file is, as far as protecting it is concerned.
#[derive(Clone, Debug)]
pub struct Program {
    /// How it is linked.
    pub kind: Kind,
    /// The interpreter that dynamic programs name.
    pub interpreter: Option<String>,
    /// Library search paths relative to the program's place.
    pub origin_paths: Vec<String>,
    /// Data that only its file holds and memory does not.
    pub own_data: Vec<OwnData>,
    /// What is known about its forks.
    pub forks: Forks,
    /// The file has a set-user-id or set-group-id bit, or file capabilities.
    pub raises_privileges: bool,
    /// It asks for an executable stack.
    pub executable_stack: bool,
    /// It has thread-local storage.
    pub thread_local: bool,
    /// A segment is both writable and executable.
    pub writable_code: bool,
    /// The file holds debugging information, which memory does not.
    pub debug_information: bool,
    /// Bytes of the file.
    pub file_len_bytes: u64,
    /// Bytes from the file's beginning that are sealed: to the end of the last loaded segment.
    pub sealed_len_bytes: u64,
    /// Bytes of memory that its segments span.
    pub memory_len_bytes: u64,
}

/// Why a file cannot be protected at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// A directory, device or other thing without content of its own.
    #[error("it is not a regular file")]
    NotAFile,
    /// No ELF header.
    #[error("it is not a program: it has no ELF header")]
    NotElf,
    /// A script.
    #[error("it is a script for {interpreter}: protect that interpreter, or the script as a file")]
    Script {
        /// What follows `#!`.
        interpreter: String,
    },
    /// Another processor, word size or byte order.
    #[error("it is built for another machine: only x86-64 programs of 64 bits can be protected")]
    OtherMachine,
    /// An object file or a core dump.
    #[error("it is an object file or a core dump, not a program")]
    NotAProgram,
    /// A library.
    #[error("it is a shared library: protect the program that loads it")]
    SharedLibrary,
    /// A protected program.
    #[error("it is a protected program already: protect the original")]
    AlreadyProtected,
    /// More to load than a protected program may have.
    #[error("it loads more than 4 GiB")]
    TooLarge,
    /// The kernel would not run it, or not as it says.
    #[error("it is damaged: {0}")]
    Damaged(&'static str),
}

/// Reads all facts. The outer error is the system's, the inner one the file's.
pub(super) fn read(file: &File) -> io::Result<Result<Program, Refusal>> {
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Ok(Err(Refusal::NotAFile));
    }
    let mut bytes = [0; HEADER_LEN];
    let got = read_front(file, &mut bytes)?;
    if let Some(refusal) = judge_front(&bytes[..got]) {
        return Ok(Err(refusal));
    }
    let raises_privileges = metadata.permissions().mode() & 0o6000 != 0 || has_capabilities(file);
    let header = Header::parse(&bytes);
    let program = Image::read(file, header, metadata.len())
        .and_then(|image| image.into_program(file, raises_privileges));
    Ok(program)
}

/// A program's tables, checked as the kernel would and a little more.
struct Image {
    header: Header,
    segments: Vec<Segment>,
    sections: Option<Vec<Section>>,
    file_len_bytes: u64,
}

impl Image {
    fn read(file: &File, header: Header, file_len_bytes: u64) -> Result<Self, Refusal> {
        if !header.is_elf64_le() || header.machine != EM_X86_64 {
            return Err(Refusal::OtherMachine);
        }
        if header.file_type != ET_EXEC && header.file_type != ET_DYN {
            return Err(Refusal::NotAProgram);
        }
        let segments = header
            .segments(file)
            .map_err(|_| Refusal::Damaged("its program headers cannot be read"))?;
        let sections = header.sections(file);
        let image = Self { header, segments, sections, file_len_bytes };
        image.check_loads()?;
        Ok(image)
    }

    fn into_program(self, file: &File, raises_privileges: bool) -> Result<Program, Refusal> {
        if seal::find_artifact(file).is_ok() {
            return Err(Refusal::AlreadyProtected);
        }
        let dynamic = self.segment(PT_DYNAMIC).map(|s| Dynamic::read(file, s, &self.segments));
        let dynamic = dynamic.transpose()?.unwrap_or_default();
        let interpreter = self.interpreter(file)?;
        let kind = self.kind(&dynamic, interpreter.is_some())?;
        let sealed_len_bytes = self.sealed_len();
        let sections = self.sections.as_deref();
        let tables_end = self.header.sections_end();
        let has_flags =
            |kind, flags| self.segments.iter().any(|s| s.kind == kind && s.flags & flags == flags);
        let forks = match kind.is_static() {
            true => forks::in_static(file, &self.segments, sections),
            false => forks::in_dynamic(interpreter.as_deref()),
        };
        let own_data = self_reading::find(
            file,
            self_reading::Extent {
                sealed: sealed_len_bytes,
                described: self.described_len(tables_end),
                file: self.file_len_bytes,
            },
            sections,
        );
        Ok(Program {
            kind,
            interpreter,
            origin_paths: dynamic.origin_paths,
            own_data,
            forks,
            raises_privileges,
            executable_stack: has_flags(PT_GNU_STACK, PF_X),
            thread_local: self.segment(PT_TLS).is_some(),
            writable_code: has_flags(PT_LOAD, PF_W | PF_X),
            debug_information: sections.is_some_and(self_reading::has_debug_information),
            file_len_bytes: self.file_len_bytes,
            sealed_len_bytes,
            memory_len_bytes: self.memory_len(),
        })
    }

    fn segment(&self, kind: u32) -> Option<&Segment> {
        self.segments.iter().find(|s| s.kind == kind)
    }

    fn loads(&self) -> impl Iterator<Item = &Segment> {
        self.segments.iter().filter(|s| s.kind == PT_LOAD)
    }

    fn check_loads(&self) -> Result<(), Refusal> {
        let mut memory_end = 0;
        let mut loaded_len: u64 = 0;
        for load in self.loads() {
            let end = load.mem_end().filter(|end| *end <= USER_SPACE_END);
            let end = end.ok_or(Refusal::Damaged("a segment lies outside of memory"))?;
            if load.file_end().is_none_or(|end| end > self.file_len_bytes) {
                return Err(Refusal::Damaged("it is cut short"));
            }
            if load.file_len > load.mem_len {
                return Err(Refusal::Damaged("a segment is larger in the file than in memory"));
            }
            if load.offset % PAGE_LEN != load.vaddr % PAGE_LEN {
                return Err(Refusal::Damaged("a segment cannot be mapped at its address"));
            }
            if load.vaddr < memory_end {
                return Err(Refusal::Damaged("its segments overlap or are out of order"));
            }
            memory_end = end;
            loaded_len = loaded_len.saturating_add(load.file_len);
            if loaded_len > MAX_LOADED_LEN {
                return Err(Refusal::TooLarge);
            }
        }
        let entry = self.header.entry;
        let is_code =
            |s: &Segment| s.flags & PF_X != 0 && entry >= s.vaddr && entry - s.vaddr < s.file_len;
        match self.loads().any(is_code) {
            true => Ok(()),
            // A library has no entry; it is told apart later and by its own reason.
            false if entry == 0 && memory_end > 0 => Ok(()),
            false => Err(Refusal::Damaged("it does not begin in its own code")),
        }
    }

    fn kind(&self, dynamic: &Dynamic, has_interpreter: bool) -> Result<Kind, Refusal> {
        let is_library = self.header.file_type == ET_DYN
            && !dynamic.is_pie
            && (dynamic.has_name || !has_interpreter);
        match (self.header.file_type, has_interpreter) {
            _ if is_library => Err(Refusal::SharedLibrary),
            _ if self.header.entry == 0 => Err(Refusal::Damaged("it has no entry point")),
            (ET_EXEC, false) => Ok(Kind::StaticExec),
            (ET_EXEC, true) => Ok(Kind::DynamicExec),
            (_, false) => Ok(Kind::StaticPie),
            (_, true) => Ok(Kind::DynamicPie),
        }
    }

    fn interpreter(&self, file: &File) -> Result<Option<String>, Refusal> {
        const BROKEN: Refusal = Refusal::Damaged("the name of its interpreter cannot be read");
        let Some(segment) = self.segment(PT_INTERP) else {
            return Ok(None);
        };
        if segment.file_len > MAX_PATH_LEN {
            return Err(BROKEN);
        }
        let bytes = read_at(file, segment.offset, segment.file_len as usize).map_err(|_| BROKEN)?;
        match std::str::from_utf8(c_string(&bytes, 0)) {
            Ok(path) if path.starts_with('/') => Ok(Some(path.to_owned())),
            _ => Err(BROKEN),
        }
    }

    /// The program headers belong to what is sealed: the loader maps by them.
    fn sealed_len(&self) -> u64 {
        let loaded = self.loads().filter_map(Segment::file_end).max().unwrap_or(0);
        loaded.max(self.header.segments_end().unwrap_or(0))
    }

    /// Up to where segments, sections and their tables describe the file.
    fn described_len(&self, tables_end: Option<u64>) -> u64 {
        let segments = self.segments.iter().filter_map(Segment::file_end).max();
        let Some(sections) = &self.sections else {
            return segments.unwrap_or(0).max(self.sealed_len()).min(self.file_len_bytes);
        };
        let sections = sections.iter().filter_map(Section::file_end).max();
        let ends = [segments, sections, tables_end, Some(self.sealed_len())];
        ends.into_iter().flatten().filter(|end| *end <= self.file_len_bytes).max().unwrap_or(0)
    }

    fn memory_len(&self) -> u64 {
        let start = self.loads().map(|s| s.vaddr).min().unwrap_or(0);
        let end = self.loads().filter_map(Segment::mem_end).max().unwrap_or(0);
        end.saturating_sub(start)
    }
}

/// What the first bytes alone rule out.
fn judge_front(front: &[u8]) -> Option<Refusal> {
    if let Some(line) = front.strip_prefix(b"#!") {
        let line = line.split(|b| *b == b'\n').next().unwrap_or_default();
        let interpreter = String::from_utf8_lossy(line).trim().to_owned();
        return Some(Refusal::Script { interpreter });
    }
    match front.starts_with(b"\x7fELF") {
        true if front.len() < HEADER_LEN => Some(Refusal::Damaged("it ends in its header")),
        true => None,
        false => Some(Refusal::NotElf),
    }
}

fn read_front(file: &File, bytes: &mut [u8]) -> io::Result<usize> {
    let mut got = 0;
    while got < bytes.len() {
        match file.read_at(&mut bytes[got..], got as u64) {
            Ok(0) => break,
            Ok(n) => got += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(got)
}

/// File capabilities raise privileges as set-id bits do. File systems without attributes have none.
fn has_capabilities(file: &File) -> bool {
    let mut value = [0; 64];
    rustix::fs::fgetxattr(file, "security.capability", &mut value).is_ok_and(|len| len > 0)
}
