//! Reports: what ends soon, what was activated, what is without a receipt, what was refused, what
//! lapsed, and where two may use one license. Rows are looked for in the order of their records.

use protocol::errors::ErrorCode;
use serde::Serialize;
use utoipa::ToSchema;

use super::audit::Entry;
use super::denials::{self, Denial};
use super::lapse;
use super::records::{
    Container, EffectKind, Grant, IssuedUpdate, Order, Place, Ticket, UpdateState,
};
use super::refusal::Outcome;
use super::work::{Record, Work};
use crate::store::{Filter, Page};

/// Records that are read at a time.
const STEP: usize = 200;

/// Records that are looked at for one page. Where few fit, a page has few rows, or none.
const STEPS_MAX: usize = 25;

/// Rows, and where to go on, if there may be more.
pub struct Found<T> {
    /// The rows: few where few fit.
    pub rows: Vec<T>,
    /// The last record that was looked at.
    pub next: Option<String>,
}

/// What ends a license.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// Its checkpoint: it goes on if its container renews it.
    Checkpoint,
    /// Its end: it goes on if a further period is paid.
    Expiration,
}

/// What a license was sold with.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Origin {
    /// The ticket that it came with.
    pub ticket: String,
    /// Number of the order.
    pub order: Option<String>,
    /// The customer.
    pub customer: Option<String>,
}

/// A license that ends, or ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Ending {
    /// The grant.
    pub grant: String,
    /// Its product.
    pub product: u32,
    /// The last second, Unix, in which it may be used.
    pub ends_s: u64,
    /// What ends it.
    pub by: End,
    /// Where it is: `held`, `releasing` or `served`.
    pub state: String,
    /// Serial of its container, where it is in one.
    pub container: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A license that came into a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Activated {
    /// When it was issued, milliseconds since 1970 UTC.
    pub issued_ms: i64,
    /// The month, UTC: `2027-03`.
    pub month: String,
    /// The grant.
    pub grant: String,
    /// Its product.
    pub product: u32,
    /// How often it was in a container, with this time.
    pub epoch: u32,
    /// Serial of the container.
    pub container: String,
    /// Whether the container proved it.
    pub confirmed: bool,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// An update without a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Unreceipted {
    /// The update.
    pub update: String,
    /// Since when, milliseconds since 1970 UTC.
    pub issued_ms: i64,
    /// Serial of the container.
    pub container: String,
    /// Its number there.
    pub seq: u64,
    /// What it does, for people.
    pub what: String,
    /// When the container was last heard of, milliseconds since 1970 UTC.
    pub seen_ms: i64,
}

/// A license that was freed while a container may still have been using it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Overlap {
    /// The grant.
    pub grant: String,
    /// Its product.
    pub product: u32,
    /// How often that was so.
    pub overlaps: u32,
    /// When last, milliseconds since 1970 UTC.
    pub booked_ms: Option<i64>,
    /// By which key, or by what of the server.
    pub actor: Option<String>,
    /// Why, and which container it was.
    pub detail: Option<String>,
    /// Where it is now.
    pub state: String,
    /// Serial of the container that it is in now.
    pub container: Option<String>,
    /// Where it comes from.
    #[serde(flatten)]
    pub origin: Origin,
}

/// A refused use, with its reason in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Refused {
    /// What was counted.
    #[serde(flatten)]
    pub denial: Denial,
    /// Why, in words.
    pub why: String,
}

/// Licenses that end within so many seconds from now.
pub fn expiring(
    work: &mut Work<'_>,
    (now_ms, within_s): (i64, u64),
    page: &Page<'_>,
) -> Outcome<Found<Ending>> {
    let now_s = seconds(now_ms);
    let until_s = now_s.saturating_add(within_s);
    let below = i64::try_from(until_s.saturating_add(1)).unwrap_or(i64::MAX).saturating_mul(1000);
    endings(work, below, page, |ends_s| (now_s..=until_s).contains(&ends_s))
}

/// Licenses that ended and are still counted where they were.
pub fn lapsed(work: &mut Work<'_>, now_ms: i64, page: &Page<'_>) -> Outcome<Found<Ending>> {
    let now_s = seconds(now_ms);
    endings(work, now_ms, page, |ends_s| ends_s < now_s)
}

fn endings(
    work: &mut Work<'_>,
    below: i64,
    page: &Page<'_>,
    counts: impl Fn(u64) -> bool,
) -> Outcome<Found<Ending>> {
    scan(work, &Filter::Below("lapse_ms", below), page, |work, grant: Grant| {
        let ends_s = grant.max_lapse_s.filter(|ends_s| counts(*ends_s));
        let is_out = !matches!(grant.place, Place::Pool | Place::Withdrawn);
        let Some(ends_s) = ends_s.filter(|_| is_out) else { return Ok(Vec::new()) };
        let expires_s = grant.options.as_ref().map(|options| options.expires_s()).transpose()?;
        let is_end = expires_s.flatten().is_some_and(|at_s| at_s <= ends_s);
        let origin = origin(work, &grant.ticket)?;
        Ok(vec![Ending {
            ends_s,
            by: if is_end { End::Expiration } else { End::Checkpoint },
            state: grant.place.name().to_owned(),
            container: serial(work, grant.place.container())?,
            grant: grant.id,
            product: grant.product,
            origin,
        }])
    })
}

