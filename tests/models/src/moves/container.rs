//! A container: it applies the exact next update of each firm, and says what it applied.

use std::collections::BTreeMap;

use super::bugs::Bug;
use super::chain::{Chain, Op, Place, Receipt};
use super::scenes::Clock;
use super::{FOREVER, FirmId, GrantId, Moves, PERIOD};

/// What a container keeps of one firm. Durable, and changed at once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Drawer {
    /// The place in the firm's chain: number and state hash.
    pub at: Place,
    /// The grants that are here, each with the update that set it.
    pub holds: BTreeMap<GrantId, Place>,
    /// Where it ended, when the container was decommissioned. The final statement names it.
    pub ended: Option<Place>,
    /// Seen by the checker only: the highest epoch of each grant that was ever here.
    epochs: BTreeMap<GrantId, u8>,
    /// Seen by the checker only: an epoch fell.
    pub epoch_fell: bool,
}

/// A container.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Container {
    /// Its clock is late by so many ticks, or early. Nothing where it cannot be relied on: then it
    /// may stand still.
    pub late: Option<i8>,
    /// For each firm.
    pub drawers: Vec<Drawer>,
}

impl Container {
    /// One without licenses.
    pub fn new(clock: Clock, late: i8, firms: usize) -> Self {
        let late = (clock == Clock::Trusted).then_some(late);
        Container { late, drawers: vec![Drawer::default(); firms] }
    }

    /// Whether a grant can be used here, as the container judges. A clock that may stand still
    /// never reaches the lapse.
    pub fn can_use(&self, chain: &Chain, firm: FirmId, grant: GrantId) -> bool {
        let drawer = &self.drawers[firm];
        let Some(&by) = drawer.holds.get(&grant) else { return false };
        let left = chain.left(by);
        let lapsed = self.late.is_some_and(|late| left != FOREVER && left + late <= 0);
        drawer.ended.is_none() && !lapsed
    }

    /// An update arrives. Says whether it is applied.
    pub fn arrive(&mut self, model: &Moves, chains: &[Chain], firm: FirmId, place: Place) -> bool {
        if !self.is_next(model, chains, firm, place) {
            return false;
        }
        let Some(op) = chains[firm].update(place).map(|update| update.op) else { return false };
        if let Op::Release(grant, _) = op
            && !self.remove(model, firm, grant)
        {
            // Nothing of an update is applied if an operation fails.
            return false;
        }
        let drawer = &mut self.drawers[firm];
        if let Op::Install(grant, epoch) = op {
            let highest = drawer.epochs.entry(grant).or_default();
            drawer.epoch_fell |= epoch < *highest;
            *highest = epoch.max(*highest);
            drawer.holds.insert(grant, place);
        }
        drawer.at = place;
        true
    }

    /// The receipt of a place that it passed.
    pub fn receipt(&self, model: &Moves, chain: &Chain, firm: FirmId, place: Place) -> Receipt {
        let as_of = if model.is(Bug::ReceiptMadeAnew) { self.drawers[firm].at } else { place };
        Receipt { place, holds: chain.holds(as_of).into_keys().collect() }
    }

    /// Whether a receipt of this place is still given.
    pub fn repeats(&self, model: &Moves, chain: &Chain, firm: FirmId, place: Place) -> bool {
        let passed = place > 0 && chain.passes(self.drawers[firm].at, place);
        passed && !model.is(Bug::ReceiptOnce)
    }

    /// Its owner ends it, for all firms at once.
    pub fn decommission(&mut self) {
        for drawer in &mut self.drawers {
            drawer.ended = Some(drawer.at);
        }
    }

    /// The exact next number, and the state that is here.
    fn is_next(&self, model: &Moves, chains: &[Chain], firm: FirmId, place: Place) -> bool {
        let (drawer, chain) = (&self.drawers[firm], &chains[firm]);
        let before = chain.update(place).map(|update| update.before);
        let late = self.late.is_some_and(|late| chain.left(place).saturating_add(late) < PERIOD);
        let follows = match model.bug {
            Some(Bug::NumberIgnored) => place != drawer.at,
            Some(Bug::StateIgnored) => chain.number(place) == chain.number(drawer.at) + 1,
            Some(Bug::FirmsShareNumber) => {
                let numbers = self.drawers.iter().zip(chains);
                let sum: usize = numbers.map(|(drawer, chain)| chain.number(drawer.at)).sum();
                before == Some(drawer.at) && chain.number(place) == sum + 1
            }
            // The model has no such time but here; without it all the more may be applied.
            Some(Bug::ApplyBeforeFrees) => before == Some(drawer.at) && !late,
            _ => before == Some(drawer.at),
        };
        follows && (drawer.ended.is_none() || model.is(Bug::EndedApplies))
    }

    fn remove(&mut self, model: &Moves, firm: FirmId, grant: GrantId) -> bool {
        if model.is(Bug::FirmsShareEntries) {
            // By the product alone, which two firms may number alike.
            self.drawers.iter_mut().for_each(|drawer| drawer.holds.clear());
            return true;
        }
        self.drawers[firm].holds.remove(&grant).is_some()
    }
}
