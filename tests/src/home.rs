//! A home of containers that counts what the engine asks of its store. Its records are in the
//! memory of the host, or in a dongle's journal.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::platform::{Counter, Parts, Platform, RecordKey, Store, StoreError};
use firmware_sim::device::SimRandom;
use firmware_sim::keys::SimKeys;

use crate::bench::Ticks;

/// Calls of a store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Calls {
    /// Records read and keys looked for.
    pub reads: u64,
    /// Records written or deleted.
    pub writes: u64,
    /// Transactions made durable.
    pub commits: u64,
}

/// A store that counts its calls.
pub struct Counted<S> {
    store: S,
    calls: Calls,
}

impl<S> Counted<S> {
    /// Counts from now on.
    pub fn new(store: S) -> Self {
        Counted { store, calls: Calls::default() }
    }

    /// Calls since this was asked last.
    pub fn take_calls(&mut self) -> Calls {
        std::mem::take(&mut self.calls)
    }
}

impl<S: Store> Store for Counted<S> {
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        self.calls.reads += 1;
        self.store.read(key, buf)
    }

    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError> {
        self.calls.reads += 1;
        self.store.next_key(from)
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.store.begin()
    }

    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        self.calls.writes += 1;
        self.store.put(key, value)
    }

    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        self.calls.writes += 1;
        self.store.delete(key)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        self.calls.commits += 1;
        self.store.commit()
    }

    fn abort(&mut self) {
        self.store.abort();
    }
}

/// Records in the memory of the host: as many as there is room for.
#[derive(Default)]
pub struct Memory {
    records: BTreeMap<RecordKey, Vec<u8>>,
    /// What the open transaction writes; `None` deletes.
    open: Option<BTreeMap<RecordKey, Option<Vec<u8>>>>,
}

impl Memory {
    fn set(&mut self, key: RecordKey, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        self.open.as_mut().ok_or(StoreError::Misuse)?.insert(key, value);
        Ok(())
    }
}

impl Store for Memory {
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let value = match self.open.as_ref().and_then(|open| open.get(&key)) {
            Some(written) => written.as_ref(),
            None => self.records.get(&key),
        };
        let Some(value) = value else { return Ok(None) };
        buf.get_mut(..value.len()).ok_or(StoreError::Misuse)?.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError> {
        let open = self.open.as_ref();
        let is_deleted = |key: &RecordKey| open.is_some_and(|open| open.get(key) == Some(&None));
        let kept = self.records.range(from..).map(|(key, _)| *key).find(|key| !is_deleted(key));
        let mut written = open.into_iter().flat_map(|open| open.range(from..));
        let written = written.find(|(_, value)| value.is_some()).map(|(key, _)| *key);
        Ok(kept.into_iter().chain(written).min())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.open = Some(BTreeMap::new());
        Ok(())
    }

    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        self.set(key, Some(value.to_vec()))
    }

    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        self.set(key, None)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        for (key, value) in self.open.take().ok_or(StoreError::Misuse)? {
            match value {
                Some(value) => self.records.insert(key, value),
                None => self.records.remove(&key),
            };
        }
        Ok(())
    }

    fn abort(&mut self) {
        self.open = None;
    }
}

/// A count in the memory of the host.
#[derive(Default)]
pub struct Tally(u64);

impl Counter for Tally {
    fn value(&mut self) -> Result<u64, StoreError> {
        Ok(self.0)
    }

    fn advance_to(&mut self, to: u64) -> Result<(), StoreError> {
        self.0 = self.0.max(to);
        Ok(())
    }
}

/// The engine's five capabilities in such a home.
pub struct Home<S> {
    /// Its records.
    pub store: Counted<S>,
    counter: Tally,
    keys: Arc<SimKeys>,
    clock: Ticks,
    random: SimRandom,
}

impl<S> Home<S> {
    /// A home of these records and keys.
    pub fn new(store: S, keys: Arc<SimKeys>) -> Self {
        Home {
            store: Counted::new(store),
            counter: Tally::default(),
            keys,
            clock: Ticks::default(),
            random: SimRandom::new(Some(1)),
        }
    }

    /// What passes the time of this home.
    pub fn ticks(&self) -> Ticks {
        self.clock.clone()
    }
}

impl<S: Default> Home<S> {
    /// The same home as the next process finds it. Its calls are counted on.
    pub fn begin_again(&mut self) -> Self {
        Home {
            store: std::mem::replace(&mut self.store, Counted::new(S::default())),
            counter: std::mem::take(&mut self.counter),
            keys: self.keys.clone(),
            clock: Ticks::default(),
            random: SimRandom::new(Some(2)),
        }
    }
}

impl<S: Store> Platform for Home<S> {
    type Store = Counted<S>;
    type Keys = SimKeys;
    type Counter = Tally;
    type Clock = Ticks;
    type Random = SimRandom;

    fn parts(&mut self) -> Parts<'_, Self> {
        Parts {
            store: &mut self.store,
            keys: &self.keys,
            counter: &mut self.counter,
            clock: &mut self.clock,
            random: &mut self.random,
        }
    }
}
