//! What waits for a container: what the vendor wants of its licenses, and what is due.
//!
//! Nothing is queued. What a container gets follows from how its grants stand and from what was
//! issued last, so that a wish that was taken back leaves nothing behind.

use protocol::errors::ErrorCode;
use protocol::ids::Generation;
use protocol::objects::license::ItemRef;
use protocol::objects::update::UnitsChange;
use vendor::issue::{Change, Setting};

use super::chain::{self, Planned};
use super::env::Env;
use super::records::{
    Container, ContainerState, Effect, EffectKind, Grant, Place, Product, Standing,
};
use super::refusal::{Outcome, Refusal};
use super::soft;
use super::terms::Options;
use super::work::{Stored, Work};
use crate::store::Filter;

/// Changes in one update: what is more waits for the next contact.
const CHANGES_MAX: usize = 64;

/// What a container may get.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum May {
    /// Anything.
    Get,
    /// Nothing: it may only give back. Blocked and revoked ones.
    GiveBack,
}

/// All that waits for a container, as changes of its next update.
pub fn waiting(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    may: May,
) -> Outcome<Vec<Planned>> {
    let may = if container.state == ContainerState::Active { may } else { May::GiveBack };
    let mut planned = Vec::new();
    for known in parents_first(chain::entries(work, &container.id)?)? {
        if planned.len() >= CHANGES_MAX {
            return Ok(planned);
        }
        // A module may have left with its parent.
        let grant = work.latest(known)?;
        let Place::Held { entry, .. } = grant.record.place else { continue };
        let goes = grant.record.is_leaving()
            || container.state == ContainerState::Blocked
            || is_orphan(work, container, &grant.record)?;
        if goes {
            let mark = grant.record.followed_by.is_some().then(|| work.mark());
            match (leaving(work, env, container, (may, grant, entry)), mark) {
                // What takes its place has none here: it stays until an order says otherwise.
                (Err(refused), Some(mark)) if soft::is_misplaced(&refused) => work.back_to(mark),
                (left, _) => planned.extend(left?),
            }
        } else if may == May::Get
            && let Some(options) = wanted_options(env, &grant.record)?
        {
            planned.push(rewrite(work, (grant, entry), options)?);
        }
    }
    if may == May::Get {
        let assigned = Filter::Is("assigned", container.serial.as_str().into());
        for grant in parents_first(work.all::<Grant>(&assigned)?)? {
            if grant.record.is_free_for(&container.serial) && planned.len() < CHANGES_MAX {
                match install(work, env, container, grant) {
                    // The others come all the same.
                    Err(refused) if soft::is_misplaced(&refused) => {}
                    installed => planned.extend(installed?),
                }
            }
        }
    }
    Ok(planned)
}

/// Why one of the licenses that wait for a container has no place in it, if that is so.
pub fn misplaced(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
) -> Outcome<Option<Refusal>> {
    let assigned = Filter::Is("assigned", container.serial.as_str().into());
    for grant in work.all::<Grant>(&assigned)? {
        if grant.record.is_free_for(&container.serial) {
            let options = fresh_options(env, &grant.record)?;
            let placed = soft::check_place(work, container, (grant.record.product, &options));
            match placed {
                Err(refused) if soft::is_misplaced(&refused) => return Ok(Some(refused)),
                placed => placed?,
            }
        }
    }
    Ok(None)
}

/// An entry that leaves for good, and what takes its place in the same update.
fn leaving(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    (may, grant, entry): (May, Stored<Grant>, u16),
) -> Outcome<Vec<Planned>> {
    let follower = grant.record.followed_by.clone().filter(|_| may == May::Get);
    let (ticket, device) = (grant.record.ticket.clone(), grant.record.device);
    // Its modules come later, and have no parent then.
    let mut planned = vec![remove(work, container, (grant, entry))?];
    if let Some(follower) = follower {
        planned.extend(successors(work, env, container, (&ticket, &follower, device))?);
    }
    Ok(planned)
}

/// Grants in an order in which no module comes before its parent.
fn parents_first(grants: Vec<Stored<Grant>>) -> Outcome<Vec<Stored<Grant>>> {
    let (mut parents, mut modules) = (Vec::new(), Vec::new());
    for grant in grants {
        let is_module = grant.record.terms.is_module() || grant.record.module_of()?.is_some();
        if is_module { modules.push(grant) } else { parents.push(grant) }
    }
    parents.extend(modules);
    Ok(parents)
}

