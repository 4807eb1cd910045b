//! The sorted index from keys to flash addresses: 12 bytes per record, in lists of bounded length.

use alloc::vec::Vec;

use crate::platform::RecordKey;

/// Slots per list. Two neighbors always hold more than one list can, so lists are more than half
/// full on average: an entry costs 12 bytes at best and 24 at worst, the list's own header aside.
const LIST_LEN: usize = 128;

/// A key and where its entry stands. The halves keep the alignment at 4, hence the size at 12.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key_high: u32,
    key_low: u32,
    at: u32,
}

/// A sorted map that grows in small steps: never a reallocation of the whole.
#[derive(Debug, Default)]
pub(super) struct Index {
    lists: Vec<Vec<Slot>>,
    len: usize,
}

impl Index {
    /// Number of records.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// Bytes of heap held.
    pub(super) fn heap_len(&self) -> usize {
        let slots: usize = self.lists.iter().map(Vec::capacity).sum();
        slots * size_of::<Slot>() + self.lists.capacity() * size_of::<Vec<Slot>>()
    }

    /// Address of the entry of `key`.
    pub(super) fn get(&self, key: RecordKey) -> Option<u32> {
        let (list, place) = self.find(key);
        place.ok().map(|i| self.lists[list][i].at)
    }

    /// The smallest key that is at least `from`.
    pub(super) fn next(&self, from: RecordKey) -> Option<RecordKey> {
        let (list, place) = self.find(from);
        let slot = match place {
            Ok(_) => return Some(from),
            Err(i) => match self.lists.get(list)?.get(i) {
                Some(slot) => slot,
                None => self.lists.get(list + 1)?.first()?,
            },
        };
        Some(slot.key())
    }

    /// Sets the address of `key` and returns the former one.
    pub(super) fn set(&mut self, key: RecordKey, at: u32) -> Option<u32> {
        let (list, place) = self.find(key);
        match place {
            Ok(i) => Some(core::mem::replace(&mut self.lists[list][i].at, at)),
            Err(i) => {
                self.insert(list, i, Slot::new(key, at));
                None
            }
        }
    }

    /// Forgets `key` and returns where its entry stood.
    pub(super) fn remove(&mut self, key: RecordKey) -> Option<u32> {
        let (list, place) = self.find(key);
        let slot = self.lists.get_mut(list)?.remove(place.ok()?);
        self.len -= 1;
        self.join(list);
        Some(slot.at)
    }

    /// All addresses, in order of the keys.
    pub(super) fn addresses(&self) -> impl Iterator<Item = u32> {
        self.lists.iter().flatten().map(|slot| slot.at)
    }

    /// The list that holds or would hold `key`, and the place in it. The list exists unless there
    /// is none.
    fn find(&self, key: RecordKey) -> (usize, Result<usize, usize>) {
        let after = self.lists.partition_point(|l| l.first().is_some_and(|s| s.key() <= key));
        let list = after.saturating_sub(1);
        let place =
            self.lists.get(list).map_or(Err(0), |l| l.binary_search_by_key(&key, Slot::key));
        (list, place)
    }

    fn insert(&mut self, list: usize, place: usize, slot: Slot) {
        self.len += 1;
        match self.lists.get_mut(list) {
            None => self.lists.push(list_of(&[slot])),
            Some(l) if l.len() < LIST_LEN => l.insert(place, slot),
            // Keys that come in rising order leave full lists behind.
            Some(_) if place == LIST_LEN => self.lists.insert(list + 1, list_of(&[slot])),
            Some(l) => {
                let upper = list_of(&l[LIST_LEN / 2..]);
                l.truncate(LIST_LEN / 2);
                self.lists.insert(list + 1, upper);
                let (list, place) = match place.checked_sub(LIST_LEN / 2) {
                    Some(place) => (list + 1, place),
                    None => (list, place),
                };
                self.lists[list].insert(place, slot);
            }
        }
        // A new list may stand before a short one, half a list behind one.
        self.join(list + 1);
        self.join(list);
    }

    /// Restores the rule of [`LIST_LEN`] around `list`.
    fn join(&mut self, list: usize) {
        for first in [list, list.wrapping_sub(1)] {
            let pair = self.lists.get_mut(first..first.saturating_add(2));
            let Some([a, b]) = pair else { continue };
            if a.len() + b.len() <= LIST_LEN {
                a.append(b);
                self.lists.remove(first + 1);
            }
        }
        self.lists.retain(|l| !l.is_empty());
    }
}

impl Slot {
    fn new(key: RecordKey, at: u32) -> Self {
        Self { key_high: (key >> 32) as u32, key_low: key as u32, at }
    }

    fn key(&self) -> RecordKey {
        u64::from(self.key_high) << 32 | u64::from(self.key_low)
    }
}

fn list_of(slots: &[Slot]) -> Vec<Slot> {
    let mut list = Vec::with_capacity(LIST_LEN);
    list.extend_from_slice(slots);
    list
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;

    use super::*;
    use crate::testing::Dice;

    #[test]
    fn behaves_as_a_sorted_map() {
        for seed in 0..20 {
            let mut dice = Dice::new(seed);
            let (mut index, mut map) = (Index::default(), BTreeMap::new());
            let range = 1 + dice.below(2000);
            for step in 0..6000 {
                // Phases of growth and of decay, so that lists split and join.
                let key = dice.below(range) << 20;
                if dice.below(10) < if step / 1500 % 2 == 0 { 8 } else { 3 } {
                    assert_eq!(index.set(key, step), map.insert(key, step), "seed {seed}");
                } else {
                    assert_eq!(index.remove(key), map.remove(&key), "seed {seed}");
                }
                let probe = dice.below(range << 20);
                let next = map.range(probe..).next().map(|(k, _)| *k);
                assert_eq!(index.next(probe), next, "seed {seed}");
                assert_eq!(index.get(key), map.get(&key).copied(), "seed {seed}");
                check_lists(&index);
            }
            assert_eq!(index.len(), map.len());
            assert!(index.addresses().eq(map.values().copied()));
        }
    }

    #[test]
    fn rising_keys_fill_their_lists() {
        let mut index = Index::default();
        for key in 0..10_000 {
            index.set(key, 0);
        }
        assert!(index.heap_len() <= 13 * 10_000, "{} bytes", index.heap_len());
    }

    fn check_lists(index: &Index) {
        for pair in index.lists.windows(2) {
            assert!(pair[0].len() + pair[1].len() > LIST_LEN);
            assert!(pair[0].capacity() == LIST_LEN);
        }
    }
}
