//! A client: a process that uses a seat for as long as its own clock allows.
//!
//! It is trusted with little: it keeps to its clock, which may be wrong by the drift, and it shows
//! the token of a seat only while it uses that seat.

use super::bugs::Bug;
use super::container::Grant;
use super::scenes::Person;
use super::{Answer, Ask, Op, Request, Seats, TIMEOUT, Token, Who};

/// What a client knows of its seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Lease {
    /// The seat's secret.
    pub token: Token,
    /// Its entry, and the connection that the entry is for.
    pub handle: u8,
    link: u8,
    /// The last heartbeat that was answered.
    n: u8,
    /// Ticks since that heartbeat, or the request, was *sent*.
    age: u8,
    /// Whether it is in use. Not yet in a child that has not joined.
    used: bool,
}

/// A request without an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Asked {
    ask: Ask,
    /// Ticks since it was sent.
    age: u8,
}

/// A client.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Client {
    /// Its seat.
    pub lease: Option<Lease>,
    asked: Option<Asked>,
    /// How far its clock goes wrong in the time of a lease.
    pub error: i8,
    /// Its connections so far, the last one being the one in use, and what that is with.
    link: u8,
    boot: u8,
    asks_left: u8,
    opens_left: u8,
    /// Whether it crashed.
    pub crashed: bool,
    /// Whether it ever used a seat.
    pub had_seat: bool,
}

impl Client {
    /// A client that has done nothing.
    pub fn new(person: &Person) -> Self {
        Client { asks_left: person.asks, opens_left: person.opens, ..Self::gone() }
    }

    fn gone() -> Self {
        Client {
            lease: None,
            asked: None,
            error: 0,
            link: 0,
            boot: 0,
            asks_left: 0,
            opens_left: 0,
            crashed: false,
            had_seat: false,
        }
    }

    /// Whether it uses a seat now.
    pub fn uses(&self) -> bool {
        self.lease.is_some_and(|lease| lease.used)
    }

    /// Whether it neither has nor wants a seat.
    pub fn is_idle(&self) -> bool {
        self.lease.is_none() && self.asked.is_none()
    }

    /// Whether it has done nothing yet.
    pub fn is_new(&self) -> bool {
        self.lease.is_none() && self.link == 0 && !self.crashed
    }

    /// What it would ask next of the container, which is in power session `boot`.
    pub fn next_ask(&self, model: &Seats, who: Who, boot: u8) -> Option<Ask> {
        if self.asks_left == 0 || self.crashed {
            return None;
        }
        let Some(lease) = self.lease else {
            let first = Op::Drawn(who, self.opens_left);
            return match self.asked {
                // Again under the same id: it may have been granted.
                Some(Asked { ask, .. }) => Some(ask),
                None if self.opens_left > 0 && !is_child(model, who) => Some(Ask::Open(first)),
                None => None,
            };
        };
        let works = self.asked.is_none() && lease.link == self.link && self.boot == boot;
        if works && lease.used {
            Some(Ask::Beat(lease.handle, lease.n + 1))
        } else if lease.token.boot == boot {
            Some(Ask::Join(lease.token))
        } else {
            // A join was refused: the container was without power, and has forgotten the seat.
            let anyhow = model.is(Bug::StaleTokenShown) || model.is(Bug::OrphanShowsToken);
            (lease.used || anyhow).then_some(Ask::Open(Op::Shown(lease.token)))
        }
    }

    /// Asks. A connection that lost an answer is dead, and so is one from before a restart.
    pub fn ask(&mut self, who: Who, ask: Ask, boot: u8) -> Request {
        if self.asked.is_some() || self.boot != boot || self.link == 0 {
            self.link += 1;
            self.boot = boot;
        }
        if let (Ask::Open(Op::Drawn(..)), None) = (ask, self.asked) {
            self.opens_left -= 1;
        }
        self.asks_left -= 1;
        self.asked = Some(Asked { ask, age: 0 });
        Request { who, link: self.link, boot, ask }
    }

