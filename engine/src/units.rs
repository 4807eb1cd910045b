//! Units: taken before they are used, each command once.
//!
//! What was granted is left, reserved, used, or was removed again; every step moves units from one
//! to another and keeps the sum. A reservation is debited durably before its units are used, so a
//! crash can cost the user units that were not used, and never the vendor ones that were.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed, List};
use protocol::command::{SeatReply, UnitState};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{OpId, SeatHandle, SeatToken};
use protocol::limits::{LOG_ENTRIES_MAX, RESERVATIONS_MAX, UNIT_OPS_KEPT};
use protocol::objects::license::{ItemRef, LostUnits, ProductItem, UnitRule};
use protocol::objects::update::UnitsChange;
use protocol::objects::usage::UsageKind;

use crate::engine::{Engine, Writes, store_failure};
use crate::platform::Platform;
use crate::power::use_number;
use crate::records::{self, DoneOp, FirmSlot, Reservation, Units};
use crate::seats::Seat;
use crate::usage_log::Booking;

impl<P: Platform> Engine<P> {
    /// Sets units aside for a use that is under way.
    pub(crate) fn reserve(
        &mut self,
        channel: u32,
        op: OpId,
        handle: SeatHandle,
        units: u32,
    ) -> Result<SeatReply, Failure> {
        let (slot, item, rule) = self.unit_counter_of(channel, handle)?;
        let mut account = self.units(slot, item.item)?;
        if account.is_settled(op) {
            return Err(ErrorCode::ReservationUnknown.failure());
        }
        if account.knows(op) {
            return Ok(SeatReply::Units { left: account.left });
        }
        if !self.has_log_room(slot)? {
            return Err(ErrorCode::UsageLogFull.with(LOG_ENTRIES_MAX, 0));
        }
        let bookings = account.reserve(op, units, rule)?;
        self.settle_units(channel, slot, item.item, op, &account, &bookings)
    }

    /// A use says how much of a reservation it needed.
    pub(crate) fn account(
        &mut self,
        channel: u32,
        op: OpId,
        handle: SeatHandle,
        used: u32,
    ) -> Result<SeatReply, Failure> {
        let (slot, item, _) = self.unit_counter_of(channel, handle)?;
        let mut account = self.units(slot, item.item)?;
        if account.is_done(op) {
            return Ok(SeatReply::Units { left: account.left });
        }
        // The log always has room for the end of what it has the beginning of.
        let booking = account.account(op, used)?;
        self.settle_units(channel, slot, item.item, op, &account, &[booking])
    }

    /// Writes an account and its bookings in one commit.
    fn settle_units(
        &mut self,
        channel: u32,
        slot: FirmSlot,
        item: ItemRef,
        op: OpId,
        account: &Units,
        bookings: &[Booking],
    ) -> Result<SeatReply, Failure> {
        let mut firm = self.firm_at(slot)?;
        firm.commits += 1;
        let mut writes = Writes::from([
            (records::units_key(slot, item), Some(codec::encode(account))),
            (records::firm_key(slot), Some(codec::encode(&firm))),
        ]);
        let user = self.clients.of(channel).client.user;
        self.book(slot, &firm, item, op, user, bookings, &mut writes)?;
        self.commit(writes)?;
        Ok(SeatReply::Units { left: account.left })
    }

    /// The account after units were taken for a use that begins, and whether they were taken just
    /// now: it may have been paid before a power cut.
    pub(crate) fn take_units(
        &mut self,
        slot: FirmSlot,
        item: ItemRef,
        op: OpId,
        wanted: u32,
        token: &SeatToken,
    ) -> Result<(Units, bool), Failure> {
        let mut account = self.units(slot, item)?;
        let is_new = !account.is_paid_by(op, wanted);
        if is_new {
            account.take(op, wanted)?;
        }
        account.begin(op, use_number(token));
        Ok((account, is_new))
    }

