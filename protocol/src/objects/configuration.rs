//! A firm's configuration in a container: the records that its `config_hash` is the hash of.
//!
//! One behind the other they are exactly the bytes that are hashed, so they are compared with a
//! signed hash first and taken apart afterwards.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Bytes};
use crate::ids::{EntryNumber, Generation, ProductCode};
use crate::limits::{CONFIGURATION_LEN_MAX, CONFIGURATION_VALUE_LEN_MAX, DATA_LEN_MAX};
use crate::objects::data::{DATA_NUMBERS, DataField};
use crate::objects::license::{ItemRef, ProductItem};

/// First byte of the key of an entry.
pub const ITEM_KIND: u8 = 0x20;

/// First byte of the key of an item key.
pub const ITEM_KEY_KIND: u8 = 0x21;

/// First byte of the key of the data field of number 0; that of number *n* follows in place *n*.
pub const DATA_KIND: u8 = 0x40;

/// Bytes in front of a value: key, length.
const RECORD_HEAD_LEN: usize = 8 + 4;

/// A record as a container tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigurationRecord {
    /// Kind, 0, product, number.
    pub key: u64,
    /// An encoded entry or readable data; empty for what is kept sealed.
    pub value: Bytes<CONFIGURATION_VALUE_LEN_MAX>,
}

impl ConfigurationRecord {
    /// Adds it to bytes that are hashed: key (8), length (4), value.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&record_head(self.key, self.value.len()));
        out.extend_from_slice(&self.value);
    }
}

/// What stands in front of a value where it is hashed.
pub fn record_head(key: u64, value_len: usize) -> [u8; RECORD_HEAD_LEN] {
    let mut head = [0; RECORD_HEAD_LEN];
    head[..8].copy_from_slice(&key.to_be_bytes());
    head[8..].copy_from_slice(&(value_len as u32).to_be_bytes());
    head
}

/// A record, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Configured {
    /// An entry.
    Item(ProductItem),
    /// That there is an item key.
    Key(ProductCode, Generation),
    /// A data field: what it holds where it can be read, or that it holds something.
    Data(ItemRef, DataField, Option<Bytes<DATA_LEN_MAX>>),
}

/// Takes a whole configuration apart, whose hash was compared; `None` where a container would not
/// have written it: another order, keys of nothing, values that are not canonical, bytes left over.
pub fn read_configuration(mut bytes: &[u8]) -> Option<Vec<Configured>> {
    let (mut all, mut last) = (Vec::new(), None);
    if bytes.len() > CONFIGURATION_LEN_MAX {
        return None;
    }
    while !bytes.is_empty() {
        let (key, rest) = bytes.split_first_chunk::<8>()?;
        let (len, rest) = rest.split_first_chunk::<4>()?;
        let (key, len) = (u64::from_be_bytes(*key), u32::from_be_bytes(*len) as usize);
        let (value, rest) = rest.split_at_checked(len)?;
        if len > CONFIGURATION_VALUE_LEN_MAX || last.is_some_and(|last| last >= key) {
            return None;
        }
        all.push(read_record(key, value)?);
        (last, bytes) = (Some(key), rest);
    }
    Some(all)
}

fn read_record(key: u64, value: &[u8]) -> Option<Configured> {
    let [kind, slot, p0, p1, p2, p3, n0, n1] = key.to_be_bytes();
    let (product, number) = (u32::from_be_bytes([p0, p1, p2, p3]), u16::from_be_bytes([n0, n1]));
    let product = ProductCode(product);
    let item = ItemRef { product, entry: EntryNumber(number) };
    if slot != 0 {
        return None;
    }
    match kind {
        ITEM_KIND => {
            let read: ProductItem = codec::decode(value, CONFIGURATION_VALUE_LEN_MAX).ok()?;
            (read.item == item).then_some(Configured::Item(read))
        }
        ITEM_KEY_KIND => value.is_empty().then_some(Configured::Key(product, Generation(number))),
        _ => {
            let number = kind.checked_sub(DATA_KIND).filter(|number| *number < DATA_NUMBERS)?;
            let field = DataField::of_number(number)?;
            // The owner's data is no part of a configuration.
            if field == DataField::User || field.is_sealed() != value.is_empty() {
                return None;
            }
            let read = match field.is_sealed() {
                true => None,
                false => Some(codec::decode(value, CONFIGURATION_VALUE_LEN_MAX).ok()?),
            };
            Some(Configured::Data(item, field, read))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{List, encode};
    use crate::objects::license::ItemOption;

    const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(1) };

    fn record(kind: u8, number: u16, value: &[u8]) -> Vec<u8> {
        let key = u64::from(kind) << 56 | 7 << 16 | u64::from(number);
        let mut out = Vec::new();
        ConfigurationRecord { key, value: Bytes::new(value).unwrap() }.write(&mut out);
        out
    }

    fn item() -> Vec<u8> {
        let options = List::new(alloc::vec![ItemOption::FeatureMap(5)]).unwrap();
        encode(&ProductItem { item: ITEM, options })
    }

    #[test]
    fn records_are_read_as_they_are_written() {
        let data = encode(&Bytes::<DATA_LEN_MAX>::new([9; 3]).unwrap());
        let hidden = DATA_KIND + DataField::Hidden(2).number();
        let all = [
            record(ITEM_KIND, 1, &item()),
            record(ITEM_KEY_KIND, 3, &[]),
            record(DATA_KIND + 1, 1, &data),
            record(hidden, 1, &[]),
        ];
        let read = read_configuration(&all.concat()).unwrap();
        let bytes = Bytes::new([9; 3]).unwrap();
        assert!(matches!(&read[0], Configured::Item(read) if read.item == ITEM));
        let rest = [
            Configured::Key(ITEM.product, Generation(3)),
            Configured::Data(ITEM, DataField::Protected, Some(bytes)),
            Configured::Data(ITEM, DataField::Hidden(2), None),
        ];
        assert_eq!(read[1..], rest);
        assert_eq!(read_configuration(&[]), Some(Vec::new()));
    }

    #[test]
    fn what_no_container_writes_is_refused() {
        let (item, key) = (record(ITEM_KIND, 1, &item()), record(ITEM_KEY_KIND, 3, &[]));
        for wrong in [
            [&key[..], &item].concat(),
            [&key[..], &key].concat(),
            [&item[..], &[0]].concat(),
            item[..item.len() - 1].to_vec(),
            record(ITEM_KIND, 2, &item[12..]),
            record(ITEM_KEY_KIND, 3, &[1]),
            record(DATA_KIND, 1, &[1, 9]),
            record(DATA_KIND + 1, 1, &[]),
            record(DATA_KIND + DataField::Secret(0).number(), 1, &[1, 9]),
            record(DATA_KIND + DATA_NUMBERS, 1, &[]),
            record(0x10, 1, &[]),
        ] {
            assert_eq!(read_configuration(&wrong), None, "{wrong:x?}");
        }
        let mut other_slot = key.clone();
        other_slot[1] = 1;
        assert_eq!(read_configuration(&other_slot), None);
    }
}