    /// Whether it still hopes that a request arrives.
    pub fn awaits(&self, request: &Request) -> bool {
        let last = request.link == self.link && !self.crashed;
        last && (self.asked.is_some() || matches!(request.ask, Ask::Close(_)))
    }

    /// Whether an answer is to what was asked last, on the connection where it was asked.
    pub fn expects(&self, model: &Seats, answer: &Answer) -> bool {
        let Some(Asked { ask, .. }) = self.asked else { return false };
        let on_link = answer.link == self.link || model.is(Bug::AnswerOfDeadLink);
        let both_open = matches!((ask, answer.ask), (Ask::Open(_), Ask::Open(_)));
        let to_ask = answer.ask == ask || (both_open && model.is(Bug::AnswerToAnother));
        on_link && to_ask
    }

    /// Takes in an answer that it expects. Its time counts from when it asked.
    pub fn hear(&mut self, model: &Seats, answer: Answer) {
        let Some(asked) = self.asked.take() else { return };
        let age = if model.is(Bug::MeasuredFromAnswer) { 0 } else { asked.age };
        if age >= self.lease_len() {
            return;
        }
        match (answer.grant, &mut self.lease) {
            (Grant::Seat(token, handle), lease) => {
                let link = answer.link;
                self.had_seat = true;
                *lease = Some(Lease { token, handle, link, n: 0, age, used: true });
            }
            (Grant::Beat(_, n), Some(lease)) => {
                lease.n = n;
                lease.age = age;
            }
            (Grant::Beat(..), None) => {}
        }
    }

    /// It is a new child of a process that holds this lease.
    pub fn is_forked_with(&mut self, lease: Option<Lease>) {
        self.lease = lease.map(|lease| Lease { handle: 0, link: 0, n: 0, used: false, ..lease });
    }

    /// Whether it can say that it ends its use.
    pub fn can_end(&self, boot: u8) -> bool {
        self.asked.is_none()
            && self.boot == boot
            && self.lease.is_some_and(|lease| lease.used && lease.link == self.link)
    }

    /// Ends its use, then says so.
    pub fn end(&mut self, model: &Seats, who: Who) -> Option<Request> {
        let lease = self.lease?;
        if !model.is(Bug::CloseBeforeEnd) {
            self.lease = None;
        }
        let (link, boot) = (self.link, self.boot);
        Some(Request { who, link, boot, ask: Ask::Close(lease.handle) })
    }

    /// Everything it knows is gone.
    pub fn crash(&mut self) {
        let (error, link, had_seat) = (self.error, self.link, self.had_seat);
        *self = Client { crashed: true, had_seat, error, link, ..Self::gone() };
    }

    /// Whether it has given up this connection of its own.
    pub fn has_left(&self, model: &Seats, link: u8) -> bool {
        if model.is(Bug::LinkLossFreesSeat) {
            return true;
        }
        let asks_on_it = self.asked.is_some() && link == self.link;
        let holds_by_it = self.lease.is_some_and(|lease| lease.link == link);
        let moved_on = model.is(Bug::HangsUpBeforeJoin) && link < self.link;
        moved_on || !(asks_on_it || holds_by_it)
    }

    /// Time passes. What is over by its own clock it does not use, and no longer speaks of.
    pub fn tick(&mut self, model: &Seats) {
        let len = self.lease_len();
        if let Some(asked) = &mut self.asked {
            asked.age = (asked.age + 1).min(len);
        }
        let Some(lease) = &mut self.lease else { return };
        lease.age = (lease.age + 1).min(len);
        if lease.age == len {
            lease.used = false;
            if !model.is(Bug::StaleTokenShown) {
                self.lease = None;
                self.asked = self.asked.filter(|asked| matches!(asked.ask, Ask::Open(_)));
            }
        }
    }

    /// Ticks that its clock takes for the time-out: more if it is slow.
    fn lease_len(&self) -> u8 {
        TIMEOUT.saturating_add_signed(self.error)
    }
}

fn is_child(model: &Seats, who: Who) -> bool {
    model.scene.people[usize::from(who)].parent.is_some()
}
