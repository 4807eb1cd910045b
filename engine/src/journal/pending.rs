//! What the open transaction has changed so far: 12 bytes per record, at most 7.5 KiB.

use alloc::vec::Vec;

use crate::platform::{RecordKey, StoreError, TRANSACTION_RECORDS_MAX};

/// Slots per list, so that growing costs one small allocation and never a copy.
const LIST_LEN: usize = 64;

/// Stands for a deletion where an address would stand; no entry can be there.
const DELETED: u32 = u32::MAX;

/// What the open transaction makes of one record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    /// The entry at this address becomes its value.
    Put(u32),
    /// It goes away.
    Delete,
}

/// The changes, unsorted: with at most [`TRANSACTION_RECORDS_MAX`] a search is short.
#[derive(Debug, Default)]
pub(super) struct Pending {
    lists: Vec<Vec<[u32; 3]>>,
}

impl Pending {
    /// Number of records changed.
    pub(super) fn len(&self) -> usize {
        self.lists.iter().map(Vec::len).sum()
    }

    /// Whether nothing was changed.
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty()
    }

    /// Bytes of heap held.
    pub(super) fn heap_len(&self) -> usize {
        let slots: usize = self.lists.iter().map(Vec::capacity).sum();
        slots * size_of::<[u32; 3]>() + self.lists.capacity() * size_of::<Vec<[u32; 3]>>()
    }

    /// Forgets all changes.
    pub(super) fn clear(&mut self) {
        self.lists = Vec::new();
    }

    /// The change of `key`.
    pub(super) fn get(&self, key: RecordKey) -> Option<Change> {
        self.iter().find_map(|(k, change)| (k == key).then_some(change))
    }

    /// The smallest key, at least `from`, that the transaction writes.
    pub(super) fn next_put(&self, from: RecordKey) -> Option<RecordKey> {
        let puts = self.iter().filter(|(_, change)| *change != Change::Delete);
        puts.map(|(key, _)| key).filter(|key| *key >= from).min()
    }

    /// Notes a change, in place of an earlier one of the same key. `Misuse` beyond the bound.
    pub(super) fn set(&mut self, key: RecordKey, change: Change) -> Result<(), StoreError> {
        let slot = slot_of(key, change);
        if let Some(old) = self.lists.iter_mut().flatten().find(|s| key_of(s) == key) {
            *old = slot;
            return Ok(());
        }
        if self.len() == TRANSACTION_RECORDS_MAX {
            return Err(StoreError::Misuse);
        }
        match self.lists.last_mut() {
            Some(list) if list.len() < LIST_LEN => list.push(slot),
            _ => {
                let mut list = Vec::with_capacity(LIST_LEN);
                list.push(slot);
                self.lists.push(list);
            }
        }
        Ok(())
    }

    /// All changes, in an order that stays while nothing is added.
    pub(super) fn iter(&self) -> impl Iterator<Item = (RecordKey, Change)> {
        self.lists.iter().flatten().map(|slot| {
            let change = if slot[2] == DELETED { Change::Delete } else { Change::Put(slot[2]) };
            (key_of(slot), change)
        })
    }
}

fn slot_of(key: RecordKey, change: Change) -> [u32; 3] {
    let at = match change {
        Change::Put(at) => at,
        Change::Delete => DELETED,
    };
    [(key >> 32) as u32, key as u32, at]
}

fn key_of(slot: &[u32; 3]) -> RecordKey {
    u64::from(slot[0]) << 32 | u64::from(slot[1])
}
