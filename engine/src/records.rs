//! Which records there are, and what is in them.
//!
//! A key is `kind (8 bits) | firm slot (8) | product (32) | number (16)`, so that what belongs
//! together is adjacent. Kinds are never reused. Values are postcard, and are decoded as strictly
//! as messages: a record that does not decode is a failed medium.

use protocol::codec::{self, Bytes, Fixed, List, Text};
use protocol::command::{KeyUsage, Trapped};
use protocol::ids::{EntryNumber, Generation, KeyId, KeyName, OpId, ProductCode, RootFp};
use protocol::limits::{
    CONTAINER_NAME_LEN_MAX, DATA_LEN_MAX, RESERVATIONS_MAX, REVOKED_KEYS_MAX, UNIT_OPS_KEPT,
};
use protocol::objects::configuration;
use protocol::objects::data::{DATA_NUMBERS, DataField};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::root::RootBody;
use protocol::objects::update::ProductRange;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::platform::{RECORD_LEN_MAX, RecordKey, Store, StoreError};

/// Position of a firm in this container.
pub(crate) type FirmSlot = u8;

/// The container's own record.
pub(crate) const META: RecordKey = 0x01 << 56;
/// How long it ran.
pub(crate) const RAN: RecordKey = 0x02 << 56;
/// What outlives a power session.
pub(crate) const POWER: RecordKey = 0x03 << 56;
/// The owner's PIN.
pub(crate) const PIN: RecordKey = 0x04 << 56;
const VENDOR_KEY: u8 = 0x05;
/// That the container is decommissioned.
pub(crate) const RETIRED: RecordKey = 0x06 << 56;
/// What it asks its one firm by.
pub(crate) const REQUESTS: RecordKey = 0x07 << 56;
const FIRM: u8 = 0x10;
const RECEIPT: u8 = 0x11;
const REVOKED: u8 = 0x12;
const FINAL: u8 = 0x13;
const ITEM: u8 = configuration::ITEM_KIND;
const ITEM_KEY: u8 = configuration::ITEM_KEY_KIND;
const USAGE: u8 = 0x22;
const UNITS: u8 = 0x23;
const LOG: u8 = 0x24;
const LOG_ENTRY: u8 = 0x25;
const STAGED: u8 = 0x30;
/// The first of [`DATA_NUMBERS`] kinds, one for each field.
const DATA: u8 = configuration::DATA_KIND;

/// The container's own record.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Meta {
    /// Durable commits so far; compared with the counter at start.
    pub commit_ctr: u64,
    /// The owner's name for the container.
    pub name: Text<CONTAINER_NAME_LEN_MAX>,
    /// The command that gave it.
    pub name_op: OpId,
}

/// A firm in this container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Firm {
    /// The firm.
    pub root_fp: RootFp,
    /// Version of the root below.
    pub root_version: u32,
    /// Hash of that root.
    pub root_hash: Fixed<32>,
    /// The least epoch under which a delegation counts.
    pub min_epoch: u32,
    /// Its keys and roles.
    pub root: RootBody,
    /// Updates applied.
    pub seq: u64,
    /// `firm_state_hash` at `seq`.
    pub state: Fixed<32>,
    /// Hash of the configuration.
    pub config_hash: Fixed<32>,
    /// Epoch of revocations.
    pub revocation_epoch: u32,
    /// No earlier than this, as the firm certified.
    pub floor_s: u64,
    /// How long the container had run then.
    pub floor_ran_s: u64,
    /// When the firm certified time last, by its own clock.
    pub certified_s: u64,
    /// Commits that touched this firm.
    pub commits: u64,
    /// Entries.
    pub entries: u32,
    /// Whether a trap locked its licenses.
    pub trapped: Option<Trapped>,
}

/// What a firm revoked, as far as a container minds it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    /// Hash of the revocation.
    pub hash: Fixed<32>,
    /// Keys that count no more.
    pub keys: List<KeyId, REVOKED_KEYS_MAX>,
}

