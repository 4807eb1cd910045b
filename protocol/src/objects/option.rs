//! Options: the properties of a Product Item.

use serde::{Deserialize, Serialize};

use super::license::{AccessMode, ItemRef};
use crate::codec::{Fixed, List, Text};
use crate::ids::ContainerId;
use crate::limits::{
    HISTORY_MAX, ITEM_TEXT_LEN_MAX, REGIONS_MAX, TRANSFER_TARGETS_MAX, USER_NAME_LEN_MAX,
};

macro_rules! options {
    ($($(#[$doc:meta])* $name:ident($value:ty) = $number:literal,)*) => {
        /// A property of a Product Item. Numbers are the order here: append, never reorder.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub enum ItemOption {
            $($(#[$doc])* $name($value),)*
        }

        /// Which option. Exhaustive on purpose: whoever lists the options lists all of them, or
        /// does not compile.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u32)]
        pub enum OptionKind {
            $($(#[$doc])* $name = $number,)*
        }

        impl OptionKind {
            /// All options, in the order of their numbers.
            pub const ALL: &'static [OptionKind] = &[$(OptionKind::$name),*];
        }

        impl ItemOption {
            /// Which option it is; its number is that on the wire.
            pub fn kind(&self) -> OptionKind {
                match self {
                    $(ItemOption::$name(_) => OptionKind::$name,)*
                }
            }
        }
    };
}

options! {
    /// Shown to people.
    Text(Text<ITEM_TEXT_LEN_MAX>) = 0,
    /// A use must ask for features that are all set here. Absent: no features.
    FeatureMap(u64) = 1,
    /// Seats at the same time. 0, or absent: local use only, not counted.
    LicenseQuantity(u32) = 2,
    /// First second of use, Unix seconds UTC.
    ActivationTime(u64) = 3,
    /// First second in which use is refused, Unix seconds UTC.
    ExpirationTime(u64) = 4,
    /// Customer-Owned License Information: whose license it is, shown to people.
    CustomerInfo(Text<ITEM_TEXT_LEN_MAX>) = 5,
    /// Ways of counting that this entry refuses.
    DeniedModes(Modes) = 6,
    /// Least version of the library or loader on the host.
    MinimumRuntime(Version) = 7,
    /// Release dates of software that the entry covers.
    MaintenancePeriod(Period) = 8,
    /// Seconds of use from the first use on. The container keeps when that was.
    UsagePeriod(u32) = 9,
    /// By when the license must be renewed.
    Checkpoint(Checkpoint) = 10,
    /// The one user who may use it, by name. The machine says who its user is, so this is worth as
    /// much as its administrator's word.
    NamedUser(Text<USER_NAME_LEN_MAX>) = 11,
    /// Markets in which it may be used. Absent: all.
    Region(List<Country, REGIONS_MAX>) = 12,
    /// Whether it may be used at all. Absent: it may.
    Status(Status) = 13,
    /// Seconds for which a seat stays taken after its use ended; only the same station takes it
    /// again meanwhile.
    LingerTime(u32) = 14,
    /// The entry is paid for by units. The container keeps how many are left.
    UnitCounter(UnitRule) = 15,
    /// What counts as time for this entry. Absent: the container's own clock, or what its vendor
    /// certified and the time that it ran since.
    TimeRule(TimeRule) = 16,
    /// How it may move from container to container. Absent: not at all.
    TransferOptions(Transfer) = 17,
    /// The entry of the same firm whose module this is: what this entry does not say itself, that
    /// one says, and they go together.
    ModuleOf(ItemRef) = 18,
    /// The one user who may use it, by key: a P-256 public key, compressed. Whoever asks proves to
    /// have its private half.
    NamedUserKey(Fixed<33>) = 19,
    /// Containers that had this license before, the first one first. Told, not judged.
    History(List<Held, HISTORY_MAX>) = 20,
}

impl OptionKind {
    /// Whether a module that does not say it itself takes it over.
    pub fn is_inherited(self) -> bool {
        match self {
            OptionKind::ActivationTime
            | OptionKind::ExpirationTime
            | OptionKind::CustomerInfo
            | OptionKind::DeniedModes
            | OptionKind::MinimumRuntime
            | OptionKind::MaintenancePeriod
            | OptionKind::Checkpoint
            | OptionKind::NamedUser
            | OptionKind::Region
            | OptionKind::Status
            | OptionKind::LingerTime
            | OptionKind::TimeRule
            | OptionKind::TransferOptions
            | OptionKind::NamedUserKey => true,
            OptionKind::Text
            | OptionKind::FeatureMap
            | OptionKind::LicenseQuantity
            | OptionKind::UsagePeriod
            | OptionKind::UnitCounter
            | OptionKind::ModuleOf
            | OptionKind::History => false,
        }
    }
}

/// How units are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRule {
    /// Units that one reservation may hold, at most.
    pub reserve_max: u32,
    /// What happens to units whose holder never said how many it used.
    pub lost: LostUnits,
}

/// What happens to units that were reserved and never accounted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum LostUnits {
    /// They count as used once their place is needed.
    Charged,
    /// They stay reserved until the vendor settles them.
    Held,
}

/// What counts as time for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum TimeRule {
    /// Where the container has no clock, that of the host is followed, so far and no further.
    HostOk {
        /// Seconds that the host may be ahead of what was certified and ran since.
        slack_s: u32,
    },
    /// Time must have been certified within this span.
    MustSyncEvery {
        /// Seconds.
        every_s: u32,
    },
    /// Only the time in which the container ran since it was certified.
    RuntimeOnly,
    /// After each power-up time must be certified anew.
    FreshToken,
}

/// How a license may move from container to container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transfer {
    /// Ways that are allowed.
    pub ways: TransferWays,
    /// How often it may be passed on.
    pub depth: u8,
    /// Seconds for which it may be borrowed, at most; 0 = any.
    pub borrow_max_s: u32,
    /// Containers that it may go to, in rising order; none = any.
    pub targets: List<ContainerId, TRANSFER_TARGETS_MAX>,
}

/// A set of [`TransferWay`]s: bit *n* for the way of number *n*.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransferWays(pub u8);

/// A way in which a license moves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum TransferWay {
    /// Its holder sends it.
    Push = 0,
    /// Its receiver fetches it.
    Pull = 1,
    /// It may go back.
    Return = 2,
    /// A part of its quantity or units goes.
    Split = 3,
    /// It goes for a time.
    Borrow = 4,
}

