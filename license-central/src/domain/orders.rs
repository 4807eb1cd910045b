//! From an order to a ticket.

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{hex, parse_hex};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::env::Env;
use super::records::{Counts, Customer, Grant, Item, Order, Place, Product, Ticket, TicketState};
use super::refusal::{Outcome, Refusal};
use super::terms::Terms;
use super::ticket_code::TicketCode;
use super::work::{Stored, Work};
use super::{serving, standing};
use crate::store::Filter;

/// Activations that one ticket may have.
const DEVICES_MAX: u32 = 1000;

/// What a shop or ERP sends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewOrder {
    /// Number of the order there.
    pub number: String,
    /// Its line.
    #[serde(default = "first_line")]
    #[schema(value_type = u64, maximum = 4294967295_u64)]
    pub line: u32,
    /// The period that is paid for, such as `2027-03`; empty for what is bought once.
    #[serde(default)]
    pub period: String,
    /// The item.
    pub sku: String,
    /// How many.
    #[serde(default = "one")]
    #[schema(value_type = u64, maximum = 4294967295_u64)]
    pub quantity: u32,
    /// Who buys: an id of a customer here.
    #[serde(default)]
    pub customer: Option<String>,
    /// Terms that go before those of the item.
    #[serde(default)]
    pub terms: Terms,
    /// The ticket that this order replaces, `tic_…`: an upgrade. Its licenses go out of their
    /// containers by the same update by which the new ones come in.
    #[serde(default)]
    pub replaces: Option<String>,
    /// Who buys, by the number in the shop or ERP, instead of `customer`.
    #[serde(default)]
    pub customer_reference: Option<String>,
    /// Serial of the container that has these licenses already, or gets them: they wait for it,
    /// and nobody redeems a ticket. For licenses that were sold before there was a Central.
    #[serde(default)]
    pub container: Option<String>,
    /// The number that its entry has there.
    #[serde(default)]
    pub entry: Option<u16>,
}

fn first_line() -> u32 {
    1
}

fn one() -> u32 {
    1
}

/// What an order became.
pub struct Ordered {
    /// The order.
    pub order: Order,
    /// Its ticket.
    pub ticket: Ticket,
    /// The ticket's code, if it was made now: it is kept nowhere, and cannot be told again.
    pub code: Option<Zeroizing<String>>,
}

/// Takes an order in: once, however often it is sent. Each of its activations gets a grant for each
/// product of the item. A further period of a line extends the licenses of its ticket.
pub fn order(work: &mut Work<'_>, env: &Env<'_>, new: &NewOrder) -> Outcome<Ordered> {
    let key = Order::key_of(&new.number, new.line, &new.period);
    if let Some(Stored { record: order, .. }) = work.by::<Order>("order_key", key.into())? {
        return repeated(work, new, order);
    }
    let item = work.get::<Item>(&new.sku)?.record;
    let customer = customer(work, new)?;
    let container = new.container.as_deref().map(|serial| serial.trim().to_uppercase());
    if let Some(serial) = &container {
        standing::check_serial(work, serial)?;
    }
    let line = Order::line_of(&new.number, new.line);
    if let Some(first) = work.by::<Order>("line", line.into())? {
        return extend(work, env, new, &first.record);
    }
    let devices = check_quantity(&item, new.quantity)?;
    let code = TicketCode::new(&env.bytes());
    let ticket = Ticket {
        id: env.id("tic"),
        code_hash: hex(&code.hash()),
        hint: code.hint(),
        order: env.id("ord"),
        state: TicketState::Open,
        created_ms: env.now_ms,
        restored_ms: Vec::new(),
    };
    if container.is_some() && devices > 1 {
        return Err(Refusal::malformed(format!("one container cannot have {devices} activations")));
    }
    let order = record(env, new, &ticket, (ticket.order.clone(), customer));
    for device in 0..devices {
        for part in &item.parts {
            let product = work.get::<Product>(&Product::id_of(part.product))?.record;
            let terms = new.terms.clone().over(part.terms.clone()).over(product.terms);
            let terms = match item.counts {
                Counts::Devices => terms,
                Counts::Seats => terms.times_seats(new.quantity)?,
                Counts::Units => terms.times_units(new.quantity)?,
            };
            terms.check(product.code, env)?;
            let mut grant = Grant::new(env.id("gra"), &ticket.id, (product.code, device), terms);
            grant.assigned = container.clone();
            grant.entry = new.entry;
            work.insert(&grant)?;
        }
    }
    work.insert(&order)?;
    work.insert(&ticket)?;
    let what = format!("{} x {} as ticket {}…", new.quantity, new.sku, ticket.hint);
    work.note("order.create", &order.id, what);
    if let Some(old) = &new.replaces {
        replace(work, old, &ticket)?;
    }
    Ok(Ordered { order, ticket, code: Some(code.text()) })
}

