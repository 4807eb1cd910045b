//! Uses of a license: judged, begun, kept, and the keys that come with them.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::command::{PartKey, Reply, SeatCommand, SeatGrant, SeatReply, Trapped};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, OpId, SeatHandle, SeatToken};
use protocol::objects::artifact::{
    PartId, SecretKey, WrappedKey, is_trap, part_key, unwrap_content_key,
};
use protocol::objects::license::{AccessMode, ItemRef, ProductItem, Requirement};
use protocol::objects::usage::UsageKind;

use crate::engine::{Engine, Writes, store_failure};
use crate::evaluate::{Circumstances, Presence, Question, Stage, end_s, evaluate, firm_locked};
use crate::platform::{Clock, Platform};
use crate::records::{self, Firm, FirmSlot, StoredKey, Usage};
use crate::sealed::open_key;
use crate::seats::Seat;
use crate::session::Asker;
use crate::usage_log::Booking;

/// An entry that allows a use, and what was known when it was judged.
struct Usable {
    slot: FirmSlot,
    firm: Firm,
    /// With what it takes over as a module.
    item: ProductItem,
    at: Circumstances,
}

impl<P: Platform> Engine<P> {
    pub(crate) fn why(
        &mut self,
        channel: u32,
        requirement: &Requirement,
    ) -> Result<Reply, Failure> {
        let asker = self.asker(channel, OpId::default());
        self.usable_item(requirement, asker).map(|_| Reply::Done)
    }

    pub(crate) fn seat_command(
        &mut self,
        channel: u32,
        command: SeatCommand,
    ) -> Result<SeatReply, Failure> {
        let now_ms = self.platform.parts().clock.ticks_ms();
        match command {
            SeatCommand::Open { op, requirement, artifact } => {
                if let Some((handle, token)) = self.seats.repeated(op, channel, now_ms)? {
                    return self.grant(handle, token);
                }
                self.open_seat(channel, op, requirement, artifact, now_ms)
            }
            SeatCommand::Join { op, token } => {
                let handle = match self.seats.repeated(op, channel, now_ms)? {
                    Some((handle, _)) => handle,
                    None => self.seats.join(token, op, channel, now_ms)?,
                };
                self.grant(handle, token)
            }
            SeatCommand::Heartbeat { handle, n } => self.heartbeat(channel, handle, n, now_ms),
            SeatCommand::Close { handle } => self.close_seat(channel, handle, now_ms),
            SeatCommand::KeyRelease { handle, wrapped, part } => {
                self.release_key(channel, handle, &wrapped, part)
            }
            SeatCommand::Introduce(client) => {
                self.clients.entry(channel).client = client;
                Ok(SeatReply::Introduced)
            }
            SeatCommand::HostTime(at_s) => {
                self.clients.entry(channel).host = crate::time::Known::at(at_s, now_ms);
                Ok(SeatReply::Introduced)
            }
            SeatCommand::Reserve { op, handle, units } => self.reserve(channel, op, handle, units),
            SeatCommand::Account { op, handle, used } => self.account(channel, op, handle, used),
            _ => Err(ErrorCode::UnknownCommand.failure()),
        }
    }

    /// Everything is judged first. Then all that is durable of the beginning is made so in one
    /// commit, and the seat is taken: what is refused has changed nothing.
    fn open_seat(
        &mut self,
        channel: u32,
        op: OpId,
        requirement: Requirement,
        artifact: ArtifactId,
        now_ms: u64,
    ) -> Result<SeatReply, Failure> {
        let asker = self.asker(channel, op);
        let found = self.usable_item(&requirement, asker)?;
        self.seats.check_room()?;
        let (slot, item) = (found.slot, found.item.item);
        let is_counted = found.item.quantity() > 0 && requirement.access != AccessMode::NoUserLimit;
        let is_marked =
            is_counted || requirement.units > 0 || found.item.named_user_key().is_some();
        let token = match self.goes_on(slot, item, op) {
            true => SeatToken::new(*op.bytes()),
            false => self.seat_token(slot, item)?,
        };
        let host_s = found.at.time.host_s;
        let writes = self.beginning(&found, requirement.units, token, is_marked, asker)?;
        if !writes.is_empty() {
            self.commit(writes)?;
        }
        self.power_taken(asker.client.station, is_marked);
        self.time.follow(self.platform.parts().clock, slot, host_s);
        let linger_s = found.item.linger_s();
        let client = asker.client;
        let seat =
            Seat { token, op, slot, item, requirement, artifact, client, linger_s, is_marked };
        let handle = self.seats.open(seat, channel, now_ms);
        self.grant(handle, token)
    }

