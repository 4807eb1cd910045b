//! Terms of a license: what a template says, and what becomes of it when it is issued.

use protocol::codec::{self, List};
use protocol::ids::{EntryNumber, ProductCode, hex};
use protocol::limits::ITEM_OPTIONS_MAX;
use protocol::objects::license::{ItemOption, ItemRef, ProductItem, Status, TimeRule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::OptionArgs;
use vendor::times::Times;

use super::env::Env;
use super::objects;
use super::orders::unhex;
use super::refusal::{Outcome, Refusal};

/// Bytes of the longest list of options, as an update has it.
const OPTIONS_LEN_MAX: usize = protocol::limits::OP_LEN_MAX;

/// Options as people write them: the names of the flags of `strongroom vendor issue`, such as
/// `{"quantity": 3, "expires": "+1y"}`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(transparent)]
#[schema(value_type = Object)]
pub struct Terms(#[serde(deserialize_with = "objects::one")] OptionArgs);

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

    /// Whether it is of a module, which goes only where its parent is.
    pub fn is_module(&self) -> bool {
        self.0.module_of.is_some()
    }

    /// Refuses terms that no license can have: before they are sold.
    pub fn check(&self, product: u32, env: &Env<'_>) -> Outcome<()> {
        self.fix(env, 1)?.item(product, 0).map(drop)
    }

    /// The options, with times counted from now, for so many periods that were paid.
    pub fn fix(&self, env: &Env<'_>, periods: u32) -> Outcome<Options> {
        let options = Options::new(&self.0.options_at(&Times::utc(env.now_s()))?);
        match self.later(env.now_s(), periods) {
            Some(end_s) => options.expiring(end_s),
            None => Ok(options),
        }
    }

    /// When a license that ends at `from_s` ends with so many periods more; none where its end is
    /// not told by a span.
    pub fn later(&self, from_s: u64, periods: u32) -> Option<u64> {
        Times::utc(from_s).later(self.0.expires.as_deref()?, periods)
    }
}

impl Options {
    /// Those that an entry has.
    pub fn of(item: &ProductItem) -> Self {
        Options::new(&item.options)
    }

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
        self.changed(|option| {
            if let ItemOption::Checkpoint(at) = option {
                at.lapse_s = now_s.saturating_add(u64::from(at.period_s));
            }
        })
    }

    /// The entry that they make theirs a module of.
    pub fn module_of(&self) -> Outcome<Option<ItemRef>> {
        Ok(self.list()?.iter().find_map(|option| match option {
            ItemOption::ModuleOf(parent) => Some(*parent),
            _ => None,
        }))
    }

    /// The same, as a module of that entry, where they are of a module.
    pub fn belonging_to(&self, parent: ItemRef) -> Outcome<Self> {
        self.changed(|option| {
            if let ItemOption::ModuleOf(own) = option {
                *own = parent;
            }
        })
    }

    /// Whether they refuse every use.
    pub fn is_suspended(&self) -> Outcome<bool> {
        Ok(self.list()?.contains(&ItemOption::Status(Status::Suspended)))
    }

    /// The same, suspended or not.
    pub fn suspended(&self, suspended: bool) -> Outcome<Self> {
        let mut options = self.list()?.into_vec();
        options.retain(|option| !matches!(option, ItemOption::Status(_)));
        if suspended {
            options.push(ItemOption::Status(Status::Suspended));
            options.sort_by_key(ItemOption::kind);
        }
        let list = List::new(options).ok_or_else(|| Refusal::malformed("too many options"))?;
        Ok(Options::new(&list))
    }

    /// When they end, where they do.
    pub fn expires_s(&self) -> Outcome<Option<u64>> {
        Ok(self.list()?.iter().find_map(|option| match option {
            ItemOption::ExpirationTime(at_s) => Some(*at_s),
            _ => None,
        }))
    }

    /// The same, ending then.
    pub fn expiring(&self, end_s: u64) -> Outcome<Self> {
        self.changed(|option| {
            if let ItemOption::ExpirationTime(at_s) = option {
                *at_s = end_s;
            }
        })
    }

    fn changed(&self, change: impl FnMut(&mut ItemOption)) -> Outcome<Self> {
        let mut options = self.list()?.into_vec();
        options.iter_mut().for_each(change);
        let list = List::new(options).ok_or_else(|| Refusal::malformed("too many options"))?;
        Ok(Options::new(&list))
    }

    /// Whether each power-up needs time that is certified anew.
    pub fn needs_fresh_time(&self) -> Outcome<bool> {
        Ok(self.list()?.contains(&ItemOption::TimeRule(TimeRule::FreshToken)))
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
