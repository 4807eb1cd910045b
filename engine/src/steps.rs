//! Steps that read, or change one record: lists, context, receipt, name, seats, keys.

use alloc::vec::Vec;

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::{FirmInfo, ItemState, PartKey, Reply, SeatCommand, SeatGrant, SeatReply};
use protocol::crypto::aead;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ArtifactId, OpId, RootFp, SeatHandle, SeatToken};
use protocol::limits::{CONTAINER_NAME_LEN_MAX, STATEMENT_LEN_MAX};
use protocol::objects::artifact::{PartId, SecretKey, WrappedKey, part_key, unwrap_content_key};
use protocol::objects::license::{Client, ItemRef, ProductItem, Requirement};
use protocol::objects::statement::{ContextBody, genesis_hash};
use protocol::signed::{Header, Kind, Proof, write_object};
use zeroize::Zeroizing;

use crate::engine::{Engine, read_meta, store_failure};
use crate::evaluate::{Circumstances, end_s, evaluate, still_allowed};
use crate::platform::{Clock, Keys, Platform};
use crate::records::{self, Firm, FirmSlot, StoredKey, StoredReceipt, Usage};
use crate::seats::Seat;

/// A statement as an object.
pub(crate) type Statement = Bytes<STATEMENT_LEN_MAX>;

/// Most entries in one reply: so many of the largest fit a message.
const ITEMS_PER_REPLY: usize = 3;

/// Most firms in one reply.
const FIRMS_PER_REPLY: usize = 16;

/// An entry that allows a use, and what was known when it was judged.
struct Usable {
    slot: FirmSlot,
    firm: Firm,
    item: ProductItem,
    at: Circumstances,
}

impl<P: Platform> Engine<P> {
    pub(crate) fn firm_list(&mut self, from: u8) -> Result<Reply, Failure> {
        let (mut position, mut page) = (0, Vec::new());
        records::find_firm(self.platform.parts().store, |_, firm| {
            if position >= from {
                page.push(FirmInfo {
                    root_fp: firm.root_fp,
                    firm_code: firm.root.firm_code,
                    name: firm.root.name,
                    mode: firm.root.mode,
                    seq: firm.seq,
                    entries: firm.entries,
                    root_version: firm.root_version,
                    revocation_epoch: firm.revocation_epoch,
                });
            }
            position += 1;
            (page.len() == FIRMS_PER_REPLY).then_some(())
        })
        .map_err(store_failure)?;
        Ok(Reply::Firms(List::new(page).unwrap_or_default()))
    }

