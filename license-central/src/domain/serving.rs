//! Licenses whose seats Central gives itself: which may be, from when to when, and who may take
//! them.

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{hex, parse_hex};
use protocol::objects::option::ItemOption;
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::desk::number;
use super::env::Env;
use super::firm::Firm;
use super::keys::Secret;
use super::lapse;
use super::orders;
use super::records::{
    CounterId, Grant, Place, SeatCredential, SeatRevocation, Ticket, TicketState,
};
use super::refusal::{Outcome, Refusal};
use super::seats::not_before;
use super::standing;
use super::terms::Options;
use super::work::{Stored, Work};
use crate::store::Filter;
use crate::store::seats::Counter;

/// Credentials that a grant may have at the same time.
const CREDENTIALS_MAX: usize = 100;

/// Seconds of the longest time-out and linger time.
const TIME_S_MAX: u32 = 7 * 24 * 3600;

/// How seats are held.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeatTerms {
    /// How often whoever holds one says so, seconds.
    pub heartbeat_s: u32,
    /// Without that, until it is lost, seconds.
    pub timeout_s: u32,
    /// For how long it stays taken behind that, seconds; the license's own linger time if none.
    pub linger_s: Option<u32>,
}

impl Default for SeatTerms {
    fn default() -> Self {
        SeatTerms { heartbeat_s: 60, timeout_s: 180, linger_s: None }
    }
}

/// What of a license is judged here.
struct Judged {
    seats: u32,
    from_s: u64,
    until_s: Option<u64>,
    linger_s: u32,
}

impl Judged {
    /// A counter with no seat taken.
    fn counter(&self, id: CounterId, (timeout_s, linger_s): (u32, u32)) -> Counter {
        Counter {
            id: id.0,
            seats: self.seats.into(),
            in_use: 0,
            from_ms: ms(self.from_s),
            until_ms: self.until_s.map_or(i64::MAX, ms),
            timeout_ms: ms(timeout_s.into()),
            linger_ms: ms(linger_s.into()),
            open: 1,
        }
    }
}

fn ms(s: u64) -> i64 {
    i64::try_from(s.saturating_mul(1000)).unwrap_or(i64::MAX)
}

/// Serves a grant that is nowhere else: as far as is known once journal and records agree. There is
/// no journal where nobody signs.
pub fn serve(
    work: &mut Work<'_>,
    env: &Env<'_>,
    firm: Option<&Firm>,
    (id, terms): (&str, &SeatTerms),
) -> Outcome<Stored<Grant>> {
    firm.map_or(Ok(()), |firm| firm.signer.agreed())?;
    let grant = work.get::<Grant>(id)?;
    lapse::of_ticket(work, env, std::slice::from_ref(&grant))?;
    let mut grant = work.latest(grant)?;
    if !grant.record.is_free() {
        return Err(waits(&grant.record).unwrap_or(ErrorCode::LicenseNotServed.into()));
    }
    check(terms)?;
    let options = match &grant.record.options {
        // It was in a container before: what was fixed then stays so.
        Some(options) => options.clone(),
        None => grant.record.terms.fix(env, grant.record.periods)?,
    };
    let judged = judge(&options)?;
    let counter = CounterId(number(env.now_ms, env.random));
    let SeatTerms { heartbeat_s, timeout_s, linger_s } = *terms;
    let linger_s = linger_s.unwrap_or(judged.linger_s);
    work.open_counter(judged.counter(counter, (timeout_s, linger_s)));
    grant.record.options = Some(options);
    grant.record.epoch += 1;
    grant.record.max_lapse_s = judged.until_s;
    grant.record.place = Place::Served { counter, heartbeat_s, timeout_s, linger_s, ends: false };
    work.update(&grant)?;
    work.note("grant.serve", id, format!("{} seats", judged.seats));
    Ok(grant)
}

/// Takes a grant back: at once where no seat is taken. Otherwise none is given any more, and it is
/// taken back by asking again when all were given back or lapsed.
pub fn unserve(work: &mut Work<'_>, id: &str) -> Outcome<Stored<Grant>> {
    let mut grant = work.get::<Grant>(id)?;
    if !matches!(grant.record.place, Place::Served { .. }) {
        return Err(ErrorCode::LicenseNotServed.into());
    }
    stop(work, &mut grant)?;
    Ok(grant)
}

