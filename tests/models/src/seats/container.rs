//! The container: it alone counts.
//!
//! Seats, entries, the queue and what lingers are in RAM and gone with the power. Durable are the
//! number of the power session, the mark and the loans.

use super::bugs::Bug;
use super::loans::{Lender, Loans};
use super::{Ask, GRACE, LINGER, Op, Request, Seats, TIMEOUT, Token, Who};

/// A holder of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Its number; they count up in a power session.
    pub handle: u8,
    /// Whose.
    pub who: Who,
    /// On which of its connections.
    pub link: u8,
    /// The last heartbeat's number.
    pub n: u8,
    /// Ticks since the last sign of life. From [`TIMEOUT`] on it is given up, and counted still.
    pub age: u8,
}

/// How a seat came to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It was asked for.
    Request,
    /// Its turn came in the queue.
    Queue,
    /// It lingered for this station.
    Linger(u8),
    /// It continues a seat of the power session before.
    Continued,
}

/// A seat in use.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Seat {
    /// Its secret.
    pub token: Token,
    /// The request that opened it.
    pub op: Op,
    /// For which user and station.
    pub station: u8,
    /// How it came to be.
    pub cause: Cause,
    /// Its holders.
    pub entries: Vec<Entry>,
}

/// A seat without entries that stays taken for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lingering {
    /// For which user and station it stays.
    pub station: u8,
    age: u8,
}

/// One who waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Waiter {
    op: Op,
    who: Who,
    link: u8,
    /// Seen by the checker only: how many waited when it came.
    pub ahead: u8,
    /// Seen by the checker only: how many were served since.
    pub served_since: u8,
}

/// What is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// A seat, by an entry in it.
    Seat(Token, u8),
    /// The heartbeat of an entry counts, with its number.
    Beat(u8, u8),
}

/// What only the checker knows.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Witness {
    /// The seats that were counted when power went away.
    pub held: Vec<Token>,
    /// The tokens of those that were continued since, once for each seat.
    pub continued: Vec<Token>,
    /// Entries that were given up in this power session, by number.
    pub given_up: Vec<u8>,
    /// A heartbeat counted whose number did not rise.
    pub beat_fell: bool,
}

/// The container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Container {
    /// Where it is plugged in.
    pub host: u8,
    /// Power session. Durable.
    pub boot: u8,
    /// Whether counted seats may be open. Durable.
    pub mark: bool,
    /// How often the mark was written, where that is counted. Durable.
    pub marks: u8,
    /// Loans. Durable.
    pub loans: Loans,
    /// Ticks until strangers are granted seats again.
    pub quarantine: u8,
    /// Seats in use, or given up and counted still.
    pub seats: Vec<Seat>,
    /// Seats that linger.
    pub lingering: Vec<Lingering>,
    /// Who waits, longest first.
    pub queue: Vec<Waiter>,
    /// What only the checker knows.
    pub witness: Witness,
    /// Tokens of the power session before that opened a seat in this one.
    shown: Vec<Token>,
    last_handle: u8,
    last_index: u8,
}

impl Container {
    /// Carries out a request.
    pub fn answer(&mut self, model: &Seats, request: Request) -> Option<Grant> {
        let grant = match request.ask {
            Ask::Open(op) => self.open(model, request, op),
            Ask::Join(token) => {
                let at = self.seats.iter().position(|s| s.token == token && s.is_alive())?;
                Some(self.enter(at, request))
            }
            Ask::Beat(handle, n) => self.beat(model, request, handle, n),
            Ask::Close(handle) => {
                let any = model.is(Bug::CloseByOldSession);
                let of = |e: &Entry| any || (e.who, e.link) == (request.who, request.link);
                self.drop_entries(model, |entry| entry.handle == handle && of(entry));
                None
            }
        };
        self.serve(model);
        grant
    }

    /// The connection is gone, and its entries with it.
    pub fn hang_up(&mut self, model: &Seats, who: Who, link: u8) {
        self.drop_entries(model, |entry| (entry.who, entry.link) == (who, link));
        self.serve(model);
    }

    /// Connections that hold an entry.
    pub fn links(&self) -> Vec<(Who, u8)> {
        let entries = self.seats.iter().flat_map(|seat| &seat.entries);
        let mut links: Vec<_> = entries.map(|entry| (entry.who, entry.link)).collect();
        links.sort_unstable();
        links.dedup();
        links
    }

