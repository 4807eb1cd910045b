//! Containers that showed what nothing that was issued leads to: the evidence is kept, and a person
//! decides.

use protocol::errors::ErrorCode;
use protocol::ids::hex;
use vendor::ledger::Point;

use super::activation::Context;
use super::env::Env;
use super::firm::Firm;
use super::orders::unhex;
use super::records::{Case, Container, ContainerState, Copies, CopyShown, Decision};
use super::refusal::{Outcome, Refusal};
use super::standing::Reason;
use super::work::{Stored, Work};
use super::{chain, requests, soft, takeover};
use crate::store::Filter;

/// Keeps what a container showed that led to this refusal. It gets nothing until somebody decided,
/// unless the vendor's rules for copies say otherwise.
pub fn open(
    work: &mut Work<'_>,
    env: &Env<'_>,
    context: &Context,
    refused: &Refusal,
) -> Outcome<()> {
    let id = hex(context.statement.device.id.bytes());
    let mut container = work.get::<Container>(&id)?;
    if container.record.state != ContainerState::Active {
        return Ok(());
    }
    let copy = refused.is(ErrorCode::ContainerForked).then(|| shown(&container.record, context));
    let rule = match &copy {
        Some(_) => soft::rules(work)?.record.copies,
        None => Copies::All,
    };
    if rule != Copies::All && is_known(work, &id, copy.as_ref())? {
        return Ok(());
    }
    let case = Case {
        id: env.id("cas"),
        container: id.clone(),
        shown: context.statement.header.seq,
        state: hex(&context.statement.point().state),
        known: container.record.chain.base.seq,
        evidence: hex(&context.file),
        copy,
        created_ms: env.now_ms,
        decision: (rule == Copies::Notify).then_some(Decision::Dismiss),
        claim: None,
    };
    if rule == Copies::All {
        container.record.state = ContainerState::Differs;
        work.update(&container)?;
    }
    let what = match case.copy {
        Some(_) => format!("{id} has a copy"),
        None => format!("{id} showed number {}, known is {}", case.shown, case.known),
    };
    work.note("case.open", &case.id, what);
    work.insert(&case)
}

fn shown(container: &Container, context: &Context) -> CopyShown {
    let request = context.statement.body.request.as_ref();
    let known = container.requests.as_ref();
    CopyShown {
        draw: request.map(|request| hex(&request.draw.0)).unwrap_or_default(),
        answered: known.map(|known| known.context.clone()).unwrap_or_default(),
    }
}

/// Whether this copy is in a case already: it asks again and again.
fn is_known(work: &mut Work<'_>, container: &str, copy: Option<&CopyShown>) -> Outcome<bool> {
    let cases = work.all::<Case>(&Filter::Is("container", container.into()))?;
    let draw = copy.map(|copy| &copy.draw);
    Ok(cases.iter().any(|case| case.record.copy.as_ref().map(|copy| &copy.draw) == draw))
}

/// What a person decided.
pub fn decide(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (id, decision, why): (&str, Decision, &Reason),
) -> Outcome<Case> {
    let mut case = work.get::<Case>(id)?;
    if case.record.decision.is_some() {
        return Err(ErrorCode::RecordTaken.into());
    }
    match case.record.claim.clone() {
        Some(claim) => takeover::decide(work, env, &case.record, (&claim, decision))?,
        None => settle(work, firm, &case.record, decision)?,
    }
    case.record.decision = Some(decision);
    work.note("case.decide", id, format!("{decision:?}: {}", why.reason));
    work.update(&case)?;
    Ok(case.record)
}

fn settle(work: &mut Work<'_>, firm: &Firm, case: &Case, decision: Decision) -> Outcome<()> {
    let mut container = work.get::<Container>(&case.container)?;
    match decision {
        Decision::Adopt => {
            adopt(work, firm, case, &mut container)?;
            container.record.state = ContainerState::Active;
        }
        Decision::Block => container.record.state = ContainerState::Blocked,
        Decision::Dismiss => container.record.state = ContainerState::Active,
    }
    work.update(&container)
}

/// Goes on from what the container showed, never back, where it differs from what is known. Which
/// of its licenses it still has is not known: they stay where they are, and are written anew.
fn adopt(
    work: &mut Work<'_>,
    firm: &Firm,
    case: &Case,
    container: &mut Stored<Container>,
) -> Outcome<()> {
    if case.copy.is_some() {
        return Err(ErrorCode::CopyNotAdopted.into());
    }
    let damaged = || Refusal::malformed("the evidence of this case cannot be read");
    let context = Context::read(firm, &unhex(&case.evidence).ok_or_else(damaged)?)?;
    let shown = context.statement.point();
    // It asks by its own requests from now on, whatever was known of them.
    requests::follow(&mut container.record, &context);
    // Records that were repaired meanwhile may know what it showed: then nothing differs any more.
    if chain::was_proved(work, &container.record, shown)? {
        return Ok(());
    }
    match chain::settle(work, container, shown) {
        Err(Refusal::Told(_)) => {}
        settled => return settled,
    }
    container.record.chain.adopt(shown)?;
    container.record.adopted = Some(case.id.clone());
    chain::drop_outstanding(work, &case.container)?;
    chain::put_back(work, firm, container)
}

/// Whether a person decided that a container was in this state.
pub(super) fn was_adopted(work: &mut Work<'_>, container: &str, shown: Point) -> Outcome<bool> {
    let cases = work.all::<Case>(&Filter::Is("container", container.into()))?;
    Ok(cases.iter().map(|case| &case.record).any(|case| {
        case.decision == Some(Decision::Adopt)
            && (case.shown, &case.state) == (shown.seq, &hex(&shown.state))
    }))
}

/// Open cases of a container.
pub fn of(work: &mut Work<'_>, container: &str) -> Outcome<Vec<Stored<Case>>> {
    let mut cases = work.all::<Case>(&Filter::Is("container", container.into()))?;
    cases.retain(|case| case.record.decision.is_none());
    Ok(cases)
}
