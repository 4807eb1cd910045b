//! Who gets a seat, who keeps it, and when it is free again: rules over rows that were read.
//!
//! A seat is held from its taking until it is given back, or until no heartbeat came for the
//! time-out. It is counted as long as it is held, and for the linger time behind that; one that was
//! lost also for a moment in which its holder may not have noticed. Requests of a seat are
//! numbered: the last one repeated is answered again, one before it is refused. The time is the
//! server's.

use std::collections::BTreeMap;

use protocol::crypto::hash::Sha256;
use protocol::errors::ErrorCode;
use protocol::limits::SEAT_GRACE_S;
use uuid::Uuid;

use super::refusal::{Outcome, Refusal};
use crate::store::seats::{
    Counter, Seat, SeatChanges, SeatEvent, SeatEventKind, SeatKey, SeatState,
};

/// How long after its drawing a session may be begun.
const SESSION_AGE_MAX_MS: i64 = 24 * 3600 * 1000;

/// How far ahead of the server the clock of a client may be.
const SESSION_AHEAD_MAX_MS: i64 = 3600 * 1000;

/// Rows of seats stay until nobody can ask for them as for new ones, and some time longer.
const KEPT_MS: i64 = 2 * SESSION_AGE_MAX_MS;

/// How long a seat that was lost is still counted: its holder's clock may be slower.
const GRACE_MS: i64 = SEAT_GRACE_S as i64 * 1000;

/// Seats that one request takes.
const SEATS_MAX: i64 = 10_000;

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Request {
    /// The seat.
    pub key: SeatKey,
    /// Number of the request.
    pub n: i64,
    /// What to do.
    pub what: Wish,
}

/// What to do with a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Take so many.
    Take(i64),
    /// Keep it.
    Keep,
    /// Give it back.
    Return,
}

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Held {
    /// The seat as it is.
    pub seat: Seat,
}

/// The session of a client: a UUID of version 7, so that seats are kept in the order in which they
/// were taken.
pub fn session(text: &str) -> Outcome<(i64, i64)> {
    let why = || Refusal::malformed("a session is a UUID of version 7 (RFC 9562)");
    let uuid = Uuid::parse_str(text).map_err(|_| why())?;
    if uuid.get_version_num() != 7 {
        return Err(why());
    }
    let (high, low) = uuid.as_u64_pair();
    Ok((high.cast_signed(), low.cast_signed()))
}

/// The session as text.
pub fn session_text(key: &SeatKey) -> String {
    Uuid::from_u64_pair(key.high.cast_unsigned(), key.low.cast_unsigned()).to_string()
}

/// When a session was drawn.
fn drawn_ms(key: &SeatKey) -> i64 {
    key.high >> 16
}

/// Rows of one transaction, as they become.
pub struct Book {
    now_ms: i64,
    counters: BTreeMap<i64, Counter>,
    /// By how much counters rise or fall.
    moved: BTreeMap<i64, i64>,
    seats: BTreeMap<SeatKey, Seat>,
    /// Whether a seat that changed is new.
    touched: BTreeMap<SeatKey, bool>,
    events: Vec<(SeatEventKind, Seat)>,
}

impl Book {
    /// Over these rows. Seats that are due are freed first.
    pub fn open(now_ms: i64, counters: &[Counter], seats: &[Seat]) -> Self {
        let counters = counters.iter().map(|counter| (counter.id, *counter)).collect();
        let seats: BTreeMap<SeatKey, Seat> = seats.iter().map(|seat| (seat.key, *seat)).collect();
        let due = |seat: &&Seat| seat.free_ms > 0 && seat.free_ms <= now_ms;
        let due: Vec<Seat> = seats.values().filter(due).copied().collect();
        let mut book = Book {
            now_ms,
            counters,
            moved: BTreeMap::new(),
            seats,
            touched: BTreeMap::new(),
            events: Vec::new(),
        };
        due.into_iter().for_each(|seat| book.free(seat));
        book
    }

    /// Carries out one request. What it refuses changes nothing.
    pub fn ask(&mut self, request: &Request) -> Outcome<Held> {
        match (self.seats.get(&request.key).copied(), request.what) {
            (Some(seat), Wish::Take(seats)) => self.taken_before(seat, request.n, seats),
            (None, Wish::Take(seats)) => self.take(request, seats),
            (Some(seat), Wish::Keep) => self.keep(seat, request.n),
            (Some(seat), Wish::Return) => self.give_back(seat, request.n),
            (None, _) => {
                // It may be held, where records that knew it were lost: its holder goes on by its
                // lease.
                self.check_begun(request.key.counter)?;
                Err(ErrorCode::SeatOver.into())
            }
        }
    }

