//! The container: balance, reservations and log, all durable before an answer leaves.

use super::bugs::Bug;
use super::scenes::Loss;
use super::server::Update;
use super::{Body, Entry, Op, Units};

/// How a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Standing {
    /// Taken from the balance, to be committed.
    Open,
    /// Committed: so much was used, the rest went back.
    Used(i8),
    /// Its session was lost; all of it counts as used.
    Charged,
    /// Its session was lost; the vendor decides.
    Held,
    /// The vendor decided: so much went back, the rest is written off.
    Settled(i8),
}

/// A reservation, and the answer to its request for ever.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reservation {
    /// The request's id.
    pub op: Op,
    /// Units that were reserved.
    pub units: i8,
    /// How it stands.
    pub standing: Standing,
    /// Seen by the checker only: units that went back.
    pub refunded: i8,
}

/// What a container keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Store {
    /// Units that are free.
    pub balance: i8,
    /// All reservations.
    pub reservations: Vec<Reservation>,
    /// The last update.
    pub applied: usize,
    /// The log since ever. The hash of entry n stands for the first n of them.
    pub log: Vec<Entry>,
    /// How many of them are deleted.
    pub pruned: usize,
    /// How often all of this was made durable.
    pub commits: u8,
    /// The next entry's number.
    next_seq: u8,
}

/// A container: what it works with, and what is durable. They differ only where a bug makes them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Container {
    /// In RAM.
    pub ram: Store,
    /// What a power cut leaves.
    pub durable: Store,
    /// A counter beside the memory that cannot go back: the newest commit.
    pub anchor: u8,
    /// An old image, in the hands of an attacker.
    pub image: Option<Store>,
    /// Seen by the checker only: an image was put back.
    pub restored: bool,
    /// Seen by the checker only: the most that ever was used.
    pub most_used: i8,
}

impl Container {
    /// One that holds units.
    pub fn new(balance: i8) -> Self {
        let ram = Store { balance, ..Store::default() };
        let durable = ram.clone();
        Container { ram, durable, anchor: 0, image: None, restored: false, most_used: 0 }
    }

    /// Reserves. Says whether it is granted.
    pub fn reserve(&mut self, model: &Units, op: Op, units: i8) -> bool {
        let store = &mut self.ram;
        let known = store.reservations.iter().find(|known| known.op == op);
        if let Some(known) = known.filter(|_| !model.is(Bug::OpTwice)) {
            return known.standing == Standing::Open;
        }
        if store.balance < units && !model.is(Bug::BalanceUnchecked) {
            return false;
        }
        store.balance -= units;
        store.reservations.push(Reservation { op, units, standing: Standing::Open, refunded: 0 });
        match model.bug {
            Some(Bug::DebitAfterUse) => {}
            Some(Bug::OpForgottenAtCrash) => self.durable.balance = store.balance,
            _ => self.persist(),
        }
        true
    }

    /// Ends a use. What the client `claims` to have reserved means nothing.
    pub fn commit(&mut self, model: &Units, op: Op, used: i8, claims: i8) {
        let store = &mut self.ram;
        let known = store.reservations.iter_mut().find(|known| known.op == op);
        let Some(known) = known.filter(|known| used <= known.units) else { return };
        let open = match known.standing {
            Standing::Open => true,
            Standing::Used(_) => model.is(Bug::RefundTwice),
            Standing::Charged => model.is(Bug::CommitWithoutReserve),
            Standing::Held | Standing::Settled(_) => false,
        };
        if !open {
            return;
        }
        let reserved = if model.is(Bug::RefundMoreThanOpen) { claims } else { known.units };
        let refund = reserved - used;
        known.standing = Standing::Used(used);
        // The checker needs no more than that it was too much.
        known.refunded = (known.refunded + refund).min(known.units + 1);
        store.balance = (store.balance + refund).min(model.enough());
        self.note(model, Body::Used(op, used));
    }

