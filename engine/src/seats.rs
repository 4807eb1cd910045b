//! Seats: who uses what right now. Kept in RAM of the one home that counts them.
//!
//! A seat has entries: the process that opened it, forked children, the same program on a new
//! channel. It counts once, for as long as one entry lives. An entry dies by close, with its
//! session, or without heartbeats. A seat whose license says so lingers: it stays taken for a while
//! for everybody but its own station.

use alloc::vec::Vec;

use protocol::codec::Fixed;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, OpId, SeatHandle, SeatToken};
use protocol::limits::SEAT_GRACE_S;
use protocol::objects::license::{AccessMode, Client, ItemRef, Requirement};
use subtle::ConstantTimeEq;

use crate::engine::Profile;
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
    /// The command that took it.
    pub op: OpId,
    pub slot: FirmSlot,
    pub item: ItemRef,
    pub requirement: Requirement,
    pub artifact: ArtifactId,
    pub client: Client,
    /// For how long it stays taken after its last entry.
    pub linger_s: u32,
    /// Whether a power cut must not forget it: it counts against a quantity, or something was paid
    /// or proven for it.
    pub is_marked: bool,
}

/// How an entry's seats are taken, as one client sees it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Taken {
    /// Seats that count, without those that this client may take over.
    pub seats: u32,
    /// The client's station shares one of them.
    pub shared_here: bool,
    /// A use on the client's station is exclusive.
    pub exclusive_here: bool,
}

/// A seat without an entry, until its linger time is over.
#[derive(Debug, Clone)]
struct Lingering {
    seat: Seat,
    until_ms: u64,
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
    lingering: Vec<Lingering>,
    entries: Vec<Entry>,
    free_after_ms: u64,
    entries_max: usize,
}

impl SeatTimes {
    /// Seconds without a heartbeat after which the container counts a seat as free: its holder has
    /// ended by then, by its own clock.
    pub(crate) fn free_after_s(&self) -> u32 {
        u32::from(self.timeout_s) + u32::from(SEAT_GRACE_S)
    }
}

impl Seats {
    pub(crate) fn new(profile: Profile) -> Self {
        let free_after_ms = u64::from(profile.seats.free_after_s()) * 1000;
        Seats { free_after_ms, entries_max: profile.pace.seat_entries_max(), ..Seats::default() }
    }

    /// Whether a seat is open that a power cut must not forget.
    pub(crate) fn has_marked(&self) -> bool {
        self.seats.iter().any(|seat| seat.is_marked)
    }

    /// Seats taken, over all entries of all firms.
    pub(crate) fn len(&self) -> usize {
        self.seats.len()
    }

    /// How the seats of one entry of a firm are taken for `client`. A station that shares takes one
    /// seat, however many uses it has.
    pub(crate) fn taken(&self, slot: FirmSlot, item: ItemRef, client: Client) -> Taken {
        let mut taken = Taken::default();
        let mut stations: Vec<Fixed<16>> = Vec::new();
        let left = self.lingering.iter().map(|left| &left.seat);
        let others_left = left.filter(|seat| !seat.is_retaken_by(client));
        for seat in self.seats.iter().chain(others_left) {
            let station = seat.client.station;
            if (seat.slot, seat.item) != (slot, item) {
                continue;
            }
            match seat.requirement.access {
                AccessMode::UserLimit => taken.seats += 1,
                AccessMode::Exclusive => {
                    taken.seats += 1;
                    taken.exclusive_here |= station == client.station;
                }
                AccessMode::StationShare => {
                    if !stations.contains(&station) {
                        stations.push(station);
                        taken.seats += 1;
                    }
                    taken.shared_here |= station == client.station;
                }
                _ => {}
            }
        }
        taken
    }

    /// Whether no seat is taken, nor lingers.
    pub(crate) fn is_empty(&self) -> bool {
        self.seats.is_empty() && self.lingering.is_empty()
    }

    /// Whether a session holds an entry.
    pub(crate) fn has_session(&self, session: u32) -> bool {
        self.entries.iter().any(|entry| entry.session == session)
    }

