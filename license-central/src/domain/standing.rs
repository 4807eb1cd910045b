//! What a vendor decides about licenses that were sold: suspend, reinstate, withdraw, hand to a
//! container, block a container. Each says when it takes effect, and is not shown as done before.

use protocol::errors::ErrorCode;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::records::{
    Case, Container, ContainerState, Enrolled, Grant, Place, Proved, Standing, TakeOver, Ticket,
    TicketState,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use super::{cases, chain, orders, serving, takeover};
use crate::store::Filter;

/// What an audit calls a license that was written off.
pub(super) const WRITE_OFF: &str = "grant.write-off";

/// Characters of the longest reason.
const REASON_LEN_MAX: usize = 500;

/// A decision, with its reason for the audit.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Reason {
    /// Why, for people.
    #[serde(default)]
    pub reason: String,
}

/// When what was decided is so.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "when")]
pub enum TakesEffect {
    /// It is so.
    Now,
    /// When the container next asks, and at the lapse at the latest: it is not renewed.
    AtContactOrLapse {
        /// The last second of use, Unix.
        lapse_s: u64,
    },
    /// When the container next asks, and not before: its license does not end by itself.
    AtContact,
}

/// A grant after a decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Decided {
    /// The grant.
    pub grant: Grant,
    /// When the decision is so.
    pub takes_effect: TakesEffect,
}

impl Decided {
    fn of(grant: Grant) -> Self {
        let done = grant.proven == grant.wanted || grant.place == Place::Withdrawn;
        let takes_effect = match grant.max_lapse_s {
            _ if done => TakesEffect::Now,
            // A license comes back by its container's next contact only.
            Some(lapse_s) if grant.wanted != Standing::Active => {
                TakesEffect::AtContactOrLapse { lapse_s }
            }
            _ => TakesEffect::AtContact,
        };
        Decided { grant, takes_effect }
    }
}

/// A container, with its licenses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ContainerView {
    /// The container.
    pub container: Container,
    /// What is in it, on its way into it, or on its way out.
    pub licenses: Vec<Decided>,
    /// What it showed and nobody has decided yet.
    pub cases: Vec<Case>,
    /// What it proved of its machine: of soft licenses.
    pub machine: Option<Proved>,
    /// The container that took its place, if one did.
    pub replaced_by: Option<TakeOver>,
}

/// A grant, and when what was decided of it is so.
pub fn show(work: &mut Work<'_>, id: &str) -> Outcome<Decided> {
    Ok(Decided::of(work.get::<Grant>(id)?.record))
}

/// A container with what it has.
pub fn show_container(work: &mut Work<'_>, id: &str) -> Outcome<ContainerView> {
    let container = find_container(work, id)?.record;
    let licenses = chain::entries(work, &container.id)?;
    let licenses = licenses.into_iter().map(|grant| Decided::of(grant.record)).collect();
    let cases = cases::of(work, &container.id)?.into_iter().map(|case| case.record).collect();
    let machine = work.find::<Enrolled>(&container.id)?.and_then(|known| known.record.proved);
    let replaced_by = work.find::<TakeOver>(&container.id)?.map(|known| known.record);
    Ok(ContainerView { container, licenses, cases, machine, replaced_by })
}

/// A container by its id or its serial.
pub fn find_container(work: &mut Work<'_>, named: &str) -> Outcome<Stored<Container>> {
    let serial = named.trim().to_uppercase();
    if let Some(found) = work.by::<Container>("serial", serial.into())? {
        return Ok(found);
    }
    work.get::<Container>(named)
}

/// Says how a license shall stand. Nothing comes back that was withdrawn.
pub fn set(work: &mut Work<'_>, id: &str, wanted: Standing, why: &Reason) -> Outcome<Decided> {
    check(why)?;
    let mut grant = work.get::<Grant>(id)?;
    if grant.record.wanted == Standing::Withdrawn && wanted != Standing::Withdrawn {
        return Err(ErrorCode::GrantWithdrawn.into());
    }
    if grant.record.wanted != wanted {
        want(work, &mut grant, wanted)?;
        let action = match wanted {
            Standing::Active => "grant.reinstate",
            Standing::Suspended => "grant.suspend",
            Standing::Withdrawn => "grant.withdraw",
        };
        work.note(action, id, &why.reason);
    }
    Ok(Decided::of(grant.record))
}

fn want(work: &mut Work<'_>, grant: &mut Stored<Grant>, wanted: Standing) -> Outcome<()> {
    grant.record.wanted = wanted;
    if let Place::Served { .. } = grant.record.place {
        // Here nobody has to be heard of: no seat is given from now on.
        grant.record.proven = wanted;
        if wanted != Standing::Active {
            work.update(grant)?;
            return serving::stop(work, grant);
        }
    }
    if grant.record.place == Place::Pool {
        grant.record.proven = wanted;
        if wanted == Standing::Withdrawn {
            return leave(work, grant);
        }
    }
    work.update(grant)
}

/// Withdraws a ticket with all that came of it.
pub fn withdraw_ticket(work: &mut Work<'_>, id: &str, why: &Reason) -> Outcome<Vec<Decided>> {
    check(why)?;
    let mut ticket = work.get::<Ticket>(id)?;
    if ticket.record.state != TicketState::Withdrawn {
        ticket.record.state = TicketState::Withdrawn;
        work.update(&ticket)?;
        work.note("ticket.withdraw", id, &why.reason);
    }
    let grants = orders::grants(work, id)?;
    grants.iter().map(|grant| set(work, &grant.record.id, Standing::Withdrawn, why)).collect()
}

