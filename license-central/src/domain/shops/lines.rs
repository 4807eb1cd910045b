//! Lines of a shop's orders, and what becomes of them.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::told::{Renews, Sale, Sold, Told, Undoing, UndoneKind, UndoneOrder, plain};
use super::{Mapped, OnRefund, Shop};
use crate::domain::catalog::{self, NewCustomer};
use crate::domain::env::Env;
use crate::domain::orders::{self, NewOrder};
use crate::domain::records::{Customer, Item, Order, Standing};
use crate::domain::refusal::{Outcome, Refusal};
use crate::domain::standing::{self, Reason};
use crate::domain::work::{Record, Stored, Work};
use crate::store::{Filter, Page, Table, Value, tables};

/// Lines of one order of a shop.
const LINES_MAX: usize = 200;

/// Lines that are tried again at once.
const REPLAY_MAX: usize = 500;

/// The line that stands for all of an order of which nothing else is known.
const ALL_LINES: &str = "*";

/// A line of an order in a shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ShopLine {
    /// `spl_…`
    pub id: String,
    /// The shop.
    pub shop: String,
    /// The order there.
    pub shop_order: String,
    /// Its line there.
    pub shop_line: String,
    /// The number of the line here, from 1.
    pub line: u32,
    /// What the shop calls the product, the most exact first.
    pub keys: Vec<String>,
    /// Its name there.
    pub name: String,
    /// How many.
    pub quantity: u32,
    /// The subscription that it renews, where it does; empty where that is not known yet.
    pub renews: Option<String>,
    /// The customer.
    pub customer: Option<String>,
    /// What became of it.
    pub state: LineState,
    /// Why it waits, or what is odd.
    pub why: Option<String>,
    /// The order that it became.
    pub order: Option<String>,
    /// How it was undone in the shop, if it was.
    pub undone: Option<UndoneKind>,
    /// When it came, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum LineState {
    /// It cannot become an order yet.
    Waiting,
    /// It is an order.
    Ordered,
    /// Nothing of ours is sold with it.
    Foreign,
    /// It was undone before it became an order.
    Undone,
}

/// What belongs to what in a shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Link {
    id: String,
    to: String,
}

impl Record for Link {
    const TABLE: &'static Table = &tables::SHOP_LINK;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Record for ShopLine {
    const TABLE: &'static Table = &tables::SHOP_LINE;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        let order = order_key(&self.shop, &self.shop_order);
        let line = format!("{order}/{}", self.shop_line);
        vec![line.into(), order.into(), state_key(&self.shop, self.state).into()]
    }
}

impl LineState {
    fn name(self) -> &'static str {
        match self {
            LineState::Waiting => "waiting",
            LineState::Ordered => "ordered",
            LineState::Foreign => "foreign",
            LineState::Undone => "undone",
        }
    }
}

fn order_key(shop: &str, order: &str) -> String {
    format!("{shop}/{order}")
}

fn state_key(shop: &str, state: LineState) -> String {
    format!("{shop}/{}", state.name())
}

/// Takes in what a message says; the lines that it is about, as they are then. The same message
/// again changes nothing. Where `is_live`, an order without money is none.
pub fn take(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    (told, is_live): (&[Told], bool),
) -> Outcome<Vec<ShopLine>> {
    let mut lines = Vec::new();
    for one in told {
        lines.extend(match one {
            Told::Paid(sale) if is_live && sale.is_test => Vec::new(),
            Told::Paid(sale) => sold(work, env, shop, sale)?,
            Told::Undone(undoing) => undone(work, env, shop, undoing)?,
            Told::Subscribed { subscription, first_order } => {
                link(work, shop, ("subscription", subscription), first_order)?;
                let waits = |line: &ShopLine| line.renews.as_deref() == Some(subscription);
                again(work, env, shop, waits)?
            }
            Told::Renewed { order, subscription } => {
                link(work, shop, ("order", order), subscription)?;
                let waits = |line: &ShopLine| line.shop_order == *order && line.renews.is_some();
                again(work, env, shop, waits)?
            }
        });
    }
    Ok(lines)
}

