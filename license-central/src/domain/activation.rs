//! From a ticket to licenses in a container, and back.

use protocol::errors::ErrorCode;
use protocol::ids::{Generation, hex};
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::{ContextBody, ReceiptBody};
use protocol::objects::update::UnitsChange;
use vendor::issue::{Change, Setting};
use vendor::ledger::{Ledger, Point};
use vendor::{VerifiedStatement, verify};

use super::chain::{self, Planned};
use super::env::Env;
use super::firm::{Firm, Leaf};
use super::orders;
use super::records::{
    Container, ContainerState, Effect, EffectKind, Grant, Order, Place, Product, Ticket,
    TicketState,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};

/// A context whose certificate and signature held.
pub struct Context {
    /// What it says.
    pub statement: VerifiedStatement<ContextBody>,
    /// The container's certificate, as it came.
    pub certificate: Vec<u8>,
}

/// Updates for a container, decided and not signed.
pub struct Due {
    /// In the order in which it applies them, each with what it does.
    pub leaves: Vec<(Leaf, String)>,
}

impl Context {
    /// Verifies a context file for this firm.
    pub fn read(firm: &Firm, bytes: &[u8]) -> Outcome<Self> {
        let (root_fp, mode) = firm.identity()?;
        let (statement, rest) = verify::<ContextBody>(bytes, FileKind::Context, root_fp, mode)?;
        file::finish(rest)?;
        let objects = file::expect(bytes, FileKind::Context)?;
        let len_max = protocol::limits::DEVICE_BODY_LEN_MAX;
        let (_, behind) = file::next_object(objects, len_max)?;
        let certificate = objects[..objects.len() - behind.len()].to_vec();
        Ok(Context { statement, certificate })
    }

    /// Where the container's chain is.
    fn point(&self) -> Point {
        self.statement.point()
    }
}

/// Takes a container in, or finds it, and settles what its context proves.
pub fn meet(work: &mut Work<'_>, env: &Env<'_>, context: &Context) -> Outcome<Stored<Container>> {
    let device = &context.statement.device;
    let id = hex(device.id.bytes());
    let mut container = match work.find::<Container>(&id)? {
        Some(known) => known,
        None => {
            let record = Container {
                id: id.clone(),
                serial: context.statement.serial(),
                certificate: hex(&context.certificate),
                state: ContainerState::Active,
                customer: None,
                chain: Ledger::new(context.statement.serial(), context.point()),
                root_version: 0,
                revocation_epoch: 0,
                created_ms: env.now_ms,
                seen_ms: env.now_ms,
            };
            work.insert(&record)?;
            work.note("container.register", &id, &record.serial);
            Stored { version: 1, record }
        }
    };
    if container.record.state != ContainerState::Active {
        return Err(ErrorCode::ContainerBlocked.into());
    }
    chain::settle(work, &mut container, context.point())?;
    // A container that was taken in from the journal has shown neither yet.
    container.record.serial = context.statement.serial();
    container.record.certificate = hex(&context.certificate);
    container.record.root_version = context.statement.body.root_version;
    container.record.revocation_epoch = context.statement.body.revocation_epoch;
    container.record.seen_ms = env.now_ms;
    work.update(&container)?;
    Ok(container)
}

/// Redeems a ticket into a container: one activation of it, or those `products` of one. Asked again
/// for the same container it issues nothing anew, and tells what is still to be applied.
pub fn activate(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (typed, products): (&str, &[u32]),
    context: &Context,
) -> Outcome<Due> {
    let ticket = orders::by_code(work, typed)?.record;
    firm.admits(&context.statement, env.now_s())?;
    let mut container = meet(work, env, context)?;
    let grants = orders::grants(work, &ticket.id)?;
    let chosen = choose(&ticket, &grants, products, &container.record.id)?;
    if !chosen.is_empty() {
        let order = work.get::<Order>(&ticket.order)?.record;
        container.record.customer = container.record.customer.or(order.customer);
        let mut planned = Vec::new();
        for grant in chosen {
            planned.push(install(work, env, &container.record, grant)?);
        }
        let what = format!("{} into {}", planned.len(), container.record.serial);
        chain::issue(work, env, firm, &mut container, planned)?;
        work.note("ticket.redeem", &ticket.id, what);
        work.update(&container)?;
    }
    due(work, &container.record, context)
}

