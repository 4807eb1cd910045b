//! The chain of updates of one container: what it proved, what is under way, what follows.

use std::collections::BTreeSet;

use protocol::codec::Fixed;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::hex;
use vendor::issue::Change;
use vendor::ledger::{Issued, Point};

use super::env::Env;
use super::firm::{Firm, Leaf, Wanted};
use super::orders::unhex;
use super::records::{
    Container, ContainerState, Effect, EffectKind, Grant, IssuedUpdate, Place, UpdateState,
};
use super::refusal::{Outcome, Refusal};
use super::standing;
use super::work::{Stored, Work};
use crate::store::Filter;

/// A change of a container, and what it does to a grant.
pub struct Planned {
    /// The change.
    pub change: Change,
    /// What it does.
    pub effect: Effect,
    /// Whether it is of a module, which cannot be without its parent.
    pub is_module: bool,
}

impl Planned {
    /// What comes first in an update: modules leave before their parents, and come behind them;
    /// what takes a place comes behind what leaves it.
    fn rank(&self) -> u8 {
        match (self.effect.kind, self.is_module) {
            (EffectKind::Release, true) => 0,
            (EffectKind::Release, false) => 1,
            (_, false) => 2,
            (_, true) => 3,
        }
    }
}

/// Takes in a state that the container signed. Every update that it proves has its effect now, and
/// those that it rules out have none.
pub fn settle(work: &mut Work<'_>, container: &mut Stored<Container>, shown: Point) -> Outcome<()> {
    let known = container.record.chain.clone();
    if shown == known.base {
        return Ok(());
    }
    container
        .record
        .chain
        .settle(shown)
        .map_err(|_| Refusal::from(ErrorCode::ContainerDiffers.with(shown.seq, known.base.seq)))?;
    let applied = path(&known.outstanding, shown);
    let waiting = &container.record.chain.outstanding;
    let waiting: BTreeSet<String> =
        waiting.iter().map(|issued| update_id(&container.record.id, issued)).collect();
    for issued in &known.outstanding {
        let id = update_id(&container.record.id, issued);
        if waiting.contains(&id) {
            continue;
        }
        let mut update = work.get::<IssuedUpdate>(&id)?;
        let is_applied = applied.contains(&id_part(issued));
        update.record.state = if is_applied { UpdateState::Confirmed } else { UpdateState::Dead };
        for effect in update.record.effects.clone() {
            conclude(work, &container.record.id, &effect, is_applied)?;
        }
        work.note("update.settle", &id, update.record.state.name());
        work.update(&update)?;
    }
    Ok(())
}

/// The updates that lead to `shown`.
fn path(outstanding: &[Issued], shown: Point) -> BTreeSet<(u64, [u8; 32])> {
    let mut steps = BTreeSet::new();
    let mut at = shown;
    // Each step goes back by one number, so this ends.
    while let Some(issued) = outstanding.iter().find(|issued| issued.after == at) {
        steps.insert(id_part(issued));
        at = issued.before;
    }
    steps
}

fn id_part(issued: &Issued) -> (u64, [u8; 32]) {
    (issued.after.seq, issued.after.state)
}

/// What an update that was applied, or never will be, does to a grant.
fn conclude(work: &mut Work<'_>, container: &str, effect: &Effect, applied: bool) -> Outcome<()> {
    let mut grant = work.get::<Grant>(&effect.grant)?;
    let is_here = grant.record.place.container() == Some(container);
    if grant.record.epoch != effect.epoch || !is_here {
        return Ok(());
    }
    match (&grant.record.place, effect.kind, applied) {
        (Place::Releasing { .. }, EffectKind::Release, true) => standing::leave(work, &mut grant),
        // The container kept it.
        (Place::Releasing { container, entry }, EffectKind::Release, false) => {
            grant.record.place = Place::Held { container: container.clone(), entry: *entry };
            work.note("grant.place", &grant.record.id, grant.record.place.name());
            work.update(&grant)
        }
        // It never arrived.
        (Place::Held { .. }, EffectKind::Install, false) => standing::leave(work, &mut grant),
        (Place::Held { .. }, EffectKind::Install | EffectKind::Renew, true) => {
            grant.record.proven = effect.standing;
            work.update(&grant)
        }
        _ => Ok(()),
    }
}