/// That the container is decommissioned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Retired {
    /// Final statements that it keeps.
    pub finals: u8,
}

/// A kept receipt, as an object.
pub(crate) type StoredReceipt = Bytes<{ protocol::limits::STATEMENT_LEN_MAX }>;

/// An item key under the home's storage key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StoredKey {
    /// Random.
    pub nonce: Fixed<12>,
    /// 32 bytes of key, 16 of tag. Additional data is the record's key.
    pub sealed: Fixed<48>,
}

/// A vendor's key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct VendorKey {
    /// What for.
    pub usage: KeyUsage,
    /// Its secret.
    pub secret: StoredKey,
}

/// What the container itself keeps of an entry.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Usage {
    /// When it was used first, Unix seconds UTC; 0 = not yet.
    pub first_use_s: u64,
}

/// Units of an entry.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Units {
    /// All that was ever added.
    pub granted: u64,
    /// Free to use.
    pub left: u64,
    /// Used.
    pub used: u64,
    /// Taken away again.
    pub removed: u64,
    /// Set aside, the oldest first.
    pub open: List<Reservation, RESERVATIONS_MAX>,
    /// Commands that are done, the oldest first.
    pub done: List<DoneOp, UNIT_OPS_KEPT>,
}

/// A command that moved units, and is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DoneOp {
    /// The command.
    pub op: OpId,
    /// Units that it took for a use that was not given back; 0 if there is none.
    pub paid: u32,
    /// That use.
    pub paid_use: Fixed<8>,
}

/// Units that were set aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Reservation {
    /// The command.
    pub op: OpId,
    /// How many.
    pub units: u32,
}

/// A firm's usage log. Entries up to the acknowledged one are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Log {
    /// Number of the last entry.
    pub seq: u64,
    /// The head after it.
    pub head: Fixed<32>,
    /// Number of the last entry that the firm acknowledged.
    pub acked_seq: u64,
    /// The head after that.
    pub acked_head: Fixed<32>,
}

/// What outlives a power session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Power {
    /// The period in which seats are, or were, open that must not be forgotten; zero for none.
    pub seats_of: Fixed<16>,
    /// The station that took the first seat of the last power session with seats.
    pub station: Fixed<16>,
    /// How often that changed in short power sessions.
    pub moves: u8,
}

/// The owner's PIN, as tags under the home's storage key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pin {
    /// Random.
    pub salt: Fixed<16>,
    /// Of the PIN.
    pub tag: Fixed<32>,
    /// Wrong ones that are still stood.
    pub tries: u8,
    /// Of the recovery code.
    pub recovery_tag: Fixed<32>,
    /// Wrong ones that are still stood.
    pub recovery_tries: u8,
}

/// A data field under the home's storage key: hidden and secret data.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SealedData {
    /// Random.
    pub nonce: Fixed<12>,
    /// Access code, data, and a tag of 16 bytes. Additional data is the record's key.
    pub sealed: Bytes<{ protocol::objects::data::ACCESS_CODE_LEN + DATA_LEN_MAX + 16 }>,
}

/// Key of a firm's record.
pub(crate) fn firm_key(slot: FirmSlot) -> RecordKey {
    key(FIRM, slot, 0, 0)
}

/// Key of what a firm revoked.
pub(crate) fn revoked_key(slot: FirmSlot) -> RecordKey {
    key(REVOKED, slot, 0, 0)
}

/// Key of a kept receipt.
pub(crate) fn receipt_key(slot: FirmSlot, seq: u64) -> RecordKey {
    key(RECEIPT, slot, 0, (seq % protocol::limits::RECEIPTS_KEPT) as u16)
}

/// Key of the final statement for a firm.
pub(crate) fn final_key(slot: FirmSlot) -> RecordKey {
    key(FINAL, slot, 0, 0)
}