    /// The session of a reservation is lost.
    pub fn lose(&mut self, model: &Units, op: Op) {
        let reservations = &mut self.ram.reservations;
        let Some(at) = reservations.iter().position(|known| known.op == op) else { return };
        let units = reservations[at].units;
        if model.is(Bug::LossIsFree) {
            self.ram.balance += units;
            reservations.remove(at);
            return self.persist();
        }
        let (standing, body) = match model.scene.loss {
            Loss::Charge => (Standing::Charged, Body::Charged(op, units)),
            Loss::Hold => (Standing::Held, Body::Held(op, units)),
        };
        reservations[at].standing = standing;
        if model.is(Bug::HoldForgottenAtCrash) {
            self.durable.reservations.retain(|known| known.op != op);
        } else {
            self.note(model, body);
        }
    }

    /// Applies the vendor's update number `number`, if it is the next.
    pub fn apply(&mut self, model: &Units, number: usize, update: Update) {
        let again = number <= self.ram.applied && model.is(Bug::TopUpTwice);
        if number != self.ram.applied + 1 && !again {
            return;
        }
        self.ram.applied = number;
        let body = match update {
            Update::TopUp => {
                self.ram.balance = (self.ram.balance + 1).min(model.enough());
                Body::ToppedUp(number)
            }
            Update::Settle(op, refund) => {
                self.settle(model, op, refund);
                Body::Settled(number, op)
            }
        };
        self.note(model, body);
    }

    /// Messages with the log's entries: from any that is not deleted to the end.
    pub fn uploads(&self) -> impl Iterator<Item = usize> + use<> {
        self.ram.pruned..self.ram.log.len()
    }

    /// Deletes what is acknowledged: a history that is its own.
    pub fn prune(&mut self, model: &Units, history: &[Entry]) {
        let own = self.ram.log.starts_with(history);
        let counts = own || (model.is(Bug::AckOfOtherFork) && history.len() <= self.ram.log.len());
        if counts && history.len() > self.ram.pruned {
            self.ram.pruned = history.len();
            self.persist();
        }
    }

    /// All that is in RAM is durable.
    pub fn persist(&mut self) {
        self.ram.commits += 1;
        self.anchor = self.ram.commits;
        self.durable = self.ram.clone();
    }

    /// Power goes and comes.
    pub fn restart(&mut self) {
        self.ram = self.durable.clone();
    }

    /// An attacker puts the old image back.
    pub fn is_restored(&mut self) {
        if let Some(image) = self.image.take() {
            self.durable = image;
            self.restored = true;
            self.restart();
        }
    }

    /// Units that count as used, and the most that ever did.
    pub fn count_used(&mut self) {
        self.most_used = self.most_used.max(self.durable.used());
    }

    fn settle(&mut self, model: &Units, op: Op, refund: i8) {
        let mut reservations = self.ram.reservations.iter_mut();
        let Some(known) = reservations.find(|known| known.op == op) else { return };
        let settled = matches!(known.standing, Standing::Settled(_));
        if known.standing == Standing::Held || (settled && model.is(Bug::SettleTwice)) {
            known.standing = Standing::Settled(refund);
            known.refunded += refund;
            self.ram.balance += refund;
        }
    }

    /// Writes an entry and makes it durable together with what it tells.
    fn note(&mut self, model: &Units, body: Body) {
        let seq = self.ram.next_seq;
        self.ram.next_seq += 1;
        self.ram.log.push(Entry { seq, body });
        match model.bug {
            Some(Bug::EntryApart) => {
                let (log, next_seq) = (self.durable.log.clone(), self.durable.next_seq);
                self.durable = Store { log, next_seq, ..self.ram.clone() };
            }
            Some(Bug::GapInLog) => self.durable.next_seq = self.ram.next_seq,
            _ => self.persist(),
        }
    }
}

impl Store {
    /// Units that were used, or count as used.
    pub fn used(&self) -> i8 {
        let used = |known: &Reservation| match known.standing {
            Standing::Used(used) => used,
            Standing::Charged => known.units,
            Standing::Open | Standing::Held | Standing::Settled(_) => 0,
        };
        self.reservations.iter().map(used).sum()
    }

    /// Units of reservations that stand so.
    pub fn that(&self, standing: Standing) -> i8 {
        let those = self.reservations.iter().filter(|known| known.standing == standing);
        those.map(|known| known.units).sum()
    }

    /// Units that the vendor gave up.
    pub fn written_off(&self) -> i8 {
        let rest = |known: &Reservation| match known.standing {
            Standing::Settled(refund) => known.units - refund,
            _ => 0,
        };
        self.reservations.iter().map(rest).sum()
    }
}
