//! The chain of updates of one container: what it proved, what is under way, what follows.

use std::collections::BTreeSet;

use protocol::codec::Fixed;
use protocol::errors::ErrorCode;
use protocol::ids::{KeyId, hex};
use protocol::objects::statement::next_state_hash;
use vendor::issue::Change;
use vendor::ledger::{Issued, Ledger, Point};

use super::env::Env;
use super::firm::{Firm, Grounds, Leaf, Wanted};
use super::journal::Claim;
use super::orders::unhex;
use super::records::{
    Case, Container, ContainerState, Effect, EffectKind, Grant, IssuedUpdate, Place, Ticket,
    UpdateState,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Record, Stored, Work};
use super::{cases, standing};
use crate::store::{Filter, StoreError};

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
    container.record.chain.revive();
    container.record.adopted = None;
    let applied = path(&known.outstanding, shown);
    let waiting: BTreeSet<Point> =
        container.record.chain.outstanding.iter().map(|issued| issued.after).collect();
    // Effects by the number of their update: one that was made anew under another key has the same
    // ones, and they are ruled out where all of them are.
    let mut kept: Vec<(u64, Effect)> = Vec::new();
    let mut dead = Vec::new();
    for issued in known.outstanding.iter().filter(|issued| !waiting.contains(&issued.after)) {
        let mut update = work.get::<IssuedUpdate>(&update_id(&container.record.id, issued))?;
        let is_applied = applied.contains(&issued.after);
        update.record.state = if is_applied { UpdateState::Confirmed } else { UpdateState::Dead };
        for effect in update.record.effects.clone() {
            if is_applied {
                conclude(work, &container.record.id, &effect, true)?;
            }
            let of = if is_applied { &mut kept } else { &mut dead };
            of.push((issued.after.seq, effect));
        }
        work.note("update.settle", &update.record.id, update.record.state.name());
        work.update(&update)?;
    }
    if dead.is_empty() {
        return Ok(());
    }
    for issued in &container.record.chain.outstanding {
        let update = work.get::<IssuedUpdate>(&update_id(&container.record.id, issued))?.record;
        kept.extend(update.effects.into_iter().map(|effect| (issued.after.seq, effect)));
    }
    for ruled_out in dead {
        if !kept.contains(&ruled_out) {
            conclude(work, &container.record.id, &ruled_out.1, false)?;
            kept.push(ruled_out);
        }
    }
    Ok(())
}

/// The updates that lead to `shown`.
fn path(outstanding: &[Issued], shown: Point) -> BTreeSet<Point> {
    let mut steps = BTreeSet::new();
    let mut at = shown;
    // Each step goes back by one number, so this ends.
    while let Some(issued) = outstanding.iter().find(|issued| issued.after == at) {
        steps.insert(issued.after);
        at = issued.before;
    }
    steps
}

/// What an update that was applied, or never will be, does to a grant.
fn conclude(work: &mut Work<'_>, container: &str, effect: &Effect, applied: bool) -> Outcome<()> {
    let mut grant = work.get::<Grant>(&effect.grant)?;
    if effect.units && !applied {
        // They went nowhere, wherever the license is by now.
        grant.record.units_due = true;
        work.update(&grant)?;
        grant = work.get::<Grant>(&effect.grant)?;
    }
    let is_here = grant.record.place.container() == Some(container);
    if grant.record.epoch != effect.epoch || !is_here {
        return Ok(());
    }
    match (&grant.record.place, effect.kind, applied) {
        (Place::Releasing { .. }, EffectKind::Release, true) => standing::leave(work, &mut grant),
        // The container kept it.
        (Place::Releasing { container, entry }, EffectKind::Release, false) => {
            grant.record.place = Place::Held { container: container.clone(), entry: *entry };
            grant.record.assigned = None;
            work.note("grant.place", &grant.record.id, grant.record.place.name());
            work.update(&grant)
        }
        // It never arrived, whatever was to take it out again.
        (_, EffectKind::Install, false) => standing::leave(work, &mut grant),
        (_, EffectKind::Install | EffectKind::Renew, true) => {
            grant.record.proven = effect.standing;
            work.update(&grant)
        }
        // What is there is older than what was issued.
        (_, EffectKind::Renew, false) => {
            grant.record.rewrite = true;
            work.update(&grant)
        }
        _ => Ok(()),
    }
}