/// Whether a record outlives the end of a container's use.
pub(crate) fn is_kept_at_the_end(key: RecordKey) -> bool {
    matches!(key, META | RAN | RETIRED) || (key >> 56) as u8 == FINAL
}

/// Key of a Product Item.
pub(crate) fn item_key(slot: FirmSlot, item: ItemRef) -> RecordKey {
    key(ITEM, slot, item.product.0, item.entry.0)
}

/// Key of what the container keeps of a Product Item.
pub(crate) fn usage_key(slot: FirmSlot, item: ItemRef) -> RecordKey {
    key(USAGE, slot, item.product.0, item.entry.0)
}

/// Key of the units of a Product Item.
pub(crate) fn units_key(slot: FirmSlot, item: ItemRef) -> RecordKey {
    key(UNITS, slot, item.product.0, item.entry.0)
}

/// Key of a firm's usage log.
pub(crate) fn log_key(slot: FirmSlot) -> RecordKey {
    key(LOG, slot, 0, 0)
}

/// Key of an entry of a firm's usage log. Numbers that are alive differ by far less than 2^48.
pub(crate) fn log_entry_key(slot: FirmSlot, seq: u64) -> RecordKey {
    key(LOG_ENTRY, slot, (seq >> 16) as u32, seq as u16)
}

/// Key of a data field of a Product Item.
pub(crate) fn data_key(slot: FirmSlot, item: ItemRef, field: DataField) -> RecordKey {
    key(DATA + field.number(), slot, item.product.0, item.entry.0)
}

/// Keys of all data fields of a Product Item, by their numbers.
pub(crate) fn data_keys(slot: FirmSlot, item: ItemRef) -> impl Iterator<Item = RecordKey> {
    (0..DATA_NUMBERS).map(move |number| key(DATA + number, slot, item.product.0, item.entry.0))
}

/// Key of an item key.
pub(crate) fn item_key_key(
    slot: FirmSlot,
    product: ProductCode,
    generation: Generation,
) -> RecordKey {
    key(ITEM_KEY, slot, product.0, generation.0)
}

/// Key of a staged chunk of an update.
pub(crate) fn staged_key(chunk: u16) -> RecordKey {
    key(STAGED, 0, 0, chunk)
}

fn key(kind: u8, slot: FirmSlot, product: u32, number: u16) -> RecordKey {
    u64::from(kind) << 56 | u64::from(slot) << 48 | u64::from(product) << 16 | u64::from(number)
}

/// Reads and decodes a record.
pub(crate) fn read<T: DeserializeOwned + Serialize>(
    store: &mut impl Store,
    key: RecordKey,
) -> Result<Option<T>, StoreError> {
    let mut buf = alloc::vec![0; RECORD_LEN_MAX];
    let Some(len) = store.read(key, &mut buf)? else { return Ok(None) };
    let value = codec::decode(&buf[..len], RECORD_LEN_MAX).map_err(|_| StoreError::Medium);
    zeroize::Zeroize::zeroize(&mut buf);
    value.map(Some)
}

/// Encodes and writes a record in the open transaction.
pub(crate) fn write<T: Serialize>(
    store: &mut impl Store,
    key: RecordKey,
    value: &T,
) -> Result<(), StoreError> {
    store.put(key, &codec::encode(value))
}

/// Keys of `kind` in a range of a firm, in rising order, from `from` on.
fn next_in(
    store: &mut impl Store,
    from: RecordKey,
    last: RecordKey,
) -> Result<Option<RecordKey>, StoreError> {
    Ok(store.next_key(from)?.filter(|found| *found <= last))
}