impl TransferWay {
    /// All ways, in the order of their numbers.
    pub const ALL: [TransferWay; 5] = [
        TransferWay::Push,
        TransferWay::Pull,
        TransferWay::Return,
        TransferWay::Split,
        TransferWay::Borrow,
    ];
}

impl TransferWays {
    /// The set with `way` in it.
    pub fn with(self, way: TransferWay) -> Self {
        TransferWays(self.0 | 1 << way as u8)
    }

    /// Whether `way` is in it.
    pub fn contains(self, way: TransferWay) -> bool {
        self.0 & 1 << way as u8 != 0
    }
}

/// A container that had a license, and until when.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// The container.
    pub by: ContainerId,
    /// Unix seconds UTC.
    pub until_s: u64,
}

/// A set of [`AccessMode`]s: bit *n* for the mode of number *n*.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Modes(pub u8);

impl Modes {
    /// All modes there are.
    pub const ALL: Modes = Modes(0b1111);

    /// The set with `mode` in it.
    pub fn with(self, mode: AccessMode) -> Self {
        Modes(self.0 | 1 << mode as u8)
    }

    /// Whether `mode` is in it.
    pub fn contains(self, mode: AccessMode) -> bool {
        self.0 & 1 << mode as u8 != 0
    }
}

/// A version: major << 16 | minor << 8 | patch.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Version(pub u32);

