//! The records that Central keeps, one type for each table.

use protocol::ids::{ContainerKind, EntryNumber, ProductCode};
use protocol::objects::device::{ClockClass, DeviceBody};
use protocol::objects::license::ItemRef;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::Ledger;
use vendor::ledger::Point;

use super::journal::Claim;
use super::objects;
use super::shops::UndoneOrder;
use super::terms::{Options, Terms};
use super::work::Record;
use crate::store::{Table, Value, tables};

/// A firm that Central issues for: a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Vendor {
    /// `ven_…`
    pub id: String,
    /// Its name, as in its root.
    pub name: String,
    /// Fingerprint of its first root, hexadecimal.
    pub root_fp: String,
    /// Whether it is for simulated containers only.
    pub test: bool,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// What a key of the API may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum RoleName {
    /// Everything, keys and vendors included.
    Owner,
    /// Everything but keys and vendors.
    Admin,
    /// Orders, tickets, grants.
    Issuer,
    /// Looks at everything of customers; blocks lost containers.
    Support,
    /// Looks at everything, the audit included.
    Auditor,
    /// Looks at orders and reports.
    Billing,
    /// A shop or ERP: makes orders.
    Integration,
}

/// A key of the API.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ApiKey {
    /// `key_…`, the part that is shown.
    pub id: String,
    /// The tenant it is for.
    pub vendor: String,
    /// What it is for, for people.
    pub name: String,
    /// What it may do.
    pub role: RoleName,
    /// Keyed hash of its secret part, hexadecimal.
    pub secret_hash: String,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it ended, if it did.
    pub revoked_ms: Option<i64>,
}

/// A product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Product {
    /// Its Product Code.
    pub code: u32,
    /// Its name.
    pub name: String,
    /// Terms that its licenses have, unless the item or the order says otherwise.
    #[serde(default)]
    pub terms: Terms,
    /// Generation of its item key.
    #[serde(default)]
    pub generation: u16,
    /// When a license that lapsed is free again, though its container may have slept past that.
    #[serde(default)]
    pub reclaim: Reclaim,
    /// Whether customers get it back by themselves when they lost its container.
    #[serde(default, deserialize_with = "objects::maybe")]
    pub restore: Option<RestoreRule>,
}

/// How customers get a license back whose container they lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RestoreRule {
    /// How often within the period, for one ticket.
    pub times: u32,
    /// The period, seconds.
    pub period_s: u32,
    /// How long they wait for it, seconds.
    pub wait_s: u32,
}

/// What becomes of a license whose container was not heard of when it lapsed. Where the container
/// cannot have slept past the lapse, it is free then, whatever this says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
pub enum Reclaim {
    /// Free after the lapse for soft licenses, never for others.
    #[default]
    SoftOnly,
    /// It waits for the container, or for a person.
    Never,
    /// Free so many seconds after the lapse; booked as a risk that two use it.
    After(u32),
}

/// What is sold under one number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Item {
    /// Its number, as in the shop.
    pub sku: String,
    /// Its name.
    pub name: String,
    /// The products that it consists of.
    #[serde(deserialize_with = "objects::many")]
    pub parts: Vec<Part>,
    /// What the quantity of an order multiplies.
    #[serde(default)]
    pub counts: Counts,
}

/// One product of an item.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// Its Product Code.
    pub product: u32,
    /// Terms that go before those of the product.
    #[serde(default)]
    pub terms: Terms,
}

/// What the quantity of an order multiplies.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Counts {
    /// Devices on which the ticket is redeemed.
    #[default]
    Devices,
    /// Seats of the one license.
    Seats,
    /// Units of the one license.
    Units,
}