    /// What becomes durable when a use begins: its units, the first use, the marks of seats.
    fn beginning(
        &mut self,
        found: &Usable,
        units: u32,
        token: SeatToken,
        is_marked: bool,
        asker: Asker,
    ) -> Result<Writes, Failure> {
        let (slot, item, op) = (found.slot, found.item.item, asker.op);
        let mut writes = Writes::new();
        let mut bookings = Vec::new();
        if units > 0 {
            let (account, is_new) = self.take_units(slot, item, op, units, &token)?;
            writes.push((records::units_key(slot, item), Some(codec::encode(&account))));
            let taken = Booking { kind: UsageKind::Taken, units: units.into(), left: account.left };
            bookings.extend(is_new.then_some(taken));
        }
        if found.item.usage_period_s().is_some() && found.at.first_use_s == 0 {
            let first_use_s = found.at.time.now_s(found.item.time_rule());
            let usage = Usage { first_use_s };
            writes.push((records::usage_key(slot, item), Some(codec::encode(&usage))));
            if found.at.has.log_room {
                let left = found.at.units;
                bookings.push(Booking { kind: UsageKind::FirstUse, units: 0, left });
            }
        }
        if !writes.is_empty() {
            let mut firm = found.firm.clone();
            firm.commits += 1;
            self.book(slot, &firm, item, op, asker.client.user, &bookings, &mut writes)?;
            writes.push((records::firm_key(slot), Some(codec::encode(&firm))));
        }
        self.power_marks(asker.client.station, is_marked, &mut writes);
        Ok(writes)
    }

    /// A use that is given back does not go on after a power cut, and what was paid for it is used
    /// up.
    fn close_seat(
        &mut self,
        channel: u32,
        handle: SeatHandle,
        now_ms: u64,
    ) -> Result<SeatReply, Failure> {
        if let Some(seat) = self.seats.ended_by(handle, channel).cloned() {
            self.end_of_paid_use(&seat)?;
            self.power_ended(seat.token);
        }
        self.seats.close(handle, channel, now_ms);
        self.note_end_of_seats()?;
        Ok(SeatReply::Closed)
    }

