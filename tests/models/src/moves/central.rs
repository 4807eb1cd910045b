//! License Central: where each grant is, and what it takes for that to change.
//!
//! Two rules carry the rest. What was signed may be applied until a receipt says that it was not:
//! every update that is still *possible* counts, on each branch. And what is counted is durable
//! before an update leaves, so that a crash between the two changes nothing.

use std::collections::BTreeSet;

use super::bugs::Bug;
use super::chain::{Chain, Op, Place, Receipt, Update};
use super::scenes::{Clock, Scene};
use super::{ContainerId, FOREVER, FirmId, GrantId, Moves, PERIOD, SKEW};

/// Where a grant is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// In no container.
    Pool,
    /// In this one, or on its way there.
    Held(ContainerId),
    /// In this one, and an update that removes it is on its way.
    Releasing(ContainerId),
}

/// An entitlement, or a part that was split off it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Grant {
    /// The entitlement that it is of.
    pub of: GrantId,
    /// Whose.
    pub firm: FirmId,
    /// Its quantity.
    pub quantity: u8,
    /// Where it is.
    pub owner: Owner,
    /// Counts how often it was issued.
    pub epoch: u8,
    /// What it was taken from while that was in a container, until that is proved.
    pub part: Option<Part>,
}

/// Of a grant that becomes smaller in its container: the part that comes back. It is there as long
/// as the rest may be there, of that epoch, with more than this quantity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Part {
    /// The rest.
    pub of: GrantId,
    /// Its epoch.
    pub epoch: u8,
    /// Its quantity.
    pub rest: u8,
}

/// How a container stands with a firm.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Standing {
    /// It gets licenses.
    #[default]
    Active,
    /// The vendor gives it none any more.
    Revoked,
    /// Its final statement came.
    Ended,
}

/// What Central knows of a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Book {
    /// The last place that the container proved.
    pub base: Place,
    /// How the container stands.
    pub standing: Standing,
    /// Seen by the checker only: something was installed when it should get nothing any more.
    pub installed_late: bool,
}

/// A grant that was taken back from a container without a proof that it is not there.
pub type Overlap = (GrantId, u8, ContainerId);

/// Something that Central may sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Order {
    /// A grant goes from the pool into a container.
    Issue(GrantId, ContainerId),
    /// Its lapse is put off.
    Renew(GrantId),
    /// It is to be removed.
    Release(GrantId),
    /// One of its quantity is to come back. Otherwise a renewal.
    Shrink(GrantId),
    /// In place of an update that has no receipt.
    Supersede(ContainerId, FirmId, Place, Op),
}

/// License Central. All of it is durable.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Central {
    /// All grants.
    pub grants: Vec<Grant>,
    /// For each container, and each firm in it.
    pub books: Vec<Vec<Book>>,
    /// What may be used twice, as the vendor chose and knows.
    pub overlaps: BTreeSet<Overlap>,
}

impl Owner {
    /// The container where a grant may be.
    pub fn container(self) -> Option<ContainerId> {
        match self {
            Owner::Pool => None,
            Owner::Held(container) | Owner::Releasing(container) => Some(container),
        }
    }
}

impl Central {
    /// Everything is in the pool.
    pub fn new(scene: &Scene) -> Self {
        let pooled = |(id, &(firm, quantity)): (GrantId, &(FirmId, u8))| Grant {
            of: id,
            firm,
            quantity,
            owner: Owner::Pool,
            epoch: 0,
            part: None,
        };
        Central {
            grants: scene.grants.iter().enumerate().map(pooled).collect(),
            books: vec![vec![Book::default(); scene.firms()]; scene.clocks.len()],
            overlaps: BTreeSet::new(),
        }
    }

    /// A grant in the pool becomes two.
    pub fn split(&mut self, model: &Moves, id: GrantId) {
        let part = Grant { quantity: 1, owner: Owner::Pool, ..self.grants[id].clone() };
        if !model.is(Bug::SplitKeepsWhole) {
            self.grants[id].quantity -= 1;
        }
        self.grants.push(part);
    }

    /// Whether a grant can be split.
    pub fn can_split(&self, model: &Moves, id: GrantId) -> bool {
        let pooled = self.grants[id].owner == Owner::Pool || model.is(Bug::SplitWhileHeld);
        pooled && self.grants[id].quantity > 1
    }

