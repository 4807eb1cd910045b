//! Data fields of entries: who may write and read which, and how hidden ones rest.

use alloc::vec::Vec;

use protocol::codec::{self, Bytes, Fixed};
use protocol::command::Reply;
use protocol::crypto::{aead, hpke};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, RootFp};
use protocol::limits::{ACCESS_CODE_TRIES, DATA_LEN_MAX};
use protocol::objects::data::{
    ACCESS_CODE_LEN, DATA_NUMBERS, DataContent, DataField, DataKind, sealed_data_aad,
    sealed_data_info,
};
use protocol::objects::license::ItemRef;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::engine::{Engine, store_failure};
use crate::platform::{Keys, Parts, Platform, Random, RecordKey, Store, StoreError};
use crate::records::{self, FirmSlot, SealedData};

type Content = Bytes<DATA_LEN_MAX>;

impl<P: Platform> Engine<P> {
    /// What a field holds, for whoever may read it.
    pub(crate) fn read_data(
        &mut self,
        root_fp: RootFp,
        item: ItemRef,
        field: DataField,
        access_code: u32,
    ) -> Result<Reply, Failure> {
        let (slot, _) = self.firm(root_fp)?;
        self.item(slot, item)?;
        let unknown = ErrorCode::DataUnknown.with(field.number().into(), 0);
        if !field.is_one() {
            return Err(unknown);
        }
        let key = records::data_key(slot, item, field);
        match field.kind() {
            DataKind::Secret => Err(ErrorCode::DataSecret.failure()),
            DataKind::Hidden => self.read_hidden(slot, key, access_code, unknown),
            DataKind::User | DataKind::Protected | DataKind::ExtendedProtected => {
                let store = self.platform.parts().store;
                let content: Option<Content> = records::read(store, key).map_err(store_failure)?;
                content.map(Reply::Data).ok_or(unknown)
            }
        }
    }

    /// A wrong code costs one of the firm's tries, and they come back with the next power-up: a
    /// code has 32 bits.
    fn read_hidden(
        &mut self,
        slot: FirmSlot,
        key: RecordKey,
        access_code: u32,
        unknown: Failure,
    ) -> Result<Reply, Failure> {
        let wrong = self.wrong_codes.get(usize::from(slot)).copied().unwrap_or(ACCESS_CODE_TRIES);
        if wrong >= ACCESS_CODE_TRIES {
            return Err(ErrorCode::AccessCodeWrong.with(0, 0));
        }
        let opened = open_data(&mut self.platform.parts(), key)?.ok_or(unknown)?;
        let (code, data) = opened.split_at_checked(ACCESS_CODE_LEN).ok_or(unknown)?;
        if !bool::from(code.ct_eq(&access_code.to_be_bytes())) {
            let wrong = wrong + 1;
            self.wrong_codes[usize::from(slot)] = wrong;
            let left = ACCESS_CODE_TRIES - wrong;
            return Err(ErrorCode::AccessCodeWrong.with(left.into(), 0));
        }
        Bytes::new(data).map(Reply::Data).ok_or(unknown)
    }

    pub(crate) fn write_user_data(
        &mut self,
        channel: u32,
        root_fp: RootFp,
        item: ItemRef,
        bytes: &Content,
    ) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        self.check_owner(channel)?;
        let (slot, _) = self.firm(root_fp)?;
        self.item(slot, item)?;
        let key = records::data_key(slot, item, DataField::User);
        let value = (!bytes.is_empty()).then(|| codec::encode(bytes));
        self.commit(Vec::from([(key, value)]))?;
        Ok(Reply::Done)
    }
}

/// Fields of an entry that hold something, by their numbers.
pub(crate) fn present(
    store: &mut impl Store,
    slot: FirmSlot,
    item: ItemRef,
) -> Result<Fixed<13>, StoreError> {
    let mut found = Fixed([0; 13]);
    for (number, key) in (0..DATA_NUMBERS).zip(records::data_keys(slot, item)) {
        if records::has(store, key)? {
            found.0[usize::from(number / 8)] |= 1 << (number % 8);
        }
    }
    Ok(found)
}

