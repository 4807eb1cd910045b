//! The specification of a store as a sorted map, transactions and capacity included.

use std::collections::BTreeMap;

use crate::platform::{RECORD_LEN_MAX, RecordKey, Store, StoreError, TRANSACTION_RECORDS_MAX};

/// All records of a store.
pub type Contents = BTreeMap<RecordKey, Vec<u8>>;

/// A store that never fails but for lack of room and broken contracts.
#[derive(Debug, Clone)]
pub struct Model {
    records: Contents,
    changes: BTreeMap<RecordKey, Option<Vec<u8>>>,
    open: Option<Result<(), StoreError>>,
    capacity: u32,
    word_len: u32,
}

impl Model {
    /// An empty store whose live entries may take `capacity` bytes; an entry is 24 bytes and the
    /// value rounded up to words of `word_len`. The sums are those of [`crate::journal`].
    pub fn new(capacity: u32, word_len: u32) -> Self {
        Self { records: Contents::new(), changes: BTreeMap::new(), open: None, capacity, word_len }
    }

    /// Puts a state in place of what is committed.
    pub fn set_records(&mut self, records: Contents) {
        self.abort();
        self.records = records;
    }

    /// What is committed.
    pub fn records(&self) -> &Contents {
        &self.records
    }

    /// Bytes of live entries.
    pub fn live_len(&self) -> u32 {
        let changed = self.changes.values().flatten();
        self.records.values().chain(changed).map(|v| self.entry_len(v.len())).sum()
    }

    fn entry_len(&self, value_len: usize) -> u32 {
        24 + (value_len as u32).next_multiple_of(self.word_len)
    }

    fn try_put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        let many =
            self.changes.len() == TRANSACTION_RECORDS_MAX && !self.changes.contains_key(&key);
        if value.len() > RECORD_LEN_MAX || many {
            return Err(StoreError::Misuse);
        }
        if self.live_len() + self.entry_len(value.len()) > self.capacity {
            return Err(StoreError::Full);
        }
        self.changes.insert(key, Some(value.to_vec()));
        Ok(())
    }

    fn try_delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        if let Some(change) = self.changes.get_mut(&key) {
            *change = None;
        } else if self.records.contains_key(&key) {
            if self.changes.len() == TRANSACTION_RECORDS_MAX {
                return Err(StoreError::Misuse);
            }
            self.changes.insert(key, None);
        }
        Ok(())
    }

    /// Runs a step of the open transaction; the first refusal is what its commit will say.
    fn step(
        &mut self,
        step: impl FnOnce(&mut Self) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        self.open.unwrap_or(Err(StoreError::Misuse))?;
        let result = step(self);
        self.open = Some(result);
        result
    }
}

impl Store for Model {
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let value = match self.changes.get(&key) {
            Some(change) => change.as_ref(),
            None => self.records.get(&key),
        };
        let Some(value) = value else { return Ok(None) };
        buf.get_mut(..value.len()).ok_or(StoreError::Misuse)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError> {
        let changed = self.changes.range(from..).filter(|(_, v)| v.is_some()).map(|(k, _)| *k);
        let kept = self.records.range(from..).map(|(k, _)| *k);
        let kept = kept.filter(|k| !self.changes.contains_key(k));
        Ok(changed.take(1).chain(kept.take(1)).min())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.abort();
        self.open = Some(Ok(()));
        Ok(())
    }

    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        self.step(|model| model.try_put(key, value))
    }

    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        self.step(|model| model.try_delete(key))
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let result = self.open.unwrap_or(Err(StoreError::Misuse));
        if result.is_ok() {
            for (key, change) in core::mem::take(&mut self.changes) {
                match change {
                    Some(value) => self.records.insert(key, value),
                    None => self.records.remove(&key),
                };
            }
        }
        self.abort();
        result
    }

    fn abort(&mut self) {
        self.open = None;
        self.changes.clear();
    }
}