/// Who buys, where that is said.
fn customer(work: &mut Work<'_>, new: &NewOrder) -> Outcome<Option<String>> {
    match (&new.customer, &new.customer_reference) {
        (Some(_), Some(_)) => {
            Err(Refusal::malformed("customer and customer_reference: one of them is enough"))
        }
        (Some(id), None) => Ok(Some(work.get::<Customer>(id)?.record.id)),
        (None, Some(reference)) => {
            let found = work.by::<Customer>("reference", reference.as_str().into())?;
            let missing = || Refusal::missing(format!("customer of reference {reference:?}"));
            Ok(Some(found.ok_or_else(missing)?.record.id))
        }
        (None, None) => Ok(None),
    }
}

fn record(
    env: &Env<'_>,
    new: &NewOrder,
    ticket: &Ticket,
    (id, customer): (String, Option<String>),
) -> Order {
    Order {
        id,
        number: new.number.clone(),
        line: new.line,
        period: new.period.clone(),
        customer,
        sku: new.sku.clone(),
        quantity: new.quantity,
        ticket: ticket.id.clone(),
        replaces: new.replaces.clone(),
        undone: None,
        created_ms: env.now_ms,
    }
}

/// A further period: what the ticket of the first one has ends one span later.
fn extend(work: &mut Work<'_>, env: &Env<'_>, new: &NewOrder, first: &Order) -> Outcome<Ordered> {
    if first.sku != new.sku || first.quantity != new.quantity || new.replaces.is_some() {
        let taken = Shown::from(ErrorCode::RecordTaken.failure());
        let what = format!("order {} line {} of another item", new.number, new.line);
        return Err(taken.about(what).into());
    }
    let ticket = work.get::<Ticket>(&first.ticket)?.record;
    for mut grant in grants(work, &ticket.id)? {
        let ends_s = match &grant.record.options {
            Some(options) => grant.record.until_s.or(options.expires_s()?),
            None => Some(env.now_s()),
        };
        let later_s = ends_s.and_then(|ends_s| grant.record.terms.later(ends_s, 1));
        let Some(later_s) = later_s else {
            let product = grant.record.product;
            let why = "its terms do not say by a span, such as +1 month, when it expires";
            return Err(Refusal::malformed(format!("product {product} has no periods: {why}")));
        };
        grant.record.periods = grant.record.periods.saturating_add(1);
        if grant.record.options.is_some() {
            grant.record.until_s = Some(later_s);
        }
        work.update(&grant)?;
    }
    let order = record(env, new, &ticket, (env.id("ord"), first.customer.clone()));
    work.insert(&order)?;
    work.note("order.extend", &order.id, format!("period {} of {}…", new.period, ticket.hint));
    Ok(Ordered { order, ticket, code: None })
}

/// Puts the licenses of a ticket in the place of those of an older one, activation by activation.
/// What of the old one is in no container is gone at once.
fn replace(work: &mut Work<'_>, old: &str, new: &Ticket) -> Outcome<()> {
    let mut ticket = work.get::<Ticket>(old)?;
    if ticket.record.state == TicketState::Withdrawn {
        return Err(ErrorCode::TicketClosed.into());
    }
    ticket.record.state = TicketState::Withdrawn;
    work.update(&ticket)?;
    work.note("ticket.replace", old, format!("by {}…", new.hint));
    for mut grant in grants(work, &new.id)? {
        grant.record.follows = Some(old.to_owned());
        work.update(&grant)?;
    }
    for mut grant in grants(work, old)? {
        grant.record.followed_by = Some(new.id.clone());
        match grant.record.place {
            Place::Pool => standing::leave(work, &mut grant)?,
            _ => {
                work.update(&grant)?;
                serving::stop(work, &mut grant)?;
            }
        }
    }
    // An activation that the old one did not have, or that is gone already, follows nothing.
    let old = grants(work, old)?;
    for mut grant in grants(work, &new.id)? {
        let mut same = old.iter().filter(|one| one.record.device == grant.record.device);
        if same.all(|one| one.record.is_gone()) {
            grant.record.follows = None;
            work.update(&grant)?;
        }
    }
    Ok(())
}

