//! Terms of a license: what a template says, and what becomes of it when it is issued.

use protocol::codec::{self, List};
use protocol::ids::{EntryNumber, ProductCode, hex};
use protocol::limits::ITEM_OPTIONS_MAX;
use protocol::objects::license::{ItemOption, ItemRef, ProductItem};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::OptionArgs;

use super::orders::unhex;
use super::refusal::{Outcome, Refusal};

/// Bytes of the longest list of options, as an update has it.
const OPTIONS_LEN_MAX: usize = protocol::limits::OP_LEN_MAX;

/// Options as people write them: the names of the flags of `strongroom vendor issue`, such as
/// `{"quantity": 3, "expires": "+1y"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct Terms(OptionArgs);

/// Options as they go into a container, with times that are fixed. Kept as the bytes that the
/// format has for them, in hexadecimal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
pub struct Options(String);

impl Terms {
    /// These, and where they say nothing those.
    pub fn over(self, other: Terms) -> Self {
        Terms(self.0.over(other.0))
    }

    /// With so many times the seats; one where none were said.
    pub fn times_seats(self, count: u32) -> Outcome<Self> {
        let times = self.0.times_seats(count);
        times.map(Terms).ok_or_else(|| Refusal::malformed(format!("{count} times the seats")))
    }

    /// With so many times the units; one where none were said.
    pub fn times_units(self, count: u32) -> Outcome<Self> {
        let times = self.0.times_units(count);
        times.map(Terms).ok_or_else(|| Refusal::malformed(format!("{count} times the units")))
    }

    /// Units that an issued license gets.
    pub fn units(&self) -> u64 {
        self.0.units_to_add()
    }

    /// Refuses terms that no license can have: before they are sold.
    pub fn check(&self, product: u32) -> Outcome<()> {
        self.fix()?.item(product, 0).map(drop)
    }

    /// The options, with times counted from now.
    pub fn fix(&self) -> Outcome<Options> {
        Ok(Options::new(&self.0.options()?))
    }
}

impl Options {
    fn new(list: &List<ItemOption, ITEM_OPTIONS_MAX>) -> Self {
        Options(hex(&codec::encode(list)))
    }

    pub(super) fn list(&self) -> Outcome<List<ItemOption, ITEM_OPTIONS_MAX>> {
        let damaged = || Refusal::malformed("the options of a grant cannot be read");
        let bytes = unhex(&self.0).ok_or_else(damaged)?;
        codec::decode(&bytes, OPTIONS_LEN_MAX).map_err(|_| damaged())
    }

    /// The entry that they make. Refused where they contradict each other.
    pub fn item(&self, product: u32, entry: u16) -> Outcome<ProductItem> {
        let item = ItemRef { product: ProductCode(product), entry: EntryNumber(entry) };
        let item = ProductItem { item, options: self.list()? };
        item.check().map_err(Refusal::malformed)?;
        Ok(item)
    }

    /// The same, renewed: a checkpoint counts from now again.
    pub fn renewed(&self, now_s: u64) -> Outcome<Self> {
        let mut options = self.list()?.into_vec();
        for option in &mut options {
            if let ItemOption::Checkpoint(at) = option {
                at.lapse_s = now_s.saturating_add(u64::from(at.period_s));
            }
        }
        let list = List::new(options).unwrap_or_default();
        Ok(Options::new(&list))
    }

    /// The last second of use, where one is set: by the checkpoint or the end, whichever is first.
    pub fn lapse_s(&self) -> Outcome<Option<u64>> {
        let list = self.list()?;
        let ends = list.iter().filter_map(|option| match option {
            ItemOption::Checkpoint(at) => Some(at.lapse_s),
            ItemOption::ExpirationTime(at_s) => Some(*at_s),
            _ => None,
        });
        Ok(ends.min())
    }

    /// From when on it is renewed, where it has a checkpoint.
    pub fn renew_from_s(&self) -> Outcome<Option<u64>> {
        let list = self.list()?;
        Ok(list.iter().find_map(|option| match option {
            ItemOption::Checkpoint(at) => Some(at.lapse_s.saturating_sub(at.renew_s.into())),
            _ => None,
        }))
    }
}
