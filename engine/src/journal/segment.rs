//! Segments: how the log lies in the erase blocks, and the head each of them begins with.

use super::entry::{CRC, FLAG_LEN, HEAD_LEN, flag_is_set, u32_at, u64_at};
use super::flash::Geometry;
use crate::platform::{RECORD_LEN_MAX, StoreError};

/// Bytes of a segment's head: 48 under a checksum, the flag *adopted*, the flag *closed*.
pub(super) const SEGMENT_HEAD_LEN: u32 = PREAMBLE_LEN + 2 * FLAG_LEN;

/// Bytes of the part of the head that is under a checksum.
pub(super) const PREAMBLE_LEN: u32 = 48;

/// Where the flag *adopted* stands in a segment.
pub(super) const ADOPTED_AT: u32 = PREAMBLE_LEN;

/// Where the flag *closed* stands in a segment.
pub(super) const CLOSED_AT: u32 = PREAMBLE_LEN + FLAG_LEN;

const MAGIC: [u8; 4] = *b"SRJL";
const VERSION: u8 = 1;

/// Which blocks of a flash a journal takes, and how many of them make a segment.
///
/// A larger segment wastes less at its end (see *Capacity* in [`crate::journal`]) and costs more to
/// keep spare. 16 KiB is a good size where there are at least sixteen of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    /// The first erase block.
    pub first_block: u32,
    /// Number of erase blocks, a multiple of `blocks_per_segment`.
    pub blocks: u32,
    /// Erase blocks per segment. A segment has at least 4,096 bytes.
    pub blocks_per_segment: u32,
}

/// A layout on a geometry, checked, with the sums that follow from both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Shape {
    pub(super) word_len: u32,
    pub(super) block_len: u32,
    pub(super) first_block: u32,
    pub(super) blocks_per_segment: u32,
    pub(super) segments: u32,
    pub(super) segment_len: u32,
}

impl Shape {
    /// The shape, or `Misuse` where the layout does not fit the memory.
    pub(super) fn new(geometry: Geometry, layout: Layout) -> Result<Self, StoreError> {
        Self::checked(geometry, layout).ok_or(StoreError::Misuse)
    }

    fn checked(geometry: Geometry, layout: Layout) -> Option<Self> {
        let Geometry { block_len, blocks, word_len } = geometry;
        let Layout { first_block, blocks: own, blocks_per_segment } = layout;
        let end = first_block.checked_add(own)?;
        let segment_len = block_len.checked_mul(blocks_per_segment)?;
        // The last address must fit an index position with one value to spare.
        let end_address = end.checked_mul(block_len)?;
        let segments = own.checked_div(blocks_per_segment)?;
        let fits = (word_len == 4 || word_len == 8)
            && block_len % word_len == 0
            && own % blocks_per_segment == 0
            && end <= blocks
            && end_address < u32::MAX
            && segment_len >= 4096
            && (3..=u32::from(u16::MAX)).contains(&segments);
        fits.then_some(Self {
            word_len,
            block_len,
            first_block,
            blocks_per_segment,
            segments,
            segment_len,
        })
    }

    /// Address of the first byte of the segment with this ordinal.
    pub(super) fn base(&self, ordinal: u64) -> u32 {
        // The remainder is below `segments`, which came from a u32.
        let slot = (ordinal % u64::from(self.segments)) as u32;
        self.first_block * self.block_len + slot * self.segment_len
    }

    /// First erase block of the segment with this ordinal.
    pub(super) fn block(&self, ordinal: u64) -> u32 {
        self.base(ordinal) / self.block_len
    }

    /// Segments that hold the log at rest: all but the spare one.
    pub(super) fn span_max(&self) -> u32 {
        self.segments - 1
    }

    /// Bytes of the largest entry.
    pub(super) fn entry_len_max(&self) -> u32 {
        HEAD_LEN + RECORD_LEN_MAX as u32
    }

    /// Bytes of live entries that always find room. See *Capacity* in [`crate::journal`].
    pub(super) fn capacity(&self) -> u32 {
        self.span_max() * (self.segment_len - SEGMENT_HEAD_LEN - self.entry_len_max())
    }
}

/// The checked part of a segment's head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Preamble {
    /// Number of segments opened before this one; the place in the ring is its remainder.
    pub(super) ordinal: u64,
    /// Highest sequence number used so far.
    pub(super) used: u64,
    /// Sequence number of the last commit.
    pub(super) committed: u64,
    /// Segments of the log, this one included, once this one is adopted.
    pub(super) span: u32,
    /// Where the entries of the segment before this one end.
    pub(super) previous_end: u32,
}

/// A segment's head as read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SegmentHead {
    pub(super) preamble: Preamble,
    pub(super) adopted: bool,
    pub(super) closed: bool,
}

impl Preamble {
    pub(super) fn encode(&self, shape: &Shape) -> [u8; PREAMBLE_LEN as usize] {
        let mut out = [0; PREAMBLE_LEN as usize];
        out[..4].copy_from_slice(&MAGIC);
        out[4] = VERSION;
        // Both fit: `Shape::new` has seen to it.
        out[5] = shape.word_len as u8;
        out[6..8].copy_from_slice(&(shape.segments as u16).to_le_bytes());
        out[8..16].copy_from_slice(&self.ordinal.to_le_bytes());
        out[16..24].copy_from_slice(&self.used.to_le_bytes());
        out[24..32].copy_from_slice(&self.committed.to_le_bytes());
        out[32..36].copy_from_slice(&self.span.to_le_bytes());
        out[36..40].copy_from_slice(&self.previous_end.to_le_bytes());
        out[40..44].copy_from_slice(&shape.segment_len.to_le_bytes());
        let crc = CRC.checksum(&out[..44]);
        out[44..].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

impl SegmentHead {
    /// Reads a head; `None` where there is none, or none of this shape.
    pub(super) fn decode(bytes: &[u8; SEGMENT_HEAD_LEN as usize], shape: &Shape) -> Option<Self> {
        let preamble = Preamble {
            ordinal: u64_at(bytes, 8),
            used: u64_at(bytes, 16),
            committed: u64_at(bytes, 24),
            span: u32_at(bytes, 32),
            previous_end: u32_at(bytes, 36),
        };
        let whole = preamble.encode(shape) == bytes[..PREAMBLE_LEN as usize];
        let flag = |at: u32| flag_is_set(u64_at(bytes, at as usize).to_le_bytes());
        whole.then(|| Self { preamble, adopted: flag(ADOPTED_AT), closed: flag(CLOSED_AT) })
    }
}
