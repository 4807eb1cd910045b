//! Data fields of an entry: what a vendor, or the container's owner, keeps beside its options.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{Bytes, Fixed};
use crate::ids::{ContainerId, RootFp};
use crate::limits::{DATA_FIELDS_MAX, DATA_LEN_MAX};
use crate::objects::license::ItemRef;

/// Which field of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DataField {
    /// Written by the container's owner, readable.
    User,
    /// Readable.
    Protected,
    /// Readable, one of many.
    ExtendedProtected(u8),
    /// Readable with an access code; a source of keys.
    Hidden(u8),
    /// Never readable; a source of keys.
    Secret(u8),
}

/// Which kind of field. Exhaustive on purpose, as [`crate::objects::option::OptionKind`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DataKind {
    /// [`DataField::User`].
    User,
    /// [`DataField::Protected`].
    Protected,
    /// [`DataField::ExtendedProtected`].
    ExtendedProtected,
    /// [`DataField::Hidden`].
    Hidden,
    /// [`DataField::Secret`].
    Secret,
}

impl DataKind {
    /// All kinds.
    pub const ALL: [DataKind; 5] = [
        DataKind::User,
        DataKind::Protected,
        DataKind::ExtendedProtected,
        DataKind::Hidden,
        DataKind::Secret,
    ];
}

impl DataField {
    /// Which kind it is.
    pub fn kind(self) -> DataKind {
        match self {
            DataField::User => DataKind::User,
            DataField::Protected => DataKind::Protected,
            DataField::ExtendedProtected(_) => DataKind::ExtendedProtected,
            DataField::Hidden(_) => DataKind::Hidden,
            DataField::Secret(_) => DataKind::Secret,
        }
    }

    /// Its number among those of its kind.
    pub fn index(self) -> u8 {
        match self {
            DataField::User | DataField::Protected => 0,
            DataField::ExtendedProtected(index)
            | DataField::Hidden(index)
            | DataField::Secret(index) => index,
        }
    }

    /// Whether there is such a field.
    pub fn is_one(self) -> bool {
        self.index() < DATA_FIELDS_MAX
    }

    /// Whether it travels and rests encrypted.
    pub fn is_sealed(self) -> bool {
        matches!(self.kind(), DataKind::Hidden | DataKind::Secret)
    }

    /// As one number: for failures, and for the keys of records.
    pub fn number(self) -> u8 {
        let base = match self.kind() {
            DataKind::User => 0,
            DataKind::Protected => 1,
            DataKind::ExtendedProtected => 2,
            DataKind::Hidden => 2 + DATA_FIELDS_MAX,
            DataKind::Secret => 2 + 2 * DATA_FIELDS_MAX,
        };
        base + self.index().min(DATA_FIELDS_MAX - 1)
    }

    /// The field of a number.
    pub fn of_number(number: u8) -> Option<Self> {
        let (kind, index) = match number.checked_sub(2) {
            None => return Some(if number == 0 { DataField::User } else { DataField::Protected }),
            Some(rest) => (rest / DATA_FIELDS_MAX, rest % DATA_FIELDS_MAX),
        };
        match kind {
            0 => Some(DataField::ExtendedProtected(index)),
            1 => Some(DataField::Hidden(index)),
            2 => Some(DataField::Secret(index)),
            _ => None,
        }
    }
}

/// Numbers of all fields of an entry: [`DataField::number`] is below.
pub const DATA_NUMBERS: u8 = 2 + 3 * DATA_FIELDS_MAX;

/// What an update writes into a field.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum DataContent {
    /// In clear; empty takes the field away.
    Plain(Bytes<DATA_LEN_MAX>),
    /// Sealed to the container by HPKE (RFC 9180 base mode): the access code (u32, big-endian; zero
    /// for secret data), then the data.
    Sealed {
        /// Encapsulated key, an uncompressed SEC 1 point.
        encapsulated: Fixed<65>,
        /// Code, data, and a tag of 16 bytes.
        ciphertext: Bytes<{ ACCESS_CODE_LEN + DATA_LEN_MAX + 16 }>,
    },
}

/// Bytes of an access code in front of sealed data.
pub const ACCESS_CODE_LEN: usize = 4;

/// `info` of HPKE: suite label, firm, container.
pub fn sealed_data_info(root_fp: RootFp, container: ContainerId) -> Vec<u8> {
    let mut info = Vec::from(&b"strongroom/sealed-data/v1\0"[..]);
    info.extend_from_slice(root_fp.bytes());
    info.extend_from_slice(container.bytes());
    info
}

/// `aad` of HPKE: `firm_seq`, product, entry, number of the field, big-endian.
pub fn sealed_data_aad(firm_seq: u64, item: ItemRef, field: DataField) -> Vec<u8> {
    let mut aad = Vec::from(firm_seq.to_be_bytes());
    aad.extend_from_slice(&item.product.0.to_be_bytes());
    aad.extend_from_slice(&item.entry.0.to_be_bytes());
    aad.push(field.number());
    aad
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_number_of_its_own() {
        let all = (0..DATA_FIELDS_MAX).flat_map(|index| {
            [
                DataField::ExtendedProtected(index),
                DataField::Hidden(index),
                DataField::Secret(index),
            ]
        });
        let all = all.chain([DataField::User, DataField::Protected]);
        let numbered = |field: DataField| {
            assert_eq!(DataField::of_number(field.number()), Some(field));
            field.number()
        };
        let mut numbers: Vec<u8> = all.map(numbered).collect();
        assert_eq!(DataField::of_number(DATA_NUMBERS), None);
        numbers.sort_unstable();
        assert_eq!(numbers, (0..DATA_NUMBERS).collect::<Vec<u8>>());
    }
}
