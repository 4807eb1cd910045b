//! Memory calls of the kernel, and page arithmetic.

use linux_raw_sys::general as nr;

use crate::resident::sys::{self, Errno, Result};

/// Bytes of a page.
pub const PAGE_LEN: usize = 4096;

/// Bytes of a huge page.
pub const HUGE_LEN: usize = 2 * 1024 * 1024;

/// Read and write.
pub const READ_WRITE: u32 = nr::PROT_READ | nr::PROT_WRITE;

/// `at`, down to a page.
pub const fn page_down(at: usize) -> usize {
    at & !(PAGE_LEN - 1)
}

/// `at`, up to a page. `at` must be below the end of the address space.
pub const fn page_up(at: usize) -> usize {
    page_down(at.saturating_add(PAGE_LEN - 1))
}

/// Maps fresh memory of zeros that can be read and written.
///
/// # Safety
/// With `MAP_FIXED` in `flags`, nothing that is still used may lie there.
pub unsafe fn map(at: usize, len: usize, flags: u32) -> Result<usize> {
    let flags = flags | nr::MAP_PRIVATE | nr::MAP_ANONYMOUS;
    let args = [at, len, READ_WRITE as usize, flags as usize, usize::MAX, 0];
    // SAFETY: new memory, and no memory in use is replaced, by the caller's promise.
    unsafe { sys::call(nr::__NR_mmap, args) }
}

/// Maps part of a file.
///
/// # Safety
/// As `map`.
pub unsafe fn map_file(
    at: usize,
    len: usize,
    prot: u32,
    flags: u32,
    fd: i32,
    offset: u64,
) -> Result<usize> {
    let flags = flags | nr::MAP_PRIVATE;
    let args = [at, len, prot as usize, flags as usize, fd as usize, offset as usize];
    // SAFETY: new memory, and no memory in use is replaced, by the caller's promise.
    unsafe { sys::call(nr::__NR_mmap, args) }
}

/// Maps fresh memory at exactly `at`, if nothing lies there.
pub fn map_free(at: usize, len: usize) -> Result<usize> {
    // SAFETY: MAP_FIXED_NOREPLACE replaces nothing.
    let got = unsafe { map(at, len, nr::MAP_FIXED_NOREPLACE) }?;
    if got == at {
        return Ok(at);
    }
    // SAFETY: a kernel that does not know the flag has mapped this elsewhere just now.
    unsafe { unmap(got, len) };
    Err(Errno::EXIST)
}

/// Unmaps; failure leaves it mapped.
///
/// # Safety
/// Nothing there may be used after.
pub unsafe fn unmap(at: usize, len: usize) {
    if len > 0 {
        // SAFETY: unused from now on, by the caller's promise.
        let _ = unsafe { sys::call(nr::__NR_munmap, [at, len]) };
    }
}

/// Changes what may be done with pages.
///
/// # Safety
/// Rust code must not rely on the rights that are taken.
pub unsafe fn protect(at: usize, len: usize, prot: u32) -> Result<()> {
    // SAFETY: no memory changes its contents; the rest is the caller's promise.
    unsafe { sys::call(nr::__NR_mprotect, [at, len, prot as usize]) }.map(drop)
}

/// Gives the kernel advice; it may be ignored.
///
/// # Safety
/// `advice` must not change contents that are still used.
pub unsafe fn advise(at: usize, len: usize, advice: u32) {
    // SAFETY: contents stay as they are used, by the caller's promise.
    let _ = unsafe { try_advise(at, len, advice) };
}

/// The same, and says whether it was taken.
///
/// # Errors
/// What the kernel says.
///
/// # Safety
/// As `advise`.
pub unsafe fn try_advise(at: usize, len: usize, advice: u32) -> Result<()> {
    // SAFETY: contents stay as they are used, by the caller's promise.
    unsafe { sys::call(nr::__NR_madvise, [at, len, advice as usize]) }.map(drop)
}
