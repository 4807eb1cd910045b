//! Seats: who uses what right now. Kept in RAM of the one home that counts them.
//!
//! A seat has entries: the process that opened it, forked children, the same program on a new
//! channel. It counts once, for as long as one entry lives. An entry dies by close, with its
//! session, or without heartbeats.

use alloc::vec::Vec;

use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, OpId, SeatHandle, SeatToken};
use protocol::limits::SEAT_ENTRIES_MAX;
use protocol::objects::license::{AccessMode, Client, ItemRef, Requirement};
use subtle::ConstantTimeEq;

use crate::records::FirmSlot;

/// Seconds of the heartbeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeatTimes {
    /// Between two heartbeats.
    pub interval_s: u16,
    /// Without one, until the entry is lost.
    pub timeout_s: u16,
}

impl Default for SeatTimes {
    fn default() -> Self {
        SeatTimes { interval_s: 10, timeout_s: 30 }
    }
}

/// A use of a license.
#[derive(Debug, Clone)]
pub(crate) struct Seat {
    pub token: SeatToken,
    pub slot: FirmSlot,
    pub item: ItemRef,
    pub requirement: Requirement,
    pub artifact: ArtifactId,
    pub client: Client,
}

/// One holder of a seat.
#[derive(Debug, Clone)]
struct Entry {
    session: u32,
    handle: SeatHandle,
    op: OpId,
    token: SeatToken,
    last_n: u64,
    last_ms: u64,
}

/// All seats of a power session.
#[derive(Debug, Default)]
pub(crate) struct Seats {
    seats: Vec<Seat>,
    entries: Vec<Entry>,
    next_handle: u32,
    timeout_ms: u64,
}

impl Seats {
    pub(crate) fn new(times: SeatTimes) -> Self {
        Seats { timeout_ms: u64::from(times.timeout_s) * 1000, ..Seats::default() }
    }

    /// Seats taken, over all entries of all firms.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// Counted seats of one entry of a firm.
    pub(crate) fn used(&self, slot: FirmSlot, item: ItemRef) -> u32 {
        let counted = |seat: &&Seat| {
            seat.slot == slot
                && seat.item == item
                && seat.requirement.access == AccessMode::UserLimit
        };
        self.seats.iter().filter(counted).count() as u32
    }

    /// Whether a session holds an entry.
    pub(crate) fn has_session(&self, session: u32) -> bool {
        self.entries.iter().any(|entry| entry.session == session)
    }

    /// Whether there is room for another entry.
    pub(crate) fn check_room(&self) -> Result<(), Failure> {
        if self.entries.len() < SEAT_ENTRIES_MAX {
            Ok(())
        } else {
            Err(ErrorCode::TooManySeats.with(SEAT_ENTRIES_MAX as u64, 0))
        }
    }

    /// The entry that command `op` made before, now on `session`: a repeated command is not done
    /// twice.
    pub(crate) fn repeated(
        &mut self,
        op: OpId,
        session: u32,
        now_ms: u64,
    ) -> Option<(SeatHandle, SeatToken)> {
        let entry = self.entries.iter_mut().find(|entry| entry.op == op)?;
        entry.session = session;
        entry.last_ms = now_ms;
        Some((entry.handle, entry.token))
    }

    /// Takes a seat.
    pub(crate) fn open(&mut self, seat: Seat, op: OpId, session: u32, now_ms: u64) -> SeatHandle {
        let token = seat.token;
        self.seats.push(seat);
        self.enter(token, op, session, now_ms)
    }

    /// Adds an entry to a seat that is held.
    pub(crate) fn join(
        &mut self,
        token: SeatToken,
        op: OpId,
        session: u32,
        now_ms: u64,
    ) -> Result<SeatHandle, Failure> {
        self.seat_of(token).ok_or(ErrorCode::SeatUnknown.failure())?;
        self.check_room()?;
        Ok(self.enter(token, op, session, now_ms))
    }

    /// The seat with this secret.
    pub(crate) fn seat_of(&self, token: SeatToken) -> Option<&Seat> {
        self.seats.iter().find(|seat| seat.token.bytes().ct_eq(token.bytes()).into())
    }

    /// The seat of an entry, which must belong to `session`.
    pub(crate) fn seat(&self, handle: SeatHandle, session: u32) -> Result<&Seat, Failure> {
        let entry = self.entries.iter().find(|e| e.handle == handle && e.session == session);
        let token = entry.ok_or(ErrorCode::SeatUnknown.failure())?.token;
        self.seat_of(token).ok_or(ErrorCode::SeatUnknown.failure())
    }

