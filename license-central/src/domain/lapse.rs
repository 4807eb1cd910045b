//! Licenses whose containers were not heard of when they lapsed: when they are free again.

use super::env::Env;
use super::records::{Container, Grant, HomeKind, Place, Product, Reclaim};
use super::refusal::Outcome;
use super::standing;
use super::work::{Stored, Work};
use crate::store::{Filter, Page};

/// How far a container's clock may be behind ours.
pub const MARGIN_S: u64 = 3600;

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

/// Frees what lapsed, from behind `after` in the order of ids. Where to go on, if there is more.
pub fn sweep(work: &mut Work<'_>, env: &Env<'_>, after: Option<&str>) -> Outcome<Option<String>> {
    let bound = Filter::Below("lapse_ms", env.now_ms.saturating_sub(MARGIN_S as i64 * 1000));
    let found = work.list::<Grant>(&bound, &Page { after, limit: STEP })?;
    let next = found.last().filter(|_| found.len() == STEP).map(|grant| grant.record.id.clone());
    for grant in found {
        // Read again: with one before it, it may have changed.
        let grant = work.get::<Grant>(&grant.record.id)?;
        reclaim(work, env, grant)?;
    }
    Ok(next)
}

/// Frees a grant if it lapsed and may be freed.
pub fn reclaim(work: &mut Work<'_>, env: &Env<'_>, mut grant: Stored<Grant>) -> Outcome<()> {
    let (Some(container), Some(lapse_s)) =
        (grant.record.place.container().map(str::to_owned), grant.record.max_lapse_s)
    else {
        return Ok(());
    };
    let container = work.get::<Container>(&container)?.record;
    let product = work.find::<Product>(&Product::id_of(grant.record.product))?;
    let reclaim = product.map(|product| product.record.reclaim).unwrap_or_default();
    let Some((from_s, freed)) = free_from(&container, &grant.record, reclaim)? else {
        return Ok(());
    };
    if env.now_s() <= lapse_s.saturating_add(from_s).saturating_add(MARGIN_S) {
        return Ok(());
    }
    let detail = match freed {
        Freed::Surely => format!("lapsed in {}", container.serial),
        Freed::AtRisk => {
            grant.record.overlaps += 1;
            format!("lapsed in {}, which may still use it", container.serial)
        }
    };
    work.note("grant.reclaim", &grant.record.id, detail);
    standing::leave(work, &mut grant)
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
    let is_out = |grant: &&Stored<Grant>| {
        matches!(grant.record.place, Place::Held { .. } | Place::Releasing { .. })
    };
    grants.iter().filter(is_out).try_for_each(|grant| reclaim(work, env, grant.clone()))
}