/// Whether it is a module whose parent is in the container no more.
fn is_orphan(work: &mut Work<'_>, container: &Container, grant: &Grant) -> Outcome<bool> {
    let Some(parent) = grant.module_of()? else { return Ok(false) };
    Ok(!parents(work, container)?.iter().any(|(_, item)| *item == parent))
}

/// Entries of a container that stay there and that modules may belong to.
fn parents(work: &mut Work<'_>, container: &Container) -> Outcome<Vec<(Grant, ItemRef)>> {
    let mut parents = Vec::new();
    for Stored { record: grant, .. } in chain::entries(work, &container.id)? {
        let Place::Held { entry, .. } = grant.place else { continue };
        if !grant.is_leaving() && grant.module_of()?.is_none() {
            let item = grant.item_ref(entry);
            parents.push((grant, item));
        }
    }
    Ok(parents)
}

/// Options as they go into a container: a module's belong to the parent that is there, best to the
/// one of its own activation. None where there is no parent.
fn placed(
    work: &mut Work<'_>,
    container: &Container,
    grant: &Grant,
    options: Options,
) -> Outcome<Option<Options>> {
    let Some(meant) = options.module_of()? else { return Ok(Some(options)) };
    let mut parents = parents(work, container)?;
    parents.retain(|(own, item)| item.product == meant.product && !own.rewrite);
    let is_own = |own: &Grant| (&own.ticket, own.device) == (&grant.ticket, grant.device);
    let own = parents.iter().find(|(own, _)| is_own(own)).or(parents.first());
    own.map(|(_, item)| options.belonging_to(*item)).transpose()
}

/// The options that an entry should have, where it was issued with others.
fn wanted_options(env: &Env<'_>, grant: &Grant) -> Outcome<Option<Options>> {
    let Some(issued) = &grant.options else { return Ok(None) };
    let is_suspended = issued.is_suspended()?;
    let is_due = issued.renew_from_s()?.is_some_and(|from_s| env.now_s() >= from_s);
    if let Some(until_s) = grant.until_s.filter(|_| grant.wanted == Standing::Active)
        && issued.expires_s()? != Some(until_s)
    {
        let extended = issued.expiring(until_s)?.suspended(false)?;
        return Ok(Some(extended.renewed(env.now_s())?));
    }
    Ok(match (grant.wanted, is_suspended) {
        (Standing::Suspended, false) => Some(issued.suspended(true)?),
        (Standing::Active, true) => Some(issued.suspended(false)?.renewed(env.now_s())?),
        (Standing::Active, false) if is_due => Some(issued.renewed(env.now_s())?),
        _ if grant.rewrite || grant.units_due => Some(issued.clone()),
        _ => None,
    })
}

/// What takes the place of an activation that an order replaced: once all of the old one is out of
/// every container, or leaves this one by the same update.
fn successors(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    (old, new, device): (&str, &str, u32),
) -> Outcome<Vec<Planned>> {
    let leaves = |grant: &Grant| match &grant.place {
        Place::Withdrawn => grant.is_gone(),
        Place::Releasing { container: from, .. } => *from == container.id,
        Place::Pool | Place::Served { .. } | Place::Held { .. } => false,
    };
    let old = work.all::<Grant>(&Filter::Is("ticket", old.into()))?;
    if !old.iter().filter(|grant| grant.record.device == device).all(|one| leaves(&one.record)) {
        return Ok(Vec::new());
    }
    let mut planned = Vec::new();
    for grant in parents_first(work.all::<Grant>(&Filter::Is("ticket", new.into()))?)? {
        // Still tied to the old one, whose leaving by this update is not proved yet.
        if grant.record.device == device && grant.record.is_at_hand() {
            planned.extend(install(work, env, container, grant)?);
        }
    }
    Ok(planned)
}

/// What a ticket has for a container, on its way into it: parents before their modules.
pub fn install_all(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    grants: Vec<Stored<Grant>>,
) -> Outcome<Vec<Planned>> {
    let mut planned = Vec::new();
    for grant in parents_first(grants)? {
        let product = grant.record.product;
        let installed = install(work, env, container, grant)?;
        let alone = || ErrorCode::ModuleAlone.with(product.into(), 0);
        planned.push(installed.ok_or_else(alone)?);
    }
    Ok(planned)
}

