//! From a ticket to licenses in a container, and back.

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{ContainerKind, KeyId, hex};
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::{ContextBody, ReceiptBody};
use vendor::ledger::{Ledger, Point};
use vendor::{VerifiedStatement, verify};

use super::chain::{self, Planned};
use super::env::Env;
use super::firm::{Firm, Leaf};
use super::plan::{self, May};
use super::records::{
    Container, ContainerState, Grant, Home, HomeKind, Order, Place, Standing, Ticket, TicketState,
};
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use super::{enrollment, lapse, orders, requests, serving, standing, takeover};

/// A context whose certificate and signature held.
pub struct Context {
    /// What it says.
    pub statement: VerifiedStatement<ContextBody>,
    /// The container's certificate, as it came.
    pub certificate: Vec<u8>,
    /// The whole file.
    pub file: Vec<u8>,
}

/// Updates for a container, decided and not signed.
pub struct Due {
    /// In the order in which it applies them, each with what it does.
    pub leaves: Vec<(Leaf, String)>,
    /// Why it gets nothing. What its context proved counts all the same.
    pub refused: Option<Refusal>,
}

impl Context {
    /// Verifies a context file for this firm.
    pub fn read(firm: &Firm, bytes: &[u8]) -> Outcome<Self> {
        let certifiers = firm.certifiers()?;
        let (statement, rest) = verify::<ContextBody>(bytes, FileKind::Context, certifiers)?;
        file::finish(rest)?;
        let objects = file::expect(bytes, FileKind::Context)?;
        let len_max = protocol::limits::DEVICE_BODY_LEN_MAX;
        let (_, behind) = file::next_object(objects, len_max)?;
        let certificate = objects[..objects.len() - behind.len()].to_vec();
        Ok(Context { statement, certificate, file: bytes.to_vec() })
    }

    /// Where the container's chain is.
    fn point(&self) -> Point {
        self.statement.point()
    }
}

