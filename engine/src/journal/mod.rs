//! A store of records on NOR flash that survives a power cut at any write: specification and code.
//!
//! # Definitions
//!
//! A [`Layout`] gives the journal a run of erase blocks, cut into *segments* of equal length. The
//! segments form a ring; each that is opened gets the next *ordinal*, and its place in the ring is
//! the ordinal modulo the number of segments. The *log* is the run of segments from the *tail* to
//! the *head*; the number of them is its *span*. One segment at least is *spare*. Bytes:
//! `docs/formats/10-flash-journal.md`.
//!
//! The log is a sequence of *entries*. A *record* entry carries a key, a value, and the sequence
//! number of the transaction that wrote it. An entry is *live* if it holds the value of a record,
//! or the value that the open transaction gives to a record. All others are *dead*.
//!
//! # Operations
//!
//! [`Journal`] implements [`Store`]. A record is written to flash when it is put; RAM holds the
//! sorted index (key to address) and the changes of the open transaction. At commit the journal
//! appends the list of deleted keys, then the *commit entry*. When the head is full, the next
//! segment of the ring is *opened*: erased, given its head, filled with the live entries of the
//! tail if the spare would be used up, and *adopted*, by which the tail becomes the spare. An
//! operation that was refused inside a transaction makes its commit fail with the same error, so
//! that no half of it is ever committed.
//!
//! # Atomicity
//!
//! * The commit point is the word that holds the checksum of the commit entry: the last word
//!   programmed of its head. Whatever subset of that word's bits a power cut leaves, either all are
//!   programmed or the checksum is wrong. Record entries count only if a commit entry of their
//!   sequence number follows. Numbers rise and are not used again while an entry of theirs is in
//!   the log.
//! * Opening a segment is one step: until the flag *adopted* is programmed the segment does not
//!   exist, and the tail is intact. A flag counts by the majority of its 64 bits. The two states
//!   say the same.
//! * Mounting writes nothing. So a power cut during it changes nothing.
//! * An error of the medium stops the journal until it is mounted again.
//!
//! # Damage
//!
//! Every head has a CRC-32C, every value another. A flipped bit is recognized: in a segment head or
//! an entry head, mounting fails; in a value, reading that record fails, it can still be replaced
//! or deleted, and the mark of damage moves with it. Two flags make damage to the end of the log
//! tellable from a torn write, as each is programmed after what it vouches for: a segment is
//! *closed* once its successor is adopted; a commit entry is followed by its *done* flag. One
//! limit: after a power cut exactly between the two, or cuts that tore the flag *closed* as often
//! as the part lets a word be programmed, damage to the very words just written looks like a write
//! that did not happen. Erased bits of deleted values stay readable in the flash until
//! their segment is erased.
//!
//! # Capacity
//!
//! With `S` segments of `L` bytes, head `H` = 64, and the largest entry `E` = 24 + 2,048:
//!
//! * [`Journal::capacity`] `C = (S - 1) * (L - H - E)` bytes.
//! * [`Journal::entry_len`] of a value of `v` bytes: 24 + `v` rounded up to whole words.
//! * A put is refused with [`StoreError::Full`] exactly if the live entries, its own included,
//!   would exceed `C`. The former values that an open transaction replaces or deletes are live
//!   until it is committed.
//!
//! Why that suffices: the live bytes of `S - 1` segments are at most `C`, so one of them has at
//! most `L - H - E`; when it has become the tail, its copies leave room for the largest entry.
//! Entries of a commit are never larger, and are dead when written; so a commit always finds room,
//! and so does a deletion in a full store.
//!
//! # Lifetime
//!
//! Segments are opened strictly in turn: the erases of two blocks differ by one at most, plus one
//! for each power cut while a segment was being opened. With `N` erases per block, and live entries
//! that fill the part `u` of the log, at least `N * S * (L * (1 - u) - H - E)` bytes of entries can
//! be appended, commits (32 bytes) and lists of deletions (24 bytes per 32 keys, and 8 per key)
//! included.
//!
//! # Memory
//!
//! 12 to 24 bytes per record for the index, grown by lists of 1.5 KiB; at most 7.75 KiB for the
//! open transaction; else less than 300 bytes, and 320 bytes of buffers on the stack.
//!
//! # Preconditions
//!
//! * The [`Flash`] keeps its contract, and the blocks of the layout belong to this journal alone.
//! * A word cut off while it was programmed reads the same whenever it is read.

