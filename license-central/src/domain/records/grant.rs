//! A license that was sold, for one activation: where it is, and how it stands.

use protocol::ids::{EntryNumber, ProductCode};
use protocol::objects::license::ItemRef;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::super::refusal::Outcome;
use super::super::terms::{Options, Terms};
use super::CounterId;

/// An entitlement that Central accounts for: one license that is in one container at most.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Grant {
    /// `gra_…`
    pub id: String,
    /// The ticket that it came with.
    pub ticket: String,
    /// The product.
    pub product: u32,
    /// Which of the ticket's activations it belongs to, from 0.
    pub device: u32,
    /// What was sold.
    pub terms: Terms,
    /// Where it is.
    pub place: Place,
    /// Rises with each container that it goes into.
    pub epoch: u32,
    /// Its options as they were last issued; times are fixed when it is first issued.
    #[serde(default)]
    pub options: Option<Options>,
    /// The last second, Unix, in which any license that was issued of it may be used, grace
    /// included; none where one does not end by itself.
    pub max_lapse_s: Option<u64>,
    /// Periods that were paid for.
    #[serde(default = "one_period")]
    pub periods: u32,
    /// When it shall end, Unix seconds, as far as an order moved that.
    #[serde(default)]
    pub until_s: Option<u64>,
    /// What the vendor wants.
    #[serde(default)]
    pub wanted: Standing,
    /// What its container proved last; in no container, what the vendor wants.
    #[serde(default)]
    pub proven: Standing,
    /// Serial of the container that gets it when it next asks, without a ticket.
    #[serde(default)]
    pub assigned: Option<String>,
    /// The number that its entry has in the container that it is assigned to, where it is there
    /// already.
    #[serde(default)]
    pub entry: Option<u16>,
    /// When it is free though its container was lost, milliseconds since 1970 UTC.
    #[serde(default)]
    pub lost_until_ms: Option<i64>,
    /// When it is free again, milliseconds since 1970 UTC, where seats of it may be held of which
    /// the records know nothing, since they were put back.
    #[serde(default)]
    pub seats_until_ms: Option<i64>,
    /// How often it was freed while a container may still have been using it.
    #[serde(default)]
    pub overlaps: u32,
    /// The epoch in which that was so last.
    #[serde(default)]
    pub risked_epoch: Option<u32>,
    /// Whether its units have not gone into a container: they do with the next update.
    #[serde(default)]
    pub units_due: bool,
    /// Whether its entry is written anew at its container's next contact, since what is there is
    /// not what was issued last, or not known.
    #[serde(default)]
    pub rewrite: bool,
    /// The ticket whose licenses take its place, where an order replaced it.
    #[serde(default)]
    pub followed_by: Option<String>,
    /// The ticket whose licenses it takes the place of: it is free once they are out.
    #[serde(default)]
    pub follows: Option<String>,
}

fn one_period() -> u32 {
    1
}

/// Whether a license may be used.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema,
)]
#[serde(rename_all = "kebab-case")]
pub enum Standing {
    /// It may.
    #[default]
    Active,
    /// Not until it is reinstated.
    Suspended,
    /// Never again.
    Withdrawn,
}

/// Where a grant is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "state")]
pub enum Place {
    /// In no container.
    Pool,
    /// In a container, or on its way into it.
    Held {
        /// The container.
        container: String,
        /// Number of the entry there.
        entry: u16,
    },
    /// On its way out of a container: it may still be used there.
    Releasing {
        /// The container.
        container: String,
        /// Number of the entry there.
        entry: u16,
    },
    /// Here: Central itself gives its seats.
    Served {
        /// The counter of its seats.
        counter: CounterId,
        /// How often whoever holds one says so.
        heartbeat_s: u32,
        /// Without that, until one is lost: with the next, what a counter that is lost is made by.
        timeout_s: u32,
        /// For how long one stays taken behind that.
        linger_s: u32,
        /// Whether it is on its way back: seats that are held may be given back or lapse, and none
        /// is given.
        ends: bool,
    },
    /// Nowhere, for good.
    Withdrawn,
}