/// Tries the lines of a shop again that wait.
pub fn replay(work: &mut Work<'_>, env: &Env<'_>, shop: &Shop) -> Outcome<Vec<ShopLine>> {
    let lines = again(work, env, shop, |_| true)?;
    work.note("shop.replay", &shop.id, format!("{} lines", lines.len()));
    Ok(lines)
}

fn again(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    is_meant: impl Fn(&ShopLine) -> bool,
) -> Outcome<Vec<ShopLine>> {
    let waiting = Filter::Is("shop_state", state_key(&shop.id, LineState::Waiting).into());
    let mut meant = Vec::new();
    let mut after: Option<String> = None;
    while meant.len() < REPLAY_MAX {
        let page = Page { after: after.as_deref(), limit: REPLAY_MAX };
        let found = work.list::<ShopLine>(&waiting, &page)?;
        let Some(last) = found.last() else { break };
        after = Some(last.record.id.clone());
        meant.extend(found.into_iter().filter(|line| is_meant(&line.record)));
    }
    meant.truncate(REPLAY_MAX);
    meant.into_iter().map(|line| settle(work, env, shop, line)).collect()
}

fn link(work: &mut Work<'_>, shop: &Shop, (kind, name): (&str, &str), to: &str) -> Outcome<()> {
    let record = Link { id: format!("{}/{kind}/{name}", shop.id), to: to.to_owned() };
    match work.find::<Link>(&record.id)? {
        None => work.insert(&record),
        // The first word counts: what a period was added to does not move.
        Some(_) => Ok(()),
    }
}

fn linked(work: &mut Work<'_>, shop: &Shop, (kind, name): (&str, &str)) -> Outcome<Option<String>> {
    let found = work.find::<Link>(&format!("{}/{kind}/{name}", shop.id))?;
    Ok(found.map(|link| link.record.to))
}

/// The lines of an order in a shop, as far as they are known.
fn lines_of(work: &mut Work<'_>, shop: &Shop, order: &str) -> Outcome<Vec<Stored<ShopLine>>> {
    work.all::<ShopLine>(&Filter::Is("shop_order", order_key(&shop.id, order).into()))
}

fn sold(work: &mut Work<'_>, env: &Env<'_>, shop: &Shop, sale: &Sale) -> Outcome<Vec<ShopLine>> {
    if sale.lines.len() > LINES_MAX {
        return Err(Refusal::malformed(format!("an order has at most {LINES_MAX} lines")));
    }
    let known = lines_of(work, shop, &sale.order)?;
    let is_undone = known.iter().any(|line| line.record.shop_line == ALL_LINES);
    let mut next = known.iter().map(|line| line.record.line).max().unwrap_or(0);
    let mut settled = Vec::new();
    for one in &sale.lines {
        let mut old = known.iter().filter(|line| line.record.shop_line == one.id);
        let line = match old.next() {
            Some(old) => same(work, one, old.clone())?,
            None => {
                next += 1;
                let mut line = new_line(env, shop, (sale, one), next);
                line.customer = customer(work, env, shop, sale)?;
                line.undone = is_undone.then_some(UndoneKind::Canceled);
                work.insert(&line)?;
                Stored { version: 1, record: line }
            }
        };
        settled.push(settle(work, env, shop, line)?);
    }
    Ok(settled)
}

fn new_line(env: &Env<'_>, shop: &Shop, (sale, one): (&Sale, &Sold), line: u32) -> ShopLine {
    ShopLine {
        id: env.id("spl"),
        shop: shop.id.clone(),
        shop_order: sale.order.clone(),
        shop_line: one.id.clone(),
        line,
        keys: one.keys.clone(),
        name: plain(&one.name),
        quantity: one.quantity,
        renews: match &sale.renews {
            Renews::Nothing => None,
            Renews::Subscription(id) => Some(id.clone()),
            Renews::Unnamed => Some(String::new()),
        },
        customer: None,
        state: LineState::Waiting,
        why: None,
        order: None,
        undone: None,
        created_ms: env.now_ms,
    }
}