/// Forgets what was under way to a container whose state was made elsewhere. Nothing of it counts
/// any more (but see [`put_back`]), whichever of it was applied: what was on its way out is taken
/// to be there still, units that were on their way in are taken to have arrived, and every entry is
/// written anew.
pub fn drop_outstanding(work: &mut Work<'_>, container: &str) -> Outcome<()> {
    for mut update in work.all::<IssuedUpdate>(&Filter::Is("container", container.into()))? {
        if update.record.state == UpdateState::Outstanding {
            update.record.state = UpdateState::Unknown;
            work.update(&update)?;
        }
    }
    for mut grant in entries(work, container)? {
        if let Place::Releasing { container, entry } = grant.record.place {
            grant.record.place = Place::Held { container, entry };
        }
        grant.record.rewrite = true;
        work.update(&grant)?;
    }
    Ok(())
}

/// Puts back what was signed behind a state that is adopted once more, as the records of the first
/// time are lost: the container may have it, and the signer signs no other of its number. What goes
/// out by it is on its way again.
pub fn put_back(
    work: &mut Work<'_>,
    firm: &Firm,
    container: &mut Stored<Container>,
) -> Outcome<()> {
    let own = Filter::Is("container", container.record.id.as_str().into());
    let base = container.record.chain.base;
    let (mut lost, mut reached) = (Vec::new(), vec![base]);
    // They come in the order of their numbers.
    for update in work.all::<IssuedUpdate>(&own)? {
        if update.record.state != UpdateState::Unknown || update.record.seq <= base.seq {
            continue;
        }
        let header = leaf(&update.record)?.header;
        let issued = Issued::of(&header, update.record.what.clone());
        if reached.contains(&issued.before) {
            reached.push(issued.after);
            lost.push((header, issued, update));
        }
    }
    if lost.is_empty() {
        return Ok(());
    }
    let key_id = firm.signer.key_id()?;
    // Of those of a number, what the present key signed goes on.
    lost.sort_by_key(|(header, _, update)| {
        (header.seq, header.key_id == key_id, update.record.issued_ms)
    });
    for (_, issued, mut update) in lost {
        container.record.chain.add(issued);
        update.record.state = UpdateState::Outstanding;
        work.update(&update)?;
        for effect in &update.record.effects {
            send(work, &container.record.id, effect)?;
        }
    }
    Ok(())
}

/// Notes that a grant is on its way out, or is to stay, by an update that counts again.
fn send(work: &mut Work<'_>, container: &str, effect: &Effect) -> Outcome<()> {
    let mut grant = work.get::<Grant>(&effect.grant)?;
    let (Place::Held { container: at, entry } | Place::Releasing { container: at, entry }) =
        &grant.record.place
    else {
        return Ok(());
    };
    if grant.record.epoch != effect.epoch || at != container {
        return Ok(());
    }
    let (container, entry) = (at.clone(), *entry);
    grant.record.place = match effect.kind {
        EffectKind::Release => Place::Releasing { container, entry },
        EffectKind::Install | EffectKind::Renew => Place::Held { container, entry },
    };
    work.update(&grant)
}

/// Whether a container once proved this state, or may have been there: then it was shown again, and
/// nothing is wrong.
pub fn was_proved(work: &mut Work<'_>, container: &Container, shown: Point) -> Outcome<bool> {
    if shown == container.origin {
        return Ok(true);
    }
    let is_earlier = shown.seq < container.chain.base.seq;
    if is_earlier && cases::was_adopted(work, &container.id, shown)? {
        return Ok(true);
    }
    let update = work.find::<IssuedUpdate>(&id_of(&container.id, shown))?;
    Ok(update.is_some_and(|update| match update.record.state {
        UpdateState::Confirmed => true,
        UpdateState::Unknown => is_earlier,
        UpdateState::Outstanding | UpdateState::Dead => false,
    }))
}