    /// What may be signed now.
    pub fn orders(&self, model: &Moves, chains: &[Vec<Chain>]) -> Vec<Order> {
        let mut orders = Vec::new();
        for (id, grant) in self.grants.iter().enumerate() {
            let open = |at: ContainerId| {
                let chain = &chains[at][grant.firm];
                self.next(model, chain, &self.books[at][grant.firm]).is_some()
            };
            match grant.owner {
                Owner::Pool => {
                    let takes = |&at: &ContainerId| self.may_install(model, at, grant.firm);
                    let takers = (0..chains.len()).filter(takes).filter(|&at| open(at));
                    orders.extend(takers.map(|at| Order::Issue(id, at)));
                }
                Owner::Held(at) if open(at) => {
                    let renews = self.may_install(model, at, grant.firm);
                    let shrinks = renews && grant.quantity > 1;
                    orders.extend(renews.then_some(Order::Renew(id)));
                    orders.extend(shrinks.then_some(Order::Shrink(id)));
                    orders.push(Order::Release(id));
                }
                Owner::Held(_) | Owner::Releasing(_) => {}
            }
        }
        orders.extend(self.superseding(model, chains));
        orders
    }

    /// Signs an update. Grants and chain change in one transaction; the update leaves after it.
    pub fn sign(&mut self, model: &Moves, chains: &mut [Vec<Chain>], order: Order) {
        let Some((at, firm, before, op)) = self.placed(model, chains, order) else { return };
        match order {
            Order::Issue(id, at) => {
                self.grants[id].owner = Owner::Held(at);
                self.grants[id].epoch += 1;
            }
            Order::Shrink(id) => self.shrink(model, id),
            _ => {}
        }
        let book = &mut self.books[at][firm];
        let installs = matches!(op, Op::Install(..));
        book.installed_late |= installs && book.standing != Standing::Active;
        let left = match (installs, model.scene.perpetual) {
            (true, true) => FOREVER,
            (true, false) => PERIOD,
            (false, _) => -SKEW,
        };
        let chain = &mut chains[at][firm];
        let quantity = match op {
            Op::Install(id, _) => self.grants[id].quantity,
            Op::Release(..) | Op::Nop => 0,
        };
        chain.updates.push(Update { before, op, quantity, left, sent: false, booked: true });
        if let (Order::Release(id), true) = (order, model.is(Bug::InstallBeforeReceipt)) {
            self.grants[id].owner = Owner::Pool;
        }
        let possible = match (order, model.is(Bug::CancelWithoutReceipt)) {
            (Order::Supersede(..), true) => newest(chain, self.possible(model, chain, at, firm)),
            _ => self.possible(model, chain, at, firm),
        };
        let all: Vec<GrantId> = (0..self.grants.len()).collect();
        self.settle(chain, at, firm, &possible, &all);
    }

    /// Takes in a receipt. It proves its place and all before, whatever came between.
    pub fn hear(
        &mut self,
        model: &Moves,
        chain: &Chain,
        at: ContainerId,
        firm: FirmId,
        receipt: &Receipt,
    ) {
        let possible = self.possible(model, chain, at, firm);
        let number = chain.number(receipt.place);
        let place = match model.bug {
            Some(Bug::ReceiptByNumber) => {
                possible.iter().copied().rfind(|&place| chain.number(place) == number)
            }
            Some(Bug::ReceiptSettlesWindow) => {
                possible.iter().copied().rfind(|&place| chain.passes(place, receipt.place))
            }
            Some(Bug::OldReceiptSetsBack) => Some(receipt.place),
            _ => Some(receipt.place).filter(|place| possible.contains(place)),
        };
        let Some(place) = place else { return };
        let former = std::mem::replace(&mut self.books[at][firm].base, place);
        let asked = self.asked(model, chain, former, place);
        let possible = self.possible(model, chain, at, firm);
        self.settle(chain, at, firm, &possible, &asked);
        self.misread(model, chain, at, former, place);
    }

    /// Takes in a container's final statement: it has nothing any more, and never will.
    pub fn hear_final(&mut self, at: ContainerId, firm: FirmId, place: Place) {
        self.books[at][firm].base = place;
        self.books[at][firm].standing = Standing::Ended;
        let there = |grant: &&mut Grant| grant.firm == firm && grant.owner.container() == Some(at);
        for grant in self.grants.iter_mut().filter(there) {
            grant.owner = Owner::Pool;
            grant.part = None;
        }
        let grants = &self.grants;
        self.overlaps.retain(|&(grant, _, of)| grants[grant].firm != firm || of != at);
    }