/// Takes a container in, or finds it, and settles what its context proves.
pub fn meet(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    context: &Context,
) -> Outcome<Stored<Container>> {
    let device = &context.statement.device;
    let id = hex(device.id.bytes());
    if device.body.kind == ContainerKind::Tpm {
        takeover::refuse_replaced(work, &id)?;
    }
    let mut container = match work.find::<Container>(&id)? {
        Some(known) => enrollment::of_same_key(known, &device.body)?,
        None => {
            let record = Container {
                id: id.clone(),
                serial: context.statement.serial(),
                certificate: hex(&context.certificate),
                state: ContainerState::Active,
                home: Home::of(&device.body),
                origin: context.point(),
                adopted: None,
                requests: None,
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
    if container.record.state == ContainerState::Differs {
        let (shown, known) = (context.point().seq, container.record.chain.base.seq);
        return Err(ErrorCode::ContainerUndecided.with(shown, known).into());
    }
    requests::check(work, firm, &container.record, context)?;
    if let Err(refused) = chain::settle(work, &mut container, context.point()) {
        let is_old = chain::was_proved(work, &container.record, context.point())?;
        let numbers = (context.point().seq, container.record.chain.base.seq);
        return Err(match refused {
            Refusal::Told(_) if is_old => ErrorCode::ContextOld.with(numbers.0, numbers.1).into(),
            refused => refused,
        });
    }
    // A container that was taken in from the journal has shown none of these yet.
    container.record.serial = context.statement.serial();
    container.record.certificate = hex(&context.certificate);
    container.record.home = Home::of(&device.body);
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
    let mut container = meet(work, env, firm, context)?;
    if container.record.state != ContainerState::Active {
        return Err(ErrorCode::ContainerBlocked.into());
    }
    let mut planned = plan::waiting(work, env, &container.record, May::Get)?;
    // What lapsed in this container is renewed there, or as it is wanted: not free for another.
    let mut elsewhere = orders::grants(work, &ticket.id)?;
    elsewhere.retain(|grant| grant.record.place.container() != Some(&container.record.id));
    lapse::of_ticket(work, env, &elsewhere)?;
    let grants = orders::grants(work, &ticket.id)?;
    let chosen = choose(&ticket, &grants, products, &container.record)?;
    if !chosen.is_empty() {
        let order = work.get::<Order>(&ticket.order)?.record;
        container.record.customer = container.record.customer.or(order.customer);
        let what = format!("{} into {}", chosen.len(), container.record.serial);
        work.note("ticket.redeem", &ticket.id, what);
    }
    planned.extend(plan::install_all(work, env, &container.record, chosen)?);
    send(work, env, firm, (&mut container, context), planned)?;
    due(work, &container.record, context)
}

/// What of a ticket goes into this container: nothing where it is there already.
fn choose(
    ticket: &Ticket,
    grants: &[Stored<Grant>],
    products: &[u32],
    container: &Container,
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
    let is_here = |grant: &&Stored<Grant>| grant.record.place.container() == Some(&container.id);
    let is_free = |grant: &Stored<Grant>| grant.record.is_free_for(&container.serial);
    // The activation that this container has a part of already, else the first that is whole.
    let begun = grants.iter().find(is_here).map(|grant| grant.record.device);
    let whole = |device: &u32| {
        let mut own = meant.iter().filter(|grant| grant.record.device == *device);
        own.all(|grant| is_free(grant))
    };
    let mut devices = grants.iter().map(|grant| grant.record.device);
    let Some(device) = begun.or_else(|| devices.find(whole)) else {
        return Err(none_free(grants));
    };
    let own = meant.into_iter().filter(|grant| grant.record.device == device && is_free(grant));
    Ok(own.cloned().collect())
}

/// Why nothing of a ticket can be had.
fn none_free(grants: &[Stored<Grant>]) -> Refusal {
    let waits = |grant: &Stored<Grant>| serving::waits(&grant.record);
    if let Some(refused) = grants.iter().find_map(waits) {
        return refused;
    }
    let suspended = grants.iter().find(|grant| {
        grant.record.place == Place::Pool && grant.record.wanted == Standing::Suspended
    });
    if let Some(grant) = suspended {
        return ErrorCode::LicenseSuspendedHere.with(grant.record.product.into(), 0).into();
    }
    if let Some(grant) = grants.iter().find(|grant| grant.record.assigned.is_some()) {
        let refused = Shown::from(ErrorCode::LicenseAssigned.failure());
        return refused.about(grant.record.assigned.as_deref().unwrap_or_default()).into();
    }
    let total = grants.iter().map(|grant| u64::from(grant.record.device) + 1).max().unwrap_or(0);
    ErrorCode::TicketUsedUp.with(total, total).into()
}

/// Issues what was planned, if anything was, and what answers the container's request.
fn send(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (container, context): (&mut Stored<Container>, &Context),
    planned: Vec<Planned>,
) -> Outcome<()> {
    let answer = requests::answer(work, env, firm, container, context)?;
    if !planned.is_empty() || answer.is_some() {
        chain::issue(work, env, firm, container, (planned, answer))?;
    }
    work.update(container)
}

/// What a container still has to apply, from the state that it showed.
pub fn due(work: &mut Work<'_>, container: &Container, context: &Context) -> Outcome<Due> {
    let leaves = chain::outstanding(work, container, context.point())?;
    Ok(Due { leaves, refused: None })
}

/// What a container still has to apply, made anew under the key that signs now.
pub fn anew(
    work: &mut Work<'_>,
    env: &Env<'_>,
    (firm, key_id): (&Firm, KeyId),
    context: &Context,
) -> Outcome<Vec<(Leaf, String)>> {
    let mut container = meet(work, env, firm, context)?;
    chain::reissue(work, env, &mut container, key_id, context.point())?;
    chain::outstanding(work, &container.record, context.point())
}

/// Takes a receipt in: the number of its update.
pub fn receipt(work: &mut Work<'_>, env: &Env<'_>, firm: &Firm, bytes: &[u8]) -> Outcome<u64> {
    let certifiers = firm.certifiers()?;
    let (statement, rest) = verify::<ReceiptBody>(bytes, FileKind::Receipt, certifiers)?;
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

/// Takes licenses out of a container: all that Central put there, or those of `products`. They are
/// free once the container's receipt is here; with `to`, the serial of another container, for that
/// one alone, which gets them when it next asks.
pub fn release(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: &Firm,
    (products, to): (&[u32], Option<&str>),
    context: &Context,
) -> Outcome<Due> {
    let mut container = meet(work, env, firm, context)?;
    let to = to.map(|serial| serial.trim().to_uppercase());
    if let Some(serial) = &to {
        standing::check_serial(work, serial)?;
        if *serial == container.record.serial {
            return Err(Refusal::malformed("it is in that container already"));
        }
    }
    let mut planned = Vec::new();
    for known in chain::entries(work, &container.record.id)? {
        // A module may have left with its parent.
        let grant = work.latest(known)?;
        let is_meant = products.is_empty() || products.contains(&grant.record.product);
        let Place::Held { entry, .. } = grant.record.place else { continue };
        if is_meant {
            planned.extend(plan::take_out(work, &container.record, (grant, entry))?);
        }
    }
    for one in &planned {
        let mut grant = work.get::<Grant>(&one.effect.grant)?;
        if grant.record.terms.units() > 0 {
            return Err(ErrorCode::UnitsStay.with(grant.record.product.into(), 0).into());
        }
        grant.record.assigned = to.clone();
        work.update(&grant)?;
    }
    if !planned.is_empty() {
        let count = planned.len();
        let what = match &to {
            Some(serial) => format!("{count} licenses, for {serial}"),
            None => format!("{count} licenses"),
        };
        work.note("container.release", &container.record.id, what);
    }
    let admitted = firm.admits(&context.statement, env.now_s());
    let may = if admitted.is_ok() { May::Get } else { May::GiveBack };
    planned.extend(plan::waiting(work, env, &container.record, may)?);
    send(work, env, firm, (&mut container, context), planned)?;
    due(work, &container.record, context)
}

/// The Auto-update Trigger: what waits for a container without a ticket. Renewals that are due,
/// what the vendor decided, what was assigned to it.
pub fn collect(work: &mut Work<'_>, env: &Env<'_>, firm: &Firm, context: &Context) -> Outcome<Due> {
    let mut container = meet(work, env, firm, context)?;
    let admitted = firm.admits(&context.statement, env.now_s());
    let may = if admitted.is_ok() { May::Get } else { May::GiveBack };
    let tip = container.record.chain.tip();
    let planned = match tip.is_err_and(|refused| refused.is(ErrorCode::TooManyOutstanding)) {
        // It has to apply some first.
        true => Vec::new(),
        false => plan::waiting(work, env, &container.record, may)?,
    };
    if !planned.is_empty() {
        work.note("container.collect", &container.record.id, format!("{} changes", planned.len()));
    }
    // Only where nothing goes, so that what is to be taken out of it goes out first.
    let refused = match planned.is_empty() {
        true => admitted.err().map(Refusal::from).or(withheld(work, env, &container.record)?),
        false => None,
    };
    if refused.is_none() {
        send(work, env, firm, (&mut container, context), planned)?;
    }
    let due = due(work, &container.record, context)?;
    let refused = refused.filter(|_| due.leaves.is_empty());
    Ok(Due { refused, ..due })
}

/// Why a container does not get what waits for it: a person decides, or it is no place for that.
fn withheld(work: &mut Work<'_>, env: &Env<'_>, container: &Container) -> Outcome<Option<Refusal>> {
    if container.state == ContainerState::Blocked {
        return Ok(Some(ErrorCode::ContainerBlocked.into()));
    }
    if container.home.kind != HomeKind::Tpm {
        return Ok(None);
    }
    match takeover::waits(work, &container.id)? {
        Some(claim) => Ok(Some(claim.failure().into())),
        None => plan::misplaced(work, env, container),
    }
}
