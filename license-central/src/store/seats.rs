//! Seats as they are kept: narrow rows of numbers, found by their keys alone.
//!
//! A counter has how many seats there are and how many are taken; it changes by what is added to
//! it, never by a value that somebody remembers. A seat is found by its session, which its client
//! drew: a UUID of version 7, so that new rows come last. The log has what was done with seats, as
//! a chain of hashes for each writer. The tables stand in `migrations/`, the statements in
//! `seats_sql`.

use std::collections::BTreeMap;

use super::StoreError;

/// Seats of one license that Central serves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counter {
    /// Its number.
    pub id: i64,
    /// How many there are.
    pub seats: i64,
    /// How many are taken, those that linger included.
    pub in_use: i64,
    /// First millisecond since 1970 UTC in which one may be taken.
    pub from_ms: i64,
    /// First millisecond in which none may be held any more; [`i64::MAX`] for never.
    pub until_ms: i64,
    /// Without a heartbeat, until a seat is lost.
    pub timeout_ms: i64,
    /// For how long a seat stays taken when it was given back or lost.
    pub linger_ms: i64,
    /// Whether seats are given: 1, or 0 where serving ends.
    pub open: i64,
}

/// What a seat is found by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeatKey {
    /// First half of the session's UUID, with its time.
    pub high: i64,
    /// Second half.
    pub low: i64,
    /// The counter.
    pub counter: i64,
}

/// A seat, or several that were taken at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seat {
    /// What it is found by.
    pub key: SeatKey,
    /// How many.
    pub seats: i64,
    /// Number of the last request that counted.
    pub n: i64,
    /// What became of it.
    pub state: SeatState,
    /// First millisecond in which it is not held any more.
    pub until_ms: i64,
    /// When it stops being counted; 0 where it is not counted any more.
    pub free_ms: i64,
    /// How many were left at the last answer, so that its repetition says the same.
    pub left: i64,
}

/// What became of a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatState {
    /// Held, as long as it is not too late.
    Held = 0,
    /// Given back.
    Returned = 1,
    /// Lost for silence.
    Lapsed = 2,
}

/// What was done with a seat: a row of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatEvent {
    /// Which run of the server wrote it.
    pub writer: i64,
    /// Its number there, from 1.
    pub number: i64,
    /// When.
    pub at_ms: i64,
    /// What was done.
    pub what: SeatEventKind,
    /// To which seat.
    pub key: SeatKey,
    /// Number of the request; of the last one where a seat lapsed.
    pub n: i64,
    /// How many seats.
    pub seats: i64,
    /// Hash of this row and all before it.
    pub hash: [u8; 32],
}

/// What was done with a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SeatEventKind {
    /// It was taken.
    Take = 0,
    /// It was given back.
    Return = 1,
    /// It was lost for silence.
    Lapse = 2,
}

/// What changes in one commit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SeatChanges {
    /// Counters that are new.
    pub opened: Vec<Counter>,
    /// Counters that give no seats any more.
    pub closed: Vec<i64>,
    /// Counters that give no seats before a millisecond.
    pub held: Vec<(i64, i64)>,
    /// What is added to how many seats of a counter are taken, once for each counter.
    pub moved: Vec<(i64, i64)>,
    /// Seats that are new.
    pub added: Vec<Seat>,
    /// Seats as they are from now on.
    pub changed: Vec<Seat>,
    /// What was done.
    pub log: Vec<SeatEvent>,
    /// Seats that nobody may ask for again are deleted: not counted, with the first half of their
    /// session below this.
    pub forgotten: Option<i64>,
}

impl SeatState {
    /// Of its number.
    pub(super) fn of(number: i64) -> Result<Self, StoreError> {
        match number {
            0 => Ok(SeatState::Held),
            1 => Ok(SeatState::Returned),
            2 => Ok(SeatState::Lapsed),
            _ => Err(StoreError::Damaged { table: "seat", why: format!("state {number}") }),
        }
    }
}

impl SeatChanges {
    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        *self == SeatChanges::default()
    }
}

/// The tables in memory.
#[derive(Clone, Default)]
pub(super) struct SeatTables {
    counters: BTreeMap<i64, Counter>,
    seats: BTreeMap<SeatKey, Seat>,
    pub(super) log: Vec<SeatEvent>,
}

impl SeatTables {
    pub(super) fn counters(&self, ids: &[i64]) -> Vec<Counter> {
        ids.iter().filter_map(|id| self.counters.get(id)).copied().collect()
    }

    pub(super) fn seats(&self, keys: &[SeatKey]) -> Vec<Seat> {
        keys.iter().filter_map(|key| self.seats.get(key)).copied().collect()
    }

    pub(super) fn due(&self, now_ms: i64, limit: i64) -> Vec<Seat> {
        let due = |seat: &&Seat| seat.free_ms > 0 && seat.free_ms <= now_ms;
        let mut due: Vec<Seat> = self.seats.values().filter(due).copied().collect();
        due.sort_by_key(|seat| (seat.free_ms, seat.key));
        due.truncate(usize::try_from(limit).unwrap_or(0));
        due
    }

    pub(super) fn change(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        for counter in &changes.opened {
            taken("seat_counter", self.counters.insert(counter.id, *counter))?;
        }
        for id in &changes.closed {
            self.counters.get_mut(id).ok_or(StoreError::Conflict)?.open = 0;
        }
        for (id, from_ms) in &changes.held {
            self.counters.get_mut(id).ok_or(StoreError::Conflict)?.from_ms = *from_ms;
        }
        for (id, add) in &changes.moved {
            let counter = self.counters.get_mut(id).ok_or(StoreError::Conflict)?;
            counter.in_use += add;
            if counter.in_use < 0 || *add > 0 && counter.in_use > counter.seats {
                return Err(StoreError::Conflict);
            }
        }
        for seat in &changes.added {
            taken("seat", self.seats.insert(seat.key, *seat))?;
        }
        for seat in &changes.changed {
            *self.seats.get_mut(&seat.key).ok_or(StoreError::Conflict)? = *seat;
        }
        for event in &changes.log {
            let place = (event.writer, event.number);
            let before = self.log.iter().rev().find(|old| (old.writer, old.number) == place);
            taken("seat_log", before)?;
            self.log.push(*event);
        }
        if let Some(below) = changes.forgotten {
            self.seats.retain(|key, seat| seat.free_ms > 0 || key.high >= below);
        }
        Ok(())
    }
}

fn taken<T>(table: &'static str, before: Option<T>) -> Result<(), StoreError> {
    before.map_or(Ok(()), |_| Err(StoreError::Taken { table }))
}