impl Version {
    /// Reads `1.2.3`: major up to 65535, the others up to 255. Missing parts are 0.
    pub const fn parse(text: &str) -> Option<Self> {
        let (bytes, mut at) = (text.as_bytes(), 0);
        let (mut parts, mut part) = ([0_u32; 3], 0);
        let mut digits = 0;
        while at < bytes.len() {
            match bytes[at] {
                digit @ b'0'..=b'9' if digits < 5 => {
                    parts[part] = parts[part] * 10 + (digit - b'0') as u32;
                    digits += 1;
                }
                b'.' if digits > 0 && part < 2 => {
                    part += 1;
                    digits = 0;
                }
                _ => return None,
            }
            at += 1;
        }
        let [major, minor, patch] = parts;
        if digits == 0 || major > 0xffff || minor > 0xff || patch > 0xff {
            return None;
        }
        Some(Version(major << 16 | minor << 8 | patch))
    }
}

impl core::fmt::Display for Version {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}.{}.{}", self.0 >> 16, self.0 >> 8 & 0xff, self.0 & 0xff)
    }
}

/// A stretch of time: from the first second on, up to but without the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    /// Unix seconds UTC.
    pub from_s: u64,
    /// Unix seconds UTC.
    pub until_s: u64,
}

/// By when a license must be renewed with its vendor; later it lapses by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// First second in which use is refused, Unix seconds UTC.
    pub lapse_s: u64,
    /// Seconds that a renewal adds.
    pub period_s: u32,
    /// Seconds before the lapse from which on renewal is due.
    pub renew_s: u32,
    /// Seconds before the lapse from which on it is in grace, the last phase.
    pub grace_s: u32,
}

/// A country as two capital letters, ISO 3166-1 alpha-2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Country(pub [u8; 2]);

impl Country {
    /// Reads two letters.
    pub fn parse(text: &str) -> Option<Self> {
        let country = Country(text.as_bytes().try_into().ok()?);
        country.is_one().then_some(country)
    }

    /// Whether it is two capital letters. The default is not: no country is claimed.
    pub fn is_one(self) -> bool {
        self.0.iter().all(u8::is_ascii_uppercase)
    }

    /// As a value of a failure.
    pub fn number(self) -> u64 {
        u16::from_be_bytes(self.0).into()
    }

    /// Back from a value of a failure.
    pub fn from_number(number: u64) -> Option<Self> {
        let country = Country(u16::try_from(number).ok()?.to_be_bytes());
        country.is_one().then_some(country)
    }
}

impl core::fmt::Display for Country {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.0.iter().try_for_each(|letter| core::fmt::Write::write_char(f, char::from(*letter)))
    }
}

/// Whether an entry may be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Status {
    /// It may.
    Enabled,
    /// Not until the vendor enables it again.
    Suspended,
}

impl ItemOption {
    /// Whether its value makes sense by itself.
    pub fn check(&self) -> Result<(), &'static str> {
        let (holds, why) = match self {
            ItemOption::DeniedModes(modes) => {
                (modes.0 & !Modes::ALL.0 == 0 && *modes != Modes::ALL, "no access mode is left")
            }
            ItemOption::MaintenancePeriod(period) => {
                (period.from_s < period.until_s, "the maintenance would end before it begins")
            }
            ItemOption::UsagePeriod(period_s) => (*period_s > 0, "the usage period has no length"),
            ItemOption::Checkpoint(at) => (
                at.grace_s <= at.renew_s && at.renew_s <= at.period_s && at.period_s > 0,
                "a checkpoint's grace lies within its renew window, and that within its period",
            ),
            ItemOption::NamedUser(name) => (!name.is_empty(), "the named user has no name"),
            ItemOption::Region(countries) => (
                !countries.is_empty()
                    && countries.iter().all(|country| country.is_one())
                    && countries.windows(2).all(|pair| pair[0] < pair[1]),
                "a region is a list of countries of two capital letters, in order, each once",
            ),
            ItemOption::UnitCounter(rule) => {
                (rule.reserve_max > 0, "no reservation could hold a unit")
            }
            ItemOption::TimeRule(TimeRule::MustSyncEvery { every_s }) => {
                (*every_s > 0, "time would never be young enough")
            }
            ItemOption::TransferOptions(transfer) => return transfer.check(),
            ItemOption::History(holders) => (
                !holders.is_empty()
                    && holders.windows(2).all(|pair| pair[0].until_s <= pair[1].until_s),
                "the history is empty, or not in order",
            ),
            _ => (true, ""),
        };
        if holds { Ok(()) } else { Err(why) }
    }
}