/// A line that is told again: how many it is about does not change what was ordered, and is said.
fn same(work: &mut Work<'_>, now: &Sold, mut old: Stored<ShopLine>) -> Outcome<Stored<ShopLine>> {
    if old.record.quantity == now.quantity {
        return Ok(old);
    }
    if old.record.state == LineState::Ordered {
        let why = format!("the shop says quantity {} now", now.quantity);
        if old.record.why.as_deref() == Some(&*why) {
            return Ok(old);
        }
        work.note("shop.differs", &old.record.id, &why);
        old.record.why = Some(why);
    } else {
        old.record.quantity = now.quantity;
    }
    work.update(&old)?;
    Ok(old)
}

/// The customer of a sale: found by the number there, or added.
fn customer(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    sale: &Sale,
) -> Outcome<Option<String>> {
    let Some(buyer) = &sale.buyer else { return Ok(None) };
    let reference = format!("{}:{}", shop.name, buyer.reference);
    if let Some(known) = work.by::<Customer>("reference", reference.as_str().into())? {
        return Ok(Some(known.record.id));
    }
    let (name, email) = (buyer.name.clone(), buyer.email.clone());
    let new = NewCustomer { name, reference: Some(reference), email };
    Ok(Some(catalog::create_customer(work, env, &new)?.id))
}

/// Makes an order of a line that waits, or says why it cannot be one.
fn settle(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    mut line: Stored<ShopLine>,
) -> Outcome<ShopLine> {
    if line.record.state != LineState::Waiting {
        return Ok(line.record);
    }
    let before = line.record.clone();
    let mark = work.mark();
    match ordered(work, env, shop, &mut line.record) {
        Ok(()) => {}
        Err(Refusal::Told(why)) => {
            work.back_to(mark);
            let utc = |at_s| format!("second {at_s} after 1970 UTC");
            line.record.why = Some(plain(&why.title(&utc)));
        }
        Err(failed) => return Err(failed),
    }
    if line.record != before {
        work.update(&line)?;
        let ShopLine { id, state, why, .. } = &line.record;
        let why = why.as_deref().unwrap_or_default();
        work.note("shop.line", id, format!("{}: {why}", state.name()));
    }
    Ok(line.record)
}

fn ordered(work: &mut Work<'_>, env: &Env<'_>, shop: &Shop, line: &mut ShopLine) -> Outcome<()> {
    if line.undone.is_some_and(|kind| kind != UndoneKind::PartlyRefunded) {
        line.state = LineState::Undone;
        return Ok(());
    }
    let new = match (&line.renews, item(work, shop, line)?) {
        (_, None) => {
            (line.state, line.why) = (LineState::Foreign, None);
            return Ok(());
        }
        (None, Some(sku)) => new_order(shop, line, sku),
        (Some(_), Some(_)) => further(work, shop, line)?,
    };
    let made = orders::order(work, env, &new)?;
    line.order = Some(made.order.id);
    (line.state, line.why) = (LineState::Ordered, None);
    Ok(())
}

/// The item of a line: what is mapped, else the item of the same number; none where nothing of
/// ours is sold with it.
fn item(work: &mut Work<'_>, shop: &Shop, line: &ShopLine) -> Outcome<Option<String>> {
    if let Some(Mapped { item, .. }) = shop.mapped(&line.keys) {
        return Ok(item.clone());
    }
    for sku in line.keys.iter().filter_map(|key| key.strip_prefix("sku:")) {
        if work.find::<Item>(sku)?.is_some() {
            return Ok(Some(sku.to_owned()));
        }
    }
    Err(Refusal::missing(format!("item for {}", line.keys.join(", "))))
}

fn new_order(shop: &Shop, line: &ShopLine, sku: String) -> NewOrder {
    NewOrder {
        number: format!("{}:{}", shop.name, line.shop_order),
        line: line.line,
        period: String::new(),
        sku,
        quantity: line.quantity,
        customer: line.customer.clone(),
        terms: Default::default(),
        replaces: None,
        customer_reference: None,
        container: None,
        entry: None,
    }
}