/// What of a ticket goes into this container: nothing where it is there already.
fn choose(
    ticket: &Ticket,
    grants: &[Stored<Grant>],
    products: &[u32],
    container: &str,
) -> Outcome<Vec<Stored<Grant>>> {
    if ticket.state == TicketState::Withdrawn {
        return Err(ErrorCode::TicketClosed.into());
    }
    let is_meant =
        |grant: &&Stored<Grant>| products.is_empty() || products.contains(&grant.record.product);
    let meant: Vec<&Stored<Grant>> = grants.iter().filter(is_meant).collect();
    let absent = products.iter().find(|code| !meant.iter().any(|g| g.record.product == **code));
    if let Some(code) = absent {
        return Err(Refusal::missing(format!("product {code} of this ticket")));
    }
    let is_here = |grant: &Stored<Grant>| {
        matches!(grant.record.place, Place::Held { .. })
            && grant.record.place.container() == Some(container)
    };
    let is_free = |grant: &Stored<Grant>| grant.record.place == Place::Pool;
    // The activation that this container has a part of already, else the first that is whole.
    let devices = grants.iter().map(|grant| grant.record.device);
    let begun = grants.iter().find(|grant| is_here(grant)).map(|grant| grant.record.device);
    let whole = |device: &u32| {
        let mut own = meant.iter().filter(|grant| grant.record.device == *device);
        own.all(|grant| is_free(grant))
    };
    let Some(device) = begun.or_else(|| devices.clone().find(whole)) else {
        let total = u64::from(devices.max().unwrap_or(0)) + 1;
        return Err(ErrorCode::TicketUsedUp.with(total, total).into());
    };
    let own = meant.into_iter().filter(|grant| grant.record.device == device && is_free(grant));
    Ok(own.cloned().collect())
}

/// A grant on its way into a container.
fn install(
    work: &mut Work<'_>,
    env: &Env<'_>,
    container: &Container,
    mut grant: Stored<Grant>,
) -> Outcome<Planned> {
    let product = work.get::<Product>(&Product::id_of(grant.record.product))?.record;
    let entry = free_entry(work, &container.id, grant.record.product)?;
    let options = match &grant.record.options {
        // It was in a container before: what was fixed then stays so.
        Some(options) => options.renewed(env.now_s())?,
        None => grant.record.terms.fix()?,
    };
    let lapse_s = options.lapse_s()?;
    let item = options.item(grant.record.product, entry)?;
    // What is left of them is in the container once they were there.
    let units = if grant.record.epoch == 0 { grant.record.terms.units() } else { 0 };
    let units = if units > 0 { vec![UnitsChange::Add(units)] } else { Vec::new() };
    let generation = Generation(product.generation);
    let setting = Setting { item, generation, units, data: Vec::new() };
    grant.record.place = Place::Held { container: container.id.clone(), entry };
    grant.record.epoch += 1;
    grant.record.max_lapse_s = lapse_s;
    grant.record.options = Some(options);
    work.update(&grant)?;
    let Grant { id, epoch, .. } = grant.record;
    let effect = Effect { grant: id, epoch, kind: EffectKind::Install };
    Ok(Planned { change: Change::Set(Box::new(setting)), effect })
}

/// The least number that no entry of this product has in the container, or is about to have.
fn free_entry(work: &mut Work<'_>, container: &str, product: u32) -> Outcome<u16> {
    let grants = chain::entries(work, container)?;
    let taken: Vec<u16> = grants
        .iter()
        .filter(|grant| grant.record.product == product)
        .filter_map(|grant| grant.record.place.entry())
        .collect();
    let free = (0..=u16::MAX).find(|number| !taken.contains(number));
    free.ok_or_else(|| Refusal::malformed("no number is left for an entry"))
}

/// What a container still has to apply, from the state that it showed.
pub fn due(work: &mut Work<'_>, container: &Container, context: &Context) -> Outcome<Due> {
    let leaves = chain::outstanding(work, container, context.point())?;
    Ok(Due { leaves })
}