impl Standing {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            Standing::Active => "active",
            Standing::Suspended => "suspended",
            Standing::Withdrawn => "withdrawn",
        }
    }
}

impl Grant {
    /// What a ticket has of a product for one activation; in no container.
    pub fn new(id: String, ticket: &str, (product, device): (u32, u32), terms: Terms) -> Self {
        Grant {
            id,
            ticket: ticket.to_owned(),
            product,
            device,
            units_due: terms.units() > 0,
            rewrite: false,
            terms,
            place: Place::Pool,
            epoch: 0,
            options: None,
            max_lapse_s: None,
            periods: 1,
            until_s: None,
            wanted: Standing::Active,
            proven: Standing::Active,
            assigned: None,
            entry: None,
            lost_until_ms: None,
            seats_until_ms: None,
            overlaps: 0,
            risked_epoch: None,
            followed_by: None,
            follows: None,
        }
    }

    /// Whether it leaves its container, whatever the container is.
    pub fn is_leaving(&self) -> bool {
        self.wanted == Standing::Withdrawn || self.followed_by.is_some()
    }

    /// The entry that it belongs to, as a module.
    pub fn module_of(&self) -> Outcome<Option<ItemRef>> {
        self.options.as_ref().map_or(Ok(None), Options::module_of)
    }

    /// Books that it is freed while its container may still use it.
    pub fn book_risk(&mut self) {
        self.overlaps += 1;
        self.risked_epoch = Some(self.epoch);
    }

    /// From when on it may be free again without a receipt.
    pub(super) fn due_ms(&self) -> Option<i64> {
        let lapse_ms = self.max_lapse_s.map(|s| i64::try_from(s).unwrap_or(i64::MAX / 1000) * 1000);
        [lapse_ms, self.lost_until_ms, self.seats_until_ms].into_iter().flatten().min()
    }

    /// Whether the container of this serial may get it.
    pub fn is_free_for(&self, serial: &str) -> bool {
        let is_meant = self.assigned.as_deref().is_none_or(|own| own == serial);
        is_meant && self.is_unbound()
    }

    /// Whether anybody may get it who has its ticket.
    pub fn is_free(&self) -> bool {
        self.assigned.is_none() && self.is_unbound()
    }

    fn is_unbound(&self) -> bool {
        self.is_at_hand() && self.follows.is_none()
    }

    /// Whether it is nowhere, and may go somewhere as soon as it follows nothing.
    pub fn is_at_hand(&self) -> bool {
        self.place == Place::Pool
            && self.wanted == Standing::Active
            && self.seats_until_ms.is_none()
    }

    /// Whether it is gone for good, and nobody uses a seat of it.
    pub fn is_gone(&self) -> bool {
        self.place == Place::Withdrawn && self.seats_until_ms.is_none()
    }

    /// Which entry it is in a container.
    pub fn item_ref(&self, entry: u16) -> ItemRef {
        ItemRef { product: ProductCode(self.product), entry: EntryNumber(entry) }
    }
}

impl Place {
    /// Number of its entry, where it is in a container.
    pub fn entry(&self) -> Option<u16> {
        match self {
            Place::Held { entry, .. } | Place::Releasing { entry, .. } => Some(*entry),
            Place::Pool | Place::Served { .. } | Place::Withdrawn => None,
        }
    }

    /// The container that it is in, or on its way to or from.
    pub fn container(&self) -> Option<&str> {
        match self {
            Place::Held { container, .. } | Place::Releasing { container, .. } => Some(container),
            Place::Pool | Place::Served { .. } | Place::Withdrawn => None,
        }
    }

    /// The word for it.
    pub fn name(&self) -> &'static str {
        match self {
            Place::Pool => "pool",
            Place::Held { .. } => "held",
            Place::Releasing { .. } => "releasing",
            Place::Served { .. } => "served",
            Place::Withdrawn => "withdrawn",
        }
    }
}