    /// The latest lapse of a grant that may be in its container, in ticks from now: of what the
    /// container proved, and of all that was *signed* since, on each branch.
    pub fn max_lapse(&self, model: &Moves, chains: &[Vec<Chain>], id: GrantId) -> i8 {
        let grant = &self.grants[id];
        let Some(at) = grant.owner.container() else { return -SKEW };
        let chain = &chains[at][grant.firm];
        let mut possible = self.possible(model, chain, at, grant.firm);
        if model.is(Bug::OtherBranchForgotten) {
            possible = newest(chain, possible);
        }
        let base = self.books[at][grant.firm].base;
        let proved = self.proved(chain, base, id);
        if proved.is_some() && model.is(Bug::LapseOfAcked) {
            possible.clear();
        }
        possible.retain(|&place| self.carries(chain, place, id));
        let lapses = proved.into_iter().chain(possible).map(|place| chain.left(place));
        lapses.max().unwrap_or(-SKEW)
    }

    /// Whether a grant can be taken back because it lapsed.
    pub fn can_reclaim(&self, model: &Moves, chains: &[Vec<Chain>], id: GrantId) -> bool {
        let grant = &self.grants[id];
        let Some(at) = grant.owner.container() else { return false };
        let trusted = model.scene.clocks[at] == Clock::Trusted;
        if !(trusted || model.scene.overlaps || model.is(Bug::UntrustedReclaimed)) {
            return false;
        }
        let (chain, book) = (&chains[at][grant.firm], &self.books[at][grant.firm]);
        let lapse = self.max_lapse(model, chains, id);
        let margin = if model.is(Bug::NoSkewMargin) { 0 } else { SKEW };
        let unproved = self.proved(chain, book.base, id).is_none();
        match model.bug {
            Some(Bug::LapseWaitsForReceipt) => {
                let waits = !self.possible(model, chain, at, grant.firm).is_empty();
                lapse + margin <= 0 && !waits
            }
            Some(Bug::ApplyBeforeFrees) if unproved => lapse + margin < PERIOD,
            _ => lapse != FOREVER && lapse + margin <= 0,
        }
    }

    /// Takes a grant back, with the parts that were to come back from its entry: when that lapsed,
    /// they did. Where nothing proves that it is over, that is booked.
    pub fn reclaim(&mut self, model: &Moves, id: GrantId) {
        let Grant { owner, epoch, part, .. } = self.grants[id];
        let Some(at) = owner.container() else { return };
        let entry = part.map_or((id, epoch), |part| (part.of, part.epoch));
        for (other, grant) in self.grants.iter_mut().enumerate() {
            let is_part = grant.part.is_some_and(|part| (part.of, part.epoch) == (id, epoch));
            if other == id || (is_part && !model.is(Bug::PartsLeftBehind)) {
                grant.owner = Owner::Pool;
                grant.part = None;
            }
        }
        let trusted = model.scene.clocks[at] == Clock::Trusted;
        if !trusted && !model.is(Bug::UntrustedReclaimed) {
            self.overlaps.insert((entry.0, entry.1, at));
        }
    }

    /// Updates that may be applied, or were, behind what the container proved.
    pub fn possible(
        &self,
        model: &Moves,
        chain: &Chain,
        at: ContainerId,
        firm: FirmId,
    ) -> Vec<Place> {
        possible(model, chain, &self.books[at][firm])
    }

    /// The place that the next update follows. None while it is not known which branch of a
    /// superseded number was taken, nor where the window is full.
    fn next(&self, model: &Moves, chain: &Chain, book: &Book) -> Option<Place> {
        let possible = possible(model, chain, book);
        let last = possible.iter().copied().max_by_key(|&place| chain.number(place));
        let last = last.unwrap_or(book.base);
        let full = chain.number(last) - chain.number(book.base) >= model.scene.window;
        let full = full && !model.is(Bug::WindowForgotten);
        let settled = unsettled(chain, &possible).is_none() || model.is(Bug::BuiltOnUnsettled);
        (settled && !full).then_some(last)
    }

    fn may_install(&self, model: &Moves, at: ContainerId, firm: FirmId) -> bool {
        let active = self.books[at][firm].standing == Standing::Active;
        active || model.is(Bug::EndedGetsInstall)
    }