    /// What becomes durable when a use is given back: what was paid for it pays for no other.
    pub(crate) fn end_of_paid_use(&mut self, seat: &Seat) -> Result<(), Failure> {
        let (slot, item) = (seat.slot, seat.item);
        let mut account = self.units(slot, item)?;
        if seat.requirement.units == 0 || !account.end(use_number(&seat.token)) {
            return Ok(());
        }
        let mut firm = self.firm_at(slot)?;
        firm.commits += 1;
        self.commit(Writes::from([
            (records::units_key(slot, item), Some(codec::encode(&account))),
            (records::firm_key(slot), Some(codec::encode(&firm))),
        ]))
    }

    /// The units of an entry; none where it has no account yet.
    pub(crate) fn units(&mut self, slot: FirmSlot, item: ItemRef) -> Result<Units, Failure> {
        let store = self.platform.parts().store;
        let account: Option<Units> =
            records::read(store, records::units_key(slot, item)).map_err(store_failure)?;
        Ok(account.unwrap_or_default())
    }

    fn unit_counter_of(
        &mut self,
        channel: u32,
        handle: SeatHandle,
    ) -> Result<(FirmSlot, ProductItem, UnitRule), Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        self.seat_still_allowed(&seat, channel)?;
        let item = self.item(seat.slot, seat.item)?;
        let rule = item.units().ok_or(ErrorCode::NoUnits.with(1, 0))?;
        Ok((seat.slot, item, rule))
    }
}

impl Units {
    /// As it is shown.
    pub(crate) fn state(&self) -> UnitState {
        UnitState {
            granted: self.granted,
            left: self.left,
            reserved: self.reserved(),
            used: self.used,
            removed: self.removed,
        }
    }

    fn reserved(&self) -> u64 {
        self.open.iter().map(|open| u64::from(open.units)).sum()
    }

    fn knows(&self, op: OpId) -> bool {
        self.is_done(op) || self.open.iter().any(|open| open.op == op)
    }

    /// Whether the vendor settled what this command reserved: it is not reserved once more.
    fn is_settled(&self, op: OpId) -> bool {
        self.open.iter().any(|open| open.op == op && open.units == 0)
    }

    fn is_done(&self, op: OpId) -> bool {
        self.done.iter().any(|done| done.op == op)
    }

    /// Whether so many units were paid for the use that `op` began, or is the token of.
    pub(crate) fn is_paid_by(&self, op: OpId, units: u32) -> bool {
        units > 0 && self.done.iter().any(|done| done.paid == units && done.is_of(op))
    }

    /// Uses units at once.
    fn take(&mut self, op: OpId, units: u32) -> Result<(), Failure> {
        if self.is_done(op) {
            return Err(ErrorCode::SeatUnknown.failure());
        }
        self.debit(units.into())?;
        self.used = self.used.saturating_add(units.into());
        self.finish(DoneOp { op, paid: units, paid_use: Fixed::default() });
        Ok(())
    }

    /// The paid use of `op` has this number now.
    fn begin(&mut self, op: OpId, number: Fixed<8>) {
        self.change_done(|done| {
            if done.is_of(op) {
                done.paid_use = number;
            }
        });
    }

    /// Whether a paid use has ended.
    fn end(&mut self, number: Fixed<8>) -> bool {
        let is_of = |done: &DoneOp| done.paid > 0 && done.paid_use == number;
        let is_known = self.done.iter().any(is_of);
        self.change_done(|done| {
            if is_of(done) {
                done.paid = 0;
            }
        });
        is_known
    }

    fn change_done(&mut self, change: impl FnMut(&mut DoneOp)) {
        let mut done = Vec::from(&*self.done);
        done.iter_mut().for_each(change);
        self.done = List::new(done).unwrap_or_default();
    }