/// The answer to an order that is there already; refused if it says something else now.
fn repeated(work: &mut Work<'_>, new: &NewOrder, order: Order) -> Outcome<Ordered> {
    let same = order.sku == new.sku
        && order.quantity == new.quantity
        && order.replaces == new.replaces
        && (order.customer == new.customer || new.customer.is_none());
    if !same {
        let taken = Shown::from(ErrorCode::RecordTaken.failure());
        return Err(taken.about(format!("order {} line {}", new.number, new.line)).into());
    }
    let ticket = work.get::<Ticket>(&order.ticket)?.record;
    Ok(Ordered { order, ticket, code: None })
}

/// How many activations that makes.
fn check_quantity(item: &Item, quantity: u32) -> Outcome<u32> {
    let devices = if item.counts == Counts::Devices { quantity } else { 1 };
    if quantity == 0 || devices > DEVICES_MAX {
        let why = format!("quantity {quantity}: at least 1, and at most {DEVICES_MAX} devices");
        return Err(Refusal::malformed(why));
    }
    Ok(devices)
}

/// Makes a new code for a ticket; the old one is worth nothing from then on.
pub fn replace_code(
    work: &mut Work<'_>,
    env: &Env<'_>,
    id: &str,
) -> Outcome<(Ticket, Zeroizing<String>)> {
    let mut ticket = work.get::<Ticket>(id)?;
    let code = TicketCode::new(&env.bytes());
    ticket.record.code_hash = hex(&code.hash());
    ticket.record.hint = code.hint();
    work.update(&ticket)?;
    work.note("ticket.replace-code", id, format!("now {}…", ticket.record.hint));
    Ok((ticket.record, code.text()))
}

/// What a ticket has, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TicketView {
    /// The ticket's id.
    pub id: String,
    /// Whether it may be redeemed.
    pub state: TicketState,
    /// Its licenses.
    pub licenses: Vec<LicenseView>,
}

/// One license of a ticket.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LicenseView {
    /// The grant's id.
    pub grant: String,
    /// Product Code.
    pub product: u32,
    /// The product's name.
    pub name: String,
    /// Which activation it belongs to, from 0.
    pub device: u32,
    /// Where it is.
    pub place: Place,
}

/// The ticket of this code. Whether a code is unknown or another tenant's is not told apart.
pub fn by_code(work: &mut Work<'_>, typed: &str) -> Outcome<Stored<Ticket>> {
    let code = TicketCode::parse(typed).map_err(|why| {
        Refusal::Told(Shown::from(ErrorCode::TicketMistyped.failure()).detailed(why))
    })?;
    let found = work.by::<Ticket>("code_hash", hex(&code.hash()).into())?;
    found.ok_or_else(|| ErrorCode::TicketUnknown.into())
}

/// What a ticket has.
pub fn view(work: &mut Work<'_>, ticket: &Ticket) -> Outcome<TicketView> {
    let mut licenses = Vec::new();
    for grant in grants(work, &ticket.id)? {
        let grant = grant.record;
        let product = work.find::<Product>(&Product::id_of(grant.product))?;
        let name = product.map(|product| product.record.name).unwrap_or_default();
        let Grant { id, product, device, place, .. } = grant;
        licenses.push(LicenseView { grant: id, product, name, device, place });
    }
    Ok(TicketView { id: ticket.id.clone(), state: ticket.state, licenses })
}

/// The grants of a ticket, in the order in which they were made.
pub fn grants(work: &mut Work<'_>, ticket: &str) -> Outcome<Vec<Stored<Grant>>> {
    work.all::<Grant>(&Filter::Is("ticket", ticket.into()))
}

/// What [`hex`] made.
pub fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks_exact(2);
    let byte = |pair: &[u8]| parse_hex::<1>(std::str::from_utf8(pair).ok()?).map(|[byte]| byte);
    pairs.remainder().is_empty().then(|| pairs.map(byte).collect::<Option<_>>())?
}
