//! A Product Item with its options, and what a program requires of one.

use serde::{Deserialize, Serialize};

use crate::codec::{List, Text};
use crate::ids::{EntryNumber, Generation, ProductCode, RootFp};
use crate::limits::{ITEM_OPTIONS_MAX, ITEM_TEXT_LEN_MAX};

/// How a use is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[non_exhaustive]
pub enum AccessMode {
    /// One seat for each open handle.
    UserLimit,
    /// One seat for each machine, terminal session, container or pod.
    StationShare,
    /// One instance for each station.
    Exclusive,
    /// Not counted.
    NoUserLimit,
}

/// A property of a Product Item. Numbers are the order here: append, never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ItemOption {
    /// Shown to people.
    Text(Text<ITEM_TEXT_LEN_MAX>),
    /// A use must ask for features that are all set here. Absent: no features.
    FeatureMap(u64),
    /// Seats at the same time. 0, or absent: local use only, not counted.
    LicenseQuantity(u32),
    /// First second of use, Unix seconds UTC.
    ActivationTime(u64),
    /// First second in which use is refused, Unix seconds UTC.
    ExpirationTime(u64),
}

impl ItemOption {
    /// The option's place in the order, which is its number on the wire.
    pub fn number(&self) -> u32 {
        match self {
            ItemOption::Text(_) => 0,
            ItemOption::FeatureMap(_) => 1,
            ItemOption::LicenseQuantity(_) => 2,
            ItemOption::ActivationTime(_) => 3,
            ItemOption::ExpirationTime(_) => 4,
        }
    }
}

/// Which entry of a firm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ItemRef {
    /// Product.
    pub product: ProductCode,
    /// Number among entries of one product.
    pub entry: EntryNumber,
}

/// A Product Item: one license entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductItem {
    /// Which entry.
    pub item: ItemRef,
    /// Options in rising order of their numbers, each at most once.
    pub options: List<ItemOption, ITEM_OPTIONS_MAX>,
}

impl ProductItem {
    /// Whether the options are in order, each at most once, and do not contradict each other.
    pub fn check(&self) -> Result<(), &'static str> {
        if !self.options.windows(2).all(|pair| pair[0].number() < pair[1].number()) {
            return Err("options are not in rising order, or one appears twice");
        }
        if self.expiration_s().is_some_and(|end| end <= self.activation_s()) {
            return Err("the license would expire before it becomes active");
        }
        Ok(())
    }

    /// Features, all bits of them.
    pub fn features(&self) -> u64 {
        self.find(|option| match option {
            ItemOption::FeatureMap(map) => Some(*map),
            _ => None,
        })
        .unwrap_or(0)
    }

    /// Seats; 0 = local use only.
    pub fn quantity(&self) -> u32 {
        self.find(|option| match option {
            ItemOption::LicenseQuantity(seats) => Some(*seats),
            _ => None,
        })
        .unwrap_or(0)
    }

    /// First second of use; 0 = always.
    pub fn activation_s(&self) -> u64 {
        self.find(|option| match option {
            ItemOption::ActivationTime(at) => Some(*at),
            _ => None,
        })
        .unwrap_or(0)
    }

    /// First second in which use is refused.
    pub fn expiration_s(&self) -> Option<u64> {
        self.find(|option| match option {
            ItemOption::ExpirationTime(at) => Some(*at),
            _ => None,
        })
    }

    /// Text for people.
    pub fn text(&self) -> Option<&str> {
        self.options.iter().find_map(|option| match option {
            ItemOption::Text(text) => Some(&**text),
            _ => None,
        })
    }

    fn find<T>(&self, pick: impl Fn(&ItemOption) -> Option<T>) -> Option<T> {
        self.options.iter().find_map(pick)
    }
}

/// What a program requires before its key is released. It is part of the key: whoever changes it
/// gets another key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirement {
    /// Firm.
    pub root_fp: RootFp,
    /// Product.
    pub product: ProductCode,
    /// Features that must all be set.
    pub features: u64,
    /// Units taken for each use; 0 = none.
    pub units: u32,
    /// Release date of the program, Unix seconds UTC, for maintenance periods; 0 = not dated.
    pub release_s: u64,
    /// How the use is counted.
    pub access: AccessMode,
    /// Age of the container's certified time, at most, in seconds; 0 = any.
    pub certified_age_s: u32,
    /// Generation of the item key.
    pub generation: Generation,
}