/// Gives no more seats of a grant that is served; others are left alone.
pub fn stop(work: &mut Work<'_>, grant: &mut Stored<Grant>) -> Outcome<()> {
    let Place::Served { counter, ends, .. } = &mut grant.record.place else { return Ok(()) };
    let taken = work.counter(counter.0)?.map_or(0, |own| own.in_use);
    let is_first = !std::mem::replace(ends, true);
    if is_first {
        work.close_counter(counter.0);
    }
    if taken == 0 {
        work.note("grant.unserve", &grant.record.id, "");
        return standing::leave(work, grant);
    }
    if is_first {
        work.note("grant.unserve", &grant.record.id, format!("when {taken} seats are free"));
        work.update(grant)?;
    }
    Ok(())
}

/// Makes a credential for a grant that is served. Its text is told once.
pub fn credential(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    grant: &Grant,
) -> Outcome<(SeatCredential, Zeroizing<String>)> {
    let Place::Served { counter, heartbeat_s, ends: false, .. } = grant.place else {
        return Err(ErrorCode::LicenseNotServed.into());
    };
    let all = work.all::<SeatCredential>(&Filter::Is("license_grant", grant.id.as_str().into()))?;
    let counts = |own: &&Stored<SeatCredential>| {
        own.record.revoked_ms.is_none() && own.record.counter == counter
    };
    if all.iter().filter(counts).count() >= CREDENTIALS_MAX {
        let why = format!("a license has at most {CREDENTIALS_MAX} credentials; revoke one");
        return Err(Refusal::malformed(why));
    }
    let own = Zeroizing::new(hex(&env.bytes::<24>()));
    let credential = SeatCredential {
        id: env.id("crd"),
        grant: grant.id.clone(),
        product: grant.product,
        counter,
        heartbeat_s,
        secret_hash: secret.credential_hash(&own),
        created_ms: env.now_ms,
        revoked_ms: None,
    };
    work.insert(&credential)?;
    work.note("credential.create", &credential.id, format!("for {}", grant.id));
    let text = Zeroizing::new(format!("{}.{}", credential.id, *own));
    Ok((credential, text))
}

/// Seats of a grant may be held of which nobody here knows, but that they are over at `until_ms`:
/// none is given before, and it goes nowhere else. Its counter is made again where it was lost.
/// Whether it waits for that.
pub fn hold(
    work: &mut Work<'_>,
    env: &Env<'_>,
    mut grant: Stored<Grant>,
    until_ms: i64,
) -> Outcome<bool> {
    let options = match &grant.record.options {
        Some(options) => Ok(options.clone()),
        None => grant.record.terms.fix(env, grant.record.periods),
    };
    // Of what cannot be served nobody has a seat.
    let Ok(judged) = options.and_then(|options| judge(&options)) else { return Ok(false) };
    if let Place::Served { counter, timeout_s, linger_s, ends, .. } = grant.record.place {
        let from_ms = until_ms.saturating_add(ms(linger_s.into()));
        match work.counter(counter.0)? {
            Some(known) if known.from_ms >= from_ms => {}
            Some(_) => work.hold_counter(counter.0, from_ms),
            None => {
                let lost = judged.counter(counter, (timeout_s, linger_s));
                let (from_ms, open) = (lost.from_ms.max(from_ms), i64::from(!ends));
                work.open_counter(Counter { from_ms, open, ..lost });
            }
        }
    }
    if until_ms > env.now_ms && grant.record.seats_until_ms < Some(until_ms) {
        grant.record.seats_until_ms = Some(until_ms);
        work.update(&grant)?;
    }
    Ok(grant.record.seats_until_ms > Some(env.now_ms))
}

/// The refusal of a grant that waits for seats that may be held.
pub fn waits(grant: &Grant) -> Option<Refusal> {
    grant.seats_until_ms.filter(|_| grant.place == Place::Pool).map(not_before)
}

/// Ends a credential. Seats that it took lapse, since nobody can keep them.
pub fn revoke(work: &mut Work<'_>, env: &Env<'_>, id: &str) -> Outcome<SeatCredential> {
    let mut credential = work.get::<SeatCredential>(id)?;
    if credential.record.revoked_ms.is_none() {
        credential.record.revoked_ms = Some(env.now_ms);
        work.update(&credential)?;
        work.insert(&SeatRevocation { id: env.id("rev"), credential: id.to_owned() })?;
        work.note("credential.revoke", id, "");
    }
    Ok(credential.record)
}

