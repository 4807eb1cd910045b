//! How the journal finds its state again: format, mount, and the replay of the log.

use super::entry::{CRC, Entry, HEAD_LEN, Kind, SEQ_MAX, Slot, u64_at};
use super::flash::{Flash, WriteKind};
use super::index::Index;
use super::pending::{Change, Pending};
use super::segment::{ADOPTED_AT, Layout, Preamble, SEGMENT_HEAD_LEN, SegmentHead, Shape};
use super::{Journal, StoreError};

/// Ordinals beyond cannot be reached in the life of any flash.
const ORDINAL_MAX: u64 = 1 << 48;

impl<F: Flash> Journal<F> {
    /// Makes an empty journal, whatever stood in these blocks. A power cut leaves blocks that
    /// [`Journal::mount`] refuses, or the old journal: repeat it.
    ///
    /// # Errors
    /// `Misuse` for a layout that does not fit the flash; `Medium`.
    pub fn format(flash: F, layout: Layout) -> Result<Self, StoreError> {
        let mut journal = Self::blank(flash, layout)?;
        journal.write_first()?;
        Ok(journal)
    }

    /// Finds the state after the last commit. Writes nothing.
    ///
    /// # Errors `Misuse` for a layout that does not fit the flash; `Medium` where no journal of
    /// this layout stands or one that was damaged.
    pub fn mount(flash: F, layout: Layout) -> Result<Self, StoreError> {
        let mut journal = Self::blank(flash, layout)?;
        journal.load()?;
        Ok(journal)
    }

    /// As [`Journal::mount`], but formats blocks that were never written, or whose first format was
    /// cut off.
    pub fn open(flash: F, layout: Layout) -> Result<Self, StoreError> {
        let mut journal = Self::blank(flash, layout)?;
        match journal.load() {
            Err(StoreError::Medium) if journal.is_virgin()? => journal.write_first()?,
            loaded => loaded?,
        }
        Ok(journal)
    }

    fn blank(flash: F, layout: Layout) -> Result<Self, StoreError> {
        let shape = Shape::new(flash.geometry(), layout)?;
        Ok(Self {
            flash,
            shape,
            index: Index::default(),
            pending: Pending::default(),
            open: None,
            head: 0,
            end: SEGMENT_HEAD_LEN,
            full: false,
            span: 1,
            used: 0,
            committed: 0,
            live_len: 0,
            pending_len: 0,
            close_due: false,
            failed: false,
        })
    }

    fn write_first(&mut self) -> Result<(), StoreError> {
        // The old head last: without any other segment of its log it is never mounted.
        let old_head = self.find_head()?.map_or(0, |head| head.preamble.ordinal);
        for i in 1..=u64::from(self.shape.segments) {
            for block in 0..self.shape.blocks_per_segment {
                self.flash.erase(self.shape.block(old_head + i) + block)?;
            }
        }
        let first =
            Preamble { ordinal: 0, used: 0, committed: 0, span: 1, previous_end: SEGMENT_HEAD_LEN };
        let base = self.shape.base(0);
        self.program(base, &first.encode(&self.shape), WriteKind::Segment)?;
        self.program(base + ADOPTED_AT, &[0; 8], WriteKind::Segment)?;
        self.load()
    }

    /// Whether nothing stands here but, perhaps, the begin of a first format.
    fn is_virgin(&mut self) -> Result<bool, StoreError> {
        let from = self.shape.base(0) + SEGMENT_HEAD_LEN;
        let to = self.shape.base(0) + self.shape.segments * self.shape.segment_len;
        Ok(self.find_head()?.is_none() && self.is_blank(from, to)?)
    }

    fn is_blank(&mut self, mut from: u32, to: u32) -> Result<bool, StoreError> {
        let mut chunk = [0; 128];
        while from < to {
            let chunk = &mut chunk[..(to - from).min(128) as usize];
            self.flash.read(from, chunk)?;
            if chunk.iter().any(|&b| b != 0xff) {
                return Ok(false);
            }
            from += chunk.len() as u32;
        }
        Ok(true)
    }

    /// The adopted segment with the highest ordinal.
    fn find_head(&mut self) -> Result<Option<SegmentHead>, StoreError> {
        let mut best: Option<SegmentHead> = None;
        for place in 0..u64::from(self.shape.segments) {
            let mut bytes = [0; SEGMENT_HEAD_LEN as usize];
            self.flash.read(self.shape.base(place), &mut bytes)?;
            let Some(head) = SegmentHead::decode(&bytes, &self.shape) else { continue };
            let ordinal = head.preamble.ordinal;
            let belongs = head.adopted
                && ordinal < ORDINAL_MAX
                && ordinal % u64::from(self.shape.segments) == place;
            if belongs && best.is_none_or(|best| best.preamble.ordinal < ordinal) {
                best = Some(head);
            }
        }
        Ok(best)
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let head = self.find_head()?.ok_or(StoreError::Medium)?;
        let Preamble { ordinal, used, committed, span, .. } = head.preamble;
        let span_fits =
            (1..=self.shape.span_max()).contains(&span) && u64::from(span) <= ordinal + 1;
        // A closed head had a successor, which is damaged.
        if head.closed || !span_fits || committed > used || used > SEQ_MAX {
            return Err(StoreError::Medium);
        }
        (self.head, self.span, self.used, self.committed) = (ordinal, span, used, committed);
        let mut replay = Replay::default();
        for ordinal in ordinal + 1 - u64::from(span)..ordinal {
            let closed = self.segment_head(ordinal)?.ok_or(StoreError::Medium)?.closed;
            let next = self.segment_head(ordinal + 1)?.ok_or(StoreError::Medium)?;
            self.replay_closed(ordinal, next.preamble.previous_end, &mut replay)?;
            self.close_due = !closed;
        }
        self.replay_head(&mut replay)?;
        self.used = self.used.max(replay.seq);
        // What was staged and not committed does not count.
        self.pending.clear();
        self.sum_live()
    }