/// A customer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Customer {
    /// `cus_…`
    pub id: String,
    /// Name.
    pub name: String,
    /// Number in the shop or ERP; unique.
    pub reference: Option<String>,
    /// Where tickets go.
    pub email: Option<String>,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// One line of an order, for one period.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Order {
    /// `ord_…`
    pub id: String,
    /// Number in the shop or ERP.
    pub number: String,
    /// Its line.
    pub line: u32,
    /// The period that is paid for, such as `2027-03`; empty for what is bought once.
    pub period: String,
    /// The customer.
    pub customer: Option<String>,
    /// What was ordered.
    pub sku: String,
    /// How many.
    pub quantity: u32,
    /// The ticket that was made of it.
    pub ticket: String,
    /// The ticket whose licenses it replaces.
    #[serde(default)]
    pub replaces: Option<String>,
    /// How it was undone in the shop that it came from, if it was: a person decides what follows.
    #[serde(default)]
    pub undone: Option<UndoneOrder>,
    /// When it came, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// A ticket: what a customer redeems.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Ticket {
    /// `tic_…`
    pub id: String,
    /// Hash of its code, hexadecimal. The code itself is kept nowhere.
    pub code_hash: String,
    /// The first characters of its code, by which people tell tickets apart.
    pub hint: String,
    /// The order.
    pub order: String,
    /// Whether it may be redeemed.
    pub state: TicketState,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When customers got licenses of it back whose container they had lost.
    #[serde(default)]
    pub restored_ms: Vec<i64>,
}

/// Whether a ticket may be redeemed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum TicketState {
    /// It may, as far as something of it is left.
    Open,
    /// Not any more; what was redeemed stays until it is withdrawn too.
    Withdrawn,
}

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
    /// How often it was freed while a container may still have been using it.
    #[serde(default)]
    pub overlaps: u32,
    /// The epoch in which that was so last.
    #[serde(default)]
    pub risked_epoch: Option<u32>,
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
        /// Whether it is on its way back: seats that are held may be given back or lapse, and none
        /// is given.
        ends: bool,
    },
    /// Nowhere, for good.
    Withdrawn,
}

/// A counter of seats: 16 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(try_from = "String", into = "String")]
#[schema(value_type = String)]
pub struct CounterId(pub i64);

/// With what seats of a grant are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatCredential {
    /// `crd_…`, the part that is shown.
    pub id: String,
    /// The grant.
    pub grant: String,
    /// Its product.
    pub product: u32,
    /// The counter of its seats.
    pub counter: CounterId,
    /// How often whoever holds a seat says so.
    pub heartbeat_s: u32,
    /// Keyed hash of its secret part, hexadecimal.
    pub secret_hash: String,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it ended, if it did.
    pub revoked_ms: Option<i64>,
}

/// A container, as Central knows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Container {
    /// Its id, 32 hexadecimal digits.
    pub id: String,
    /// Its serial, for people.
    pub serial: String,
    /// Its certificate, hexadecimal.
    pub certificate: String,
    /// Whether it gets licenses.
    pub state: ContainerState,
    /// Its home, as its certificate has it.
    pub home: Home,
    /// Where the chain was when it was first seen.
    #[schema(value_type = Object)]
    pub origin: Point,
    /// Whether all its entries are written anew at its next contact, since a person decided that
    /// what it showed counts.
    #[serde(default)]
    pub rewrite: bool,
    /// Whose it is, as far as tickets say.
    pub customer: Option<String>,
    /// The chain of updates: where it is, and what is under way.
    #[schema(value_type = Object)]
    pub chain: Ledger,
    /// Version of the vendor's root that it showed.
    pub root_version: u32,
    /// Epoch of the vendor's revocations that it showed.
    pub revocation_epoch: u32,
    /// When it was first seen, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it was last seen.
    pub seen_ms: i64,
}

/// Where a container keeps its state, and what it knows of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Home {
    /// What it is.
    pub kind: HomeKind,
    /// Whether it has a clock of its own with a battery.
    pub has_clock: bool,
    /// Whether it takes signed time and carries it on by its own ticks.
    pub takes_time: bool,
}

