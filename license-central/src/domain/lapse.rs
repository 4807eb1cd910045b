//! Licenses whose containers were not heard of when they lapsed: when they are free again.

use super::audit::Entry;
use super::env::Env;
use super::records::{Container, Grant, HomeKind, Place, Product, Reclaim};
use super::refusal::Outcome;
use super::standing;
use super::work::{Stored, Work};
use crate::store::{Filter, Page};

/// How far a container's clock may be behind ours.
pub const MARGIN_S: u64 = 3600;

/// What an audit calls a license that was freed while its container may still use it.
const AT_RISK: &str = "grant.reclaim-at-risk";

/// Grants that are looked at in one step.
const STEP: usize = 100;

/// How a license that lapsed may be freed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Freed {
    /// Its container cannot be using it.
    Surely,
    /// Its container may have slept, and use it when it wakes: the vendor takes the risk.
    AtRisk,
}

/// Grants that may be freed now, from behind `after` in the order of ids, and where to go on if
/// there are more.
pub fn due(
    work: &mut Work<'_>,
    now_ms: i64,
    after: Option<&str>,
) -> Outcome<(Vec<String>, Option<String>)> {
    let bound = Filter::Below("lapse_ms", now_ms);
    let found = work.list::<Grant>(&bound, &Page { after, limit: STEP })?;
    let next = found.last().filter(|_| found.len() == STEP).map(|grant| grant.record.id.clone());
    let mut due = Vec::new();
    for grant in found {
        if are_seats_over(now_ms, &grant.record) || freed(work, now_ms, &grant.record)?.is_some() {
            due.push(grant.record.id);
        }
    }
    Ok((due, next))
}

/// Frees a grant if it lapsed, or its container was lost, or seats of it that nobody knows are
/// over, and it may be freed.
pub fn reclaim(work: &mut Work<'_>, env: &Env<'_>, mut grant: Stored<Grant>) -> Outcome<()> {
    if are_seats_over(env.now_ms, &grant.record) {
        grant.record.seats_until_ms = None;
        work.update(&grant)?;
        work.note("grant.seats-over", &grant.record.id, "");
        if grant.record.is_gone() {
            standing::free_followers(work, &grant.record)?;
        }
    }
    let Some(freed) = freed(work, env.now_ms, &grant.record)? else { return Ok(()) };
    let container = grant.record.place.container().unwrap_or_default().to_owned();
    let (action, detail) = match freed {
        Freed::Surely => ("grant.reclaim", format!("lapsed in {container}")),
        Freed::AtRisk => {
            grant.record.book_risk();
            (AT_RISK, format!("gone with {container}, which may still use it"))
        }
    };
    work.note(action, &grant.record.id, detail);
    standing::leave(work, &mut grant)
}

/// Whether an entry of the audit says that a license was freed while a container may still have
/// been using it.
pub fn is_risk(entry: &Entry) -> bool {
    entry.action == standing::WRITE_OFF || entry.action == AT_RISK
}

/// Whether it waited for seats that nobody knows, and waits no longer.
fn are_seats_over(now_ms: i64, grant: &Grant) -> bool {
    grant.seats_until_ms.is_some_and(|until_ms| now_ms >= until_ms)
}

/// Whether a grant may be freed now without a receipt.
fn freed(work: &mut Work<'_>, now_ms: i64, grant: &Grant) -> Outcome<Option<Freed>> {
    let Some(container) = grant.place.container() else { return Ok(None) };
    let container = work.get::<Container>(container)?.record;
    let product = work.find::<Product>(&Product::id_of(grant.product))?;
    let reclaim = product.map(|product| product.record.reclaim).unwrap_or_default();
    let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
    let by_lapse = free_from(&container, grant, reclaim)?.filter(|(delay_s, _)| {
        let free = |lapse_s: u64| lapse_s.saturating_add(*delay_s).saturating_add(MARGIN_S);
        grant.max_lapse_s.is_some_and(|lapse_s| now_s > free(lapse_s))
    });
    let is_lost = grant.lost_until_ms.is_some_and(|until_ms| now_ms >= until_ms);
    Ok(by_lapse.map(|(_, freed)| freed).or(is_lost.then_some(Freed::AtRisk)))
}

/// Seconds behind the lapse after which it is free, and how sure that is.
///
/// A container cannot have slept past a lapse if its own clock runs on a battery, or if each
/// power-up needs time that is certified anew and nobody can stop its ticks meanwhile: of a soft
/// license the owner of the machine can.
fn free_from(
    container: &Container,
    grant: &Grant,
    reclaim: Reclaim,
) -> Outcome<Option<(u64, Freed)>> {
    let home = container.home;
    let fresh = grant.options.as_ref().map(|options| options.needs_fresh_time()).transpose()?;
    let is_sure =
        home.has_clock || (home.takes_time && fresh == Some(true) && home.kind == HomeKind::Dongle);
    if is_sure {
        return Ok(Some((0, Freed::Surely)));
    }
    Ok(match reclaim {
        Reclaim::SoftOnly if home.kind == HomeKind::Tpm => Some((0, Freed::AtRisk)),
        Reclaim::SoftOnly | Reclaim::Never => None,
        Reclaim::After(delay_s) => Some((delay_s.into(), Freed::AtRisk)),
    })
}

/// Frees what of a ticket lapsed, so that it can be redeemed again.
pub fn of_ticket(work: &mut Work<'_>, env: &Env<'_>, grants: &[Stored<Grant>]) -> Outcome<()> {
    let may_be = |grant: &&Stored<Grant>| {
        let is_out = matches!(grant.record.place, Place::Held { .. } | Place::Releasing { .. });
        is_out || grant.record.seats_until_ms.is_some()
    };
    grants.iter().filter(may_be).try_for_each(|grant| reclaim(work, env, grant.clone()))
}