/// What `pick` makes of the first firm that it picks, by rising slots. One firm at a time is in
/// RAM, however many there are.
pub(crate) fn find_firm<T>(
    store: &mut impl Store,
    mut pick: impl FnMut(FirmSlot, Firm) -> Option<T>,
) -> Result<Option<T>, StoreError> {
    let mut from = firm_key(0);
    while let Some(key) = next_in(store, from, firm_key(FirmSlot::MAX))? {
        let firm = read(store, key)?.ok_or(StoreError::Medium)?;
        if let Some(picked) = pick((key >> 48) as u8, firm) {
            return Ok(Some(picked));
        }
        from = key + 1;
    }
    Ok(None)
}

/// Where a vendor's key is kept.
pub(crate) fn vendor_key_key(name: KeyName) -> RecordKey {
    let mut bytes = [VENDOR_KEY, 0, 0, 0, 0, 0, 0, 0];
    bytes[1..].copy_from_slice(name.bytes());
    RecordKey::from_be_bytes(bytes)
}

/// How many keys of vendors there are.
pub(crate) fn vendor_key_count(store: &mut impl Store) -> Result<u8, StoreError> {
    let (mut from, mut count) = (vendor_key_key(KeyName::default()), 0);
    while let Some(key) = next_in(store, from, vendor_key_key(KeyName::new([0xff; 7])))? {
        (from, count) = (key + 1, count + 1);
    }
    Ok(count)
}

/// The first firm from a slot on.
pub(crate) fn next_firm(
    store: &mut impl Store,
    from: FirmSlot,
) -> Result<Option<(FirmSlot, Firm)>, StoreError> {
    match next_in(store, firm_key(from), firm_key(FirmSlot::MAX))? {
        Some(key) => Ok(Some(((key >> 48) as u8, read(store, key)?.ok_or(StoreError::Medium)?))),
        None => Ok(None),
    }
}

/// The final statement at a position.
pub(crate) fn final_at(
    store: &mut impl Store,
    at: u8,
) -> Result<Option<StoredReceipt>, StoreError> {
    let (mut from, last) = (final_key(0), final_key(FirmSlot::MAX));
    for _ in 0..at {
        let Some(found) = next_in(store, from, last)? else { return Ok(None) };
        from = found + 1;
    }
    match next_in(store, from, last)? {
        Some(found) => read(store, found),
        None => Ok(None),
    }
}

/// How many firms there are.
pub(crate) fn firm_count(store: &mut impl Store) -> Result<u8, StoreError> {
    let mut count = 0;
    find_firm(store, |_, _| {
        count += 1;
        None::<()>
    })?;
    Ok(count)
}

/// The lowest slot that no firm has.
pub(crate) fn free_slot(store: &mut impl Store) -> Result<FirmSlot, StoreError> {
    let mut free = 0;
    find_firm(store, |slot, _| {
        let taken = slot == free;
        free += u8::from(taken);
        (!taken).then_some(())
    })?;
    Ok(free)
}

/// The next Product Item of a firm behind `after`, or its first.
pub(crate) fn next_item(
    store: &mut impl Store,
    slot: FirmSlot,
    after: Option<ItemRef>,
) -> Result<Option<ProductItem>, StoreError> {
    let from = after.map_or(key(ITEM, slot, 0, 0), |item| item_key(slot, item) + 1);
    let last = key(ITEM, slot, u32::MAX, u16::MAX);
    match next_in(store, from, last)? {
        Some(found) => read(store, found)?.ok_or(StoreError::Medium).map(Some),
        None => Ok(None),
    }
}

/// The next Product Item of one product, behind `after` or the first.
pub(crate) fn next_item_of(
    store: &mut impl Store,
    slot: FirmSlot,
    product: ProductCode,
    after: Option<EntryNumber>,
) -> Result<Option<ProductItem>, StoreError> {
    let first = key(ITEM, slot, product.0, 0);
    let from = after.map_or(first, |entry| key(ITEM, slot, product.0, entry.0) + 1);
    match next_in(store, from, key(ITEM, slot, product.0, u16::MAX))? {
        Some(found) => read(store, found)?.ok_or(StoreError::Medium).map(Some),
        None => Ok(None),
    }
}