    fn sum_live(&mut self) -> Result<(), StoreError> {
        self.live_len = 0;
        let index = core::mem::take(&mut self.index);
        for at in index.addresses() {
            self.live_len += self.size_at(at)?;
        }
        self.index = index;
        Ok(())
    }

    /// Replays a segment whose entries end at `end`: each of them must be whole.
    fn replay_closed(
        &mut self,
        ordinal: u64,
        end: u32,
        replay: &mut Replay,
    ) -> Result<(), StoreError> {
        let base = self.shape.base(ordinal);
        let mut at = SEGMENT_HEAD_LEN;
        if end > self.shape.segment_len {
            return Err(StoreError::Medium);
        }
        while at < end {
            let entry = self.entry_at(base + at)?;
            self.replay_entry(&entry, base + at, replay)?;
            at += entry.size(self.shape.word_len);
        }
        if at == end { Ok(()) } else { Err(StoreError::Medium) }
    }

    /// Replays the head and finds its end: blank cells, or one torn entry head before blank cells.
    fn replay_head(&mut self, replay: &mut Replay) -> Result<(), StoreError> {
        let base = self.shape.base(self.head);
        let segment_end = base + self.shape.segment_len;
        let mut at = base + SEGMENT_HEAD_LEN;
        self.full = false;
        while at + HEAD_LEN <= segment_end {
            let slot = self.slot_at(at)?;
            if let Slot::Entry(entry) = slot {
                let next = at + entry.size(self.shape.word_len);
                if next > segment_end {
                    return Err(StoreError::Medium);
                }
                self.replay_entry(&entry, at, replay)?;
                at = next;
                continue;
            }
            let blank_after = self.is_blank(at + HEAD_LEN, segment_end)?;
            if slot == Slot::Bad && !blank_after {
                return Err(StoreError::Medium);
            }
            // No word is programmed twice: what is torn, or not blank, is left behind.
            self.full = slot == Slot::Bad || !blank_after;
            break;
        }
        self.end = at - base;
        Ok(())
    }

    fn replay_entry(
        &mut self,
        entry: &Entry,
        at: u32,
        replay: &mut Replay,
    ) -> Result<(), StoreError> {
        if entry.kind == Kind::Kept {
            self.index.set(entry.key, at);
            return Ok(());
        }
        if replay.enter(entry.seq)? {
            self.pending.clear();
        }
        match entry.kind {
            Kind::Record => self.stage(entry.key, Change::Put(at)),
            Kind::Doomed => {
                self.index.set(entry.key, at);
                self.stage(entry.key, Change::Delete)
            }
            Kind::Deletes => self.stage_deletes(entry, at, replay),
            _ => self.replay_commit(entry.seq, replay),
        }
    }

    fn stage(&mut self, key: u64, change: Change) -> Result<(), StoreError> {
        // More changes than a transaction may have: no journal wrote this.
        self.pending.set(key, change).map_err(|_| StoreError::Medium)
    }

    fn stage_deletes(
        &mut self,
        entry: &Entry,
        at: u32,
        replay: &mut Replay,
    ) -> Result<(), StoreError> {
        let mut digest = CRC.digest();
        for i in 0..u32::from(entry.len) / 8 {
            let mut key = [0; 8];
            self.flash.read(at + HEAD_LEN + i * 8, &mut key)?;
            digest.update(&key);
            self.stage(u64_at(&key, 0), Change::Delete)?;
        }
        // A torn list is no damage unless its transaction was committed.
        replay.damaged |= digest.finalize() != entry.crc;
        Ok(())
    }

    fn replay_commit(&mut self, seq: u64, replay: &mut Replay) -> Result<(), StoreError> {
        if replay.damaged {
            return Err(StoreError::Medium);
        }
        let pending = core::mem::take(&mut self.pending);
        for (key, change) in pending.iter() {
            match change {
                Change::Put(at) => self.index.set(key, at),
                Change::Delete => self.index.remove(key),
            };
        }
        self.committed = self.committed.max(seq);
        replay.committed = true;
        Ok(())
    }
}

/// Where the replay stands between two entries.
#[derive(Default)]
struct Replay {
    /// The transaction that the last entries belong to.
    seq: u64,
    /// It was committed: no more entries of it may follow.
    committed: bool,
    /// A list of deletions in it is torn or damaged.
    damaged: bool,
}

impl Replay {
    /// Notes an entry of transaction `seq`; `true` if it is the first of a new one.
    fn enter(&mut self, seq: u64) -> Result<bool, StoreError> {
        if seq < self.seq || (seq == self.seq && self.committed) {
            return Err(StoreError::Medium);
        }
        let new = seq > self.seq;
        if new {
            *self = Self { seq, ..Self::default() };
        }
        Ok(new)
    }
}
