//! Updates: received in chunks, verified before they are parsed, applied op by op in one
//! transaction.
//!
//! The header's signature is checked before a chunk is taken, the body's hash before an operation
//! is read. The body is staged in the store and never whole in RAM. Configuration, number, state
//! hash and receipt change in one transaction, so a cut leaves the old state or the new one with
//! its receipt.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed, List};
use protocol::command::{Reply, Trapped};
use protocol::crypto::hash::Sha256;
use protocol::crypto::hpke;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{OpId, RootFp};
use protocol::limits::{
    FIRMS_MAX, LOG_ENTRIES_MAX, OP_LEN_MAX, ROOT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX,
    UPDATE_CHUNK_LEN_MAX, UPDATE_IDLE_S, UPDATE_OPS_MAX,
};
use protocol::objects::configuration::record_head;
use protocol::objects::license::{ItemRef, OptionKind, ProductItem};
use protocol::objects::root::Root;
use protocol::objects::statement::{ReceiptBody, genesis_hash, next_state_hash};
use protocol::objects::update::{ProductRange, SealedKey, UnitsChange, UpdateOp, read_op};
use protocol::objects::usage::UsageLeaf;
use protocol::signed::{Header, Kind, read_head};
use subtle::ConstantTimeEq;

use crate::data::{self, Destination};
use crate::engine::{Engine, store_failure};
use crate::platform::{Clock, Keys, Parts, Platform, RECORD_LEN_MAX, RecordKey, Store, StoreError};
use crate::records::{self, Firm, FirmSlot, Revoked, Units};
use crate::requests::Requests;
use crate::sealed::seal_key;
use crate::steps::Statement;
use crate::trust::{Authority, Known, unread};
use crate::usage_log::{Booking, append, read_log};

/// An update on its way in.
pub(crate) struct Staging {
    channel: u32,
    header: Header,
    /// The firm as it is, or as its roots make it.
    known: Known,
    authority: Authority,
    received: u32,
    hash: Sha256,
    last_ms: u64,
}

impl Staging {
    /// Whose it is.
    pub(crate) fn channel(&self) -> u32 {
        self.channel
    }

    /// Whether nobody continues it.
    pub(crate) fn is_stale(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) > UPDATE_IDLE_S * 1000
    }
}

impl<P: Platform> Engine<P> {
    pub(crate) fn update_begin(&mut self, channel: u32, root: &[u8], head: &[u8]) -> Reply {
        match self.begin(channel, root, head) {
            Ok(()) => Reply::Done,
            Err((failure, firm)) => self.refuse_update(failure, firm),
        }
    }

    pub(crate) fn update_chunk(
        &mut self,
        channel: u32,
        offset: u32,
        bytes: &[u8],
    ) -> Result<Reply, Failure> {
        let now_ms = self.platform.parts().clock.ticks_ms();
        let staging = self.staging_of(channel)?;
        let (received, body_len) = (staging.received, staging.header.body_len);
        let len = bytes.len() as u32;
        // Only the last chunk may be short, so that a position names its chunk.
        let whole = bytes.len() == UPDATE_CHUNK_LEN_MAX || received + len == body_len;
        if offset != received || !whole || len == 0 || received + len > body_len {
            return Err(ErrorCode::ChunkOffset.with(received.into(), offset.into()));
        }
        let record = records::staged_key((received as usize / UPDATE_CHUNK_LEN_MAX) as u16);
        self.commit(Vec::from([(record, Some(Vec::from(bytes)))]))?;
        if let Some(staging) = &mut self.staging {
            staging.received += len;
            staging.hash.update(bytes);
            staging.last_ms = now_ms;
        }
        Ok(Reply::Done)
    }

    pub(crate) fn update_abort(&mut self, channel: u32) -> Result<Reply, Failure> {
        self.staging_of(channel)?;
        self.staging = None;
        Ok(Reply::Done)
    }

