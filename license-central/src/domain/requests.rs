//! Requests of containers that can be copied: each has one answer, given as often as it is asked
//! for. Two different ones behind the same answer are those of two copies, and nothing else is: who
//! asks again because the answer was lost asks by the same one.

use attest::evidence::{Certified, verify_nv_certify};
use protocol::codec::Fixed;
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerKind, hex, parse_hex};
use protocol::objects::file::{self, FileKind};
use protocol::objects::request::{Answer, Request};
use protocol::objects::update::{UpdateOp, read_ops};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::issue::Change;
use vendor::ledger::Point;

use super::activation::Context;
use super::env::Env;
use super::firm::{Firm, Leaf};
use super::orders::unhex;
use super::records::{Container, ContainerState, Enrolled, IssuedUpdate, UpdateState};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use super::{chain, enrollment, soft};
use crate::store::Filter;

const DAY_S: u32 = 24 * 60 * 60;

/// The last request of a container that was answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Answered {
    /// Its number, from 1.
    pub number: u64,
    /// What it drew, hexadecimal; empty where that is not known.
    pub draw: String,
    /// The head of its answer, hexadecimal.
    pub head: String,
    /// What the container's TPM said in it.
    pub tpm: Option<TpmShown>,
    /// The context that asked, hexadecimal: evidence, if another asks by the same number.
    pub context: String,
}

/// What a TPM certified. Each of it rises only, and goes back with a TPM that is put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TpmShown {
    /// How often it was reset.
    pub resets: u32,
    /// How often it was restarted since.
    pub restarts: u32,
    /// Milliseconds that it ran.
    pub clock_ms: u64,
    /// The machine's counter.
    pub count: u64,
}

/// Refuses a container that asks by another request than the one that was answered: it has a copy.
/// What does not follow from what is known at all is for the chain of updates to judge.
pub fn check(
    work: &mut Work<'_>,
    firm: &Firm,
    container: &Container,
    context: &Context,
) -> Outcome<()> {
    let Some(request) = &context.statement.body.request else {
        let can_be_copied = context.statement.device.body.kind == ContainerKind::Tpm;
        let why = || enrollment::unproven("it asks by no request");
        return if can_be_copied { Err(why()) } else { Ok(()) };
    };
    let shown = shown(work, firm, container, request)?;
    let Some(known) = &container.requests else { return Ok(()) };
    if request.number > known.number {
        let goes_back = shown.zip(known.tpm).is_some_and(|(shown, known)| !shown.follows(known));
        return if goes_back { Err(forked(request, known)) } else { Ok(()) };
    }
    let draw = hex(&request.draw.0);
    let is_last = request.number == known.number && draw == known.draw;
    if is_last || answer_to(work, &container.id, request)?.is_some() {
        return Ok(());
    }
    Err(forked(request, known))
}

/// What answers the request of a container, where nothing that it can still apply does.
pub fn answer(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    container: &mut Stored<Container>,
    context: &Context,
) -> Outcome<Option<Change>> {
    let Some(request) = &context.statement.body.request else { return Ok(None) };
    let is_asked = container.record.state == ContainerState::Active;
    if !is_asked || container.record.chain.tip().is_err() {
        return Ok(None);
    }
    for issued in container.record.chain.live_from(context.statement.point()) {
        let update = work.get::<IssuedUpdate>(&chain::update_id(&container.record.id, issued))?;
        if answer_in(&update.record).is_some_and(|answer| answer.draw == request.draw) {
            return Ok(None);
        }
    }
    let draw = hex(&request.draw.0);
    let known = container.record.requests.as_ref().filter(|known| known.draw == draw);
    // The same request has the same head, whichever of its answers the container applies.
    let head = known.and_then(|known| parse_hex(&known.head));
    let head = head.unwrap_or_else(|| request.head(&env.bytes()));
    container.record.requests = Some(Answered {
        number: request.number,
        draw,
        head: hex(&head),
        tpm: shown(work, firm, &container.record, request)?,
        context: hex(&context.file),
    });
    let grace_s = soft::rules(work)?.record.grace_days.saturating_mul(DAY_S);
    let answer = Answer { draw: request.draw, head: Fixed(head), grace_s };
    Ok(Some(Change::Answer(answer)))
}

