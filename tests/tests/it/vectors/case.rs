//! One use to be judged, and what is expected of it.

use engine::{AfterPowerUp, Circumstances, Presence, Question, Stage, Taken, TimeView};
use protocol::codec::{Fixed, List, Text};
use protocol::errors::Failure;
use protocol::ids::{EntryNumber, Generation, ProductCode, RootFp};
use protocol::objects::device::ClockClass;
use protocol::objects::license::{
    AccessMode, Client, Country, ItemOption, ItemRef, ProductItem, Requirement, Version, user_id,
};

/// The present of all vectors, but for those that move it.
pub(crate) const NOW_S: u64 = 1_750_000_000;

/// When the firm certified time last.
pub(crate) const CERTIFIED_S: u64 = NOW_S - 3600;

/// What comes out: nothing, or the step that refuses, and how.
pub(crate) type Expected = Option<(&'static str, Failure)>;

/// The use is allowed.
pub(crate) const OK: Expected = None;

/// A row of a table: the step it is about, name, what it shows, what is expected, what differs
/// from [`Case::new`].
pub(crate) type Row = (&'static str, &'static str, &'static str, Option<Failure>, fn(&mut Case));

/// A vector.
pub(crate) struct Vector {
    pub(crate) step: &'static str,
    pub(crate) name: String,
    pub(crate) shows: String,
    pub(crate) case: Case,
    pub(crate) expected: Expected,
}

/// A use to be judged.
#[derive(Clone)]
pub(crate) struct Case {
    pub(crate) options: Vec<ItemOption>,
    /// What the entry says whose module this is.
    pub(crate) parent: Option<Vec<ItemOption>>,
    pub(crate) need: Requirement,
    pub(crate) at: Circumstances,
    pub(crate) stage: Stage,
}

/// The entry of all vectors.
pub(crate) const ITEM: ItemRef = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };

/// The one whose module it is, where it is one.
pub(crate) const PARENT: ItemRef = ItemRef { product: ProductCode(1), entry: EntryNumber(2) };

impl Vector {
    /// A row as a vector.
    pub(crate) fn of((step, name, shows, failure, change): Row) -> Self {
        let mut case = Case::new();
        change(&mut case);
        let expected = failure.map(|failure| (step, failure));
        Vector { step, name: format!("{step}: {name}"), shows: shows.into(), case, expected }
    }
}

impl Case {
    /// A use that is allowed: no option, nothing required, a container that runs without a clock.
    pub(crate) fn new() -> Self {
        let need = Requirement {
            root_fp: RootFp::new([0x33; 16]),
            product: ITEM.product,
            features: 0,
            units: 0,
            release_s: 0,
            access: AccessMode::UserLimit,
            certified_age_s: 0,
            generation: Generation(1),
        };
        let time = TimeView {
            class: ClockClass::Session,
            clock_s: 0,
            reach_s: NOW_S,
            certified_s: CERTIFIED_S,
            host_s: 0,
            is_fresh: false,
        };
        let client = Client {
            runtime: Version::parse("1.2.3").expect("a version"),
            market: Country(*b"AT"),
            user: user_id("anna"),
            station: Fixed([9; 16]),
        };
        let at = Circumstances {
            has: Presence::ALL,
            time,
            first_use_s: 0,
            units: 0,
            taken: Taken::default(),
            after_power_up: AfterPowerUp::default(),
            client,
            user_key: None,
        };
        Case { options: Vec::new(), parent: None, need, at, stage: Stage::Begins }
    }

    /// Gives the entry an option.
    pub(crate) fn set(&mut self, option: ItemOption) {
        self.options.push(option);
        self.options.sort_by_key(ItemOption::kind);
    }

    /// Makes the entry a module of one with these options.
    pub(crate) fn module_of(&mut self, parent: Vec<ItemOption>) {
        self.set(ItemOption::ModuleOf(PARENT));
        self.parent = Some(parent);
    }

    /// The entry as the vendor set it.
    pub(crate) fn native(&self) -> ProductItem {
        entry(ITEM, self.options.clone())
    }

    /// The entry whose module it is, as the vendor set it.
    pub(crate) fn parent(&self) -> Option<ProductItem> {
        self.parent.clone().map(|options| entry(PARENT, options))
    }

    /// What is judged.
    pub(crate) fn effective(&self) -> ProductItem {
        let native = self.native();
        self.parent().map_or(native.clone(), |parent| native.effective(&parent))
    }

    /// The question that the use is.
    pub(crate) fn question<'a>(&'a self, item: &'a ProductItem) -> Question<'a> {
        Question { item, requirement: &self.need, at: self.at, stage: self.stage }
    }
}

/// A short text.
pub(crate) fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("a short text")
}

/// A few values.
pub(crate) fn list<T, const MAX: usize>(values: Vec<T>) -> List<T, MAX> {
    List::new(values).expect("few values")
}

fn entry(item: ItemRef, options: Vec<ItemOption>) -> ProductItem {
    ProductItem { item, options: list(options) }
}