/// Takes a receipt in: the number of its update.
pub fn receipt(work: &mut Work<'_>, env: &Env<'_>, firm: &Firm, bytes: &[u8]) -> Outcome<u64> {
    let (root_fp, mode) = firm.identity()?;
    let (statement, rest) = verify::<ReceiptBody>(bytes, FileKind::Receipt, root_fp, mode)?;
    file::finish(rest)?;
    let shown = statement.point();
    let id = hex(statement.device.id.bytes());
    let mut container = work.get::<Container>(&id)?;
    if shown.seq <= container.record.chain.base.seq {
        // An older one proves nothing new.
        return Ok(shown.seq);
    }
    chain::settle(work, &mut container, shown).map_err(|refused| match refused {
        // What the store meets is for whoever tries again.
        Refusal::Store(_) => refused,
        Refusal::Told(_) => ErrorCode::ReceiptUnknown.with(shown.seq, 0).into(),
    })?;
    container.record.seen_ms = env.now_ms;
    work.note("receipt.take", &id, format!("number {}", shown.seq));
    work.update(&container)?;
    Ok(shown.seq)
}

/// Takes licenses out of a container again: all that Central put there, or those of `products`.
/// They are free once the container's receipt is here.
pub fn release(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    products: &[u32],
    context: &Context,
) -> Outcome<Due> {
    let mut container = meet(work, env, context)?;
    let id = container.record.id.clone();
    let mut planned = Vec::new();
    for mut grant in chain::entries(work, &id)? {
        let is_meant = products.is_empty() || products.contains(&grant.record.product);
        let Place::Held { entry, .. } = grant.record.place else { continue };
        if !is_meant {
            continue;
        }
        if grant.record.terms.units() > 0 {
            return Err(ErrorCode::UnitsStay.with(grant.record.product.into(), 0).into());
        }
        let item = grant.record.item_ref(entry);
        grant.record.place = Place::Releasing { container: id.clone(), entry };
        work.update(&grant)?;
        let Grant { id: grant, epoch, .. } = grant.record;
        let effect = Effect { grant, epoch, kind: EffectKind::Release };
        planned.push(Planned { change: Change::Remove(item), effect });
    }
    if !planned.is_empty() {
        let what = format!("{} licenses", planned.len());
        chain::issue(work, env, firm, &mut container, planned)?;
        work.note("container.release", &id, what);
        work.update(&container)?;
    }
    due(work, &container.record, context)
}

/// Renews what is due in a container, and tells what it still has to apply.
pub fn renew(work: &mut Work<'_>, env: &Env<'_>, firm: &Firm, context: &Context) -> Outcome<Due> {
    firm.admits(&context.statement, env.now_s())?;
    let mut container = meet(work, env, context)?;
    let id = container.record.id.clone();
    let mut planned = Vec::new();
    for mut grant in chain::entries(work, &id)? {
        let (Place::Held { entry, .. }, Some(options)) =
            (grant.record.place.clone(), grant.record.options.clone())
        else {
            continue;
        };
        if options.renew_from_s()?.is_none_or(|from_s| env.now_s() < from_s) {
            continue;
        }
        let options = options.renewed(env.now_s())?;
        let item = options.item(grant.record.product, entry)?;
        let product = work.get::<Product>(&Product::id_of(grant.record.product))?.record;
        let generation = Generation(product.generation);
        // Counted from when it is issued: the container may apply it, whatever is heard of it.
        grant.record.max_lapse_s = grant.record.max_lapse_s.max(options.lapse_s()?);
        grant.record.options = Some(options);
        work.update(&grant)?;
        let setting = Setting { item, generation, units: Vec::new(), data: Vec::new() };
        let Grant { id: grant, epoch, .. } = grant.record;
        let effect = Effect { grant, epoch, kind: EffectKind::Renew };
        planned.push(Planned { change: Change::Set(Box::new(setting)), effect });
    }
    if !planned.is_empty() {
        let what = format!("{} licenses", planned.len());
        chain::issue(work, env, firm, &mut container, planned)?;
        work.note("container.renew", &id, what);
        work.update(&container)?;
    }
    due(work, &container.record, context)
}