    /// What is to be written, with the log behind `log`.
    pub fn close(self, log: &SeatLog) -> (SeatChanges, SeatLog) {
        let (events, log) = log.extend(self.now_ms, &self.events);
        let of = |new: bool| {
            let touched = self.touched.iter().filter(move |(_, is_new)| **is_new == new);
            touched.map(|(key, _)| self.seats[key]).collect()
        };
        let changes = SeatChanges {
            moved: self
                .moved
                .iter()
                .filter(|(_, more)| **more != 0)
                .map(|(a, b)| (*a, *b))
                .collect(),
            added: of(true),
            changed: of(false),
            log: events,
            ..SeatChanges::default()
        };
        (changes, log)
    }

    fn take(&mut self, request: &Request, seats: i64) -> Outcome<Held> {
        let (now_ms, key) = (self.now_ms, request.key);
        let drawn_ms = drawn_ms(&key);
        if !(now_ms - SESSION_AGE_MAX_MS..=now_ms + SESSION_AHEAD_MAX_MS).contains(&drawn_ms) {
            let seconds = |ms: i64| u64::try_from(ms / 1000).unwrap_or(0);
            return Err(ErrorCode::SessionRefused.with(seconds(drawn_ms), seconds(now_ms)).into());
        }
        if !(1..=SEATS_MAX).contains(&seats) || request.n != 0 {
            let why = format!("a session begins with number 0, for 1 to {SEATS_MAX} seats");
            return Err(Refusal::malformed(why));
        }
        let counter = self.giving(key.counter)?;
        if seats > counter.seats - counter.in_use {
            let count = |seats: i64| u64::try_from(seats).unwrap_or(0);
            let code = ErrorCode::SeatsTaken;
            return Err(code.with(count(counter.in_use), count(counter.seats)).into());
        }
        let (until_ms, free_ms) = counter.times(now_ms);
        let left = self.move_by(key.counter, seats);
        let state = SeatState::Held;
        let seat = Seat { key, seats, n: 0, state, until_ms, free_ms, left };
        self.events.push((SeatEventKind::Take, seat));
        self.put(seat, true)
    }

    /// The answer that the request which took it got, unless it is over.
    fn taken_before(&self, seat: Seat, n: i64, seats: i64) -> Outcome<Held> {
        self.check_begun(seat.key.counter)?;
        self.check_held(&seat)?;
        match n == seat.n && seats == seat.seats {
            true => Ok(Held { seat }),
            false => Err(out_of_turn(n, seat.n)),
        }
    }

    fn keep(&mut self, seat: Seat, n: i64) -> Outcome<Held> {
        self.check_begun(seat.key.counter)?;
        self.check_held(&seat)?;
        if n == seat.n && n > 0 {
            return Ok(Held { seat });
        }
        if n <= seat.n {
            return Err(out_of_turn(n, seat.n));
        }
        let counter = self.giving(seat.key.counter)?;
        let (until_ms, free_ms) = counter.times(self.now_ms);
        let left = counter.seats - counter.in_use;
        self.put(Seat { n, until_ms, free_ms, left, ..seat }, false)
    }

    fn give_back(&mut self, seat: Seat, n: i64) -> Outcome<Held> {
        if seat.state == SeatState::Returned && n == seat.n {
            return Ok(Held { seat });
        }
        self.check_held(&seat)?;
        if n <= seat.n {
            return Err(out_of_turn(n, seat.n));
        }
        let linger_ms = self.counters.get(&seat.key.counter).map_or(0, |own| own.linger_ms);
        let free_ms = if linger_ms > 0 { self.now_ms + linger_ms } else { 0 };
        let freed = if linger_ms > 0 { 0 } else { seat.seats };
        let left = self.move_by(seat.key.counter, -freed);
        let state = SeatState::Returned;
        let seat = Seat { n, state, until_ms: self.now_ms, free_ms, left, ..seat };
        self.events.push((SeatEventKind::Return, seat));
        self.put(seat, false)
    }

    /// A seat whose time is over is not counted any more.
    fn free(&mut self, seat: Seat) {
        self.move_by(seat.key.counter, -seat.seats);
        let mut freed = Seat { free_ms: 0, ..seat };
        if seat.state == SeatState::Held {
            freed.state = SeatState::Lapsed;
            self.events.push((SeatEventKind::Lapse, freed));
        }
        self.seats.insert(seat.key, freed);
        self.touched.entry(seat.key).or_insert(false);
    }

