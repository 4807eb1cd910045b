//! The most that the signer signs: a file beside the keys, which no route of the server reaches.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::ProductCode;
use protocol::objects::update::{ProductRange, UnitsChange, UpdateOp};
use serde::{Deserialize, Serialize};
use vendor::files;

/// What `init` writes.
pub const FIRST: &str = include_str!("first_caps.toml");

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CapsFile {
    caps: Caps,
    /// Of single vendors, in place of the others.
    #[serde(default)]
    vendor: BTreeMap<String, Caps>,
}

/// The most that is signed for one vendor.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Caps {
    /// Products that anything is signed for.
    products: Products,
    /// Whether licenses may be made perpetual.
    perpetual: bool,
    /// Time tokens in one day (UTC). Files from before there were any do not name it.
    #[serde(default = "usual_times")]
    times: u64,
    /// Certificates for containers of soft licenses in one day (UTC), as time tokens.
    #[serde(default = "usual_certificates")]
    certificates: u64,
    /// In one update.
    update: Sums,
    /// In one day (UTC).
    day: Sums,
}

/// What is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sums {
    /// Updates.
    #[serde(default = "one")]
    pub updates: u64,
    /// Entries that are written, renewals included: by what it signs, the signer cannot tell them
    /// apart.
    pub installs: u64,
    /// Seats of these entries.
    pub seats: u64,
    /// Units that are added.
    pub units: u64,
}

fn one() -> u64 {
    1
}

fn usual_times() -> u64 {
    1_000_000
}

fn usual_certificates() -> u64 {
    10_000
}

/// Products.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Written")]
enum Products {
    All,
    These(Vec<ProductRange>),
}

/// Products as they are written.
#[derive(Deserialize)]
#[serde(untagged)]
enum Written {
    Word(String),
    Ranges(Vec<String>),
}

impl CapsFile {
    /// Reads the file, which its owner alone may read and write.
    ///
    /// # Errors
    /// It is missing, others may write it, or it says what is not understood.
    pub fn read(path: &Path) -> Result<Self, Shown> {
        let data = std::fs::symlink_metadata(path).map_err(|error| Shown::io(path, &error))?;
        if data.mode() & 0o077 != 0 || !data.is_file() {
            let title = format!("{} is not for its owner only", path.display());
            return Err(Shown::usage(title, "Take the others' rights away: chmod 600."));
        }
        let bytes = files::read(path)?;
        Self::parse(files::text(&bytes)?).map_err(|error| error.about(path.display()))
    }

    /// Reads its text.
    ///
    /// # Errors
    /// It says what is not understood.
    pub fn parse(text: &str) -> Result<Self, Shown> {
        let hint = "Correct it. Each number must be there: a cap that is missing is none.";
        toml::from_str(text).map_err(|error| Shown::usage(error.message(), hint))
    }

    /// The caps of a vendor.
    pub fn of(&self, vendor: &str) -> Caps {
        self.vendor.get(vendor).unwrap_or(&self.caps).clone()
    }
}

impl Caps {
    /// Refuses one update that has too much, or what is not for sale.
    ///
    /// # Errors
    /// Names the cap and both values.
    pub fn check_update(&self, ops: &[UpdateOp]) -> Result<(), Shown> {
        for op in ops {
            self.check_op(op)?;
        }
        let over = Sums::of(ops).over(&self.update);
        over.map_or(Ok(()), |over| Err(over.refused(ErrorCode::CapOfUpdate, "update")))
    }

    /// Refuses what a day would come to.
    ///
    /// # Errors
    /// Names the cap and both values.
    pub fn check_day(&self, sums: Sums) -> Result<(), Shown> {
        let over = sums.over(&self.day);
        over.map_or(Ok(()), |over| Err(over.refused(ErrorCode::CapOfDay, "day")))
    }

    /// Refuses a time token more than a day may have: `count` with this one.
    ///
    /// # Errors
    /// Names the cap and both values.
    pub fn check_times(&self, count: u64) -> Result<(), Shown> {
        let over = Over { name: "times", value: count, most: self.times };
        if count > self.times { Err(over.refused(ErrorCode::CapOfDay, "caps")) } else { Ok(()) }
    }