mod counter;
mod entry;
mod flash;
mod index;
mod mount;
mod pending;
mod segment;
mod write;

#[cfg(test)]
mod tests;

pub use counter::{COUNTER_BLOCKS, FlashCounter};
pub use flash::{Flash, FlashError, Geometry, WriteKind};
pub use segment::Layout;

use crate::platform::{RECORD_LEN_MAX, RecordKey, Store, StoreError, TRANSACTION_RECORDS_MAX};
use entry::{CRC, Entry, HEAD_LEN, Kind, SEQ_MAX, Slot};
use index::Index;
use pending::{Change, Pending};
use segment::Shape;

/// A mounted journal. See the [module](self) for what it promises.
pub struct Journal<F> {
    flash: F,
    shape: Shape,
    index: Index,
    pending: Pending,
    open: Option<Open>,
    /// Ordinal of the head, and where in it the next entry goes.
    head: u64,
    end: u32,
    /// The head takes no more entries: something stands behind its end.
    full: bool,
    span: u32,
    /// Highest sequence number used, and that of the last commit.
    used: u64,
    committed: u64,
    /// Bytes of live entries: committed, and of the open transaction.
    live_len: u32,
    pending_len: u32,
    /// The flag *closed* of the segment before the head is still to be set.
    close_due: bool,
    /// The medium failed: only a new mount tells what holds.
    failed: bool,
}

/// The open transaction.
#[derive(Clone, Copy)]
struct Open {
    seq: u64,
    refused: Option<StoreError>,
}

impl<F: Flash> Journal<F> {
    /// Bytes of live entries that always find room.
    pub fn capacity(&self) -> u32 {
        self.shape.capacity()
    }

    /// Bytes of live entries now, those of the open transaction included.
    pub fn live_len(&self) -> u32 {
        self.live_len + self.pending_len
    }

    /// Bytes that a record with a value of `value_len` bytes takes.
    pub fn entry_len(&self, value_len: usize) -> u32 {
        HEAD_LEN + (value_len as u32).next_multiple_of(self.shape.word_len)
    }

    /// Sequence number of the last commit. Rises with every commit, not always by one; never falls.
    pub fn commit_seq(&self) -> u64 {
        self.committed
    }

    /// Number of records.
    pub fn records(&self) -> usize {
        self.index.len()
    }

