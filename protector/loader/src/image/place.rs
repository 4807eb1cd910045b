//! Finds the addresses of a program: its own, or random ones in the range that the kernel uses.

use crate::memory::{self, HUGE_LEN, page_down, page_up};
use crate::resident::Refusal;
use crate::resident::reasons;
use crate::resident::sys::{self, Errno};

use super::parse::Program;

/// Where the kernel begins to place programs that can lie anywhere.
const RANGE_START: usize = 0x5555_5555_4000;

/// Bits of randomness that the kernel uses, in pages.
const RANDOM_BITS: u32 = 28;

/// Places tried before any place will do.
const TRIES: usize = 16;

/// Programs from this length on begin at a huge page, so that huge pages can hold them.
const HUGE_FROM_LEN: usize = 2 * HUGE_LEN;

/// Reserves memory for all segments and gives what is to be added to their addresses. It can be
/// read and written, and is zero.
///
/// # Errors
/// The addresses are in use, or there is no memory.
pub fn reserve(program: &Program) -> Result<usize, Refusal> {
    let (start, end) = program.span();
    let (start, len) = (page_down(start), page_up(end) - page_down(start));
    if program.fixed {
        return match memory::map_free(start, len) {
            Ok(_) => Ok(0),
            Err(Errno::EXIST | Errno::PERM) => Err(reasons::address_taken()),
            Err(errno) => Err(reasons::no_memory(errno)),
        };
    }
    let align = if len >= HUGE_FROM_LEN { HUGE_LEN } else { program.align };
    let at = reserve_random(len, align)?;
    Ok(at.wrapping_sub(start))
}

fn reserve_random(len: usize, align: usize) -> Result<usize, Refusal> {
    for _ in 0..TRIES {
        let mut random = [0; 8];
        sys::random(&mut random).map_err(reasons::no_memory)?;
        let page = usize::from_le_bytes(random) & ((1 << RANDOM_BITS) - 1);
        let at = (RANGE_START + page * memory::PAGE_LEN) & !(align - 1);
        match memory::map_free(at, len) {
            Err(Errno::EXIST) => {}
            result => return result.map_err(reasons::no_memory),
        }
    }
    reserve_anywhere(len, align)
}

fn reserve_anywhere(len: usize, align: usize) -> Result<usize, Refusal> {
    let room = len.saturating_add(align);
    // SAFETY: without MAP_FIXED nothing is replaced.
    let got = unsafe { memory::map(0, room, 0) }.map_err(reasons::no_memory)?;
    let at = got.next_multiple_of(align);
    // SAFETY: both ends are of the mapping made just now, which nobody uses.
    unsafe {
        memory::unmap(got, at - got);
        memory::unmap(at + len, got + room - (at + len));
    }
    Ok(at)
}
