//! Takes in from the journal what the database lost: updates, the chain of each container, and
//! where grants are. What is in doubt counts as in the container: nothing it may hold is free.

use std::collections::BTreeSet;

use protocol::errors::{ErrorCode, Shown, write_utc};
use protocol::objects::update::{UnitsChange, UpdateOp};
use serde::Serialize;
use serde_json::json;
use vendor::ledger::{Issued, Ledger};

use super::check::options_of;
use super::{Source, seats};
use crate::domain::agreement::{is_known, mark};
use crate::domain::central::Central;
use crate::domain::chain::{self, update_id};
use crate::domain::journal::{Claim, Entry, Head, JournalMark, Told};
use crate::domain::keys::SYSTEM;
use crate::domain::records::{
    Container, ContainerState, Effect, EffectKind, Grant, Home, HomeKind, IssuedUpdate, Place,
    Standing, UpdateState,
};
use crate::domain::refusal::{Outcome, Refusal};
use crate::domain::standing;
use crate::domain::terms::Terms;
use crate::domain::work::{Stored, Work};

/// What was taken in for one vendor.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The vendor.
    pub vendor: String,
    /// Updates that the database had lost.
    pub updates: Vec<String>,
    /// Grants that were made again: no order explains them.
    pub unexplained: Vec<String>,
    /// Containers that a person has to look at.
    pub differ: BTreeSet<String>,
    /// Until when seats may be held that the database lost, milliseconds since 1970 UTC.
    pub seats_until_ms: Option<i64>,
}

/// Takes in what one vendor's database lost. No signer may write meanwhile.
pub fn repair(central: &Central, vendor: &str, source: &Source) -> Outcome<Repaired> {
    let _held = source.hold()?;
    let leased_s = source.leased_s()?;
    central.write(vendor, SYSTEM, |work, env| {
        let mut done = Repaired { vendor: vendor.to_owned(), ..Repaired::default() };
        let known = mark(work)?;
        let mut met = known == Head::BEGIN;
        let head = source.each(|entry, head| {
            met |= head == known;
            if !is_known(work, entry)? {
                adopt(work, env.now_ms, entry, &mut done)?;
            }
            Ok::<_, Refusal>(())
        })?;
        if !met {
            return Err(ErrorCode::JournalBehind.with(head.number, known.number).into());
        }
        if !done.updates.is_empty() {
            work.note("journal.adopt", vendor, format!("{} updates", done.updates.len()));
        }
        done.seats_until_ms = seats::hold(work, env, leased_s)?;
        put_mark(work, head)?;
        Ok(done)
    })
}

/// Goes on with the journal as it is, which is older than the database knew it.
pub fn accept(central: &Central, vendor: &str, source: &Source) -> Outcome<Head> {
    let _held = source.hold()?;
    central.write(vendor, SYSTEM, |work, _| {
        let mut lost = None;
        let head = source.each(|entry, _| {
            if lost.is_none() && !is_known(work, entry)? {
                lost = Some(entry.number);
            }
            Ok::<_, Refusal>(())
        })?;
        if let Some(number) = lost {
            return Err(ErrorCode::JournalAhead.with(number, head.number).into());
        }
        work.note("journal.accept", vendor, format!("from number {} on", head.number));
        put_mark(work, head)?;
        Ok(head)
    })
}

/// Whatever it was before: both callers have looked at every entry.
fn put_mark(work: &mut Work<'_>, head: Head) -> Outcome<()> {
    let record = JournalMark::at(head);
    match work.find::<JournalMark>(JournalMark::ID)? {
        Some(found) if found.record == record => Ok(()),
        Some(found) => work.update(&Stored { record, ..found }),
        None => work.insert(&record),
    }
}