/// The next Product Item of some products, behind `after` or the first.
pub(crate) fn next_item_in(
    store: &mut impl Store,
    slot: FirmSlot,
    products: ProductRange,
    after: Option<ItemRef>,
) -> Result<Option<ProductItem>, StoreError> {
    let first = key(ITEM, slot, products.first.0, 0);
    let from = after.map_or(first, |item| item_key(slot, item) + 1);
    match next_in(store, from, key(ITEM, slot, products.last.0, u16::MAX))? {
        Some(found) => read(store, found)?.ok_or(StoreError::Medium).map(Some),
        None => Ok(None),
    }
}

/// The record of a firm's configuration behind `after`, or its first: its key, and whether its
/// value belongs to it too, which it does for entries and readable data, not for what is kept
/// sealed. The owner's data is no part of it.
pub(crate) fn next_of_configuration(
    store: &mut impl Store,
    slot: FirmSlot,
    after: Option<RecordKey>,
) -> Result<Option<(RecordKey, bool)>, StoreError> {
    let data = (DataField::Protected.number()..DATA_NUMBERS)
        .map(|number| (DATA + number, number < DataField::Hidden(0).number()));
    for (kind, with_value) in [(ITEM, true), (ITEM_KEY, false)].into_iter().chain(data) {
        let (first, last) = (key(kind, slot, 0, 0), key(kind, slot, u32::MAX, u16::MAX));
        if after.is_some_and(|after| after >= last) {
            continue;
        }
        let from = after.map_or(first, |after| first.max(after + 1));
        if let Some(found) = next_in(store, from, last)? {
            return Ok(Some((found, with_value)));
        }
    }
    Ok(None)
}

/// A record's key without the slot, which is this container's affair.
pub(crate) fn without_slot(key: RecordKey) -> RecordKey {
    key & !(0xff << 48)
}

/// The same key in a slot.
pub(crate) fn in_slot(key: RecordKey, slot: FirmSlot) -> RecordKey {
    without_slot(key) | u64::from(slot) << 48
}

/// Whether a record is an entry, and not something that belongs to one.
pub(crate) fn is_item(key: RecordKey) -> bool {
    key >> 56 == ITEM.into()
}

/// Whether there is a record.
pub(crate) fn has(store: &mut impl Store, key: RecordKey) -> Result<bool, StoreError> {
    Ok(store.next_key(key)? == Some(key))
}

/// The first module of an entry behind `after`.
pub(crate) fn next_module_of(
    store: &mut impl Store,
    slot: FirmSlot,
    parent: ItemRef,
    mut after: Option<ItemRef>,
) -> Result<Option<ItemRef>, StoreError> {
    while let Some(item) = next_item(store, slot, after)? {
        if item.module_of() == Some(parent) {
            return Ok(Some(item.item));
        }
        after = Some(item.item);
    }
    Ok(None)
}

/// Deletes what is staged, in the open transaction. Returns how many chunks there were.
pub(crate) fn delete_staged(store: &mut impl Store) -> Result<u32, StoreError> {
    let mut count = 0;
    while let Some(found) = next_in(store, staged_key(0), staged_key(u16::MAX))? {
        store.delete(found)?;
        count += 1;
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_different_things_never_meet_and_sort_together() {
        let item = |product, entry| {
            item_key(3, ItemRef { product: ProductCode(product), entry: EntryNumber(entry) })
        };
        assert!(item(1, u16::MAX) < item(2, 0));
        assert!(item(u32::MAX, u16::MAX) < item_key_key(0, ProductCode(0), Generation(0)));
        assert!(META < firm_key(0) && firm_key(u8::MAX) < receipt_key(0, 0));
        assert!(receipt_key(u8::MAX, u64::MAX) < revoked_key(0));
        assert!(revoked_key(u8::MAX) < item(0, 0));
    }
}