    /// Heap held: by the index, and by the open transaction.
    pub fn heap_len(&self) -> (usize, usize) {
        (self.index.heap_len(), self.pending.heap_len())
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    /// The open transaction, if nothing in it was refused yet.
    fn writable(&self) -> Result<Open, StoreError> {
        self.usable()?;
        let open = self.open.ok_or(StoreError::Misuse)?;
        open.refused.map_or(Ok(open), Err)
    }

    fn usable(&self) -> Result<(), StoreError> {
        if self.failed { Err(StoreError::Medium) } else { Ok(()) }
    }

    /// Where the present value of `key` stands, the open transaction included.
    fn locate(&self, key: RecordKey) -> Option<u32> {
        match self.pending.get(key) {
            Some(Change::Put(at)) => Some(at),
            Some(Change::Delete) => None,
            None => self.index.get(key),
        }
    }

    /// The entry head at an address that the index or a change names.
    fn entry_at(&mut self, at: u32) -> Result<Entry, StoreError> {
        let mut head = [0; HEAD_LEN as usize];
        self.flash.read(at, &mut head)?;
        match Slot::decode(&head) {
            Slot::Entry(entry) => Ok(entry),
            _ => Err(StoreError::Medium),
        }
    }

    fn size_at(&mut self, at: u32) -> Result<u32, StoreError> {
        Ok(self.entry_at(at)?.size(self.shape.word_len))
    }

    fn try_put(&mut self, seq: u64, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > RECORD_LEN_MAX {
            return Err(StoreError::Misuse);
        }
        let freed = match self.pending.get(key) {
            Some(Change::Put(at)) => self.size_at(at)?,
            Some(Change::Delete) => 0,
            None if self.pending.len() == TRANSACTION_RECORDS_MAX => {
                return Err(StoreError::Misuse);
            }
            None => 0,
        };
        let size = self.entry_len(value.len());
        // An earlier value of the same transaction is dead only once this one stands.
        if self.live_len() + size > self.capacity() {
            return Err(StoreError::Full);
        }
        let entry = Entry {
            kind: Kind::Record,
            seq,
            key,
            len: value.len() as u16,
            crc: CRC.checksum(value),
        };
        let at = self.append(&entry, value, WriteKind::Record)?;
        self.pending.set(key, Change::Put(at))?;
        self.pending_len = self.pending_len + size - freed;
        Ok(())
    }

    fn try_delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        match self.pending.get(key) {
            Some(Change::Delete) => Ok(()),
            Some(Change::Put(at)) => {
                let freed = self.size_at(at)?;
                self.pending.set(key, Change::Delete)?;
                self.pending_len -= freed;
                Ok(())
            }
            None if self.index.get(key).is_some() => self.pending.set(key, Change::Delete),
            None => Ok(()),
        }
    }

    /// Remembers a refusal, so that the commit fails too.
    fn note<T>(&mut self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        if let (Err(error), Some(open)) = (&result, &mut self.open) {
            open.refused.get_or_insert(*error);
        }
        result
    }

    /// Makes the changes of the committed transaction the state.
    fn settle(&mut self) -> Result<(), StoreError> {
        let pending = core::mem::take(&mut self.pending);
        self.live_len += core::mem::take(&mut self.pending_len);
        for (key, change) in pending.iter() {
            let former = match change {
                Change::Put(at) => self.index.set(key, at),
                Change::Delete => self.index.remove(key),
            };
            if let Some(at) = former {
                self.live_len -= self.size_at(at)?;
            }
        }
        Ok(())
    }
}

impl<F: Flash> Store for Journal<F> {
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.usable()?;
        let Some(at) = self.locate(key) else { return Ok(None) };
        let entry = self.entry_at(at)?;
        let len = usize::from(entry.len);
        let value = buf.get_mut(..len).ok_or(StoreError::Misuse)?;
        self.flash.read(at + HEAD_LEN, value)?;
        if entry.key == key && CRC.checksum(value) == entry.crc {
            Ok(Some(len))
        } else {
            value.fill(0);
            Err(StoreError::Medium)
        }
    }

    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError> {
        self.usable()?;
        let mut kept = self.index.next(from);
        let deleted = |key: &RecordKey| self.pending.get(*key) == Some(Change::Delete);
        while let Some(key) = kept.filter(deleted) {
            kept = key.checked_add(1).and_then(|from| self.index.next(from));
        }
        let put = self.pending.next_put(from);
        Ok(kept.into_iter().chain(put).min())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.usable()?;
        self.abort();
        if self.used >= SEQ_MAX {
            return Err(StoreError::Medium);
        }
        self.open = Some(Open { seq: self.used + 1, refused: None });
        Ok(())
    }

    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        let seq = self.writable()?.seq;
        let result = self.try_put(seq, key, value);
        self.note(result)
    }

    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        self.writable()?;
        let result = self.try_delete(key);
        self.note(result)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let result = self.writable().and_then(|open| self.write_commit(open.seq));
        let result = result.and_then(|()| {
            let settled = self.settle();
            // What is committed is committed: RAM that could not follow is not used further.
            self.failed |= settled.is_err();
            settled
        });
        self.abort();
        result
    }

    fn abort(&mut self) {
        self.open = None;
        self.pending.clear();
        self.pending_len = 0;
    }
}

impl From<FlashError> for StoreError {
    fn from(_: FlashError) -> Self {
        Self::Medium
    }
}