fn adopt(work: &mut Work<'_>, now_ms: i64, entry: &Entry, done: &mut Repaired) -> Outcome<()> {
    let told = entry.told()?;
    let issued = told.issued();
    let container = told.container();
    let update = IssuedUpdate {
        id: update_id(&container, &issued),
        container: container.clone(),
        seq: issued.after.seq,
        header: entry.header.clone(),
        body: entry.body.clone(),
        what: issued.what.clone(),
        effects: entry.claims.iter().map(|claim| effect(&told.ops, claim)).collect(),
        claims: entry.claims.clone(),
        state: UpdateState::Outstanding,
        issued_ms: i64::try_from(entry.at_s.saturating_mul(1000)).unwrap_or(i64::MAX),
    };
    if work.find::<IssuedUpdate>(&update.id)?.is_some() {
        // Another update under this name: its bytes do not tell what was signed.
        let damaged = Shown::from(ErrorCode::StoreUnavailable.failure());
        return Err(damaged.detailed(format!("update {} is damaged", update.id)).into());
    }
    done.updates.push(update.id.clone());
    let state = follow(work, now_ms, (&container, issued), done)?;
    work.insert(&IssuedUpdate { state, ..update })?;
    for claim in &entry.claims {
        place((work, now_ms), &container, &told, (claim, state), done)?;
    }
    Ok(())
}

fn effect(ops: &[UpdateOp], claim: &Claim) -> Effect {
    let units = units_of(ops, claim) > 0;
    let Claim { grant, epoch, kind, standing, .. } = claim.clone();
    Effect { grant, epoch, kind, standing, units }
}

/// Puts a lost update into the chain of its container: what is known of it now. One that does not
/// follow there is for a person, unless the container is past its number.
fn follow(
    work: &mut Work<'_>,
    now_ms: i64,
    (id, issued): (&str, Issued),
    done: &mut Repaired,
) -> Outcome<UpdateState> {
    let Some(mut container) = work.find::<Container>(id)? else {
        work.insert(&new_container(now_ms, id, issued))?;
        return Ok(UpdateState::Outstanding);
    };
    if is_met_anew(&container.record, &issued) {
        // Its next context shows again what it showed then.
        container.record.origin = issued.before;
        container.record.chain.base = issued.before;
    }
    let chain = &mut container.record.chain;
    if issued.after.seq <= chain.base.seq {
        return Ok(UpdateState::Unknown);
    }
    if chain.retired.is_none() && chain.may_follow(&issued) {
        chain.add(issued);
    } else {
        if container.record.state == ContainerState::Active {
            container.record.state = ContainerState::Differs;
        }
        done.differ.insert(id.to_owned());
        work.update(&container)?;
        // No receipt will tell: it is in no chain, unless the state that it follows is adopted.
        return Ok(UpdateState::Unknown);
    }
    work.update(&container)?;
    Ok(UpdateState::Outstanding)
}

/// Whether a container was taken for a new one by records that had lost it: it asked before they
/// were repaired, and had applied this update by then.
fn is_met_anew(container: &Container, issued: &Issued) -> bool {
    let chain = &container.chain;
    let is_new = chain.outstanding.is_empty() && chain.base == container.origin;
    is_new && chain.retired.is_none() && issued.after.seq <= chain.base.seq
}

/// A container that was first met after the backup. Its next context says the rest.
fn new_container(now_ms: i64, id: &str, issued: Issued) -> Container {
    let mut chain = Ledger::new(id.to_owned(), issued.before);
    let origin = issued.before;
    chain.add(issued);
    Container {
        id: id.to_owned(),
        serial: id.to_owned(),
        certificate: String::new(),
        state: ContainerState::Active,
        home: Home { kind: HomeKind::Other, has_clock: false, takes_time: false },
        origin,
        adopted: None,
        requests: None,
        customer: None,
        chain,
        root_version: 0,
        revocation_epoch: 0,
        created_ms: now_ms,
        seen_ms: now_ms,
    }
}