    /// One number at a time may be superseded, any of those without a receipt, and again.
    fn superseding(&self, model: &Moves, chains: &[Vec<Chain>]) -> Vec<Order> {
        let mut orders = Vec::new();
        for (at, of_container) in chains.iter().enumerate() {
            for (firm, chain) in of_container.iter().enumerate() {
                let possible = self.possible(model, chain, at, firm);
                let open = unsettled(chain, &possible).filter(|_| !model.scene.tangled);
                if self.books[at][firm].standing == Standing::Ended {
                    continue;
                }
                for place in possible {
                    if open.is_some_and(|number| number != chain.number(place)) {
                        continue;
                    }
                    let ops = self.instead(model, chain, at, firm, place);
                    orders.extend(ops.map(|op| Order::Supersede(at, firm, place, op)));
                }
            }
        }
        orders
    }

    /// What can take the place of an update: nothing, a renewal, or a release of what is there.
    fn instead(
        &self,
        model: &Moves,
        chain: &Chain,
        at: ContainerId,
        firm: FirmId,
        place: Place,
    ) -> impl Iterator<Item = Op> + use<> {
        let (op, before) = chain.update(place).map_or((Op::Nop, 0), |u| (u.op, u.before));
        let (install, release) = match op {
            Op::Install(id, epoch) | Op::Release(id, epoch) => {
                let grant = &self.grants[id];
                let current = grant.owner.container() == Some(at) && grant.epoch == epoch;
                let installs = current && self.may_install(model, at, firm);
                let there = chain.held_by(before, id, epoch).is_some();
                let releases = current && there && !matches!(op, Op::Release(..));
                (
                    installs.then_some(Op::Install(id, epoch)),
                    releases.then_some(Op::Release(id, epoch)),
                )
            }
            Op::Nop => (None, None),
        };
        [(op != Op::Nop).then_some(Op::Nop), install, release].into_iter().flatten()
    }

    /// Where an order's update goes, and what it does.
    fn placed(
        &self,
        model: &Moves,
        chains: &[Vec<Chain>],
        order: Order,
    ) -> Option<(ContainerId, FirmId, Place, Op)> {
        let (id, at) = match order {
            Order::Issue(id, at) => (id, at),
            Order::Renew(id) | Order::Shrink(id) | Order::Release(id) => {
                (id, self.grants[id].owner.container()?)
            }
            Order::Supersede(at, firm, place, op) => {
                return Some((at, firm, chains[at][firm].update(place)?.before, op));
            }
        };
        let Grant { firm, epoch, .. } = self.grants[id];
        let op = match order {
            Order::Issue(..) => Op::Install(id, epoch + 1),
            Order::Renew(_) | Order::Shrink(_) => Op::Install(id, epoch),
            Order::Release(_) | Order::Supersede(..) => Op::Release(id, epoch),
        };
        Some((at, firm, self.next(model, &chains[at][firm], &self.books[at][firm])?, op))
    }

    /// The rest becomes smaller when this is signed; the part is there until that is proved.
    fn shrink(&mut self, model: &Moves, id: GrantId) {
        let grant = &mut self.grants[id];
        let Some(at) = grant.owner.container() else { return };
        grant.quantity -= 1;
        let part = Part { of: id, epoch: grant.epoch, rest: grant.quantity };
        let early = model.is(Bug::PartFreeAtOnce);
        let owner = if early { Owner::Pool } else { Owner::Releasing(at) };
        let part = Grant { quantity: 1, owner, epoch: 0, part: Some(part), ..grant.clone() };
        self.grants.push(part);
    }

    /// Whether an update brings a grant into its container, or keeps it there.
    fn carries(&self, chain: &Chain, place: Place, id: GrantId) -> bool {
        let Some(update) = chain.update(place) else { return false };
        match self.grants[id].part {
            None => update.op == Op::Install(id, self.grants[id].epoch),
            Some(Part { of, epoch, rest }) => {
                update.op == Op::Install(of, epoch) && update.quantity > rest
            }
        }
    }

    /// The update by which a grant is in its container, as far as that proved.
    fn proved(&self, chain: &Chain, base: Place, id: GrantId) -> Option<Place> {
        let grant = &self.grants[id];
        let (of, epoch) = grant.part.map_or((id, grant.epoch), |part| (part.of, part.epoch));
        chain.held_by(base, of, epoch).filter(|&place| self.carries(chain, place, id))
    }