/// For whoever has a ticket: a credential for a license of it, which is served from now on if it
/// was nowhere.
pub fn by_ticket(
    work: &mut Work<'_>,
    env: &Env<'_>,
    (secret, firm): (&Secret, Option<&Firm>),
    (typed, product): (&str, Option<u32>),
) -> Outcome<(Grant, SeatCredential, Zeroizing<String>)> {
    let ticket: Ticket = orders::by_code(work, typed)?.record;
    if ticket.state == TicketState::Withdrawn {
        return Err(ErrorCode::TicketClosed.into());
    }
    let grants = orders::grants(work, &ticket.id)?;
    lapse::of_ticket(work, env, &grants)?;
    let grants = orders::grants(work, &ticket.id)?;
    let code = match product {
        Some(code) => code,
        None => only_product(&grants)?,
    };
    let mut meant = grants.into_iter().filter(|grant| grant.record.product == code).peekable();
    if meant.peek().is_none() {
        return Err(Refusal::missing(format!("product {code} of this ticket")));
    }
    let (served, others): (Vec<_>, Vec<_>) =
        meant.partition(|grant| matches!(grant.record.place, Place::Served { ends: false, .. }));
    let grant = match served.into_iter().next() {
        Some(served) => served,
        None => {
            let waiting = others.iter().find_map(|grant| waits(&grant.record));
            let free = others.into_iter().find(|grant| grant.record.is_free());
            let free = free.ok_or(waiting.unwrap_or(ErrorCode::LicenseNotServed.into()))?;
            serve(work, env, firm, (&free.record.id, &SeatTerms::default()))?
        }
    };
    let (credential, text) = self::credential(work, env, secret, &grant.record)?;
    Ok((grant.record, credential, text))
}

/// Whether `text` is the secret part of this credential, and it still counts.
pub fn is_own(secret: &Secret, credential: Option<&SeatCredential>, text: &str) -> bool {
    // Compared also where there is none, so that both take the same time.
    let expected = credential.map_or_else(|| hex(&[0; 32]), |own| own.secret_hash.clone());
    let equal: bool = secret.credential_hash(text).as_bytes().ct_eq(expected.as_bytes()).into();
    equal && credential.is_some_and(|own| own.revoked_ms.is_none())
}

/// The bytes of a grant's id.
pub fn grant_bytes(id: &str) -> [u8; 16] {
    id.split_once('_').and_then(|(_, digits)| parse_hex(digits)).unwrap_or_default()
}

fn only_product(grants: &[Stored<Grant>]) -> Outcome<u32> {
    let mut codes: Vec<u32> = grants.iter().map(|grant| grant.record.product).collect();
    codes.sort_unstable();
    codes.dedup();
    match codes[..] {
        [code] => Ok(code),
        _ => Err(Refusal::malformed("the ticket has several products: name one")),
    }
}

fn check(terms: &SeatTerms) -> Outcome<()> {
    let SeatTerms { heartbeat_s, timeout_s, linger_s } = *terms;
    let fits = (1..=TIME_S_MAX).contains(&heartbeat_s)
        && (heartbeat_s..=TIME_S_MAX).contains(&timeout_s)
        && linger_s.unwrap_or(0) <= TIME_S_MAX;
    let why = format!(
        "heartbeat_s is at least 1, timeout_s at least that, and no time more than {TIME_S_MAX}"
    );
    if fits { Ok(()) } else { Err(Refusal::malformed(why)) }
}

/// What is judged here of a license, which must have nothing else.
fn judge(options: &Options) -> Outcome<Judged> {
    let mut judged = Judged { seats: 0, from_s: 0, until_s: None, linger_s: 0 };
    for option in options.list()?.iter() {
        match option {
            ItemOption::LicenseQuantity(seats) => judged.seats = *seats,
            ItemOption::ActivationTime(from_s) => judged.from_s = *from_s,
            ItemOption::ExpirationTime(until_s) => judged.until_s = Some(*until_s),
            ItemOption::LingerTime(linger_s) => judged.linger_s = *linger_s,
            // For people to read.
            ItemOption::Text(_) | ItemOption::CustomerInfo(_) => {}
            other => return Err(not_served(format!("{:?}", other.kind()))),
        }
    }
    match judged.seats {
        0 => Err(not_served("no quantity: it is for one machine, and not counted")),
        _ => Ok(judged),
    }
}

fn not_served(what: impl std::fmt::Display) -> Refusal {
    Refusal::Told(Shown::from(ErrorCode::OptionNotServed.failure()).detailed(what))
}