    fn check_held(&self, seat: &Seat) -> Outcome<()> {
        match seat.state == SeatState::Held && self.now_ms < seat.until_ms {
            true => Ok(()),
            false => Err(ErrorCode::SeatOver.into()),
        }
    }

    /// The counter, as long as it gives seats.
    fn giving(&self, id: i64) -> Outcome<Counter> {
        self.check_begun(id)?;
        let gives = |own: &&Counter| own.open != 0 && self.now_ms < own.until_ms;
        let found = self.counters.get(&id).filter(gives).copied();
        found.ok_or_else(|| ErrorCode::ServingEnds.into())
    }

    /// Refuses where no seat is given yet.
    fn check_begun(&self, id: i64) -> Outcome<()> {
        match self.counters.get(&id) {
            Some(own) if self.now_ms >= own.from_ms => Ok(()),
            Some(own) if own.open != 0 => Err(not_before(own.from_ms)),
            Some(_) => Err(ErrorCode::ServingEnds.into()),
            None => Ok(()),
        }
    }

    /// Changes how many are taken; how many are left.
    fn move_by(&mut self, counter: i64, more: i64) -> i64 {
        *self.moved.entry(counter).or_insert(0) += more;
        let Some(own) = self.counters.get_mut(&counter) else { return 0 };
        own.in_use += more;
        own.seats - own.in_use
    }

    fn put(&mut self, seat: Seat, is_new: bool) -> Outcome<Held> {
        self.seats.insert(seat.key, seat);
        self.touched.entry(seat.key).or_insert(is_new);
        Ok(Held { seat })
    }
}

impl Counter {
    /// Until when a seat is held that is used now, and when it stops being counted.
    fn times(&self, now_ms: i64) -> (i64, i64) {
        let until_ms = now_ms.saturating_add(self.timeout_ms).min(self.until_ms);
        (until_ms, until_ms.saturating_add(GRACE_MS + self.linger_ms))
    }
}

/// Sessions below this may be forgotten: first half of their UUIDs.
pub fn forgotten_below(now_ms: i64) -> i64 {
    (now_ms - KEPT_MS).max(0) << 16
}

/// Seats are given from the second of `from_ms` on.
pub(super) fn not_before(from_ms: i64) -> Refusal {
    let from_s = u64::try_from(from_ms.saturating_add(999) / 1000).unwrap_or(0);
    ErrorCode::SeatsWait.with(from_s, 0).into()
}

fn out_of_turn(n: i64, last: i64) -> Refusal {
    let number = |n: i64| u64::try_from(n).unwrap_or(0);
    ErrorCode::SeatOutOfTurn.with(number(n), number(last)).into()
}

/// The end of the log of one run of the server: a chain of hashes, as the audit is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SeatLog {
    writer: i64,
    number: i64,
    head: [u8; 32],
}

impl SeatLog {
    /// A log that begins. `writer` is not used again.
    pub fn begin(writer: i64) -> Self {
        SeatLog { writer, number: 0, head: [0; 32] }
    }

    /// Rows for what was done, and the log behind them. It counts once they are committed.
    fn extend(&self, at_ms: i64, done: &[(SeatEventKind, Seat)]) -> (Vec<SeatEvent>, Self) {
        let mut log = self.clone();
        let mut events = Vec::with_capacity(done.len());
        for (what, seat) in done {
            let Seat { key, n, seats, .. } = *seat;
            let (writer, number, hash) = (log.writer, log.number + 1, [0; 32]);
            let mut event = SeatEvent { writer, number, at_ms, what: *what, key, n, seats, hash };
            event.hash = hash_of(&event, &log.head);
            log = SeatLog { writer, number, head: event.hash };
            events.push(event);
        }
        (events, log)
    }
}

/// The first row that does not follow from the one before, in the order of their numbers.
pub fn first_break(events: &[SeatEvent]) -> Option<&SeatEvent> {
    let mut before = [0; 32];
    for (at, event) in events.iter().enumerate() {
        if event.number != at as i64 + 1 || event.hash != hash_of(event, &before) {
            return Some(event);
        }
        before = event.hash;
    }
    None
}

fn hash_of(event: &SeatEvent, before: &[u8; 32]) -> [u8; 32] {
    let SeatEvent { writer, number, at_ms, what, key, n, seats, .. } = *event;
    let SeatKey { high, low, counter } = key;
    let mut hash = Sha256::new();
    hash.update(b"strongroom/seat-log/v1\0");
    hash.update(before);
    for field in [writer, number, at_ms, what as i64, high, low, counter, n, seats] {
        hash.update(&field.to_be_bytes());
    }
    hash.finish()
}

#[cfg(test)]
mod tests;
