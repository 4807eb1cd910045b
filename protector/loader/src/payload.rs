//! Finds the protected program: a read-only segment of this very file, mapped by the kernel.
//!
//! The file itself is never opened, so it may be installed execute-only.

use std::slice;

use linux_raw_sys::auxvec::{AT_PHDR, AT_PHENT, AT_PHNUM};
use linux_raw_sys::general::{MADV_DONTNEED, MADV_POPULATE_READ};

use crate::memory::{self, PAGE_LEN, page_down, page_up};
use crate::resident::Refusal;
use crate::resident::reasons;
use crate::resident::sys::Errno;
use crate::stack::InitialStack;

/// First bytes of the payload, as of all files of the toolkit.
pub const MAGIC: [u8; 8] = *b"STRGROOM";

const PT_LOAD: u32 = 1;
const PT_PHDR: u32 = 6;
const PF_R: u32 = 4;

/// Program headers that are looked at.
const HEADERS_MAX: usize = 64;

/// A program header of a 64-bit file.
#[repr(C)]
#[derive(Clone, Copy)]
struct Header {
    kind: u32,
    flags: u32,
    offset: u64,
    vaddr: u64,
    paddr: u64,
    file_len: u64,
    mem_len: u64,
    align: u64,
}

/// The mapped payload.
#[derive(Debug, Clone, Copy)]
pub struct Payload {
    bytes: &'static [u8],
}

impl Payload {
    /// Finds it by the headers that the kernel names.
    ///
    /// # Errors
    /// There is none, or the file ends before it does.
    pub fn find(stack: &InitialStack) -> Result<Self, Refusal> {
        let headers = headers(stack).ok_or_else(reasons::no_payload)?;
        let own = headers.iter().find(|header| header.kind == PT_PHDR);
        let bias =
            own.map(|header| (headers.as_ptr() as usize).wrapping_sub(header.vaddr as usize));
        let bias = bias.or_else(loader_base).ok_or_else(reasons::no_payload)?;
        let readable =
            headers.iter().filter(|header| header.kind == PT_LOAD && header.flags == PF_R);
        for header in readable.filter(|header| header.file_len >= 16) {
            let at = bias.wrapping_add(header.vaddr as usize);
            let len = usize::try_from(header.file_len).map_err(|_| reasons::no_payload())?;
            // SAFETY: the kernel has mapped this segment, which is read-only and stays until
            // `discard`.
            let bytes: &'static [u8] = unsafe { slice::from_raw_parts(at as *const u8, len) };
            if is_cut(bytes) {
                return Err(reasons::cut_short());
            }
            if bytes.starts_with(&MAGIC) {
                return Ok(Self { bytes });
            }
        }
        Err(reasons::no_payload())
    }

    /// All of it, from the magic on.
    pub fn bytes(&self) -> &'static [u8] {
        self.bytes
    }

    /// Brings the pages of a part in at once.
    pub fn populate(&self, offset: usize, len: usize) {
        let start = page_down(self.bytes.as_ptr() as usize + offset);
        let end = page_up(self.bytes.as_ptr() as usize + offset + len);
        // SAFETY: this only reads pages in.
        unsafe { memory::advise(start, end - start, MADV_POPULATE_READ) };
    }

    /// Gives the whole pages of a part back; they are read anew when used again.
    pub fn release(&self, offset: usize, len: usize) {
        let start = page_up(self.bytes.as_ptr() as usize + offset);
        let end = page_down(self.bytes.as_ptr() as usize + offset + len);
        if end > start {
            // SAFETY: the mapping is of a file and was never written to, so contents stay the same.
            unsafe { memory::advise(start, end - start, MADV_DONTNEED) };
        }
    }

    /// Unmaps it.
    ///
    /// # Safety
    /// Nobody may use `bytes` after.
    pub unsafe fn discard(self) {
        let start = page_down(self.bytes.as_ptr() as usize);
        let end = page_up(self.bytes.as_ptr() as usize + self.bytes.len());
        // SAFETY: the segment is the payload's alone and unused, by the caller's promise.
        unsafe { memory::unmap(start, end - start) };
    }
}

/// Whether the file ends before the last page of a segment: reading there would be the end by
/// SIGBUS. What is missing within the last page is for the seal of the last chunk to tell.
fn is_cut(bytes: &[u8]) -> bool {
    let last = page_down(bytes.as_ptr() as usize + bytes.len().saturating_sub(1));
    // SAFETY: this only reads a page in.
    let read = unsafe { memory::try_advise(last, PAGE_LEN, MADV_POPULATE_READ) };
    // Kernels before 5.14 do not know the advice, which is another error.
    matches!(read, Err(Errno::FAULT))
}

fn headers(stack: &InitialStack) -> Option<&'static [Header]> {
    let (at, count) = (stack.aux(AT_PHDR)?, stack.aux(AT_PHNUM)?);
    if stack.aux(AT_PHENT)? != size_of::<Header>() || count > HEADERS_MAX {
        return None;
    }
    // SAFETY: the kernel names the program headers of this file, which are mapped and never
    // written.
    Some(unsafe { slice::from_raw_parts(at as *const Header, count) })
}

/// Where this file's address zero lies: the linker's own symbol.
fn loader_base() -> Option<usize> {
    unsafe extern "C" {
        static __ehdr_start: u8;
    }
    Some(&raw const __ehdr_start as usize)
}
