//! The chain of one firm in one container: every update that was signed for it, every receipt that
//! was written. Neither is ever taken back, so both are also the network.
//!
//! An update names the state that it follows, and that state is the hash of all updates before.
//! The model lets the place in this tree stand for the hash: each place has one past.

use std::collections::{BTreeMap, BTreeSet};

use super::{FOREVER, GrantId, SKEW};

/// A state that a chain can be in: 0 as it begins, else behind the update that was signed as the
/// so many-th.
pub type Place = usize;

/// What an update does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Op {
    /// Sets the entry of a grant, which lapses; an entry of the grant that is there is replaced.
    Install(GrantId, u8),
    /// Removes it.
    Release(GrantId, u8),
    /// Nothing; for taking the number of another.
    Nop,
}

/// An update.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Update {
    /// The place that it follows.
    pub before: Place,
    /// What it does; grants are named with their epoch.
    pub op: Op,
    /// For how many it installs.
    pub quantity: u8,
    /// Ticks until what it installs lapses, by the true time.
    pub left: i8,
    /// Whether it left Central. From then on it may arrive at any time.
    pub sent: bool,
    /// Whether Central knows it. Only a bug makes one that it does not.
    pub booked: bool,
}

/// What a container says of a place that it reached.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Receipt {
    /// The place.
    pub place: Place,
    /// The grants that it held there.
    pub holds: Vec<GrantId>,
}

/// Everything that was signed.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Chain {
    /// By Central, in this order.
    pub updates: Vec<Update>,
    /// By the container.
    pub receipts: BTreeSet<Receipt>,
}

impl Chain {
    /// The update that leads to a place; none to the beginning.
    pub fn update(&self, place: Place) -> Option<&Update> {
        self.updates.get(place.checked_sub(1)?)
    }

    /// All places but the beginning.
    pub fn places(&self) -> impl DoubleEndedIterator<Item = Place> + use<> {
        1..=self.updates.len()
    }

    /// A place and all before it, that first.
    pub fn back_from(&self, place: Place) -> impl Iterator<Item = Place> + '_ {
        std::iter::successors(Some(place), |&place| Some(self.update(place)?.before))
    }

    /// How many updates lead to a place.
    pub fn number(&self, place: Place) -> usize {
        self.back_from(place).count() - 1
    }

    /// Whether whoever is at the one place has been at the other.
    pub fn passes(&self, place: Place, earlier: Place) -> bool {
        self.back_from(place).any(|passed| passed == earlier)
    }

    /// What a container holds at a place: of each grant, by which update.
    pub fn holds(&self, place: Place) -> BTreeMap<GrantId, Place> {
        let mut path: Vec<Place> = self.back_from(place).collect();
        let mut holds = BTreeMap::new();
        while let Some(place) = path.pop() {
            match self.update(place).map(|update| update.op) {
                Some(Op::Install(grant, _)) => holds.extend([(grant, place)]),
                Some(Op::Release(grant, _)) => drop(holds.remove(&grant)),
                Some(Op::Nop) | None => {}
            }
        }
        holds
    }

    /// The update by which a grant, of an epoch, is held at a place.
    pub fn held_by(&self, place: Place, grant: GrantId, epoch: u8) -> Option<Place> {
        for passed in self.back_from(place) {
            match self.update(passed)?.op {
                Op::Install(of, since) if of == grant => return (since == epoch).then_some(passed),
                Op::Release(of, _) if of == grant => return None,
                _ => {}
            }
        }
        None
    }

    /// Ticks until the lapse of what an update installs.
    pub fn left(&self, place: Place) -> i8 {
        self.update(place).map_or(-SKEW, |update| update.left)
    }

    /// Time passes. What is over for every clock stays as it is.
    pub fn tick(&mut self) {
        for update in self.updates.iter_mut().filter(|update| update.left != FOREVER) {
            update.left = (update.left - 1).max(-SKEW);
        }
    }
}