    /// A sign of life keeps the seat only while the license still allows the use. One that is
    /// refused does not end it: the answer may get lost, and its user goes on until the time-out.
    fn heartbeat(
        &mut self,
        channel: u32,
        handle: SeatHandle,
        n: u64,
        now_ms: u64,
    ) -> Result<SeatReply, Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        self.seat_still_allowed(&seat, channel)?;
        self.keep_running_time()?;
        self.settle()?;
        self.seats.beat(handle, channel, n, now_ms)?;
        Ok(SeatReply::Kept { n })
    }

    pub(crate) fn seat_still_allowed(&mut self, seat: &Seat, channel: u32) -> Result<(), Failure> {
        let asker = Asker { client: seat.client, ..self.asker(channel, OpId::default()) };
        self.check_unlocked()?;
        let (slot, firm) = self.firm(seat.requirement.root_fp)?;
        let item = self.entry(slot, seat.item)?;
        let mut at = self.circumstances(slot, &firm, &item, &seat.requirement, asker)?;
        // Proven when the seat was opened; others hold it by its token.
        at.user_key = item.named_user_key();
        evaluate(&Question {
            item: &item,
            requirement: &seat.requirement,
            at,
            stage: Stage::GoesOn,
        })
    }

    /// The key of a part leaves; item key and content key do not.
    fn release_key(
        &mut self,
        channel: u32,
        handle: SeatHandle,
        wrapped: &WrappedKey,
        part: PartId,
    ) -> Result<SeatReply, Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        self.seat_still_allowed(&seat, channel)?;
        let item_key = self.item_key(seat.slot, &seat.requirement)?;
        let content_key = unwrap_content_key(&item_key, seat.artifact, &seat.requirement, wrapped);
        let Some(content_key) = content_key else {
            return match is_trap(&item_key, seat.artifact, &seat.requirement, wrapped) {
                true => Err(self.lock_firm(&seat)?),
                false => Err(ErrorCode::KeyMismatch.failure()),
            };
        };
        Ok(SeatReply::Key(PartKey(Fixed(*part_key(&content_key, part)))))
    }

    /// Somebody walks through the keys of a program: nothing of its vendor opens any more, until
    /// the vendor says so.
    fn lock_firm(&mut self, seat: &Seat) -> Result<Failure, Failure> {
        let mut firm = self.firm_at(seat.slot)?;
        let at_s = self.time.now_s(self.platform.parts().clock, &firm);
        let trapped = Trapped { product: seat.item.product, at_s };
        firm.trapped = Some(trapped);
        firm.commits += 1;
        self.commit(Writes::from([(records::firm_key(seat.slot), Some(codec::encode(&firm)))]))?;
        Ok(firm_locked(trapped))
    }

    fn grant(&mut self, handle: SeatHandle, token: SeatToken) -> Result<SeatReply, Failure> {
        let seat = self.seats.seat_of(token).ok_or(ErrorCode::SeatUnknown.failure())?.clone();
        let (slot, firm) = self.firm(seat.requirement.root_fp)?;
        let item = self.entry(slot, seat.item)?;
        let view = self.time.view(self.platform.parts().clock, slot, &firm, 0);
        let first_use_s = self.first_use_s(slot, seat.item)?;
        Ok(SeatReply::Opened(SeatGrant {
            handle,
            token,
            interval_s: self.profile.seats.interval_s,
            timeout_s: self.profile.seats.timeout_s,
            ends_s: end_s(&item, first_use_s).unwrap_or(0),
            now_s: view.now_s(item.time_rule()),
        }))
    }

    /// The first entry that allows the use, or the refusal of the one that got furthest.
    fn usable_item(&mut self, requirement: &Requirement, asker: Asker) -> Result<Usable, Failure> {
        self.check_unlocked()?;
        let (slot, firm) = self.firm(requirement.root_fp)?;
        let unknown = ErrorCode::ProductUnknown.with(requirement.product.0.into(), 0);
        let mut refusal = firm.trapped.map_or(unknown, firm_locked);
        let mut after = None;
        loop {
            let store = self.platform.parts().store;
            let next = records::next_item_of(store, slot, requirement.product, after)
                .map_err(store_failure)?;
            let Some(native) = next else { return Err(refusal) };
            after = Some(native.item.entry);
            let item = self.effective(slot, native)?;
            let at = self.circumstances(slot, &firm, &item, requirement, asker)?;
            let question = Question { item: &item, requirement, at, stage: Stage::Begins };
            match evaluate(&question) {
                Ok(()) => return Ok(Usable { slot, firm, item, at }),
                // Numbers of refusals rise in evaluation order.
                Err(failure) if failure.code > refusal.code => refusal = failure,
                Err(_) => {}
            }
        }
    }

    /// All that an entry is judged by.
    pub(crate) fn circumstances(
        &mut self,
        slot: FirmSlot,
        firm: &Firm,
        item: &ProductItem,
        requirement: &Requirement,
        asker: Asker,
    ) -> Result<Circumstances, Failure> {
        let parts = self.platform.parts();
        let host_s = asker.host.carried_s(parts.clock.ticks_ms());
        let time = self.time.view(parts.clock, slot, firm, host_s);
        let mut has = Presence { trapped: firm.trapped, ..self.presence(slot, item, requirement)? };
        let units = self.units(slot, item.item)?;
        let goes_on = self.goes_on(slot, item.item, asker.op);
        let is_paid = match requirement.units {
            0 => goes_on,
            wanted => units.is_paid_by(asker.op, wanted),
        };
        let paid = if is_paid { requirement.units.max(1) } else { 0 };
        has.log_room |= is_paid;
        Ok(Circumstances {
            has,
            time,
            first_use_s: self.first_use_s(slot, item.item)?,
            units: units.left.saturating_add(paid.into()),
            taken: self.seats.taken(slot, item.item, asker.client),
            after_power_up: self.after_power_up(goes_on, asker.client.station),
            client: asker.client,
            user_key: if goes_on { item.named_user_key() } else { asker.user_key },
        })
    }

    fn presence(
        &mut self,
        slot: FirmSlot,
        item: &ProductItem,
        requirement: &Requirement,
    ) -> Result<Presence, Failure> {
        let store = self.platform.parts().store;
        let key = records::item_key_key(slot, requirement.product, requirement.generation);
        let parent = match item.module_of() {
            Some(parent) => records::has(store, records::item_key(slot, parent)),
            None => Ok(true),
        };
        Ok(Presence {
            locked: self.locked as u8,
            parent: parent.map_err(store_failure)?,
            key: records::has(store, key).map_err(store_failure)?,
            log_room: self.has_log_room(slot)?,
            ..Presence::ALL
        })
    }

    /// An entry with what it takes over as a module.
    pub(crate) fn entry(&mut self, slot: FirmSlot, item: ItemRef) -> Result<ProductItem, Failure> {
        let native = self.item(slot, item)?;
        self.effective(slot, native)
    }

    pub(crate) fn effective(
        &mut self,
        slot: FirmSlot,
        native: ProductItem,
    ) -> Result<ProductItem, Failure> {
        let Some(parent) = native.module_of() else { return Ok(native) };
        let store = self.platform.parts().store;
        let parent: Option<ProductItem> =
            records::read(store, records::item_key(slot, parent)).map_err(store_failure)?;
        Ok(parent.map_or(native.clone(), |parent| native.effective(&parent)))
    }

    pub(crate) fn item(&mut self, slot: FirmSlot, item: ItemRef) -> Result<ProductItem, Failure> {
        let store = self.platform.parts().store;
        let found: Option<ProductItem> =
            records::read(store, records::item_key(slot, item)).map_err(store_failure)?;
        found.ok_or(ErrorCode::ProductUnknown.with(item.product.0.into(), 0))
    }

    pub(crate) fn first_use_s(&mut self, slot: FirmSlot, item: ItemRef) -> Result<u64, Failure> {
        let store = self.platform.parts().store;
        let usage: Option<Usage> =
            records::read(store, records::usage_key(slot, item)).map_err(store_failure)?;
        Ok(usage.unwrap_or_default().first_use_s)
    }

    /// Who asks on a channel. A seat of the power session before is told by `op`, which is then its
    /// token.
    pub(crate) fn asker(&mut self, channel: u32, op: OpId) -> Asker {
        Asker { op, ..self.clients.of(channel) }
    }

    pub(crate) fn item_key(
        &mut self,
        slot: FirmSlot,
        requirement: &Requirement,
    ) -> Result<SecretKey, Failure> {
        let (product, generation) = (requirement.product, requirement.generation);
        let record = records::item_key_key(slot, product, generation);
        let parts = self.platform.parts();
        let stored: Option<StoredKey> =
            records::read(parts.store, record).map_err(store_failure)?;
        let missing = ErrorCode::KeyMissing.with(product.0.into(), generation.0.into());
        open_key(parts.keys, record, &stored.ok_or(missing)?)
    }
}
