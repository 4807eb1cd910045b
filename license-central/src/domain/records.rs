//! The records that Central keeps, one type for each table.

mod grant;
mod soft;

use protocol::ids::ContainerKind;
use protocol::objects::device::{ClockClass, DeviceBody};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::Ledger;
use vendor::ledger::Point;

use super::journal::Claim;
use super::objects;
use super::requests::Answered;
use super::shops::UndoneOrder;
use super::terms::Terms;
use super::work::Record;
use crate::store::{Table, Value, tables};

pub use grant::{Grant, Place, Standing};
pub use soft::{
    Authority, Copies, Enrolled, MachineClass, Maker, Proved, SoftRules, TakeOver, TakeOverClaim,
    WhyWaits, identity_in,
};

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
    /// What it may do; for the key of a user, what he might when it was made.
    pub role: RoleName,
    /// Whose it is: he may what his role says, and nothing once he is disabled.
    #[serde(default)]
    pub user: Option<String>,
    /// Keyed hash of its secret part, hexadecimal.
    pub secret_hash: String,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it ended, if it did.
    pub revoked_ms: Option<i64>,
}

/// A person who administers, with any number of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct User {
    /// `usr_…`
    pub id: String,
    /// The tenant.
    pub vendor: String,
    /// The name.
    pub name: String,
    /// What he or she may do.
    pub role: RoleName,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// Since when all keys of the user are refused, if they are.
    pub disabled_ms: Option<i64>,
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
    /// Whether licenses of it that do not end need a physical TPM, where they go into a soft
    /// license's container; without, as the vendor's rules say.
    #[serde(default)]
    pub physical_tpm: Option<bool>,
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
    /// The case by which a person decided that what it showed counts; none once it showed more.
    #[serde(default)]
    pub adopted: Option<String>,
    /// Its last request that was answered, where it makes requests: its home can be copied.
    #[serde(default)]
    pub requests: Option<Answered>,
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
    /// The state that it showed there, hexadecimal.
    #[serde(default)]
    pub state: String,
    /// The last number that it had proved.
    pub known: u64,
    /// The context file that it sent, hexadecimal: signed by it, so it can be shown to others.
    pub evidence: String,
    /// That the container has a copy, if that is what is the matter.
    #[serde(default)]
    pub copy: Option<CopyShown>,
    /// When it came, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// What a person decided, once somebody did.
    pub decision: Option<Decision>,
    /// The container that asks for what this one held, where that is the question.
    #[serde(default)]
    pub claim: Option<TakeOverClaim>,
}

/// What shows that a container has a copy: the case's evidence, and this. Both are signed by the
/// one key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CopyShown {
    /// What the request drew that was not answered, hexadecimal.
    pub draw: String,
    /// The context by which the first one asked, hexadecimal; empty where it is lost.
    pub answered: String,
}

/// What becomes of a container that showed something unknown, or whose place another one takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Decision {
    /// What it showed counts: it was programmed elsewhere. All its entries are written anew. Of a
    /// claim: the other container gets what it held.
    Adopt,
    /// It gets nothing more. What it has cannot be taken out: no update would fit its state. Of a
    /// claim: neither gets anything.
    Block,
    /// What it showed is left aside: it goes on from the last number that it had proved. Of a
    /// claim: it keeps what it has.
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
    /// Whether its units come into the container.
    #[serde(default)]
    pub units: bool,
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
    /// Nobody knows: it was under way when a person decided that another state counts, or is of a
    /// chain that is not the container's. It counts again where its state is adopted once more.
    Unknown,
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
    /// The version that it named, if it did.
    #[serde(default)]
    pub version: Option<i64>,
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
                let _ = $own;
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
record!(User, USER, own => own.id.clone(), [own.vendor.as_str()]);
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
record!(Enrolled, ENROLLED, own => own.id.clone(), [
    own.certificate.is_none().then_some(own.created_ms),
]);
record!(SoftRules, SOFT_RULES, own => SoftRules::ID.to_owned(), []);
record!(Authority, TPM_AUTHORITY, own => own.id.clone(), []);
record!(TakeOver, TAKE_OVER, own => own.id.clone(), [
    own.successor.as_str(),
    own.counted.clone(),
]);
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

impl UpdateState {
    /// The word for it.
    pub fn name(self) -> &'static str {
        match self {
            UpdateState::Outstanding => "outstanding",
            UpdateState::Confirmed => "confirmed",
            UpdateState::Dead => "dead",
            UpdateState::Unknown => "unknown",
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