/// A grant on its way into a container; none for a module whose parent is not there.
fn install(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    mut grant: Stored<Grant>,
) -> Outcome<Option<Planned>> {
    let entry = free_entry(work, &container.id, &grant.record)?;
    let options = fresh_options(env, &grant.record)?;
    soft::check_place(work, container, (grant.record.product, &options))?;
    let Some(options) = placed(work, container, &grant.record, options)? else { return Ok(None) };
    grant.record.place = Place::Held { container: container.id.clone(), entry };
    grant.record.epoch += 1;
    grant.record.max_lapse_s = options.lapse_s()?;
    grant.record.assigned = None;
    grant.record.entry = None;
    set(work, (grant, entry), options, EffectKind::Install).map(Some)
}

/// The options that a grant has in the next container.
fn fresh_options(env: &Env<'_>, grant: &Grant) -> Outcome<Options> {
    match &grant.options {
        // It was in a container before: what was fixed then stays so.
        Some(options) => match grant.until_s {
            Some(until_s) => options.expiring(until_s)?,
            None => options.clone(),
        }
        .suspended(false)?
        .renewed(env.now_s()),
        None => grant.terms.fix(env, grant.periods),
    }
}

/// An entry that is written anew.
fn rewrite(
    work: &mut Work<'_>,
    (mut grant, entry): (Stored<Grant>, u16),
    options: Options,
) -> Outcome<Planned> {
    // Counted from when it is issued: the container may apply it, whatever is heard of it.
    grant.record.max_lapse_s = match (grant.record.max_lapse_s, options.lapse_s()?) {
        (Some(old), Some(new)) => Some(old.max(new)),
        _ => None,
    };
    set(work, (grant, entry), options, EffectKind::Renew)
}

fn set(
    work: &mut Work<'_>,
    (mut grant, entry): (Stored<Grant>, u16),
    options: Options,
    kind: EffectKind,
) -> Outcome<Planned> {
    let product = work.get::<Product>(&Product::id_of(grant.record.product))?.record;
    let item = options.item(grant.record.product, entry)?;
    let standing = if options.is_suspended()? { Standing::Suspended } else { Standing::Active };
    let is_module = item.module_of().is_some();
    let units = std::mem::take(&mut grant.record.units_due);
    grant.record.rewrite = false;
    grant.record.options = Some(options);
    work.update(&grant)?;
    let generation = Generation(product.generation);
    let added = units.then(|| UnitsChange::Add(grant.record.terms.units()));
    let setting = Setting { item, generation, units: Vec::from_iter(added), data: Vec::new() };
    let Grant { id, epoch, .. } = grant.record;
    let effect = Effect { grant: id, epoch, kind, standing, units };
    Ok(Planned { change: Change::Set(Box::new(setting)), effect, is_module })
}

/// An entry that leaves its container, with its modules. Their grants are free, or gone, once the
/// receipt is here.
pub fn take_out(
    work: &mut Work<'_>,
    container: &Container,
    (grant, entry): (Stored<Grant>, u16),
) -> Outcome<Vec<Planned>> {
    let item = grant.record.item_ref(entry);
    let mut planned = Vec::new();
    for module in chain::entries(work, &container.id)? {
        let Place::Held { entry, .. } = module.record.place else { continue };
        if module.record.module_of()? == Some(item) {
            planned.push(remove(work, container, (module, entry))?);
        }
    }
    planned.push(remove(work, container, (grant, entry))?);
    Ok(planned)
}

fn remove(
    work: &mut Work<'_>,
    container: &Container,
    (mut grant, entry): (Stored<Grant>, u16),
) -> Outcome<Planned> {
    let item = grant.record.item_ref(entry);
    let is_module = grant.record.module_of()?.is_some();
    grant.record.place = Place::Releasing { container: container.id.clone(), entry };
    if grant.record.followed_by.is_some() {
        grant.record.wanted = Standing::Withdrawn;
    }
    work.update(&grant)?;
    let Grant { id, epoch, wanted: standing, .. } = grant.record;
    let effect = Effect { grant: id, epoch, kind: EffectKind::Release, standing, units: false };
    Ok(Planned { change: Change::Remove(item), effect, is_module })
}

/// The number that its entry has there already; else the least that no entry of this product has
/// in the container, or is about to have.
fn free_entry(work: &mut Work<'_>, container: &str, grant: &Grant) -> Outcome<u16> {
    let grants = chain::entries(work, container)?;
    let taken: Vec<u16> = grants
        .iter()
        .filter(|other| other.record.product == grant.product)
        .filter_map(|other| other.record.place.entry())
        .collect();
    let mut numbers = grant.entry.into_iter().chain(0..=u16::MAX);
    let free = numbers.find(|number| !taken.contains(number));
    free.ok_or_else(|| Refusal::malformed("no number is left for an entry"))
}