/// What a container is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum HomeKind {
    /// A dongle.
    Dongle,
    /// A soft license, bound to a TPM.
    Tpm,
    /// Hosted by License Central.
    Cloud,
    /// Something that this version does not know.
    Other,
}

/// Whether a container gets licenses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum ContainerState {
    /// It does.
    Active,
    /// It showed what nothing that was issued leads to: a person decides.
    Differs,
    /// Not any more: lost, revoked, or decommissioned.
    Blocked,
}

/// A container that showed what nothing that was issued leads to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Case {
    /// `cas_…`
    pub id: String,
    /// The container.
    pub container: String,
    /// Number that it showed.
    pub shown: u64,
    /// The last number that it had proved.
    pub known: u64,
    /// The context file that it sent, hexadecimal: signed by it, so it can be shown to others.
    pub evidence: String,
    /// When it came, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// What a person decided, once somebody did.
    pub decision: Option<Decision>,
}

/// What becomes of a container that showed something unknown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// What it showed counts: it was programmed elsewhere. All its entries are written anew.
    Adopt,
    /// It gets nothing more. What it has cannot be taken out: no update would fit its state.
    Block,
    /// What it showed is left aside: it goes on from the last number that it had proved.
    Dismiss,
}

/// An update that was issued to a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct IssuedUpdate {
    /// The container, its number there, and which one of that number.
    pub id: String,
    /// The container.
    pub container: String,
    /// Its number.
    pub seq: u64,
    /// The header that is signed, hexadecimal.
    pub header: String,
    /// Its body, hexadecimal.
    pub body: String,
    /// What it does, for people.
    pub what: String,
    /// What it does to grants.
    pub effects: Vec<Effect>,
    /// What explains it, as the signer's journal has it.
    #[serde(default)]
    pub claims: Vec<Claim>,
    /// What became of it.
    pub state: UpdateState,
    /// When it was issued, milliseconds since 1970 UTC.
    pub issued_ms: i64,
}

/// What an update does to a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Effect {
    /// The grant.
    pub grant: String,
    /// Its epoch then.
    pub epoch: u32,
    /// What is done.
    pub kind: EffectKind,
    /// How it stands in the container afterwards.
    #[serde(default)]
    pub standing: Standing,
}

/// What is done to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum EffectKind {
    /// It comes into the container.
    Install,
    /// Its entry is written anew.
    Renew,
    /// It leaves the container.
    Release,
}

/// What became of an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UpdateState {
    /// Not known: it may be applied at any time.
    Outstanding,
    /// The container proved that it applied it.
    Confirmed,
    /// The container proved that it never will.
    Dead,
}

/// A request that was answered. Repeated under its key it gets the same answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// Who asked, and under which key.
    pub key: String,
    /// Hash of the request, hexadecimal.
    pub request: String,
    /// Status of the answer.
    pub status: u16,
    /// The answer, JSON.
    pub body: String,
    /// Until when it is kept, milliseconds since 1970 UTC.
    pub until_ms: i64,
}

/// A credential that was revoked: a list that grows at its end, by which other instances learn it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeatRevocation {
    /// `rev_…`, with the time.
    pub id: String,
    /// The credential.
    pub credential: String,
}

/// Ties a type to its table.
macro_rules! record {
    ($type:ident, $table:ident, $own:ident => $id:expr, [$($column:expr),* $(,)?]) => {
        impl Record for $type {
            const TABLE: &'static Table = &tables::$table;

            fn id(&self) -> String {
                let $own = self;
                $id
            }

            fn columns(&self) -> Vec<Value> {
                let $own = self;
                let _ = $own;
                vec![$($column.into()),*]
            }
        }
    };
}