impl Transfer {
    fn check(&self) -> Result<(), &'static str> {
        let known = TransferWay::ALL.into_iter().fold(TransferWays::default(), TransferWays::with);
        let (ways, borrows) = (self.ways, self.ways.contains(TransferWay::Borrow));
        if ways.0 == 0 || ways.0 & !known.0 != 0 {
            return Err("no way is left in which the license could move");
        }
        if self.depth == 0 {
            return Err("a license that moves may be passed on once at least");
        }
        if self.borrow_max_s > 0 && !borrows {
            return Err("a limit for borrowing where borrowing is not allowed");
        }
        if !self.targets.windows(2).all(|pair| pair[0] < pair[1]) {
            return Err("targets are not in order, or one appears twice");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::encode;
    use alloc::string::ToString;
    use alloc::vec;

    #[test]
    fn the_numbers_are_those_on_the_wire() {
        for (i, kind) in OptionKind::ALL.iter().enumerate() {
            assert_eq!(*kind as usize, i);
        }
        let status = ItemOption::Status(Status::Suspended);
        assert_eq!(encode(&status), [status.kind() as u8, 1]);
        let region = ItemOption::Region(List::new(vec![Country(*b"AT")]).unwrap());
        assert_eq!(encode(&region), [region.kind() as u8, 1, b'A', b'T']);
    }

    #[test]
    fn versions_are_read_as_they_are_written() {
        assert_eq!(Version::parse("1.2.3").unwrap().to_string(), "1.2.3");
        assert_eq!(Version::parse("7"), Some(Version(7 << 16)));
        for wrong in ["", ".", "1.", "1..2", "1.2.3.4", "1.256.0", "65536", "1.2.3-rc", "999999"] {
            assert_eq!(Version::parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn values_that_contradict_themselves_are_refused() {
        let at = Checkpoint { lapse_s: 9, period_s: 30, renew_s: 20, grace_s: 10 };
        let list = |countries: &[&[u8; 2]]| {
            List::new(countries.iter().map(|c| Country(**c)).collect()).unwrap()
        };
        let good = [
            ItemOption::DeniedModes(Modes(0b0111)),
            ItemOption::Checkpoint(at),
            ItemOption::Region(list(&[b"AT", b"DE"])),
        ];
        assert!(good.iter().all(|option| option.check().is_ok()));
        let bad = [
            ItemOption::DeniedModes(Modes::ALL),
            ItemOption::DeniedModes(Modes(0b1_0000)),
            ItemOption::MaintenancePeriod(Period { from_s: 5, until_s: 5 }),
            ItemOption::UsagePeriod(0),
            ItemOption::Checkpoint(Checkpoint { grace_s: 21, ..at }),
            ItemOption::Checkpoint(Checkpoint { renew_s: 31, ..at }),
            ItemOption::NamedUser(Text::new("").unwrap()),
            ItemOption::Region(list(&[])),
            ItemOption::Region(list(&[b"DE", b"AT"])),
            ItemOption::Region(list(&[b"at"])),
        ];
        for option in bad {
            assert!(option.check().is_err(), "{option:?}");
        }
    }
}