    /// Time passes.
    pub fn tick(&mut self, model: &Seats) {
        let grace = if model.is(Bug::GraceZero) { 0 } else { GRACE };
        self.quarantine = self.quarantine.saturating_sub(1);
        self.loans.tick(model);
        self.lingering.iter_mut().for_each(|seat| seat.age += 1);
        self.lingering.retain(|seat| seat.age < LINGER);
        for entry in self.seats.iter_mut().flat_map(|seat| &mut seat.entries) {
            entry.age += 1;
            if entry.age == TIMEOUT {
                self.witness.given_up.push(entry.handle);
            }
        }
        if model.is(Bug::MarkAfterAnswer) {
            self.mark |= !self.seats.is_empty();
        }
        self.drop_entries(model, |entry| entry.age >= TIMEOUT + grace);
        self.clear_mark(model);
        if !model.is(Bug::LostWakeUp) {
            self.serve(model);
        }
    }

    /// Power goes, and comes, perhaps on another host.
    pub fn restart(&mut self, model: &Seats, host: u8) {
        let lost = std::mem::take(self);
        let quarantined = lost.mark && !model.is(Bug::NoQuarantine);
        let keeps_loans = !model.is(Bug::LoanForgottenAtRestart);
        *self = Container {
            host,
            boot: lost.boot + 1,
            marks: lost.marks,
            mark: lost.mark && !model.is(Bug::QuarantineForgetsMark),
            loans: if keeps_loans { lost.loans } else { lost.loans.forgotten() },
            quarantine: if quarantined { TIMEOUT + GRACE } else { 0 },
            ..Container::default()
        };
        self.witness.held = lost.seats.iter().map(|seat| seat.token).collect();
    }

    /// Whether a seat may be lent. Nobody who waits is passed over for it.
    pub fn can_lend(&self, model: &Seats) -> bool {
        self.loans.all.len() < usize::from(model.scene.loans)
            && self.queue.is_empty()
            && self.quarantine == 0
            && self.counted(model, None) < model.scene.quantity
    }

    /// Offers what is free to those who wait, in their order.
    pub fn serve(&mut self, model: &Seats) {
        loop {
            let last = self.queue.len().saturating_sub(1);
            let next = if model.is(Bug::UnfairQueue) { last } else { 0 };
            let Some(&Waiter { op, who, link, .. }) = self.queue.get(next) else { return };
            let station = model.station(who);
            if model.is(Bug::QueuePassedOver) || !self.is_granted(model, op, station) {
                return;
            }
            self.queue.remove(next);
            let at = self.add_seat(model, op, station, Cause::Queue);
            self.enter(at, Request { who, link, boot: self.boot, ask: Ask::Open(op) });
        }
    }

    /// Seats that are taken for `station`: used, given up but not yet over, lingering for others,
    /// lent.
    pub fn counted(&self, model: &Seats, station: Option<u8>) -> u8 {
        let used = if model.is(Bug::JoinCountsTwice) {
            self.seats.iter().map(|seat| seat.entries.len()).sum()
        } else {
            self.seats.len()
        };
        let others =
            |left: &&Lingering| Some(left.station) != station && !model.is(Bug::LingerForAnybody);
        let lingering = self.lingering.iter().filter(others).count();
        let lent = u8::try_from(self.loans.out).unwrap_or(0);
        (used + lingering) as u8 + lent
    }

    fn open(&mut self, model: &Seats, request: Request, op: Op) -> Option<Grant> {
        let known = self.seats.iter().position(|seat| seat.op == op);
        if let Some(at) = known.filter(|_| !model.is(Bug::OpTwice)) {
            // What was given up is neither revived nor opened a second time beside itself.
            if !self.seats[at].is_alive() {
                return None;
            }
            if model.is(Bug::RepeatMovesEntry) {
                self.seats[at].entries.remove(0);
            }
            return Some(self.enter(at, request));
        }
        let station = model.station(request.who);
        let waits = self.queue.iter().position(|waiter| waiter.op == op);
        // Everything that is free was offered to the queue already, so nobody is passed over.
        if !self.is_granted(model, op, station) {
            let ahead = self.queue.len() as u8;
            let Request { who, link, .. } = request;
            match waits {
                Some(at) => self.queue[at].link = link,
                None if model.scene.queues => {
                    self.queue.push(Waiter { op, who, link, ahead, served_since: 0 });
                }
                None => {}
            }
            return None;
        }
        if let Some(at) = waits {
            self.queue.remove(at);
        }
        let cause = self.cause(model, op, station);
        let at = self.add_seat(model, op, station, cause);
        Some(self.enter(at, request))
    }

    /// Whether a new seat may be opened.
    fn is_granted(&self, model: &Seats, op: Op, station: u8) -> bool {
        if self.quarantine > 0 && !self.is_continued(model, op) {
            return false;
        }
        self.counted(model, Some(station)) < model.scene.quantity
    }

