//! Seats that the database lost: whoever holds one goes on by its lease, so none is given, and what
//! may have been served goes nowhere else, before all of them are over.

use protocol::limits::SEAT_GRACE_S;

use crate::domain::env::Env;
use crate::domain::records::{Grant, Place};
use crate::domain::refusal::Outcome;
use crate::domain::serving;
use crate::domain::work::{Stored, Work};
use crate::store::{Filter, Page};

/// Grants that are looked at together.
const PAGE: usize = 500;

/// Holds what one vendor serves or may have served until all leases are over that were signed: the
/// last one ends with second `leased_s`. Where that is not known, one may have been signed just now
/// for the longest time-out of what is served. Until when, if that is not over.
pub fn hold(work: &mut Work<'_>, env: &Env<'_>, leased_s: Option<u64>) -> Outcome<Option<i64>> {
    let last_s = match leased_s {
        Some(leased_s) => Some(leased_s),
        None => longest_s(work)?.map(|longest_s| env.now_s() + u64::from(longest_s)),
    };
    let Some(last_s) = last_s else { return Ok(None) };
    let over_s = last_s.saturating_add(1 + u64::from(SEAT_GRACE_S));
    let until_ms = i64::try_from(over_s.saturating_mul(1000)).unwrap_or(i64::MAX);
    let mut count = 0;
    each(work, |work, grant| {
        count += u64::from(serving::hold(work, env, grant, until_ms)?);
        Ok(())
    })?;
    if count > 0 {
        work.note("seats.hold", work.tenant().to_owned(), format!("{count} licenses"));
    }
    Ok((count > 0).then_some(until_ms))
}

/// The longest time-out of what is served.
fn longest_s(work: &mut Work<'_>) -> Outcome<Option<u32>> {
    let mut longest_s = None;
    each(work, |_, grant| {
        if let Place::Served { timeout_s, .. } = grant.record.place {
            longest_s = longest_s.max(Some(timeout_s));
        }
        Ok(())
    })?;
    Ok(longest_s)
}

fn each(
    work: &mut Work<'_>,
    mut see: impl FnMut(&mut Work<'_>, Stored<Grant>) -> Outcome<()>,
) -> Outcome<()> {
    let mut after: Option<String> = None;
    loop {
        let page = Page { after: after.as_deref(), limit: PAGE };
        let grants = work.list::<Grant>(&Filter::All, &page)?;
        let next = grants.last().filter(|_| grants.len() == PAGE);
        let next = next.map(|last| last.record.id.clone());
        grants.into_iter().try_for_each(|grant| see(work, grant))?;
        match next {
            Some(next) => after = Some(next),
            None => return Ok(()),
        }
    }
}