    /// Refuses a certificate for a container more than a day may have: `count` with this one.
    ///
    /// # Errors
    /// Names the cap and both values.
    pub fn check_certificates(&self, count: u64) -> Result<(), Shown> {
        let over = Over { name: "certificates", value: count, most: self.certificates };
        let is_over = count > self.certificates;
        if is_over { Err(over.refused(ErrorCode::CapOfDay, "caps")) } else { Ok(()) }
    }

    fn check_op(&self, op: &UpdateOp) -> Result<(), Shown> {
        let one = |product: ProductCode| ProductRange { first: product, last: product };
        let range = match op {
            UpdateOp::SetItem(item) => one(item.item.product),
            UpdateOp::SetKey(key) => one(key.product),
            UpdateOp::SetData { item, .. } | UpdateOp::Units { item, .. } => one(item.product),
            UpdateOp::Perpetuate(range) if !self.perpetual => {
                let refused = Shown::from(ErrorCode::CapOfProduct.with(range.first.0.into(), 0));
                return Err(refused.detailed("signer.toml: perpetual"));
            }
            UpdateOp::Perpetuate(range) => *range,
            // What only takes away, or opens what was locked, needs no cap.
            _ => return Ok(()),
        };
        if self.products.have(&range) {
            return Ok(());
        }
        let refused = Shown::from(ErrorCode::CapOfProduct.with(range.first.0.into(), 0));
        Err(refused.detailed("signer.toml: products"))
    }
}

/// A sum that passes its cap.
struct Over {
    name: &'static str,
    value: u64,
    most: u64,
}

impl Over {
    fn refused(self, code: ErrorCode, table: &str) -> Shown {
        let name = self.name;
        let refused = Shown::from(code.with(self.value, self.most));
        refused.about(name).detailed(format_args!("signer.toml: {table}.{name}"))
    }
}

impl Sums {
    /// What one update has.
    pub fn of(ops: &[UpdateOp]) -> Self {
        let mut sums = Sums { updates: 1, ..Sums::default() };
        for op in ops {
            match op {
                UpdateOp::SetItem(item) => {
                    sums.installs += 1;
                    // Local use is a use too.
                    sums.seats += u64::from(item.quantity().max(1));
                }
                UpdateOp::Units { change: UnitsChange::Add(units), .. } => {
                    sums.units = sums.units.saturating_add(*units);
                }
                UpdateOp::Perpetuate(_) => sums.installs += 1,
                _ => {}
            }
        }
        sums
    }

    /// Both.
    pub fn plus(self, other: Self) -> Self {
        Sums {
            updates: self.updates.saturating_add(other.updates),
            installs: self.installs.saturating_add(other.installs),
            seats: self.seats.saturating_add(other.seats),
            units: self.units.saturating_add(other.units),
        }
    }

    fn over(&self, most: &Sums) -> Option<Over> {
        let pairs = [
            ("updates", self.updates, most.updates),
            ("installs", self.installs, most.installs),
            ("seats", self.seats, most.seats),
            ("units", self.units, most.units),
        ];
        let mut over = pairs.into_iter().filter(|(_, value, most)| value > most);
        over.next().map(|(name, value, most)| Over { name, value, most })
    }
}

impl Products {
    fn have(&self, range: &ProductRange) -> bool {
        match self {
            Products::All => true,
            Products::These(ranges) => ranges.iter().any(|own| range.is_within(own)),
        }
    }
}

impl TryFrom<Written> for Products {
    type Error = String;

    fn try_from(written: Written) -> Result<Self, String> {
        match written {
            Written::Word(word) if word == "all" => Ok(Products::All),
            Written::Word(word) => Err(format!("products: {word:?} is not \"all\"")),
            Written::Ranges(texts) => {
                let ranges = texts.iter().map(|text| range(text));
                ranges.collect::<Result<_, _>>().map(Products::These)
            }
        }
    }
}

/// `7`, or `1-99`.
fn range(text: &str) -> Result<ProductRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let code = |text: &str| text.trim().parse().map(ProductCode);
    match (code(first), code(last)) {
        (Ok(first), Ok(last)) if first <= last => Ok(ProductRange { first, last }),
        _ => Err(format!("products: {text:?} is no Product Code, and no range such as 1-99")),
    }
}
