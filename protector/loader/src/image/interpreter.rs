//! Maps the dynamic linker that the program names, as the kernel would.

use std::ffi::OsStr;
use std::fs::File;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileExt;

use linux_raw_sys::general::MAP_FIXED;

use crate::memory::{self, PAGE_LEN, page_down, page_up};
use crate::opening::ImageSource;
use crate::resident::Refusal;
use crate::resident::reasons;
use crate::resident::sys::Errno;

use super::parse::{self, Program, Segment};
use super::rights;

/// Bytes of a library's head that must hold its program headers.
const HEAD_LEN: usize = 4096;

/// The dynamic linker in memory.
#[derive(Debug, Clone, Copy)]
pub struct Interpreter {
    /// What is added to the addresses of its file.
    pub base: usize,
    /// Its first instruction.
    pub entry: usize,
}

/// Maps the dynamic linker of `program`, if it names one.
///
/// # Errors
/// There is no such file, or it is no dynamic linker.
pub fn load(source: &impl ImageSource, program: &Program) -> Result<Option<Interpreter>, Refusal> {
    let Some((offset, len)) = program.interpreter else { return Ok(None) };
    let mut path = vec![0; len];
    source.read_into(offset, &mut path)?;
    let path = path.split(|&byte| byte == 0).next().unwrap_or_default();
    let shown = String::from_utf8_lossy(path);
    let refused = |_| reasons::no_interpreter(&shown);
    let file = File::open(OsStr::from_bytes(path)).map_err(refused)?;
    let library = read(&file).map_err(refused)?;
    let base =
        map(&file, &library).map_err(|errno| reasons::no_interpreter(&shown).errno(errno))?;
    Ok(Some(Interpreter { base, entry: library.entry.wrapping_add(base) }))
}

fn read(file: &File) -> std::io::Result<Program> {
    let mut head = [0; HEAD_LEN];
    let got = file.read_at(&mut head, 0)?;
    let library = parse::parse(head.get(..got).unwrap_or_default(), file.metadata()?.len());
    library
        .ok()
        .filter(|library| !library.fixed)
        .ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}

/// Maps all segments over one reservation, so that they keep their distances.
fn map(file: &File, library: &Program) -> Result<usize, Errno> {
    let (start, end) = library.span();
    let len = page_up(end) - page_down(start);
    // SAFETY: without MAP_FIXED nothing is replaced.
    let at = unsafe { memory::map(0, len, 0) }?;
    let base = at.wrapping_sub(page_down(start));
    for segment in &library.segments {
        // SAFETY: the segment lies in the reservation, which nobody uses yet.
        unsafe { map_segment(file, segment, base) }?;
    }
    let mut before = at;
    for segment in &library.segments {
        let (start, end) = segment.pages(base);
        // SAFETY: no segment lies between the last one's end and this one's start.
        unsafe { memory::unmap(before, start.saturating_sub(before)) };
        before = end;
    }
    Ok(base)
}

/// # Safety
/// The pages of `segment` at `base` must be reserved and unused.
unsafe fn map_segment(file: &File, segment: &Segment, base: usize) -> Result<(), Errno> {
    let (start, end) = segment.pages(base);
    let file_end = segment.at(base).0 + segment.file_len;
    let mapped_end = page_up(file_end);
    let prot = rights::prot(segment.flags);
    let into_page = segment.address % PAGE_LEN;
    let offset = segment.file_offset.checked_sub(into_page as u64).ok_or(Errno::PERM)?;
    // SAFETY: only reserved pages are replaced, by the caller's promise.
    unsafe {
        if segment.file_len > 0 {
            memory::map_file(start, mapped_end - start, prot, MAP_FIXED, file.as_raw_fd(), offset)?;
        }
        if segment.memory_len > segment.file_len {
            // To the end of the page, not of the segment: the linker's first allocations lie behind
            // its data.
            (file_end as *mut u8).write_bytes(0, mapped_end - file_end);
        }
        if end > mapped_end {
            memory::protect(mapped_end, end - mapped_end, prot)?;
        }
    }
    Ok(())
}
