//! How the journal writes: entries at the end of the log, and new segments when the head is full.

use super::entry::{CRC, Entry, FLAG_LEN, HEAD_LEN, Kind, Slot};
use super::flash::{Flash, FlashError, WriteKind};
use super::pending::Change;
use super::segment::{ADOPTED_AT, CLOSED_AT, Preamble, SEGMENT_HEAD_LEN, SegmentHead};
use super::{Journal, StoreError};

/// Keys in one list of deletions.
const DELETES_MAX: usize = 32;

/// Bytes moved at a time.
const CHUNK_LEN: usize = 128;

const FLAG_SET: [u8; FLAG_LEN as usize] = [0; FLAG_LEN as usize];

impl<F: Flash> Journal<F> {
    /// Writes the deletions and the commit entry of transaction `seq`. One without changes writes
    /// nothing.
    pub(super) fn write_commit(&mut self, seq: u64) -> Result<(), StoreError> {
        if self.pending.is_empty() {
            return Ok(());
        }
        self.write_deletes(seq)?;
        let at = self.append(&Entry::commit(seq), &[], WriteKind::Commit)?;
        self.program(at + HEAD_LEN, &FLAG_SET, WriteKind::Commit)?;
        self.committed = seq;
        Ok(())
    }

    /// Appends an entry and returns its address.
    pub(super) fn append(
        &mut self,
        entry: &Entry,
        value: &[u8],
        kind: WriteKind,
    ) -> Result<u32, StoreError> {
        let (size, head) = (entry.size(self.shape.word_len), entry.encode());
        let (first, rest) = head.split_at(self.shape.word_len as usize);
        let mut at = self.make_room(size)?;
        self.used = entry.seq;
        if !self.program_if_taken(at, first, kind)? {
            // A word that looks blank may have been torn before without a trace, and be spent. The
            // next segment is erased first.
            self.full = true;
            at = self.make_room(size)?;
            self.program(at, first, kind)?;
        }
        self.program(at + self.shape.word_len, rest, kind)?;
        let whole = value.len() - value.len() % self.shape.word_len as usize;
        self.program(at + HEAD_LEN, &value[..whole], kind)?;
        if whole < value.len() {
            let mut last = [0xff; 8];
            last[..value.len() - whole].copy_from_slice(&value[whole..]);
            let last = &last[..self.shape.word_len as usize];
            self.program(at + HEAD_LEN + whole as u32, last, kind)?;
        }
        self.end += size;
        Ok(at)
    }

    /// Writes what must be durable for the state to stay what it is, but nothing else: the flag of
    /// a segment whose successor was adopted right before a power cut.
    fn finish_close(&mut self) -> Result<(), StoreError> {
        if self.close_due {
            let closed = self.shape.base(self.head - 1) + CLOSED_AT;
            let word_len = self.shape.word_len as usize;
            for (at, word) in (closed..).step_by(word_len).zip(FLAG_SET.chunks(word_len)) {
                // A word that cuts have torn too often stays as it is: only what the flag is for
                // hangs on it.
                self.program_if_taken(at, word, WriteKind::Segment)?;
            }
            self.close_due = false;
        }
        Ok(())
    }

    fn write_deletes(&mut self, seq: u64) -> Result<(), StoreError> {
        let mut written = 0;
        loop {
            let mut list = [0; DELETES_MAX * 8];
            let mut keys = 0;
            let deleted = self.pending.iter().filter(|(_, change)| *change == Change::Delete);
            for ((key, _), out) in deleted.skip(written).zip(list.chunks_exact_mut(8)) {
                out.copy_from_slice(&key.to_le_bytes());
                keys += 1;
            }
            if keys == 0 {
                return Ok(());
            }
            let list = &list[..keys * 8];
            let entry = Entry {
                kind: Kind::Deletes,
                seq,
                key: 0,
                len: list.len() as u16,
                crc: CRC.checksum(list),
            };
            self.append(&entry, list, WriteKind::Commit)?;
            written += keys;
        }
    }

    /// The address of the next entry, with at least `size` bytes from there on in its segment.
    fn make_room(&mut self, size: u32) -> Result<u32, StoreError> {
        self.usable()?;
        self.finish_close()?;
        // One round of the ring ends at a tail that leaves room: see *Capacity* in the module's
        // head.
        for _ in 0..=self.shape.segments {
            if !self.full && self.end + size <= self.shape.segment_len {
                return Ok(self.shape.base(self.head) + self.end);
            }
            self.open_segment()?;
        }
        Err(StoreError::Full)
    }

    fn open_segment(&mut self) -> Result<(), StoreError> {
        let reclaim = self.span == self.shape.span_max();
        let ordinal = self.head + 1;
        for block in 0..self.shape.blocks_per_segment {
            let erased = self.flash.erase(self.shape.block(ordinal) + block);
            self.failed |= erased.is_err();
            erased?;
        }
        let preamble = Preamble {
            ordinal,
            used: self.used,
            committed: self.committed,
            span: if reclaim { self.span } else { self.span + 1 },
            previous_end: self.end,
        };
        let base = self.shape.base(ordinal);
        self.program(base, &preamble.encode(&self.shape), WriteKind::Segment)?;
        let end = if reclaim { self.copy_tail(base)? } else { SEGMENT_HEAD_LEN };
        self.program(base + ADOPTED_AT, &FLAG_SET, WriteKind::Segment)?;
        self.relocate(base, end)?;
        (self.head, self.end, self.full, self.span) = (ordinal, end, false, preamble.span);
        self.close_due = true;
        self.finish_close()
    }