    /// Whether there is room for another entry.
    pub(crate) fn check_room(&self) -> Result<(), Failure> {
        if self.entries.len() < self.entries_max {
            Ok(())
        } else {
            Err(ErrorCode::TooManySeats.with(self.entries_max as u64, 0))
        }
    }

    /// What command `op` made before: it is not done twice. On another session it joins the seat
    /// that it took, since whoever asked before may be there yet: a parent and its child take the
    /// same seat up again.
    pub(crate) fn repeated(
        &mut self,
        op: OpId,
        session: u32,
        now_ms: u64,
    ) -> Result<Option<(SeatHandle, SeatToken)>, Failure> {
        let mut entries = self.entries.iter_mut();
        if let Some(own) = entries.find(|entry| (entry.op, entry.session) == (op, session)) {
            own.last_ms = now_ms;
            return Ok(Some((own.handle, own.token)));
        }
        let Some(seat) = self.seats.iter().find(|seat| seat.op == op) else { return Ok(None) };
        let token = seat.token;
        self.join(token, op, session, now_ms).map(|handle| Some((handle, token)))
    }

    /// Takes a seat, or takes over one that lingers.
    pub(crate) fn open(&mut self, seat: Seat, session: u32, now_ms: u64) -> SeatHandle {
        let (token, op) = (seat.token, seat.op);
        let same = |left: &Lingering| {
            (left.seat.slot, left.seat.item) == (seat.slot, seat.item)
                && left.seat.is_retaken_by(seat.client)
        };
        if let Some(at) = self.lingering.iter().position(same) {
            self.lingering.remove(at);
        }
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

    /// The seat that ends when this entry is given back: the last one that holds it.
    pub(crate) fn ended_by(&self, handle: SeatHandle, session: u32) -> Option<&Seat> {
        let token = self.seat(handle, session).ok()?.token;
        let holders = self.entries.iter().filter(|entry| entry.token == token).count();
        if holders == 1 { self.seat_of(token) } else { None }
    }

    /// Gives an entry back. Giving back what is gone is no error.
    pub(crate) fn close(&mut self, handle: SeatHandle, session: u32, now_ms: u64) {
        self.retain(now_ms, |entry| entry.handle != handle || entry.session != session);
    }

    /// Gives back all entries of a session.
    pub(crate) fn close_session(&mut self, session: u32, now_ms: u64) {
        self.retain(now_ms, |entry| entry.session != session);
    }

    /// Drops entries that gave no sign of life for too long, and seats that lingered long enough.
    pub(crate) fn expire(&mut self, now_ms: u64) {
        let free_after_ms = self.free_after_ms;
        self.lingering.retain(|left| now_ms < left.until_ms);
        self.retain(now_ms, |entry| now_ms.saturating_sub(entry.last_ms) <= free_after_ms);
    }

    /// The handle comes from the command alone: it tells nobody how many seats others take.
    fn enter(&mut self, token: SeatToken, op: OpId, session: u32, now_ms: u64) -> SeatHandle {
        let [a, b, c, d, ..] = *op.bytes();
        let handle = SeatHandle(u32::from_be_bytes([a, b, c, d]));
        self.entries.push(Entry { session, handle, op, token, last_n: 0, last_ms: now_ms });
        handle
    }

    /// Keeps some entries, and the seats that still have one. The others linger or are free.
    fn retain(&mut self, now_ms: u64, keep: impl Fn(&Entry) -> bool) {
        let before = self.entries.len();
        self.entries.retain(keep);
        if self.entries.len() == before {
            return;
        }
        let (entries, lingering) = (&self.entries, &mut self.lingering);
        self.seats.retain(|seat| {
            let held = entries.iter().any(|entry| entry.token == seat.token);
            let counted = seat.requirement.access != AccessMode::NoUserLimit;
            if !held && counted && seat.linger_s > 0 {
                let until_ms = now_ms.saturating_add(u64::from(seat.linger_s) * 1000);
                // With no room left for it the seat is free at once: never more RAM.
                if lingering.len() < self.entries_max {
                    lingering.push(Lingering { seat: seat.clone(), until_ms });
                }
            }
            held
        });
    }
}

impl Seat {
    /// Whether `client` may take it over while it lingers: the same user on the same station.
    fn is_retaken_by(&self, client: Client) -> bool {
        (self.client.station, self.client.user) == (client.station, client.user)
    }
}

#[cfg(test)]
mod tests {
    use protocol::objects::device::{AnchorClass, ClockClass};