/// The update that answered a request of long ago, for a container that asks by it again from the
/// state that it follows: one that was put back to where it waited for that answer.
pub fn again(work: &mut Work<'_>, context: &Context) -> Outcome<Option<(Leaf, String)>> {
    let Some(request) = &context.statement.body.request else { return Ok(None) };
    let id = hex(context.statement.device.id.bytes());
    let shown = context.statement.point();
    let Some(container) = work.find::<Container>(&id)? else { return Ok(None) };
    let container = container.record;
    if container.state != ContainerState::Active || shown.seq >= container.chain.base.seq {
        return Ok(None);
    }
    let Some(update) = answer_to(work, &id, request)? else { return Ok(None) };
    let leaf = chain::leaf(&update)?;
    let before = Point { seq: leaf.header.seq.saturating_sub(1), state: leaf.header.state };
    let is_next = update.state == UpdateState::Confirmed && before == shown;
    Ok(is_next.then_some((leaf, update.what)))
}

/// Goes on from the request that a container asks by, whatever was known of others.
pub fn follow(container: &mut Container, context: &Context) {
    let Some(request) = &context.statement.body.request else { return };
    container.requests = Some(Answered {
        number: request.number.saturating_sub(1),
        draw: String::new(),
        head: hex(&request.after.0),
        tpm: None,
        context: String::new(),
    });
}

/// Takes in what an update of the journal answered.
pub fn repaired(container: &mut Container, ops: &[UpdateOp]) {
    let answers = ops.iter().filter_map(|op| match op {
        UpdateOp::Answer(answer) => Some(answer),
        _ => None,
    });
    for answer in answers {
        let draw = hex(&answer.draw.0);
        // Records that know more than the journal are not put back.
        let number = match &container.requests {
            Some(known) if known.draw == draw => known.number,
            known => known.as_ref().map_or(0, |known| known.number) + 1,
        };
        let (head, context) = (hex(&answer.head.0), String::new());
        container.requests = Some(Answered { number, draw, head, tpm: None, context });
    }
}

impl TpmShown {
    /// A reset begins the rest anew; the counter never does.
    fn follows(self, before: TpmShown) -> bool {
        let time = |shown: TpmShown| (shown.resets, shown.restarts, shown.clock_ms);
        self.count > before.count && time(self) >= time(before)
    }
}

impl From<Certified> for TpmShown {
    fn from(certified: Certified) -> Self {
        TpmShown {
            resets: certified.clock.reset_count,
            restarts: certified.clock.restart_count,
            clock_ms: certified.clock.clock_ms,
            count: certified.counter().unwrap_or(0),
        }
    }
}

/// What the TPM of a container certified in a request; none for one that was certified without.
fn shown(
    work: &mut Work<'_>,
    firm: &Firm,
    container: &Container,
    request: &Request,
) -> Outcome<Option<TpmShown>> {
    let Some(enrolled) = work.find::<Enrolled>(&container.id)? else { return Ok(None) };
    let bytes = unhex(&enrolled.record.request).unwrap_or_default();
    let bytes = file::write(FileKind::Enrollment, &[&bytes]);
    let (enrolled, _) = enrollment::read_request(firm, &bytes)?;
    let Some(tpm) = &enrolled.body.tpm else { return Ok(None) };
    let evidence = request.evidence.as_ref();
    let evidence = evidence.ok_or_else(|| enrollment::unproven("it shows nothing of its TPM"))?;
    let tpm = enrollment::Tpm::read(tpm)?;
    let over = request.qualifying(enrolled.firm, enrolled.container);
    let (attest, signature) = (&evidence.attest, &evidence.signature);
    let certified = verify_nv_certify(&tpm.attestation, attest, signature, &over, &tpm.counter);
    Ok(Some(certified.map_err(enrollment::unproven)?.into()))
}

/// The update that answered this request.
fn answer_to(
    work: &mut Work<'_>,
    container: &str,
    request: &Request,
) -> Outcome<Option<IssuedUpdate>> {
    let own = work.all::<IssuedUpdate>(&Filter::Is("container", container.into()))?;
    let mut own = own.into_iter().map(|update| update.record);
    Ok(own.find(|update| answer_in(update).is_some_and(|answer| answer.draw == request.draw)))
}

/// The answer that an update brings.
fn answer_in(update: &IssuedUpdate) -> Option<Answer> {
    let ops = read_ops(&unhex(&update.body)?).ok()?;
    ops.into_iter().find_map(|op| match op {
        UpdateOp::Answer(answer) => Some(answer),
        _ => None,
    })
}

fn forked(request: &Request, known: &Answered) -> Refusal {
    ErrorCode::ContainerForked.with(request.number, known.number).into()
}