    /// Sets units aside. Where no place is left, the rule says what becomes of the oldest.
    fn reserve(&mut self, op: OpId, units: u32, rule: UnitRule) -> Result<Vec<Booking>, Failure> {
        if units == 0 || units > rule.reserve_max {
            return Err(ErrorCode::ReservationLarge.with(units.into(), rule.reserve_max.into()));
        }
        let left_before = self.left;
        self.debit(units.into())?;
        let mut bookings = Vec::new();
        let mut open = Vec::from(&*self.open);
        if open.len() == RESERVATIONS_MAX
            && let Some(settled) = open.iter().position(|open| open.units == 0)
        {
            open.remove(settled);
        }
        if open.len() == RESERVATIONS_MAX {
            if rule.lost != LostUnits::Charged {
                return Err(ErrorCode::TooManyReservations.with(RESERVATIONS_MAX as u64, 0));
            }
            let lost = open.remove(0);
            self.used = self.used.saturating_add(lost.units.into());
            // Entry by entry: what is reserved here has not left yet.
            let (kind, units) = (UsageKind::Charged, lost.units.into());
            bookings.push(Booking { kind, units, left: left_before });
        }
        open.push(Reservation { op, units });
        self.open = List::new(open).unwrap_or_default();
        bookings.push(self.booking(UsageKind::Reserved, units.into()));
        Ok(bookings)
    }

    fn account(&mut self, op: OpId, used: u32) -> Result<Booking, Failure> {
        let at = self.open.iter().position(|open| open.op == op && open.units > 0);
        let at = at.ok_or(ErrorCode::ReservationUnknown.failure())?;
        let reserved = self.open[at].units;
        if used > reserved {
            return Err(ErrorCode::ReservationLess.with(used.into(), reserved.into()));
        }
        let mut open = Vec::from(&*self.open);
        open.remove(at);
        self.open = List::new(open).unwrap_or_default();
        self.used = self.used.saturating_add(used.into());
        self.left = self.left.saturating_add(u64::from(reserved - used));
        self.finish(DoneOp { op, paid: 0, paid_use: Fixed::default() });
        Ok(self.booking(UsageKind::Used, used.into()))
    }

    /// What an update does.
    pub(crate) fn change(&mut self, change: UnitsChange) -> Result<Booking, Failure> {
        let reserved = self.reserved();
        Ok(match change {
            UnitsChange::Add(units) => {
                let full = ErrorCode::UnitsOverflow.with(units, self.granted);
                self.granted = self.granted.checked_add(units).ok_or(full)?;
                self.left = self.left.checked_add(units).ok_or(full)?;
                self.booking(UsageKind::Added, units)
            }
            UnitsChange::Remove(units) => {
                self.debit(units)?;
                self.removed = self.removed.saturating_add(units);
                self.booking(UsageKind::Removed, units)
            }
            UnitsChange::ChargeReserved => {
                self.used = self.used.saturating_add(reserved);
                self.settle();
                self.booking(UsageKind::Charged, reserved)
            }
            UnitsChange::ReleaseReserved => {
                self.left = self.left.saturating_add(reserved);
                self.settle();
                self.booking(UsageKind::Released, reserved)
            }
            _ => return Err(ErrorCode::Malformed.failure()),
        })
    }

    /// Nothing is reserved any more. The commands stay known, as reservations of nothing: whoever
    /// lost an answer repeats its own.
    fn settle(&mut self) {
        let mut open = Vec::from(&*self.open);
        open.iter_mut().for_each(|open| open.units = 0);
        self.open = List::new(open).unwrap_or_default();
    }

    /// What is booked when the account ends with its entry.
    pub(crate) fn close(&self) -> Booking {
        let gone = self.left.saturating_add(self.reserved());
        Booking { kind: UsageKind::Removed, units: gone, left: 0 }
    }

    fn debit(&mut self, units: u64) -> Result<(), Failure> {
        let short = ErrorCode::NoUnits.with(units, self.left);
        self.left = self.left.checked_sub(units).ok_or(short)?;
        Ok(())
    }

    fn booking(&self, kind: UsageKind, units: u64) -> Booking {
        Booking { kind, units, left: self.left }
    }

    fn finish(&mut self, op: DoneOp) {
        let mut done = Vec::from(&*self.done);
        if done.len() == UNIT_OPS_KEPT {
            // A use that is under way is forgotten last.
            done.remove(done.iter().position(|done| done.paid == 0).unwrap_or(0));
        }
        done.push(op);
        self.done = List::new(done).unwrap_or_default();
    }
}