    /// Copies the live entries of the tail into the segment at `base` and returns where they end
    /// there.
    fn copy_tail(&mut self, base: u32) -> Result<u32, StoreError> {
        let tail = self.head + 1 - u64::from(self.span);
        let from = self.shape.base(tail);
        let tail_end =
            self.segment_head(tail + 1)?.ok_or(StoreError::Medium)?.preamble.previous_end;
        let (mut at, mut end) = (SEGMENT_HEAD_LEN, SEGMENT_HEAD_LEN);
        while at < tail_end {
            let entry = self.entry_at(from + at)?;
            let size = entry.size(self.shape.word_len);
            if let Some(entry) = self.fate(&entry, from + at) {
                self.copy_entry(&entry, from + at, base + end)?;
                end += size;
            }
            at += size;
        }
        Ok(end)
    }

    /// What becomes of the entry at `at` when its segment is given up: `None` if it is dead.
    fn fate(&self, entry: &Entry, at: u32) -> Option<Entry> {
        let change = self.pending.get(entry.key);
        match entry.kind {
            Kind::Deletes | Kind::Commit => None,
            _ if change == Some(Change::Put(at)) => Some(*entry),
            _ if self.index.get(entry.key) != Some(at) => None,
            // The list that deletes it may be written, and reclaimed, before this copy is.
            _ if let (Some(Change::Delete), Some(open)) = (change, self.open) => {
                Some(Entry { kind: Kind::Doomed, seq: open.seq, ..*entry })
            }
            _ => Some(Entry { kind: Kind::Kept, seq: 0, ..*entry }),
        }
    }

    /// Copies with the checksum that the value came with, so that damage stays recognizable.
    fn copy_entry(&mut self, entry: &Entry, from: u32, to: u32) -> Result<(), StoreError> {
        if entry.kind == Kind::Doomed {
            self.used = entry.seq;
        }
        self.program(to, &entry.encode(), WriteKind::Copy)?;
        let mut at = HEAD_LEN;
        let size = entry.size(self.shape.word_len);
        while at < size {
            let mut chunk = [0; CHUNK_LEN];
            let len = (size - at).min(CHUNK_LEN as u32);
            let chunk = &mut chunk[..len as usize];
            self.flash.read(from + at, chunk)?;
            self.program(to + at, chunk, WriteKind::Copy)?;
            at += len;
        }
        Ok(())
    }

    /// Points index and changes at the copies in an adopted segment.
    fn relocate(&mut self, base: u32, end: u32) -> Result<(), StoreError> {
        let mut at = SEGMENT_HEAD_LEN;
        while at < end {
            let entry = self.entry_at(base + at).inspect_err(|_| self.failed = true)?;
            if entry.kind == Kind::Record {
                self.pending.set(entry.key, Change::Put(base + at))?;
            } else {
                self.index.set(entry.key, base + at);
            }
            at += entry.size(self.shape.word_len);
        }
        Ok(())
    }

    /// Programs and reads back. After an error only a new mount tells what holds.
    pub(super) fn program(
        &mut self,
        at: u32,
        words: &[u8],
        kind: WriteKind,
    ) -> Result<(), StoreError> {
        let result = program_checked(&mut self.flash, at, words, kind);
        self.failed |= result.is_err();
        result
    }

    /// The same, but `false` where the part does not take another write to these words.
    fn program_if_taken(
        &mut self,
        at: u32,
        words: &[u8],
        kind: WriteKind,
    ) -> Result<bool, StoreError> {
        let result = program_if_taken(&mut self.flash, at, words, kind);
        self.failed |= result.is_err();
        result
    }

    /// The head of the segment with this ordinal; `None` where another or none stands.
    pub(super) fn segment_head(&mut self, ordinal: u64) -> Result<Option<SegmentHead>, StoreError> {
        let mut bytes = [0; SEGMENT_HEAD_LEN as usize];
        self.flash.read(self.shape.base(ordinal), &mut bytes)?;
        let head = SegmentHead::decode(&bytes, &self.shape);
        Ok(head.filter(|head| head.adopted && head.preamble.ordinal == ordinal))
    }

    /// What stands at an address where an entry may begin.
    pub(super) fn slot_at(&mut self, at: u32) -> Result<Slot, StoreError> {
        let mut head = [0; HEAD_LEN as usize];
        self.flash.read(at, &mut head)?;
        Ok(Slot::decode(&head))
    }
}

/// Programs words and compares what then stands there.
pub(super) fn program_checked<F: Flash>(
    flash: &mut F,
    at: u32,
    words: &[u8],
    kind: WriteKind,
) -> Result<(), StoreError> {
    flash.program(at, words, kind)?;
    compare(flash, at, words)
}

/// The same, but `false` where the part does not take another write to these words.
pub(super) fn program_if_taken<F: Flash>(
    flash: &mut F,
    at: u32,
    words: &[u8],
    kind: WriteKind,
) -> Result<bool, StoreError> {
    match flash.program(at, words, kind) {
        Ok(()) => compare(flash, at, words).map(|()| true),
        Err(FlashError::Refused) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn compare<F: Flash>(flash: &mut F, at: u32, words: &[u8]) -> Result<(), StoreError> {
    let mut from = at;
    for part in words.chunks(CHUNK_LEN) {
        let mut found = [0; CHUNK_LEN];
        let found = &mut found[..part.len()];
        flash.read(from, found)?;
        if found != part {
            return Err(StoreError::Medium);
        }
        from += part.len() as u32;
    }
    Ok(())
}