record!(Vendor, VENDOR, own => own.id.clone(), [own.name.as_str()]);
record!(ApiKey, API_KEY, own => own.id.clone(), [own.vendor.as_str()]);
record!(Product, PRODUCT, own => Product::id_of(own.code), []);
record!(Item, ITEM, own => own.sku.clone(), []);
record!(Customer, CUSTOMER, own => own.id.clone(), [own.reference.clone(), own.email.clone()]);
record!(Order, ORDER, own => own.id.clone(), [
    own.key(),
    own.customer.clone(),
    Order::line_of(&own.number, own.line),
]);
record!(Ticket, TICKET, own => own.id.clone(), [own.code_hash.as_str(), own.order.as_str()]);
record!(Grant, GRANT, own => own.id.clone(), [
    own.ticket.as_str(),
    own.place.container(),
    own.place.name(),
    own.due_ms(),
    own.assigned.clone(),
]);
record!(Container, CONTAINER, own => own.id.clone(), [
    own.serial.as_str(),
    own.customer.clone(),
    own.state.name(),
]);
record!(IssuedUpdate, UPDATE, own => own.id.clone(), [own.container.as_str(), own.state.name()]);
record!(Case, CASE, own => own.id.clone(), [
    own.container.as_str(),
    if own.decision.is_some() { "closed" } else { "open" },
]);
record!(SeatCredential, SEAT_CREDENTIAL, own => own.id.clone(), [own.grant.as_str()]);
record!(SeatRevocation, SEAT_REVOCATION, own => own.id.clone(), []);
record!(Answer, ANSWER, own => own.key.clone(), [own.until_ms]);

impl Product {
    /// Its id: the code, with zeros in front, so that products are listed by their numbers.
    pub fn id_of(code: u32) -> String {
        format!("{code:010}")
    }
}

impl Order {
    /// What makes an order the same: a shop that repeats its call orders once.
    pub fn key_of(number: &str, line: u32, period: &str) -> String {
        format!("{}/{period}", Self::line_of(number, line))
    }

    /// What the periods of one subscription have in common.
    pub fn line_of(number: &str, line: u32) -> String {
        // The length keeps `1/2` + `3` apart from `1` + `2/3`.
        format!("{}:{number}/{line}", number.len())
    }

    fn key(&self) -> String {
        Self::key_of(&self.number, self.line, &self.period)
    }
}

impl Home {
    /// What a certificate says.
    pub fn of(device: &DeviceBody) -> Self {
        let kind = match device.kind {
            ContainerKind::Dongle => HomeKind::Dongle,
            ContainerKind::Tpm => HomeKind::Tpm,
            ContainerKind::Cloud => HomeKind::Cloud,
            _ => HomeKind::Other,
        };
        Home {
            kind,
            has_clock: device.clock == ClockClass::Rtc,
            takes_time: device.clock == ClockClass::Signed,
        }
    }
}

impl ContainerState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            ContainerState::Active => "active",
            ContainerState::Differs => "differs",
            ContainerState::Blocked => "blocked",
        }
    }
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

impl UpdateState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            UpdateState::Outstanding => "outstanding",
            UpdateState::Confirmed => "confirmed",
            UpdateState::Dead => "dead",
        }
    }
}

impl TryFrom<String> for CounterId {
    type Error = std::num::ParseIntError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        i64::from_str_radix(&text, 16).map(CounterId)
    }
}

impl From<CounterId> for String {
    fn from(id: CounterId) -> Self {
        format!("{:016x}", id.0)
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
            overlaps: 0,
            risked_epoch: None,
            followed_by: None,
            follows: None,
        }
    }

    /// Books that it is freed while its container may still use it.
    pub fn book_risk(&mut self) {
        self.overlaps += 1;
        self.risked_epoch = Some(self.epoch);
    }

    /// From when on it may be free again without a receipt.
    fn due_ms(&self) -> Option<i64> {
        let lapse_ms = self.max_lapse_s.map(|s| i64::try_from(s).unwrap_or(i64::MAX / 1000) * 1000);
        [lapse_ms, self.lost_until_ms].into_iter().flatten().min()
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
        self.place == Place::Pool && self.wanted == Standing::Active && self.follows.is_none()
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