/// Decides the next update of a container. It counts as issued from then on, whether or not the
/// container ever hears of it. An answer to its request goes along.
pub fn issue(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    container: &mut Stored<Container>,
    (mut planned, answer): (Vec<Planned>, Option<Change>),
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
    let before = container.record.chain.tip()?;
    let certificate = unhex(&container.record.certificate).unwrap_or_default();
    let (mut changes, effects): (Vec<Change>, Vec<Effect>) =
        planned.into_iter().map(|one| (one.change, one.effect)).unzip();
    changes.extend(answer);
    let wanted =
        Wanted { certificate: &certificate, before, changes: &changes, issued_s: env.now_s() };
    let (leaf, issued) = firm.signer.draft(&wanted)?;
    let claims = claims(work, &changes, &effects)?;
    let update = IssuedUpdate {
        id: update_id(&container.record.id, &issued),
        container: container.record.id.clone(),
        seq: issued.after.seq,
        header: hex(&leaf.header.to_bytes()),
        body: hex(&leaf.body),
        what: issued.what.clone(),
        effects,
        claims,
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
    let mut leaves = Vec::new();
    for issued in container.chain.live_from(shown) {
        let update = work.get::<IssuedUpdate>(&update_id(&container.id, issued))?.record;
        let beside = chain_beside(&container.chain, issued);
        let adopted = container.adopted.as_ref().filter(|_| issued.before == container.chain.base);
        let shown = adopted.map(|case| work.get::<Case>(case)).transpose()?;
        let shown = shown.and_then(|case| unhex(&case.record.evidence)).unwrap_or_default();
        let grounds = Grounds { beside, shown };
        leaves.push((Leaf { grounds, ..leaf(&update)? }, update.what));
    }
    Ok(leaves)
}

/// Makes updates that were decided under another key anew under the one that signs now, with all
/// behind them: each takes the place of the old one and does the same. The container may apply
/// either.
pub fn reissue(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &mut Stored<Container>,
    key_id: KeyId,
    shown: Point,
) -> Outcome<()> {
    let live: Vec<Issued> = container.record.chain.live_from(shown).cloned().collect();
    let mut at = shown;
    for issued in live {
        let old = work.get::<IssuedUpdate>(&update_id(&container.record.id, &issued))?.record;
        let mut header = leaf(&old)?.header;
        if issued.before == at && header.key_id == key_id {
            at = issued.after;
            continue;
        }
        header.key_id = key_id;
        header.state = at.state;
        let state = next_state_hash(&at.state, &header.hash());
        let next = Issued { before: at, after: Point { state, ..issued.after }, ..issued };
        at = next.after;
        let id = update_id(&container.record.id, &next);
        work.note("update.reissue", &id, format!("number {}", old.seq));
        let header = hex(&header.to_bytes());
        work.insert(&IssuedUpdate { id, header, issued_ms: env.now_ms, ..old })?;
        container.record.chain.add(next);
    }
    work.update(container)
}

/// States that others of its number lead to: updates that it takes the place of.
fn chain_beside(chain: &Ledger, issued: &Issued) -> Vec<[u8; 32]> {
    let others = chain.outstanding.iter().filter(|other| other.after.seq == issued.after.seq);
    others.map(|other| other.after.state).filter(|state| *state != issued.after.state).collect()
}

/// What explains the changes of an update, for the journal.
fn claims(work: &mut Work<'_>, changes: &[Change], effects: &[Effect]) -> Outcome<Vec<Claim>> {
    let mut claims = Vec::new();
    for (change, effect) in changes.iter().zip(effects) {
        let item = match change {
            Change::Set(setting) => setting.item.item,
            Change::Remove(item) => *item,
            _ => continue,
        };
        let ticket = work.get::<Grant>(&effect.grant)?.record.ticket;
        let order = work.find::<Ticket>(&ticket)?.map(|ticket| ticket.record.order);
        let Effect { grant, epoch, kind, standing, .. } = effect.clone();
        let (product, entry) = (item.product.0, item.entry.0);
        let order = order.unwrap_or_default();
        claims.push(Claim { grant, epoch, kind, standing, product, entry, ticket, order });
    }
    Ok(claims)
}

/// An update as it is signed.
pub(super) fn leaf(update: &IssuedUpdate) -> Outcome<Leaf> {
    let damaged = || {
        let why = format!("{} is no update", update.id);
        Refusal::Store(StoreError::Damaged { table: IssuedUpdate::TABLE.name, why })
    };
    let header = unhex(&update.header).ok_or_else(damaged)?;
    let header = protocol::signed::Header::from_bytes(&header).map_err(|_| damaged())?;
    let body = unhex(&update.body).ok_or_else(damaged)?;
    Ok(Leaf { header, body, claims: update.claims.clone(), grounds: Grounds::default() })
}

/// All entries of a container that Central put there: numbers by product.
pub fn entries(work: &mut Work<'_>, container: &str) -> Outcome<Vec<Stored<Grant>>> {
    work.all::<Grant>(&Filter::Is("container", container.into()))
}

/// The id of an update: container, number, and which one of that number.
pub fn update_id(container: &str, issued: &Issued) -> String {
    id_of(container, issued.after)
}

fn id_of(container: &str, after: Point) -> String {
    let state = format!("{:?}", Fixed(after.state));
    format!("{container}-{:020}-{}", after.seq, &state[..16])
}