    /// Notes a sign of life. `n` must rise.
    pub(crate) fn beat(
        &mut self,
        handle: SeatHandle,
        session: u32,
        n: u64,
        now_ms: u64,
    ) -> Result<(), Failure> {
        let entry = self.entries.iter_mut().find(|e| e.handle == handle && e.session == session);
        let entry = entry.ok_or(ErrorCode::SeatUnknown.failure())?;
        if n <= entry.last_n {
            return Err(ErrorCode::SeatUnknown.failure());
        }
        entry.last_n = n;
        entry.last_ms = now_ms;
        Ok(())
    }

    /// Gives an entry back. Giving back what is gone is no error.
    pub(crate) fn close(&mut self, handle: SeatHandle, session: u32) {
        self.retain(|entry| entry.handle != handle || entry.session != session);
    }

    /// Gives back all entries of a session.
    pub(crate) fn close_session(&mut self, session: u32) {
        self.retain(|entry| entry.session != session);
    }

    /// Drops entries that gave no sign of life for too long.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let timeout_ms = self.timeout_ms;
        self.retain(|entry| now_ms.saturating_sub(entry.last_ms) <= timeout_ms);
    }

    fn enter(&mut self, token: SeatToken, op: OpId, session: u32, now_ms: u64) -> SeatHandle {
        self.next_handle += 1;
        let handle = SeatHandle(self.next_handle);
        self.entries.push(Entry { session, handle, op, token, last_n: 0, last_ms: now_ms });
        handle
    }

    /// Keeps some entries, and the seats that still have one.
    fn retain(&mut self, keep: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() != before {
            let entries = &self.entries;
            self.seats.retain(|seat| entries.iter().any(|entry| entry.token == seat.token));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};

    const ITEM: ItemRef = ItemRef { product: ProductCode(1), entry: EntryNumber(0) };

    fn seat(token: u8) -> Seat {
        let requirement = Requirement {
            root_fp: RootFp::default(),
            product: ProductCode(1),
            features: 0,
            units: 0,
            release_s: 0,
            access: AccessMode::UserLimit,
            certified_age_s: 0,
            generation: Generation(0),
        };
        Seat {
            token: SeatToken::new([token; 16]),
            slot: 0,
            item: ITEM,
            requirement,
            artifact: ArtifactId::default(),
            client: Client::default(),
        }
    }

    fn op(number: u8) -> OpId {
        OpId::new([number; 16])
    }

    #[test]
    fn a_seat_counts_once_and_lives_as_long_as_one_entry() {
        let mut seats = Seats::new(SeatTimes::default());
        let parent = seats.open(seat(1), op(1), 10, 0);
        let child = seats.join(SeatToken::new([1; 16]), op(2), 11, 0).unwrap();
        assert_eq!(seats.used(0, ITEM), 1);
        seats.close(parent, 10);
        assert_eq!(seats.used(0, ITEM), 1);
        seats.close(child, 11);
        assert_eq!(seats.used(0, ITEM), 0);
        assert!(seats.join(SeatToken::new([1; 16]), op(3), 11, 0).is_err());
    }

    #[test]
    fn an_entry_without_heartbeat_is_dropped_and_not_revived() {
        let mut seats = Seats::new(SeatTimes { interval_s: 1, timeout_s: 2 });
        let handle = seats.open(seat(1), op(1), 10, 0);
        seats.expire(2000);
        seats.beat(handle, 10, 1, 2000).unwrap();
        seats.expire(4001);
        assert!(seats.beat(handle, 10, 2, 4001).is_err());
        assert_eq!(seats.used(0, ITEM), 0);
    }

    #[test]
    fn a_heartbeat_counts_for_its_session_and_once() {
        let mut seats = Seats::new(SeatTimes::default());
        let handle = seats.open(seat(1), op(1), 10, 0);
        assert!(seats.beat(handle, 11, 1, 5).is_err());
        seats.beat(handle, 10, 1, 5).unwrap();
        assert!(seats.beat(handle, 10, 1, 6).is_err());
    }

    #[test]
    fn a_repeated_command_gives_the_same_seat() {
        let mut seats = Seats::new(SeatTimes::default());
        let handle = seats.open(seat(1), op(1), 10, 0);
        assert_eq!(seats.repeated(op(1), 12, 5).map(|(h, _)| h), Some(handle));
        assert!(seats.beat(handle, 12, 1, 6).is_ok() && seats.len() == 1);
        assert!(seats.repeated(op(9), 12, 5).is_none());
    }

    #[test]
    fn the_end_of_a_session_gives_its_seats_back() {
        let mut seats = Seats::new(SeatTimes::default());
        seats.open(seat(1), op(1), 10, 0);
        seats.open(seat(2), op(2), 11, 0);
        seats.close_session(10);
        assert_eq!((seats.used(0, ITEM), seats.len()), (1, 1));
    }
}