    pub(crate) fn update_commit(&mut self, channel: u32) -> Reply {
        if let Err(failure) = self.staging_of(channel) {
            return Reply::Failed(failure);
        }
        let Some(staging) = self.staging.take() else {
            return Reply::Failed(ErrorCode::NoUpdate.with(UPDATE_IDLE_S, 0));
        };
        let root_fp = staging.known.firm.root_fp;
        match self.apply(staging) {
            Ok(receipt) => Reply::Receipt(receipt),
            Err(failure) => {
                self.platform.parts().store.abort();
                self.refuse_update(failure, Some(root_fp))
            }
        }
    }

    fn staging_of(&self, channel: u32) -> Result<&Staging, Failure> {
        let none = ErrorCode::NoUpdate.with(UPDATE_IDLE_S, 0);
        self.staging.as_ref().filter(|staging| staging.channel == channel).ok_or(none)
    }

    /// A refused update is answered with the receipt of the present state.
    fn refuse_update(&mut self, failure: Failure, firm: Option<RootFp>) -> Reply {
        let receipt = firm.and_then(|firm| self.receipt(firm, 0).ok());
        Reply::UpdateRefused { failure, receipt: receipt.unwrap_or_default() }
    }

    /// Verifies and checks everything that the header says. With a failure comes the firm, once it
    /// is certain that the firm itself sent the update: nobody else is told a receipt.
    fn begin(
        &mut self,
        channel: u32,
        root: &[u8],
        head: &[u8],
    ) -> Result<(), (Failure, Option<RootFp>)> {
        let nobody = |failure| (failure, None);
        self.check_unlocked().map_err(nobody)?;
        let now_ms = self.platform.parts().clock.ticks_ms();
        if self.staging.as_ref().is_some_and(|staging| staging.channel != channel) {
            return Err(nobody(ErrorCode::UpdateBusy.with(UPDATE_IDLE_S, 0)));
        }
        // Whether this one is accepted or not, a commit that follows must not mean the one before.
        self.staging = None;
        let brought = self.take_brought(channel);
        let (header, proof, rest) = read_head(head).map_err(|error| nobody(unread(error)))?;
        if !matches!(header.kind, Kind::Update | Kind::Recovery) || !rest.is_empty() {
            return Err(nobody(ErrorCode::Malformed.failure()));
        }
        if header.target != *self.platform.parts().keys.id().bytes() {
            return Err(nobody(ErrorCode::UpdateOtherContainer.failure()));
        }
        let known = self.firm_of(brought.as_ref(), header.root_fp, root).map_err(nobody)?;
        let authority =
            self.authority(brought.as_ref(), &header, &proof, &known).map_err(nobody)?;
        if !known.stored {
            self.check_owner(channel).map_err(nobody)?;
        }
        let root_fp = Some(known.firm.root_fp);
        self.check_place(&header, &known.firm).map_err(|failure| (failure, root_fp))?;
        self.drop_staged().map_err(nobody)?;
        self.staging = Some(Staging {
            channel,
            header,
            known,
            authority,
            received: 0,
            hash: Sha256::new(),
            last_ms: now_ms,
        });
        Ok(())
    }

    /// A firm that enters by its root v1. The owner decided it by applying the update.
    pub(crate) fn new_firm(&mut self, root_fp: RootFp, root: &[u8]) -> Result<Known, Failure> {
        if root.is_empty() {
            return Err(ErrorCode::RootNeeded.failure());
        }
        let refused = ErrorCode::RootRefused.failure();
        let (object, rest) = protocol::signed::UnverifiedObject::read(root, ROOT_BODY_LEN_MAX)
            .map_err(|_| refused)?;
        let root = Root::verify_first(&object).map_err(|_| refused)?;
        if !rest.is_empty() || root.root_fp != root_fp {
            return Err(ErrorCode::UpdateOtherFirm.failure());
        }
        self.newcomer(root)
    }

