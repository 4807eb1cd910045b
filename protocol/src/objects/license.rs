//! A Product Item with its options, and what a program requires of one.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

pub use super::option::{
    Checkpoint, Country, Held, ItemOption, LostUnits, Modes, OptionKind, Period, Status, TimeRule,
    Transfer, TransferWay, TransferWays, UnitRule, Version,
};
use crate::codec::{Fixed, List};
use crate::crypto::hash::Sha256;
use crate::ids::{EntryNumber, Generation, ProductCode, RootFp};
use crate::limits::ITEM_OPTIONS_MAX;

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

/// The value of an option of this kind, if the entry has one.
macro_rules! get {
    ($item:expr, $option:ident) => {
        $item.options.iter().find_map(|option| match option {
            ItemOption::$option(value) => Some(value),
            _ => None,
        })
    };
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
        if !self.options.windows(2).all(|pair| pair[0].kind() < pair[1].kind()) {
            return Err("options are not in rising order, or one appears twice");
        }
        let start_s = self.activation_s();
        if self.expiration_s().is_some_and(|end_s| end_s <= start_s) {
            return Err("the license would expire before it becomes active");
        }
        if self.checkpoint().is_some_and(|at| at.lapse_s <= start_s) {
            return Err("the license would lapse before it becomes active");
        }
        if self.module_of() == Some(self.item) {
            return Err("an entry cannot be a module of itself");
        }
        if self.named_user().is_some() && self.named_user_key().is_some() {
            return Err("the one user is named twice, by name and by key");
        }
        if self.lends_beyond_its_end() {
            return Err("it could be borrowed for longer than until its checkpoint");
        }
        self.options.iter().try_for_each(ItemOption::check)
    }

    fn lends_beyond_its_end(&self) -> bool {
        let (Some(transfer), Some(at)) = (self.transfer(), self.checkpoint()) else { return false };
        transfer.ways.contains(TransferWay::Borrow)
            && (transfer.borrow_max_s == 0 || transfer.borrow_max_s > at.period_s)
    }

    /// The entry with what it takes over from the one whose module it is: whatever it does not say
    /// itself of who may use it, when and where. A suspension of `parent` holds in any case.
    pub fn effective(&self, parent: &ProductItem) -> ProductItem {
        let mut options = Vec::from(&*self.options);
        if parent.status() == Status::Suspended {
            options.retain(|option| option.kind() != OptionKind::Status);
        }
        for option in parent.options.iter().filter(|option| option.kind().is_inherited()) {
            if options.iter().all(|own| own.kind() != option.kind()) {
                options.push(option.clone());
            }
        }
        options.sort_by_key(ItemOption::kind);
        // There are fewer kinds than an entry may have options.
        ProductItem { item: self.item, options: List::new(options).unwrap_or_default() }
    }

    /// Features, all bits of them.
    pub fn features(&self) -> u64 {
        get!(self, FeatureMap).copied().unwrap_or(0)
    }

    /// Seats; 0 = local use only.
    pub fn quantity(&self) -> u32 {
        get!(self, LicenseQuantity).copied().unwrap_or(0)
    }

    /// First second of use; 0 = always.
    pub fn activation_s(&self) -> u64 {
        get!(self, ActivationTime).copied().unwrap_or(0)
    }

    /// First second in which use is refused.
    pub fn expiration_s(&self) -> Option<u64> {
        get!(self, ExpirationTime).copied()
    }

    /// Ways of counting that are refused.
    pub fn denied_modes(&self) -> Modes {
        get!(self, DeniedModes).copied().unwrap_or_default()
    }

    /// Least version of the library or loader on the host.
    pub fn minimum_runtime(&self) -> Version {
        get!(self, MinimumRuntime).copied().unwrap_or_default()
    }

    /// Release dates that are covered.
    pub fn maintenance(&self) -> Option<Period> {
        get!(self, MaintenancePeriod).copied()
    }

    /// Seconds of use from the first use on.
    pub fn usage_period_s(&self) -> Option<u32> {
        get!(self, UsagePeriod).copied()
    }

    /// By when it must be renewed.
    pub fn checkpoint(&self) -> Option<Checkpoint> {
        get!(self, Checkpoint).copied()
    }

    /// The one user who may use it.
    pub fn named_user(&self) -> Option<&str> {
        get!(self, NamedUser).map(|name| &**name)
    }

    /// Markets in which it may be used.
    pub fn region(&self) -> Option<&[Country]> {
        get!(self, Region).map(|countries| &**countries)
    }

    /// Seconds for which a seat stays taken after its use.
    pub fn linger_s(&self) -> u32 {
        get!(self, LingerTime).copied().unwrap_or(0)
    }

    /// How it is paid for by units.
    pub fn units(&self) -> Option<UnitRule> {
        get!(self, UnitCounter).copied()
    }

    /// What counts as time for it.
    pub fn time_rule(&self) -> Option<TimeRule> {
        get!(self, TimeRule).copied()
    }

    /// How it may move.
    pub fn transfer(&self) -> Option<&Transfer> {
        get!(self, TransferOptions)
    }

    /// The entry whose module it is.
    pub fn module_of(&self) -> Option<ItemRef> {
        get!(self, ModuleOf).copied()
    }

    /// The one user who may use it, by key.
    pub fn named_user_key(&self) -> Option<Fixed<33>> {
        get!(self, NamedUserKey).copied()
    }

    /// Whether it may be used at all.
    pub fn status(&self) -> Status {
        get!(self, Status).copied().unwrap_or(Status::Enabled)
    }
}

/// Who asks for a use, as far as the host says so: worth as much as the host. What is not said is
/// zero.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Client {
    /// Version of the library or loader.
    pub runtime: Version,
    /// Market that is claimed.
    pub market: Country,
    /// The user, by [`user_id`].
    pub user: Fixed<16>,
    /// Machine, terminal session, container or pod: equal where a seat may be shared.
    pub station: Fixed<16>,
}

/// How a user's name travels: the first 16 bytes of SHA-256 over label and name.
pub fn user_id(name: &str) -> Fixed<16> {
    let mut hash = Sha256::new();
    hash.update(b"strongroom/user/v1\0");
    hash.update(name.as_bytes());
    Fixed(hash.finish_16())
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
