//! Containers that were lost: their licenses come back to whoever held them, by the rule of each
//! product, after a while, and the container is blocked.

use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::ContextBody;
use serde::Serialize;
use utoipa::ToSchema;
use vendor::verify;

use super::env::Env;
use super::firm::Firm;
use super::records::{
    Container, ContainerState, Grant, Place, Product, RestoreRule, Standing, Ticket,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use super::{chain, lapse, orders, standing};

/// Who says that a container is lost.
pub enum Claim {
    /// Who holds a ticket of which licenses are in it.
    Ticket {
        /// The ticket, as typed.
        ticket: String,
        /// Id or serial of the container.
        container: String,
    },
    /// Who has a list that it signed while it was there.
    Inventory(Vec<u8>),
}

/// A license that comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Restored {
    /// The grant's id.
    pub grant: String,
    /// Product Code.
    pub product: u32,
    /// When it is free, milliseconds since 1970 UTC.
    pub free_ms: i64,
}

/// Books a container as lost: it is blocked, and what was in it is free after the waiting time of
/// each product; with `to`, for the container of that serial alone.
pub fn restore(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (claim, to): (&Claim, Option<&str>),
) -> Outcome<Vec<Restored>> {
    let (mut container, grants) = claimed(work, firm, claim)?;
    let to = to.map(|serial| serial.trim().to_uppercase());
    if let Some(serial) = &to {
        standing::check_serial(work, serial)?;
    }
    let mut restored = Vec::new();
    let mut tickets: Vec<String> = Vec::new();
    for grant in grants {
        if let Some(free_ms) = grant.record.lost_until_ms {
            // Said before: nothing of it changes.
            restored.push(told(&grant.record, free_ms));
            continue;
        }
        let rule = rule(work, grant.record.product)?;
        if !tickets.contains(&grant.record.ticket) {
            count(work, env, &grant.record.ticket, rule)?;
            tickets.push(grant.record.ticket.clone());
        }
        let free_ms = env.now_ms.saturating_add(i64::from(rule.wait_s) * 1000);
        restored.push(told(&grant.record, free_ms));
        lose(work, env, grant, (free_ms, to.as_deref()))?;
    }
    if restored.is_empty() {
        return Err(Refusal::missing("license of yours in that container"));
    }
    container.record.state = ContainerState::Blocked;
    work.note("container.lost", &container.record.id, format!("{} licenses", restored.len()));
    work.update(&container)?;
    Ok(restored)
}

/// Books a license as lost with its container: free at a time, for the container of a serial alone
/// if one is named.
pub(super) fn lose(
    work: &mut Work<'_>,
    env: &Env<'_>,
    mut grant: Stored<Grant>,
    (free_ms, to): (i64, Option<&str>),
) -> Outcome<()> {
    grant.record.assigned = to.map(str::to_owned);
    if grant.record.place.container().is_some() {
        grant.record.lost_until_ms = Some(free_ms);
    }
    work.update(&grant)?;
    lapse::reclaim(work, env, grant)
}

fn told(grant: &Grant, free_ms: i64) -> Restored {
    Restored { grant: grant.id.clone(), product: grant.product, free_ms }
}

/// The container that is claimed to be lost, and what of it belongs to whoever claims it.
fn claimed(
    work: &mut Work<'_>,
    firm: &Firm,
    claim: &Claim,
) -> Outcome<(Stored<Container>, Vec<Stored<Grant>>)> {
    let (container, ticket) = match claim {
        Claim::Ticket { ticket, container } => {
            let ticket = orders::by_code(work, ticket)?.record;
            (standing::find_container(work, container)?, Some(ticket.id))
        }
        Claim::Inventory(bytes) => (listed(work, firm, bytes)?, None),
    };
    let mut grants = chain::entries(work, &container.record.id)?;
    grants.retain(|grant| {
        let is_own = ticket.as_ref().is_none_or(|ticket| *ticket == grant.record.ticket);
        let is_there = matches!(grant.record.place, Place::Held { .. } | Place::Releasing { .. });
        is_own && is_there && grant.record.wanted != Standing::Withdrawn
    });
    Ok((container, grants))
}

/// The container whose inventory this is. The list must be of a state that it proved to have had.
fn listed(work: &mut Work<'_>, firm: &Firm, bytes: &[u8]) -> Outcome<Stored<Container>> {
    let certifiers = firm.certifiers()?;
    file::expect(bytes, FileKind::Inventory)?;
    let (statement, _) = verify::<ContextBody>(bytes, FileKind::Inventory, certifiers)?;
    let container = work.get::<Container>(&hex(statement.device.id.bytes()))?;
    let shown = statement.point();
    let is_known =
        shown == container.record.chain.base || chain::was_proved(work, &container.record, shown)?;
    let numbers = (shown.seq, container.record.chain.base.seq);
    if is_known {
        return Ok(container);
    }
    Err(ErrorCode::ContainerDiffers.with(numbers.0, numbers.1).into())
}

fn rule(work: &mut Work<'_>, product: u32) -> Outcome<RestoreRule> {
    let found = work.get::<Product>(&Product::id_of(product))?.record.restore;
    found.ok_or_else(|| ErrorCode::RestoreRefused.with(product.into(), 0).into())
}

/// Counts one more time for this ticket, if it is allowed.
fn count(work: &mut Work<'_>, env: &Env<'_>, ticket: &str, rule: RestoreRule) -> Outcome<()> {
    let mut ticket = work.get::<Ticket>(ticket)?;
    let since_ms = env.now_ms.saturating_sub(i64::from(rule.period_s) * 1000);
    let times = ticket.record.restored_ms.iter().filter(|at_ms| **at_ms > since_ms).count();
    if times >= rule.times as usize {
        return Err(ErrorCode::RestoreTooOften.with(times as u64, rule.times.into()).into());
    }
    ticket.record.restored_ms.push(env.now_ms);
    work.update(&ticket)
}