    /// A firm that nothing was applied of yet.
    pub(crate) fn newcomer(&mut self, root: Root) -> Result<Known, Failure> {
        let parts = self.platform.parts();
        if parts.keys.only_firm().is_some_and(|only| only != root.root_fp) {
            return Err(ErrorCode::TooManyFirms.with(1, 0));
        }
        let slot = records::free_slot(parts.store).map_err(store_failure)?;
        if slot >= FIRMS_MAX {
            return Err(ErrorCode::TooManyFirms.with(FIRMS_MAX.into(), 0));
        }
        let firm = Firm {
            root_fp: root.root_fp,
            root_version: 1,
            root_hash: Fixed(root.hash),
            min_epoch: 0,
            root: root.body,
            seq: 0,
            state: Fixed(genesis_hash(root.root_fp, parts.keys.id())),
            config_hash: Fixed::default(),
            revocation_epoch: 0,
            floor_s: 0,
            floor_ran_s: 0,
            certified_s: 0,
            commits: 0,
            entries: 0,
            trapped: None,
        };
        Ok(Known { slot, firm, revoked: Revoked::default(), stored: false })
    }

    /// Exact next number, previous hash, in time, not too long.
    fn check_place(&mut self, header: &Header, firm: &Firm) -> Result<(), Failure> {
        let next = firm.seq + 1;
        if header.seq < next {
            return Err(ErrorCode::UpdateOld.with(firm.seq, header.seq));
        }
        if header.seq > next {
            return Err(ErrorCode::UpdateAhead.with(next, header.seq));
        }
        if header.state != firm.state.0 {
            return Err(ErrorCode::UpdateOtherState.with(header.seq, 0));
        }
        let now_s = self.time.now_s(self.platform.parts().clock, firm);
        if header.until_s != 0 && now_s > header.until_s {
            return Err(ErrorCode::UpdateLate.with(header.until_s, now_s));
        }
        let (len, max) = (header.body_len as usize, UPDATE_BODY_LEN_MAX);
        if len > max { Err(ErrorCode::TooLong.with(len as u64, max as u64)) } else { Ok(()) }
    }

    fn drop_staged(&mut self) -> Result<(), Failure> {
        self.staging = None;
        let store = self.platform.parts().store;
        store.begin().map_err(store_failure)?;
        let dropped = records::delete_staged(store).map_err(store_failure)?;
        if dropped == 0 {
            store.abort();
            return Ok(());
        }
        self.finish_commit()
    }

    /// Compares the body's hash, then applies it in one transaction and signs the receipt.
    fn apply(&mut self, staging: Staging) -> Result<Statement, Failure> {
        let Staging { header, known, authority, received, hash, .. } = staging;
        let Known { slot, revoked, stored, mut firm } = known;
        let same: bool = hash.finish().ct_eq(&header.body_hash).into();
        if received != header.body_len || !same {
            return Err(ErrorCode::UpdateBody.failure());
        }
        if let Some((_, present)) = self.find_firm(firm.root_fp)? {
            // Uses that began since the update did are counted there, and what they touched.
            firm.commits = present.commits;
            firm.trapped = present.trapped;
        }
        let mut parts = self.platform.parts();
        parts.store.begin().map_err(store_failure)?;
        let at_s = self.time.now_s(parts.clock, &firm);
        let (reach_s, ran_s) =
            (self.time.reach_s(parts.clock, &firm), self.time.ran_s(parts.clock));
        let application = Application {
            parts: &mut parts,
            header: &header,
            slot,
            at_s,
            authority: &authority,
            trapped: &mut firm.trapped,
        };
        let ops = application.run()?;
        let update_hash = header.hash();
        firm.seq = header.seq;
        firm.state = Fixed(next_state_hash(&header.state, &update_hash));
        firm.certify(authority.certified_s(header.issued_s), 0, reach_s, ran_s);
        records::write(parts.store, records::RAN, &ran_s).map_err(store_failure)?;
        firm.commits += 1;
        (firm.config_hash, firm.entries) = configuration(parts.store, slot)?;
        let time = self.time.info(parts.clock, &firm);
        let body = ReceiptBody {
            update_hash: Fixed(update_hash),
            config_hash: firm.config_hash,
            ops,
            time,
            commits: firm.commits,
        };
        let receipt = self.state_signed(
            Kind::Receipt,
            firm.root_fp,
            firm.seq,
            firm.state.0,
            time.now_s,
            &codec::encode(&body),
        )?;
        let store = self.platform.parts().store;
        if !stored && firm.revocation_epoch != 0 {
            records::write(store, records::revoked_key(slot), &revoked).map_err(store_failure)?;
        }
        records::write(store, records::receipt_key(slot, firm.seq), &receipt)
            .and_then(|()| records::write(store, records::firm_key(slot), &firm))
            .and_then(|()| records::delete_staged(store))
            .map_err(store_failure)?;
        self.finish_commit()?;
        self.pending = None;
        Ok(receipt)
    }
}