/// Licenses that were issued into containers from `since_ms` on and before `until_ms`, but for
/// those whose container proved that it never took them.
pub fn activated(
    work: &mut Work<'_>,
    (since_ms, until_ms): (i64, i64),
    page: &Page<'_>,
) -> Outcome<Found<Activated>> {
    scan(work, &Filter::All, page, |work, update: IssuedUpdate| {
        let mut rows = Vec::new();
        if !(since_ms..until_ms).contains(&update.issued_ms) || update.state == UpdateState::Dead {
            return Ok(rows);
        }
        for effect in update.effects.iter().filter(|one| one.kind == EffectKind::Install) {
            let grant = work.get::<Grant>(&effect.grant)?.record;
            let origin = origin(work, &grant.ticket)?;
            let mut month = denials::day(update.issued_ms);
            month.truncate("2027-03".len());
            rows.push(Activated {
                issued_ms: update.issued_ms,
                month,
                grant: grant.id,
                product: grant.product,
                epoch: effect.epoch,
                container: serial(work, Some(&update.container))?.unwrap_or_default(),
                confirmed: update.state == UpdateState::Confirmed,
                origin,
            });
        }
        Ok(rows)
    })
}

/// Updates that were issued and that no receipt or context has proved yet.
pub fn unreceipted(work: &mut Work<'_>, page: &Page<'_>) -> Outcome<Found<Unreceipted>> {
    let outstanding = Filter::Is("state", UpdateState::Outstanding.name().into());
    scan(work, &outstanding, page, |work, update: IssuedUpdate| {
        let container = work.find::<Container>(&update.container)?;
        let (serial, seen_ms) =
            container.map(|found| (found.record.serial, found.record.seen_ms)).unwrap_or_default();
        let IssuedUpdate { id, seq, what, issued_ms, .. } = update;
        Ok(vec![Unreceipted { update: id, issued_ms, container: serial, seq, what, seen_ms }])
    })
}

/// Uses that were refused, by days, from that of `since_ms` on.
pub fn denied(work: &mut Work<'_>, since_ms: i64, page: &Page<'_>) -> Outcome<Found<Refused>> {
    let first = denials::day(since_ms.max(0));
    let after = page.after.filter(|after| **after > *first).unwrap_or(&first);
    let page = Page { after: Some(after), ..*page };
    scan(work, &Filter::All, &page, |_, denial: Denial| {
        let code = ErrorCode::parse(&denial.code);
        let why = code.map(|code| code.row().likely.to_owned()).unwrap_or_default();
        Ok(vec![Refused { denial, why }])
    })
}

/// Licenses that were freed while a container may still have been using them.
pub fn overlap(work: &mut Work<'_>, page: &Page<'_>) -> Outcome<Found<Overlap>> {
    scan(work, &Filter::All, page, |work, grant: Grant| {
        if grant.overlaps == 0 {
            return Ok(Vec::new());
        }
        let entries = work.all::<Entry>(&Filter::Is("object", grant.id.as_str().into()))?;
        let risks = entries.into_iter().map(|entry| entry.record).filter(lapse::is_risk);
        let last = risks.max_by_key(|entry| entry.at_ms);
        let origin = origin(work, &grant.ticket)?;
        Ok(vec![Overlap {
            overlaps: grant.overlaps,
            booked_ms: last.as_ref().map(|entry| entry.at_ms),
            actor: last.as_ref().map(|entry| entry.actor.clone()),
            detail: last.map(|entry| format!("{}: {}", entry.action, entry.detail)),
            state: grant.place.name().to_owned(),
            container: serial(work, grant.place.container())?,
            grant: grant.id,
            product: grant.product,
            origin,
        }])
    })
}

/// Looks through records, from behind `page.after` on, for about `page.limit` rows: as many of a
/// record as it has.
fn scan<R: Record, T>(
    work: &mut Work<'_>,
    filter: &Filter,
    page: &Page<'_>,
    mut rows_of: impl FnMut(&mut Work<'_>, R) -> Outcome<Vec<T>>,
) -> Outcome<Found<T>> {
    let mut rows = Vec::new();
    let mut after = page.after.map(str::to_owned);
    for _ in 0..STEPS_MAX {
        let part = Page { after: after.as_deref(), limit: STEP };
        let found = work.list::<R>(filter, &part)?;
        let is_last = found.len() < STEP;
        let mut left = found.len();
        for one in found {
            left -= 1;
            after = Some(one.record.id());
            rows.extend(rows_of(work, one.record)?);
            if rows.len() >= page.limit {
                return Ok(Found { rows, next: after.filter(|_| left > 0 || !is_last) });
            }
        }
        if is_last {
            return Ok(Found { rows, next: None });
        }
    }
    Ok(Found { rows, next: after })
}

/// What came with a ticket.
fn origin(work: &mut Work<'_>, ticket: &str) -> Outcome<Origin> {
    let found = work.find::<Ticket>(ticket)?;
    let order = match found {
        Some(found) => work.find::<Order>(&found.record.order)?,
        None => None,
    };
    let (order, customer) = order.map(|order| (order.record.number, order.record.customer)).unzip();
    Ok(Origin { ticket: ticket.to_owned(), order, customer: customer.flatten() })
}

fn serial(work: &mut Work<'_>, container: Option<&str>) -> Outcome<Option<String>> {
    let Some(id) = container else { return Ok(None) };
    Ok(work.find::<Container>(id)?.map(|found| found.record.serial))
}

fn seconds(ms: i64) -> u64 {
    u64::try_from(ms / 1000).unwrap_or(0)
}