impl DoneOp {
    fn is_of(&self, op: OpId) -> bool {
        let shown = use_number(&SeatToken::new(*op.bytes()));
        self.op == op || (self.paid > 0 && self.paid_use == shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULE: UnitRule = UnitRule { reserve_max: 10, lost: LostUnits::Charged };

    fn account(left: u64) -> Units {
        Units { granted: left, left, ..Units::default() }
    }

    fn op(number: u8) -> OpId {
        OpId::new([number; 16])
    }

    /// U1: nothing is ever lost or made.
    fn sum(account: &Units) -> u64 {
        account.left + account.reserved() + account.used + account.removed
    }

    #[test]
    fn what_is_not_used_comes_back_once() {
        let mut account = account(20);
        account.reserve(op(1), 10, RULE).unwrap();
        assert_eq!(account.left, 10);
        let booking = account.account(op(1), 4).unwrap();
        assert_eq!((booking.units, booking.left, account.used), (4, 16, 4));
        assert!(account.account(op(1), 4).is_err());
        assert!(account.knows(op(1)));
        assert_eq!(sum(&account), 20);
    }

    #[test]
    fn more_than_there_is_or_was_reserved_is_refused() {
        let mut account = account(5);
        let refused = |result: Result<(), Failure>| result.unwrap_err().known().unwrap();
        assert_eq!(refused(account.take(op(1), 6)), ErrorCode::NoUnits);
        let large = account.reserve(op(1), 11, RULE).map(|_| ());
        assert_eq!(refused(large), ErrorCode::ReservationLarge);
        account.reserve(op(1), 5, RULE).unwrap();
        let more = account.account(op(1), 6).map(|_| ());
        assert_eq!(refused(more), ErrorCode::ReservationLess);
        assert_eq!(sum(&account), 5);
    }

    #[test]
    fn a_lost_reservation_is_charged_when_its_place_is_needed_or_waits_for_the_vendor() {
        for lost in [LostUnits::Charged, LostUnits::Held] {
            let rule = UnitRule { lost, ..RULE };
            let mut account = account(100);
            for number in 0..RESERVATIONS_MAX as u8 {
                account.reserve(op(number), 1, rule).unwrap();
            }
            let next = account.clone().reserve(op(99), 2, rule);
            match lost {
                LostUnits::Charged => {
                    let kinds: Vec<_> =
                        next.unwrap().iter().map(|done| (done.kind, done.left)).collect();
                    assert_eq!(kinds, [(UsageKind::Charged, 84), (UsageKind::Reserved, 82)]);
                }
                _ => assert!(next.is_err()),
            }
            account.change(UnitsChange::ReleaseReserved).unwrap();
            assert_eq!((account.left, sum(&account)), (100, 100));
        }
    }

    #[test]
    fn what_was_settled_is_neither_reserved_again_nor_accounted_for() {
        for change in [UnitsChange::ChargeReserved, UnitsChange::ReleaseReserved] {
            let mut account = account(100);
            account.reserve(op(1), 5, RULE).unwrap();
            assert!(account.knows(op(1)) && !account.is_settled(op(1)));
            account.change(change).unwrap();
            assert!(account.is_settled(op(1)) && account.reserved() == 0);
            assert!(account.account(op(1), 0).is_err());
            // Its place is not held: it goes before any reservation is lost.
            for number in 2..=RESERVATIONS_MAX as u8 + 1 {
                let booked = account.reserve(op(number), 1, RULE).unwrap();
                assert_eq!(booked.len(), 1);
            }
            assert_eq!(sum(&account), 100);
        }
    }

    #[test]
    fn sec_p12_sums_do_not_wrap() {
        let mut full = account(u64::MAX);
        assert!(full.change(UnitsChange::Add(1)).is_err());
        assert_eq!(full, account(u64::MAX));
        assert!(account(3).change(UnitsChange::Remove(4)).is_err());
    }
}
