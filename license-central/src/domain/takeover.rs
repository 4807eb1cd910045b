//! Containers of soft licenses that took the place of lost ones: what a lost one held goes to the
//! new one, by itself on the same machine and so often a year, else when a person decided.

use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, ContainerKind, parse_hex};
use vendor::Issuer;

use super::env::Env;
use super::firm::Firm;
use super::records::{
    Case, Container, ContainerState, Decision, Enrolled, Grant, Place, Proved, Standing, TakeOver,
    TakeOverClaim, WhyWaits,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use super::{chain, restore, soft};
use crate::store::Filter;

/// What is counted together: 365 days.
const YEAR_MS: i64 = 365 * 24 * 3_600_000;

/// What the lost container held, and where it may go.
struct Lost {
    container: Stored<Container>,
    held: Vec<Stored<Grant>>,
}

/// Whether what a lost container held may go by itself.
enum Ruled {
    /// It may; it counts for this.
    Goes(String),
    /// A person decides.
    Waits(TakeOverClaim),
}

/// Refuses what comes in the name of a container whose place another one took.
pub fn refuse_replaced(work: &mut Work<'_>, id: &str) -> Outcome<()> {
    match work.find::<TakeOver>(id)? {
        Some(_) => Err(ErrorCode::SoftReplaced.into()),
        None => Ok(()),
    }
}

/// Takes the place of the container that `new` says it replaces, as far as that goes by itself;
/// else it becomes a case. `request` is what it said, signed.
pub fn ask(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (new, request): (&Enrolled, &str),
) -> Outcome<()> {
    let Some(proved) = &new.proved else { return Ok(()) };
    let Some(lost_id) = proved.replaces.clone().filter(|lost| *lost != new.id) else {
        return Ok(());
    };
    // A container that was never certified here held nothing.
    let old = work.find::<Enrolled>(&lost_id)?.map(|old| old.record);
    let is_other = |old: &Enrolled| match (old.identity(), new.identity()) {
        (Some(old), Some(own)) => old != own,
        _ => false,
    };
    let Some(old) = old.filter(is_other) else { return Ok(()) };
    let was_asked = claims(work, &lost_id)?.iter().any(|(_, claim)| claim.successor == new.id);
    if was_asked || work.find::<TakeOver>(&lost_id)?.is_some() {
        return Ok(());
    }
    let lost = lost(work, &lost_id)?;
    let is_same = is_same_machine(proved, old.proved.as_ref());
    let Some(lost) = lost.filter(|lost| !lost.held.is_empty()) else {
        // Nothing goes over. Who is not proved to be there cannot end another's container.
        return if is_same { take(work, env, &lost_id, (&new.id, None)) } else { Ok(()) };
    };
    match ruled(work, env, firm, (&lost, is_same.then_some(proved)))? {
        Ruled::Goes(counted) => take(work, env, &lost_id, (&new.id, Some(counted))),
        Ruled::Waits(claim) => {
            let claim = TakeOverClaim { successor: new.id.clone(), ..claim };
            open(work, env, &lost, (claim, request))
        }
    }
}

/// What a person decided about a claim.
pub fn decide(
    work: &mut Work<'_>,
    env: &Env<'_>,
    case: &Case,
    (claim, decision): (&TakeOverClaim, Decision),
) -> Outcome<()> {
    match decision {
        Decision::Adopt if work.find::<TakeOver>(&case.container)?.is_some() => {
            Err(ErrorCode::RecordTaken.into())
        }
        Decision::Adopt => {
            let successor = last(work, &claim.successor)?;
            take(work, env, &case.container, (&successor, None))
        }
        Decision::Block => {
            let mut container = work.get::<Container>(&case.container)?;
            container.record.state = ContainerState::Blocked;
            work.update(&container)
        }
        Decision::Dismiss => Ok(()),
    }
}

/// The case by which a container waits for what a lost one held.
pub fn waits(work: &mut Work<'_>, id: &str) -> Outcome<Option<TakeOverClaim>> {
    let own = work.find::<Enrolled>(id)?.and_then(|own| own.record.proved);
    let Some(lost) = own.and_then(|proved| proved.replaces) else { return Ok(None) };
    let open = claims(work, &lost)?.into_iter();
    let mut open = open.filter(|(case, claim)| case.decision.is_none() && claim.successor == id);
    Ok(open.next().map(|(_, claim)| claim))
}

/// Claims to what a container held, decided or not.
fn claims(work: &mut Work<'_>, lost: &str) -> Outcome<Vec<(Case, TakeOverClaim)>> {
    let cases = work.all::<Case>(&Filter::Is("container", lost.into()))?.into_iter();
    let claim = |case: Stored<Case>| case.record.claim.clone().map(|claim| (case.record, claim));
    Ok(cases.filter_map(claim).collect())
}

/// A container that is known, with what it holds and what waits for it.
fn lost(work: &mut Work<'_>, id: &str) -> Outcome<Option<Lost>> {
    let Some(container) = work.find::<Container>(id)? else { return Ok(None) };
    let mut held = chain::entries(work, id)?;
    held.retain(|grant| {
        let is_there = matches!(grant.record.place, Place::Held { .. } | Place::Releasing { .. });
        is_there && grant.record.wanted != Standing::Withdrawn
    });
    held.extend(waiting(work, &container.record.serial)?);
    Ok(Some(Lost { container, held }))
}

/// Licenses that wait for the container of this serial.
fn waiting(work: &mut Work<'_>, serial: &str) -> Outcome<Vec<Stored<Grant>>> {
    let mut waiting = work.all::<Grant>(&Filter::Is("assigned", serial.into()))?;
    waiting.retain(|grant| grant.record.place == Place::Pool);
    Ok(waiting)
}

/// Whether both were proved to be by the same TPM.
fn is_same_machine(new: &Proved, old: Option<&Proved>) -> bool {
    new.tpm.is_some() && old.is_some_and(|old| old.tpm == new.tpm)
}

/// Whether what is lost may go by itself: to the machine that it was on, if one is named.
fn ruled(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (lost, machine): (&Lost, Option<&Proved>),
) -> Outcome<Ruled> {
    let rules = soft::rules(work)?.record;
    let id = &lost.container.record.id;
    let (counted, allowed, why) = match machine.and_then(|proved| proved.tpm.as_deref()) {
        Some(tpm) => (format!("tpm/{tpm}"), rules.same_machine_a_year, WhyWaits::TooOften),
        None => (format!("line/{}", line(work, id)?), rules.elsewhere_a_year, WhyWaits::Elsewhere),
    };
    let since_ms = env.now_ms.saturating_sub(YEAR_MS);
    let before = work.all::<TakeOver>(&Filter::Is("counted", counted.as_str().into()))?;
    let times = before.iter().filter(|one| one.record.at_ms > since_ms).count();
    let times = u32::try_from(times).unwrap_or(u32::MAX);
    let why = match () {
        () if is_stopped(firm, &lost.container.record)? => WhyWaits::Stopped,
        () if times >= allowed => why,
        () => return Ok(Ruled::Goes(counted)),
    };
    Ok(Ruled::Waits(TakeOverClaim { successor: String::new(), why, times, allowed }))
}

/// Whether the vendor took it out of service before it was said to be lost.
fn is_stopped(firm: &Firm, container: &Container) -> Outcome<bool> {
    let id = parse_hex::<16>(&container.id).map(ContainerId::new);
    let id = id.ok_or_else(|| Refusal::missing("the container"))?;
    let is_revoked = Issuer::of(&firm.trust)?.check_container(id).is_err();
    Ok(is_revoked || container.state != ContainerState::Active)
}

/// The first container of the line that a container is the last of.
fn line(work: &mut Work<'_>, id: &str) -> Outcome<String> {
    let before = work.by::<TakeOver>("successor", id.into())?;
    Ok(before.map_or_else(|| id.to_owned(), |before| before.record.line))
}

/// The last container of the line that a container is in.
fn last(work: &mut Work<'_>, id: &str) -> Outcome<String> {
    let mut last = id.to_owned();
    while let Some(next) = work.find::<TakeOver>(&last)? {
        last = next.record.successor;
    }
    Ok(last)
}

/// The new one takes the place of the lost one, which is blocked; what that held waits for the new
/// one, and may be used in both until it lapses.
fn take(
    work: &mut Work<'_>,
    env: &Env<'_>,
    id: &str,
    (successor, counted): (&str, Option<String>),
) -> Outcome<()> {
    let mut licenses = 0;
    if let Some(Lost { mut container, held }) = lost(work, id)? {
        let new = parse_hex::<16>(successor).map(ContainerId::new);
        let new = new.ok_or_else(|| Refusal::missing("the container that takes its place"))?;
        let to = new.serial(ContainerKind::Tpm).to_string();
        for grant in held {
            licenses += 1;
            restore::lose(work, env, grant, (env.now_ms, Some(&to)))?;
        }
        container.record.state = ContainerState::Blocked;
        work.update(&container)?;
        work.note("container.lost", id, format!("{licenses} licenses"));
    }
    let taken = TakeOver {
        line: line(work, id)?,
        id: id.to_owned(),
        successor: successor.to_owned(),
        counted,
        licenses,
        at_ms: env.now_ms,
    };
    work.insert(&taken)?;
    work.note("container.take-over", successor, format!("{licenses} licenses of {id}"));
    Ok(())
}

/// Leaves it to a person.
fn open(
    work: &mut Work<'_>,
    env: &Env<'_>,
    lost: &Lost,
    (claim, request): (TakeOverClaim, &str),
) -> Outcome<()> {
    let container = &lost.container.record;
    let what = format!("{} asks for what {} held", claim.successor, container.id);
    let case = Case {
        id: env.id("cas"),
        container: container.id.clone(),
        shown: container.chain.base.seq,
        state: String::new(),
        known: container.chain.base.seq,
        evidence: request.to_owned(),
        copy: None,
        created_ms: env.now_ms,
        decision: None,
        claim: Some(claim),
    };
    work.note("case.open", &case.id, what);
    work.insert(&case)
}