    /// A grant stays with a container as long as it is there by what is proved, or may come there
    /// by what is possible; else it goes to the pool. What went to the pool before stays there.
    fn settle(
        &mut self,
        chain: &Chain,
        at: ContainerId,
        firm: FirmId,
        possible: &[Place],
        asked: &[GrantId],
    ) {
        let base = self.books[at][firm].base;
        for &id in asked {
            let grant = &self.grants[id];
            if grant.firm != firm || grant.owner.container() != Some(at) {
                continue;
            }
            let may_come = || possible.iter().any(|&place| self.carries(chain, place, id));
            let there = self.proved(chain, base, id).is_some() || may_come();
            let release = Op::Release(id, grant.epoch);
            let is_release = |place: Place| chain.update(place).map(|u| u.op) == Some(release);
            let leaves = grant.part.is_some() || possible.iter().any(|&place| is_release(place));
            let grant = &mut self.grants[id];
            grant.owner = match (there, leaves) {
                (false, _) => Owner::Pool,
                (true, true) => Owner::Releasing(at),
                (true, false) => Owner::Held(at),
            };
            grant.part = grant.part.filter(|_| there);
        }
        let may_be_there = |id: GrantId, epoch: u8| {
            let proved = chain.held_by(base, id, epoch).is_some();
            let op = Some(Op::Install(id, epoch));
            proved || possible.iter().any(|&place| chain.update(place).map(|u| u.op) == op)
        };
        let grants = &self.grants;
        self.overlaps.retain(|&(id, epoch, of)| {
            of != at || grants[id].firm != firm || may_be_there(id, epoch)
        });
    }

    /// The grants that a receipt may change: all, but for bugs.
    fn asked(&self, model: &Moves, chain: &Chain, former: Place, place: Place) -> Vec<GrantId> {
        let before = |place: Place| chain.update(place).map(|update| update.before);
        let named = |place: Place| match chain.update(place)?.op {
            Op::Install(id, _) | Op::Release(id, _) => Some(id),
            Op::Nop => None,
        };
        match model.bug {
            Some(Bug::EarlierNumbersForgotten) => named(place).into_iter().collect(),
            Some(Bug::DeadSuccessorsHeld) => {
                let proved: Vec<_> =
                    chain.back_from(place).take_while(|&passed| passed != former).collect();
                let decided =
                    |other: &Place| proved.iter().any(|&place| before(place) == before(*other));
                chain.places().filter(decided).filter_map(named).collect()
            }
            _ => (0..self.grants.len()).collect(),
        }
    }

    /// What wrong rules make of a receipt.
    fn misread(
        &mut self,
        model: &Moves,
        chain: &Chain,
        at: ContainerId,
        former: Place,
        place: Place,
    ) {
        let proved = chain.back_from(place).take_while(|&passed| passed != former);
        for op in proved.filter_map(|passed| chain.update(passed)).map(|update| update.op) {
            let (late, holds) = (model.is(Bug::LateReceiptFrees), model.is(Bug::InstallMeansHeld));
            match op {
                Op::Release(id, _) if late => self.grants[id].owner = Owner::Pool,
                Op::Release(id, epoch) if holds && self.grants[id].epoch == epoch => {
                    self.grants[id].owner = Owner::Pool;
                }
                Op::Install(id, _) if holds && self.grants[id].owner == Owner::Releasing(at) => {
                    self.grants[id].owner = Owner::Held(at);
                }
                _ => {}
            }
        }
    }
}

fn possible(model: &Moves, chain: &Chain, book: &Book) -> Vec<Place> {
    let behind = |place: Place| {
        if model.is(Bug::SuccessorsKept) {
            return chain.number(place) > chain.number(book.base);
        }
        place != book.base && chain.passes(place, book.base)
    };
    let booked = |&place: &Place| chain.update(place).is_some_and(|update| update.booked);
    chain.places().filter(booked).filter(|&place| behind(place)).collect()
}

/// The number that was signed more than once, of which it is not known what was applied.
fn unsettled(chain: &Chain, possible: &[Place]) -> Option<usize> {
    let before = |place: Place| chain.update(place).map(|update| update.before);
    let again = |&(at, &place): &(usize, &Place)| {
        possible[..at].iter().any(|&other| before(other) == before(place))
    };
    possible.iter().enumerate().find(again).map(|(_, &place)| chain.number(place))
}

/// Without what a later update took the number of, and what follows it.
fn newest(chain: &Chain, possible: Vec<Place>) -> Vec<Place> {
    let before = |place: Place| chain.update(place).map(|update| update.before);
    let replaced = |place: Place| {
        place > 0 && possible.iter().any(|&other| other > place && before(other) == before(place))
    };
    let stays = |&place: &Place| !chain.back_from(place).any(replaced);
    possible.iter().copied().filter(stays).collect()
}