    use super::*;
    use crate::engine::Pace;
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
            op: op(token),
            slot: 0,
            item: ITEM,
            requirement,
            artifact: ArtifactId::default(),
            client: Client::default(),
            linger_s: 0,
            is_marked: true,
        }
    }

    fn op(number: u8) -> OpId {
        OpId::new([number; 16])
    }

    fn used(seats: &Seats) -> u32 {
        seats.taken(0, ITEM, Client::default()).seats
    }

    /// A seat of this number on a station, counted in a way.
    fn on(station: u8, token: u8, access: AccessMode) -> Seat {
        let mut made = seat(token);
        made.client.station = Fixed([station; 16]);
        made.requirement.access = access;
        made
    }

    fn at(station: u8) -> Client {
        Client { station: Fixed([station; 16]), ..Client::default() }
    }

    fn profile(seats: SeatTimes) -> Profile {
        Profile {
            clock: ClockClass::Session,
            anchor: AnchorClass::Hardware,
            firmware: 0,
            seats,
            pace: Pace::Device,
        }
    }

    #[test]
    fn a_station_shares_one_seat_and_an_exclusive_use_is_seen_on_its_station_only() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        seats.open(on(1, 1, AccessMode::StationShare), 10, 0);
        seats.open(on(1, 2, AccessMode::StationShare), 11, 0);
        seats.open(on(2, 3, AccessMode::StationShare), 12, 0);
        seats.open(on(3, 4, AccessMode::Exclusive), 13, 0);
        seats.open(on(3, 5, AccessMode::NoUserLimit), 14, 0);
        let seen = |shared_here, exclusive_here| Taken { seats: 3, shared_here, exclusive_here };
        assert_eq!(seats.taken(0, ITEM, at(1)), seen(true, false));
        assert_eq!(seats.taken(0, ITEM, at(3)), seen(false, true));
        assert_eq!(seats.taken(0, ITEM, at(4)), seen(false, false));
        assert_eq!(seats.taken(1, ITEM, at(1)), Taken::default());
        seats.close_session(10, 0);
        assert_eq!(seats.taken(0, ITEM, at(1)), seen(true, false));
        seats.close_session(11, 0);
        assert_eq!(seats.taken(0, ITEM, at(1)).seats, 2);
    }

    #[test]
    fn a_seat_lingers_for_others_and_is_taken_over_by_its_station() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        let lingers = |token| Seat { linger_s: 5, ..on(1, token, AccessMode::UserLimit) };
        let first = seats.open(lingers(1), 10, 0);
        seats.close(first, 10, 1000);
        let taken = |seats: &Seats, station| seats.taken(0, ITEM, at(station)).seats;
        assert_eq!((taken(&seats, 1), taken(&seats, 2), seats.len()), (0, 1, 0));
        // Its secret opens nothing any more, and a late heartbeat does not revive it.
        assert!(seats.join(SeatToken::new([1; 16]), op(9), 10, 1000).is_err());
        assert!(seats.beat(first, 10, 9, 1000).is_err());
        let again = seats.open(lingers(2), 10, 2000);
        assert_eq!((taken(&seats, 1), taken(&seats, 2)), (1, 1));
        seats.close(again, 10, 3000);
        seats.expire(7999);
        assert_eq!(taken(&seats, 2), 1);
        seats.expire(8000);
        assert_eq!(taken(&seats, 2), 0);
    }

    #[test]
    fn a_seat_lost_for_silence_lingers_too() {
        let mut seats = Seats::new(profile(SeatTimes { interval_s: 1, timeout_s: 2 }));
        let seat = Seat { linger_s: 5, ..on(1, 1, AccessMode::UserLimit) };
        seats.open(seat, 10, 0);
        seats.expire(4001);
        assert_eq!((seats.taken(0, ITEM, at(2)).seats, seats.len()), (1, 0));
        seats.expire(9001);
        assert_eq!(seats.taken(0, ITEM, at(2)).seats, 0);
    }

    #[test]
    fn what_is_not_counted_leaves_room_for_what_lingers() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        for session in 0..=Pace::Device.seat_entries_max() as u32 {
            let seat = Seat { linger_s: 5, ..on(1, 1, AccessMode::NoUserLimit) };
            seats.open(seat, session, 0);
            seats.close_session(session, 0);
        }
        seats.open(Seat { linger_s: 5, ..on(1, 2, AccessMode::UserLimit) }, 7, 0);
        seats.close_session(7, 0);
        assert_eq!(seats.taken(0, ITEM, at(2)).seats, 1);
    }

    #[test]
    fn a_seat_counts_once_and_lives_as_long_as_one_entry() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        let parent = seats.open(seat(1), 10, 0);
        let child = seats.join(SeatToken::new([1; 16]), op(9), 11, 0).unwrap();
        assert_eq!(used(&seats), 1);
        seats.close(parent, 10, 0);
        assert_eq!(used(&seats), 1);
        seats.close(child, 11, 0);
        assert_eq!(used(&seats), 0);
        assert!(seats.join(SeatToken::new([1; 16]), op(9), 11, 0).is_err());
    }

    #[test]
    fn an_entry_without_heartbeat_is_dropped_and_not_revived() {
        let mut seats = Seats::new(profile(SeatTimes { interval_s: 1, timeout_s: 2 }));
        let handle = seats.open(seat(1), 10, 0);
        seats.expire(4000);
        seats.beat(handle, 10, 1, 4000).unwrap();
        seats.expire(8001);
        assert!(seats.beat(handle, 10, 2, 8001).is_err());
        assert_eq!(used(&seats), 0);
    }

    #[test]
    fn a_heartbeat_counts_for_its_session_and_once() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        let handle = seats.open(seat(1), 10, 0);
        assert!(seats.beat(handle, 11, 1, 5).is_err());
        seats.beat(handle, 10, 1, 5).unwrap();
        assert!(seats.beat(handle, 10, 1, 6).is_err());
    }

    #[test]
    fn a_repeated_command_gives_the_same_seat() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        let handle = seats.open(seat(1), 10, 0);
        let repeated = |seats: &mut Seats, session| {
            seats.repeated(op(1), session, 5).unwrap().map(|(handle, _)| handle).unwrap()
        };
        assert_eq!(repeated(&mut seats, 10), handle);
        // On a channel of its own: the same seat, and whoever ends first ends it for himself only.
        let other = repeated(&mut seats, 12);
        assert_eq!(repeated(&mut seats, 12), other);
        assert_eq!(used(&seats), 1);
        assert!(seats.beat(other, 12, 1, 6).is_ok() && seats.beat(handle, 10, 1, 6).is_ok());
        seats.close(other, 12, 7);
        assert!(seats.beat(handle, 10, 2, 8).is_ok() && used(&seats) == 1);
        // Also when whoever asked first has gone, and another holds what it took.
        let joined = seats.join(SeatToken::new([1; 16]), op(2), 13, 9).unwrap();
        seats.close(handle, 10, 9);
        let late = repeated(&mut seats, 14);
        seats.close(joined, 13, 9);
        assert!(seats.beat(late, 14, 1, 9).is_ok() && used(&seats) == 1);
        assert!(seats.repeated(op(9), 12, 5).unwrap().is_none());
    }

    #[test]
    fn the_end_of_a_session_gives_its_seats_back() {
        let mut seats = Seats::new(profile(SeatTimes::default()));
        seats.open(seat(1), 10, 0);
        seats.open(seat(2), 11, 0);
        seats.close_session(10, 0);
        assert_eq!((used(&seats), seats.len()), (1, 1));
    }
}