    /// Whether `op` is the token of a seat of the power session before, not shown yet.
    fn is_continued(&self, model: &Seats, op: Op) -> bool {
        let Op::Shown(token) = op else { return false };
        let of_last = token.boot + 1 == self.boot || model.is(Bug::TokenOfAnySession);
        let of_mark = token.mark == self.marks;
        of_last && of_mark && (!self.shown.contains(&token) || model.is(Bug::TokenTwice))
    }

    fn cause(&mut self, model: &Seats, op: Op, station: u8) -> Cause {
        if let Op::Shown(token) = op
            && self.quarantine > 0
        {
            self.shown.push(token);
            self.witness.continued.push(token);
            return Cause::Continued;
        }
        let own = |left: &Lingering| left.station == station || model.is(Bug::LingerForAnybody);
        match self.lingering.iter().position(own) {
            Some(at) => Cause::Linger(self.lingering.remove(at).station),
            None => Cause::Request,
        }
    }

    fn add_seat(&mut self, model: &Seats, op: Op, station: u8, cause: Cause) -> usize {
        self.marks += u8::from(model.scene.marks_numbered && !self.mark);
        self.mark |= !model.is(Bug::MarkAfterAnswer);
        self.last_index += 1;
        let here = (self.boot, self.last_index);
        let origin = match op {
            Op::Shown(token) if cause == Cause::Continued => token.origin,
            _ => here,
        };
        if matches!(cause, Cause::Request | Cause::Queue) {
            self.queue.iter_mut().for_each(|waiter| waiter.served_since += 1);
        }
        let token = Token { boot: self.boot, index: self.last_index, mark: self.marks, origin };
        self.seats.push(Seat { token, op, station, cause, entries: Vec::new() });
        self.seats.len() - 1
    }

    /// An entry for the connection of a request. A copy of the request finds it there already.
    fn enter(&mut self, at: usize, request: Request) -> Grant {
        let Request { who, link, .. } = request;
        let seat = &mut self.seats[at];
        let alive = |e: &&mut Entry| (e.who, e.link) == (who, link) && e.age < TIMEOUT;
        let handle = if let Some(entry) = seat.entries.iter_mut().find(alive) {
            entry.age = 0;
            entry.handle
        } else {
            self.last_handle += 1;
            let handle = self.last_handle;
            seat.entries.push(Entry { handle, who, link, n: 0, age: 0 });
            handle
        };
        Grant::Seat(seat.token, handle)
    }

    fn beat(&mut self, model: &Seats, request: Request, handle: u8, n: u8) -> Option<Grant> {
        let entries = self.seats.iter_mut().flat_map(|seat| &mut seat.entries);
        let of =
            |e: &&mut Entry| e.handle == handle && (e.who, e.link) == (request.who, request.link);
        let entry = entries.into_iter().find(of)?;
        let alive = entry.age < TIMEOUT || model.is(Bug::HeartbeatRevives);
        if !alive || (n <= entry.n && !model.is(Bug::BeatTwice)) {
            return None;
        }
        self.witness.beat_fell |= n <= entry.n;
        entry.n = n;
        entry.age = 0;
        Some(Grant::Beat(handle, n))
    }

    /// Entries end; a seat without entries lingers, or is free.
    fn drop_entries(&mut self, model: &Seats, ends: impl Fn(&Entry) -> bool) {
        for seat in &mut self.seats {
            seat.entries.retain(|entry| !ends(entry));
            if seat.entries.is_empty() && model.scene.lingers {
                self.lingering.push(Lingering { station: seat.station, age: 0 });
            }
        }
        self.seats.retain(|seat| !seat.entries.is_empty());
        let seats = &self.seats;
        let is_there = |handle: &u8| {
            seats.iter().flat_map(|seat| &seat.entries).any(|entry| entry.handle == *handle)
        };
        self.witness.given_up.retain(is_there);
        self.clear_mark(model);
    }

    /// The mark goes when nothing is counted any more, of this power session or the one before.
    fn clear_mark(&mut self, model: &Seats) {
        let nothing = self.seats.is_empty() && self.lingering.is_empty() && self.quarantine == 0;
        if nothing && !model.is(Bug::MarkForever) {
            self.mark = false;
        }
    }
}

impl Seat {
    /// Whether an entry lives that was not given up.
    pub fn is_alive(&self) -> bool {
        self.entries.iter().any(|entry| entry.age < TIMEOUT)
    }
}

impl Seats {
    fn station(&self, who: Who) -> u8 {
        self.scene.people[usize::from(who)].station
    }
}

impl Loans {
    /// A lender that lost its loans counts none.
    fn forgotten(mut self) -> Self {
        self.all.iter_mut().for_each(|loan| loan.lender = Lender::Lapsed);
        self.out = 0;
        self
    }
}