/// Hash and number of a firm's entries as the open transaction leaves them.
fn configuration(store: &mut impl Store, slot: FirmSlot) -> Result<(Fixed<32>, u32), Failure> {
    let (mut hash, mut entries, mut after) = (Sha256::new(), 0, None);
    let mut buf = alloc::vec![0; RECORD_LEN_MAX];
    while let Some((key, value)) =
        read_of_configuration(store, slot, after, &mut buf).map_err(store_failure)?
    {
        hash.update(&record_head(records::without_slot(key), value.len()));
        hash.update(value);
        entries += u32::from(records::is_item(key));
        after = Some(key);
    }
    Ok((Fixed(hash.finish()), entries))
}

/// The next record of a firm's configuration, with what of its value belongs to it.
pub(crate) fn read_of_configuration<'a>(
    store: &mut impl Store,
    slot: FirmSlot,
    after: Option<RecordKey>,
    buf: &'a mut [u8],
) -> Result<Option<(RecordKey, &'a [u8])>, StoreError> {
    let Some((key, with_value)) = records::next_of_configuration(store, slot, after)? else {
        return Ok(None);
    };
    let len = match with_value {
        true => store.read(key, buf)?.ok_or(StoreError::Medium)?,
        false => 0,
    };
    Ok(Some((key, &buf[..len])))
}

/// Operations of a staged body, applied in the open transaction.
struct Application<'a, 'p, P: Platform> {
    parts: &'a mut Parts<'p, P>,
    header: &'a Header,
    slot: FirmSlot,
    /// The firm's time before the update, for what is booked.
    at_s: u64,
    authority: &'a Authority,
    trapped: &'a mut Option<Trapped>,
}

impl<P: Platform> Application<'_, '_, P> {
    fn run(mut self) -> Result<u16, Failure> {
        let mut body = StagedBody { len: self.header.body_len as usize, ..StagedBody::default() };
        let mut op = [0; OP_LEN_MAX];
        let mut count = 0;
        while body.at < body.len {
            let malformed = ErrorCode::UpdateOp.with(count as u64, 0);
            if count == UPDATE_OPS_MAX {
                return Err(malformed);
            }
            let mut len = [0; 2];
            body.read(self.parts.store, &mut len, malformed)?;
            let len = usize::from(u16::from_be_bytes(len));
            let bytes = op.get_mut(..len).ok_or(malformed)?;
            body.read(self.parts.store, bytes, malformed)?;
            let parsed = read_op(bytes, count).map_err(|_| malformed)?;
            self.apply(parsed, count as u64)?;
            count += 1;
        }
        Ok(count as u16)
    }