    pub(crate) fn item_list(
        &mut self,
        firm: RootFp,
        mut after: Option<ItemRef>,
    ) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(firm)?;
        let store = self.platform.parts().store;
        let mut page = Vec::new();
        while page.len() < ITEMS_PER_REPLY {
            let next = records::next_item(store, slot, after).map_err(store_failure)?;
            let Some(item) = next else { break };
            after = Some(item.item);
            page.push(item);
        }
        Ok(Reply::Items(List::new(page).unwrap_or_default()))
    }

    pub(crate) fn context(
        &mut self,
        root_fp: RootFp,
        nonce: Fixed<32>,
    ) -> Result<Statement, Failure> {
        let known = self.find_firm(root_fp)?;
        let profile = self.profile;
        let parts = self.platform.parts();
        let id = parts.keys.id();
        let (seq, state) = match &known {
            Some((_, firm)) => (firm.seq, firm.state.0),
            None => (0, genesis_hash(root_fp, id)),
        };
        // A firm that is not in the container shares no time with others: it sees the clock alone.
        let time = match &known {
            Some((slot, firm)) => self.time.info(parts.clock, *slot, firm.floor_s),
            None => {
                let now_s = self.time.clock_s(parts.clock);
                protocol::objects::statement::TimeInfo {
                    floor_s: 0,
                    now_s,
                    class: profile.clock,
                    certified_s: 0,
                }
            }
        };
        let firm = known.as_ref().map(|(_, firm)| firm);
        let body = ContextBody {
            nonce,
            config_hash: firm.map(|firm| firm.config_hash).unwrap_or_default(),
            root_version: firm.map_or(0, |firm| firm.root_version),
            revocation_epoch: firm.map_or(0, |firm| firm.revocation_epoch),
            time,
            commits: firm.map_or(0, |firm| firm.commits),
            entries: firm.map_or(0, |firm| firm.entries),
            firmware: profile.firmware,
        };
        self.state_signed(Kind::Context, root_fp, seq, state, time.now_s, &codec::encode(&body))
    }

    pub(crate) fn receipt(&mut self, root_fp: RootFp, seq: u64) -> Result<Statement, Failure> {
        let (slot, firm) = self.firm(root_fp)?;
        let wanted = if seq == 0 { firm.seq } else { seq };
        let kept = wanted != 0
            && wanted <= firm.seq
            && firm.seq - wanted < protocol::limits::RECEIPTS_KEPT;
        let missing = ErrorCode::NoReceipt.with(wanted, firm.seq);
        if !kept {
            return Err(missing);
        }
        let store = self.platform.parts().store;
        let receipt: Option<StoredReceipt> =
            records::read(store, records::receipt_key(slot, wanted)).map_err(store_failure)?;
        receipt.ok_or(missing)
    }

    pub(crate) fn rename(
        &mut self,
        op: OpId,
        name: Text<CONTAINER_NAME_LEN_MAX>,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        let mut meta = read_meta(self.platform.parts().store)?;
        if meta.name_op != op {
            meta.name = name;
            meta.name_op = op;
            self.commit(Vec::from([(records::META, Some(codec::encode(&meta)))]))?;
        }
        Ok(Reply::Done)
    }

    pub(crate) fn why(
        &mut self,
        channel: u32,
        requirement: &Requirement,
    ) -> Result<Reply, Failure> {
        let found = self.usable_item(requirement, self.clients.of(channel))?;
        self.item_key(found.slot, requirement)?;
        Ok(Reply::Done)
    }

    pub(crate) fn item_state(
        &mut self,
        root_fp: RootFp,
        item: ItemRef,
    ) -> Result<ItemState, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        self.item(slot, item)?;
        Ok(ItemState {
            first_use_s: self.first_use_s(slot, item)?,
            seats: self.seats.taken(slot, item, Client::default()).seats,
        })
    }

    pub(crate) fn seat_command(
        &mut self,
        channel: u32,
        command: SeatCommand,
    ) -> Result<SeatReply, Failure> {
        let now_ms = self.platform.parts().clock.ticks_ms();
        match command {
            SeatCommand::Open { op, requirement, artifact } => {
                if let Some((handle, token)) = self.seats.repeated(op, channel, now_ms) {
                    return self.grant(handle, token);
                }
                self.open_seat(channel, op, requirement, artifact, now_ms)
            }
            SeatCommand::Join { op, token } => {
                let handle = match self.seats.repeated(op, channel, now_ms) {
                    Some((handle, _)) => handle,
                    None => self.seats.join(token, op, channel, now_ms)?,
                };
                self.grant(handle, token)
            }
            SeatCommand::Heartbeat { handle, n } => self.heartbeat(channel, handle, n, now_ms),
            SeatCommand::Close { handle } => {
                self.seats.close(handle, channel, now_ms);
                Ok(SeatReply::Closed)
            }
            SeatCommand::KeyRelease { handle, wrapped, part } => {
                self.release_key(channel, handle, &wrapped, part)
            }
            SeatCommand::Introduce(client) => {
                self.clients.put(channel, client);
                Ok(SeatReply::Introduced)
            }
            _ => Err(ErrorCode::UnknownCommand.failure()),
        }
    }

    /// Everything is judged first. Then the beginning of a usage period is made durable, then the
    /// seat is taken: what is refused has changed nothing.
    fn open_seat(
        &mut self,
        channel: u32,
        op: OpId,
        requirement: Requirement,
        artifact: ArtifactId,
        now_ms: u64,
    ) -> Result<SeatReply, Failure> {
        let client = self.clients.of(channel);
        let found = self.usable_item(&requirement, client)?;
        let (slot, item) = (found.slot, found.item.item);
        self.item_key(slot, &requirement)?;
        self.seats.check_room()?;
        let token = self.seat_token()?;
        if found.item.usage_period_s().is_some() && found.at.first_use_s == 0 {
            self.begin_usage(slot, found.firm, item, found.at.now_s)?;
        }
        let linger_s = found.item.linger_s();
        let seat = Seat { token, slot, item, requirement, artifact, client, linger_s };
        let handle = self.seats.open(seat, op, channel, now_ms);
        self.grant(handle, token)
    }

    fn begin_usage(
        &mut self,
        slot: FirmSlot,
        mut firm: Firm,
        item: ItemRef,
        first_use_s: u64,
    ) -> Result<(), Failure> {
        firm.commits += 1;
        let usage = Usage { first_use_s };
        self.commit(Vec::from([
            (records::usage_key(slot, item), Some(codec::encode(&usage))),
            (records::firm_key(slot), Some(codec::encode(&firm))),
        ]))
    }

    /// A sign of life keeps the seat only while the license still allows the use.
    fn heartbeat(
        &mut self,
        channel: u32,
        handle: SeatHandle,
        n: u64,
        now_ms: u64,
    ) -> Result<SeatReply, Failure> {
        let seat = self.seats.seat(handle, channel)?.clone();
        if let Err(failure) = self.seat_still_allowed(&seat) {
            self.seats.close(handle, channel, now_ms);
            return Err(failure);
        }
        self.seats.beat(handle, channel, n, now_ms)?;
        Ok(SeatReply::Kept { n })
    }

    fn seat_still_allowed(&mut self, seat: &Seat) -> Result<(), Failure> {
        self.check_unlocked()?;
        let (slot, firm) = self.firm(seat.requirement.root_fp)?;
        let item = self.item(slot, seat.item)?;
        let at = self.circumstances(slot, &firm, seat.item, seat.client)?;
        still_allowed(&item, &seat.requirement, at)
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
        self.seat_still_allowed(&seat)?;
        let item_key = self.item_key(seat.slot, &seat.requirement)?;
        let content_key = unwrap_content_key(&item_key, seat.artifact, &seat.requirement, wrapped)
            .ok_or(ErrorCode::KeyMismatch.failure())?;
        Ok(SeatReply::Key(PartKey(Fixed(*part_key(&content_key, part)))))
    }

    fn grant(&mut self, handle: SeatHandle, token: SeatToken) -> Result<SeatReply, Failure> {
        let seat = self.seats.seat_of(token).ok_or(ErrorCode::SeatUnknown.failure())?.clone();
        let (slot, firm) = self.firm(seat.requirement.root_fp)?;
        let at = self.circumstances(slot, &firm, seat.item, seat.client)?;
        let item = self.item(slot, seat.item)?;
        Ok(SeatReply::Opened(SeatGrant {
            handle,
            token,
            interval_s: self.profile.seats.interval_s,
            timeout_s: self.profile.seats.timeout_s,
            ends_s: end_s(&item, at.first_use_s).unwrap_or(0),
            now_s: at.now_s,
        }))
    }

    /// The first entry that allows the use, or the refusal of the one that got furthest.
    fn usable_item(
        &mut self,
        requirement: &Requirement,
        client: Client,
    ) -> Result<Usable, Failure> {
        self.check_unlocked()?;
        let (slot, firm) = self.firm(requirement.root_fp)?;
        let mut refusal = ErrorCode::ProductUnknown.with(requirement.product.0.into(), 0);
        let mut after = None;
        loop {
            let store = self.platform.parts().store;
            let next = records::next_item_of(store, slot, requirement.product, after)
                .map_err(store_failure)?;
            let Some(item) = next else { return Err(refusal) };
            let at = self.circumstances(slot, &firm, item.item, client)?;
            match evaluate(&item, requirement, at) {
                Ok(()) => return Ok(Usable { slot, firm, item, at }),
                // Numbers of refusals rise in evaluation order.
                Err(failure) if failure.code > refusal.code => refusal = failure,
                Err(_) => {}
            }
            after = Some(item.item.entry);
        }
    }

    fn circumstances(
        &mut self,
        slot: FirmSlot,
        firm: &Firm,
        item: ItemRef,
        client: Client,
    ) -> Result<Circumstances, Failure> {
        let clock = self.platform.parts().clock;
        Ok(Circumstances {
            now_s: self.time.now_s(clock, slot, firm.floor_s),
            certified_s: firm.floor_s,
            first_use_s: self.first_use_s(slot, item)?,
            taken: self.seats.taken(slot, item, client),
            client,
        })
    }

    fn item(&mut self, slot: FirmSlot, item: ItemRef) -> Result<ProductItem, Failure> {
        let store = self.platform.parts().store;
        let found: Option<ProductItem> =
            records::read(store, records::item_key(slot, item)).map_err(store_failure)?;
        found.ok_or(ErrorCode::ProductUnknown.with(item.product.0.into(), 0))
    }

    fn first_use_s(&mut self, slot: FirmSlot, item: ItemRef) -> Result<u64, Failure> {
        let store = self.platform.parts().store;
        let usage: Option<Usage> =
            records::read(store, records::usage_key(slot, item)).map_err(store_failure)?;
        Ok(usage.unwrap_or_default().first_use_s)
    }

    fn item_key(
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
        let stored = stored.ok_or(missing)?;
        let mut key = Zeroizing::new([0; 32]);
        let (sealed, tag) = stored.sealed.0.split_at(32);
        key.copy_from_slice(sealed);
        let tag: &[u8; 16] = tag.try_into().map_err(|_| ErrorCode::StoreFailed.failure())?;
        let aad = record.to_be_bytes();
        aead::open_in_place(parts.keys.storage_key(), &stored.nonce.0, &aad, &mut key[..], tag)
            .map_err(|_| ErrorCode::StoreFailed.failure())?;
        Ok(key)
    }

    fn seat_token(&mut self) -> Result<SeatToken, Failure> {
        let bytes = self.entropy()?;
        let mut token = [0; 16];
        token.copy_from_slice(&bytes[..16]);
        Ok(SeatToken::new(token))
    }

    /// The firm, or the refusal that it is not here.
    pub(crate) fn firm(&mut self, root_fp: RootFp) -> Result<(FirmSlot, Firm), Failure> {
        self.find_firm(root_fp)?.ok_or(ErrorCode::FirmUnknown.failure())
    }

    pub(crate) fn find_firm(
        &mut self,
        root_fp: RootFp,
    ) -> Result<Option<(FirmSlot, Firm)>, Failure> {
        let store = self.platform.parts().store;
        let wanted = |slot, firm: Firm| (firm.root_fp == root_fp).then_some((slot, firm));
        records::find_firm(store, wanted).map_err(store_failure)
    }

    /// A statement under the container's identity key.
    pub(crate) fn state_signed(
        &mut self,
        kind: Kind,
        root_fp: RootFp,
        seq: u64,
        state: [u8; 32],
        issued_s: u64,
        body: &[u8],
    ) -> Result<Statement, Failure> {
        let entropy = self.entropy()?;
        let keys = self.platform.parts().keys;
        let header = Header {
            root_fp,
            key_id: keys.identity_id(),
            target: *keys.id().bytes(),
            seq,
            state,
            issued_s,
            ..Header::new(kind, body)
        };
        let signature = keys
            .sign(&header.preimage(), &entropy)
            .map_err(|_| ErrorCode::StoreFailed.failure())?;
        let object = write_object(&header, &Proof::Direct(Fixed(signature)), body);
        Statement::new(object).ok_or(ErrorCode::TooLong.failure())
    }
}
