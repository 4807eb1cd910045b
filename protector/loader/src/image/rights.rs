//! Gives segments their rights. Where anonymous memory may not become executable, text is mapped
//! from a memory file.

use linux_raw_sys::general as nr;

use object::elf::{PF_R, PF_W, PF_X, ProgramFlags};

use crate::memory;
use crate::resident::Refusal;
use crate::resident::reasons;
use crate::resident::sys::{self, Errno, Result as SysResult};

use super::parse::Program;

/// The kernel's rights for a segment's flags.
pub fn prot(flags: u32) -> u32 {
    let right = |flag: ProgramFlags, right: u32| if flags & flag.0 != 0 { right } else { 0 };
    right(PF_R, nr::PROT_READ) | right(PF_W, nr::PROT_WRITE) | right(PF_X, nr::PROT_EXEC)
}

/// Sets the rights of all segments and unmaps what lies between them.
///
/// # Errors
/// Memory may not become executable, by neither way.
///
/// # Safety
/// The program must be mapped at `bias` and be the caller's alone.
pub unsafe fn set(program: &Program, bias: usize) -> Result<(), Refusal> {
    let mut before = None;
    for segment in &program.segments {
        let (start, end) = segment.pages(bias);
        if let Some(gap) = before.filter(|&gap| gap < start) {
            // SAFETY: no segment lies between the last one's end and this one's start.
            unsafe { memory::unmap(gap, start - gap) };
        }
        before = Some(end);
        let prot = prot(segment.flags);
        if prot == memory::READ_WRITE {
            continue;
        }
        // SAFETY: the pages are the program's, by the caller's promise.
        match unsafe { memory::protect(start, end - start, prot) } {
            Ok(()) => {}
            Err(errno @ (Errno::ACCES | Errno::PERM)) if prot & nr::PROT_WRITE == 0 => {
                // SAFETY: as above.
                unsafe { map_from_file(start, end - start, prot) }
                    .map_err(|_| reasons::not_executable(errno))?;
            }
            Err(errno) => return Err(reasons::not_executable(errno)),
        }
    }
    Ok(())
}

/// Replaces pages by a private mapping of a memory file with the same contents. The file is never
/// executed.
///
/// # Safety
/// The pages must be mapped, readable, and the caller's alone.
unsafe fn map_from_file(start: usize, len: usize, prot: u32) -> SysResult<()> {
    let file = memory_file()?;
    let result = copy_to(file, start, len).and_then(|()| {
        // SAFETY: the new pages have the contents of those they replace.
        unsafe { memory::map_file(start, len, prot, nr::MAP_FIXED, file, 0) }.map(drop)
    });
    sys::close(file);
    result
}

fn memory_file() -> SysResult<i32> {
    let make = |flags: u32| {
        let args = [c"text".as_ptr() as usize, flags as usize];
        // SAFETY: the name is a string that is only read.
        unsafe { sys::call(nr::__NR_memfd_create, args) }.map(|fd| fd as i32)
    };
    // Older kernels do not know the second flag.
    make(nr::MFD_CLOEXEC | nr::MFD_NOEXEC_SEAL).or_else(|_| make(nr::MFD_CLOEXEC))
}

fn copy_to(file: i32, start: usize, len: usize) -> SysResult<()> {
    let mut done = 0;
    while done < len {
        let args = [file as usize, start + done, len - done, done];
        // SAFETY: the kernel only reads the pages.
        done += unsafe { sys::call(nr::__NR_pwrite64, args) }?;
    }
    Ok(())
}

/// Makes the stack executable, for programs with code on it.
///
/// # Errors
/// The system does not allow it.
///
/// # Safety
/// `pointer` must lie on the initial stack.
pub unsafe fn make_stack_executable(pointer: usize) -> Result<(), Refusal> {
    let prot = memory::READ_WRITE | nr::PROT_EXEC | nr::PROT_GROWSDOWN;
    // SAFETY: the stack stays readable and writable.
    let done = unsafe { memory::protect(memory::page_down(pointer), memory::PAGE_LEN, prot) };
    done.map_err(reasons::not_executable)
}