/// Forgets what was under way to a container whose state was made elsewhere. Nothing of it counts
/// any more, whichever of it was applied; what was on its way out is taken to be there still.
pub fn drop_outstanding(work: &mut Work<'_>, container: &str) -> Outcome<()> {
    for mut update in work.all::<IssuedUpdate>(&Filter::Is("container", container.into()))? {
        if update.record.state == UpdateState::Outstanding {
            update.record.state = UpdateState::Dead;
            work.update(&update)?;
        }
    }
    for mut grant in entries(work, container)? {
        if let Place::Releasing { container, entry } = grant.record.place {
            grant.record.place = Place::Held { container, entry };
            work.update(&grant)?;
        }
    }
    Ok(())
}

/// Whether a container once proved this state, or was met in it: then it was shown again, and
/// nothing is wrong.
pub fn was_proved(work: &mut Work<'_>, container: &str, shown: Point) -> Outcome<bool> {
    let is_proved = |update: &IssuedUpdate| update.state == UpdateState::Confirmed;
    let update = work.find::<IssuedUpdate>(&id_of(container, shown))?;
    if update.is_some_and(|update| is_proved(&update.record)) {
        return Ok(true);
    }
    // No update leads to the state in which it was met, but what it proved follows from it.
    let next = shown.seq.checked_add(1);
    for update in work.all::<IssuedUpdate>(&Filter::Is("container", container.into()))? {
        let follows = Some(update.record.seq) == next && is_proved(&update.record);
        if follows && leaf(&update.record)?.header.state == shown.state {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Decides the next update of a container. It counts as issued from then on, whether or not the
/// container ever hears of it.
pub fn issue(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    container: &mut Stored<Container>,
    mut planned: Vec<Planned>,
) -> Outcome<()> {
    planned.sort_by_key(Planned::rank);
    let gives_back = planned.iter().all(|one| one.effect.kind == EffectKind::Release);
    match container.record.state {
        ContainerState::Active => {}
        ContainerState::Blocked if gives_back => {}
        ContainerState::Blocked | ContainerState::Differs => {
            return Err(ErrorCode::ContainerBlocked.into());
        }
    }
    let before = container.record.chain.next(None)?;
    let certificate = unhex(&container.record.certificate).unwrap_or_default();
    let (changes, effects): (Vec<Change>, Vec<Effect>) =
        planned.into_iter().map(|one| (one.change, one.effect)).unzip();
    let wanted =
        Wanted { certificate: &certificate, before, changes: &changes, issued_s: env.now_s() };
    let (leaf, issued) = firm.signer.draft(&wanted)?;
    let update = IssuedUpdate {
        id: update_id(&container.record.id, &issued),
        container: container.record.id.clone(),
        seq: issued.after.seq,
        header: hex(&leaf.header.to_bytes()),
        body: hex(&leaf.body),
        what: issued.what.clone(),
        effects,
        state: UpdateState::Outstanding,
        issued_ms: env.now_ms,
    };
    work.note("update.issue", &update.id, &update.what);
    work.insert(&update)?;
    container.record.chain.add(issued);
    Ok(())
}

/// Updates that a container may still apply from `shown` on, in order, as they are signed.
pub fn outstanding(
    work: &mut Work<'_>,
    container: &Container,
    shown: Point,
) -> Outcome<Vec<(Leaf, String)>> {
    let mut at = shown;
    let mut leaves = Vec::new();
    let live = |at: Point| {
        let mut all = container.chain.outstanding.iter();
        all.find(move |issued| issued.before == at && !issued.superseded)
    };
    while let Some(issued) = live(at) {
        let update = work.get::<IssuedUpdate>(&update_id(&container.id, issued))?.record;
        leaves.push((leaf(&update)?, update.what));
        at = issued.after;
    }
    Ok(leaves)
}

fn leaf(update: &IssuedUpdate) -> Outcome<Leaf> {
    let damaged = || {
        let failure = Shown::from(ErrorCode::StoreUnavailable.failure());
        Refusal::from(failure.detailed(format!("update {} is damaged", update.id)))
    };
    let header = unhex(&update.header).ok_or_else(damaged)?;
    let header = protocol::signed::Header::from_bytes(&header).map_err(|_| damaged())?;
    Ok(Leaf { header, body: unhex(&update.body).ok_or_else(damaged)? })
}

/// All entries of a container that Central put there: numbers by product.
pub fn entries(work: &mut Work<'_>, container: &str) -> Outcome<Vec<Stored<Grant>>> {
    work.all::<Grant>(&Filter::Is("container", container.into()))
}

/// The id of an update: container, number, and which one of that number.
fn update_id(container: &str, issued: &Issued) -> String {
    id_of(container, issued.after)
}

fn id_of(container: &str, after: Point) -> String {
    let state = format!("{:?}", Fixed(after.state));
    format!("{container}-{:020}-{}", after.seq, &state[..16])
}
