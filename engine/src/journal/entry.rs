//! Bytes of one log entry: a head of 24 bytes under its own checksum, then the value under another.

use crate::platform::RECORD_LEN_MAX;

/// CRC-32C: finds every error of up to three bits at these lengths, and a burst of up to 32.
pub(super) const CRC: crc::Crc<u32> = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI);

/// Bytes of an entry's head.
pub(super) const HEAD_LEN: u32 = 24;

/// Bytes of a flag: all ones while unset, all zeros when set.
pub(super) const FLAG_LEN: u32 = 8;

/// The highest sequence number that fits.
pub(super) const SEQ_MAX: u64 = (1 << 48) - 1;

/// What an entry says. The numbers are frozen; 0 and 15 stay unused, since they are what wiped and
/// erased cells look like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A record written in transaction `seq`, which counts once that transaction is committed.
    Record = 1,
    /// Keys deleted in transaction `seq`.
    Deletes = 2,
    /// Transaction `seq` holds.
    Commit = 3,
    /// A committed record moved here from the oldest segment.
    Kept = 4,
    /// As `Kept`, but transaction `seq`, open when it was moved, deletes it.
    Doomed = 5,
}

/// The head of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) kind: Kind,
    /// Transaction, at most [`SEQ_MAX`]; 0 for `Kept`.
    pub(super) seq: u64,
    /// Key of the record; 0 for `Deletes` and `Commit`.
    pub(super) key: u64,
    /// Bytes of the value.
    pub(super) len: u16,
    /// Checksum of the value.
    pub(super) crc: u32,
}

/// What stands where a head is expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slot {
    /// Nothing was programmed.
    Blank,
    /// A whole head.
    Entry(Entry),
    /// Neither: torn or damaged.
    Bad,
}

impl Entry {
    /// The commit entry of transaction `seq`.
    pub(super) fn commit(seq: u64) -> Self {
        Self { kind: Kind::Commit, seq, key: 0, len: 0, crc: 0 }
    }

    /// Bytes the entry takes in a log of words of `word_len` bytes.
    pub(super) fn size(&self, word_len: u32) -> u32 {
        match self.kind {
            Kind::Commit => HEAD_LEN + FLAG_LEN,
            _ => HEAD_LEN + u32::from(self.len).next_multiple_of(word_len),
        }
    }

    /// The head as programmed. Its checksum stands in the word programmed last.
    pub(super) fn encode(&self) -> [u8; HEAD_LEN as usize] {
        let tag = (self.kind as u64) << 60 | u64::from(self.len) << 48 | self.seq;
        let mut out = [0; HEAD_LEN as usize];
        out[..8].copy_from_slice(&tag.to_le_bytes());
        out[8..16].copy_from_slice(&self.key.to_le_bytes());
        out[16..20].copy_from_slice(&self.crc.to_le_bytes());
        let crc = CRC.checksum(&out[..20]);
        out[20..].copy_from_slice(&crc.to_le_bytes());
        out
    }
}

impl Slot {
    /// Reads a head. Accepts exactly what [`Entry::encode`] makes of entries that a journal writes.
    pub(super) fn decode(bytes: &[u8; HEAD_LEN as usize]) -> Self {
        if bytes.iter().all(|&b| b == 0xff) {
            return Self::Blank;
        }
        let tag = u64_at(bytes, 0);
        let kind = match tag >> 60 {
            1 => Kind::Record,
            2 => Kind::Deletes,
            3 => Kind::Commit,
            4 => Kind::Kept,
            5 => Kind::Doomed,
            _ => return Self::Bad,
        };
        let len = (tag >> 48 & 0xfff) as u16;
        let entry =
            Entry { kind, seq: tag & SEQ_MAX, key: u64_at(bytes, 8), len, crc: u32_at(bytes, 16) };
        if entry.is_sound() && entry.encode() == *bytes { Self::Entry(entry) } else { Self::Bad }
    }
}

impl Entry {
    fn is_sound(&self) -> bool {
        let len = usize::from(self.len);
        let by_kind = match self.kind {
            Kind::Record | Kind::Doomed => self.seq > 0,
            Kind::Kept => self.seq == 0,
            Kind::Deletes => self.seq > 0 && self.key == 0 && len > 0 && len % 8 == 0,
            Kind::Commit => *self == Self::commit(self.seq) && self.seq > 0,
        };
        by_kind && len <= RECORD_LEN_MAX
    }
}

/// Whether a flag is set, by majority of its bits: a torn one reads as either, and both are right
/// then; a flipped bit changes nothing.
pub(super) fn flag_is_set(flag: [u8; FLAG_LEN as usize]) -> bool {
    u64::from_le_bytes(flag).count_zeros() > 32
}

/// Eight little-endian bytes at a constant offset.
pub(super) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from(u32_at(bytes, at)) | u64::from(u32_at(bytes, at + 4)) << 32
}

/// Four little-endian bytes at a constant offset.
pub(super) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