/// Puts a grant where the update puts it: what goes out of a container is on its way until the
/// container proves it.
fn place(
    (work, now_ms): (&mut Work<'_>, i64),
    id: &str,
    told: &Told,
    (claim, state): (&Claim, UpdateState),
    done: &mut Repaired,
) -> Outcome<()> {
    if claim.kind == EffectKind::Install {
        vacate(work, now_ms, id, claim)?;
    }
    let (container, entry) = (id.to_owned(), claim.entry);
    // Whether it went in or out is not known: it is written anew, or taken out.
    let rewrite = state == UpdateState::Unknown;
    let options = options_of(&told.ops, claim);
    let lapse_s = options.as_ref().map(|options| options.lapse_s()).transpose()?;
    let place = match options {
        None if !rewrite => Place::Releasing { container, entry },
        _ => Place::Held { container, entry },
    };
    let Some(mut grant) = work.find::<Grant>(&claim.grant)? else {
        done.unexplained.push(claim.grant.clone());
        work.note("grant.adopt", &claim.grant, "no order explains it");
        let made = (claim.product, 0);
        let terms = terms_of(&told.ops, claim)?;
        return work.insert(&Grant {
            place,
            epoch: claim.epoch,
            options,
            max_lapse_s: lapse_s.flatten(),
            wanted: claim.standing,
            units_due: false,
            rewrite,
            ..Grant::new(claim.grant.clone(), &claim.ticket, made, terms)
        });
    };
    let own = &mut grant.record;
    own.units_due &= units_of(&told.ops, claim) == 0;
    if own.epoch > claim.epoch {
        return work.update(&grant);
    }
    own.max_lapse_s = match lapse_s {
        Some(lapse_s) if own.epoch < claim.epoch => lapse_s,
        Some(lapse_s) => own.max_lapse_s.zip(lapse_s).map(|(a, b)| a.max(b)),
        None => own.max_lapse_s,
    };
    own.options = options.or(own.options.take());
    own.epoch = claim.epoch;
    let before = std::mem::replace(&mut own.place, place);
    if let Place::Served { counter, .. } = before
        && work.counter(counter.0)?.is_some()
    {
        work.close_counter(counter.0);
        // Seats that were taken of it meanwhile are shown to nobody.
        work.hold_counter(counter.0, i64::MAX);
    }
    own.assigned = None;
    own.rewrite |= rewrite;
    // What was decided after the backup is known by what was signed of it.
    if own.wanted != Standing::Withdrawn {
        own.wanted = claim.standing;
    }
    let ends_s = own.options.as_ref().map(|options| options.expires_s()).transpose()?.flatten();
    own.until_s = own.until_s.max(ends_s.filter(|_| own.until_s.is_some()));
    work.note("grant.place", &grant.record.id, grant.record.place.name());
    work.update(&grant)?;
    standing::tie_followers(work, &grant.record)
}

/// What had the number of an entry that is installed was out of the container by then: numbers of
/// others are given to nobody. Where no update says so it lapsed, or somebody took the risk that
/// the container still has it.
fn vacate(work: &mut Work<'_>, now_ms: i64, container: &str, claim: &Claim) -> Outcome<()> {
    let now_s = u64::try_from(now_ms / 1000).unwrap_or(0);
    let here = Place::Held { container: container.to_owned(), entry: claim.entry };
    for mut other in chain::entries(work, container)? {
        let own = &mut other.record;
        if own.id != claim.grant && own.product == claim.product && own.place == here {
            if own.max_lapse_s.is_none_or(|lapse_s| lapse_s >= now_s) {
                own.book_risk();
            }
            standing::leave(work, &mut other)?;
        }
    }
    Ok(())
}

/// What of a grant's terms still counts when it is in a container: whether it has units.
fn terms_of(ops: &[UpdateOp], claim: &Claim) -> Outcome<Terms> {
    let units = units_of(ops, claim);
    let terms = if units > 0 { json!({ "units": units }) } else { json!({}) };
    serde_json::from_value(terms).map_err(Refusal::malformed)
}

/// Units that come into an entry.
fn units_of(ops: &[UpdateOp], claim: &Claim) -> u64 {
    if claim.kind == EffectKind::Release {
        return 0;
    }
    let own = |op: &UpdateOp| match op {
        UpdateOp::Units { item, change: UnitsChange::Add(units) } => {
            let is_own = (item.product.0, item.entry.0) == (claim.product, claim.entry);
            is_own.then_some(*units)
        }
        _ => None,
    };
    ops.iter().filter_map(own).sum()
}

/// What was done, in words.
pub fn text(done: &Repaired) -> String {
    let Repaired { vendor, updates, unexplained, differ, seats_until_ms } = done;
    let mut text = format!("{vendor}: {} updates were taken in from the journal", updates.len());
    for grant in unexplained {
        text += &format!("\n  grant {grant} was made again: no order explains it");
    }
    for container in differ {
        text += &format!("\n  container {container} differs: look at it before it gets more");
    }
    if let Some(until_ms) = seats_until_ms {
        text += "\n  seats are given again at ";
        // Writing to a string cannot fail.
        let _ = write_utc(u64::try_from(until_ms / 1000).unwrap_or(0), &mut text);
    }
    text
}