    fn apply(&mut self, op: UpdateOp, at: u64) -> Result<(), Failure> {
        self.authority.check(&op, at)?;
        match op {
            UpdateOp::Nop => Ok(()),
            UpdateOp::SetItem(item) => {
                if let Some(parent) = item.module_of() {
                    self.check_parent(parent, at)?;
                }
                let store = &mut *self.parts.store;
                records::write(store, records::item_key(self.slot, item.item), &item)
                    .map_err(store_failure)?;
                // What the container keeps goes on when the option is set again, and is forgotten
                // when it is not.
                if item.usage_period_s().is_none() {
                    self.forget(records::usage_key(self.slot, item.item))?;
                }
                if item.units().is_none() { self.close_units(item.item) } else { Ok(()) }
            }
            UpdateOp::RemoveItem(item) => self.remove_item(item),
            UpdateOp::SetData { item, field, content } => {
                self.check_item(item, at)?;
                let (root_fp, firm_seq) = (self.header.root_fp, self.header.seq);
                let to = Destination { root_fp, firm_seq, slot: self.slot, item, field };
                data::write(self.parts, &to, &content, at)
            }
            UpdateOp::Units { item, change } => self.change_units(item, change, at),
            UpdateOp::SetKey(sealed) => self.set_key(&sealed, at),
            UpdateOp::RemoveKey { product, generation } => {
                self.remove_key(records::item_key_key(self.slot, product, generation), at)
            }
            UpdateOp::Perpetuate(products) => self.perpetuate(products),
            UpdateOp::Unlock => {
                *self.trapped = None;
                Ok(())
            }
            UpdateOp::Answer(answer) => {
                let store = &mut *self.parts.store;
                let kept = records::read(store, records::REQUESTS).map_err(store_failure)?;
                let mut kept: Requests = kept.unwrap_or_default();
                kept.answer(&answer, self.header.issued_s)?;
                records::write(store, records::REQUESTS, &kept).map_err(store_failure)
            }
            _ => Err(ErrorCode::UpdateOp.with(at, 0)),
        }
    }

    fn perpetuate(&mut self, products: ProductRange) -> Result<(), Failure> {
        let (store, mut after) = (&mut *self.parts.store, None);
        loop {
            let next = records::next_item_in(store, self.slot, products, after);
            let Some(mut item) = next.map_err(store_failure)? else { return Ok(()) };
            after = Some(item.item);
            if item.checkpoint().is_none() {
                continue;
            }
            let mut options = item.options.into_vec();
            options.retain(|option| option.kind() != OptionKind::Checkpoint);
            item.options = List::new(options).unwrap_or_default();
            records::write(store, records::item_key(self.slot, item.item), &item)
                .map_err(store_failure)?;
        }
    }

    fn remove_key(&mut self, record: u64, at: u64) -> Result<(), Failure> {
        let store = &mut *self.parts.store;
        if store.next_key(record).map_err(store_failure)? != Some(record) {
            return Err(ErrorCode::ItemUnknown.with(at, 0));
        }
        store.delete(record).map_err(store_failure)
    }

    /// Removes an entry with all that belongs to it: its modules go with it. One that is not there
    /// is gone already: an issuer that does not know what is there can always take it out.
    fn remove_item(&mut self, item: ItemRef) -> Result<(), Failure> {
        let mut after = None;
        while let Some(module) = records::next_module_of(self.parts.store, self.slot, item, after)
            .map_err(store_failure)?
        {
            self.remove_one(module)?;
            after = Some(module);
        }
        self.remove_one(item)
    }

    fn remove_one(&mut self, item: ItemRef) -> Result<(), Failure> {
        self.forget(records::item_key(self.slot, item))?;
        self.forget(records::usage_key(self.slot, item))?;
        self.close_units(item)?;
        data::forget(self.parts.store, self.slot, item).map_err(store_failure)
    }

    /// A module belongs to an entry that is there and is no module itself.
    fn check_parent(&mut self, parent: ItemRef, at: u64) -> Result<(), Failure> {
        let record = records::item_key(self.slot, parent);
        let found: Option<ProductItem> =
            records::read(self.parts.store, record).map_err(store_failure)?;
        match found {
            Some(parent) if parent.module_of().is_none() => Ok(()),
            _ => Err(ErrorCode::NoParent.with(at, parent.product.0.into())),
        }
    }

    fn check_item(&mut self, item: ItemRef, at: u64) -> Result<(), Failure> {
        let record = records::item_key(self.slot, item);
        match records::has(self.parts.store, record).map_err(store_failure)? {
            true => Ok(()),
            false => Err(ErrorCode::ItemUnknown.with(at, 0)),
        }
    }

    fn change_units(&mut self, item: ItemRef, change: UnitsChange, at: u64) -> Result<(), Failure> {
        let store = &mut *self.parts.store;
        let found: Option<ProductItem> =
            records::read(store, records::item_key(self.slot, item)).map_err(store_failure)?;
        if found.is_none_or(|found| found.units().is_none()) {
            return Err(ErrorCode::ItemUnknown.with(at, 0));
        }
        let record = records::units_key(self.slot, item);
        let account: Option<Units> = records::read(store, record).map_err(store_failure)?;
        let mut account = account.unwrap_or_default();
        let booking = account.change(change)?;
        records::write(store, record, &account).map_err(store_failure)?;
        self.book(item, booking)
    }