/// A further period of the order that a subscription began with: under that one's number and line,
/// and with its own number as the period.
fn further(work: &mut Work<'_>, shop: &Shop, line: &mut ShopLine) -> Outcome<NewOrder> {
    if line.renews.as_deref() == Some("") {
        let named = linked(work, shop, ("order", &line.shop_order))?;
        line.renews =
            Some(named.ok_or_else(|| Refusal::missing("message that names its subscription"))?);
    }
    let subscription = line.renews.clone().unwrap_or_default();
    let first = linked(work, shop, ("subscription", &subscription))?;
    let first = first.ok_or_else(|| {
        Refusal::missing(format!("message of how subscription {subscription} began"))
    })?;
    let began = lines_of(work, shop, &first)?;
    let is_same =
        |old: &&Stored<ShopLine>| old.record.keys.iter().any(|key| line.keys.contains(key));
    let began = began.iter().find(is_same);
    let began =
        began.ok_or_else(|| Refusal::missing(format!("paid order {first} with this product")))?;
    let order = match &began.record.order {
        Some(order) => work.get::<Order>(order)?.record,
        None => {
            return Err(Refusal::missing(format!(
                "order of line {}, which waits itself",
                began.record.id
            )));
        }
    };
    let new = new_order(shop, &began.record, order.sku);
    Ok(NewOrder {
        period: line.shop_order.clone(),
        quantity: order.quantity,
        customer: None,
        ..new
    })
}

/// Takes in that an order was undone: it is shown so, once; what of it is no order yet becomes
/// none.
fn undone(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    undoing: &Undoing,
) -> Outcome<Vec<ShopLine>> {
    let known = lines_of(work, shop, &undoing.order)?;
    if known.is_empty() {
        if undoing.was_paid && undoing.kind != UndoneKind::PartlyRefunded {
            placeholders(work, env, shop, undoing)?;
        }
        return Ok(Vec::new());
    }
    let mut lines = Vec::new();
    for mut line in known {
        let named = undoing.lines.iter().find(|(id, _)| *id == line.record.shop_line);
        let kind = match named {
            Some((_, count)) if *count < line.record.quantity => UndoneKind::PartlyRefunded,
            Some(_) => undoing.kind,
            None if undoing.lines.is_empty() => undoing.kind,
            None => continue,
        };
        if line.record.undone < Some(kind) {
            line.record.undone = Some(kind);
            mark_order(work, env, shop, (&line.record, kind, &undoing.note))?;
            work.update(&line)?;
        }
        lines.push(settle(work, env, shop, line)?);
    }
    Ok(lines)
}

/// An order that was paid and undone before anybody heard of it: when it is heard of, it is none.
fn placeholders(work: &mut Work<'_>, env: &Env<'_>, shop: &Shop, undoing: &Undoing) -> Outcome<()> {
    let all = [(ALL_LINES.to_owned(), 0)];
    let named = if undoing.lines.is_empty() { &all[..] } else { &undoing.lines };
    let sale = Sale {
        order: undoing.order.clone(),
        renews: Renews::Nothing,
        buyer: None,
        lines: Vec::new(),
        is_test: false,
    };
    for (number, (id, quantity)) in (1..).zip(named.iter().take(LINES_MAX)) {
        let one =
            Sold { id: id.clone(), keys: Vec::new(), name: String::new(), quantity: *quantity };
        let line = new_line(env, shop, (&sale, &one), number);
        let undone = Some(undoing.kind);
        work.insert(&ShopLine { state: LineState::Undone, undone, ..line })?;
    }
    Ok(())
}

/// Shows an order as undone, and suspends its licenses where the shop is registered so.
fn mark_order(
    work: &mut Work<'_>,
    env: &Env<'_>,
    shop: &Shop,
    (line, kind, note): (&ShopLine, UndoneKind, &str),
) -> Outcome<()> {
    let Some(id) = &line.order else { return Ok(()) };
    let mut order = work.get::<Order>(id)?;
    order.record.undone = Some(UndoneOrder { kind, at_ms: env.now_ms, note: plain(note) });
    work.update(&order)?;
    work.note("order.undone", id, format!("{kind:?} in {}: {}", shop.name, plain(note)));
    if shop.on_refund != OnRefund::Suspend || kind == UndoneKind::PartlyRefunded {
        return Ok(());
    }
    let why = Reason { reason: format!("order {} undone in {}", line.shop_order, shop.name) };
    for grant in orders::grants(work, &order.record.ticket)? {
        if grant.record.wanted == Standing::Active {
            standing::set(work, &grant.record.id, Standing::Suspended, &why)?;
        }
    }
    Ok(())
}