/// Frees a license that its container will never give back, on a person's word. Booked as a risk.
pub fn write_off(work: &mut Work<'_>, id: &str, why: &Reason) -> Outcome<Decided> {
    check(why)?;
    let mut grant = work.get::<Grant>(id)?;
    if grant.record.place.container().is_none() {
        return Err(Refusal::malformed("the license is in no container"));
    }
    grant.record.book_risk();
    work.note(WRITE_OFF, id, &why.reason);
    leave(work, &mut grant)?;
    Ok(Decided::of(grant.record))
}

/// Hands a license to a container: it gets it when it next asks, without a ticket. `None` takes
/// that back.
pub fn assign(work: &mut Work<'_>, id: &str, serial: Option<&str>) -> Outcome<Decided> {
    let mut grant = work.get::<Grant>(id)?;
    if grant.record.place != Place::Pool || grant.record.wanted != Standing::Active {
        let place = grant.record.place.name();
        let why = format!("the license is {place}, {}", grant.record.wanted.name());
        return Err(Refusal::malformed(format!("{why}: what is assigned is free and active")));
    }
    let serial = serial.map(str::trim).map(str::to_uppercase);
    if let Some(serial) = &serial {
        check_serial(work, serial)?;
    }
    work.note("grant.assign", id, serial.as_deref().unwrap_or("to none"));
    grant.record.assigned = serial;
    work.update(&grant)?;
    Ok(Decided::of(grant.record))
}

/// Refuses what is no serial, and the serial of a container that gets nothing.
pub fn check_serial(work: &mut Work<'_>, serial: &str) -> Outcome<()> {
    let is_group =
        |group: &str| group.len() == 4 && group.bytes().all(|b| b.is_ascii_alphanumeric());
    let mut parts = serial.split('-');
    let is_kind = parts.next().is_some_and(|kind| matches!(kind, "DONGLE" | "TPM" | "CLOUD"));
    if !is_kind || parts.clone().count() != 3 || !parts.all(is_group) {
        return Err(Refusal::malformed(format!("{serial:?} is no serial of a container")));
    }
    let known = work.by::<Container>("serial", serial.into())?;
    match known {
        Some(known) if known.record.state != ContainerState::Active => {
            Err(ErrorCode::ContainerBlocked.into())
        }
        _ => Ok(()),
    }
}

/// Blocks a container: it gets nothing more, and what it has is taken out at its next contact. Or
/// lets it in again.
pub fn block(
    work: &mut Work<'_>,
    id: &str,
    blocked: bool,
    why: &Reason,
) -> Outcome<Stored<Container>> {
    check(why)?;
    let mut container = find_container(work, id)?;
    let state = if blocked { ContainerState::Blocked } else { ContainerState::Active };
    if container.record.state != state {
        if !blocked {
            takeover::refuse_replaced(work, &container.record.id)?;
        }
        container.record.state = state;
        work.update(&container)?;
        let action = if blocked { "container.block" } else { "container.unblock" };
        work.note(action, &container.record.id, &why.reason);
    }
    Ok(container)
}

/// A grant that is in no container any more: free, or gone for good. What was to take its place
/// is free with the last of its activation.
pub fn leave(work: &mut Work<'_>, grant: &mut Stored<Grant>) -> Outcome<()> {
    let is_over = grant.record.wanted == Standing::Withdrawn || grant.record.followed_by.is_some();
    grant.record.place = if is_over { Place::Withdrawn } else { Place::Pool };
    grant.record.proven = if is_over { Standing::Withdrawn } else { grant.record.wanted };
    grant.record.wanted = grant.record.proven;
    grant.record.max_lapse_s = None;
    grant.record.lost_until_ms = None;
    grant.record.rewrite = false;
    work.note("grant.place", &grant.record.id, grant.record.place.name());
    work.update(grant)?;
    free_followers(work, &grant.record)
}

/// Frees what was to take the place of a license, if that was the last of its activation.
pub fn free_followers(work: &mut Work<'_>, grant: &Grant) -> Outcome<()> {
    let Some(follower) = &grant.followed_by else { return Ok(()) };
    let old = orders::grants(work, &grant.ticket)?;
    let device = grant.device;
    let mut same = old.iter().filter(|one| one.record.device == device);
    if !same.all(|one| one.record.is_gone()) {
        return Ok(());
    }
    for mut next in work.all::<Grant>(&Filter::Is("ticket", follower.as_str().into()))? {
        if next.record.device == device && next.record.follows.is_some() {
            next.record.follows = None;
            work.update(&next)?;
        }
    }
    Ok(())
}

/// Ties what was to take the place of a license to it again, where that is in a container after
/// all: an order replaced it while the records did not know.
pub fn tie_followers(work: &mut Work<'_>, grant: &Grant) -> Outcome<()> {
    let Some(follower) = &grant.followed_by else { return Ok(()) };
    for mut next in work.all::<Grant>(&Filter::Is("ticket", follower.as_str().into()))? {
        if next.record.device == grant.device && next.record.place == Place::Pool {
            next.record.follows = Some(grant.ticket.clone());
            work.update(&next)?;
        }
    }
    Ok(())
}

fn check(why: &Reason) -> Outcome<()> {
    let fits =
        why.reason.chars().count() <= REASON_LEN_MAX && !why.reason.chars().any(char::is_control);
    let refused = format!("a reason has up to {REASON_LEN_MAX} characters, none of control");
    if fits { Ok(()) } else { Err(Refusal::malformed(refused)) }
}
