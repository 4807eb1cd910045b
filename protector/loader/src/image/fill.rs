//! Decrypts a program straight into place, with a second thread where that pays.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::{slice, thread};

use crate::opening::ImageSource;
use crate::resident::Refusal;

use super::parse::{Program, Segment};

/// Programs from this length on are decrypted by two threads.
const TWO_THREADS_FROM_LEN: usize = 16 * 1024 * 1024;

/// Programs from this length on are worth telling the source what is read next.
const HINTS_FROM_LEN: usize = 2 * 1024 * 1024;

/// Bytes that one thread takes at once, at least.
const PIECE_LEN: u64 = 2 * 1024 * 1024;

/// Bytes of the second thread's stack.
const STACK_LEN: usize = 256 * 1024;

/// A part of the file and where it goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Piece {
    offset: u64,
    to: usize,
    len: usize,
}

/// Decrypts all segments of `program`.
///
/// # Errors
/// Bytes are not what the vendor sealed.
///
/// # Safety
/// The pages of all segments must be writable at `bias`, and nobody else may use them.
pub unsafe fn fill(
    source: &impl ImageSource,
    program: &Program,
    bias: usize,
) -> Result<(), Refusal> {
    let unit_len = PIECE_LEN.next_multiple_of(source.unit_len().max(1));
    let pieces: Vec<Piece> = program.segments.iter().flat_map(|s| cut(s, bias, unit_len)).collect();
    let hints = program.file_len() >= HINTS_FROM_LEN;
    let next = AtomicUsize::new(0);
    let work = || -> Result<(), Refusal> {
        while let Some(piece) = pieces.get(next.fetch_add(1, Relaxed)) {
            // SAFETY: pieces do not overlap and lie in the segments, which are this function's
            // alone.
            let out = unsafe { slice::from_raw_parts_mut(piece.to as *mut u8, piece.len) };
            if hints {
                source.will_read(piece.offset, piece.len as u64);
            }
            source.read_into(piece.offset, out)?;
            if hints {
                source.has_read(piece.offset, piece.len as u64);
            }
        }
        Ok(())
    };
    if program.file_len() < TWO_THREADS_FROM_LEN {
        return work();
    }
    thread::scope(|scope| {
        // Where the system gives no second thread, the first does it all.
        let second = thread::Builder::new().stack_size(STACK_LEN).spawn_scoped(scope, work);
        let first = work();
        let second = second.map_or(Ok(()), |thread| {
            thread.join().unwrap_or_else(|_| Err(crate::resident::reasons::internal()))
        });
        first.and(second)
    })
}

/// Cuts at multiples of `unit_len` in the file, so that no unit is decrypted twice within a
/// segment.
fn cut(segment: &Segment, bias: usize, unit_len: u64) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let end = segment.file_offset + segment.file_len as u64;
    let mut offset = segment.file_offset;
    while offset < end {
        let next = ((offset / unit_len + 1) * unit_len).min(end);
        let to = segment.at(bias).0 + (offset - segment.file_offset) as usize;
        pieces.push(Piece { offset, to, len: (next - offset) as usize });
        offset = next;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_cover_the_segment_once_and_begin_at_units() {
        let segment =
            Segment { address: 0x1234, memory_len: 999, file_offset: 150, file_len: 333, flags: 4 };
        let pieces = cut(&segment, 0x10_0000, 100);
        let offsets: Vec<_> = pieces.iter().map(|piece| (piece.offset, piece.len)).collect();
        assert_eq!(offsets, [(150, 50), (200, 100), (300, 100), (400, 83)]);
        assert!(pieces.iter().all(|piece| piece.to as u64 - 0x10_1234 == piece.offset - 150));
    }
}