/// Takes all fields of an entry away, in the open transaction.
pub(crate) fn forget(
    store: &mut impl Store,
    slot: FirmSlot,
    item: ItemRef,
) -> Result<(), StoreError> {
    for key in records::data_keys(slot, item) {
        if records::has(store, key)? {
            store.delete(key)?;
        }
    }
    Ok(())
}

/// Who an update is from, and where it puts data.
pub(crate) struct Destination {
    pub root_fp: RootFp,
    pub firm_seq: u64,
    pub slot: FirmSlot,
    pub item: ItemRef,
    pub field: DataField,
}

/// Writes a field as an update says, in the open transaction. `at` is the operation's number.
pub(crate) fn write<P: Platform>(
    parts: &mut Parts<'_, P>,
    to: &Destination,
    content: &DataContent,
    at: u64,
) -> Result<(), Failure> {
    let key = records::data_key(to.slot, to.item, to.field);
    match content {
        DataContent::Plain(bytes) if bytes.is_empty() => {
            parts.store.delete(key).map_err(store_failure)
        }
        DataContent::Plain(bytes) => records::write(parts.store, key, bytes).map_err(store_failure),
        DataContent::Sealed { encapsulated, ciphertext } => {
            let opened = unseal(parts.keys, to, &encapsulated.0, ciphertext);
            let opened = opened.ok_or(ErrorCode::KeySeal.with(at, 0))?;
            let sealed = rest(parts, key, &opened)?;
            records::write(parts.store, key, &sealed).map_err(store_failure)
        }
        _ => Err(ErrorCode::UpdateOp.with(at, 0)),
    }
}

fn unseal(
    keys: &impl Keys,
    to: &Destination,
    encapsulated: &[u8; 65],
    ciphertext: &[u8],
) -> Option<Zeroizing<Vec<u8>>> {
    let id: ContainerId = keys.id();
    let info = sealed_data_info(to.root_fp, id);
    let aad = sealed_data_aad(to.firm_seq, to.item, to.field);
    let mut opened = Zeroizing::new(Vec::from(ciphertext));
    let len = hpke::open(keys.sealing_key(), encapsulated, &info, &aad, &mut opened).ok()?;
    opened.truncate(len);
    (len >= ACCESS_CODE_LEN).then_some(opened)
}

/// Encrypts for the store: records can be read out of a broken container.
fn rest<P: Platform>(
    parts: &mut Parts<'_, P>,
    key: RecordKey,
    opened: &[u8],
) -> Result<SealedData, Failure> {
    let mut nonce = [0; 12];
    parts.random.fill(&mut nonce).map_err(|_| ErrorCode::RandomFailed.failure())?;
    let mut sealed = Zeroizing::new(Vec::from(opened));
    let storage_key = parts.keys.storage_key();
    let tag = aead::seal_in_place(storage_key, &nonce, &key.to_be_bytes(), &mut sealed);
    sealed.extend_from_slice(&tag);
    let sealed = Bytes::new(&sealed[..]).ok_or(ErrorCode::TooLong.failure())?;
    Ok(SealedData { nonce: Fixed(nonce), sealed })
}

/// Access code and data of a sealed field, if it holds something.
pub(crate) fn open_data<P: Platform>(
    parts: &mut Parts<'_, P>,
    key: RecordKey,
) -> Result<Option<Zeroizing<Vec<u8>>>, Failure> {
    let failed = ErrorCode::StoreFailed.failure();
    let stored: Option<SealedData> = records::read(parts.store, key).map_err(store_failure)?;
    let Some(stored) = stored else { return Ok(None) };
    let (sealed, tag) = stored.sealed.split_last_chunk::<16>().ok_or(failed)?;
    let mut opened = Zeroizing::new(Vec::from(sealed));
    let aad = key.to_be_bytes();
    aead::open_in_place(parts.keys.storage_key(), &stored.nonce.0, &aad, &mut opened, tag)
        .map_err(|_| failed)?;
    Ok(Some(opened))
}