    /// The units of an entry end with it, or with its counter.
    fn close_units(&mut self, item: ItemRef) -> Result<(), Failure> {
        let record = records::units_key(self.slot, item);
        let account: Option<Units> =
            records::read(self.parts.store, record).map_err(store_failure)?;
        let Some(account) = account else { return Ok(()) };
        self.forget(record)?;
        self.book(item, account.close())
    }

    fn book(&mut self, item: ItemRef, booking: Booking) -> Result<(), Failure> {
        let (slot, root_fp) = (self.slot, self.header.root_fp);
        let mut log = read_log(self.parts.store, self.parts.keys, slot, root_fp)?;
        if log.seq - log.acked_seq >= LOG_ENTRIES_MAX {
            return Err(ErrorCode::UsageLogFull.with(LOG_ENTRIES_MAX, 0));
        }
        let leaf = UsageLeaf {
            at_s: self.at_s,
            kind: booking.kind,
            item,
            units: booking.units,
            left: booking.left,
            op: OpId::default(),
            subject: Fixed::default(),
        };
        let entry = append(&mut log, leaf, self.parts.random)?;
        let store = &mut *self.parts.store;
        records::write(store, records::log_entry_key(slot, log.seq), &entry)
            .and_then(|()| records::write(store, records::log_key(slot), &log))
            .map_err(store_failure)
    }

    fn forget(&mut self, record: RecordKey) -> Result<(), Failure> {
        let store = &mut *self.parts.store;
        match records::has(store, record).map_err(store_failure)? {
            true => store.delete(record).map_err(store_failure),
            false => Ok(()),
        }
    }

    /// Opens a sealed item key and keeps it under the home's storage key.
    fn set_key(&mut self, sealed: &SealedKey, at: u64) -> Result<(), Failure> {
        let keys = self.parts.keys;
        let info = SealedKey::info(self.header.root_fp, keys.id());
        let aad = SealedKey::aad(self.header.seq, sealed.product, sealed.generation);
        let mut key = zeroize::Zeroizing::new(sealed.ciphertext.0);
        let opened =
            hpke::open(keys.sealing_key(), &sealed.encapsulated.0, &info, &aad, &mut key[..]);
        if opened != Ok(32) {
            return Err(ErrorCode::KeySeal.with(at, 0));
        }
        let record = records::item_key_key(self.slot, sealed.product, sealed.generation);
        let opened = key.first_chunk().ok_or(ErrorCode::KeySeal.with(at, 0))?;
        let stored = seal_key(self.parts, record, opened)?;
        records::write(self.parts.store, record, &stored).map_err(store_failure)
    }
}

/// Reads a staged body from its chunks, one chunk in RAM at a time.
#[derive(Default)]
struct StagedBody {
    len: usize,
    at: usize,
    chunk: Vec<u8>,
}

impl StagedBody {
    fn read(
        &mut self,
        store: &mut impl Store,
        out: &mut [u8],
        short: Failure,
    ) -> Result<(), Failure> {
        if self.len - self.at < out.len() {
            return Err(short);
        }
        for byte in out {
            let within = self.at % UPDATE_CHUNK_LEN_MAX;
            if within == 0 {
                self.load(store).map_err(store_failure)?;
            }
            *byte = *self.chunk.get(within).ok_or(ErrorCode::StoreFailed.failure())?;
            self.at += 1;
        }
        Ok(())
    }

    fn load(&mut self, store: &mut impl Store) -> Result<(), StoreError> {
        self.chunk.resize(UPDATE_CHUNK_LEN_MAX, 0);
        let record = records::staged_key((self.at / UPDATE_CHUNK_LEN_MAX) as u16);
        let len = store.read(record, &mut self.chunk)?.ok_or(StoreError::Medium)?;
        self.chunk.truncate(len);
        Ok(())
    }
}
