//! Seats that Central serves: programs take, keep and give them back over a network that loses,
//! and stop by their own clocks. F1 to F3 and F6 of seats, over crashes and several instances.

use std::collections::BTreeMap;

use license_central::domain::agreement;
use license_central::domain::central::Central;
use license_central::domain::credentials::{self, Caller};
use license_central::domain::desk::Asked;
use license_central::domain::env::Env;
use license_central::domain::lease::Lease;
use license_central::domain::records::{Grant, Place, SeatCredential};
use license_central::domain::refusal::{Outcome, Refusal};
use license_central::domain::seats::{Held, Request, Wish, first_break};
use license_central::domain::serving::{self, SeatTerms};
use license_central::domain::work::Work;
use license_central::store::seats::SeatKey;
use protocol::errors::ErrorCode;
use zeroize::Zeroizing;

use super::event::Event;
use super::parties::FIRMS;
use super::world::World;

/// The product that is served, its item, and how many seats it has.
pub(super) const SERVED: u32 = 8;
pub(super) const SKU: &str = "SEATS";
pub(super) const QUANTITY: i64 = 2;

/// Without a word for so long, a seat is lost: what Central takes where nothing else is said.
const TIMEOUT_MS: u64 = 180_000;

/// The same where the vendor says it.
const LONG_TIMEOUT_S: u32 = 1_800;

/// How long a seat may be counted that nobody uses any more: instances whose clocks differ, and the
/// moment in which a holder may not have noticed.
const LATE_MS: u64 = 5_000;

/// Who has a credential, and the use that it makes of a license.
pub(super) struct Holder {
    firm: usize,
    credential: Zeroizing<String>,
    timeout_ms: u64,
    /// Whether its credential is worth nothing any more.
    is_over: bool,
    now: Option<Use>,
    /// A use that is over for good.
    ended: Option<Use>,
}

/// One use.
#[derive(Clone)]
struct Use {
    grant: String,
    key: SeatKey,
    seats: i64,
    n: i64,
    /// What was asked and not answered yet, and when it was sent first.
    asked: Option<(i64, Wish, u64)>,
    /// When something was sent last.
    sent_ms: u64,
    /// Until when its program goes on.
    until_ms: u64,
    timeout_ms: u64,
    /// Whether the records have lost it.
    is_lost: bool,
}

impl World<'_> {
    /// Some things happen with licenses that are served, within minutes.
    pub(super) fn seats_act(&mut self) {
        for _ in 0..1 + self.dice.below(5) {
            self.seat_acts();
            self.judge_seats();
        }
    }

    fn seat_acts(&mut self) {
        match self.dice.below(14) {
            0 => self.serves_ticket(),
            1 => self.takes_back(),
            2 => {
                let ms = self.dice.below(2 * TIMEOUT_MS as usize) as u64;
                self.pass_ms(ms);
                self.line(&format!("{ms} ms later"));
            }
            3 if self.saved.is_none() => self.backs_up(),
            3 => self.puts_back(),
            _ => self.holder_acts(),
        }
    }

    fn serves_ticket(&mut self) {
        let own: Vec<usize> =
            (0..self.bought.len()).filter(|at| self.bought[*at].sku == SKU).collect();
        if own.is_empty() {
            return;
        }
        let which = own[self.dice.below(own.len())];
        let (firm, code) = (self.bought[which].firm, self.bought[which].code.to_string());
        let tenant = FIRMS[firm];
        if self.dice.one_in(3) {
            self.serves_long(tenant, &self.bought[which].id.clone());
        }
        let done = self.call(tenant, |central| {
            central.write(tenant, "gateway", |work, env| {
                let asked = (code.as_str(), None);
                let firm = central.firm(tenant)?;
                serving::by_ticket(work, env, (central.secret(), Some(&firm)), asked)
            })
        });
        self.line(&format!("{tenant}: serves: {}", done.is_ok()));
        if let Ok((Grant { place: Place::Served { timeout_s, .. }, .. }, _, credential)) = done {
            self.note(Event::Served);
            let timeout_ms = u64::from(timeout_s) * 1000;
            let is_over = false;
            let holder = Holder { firm, credential, timeout_ms, is_over, now: None, ended: None };
            self.holders.push(holder);
        }
    }

    /// The vendor serves what is free of a ticket, with longer times.
    fn serves_long(&mut self, tenant: &str, ticket: &str) {
        let free = |grant: &&Grant| grant.ticket == ticket && grant.is_free();
        let Some(id) = self.book.grants.values().find(free).map(|grant| grant.id.clone()) else {
            return;
        };
        let terms = SeatTerms { timeout_s: LONG_TIMEOUT_S, ..SeatTerms::default() };
        let done = self.call(tenant, |central| {
            let serve = |work: &mut Work<'_>, env: &Env<'_>| {
                let firm = central.firm(tenant)?;
                serving::serve(work, env, Some(&firm), (&id, &terms)).map(drop)
            };
            central.write(tenant, "admin", serve)
        });
        self.line(&format!("{tenant}: serves for long: {}", done.is_ok()));
    }

    /// The vendor wants a license back that is served.
    fn takes_back(&mut self) {
        let served = |grant: &&Grant| matches!(grant.place, Place::Served { .. });
        let ids: Vec<String> =
            self.book.grants.values().filter(served).map(|grant| grant.id.clone()).collect();
        if ids.is_empty() {
            return;
        }
        let id = ids[self.dice.below(ids.len())].clone();
        let tenant = FIRMS[self.firm_of(&self.book.owners[&id])];
        let done = self.call(tenant, |central| {
            central.write(tenant, "admin", |work, _| serving::unserve(work, &id).map(drop))
        });
        self.line(&format!("{tenant}: takes back: {}", done.is_ok()));
        if done.is_ok() && self.book.grants[&id].place == Place::Pool {
            self.note(Event::TakenBackFromService);
        }
    }

    /// Somebody takes a seat, keeps it or gives it back; or asks for one that is over.
    fn holder_acts(&mut self) {
        self.holders.retain(|holder| !holder.is_over || holder.now.is_some());
        if self.holders.is_empty() {
            return;
        }
        let at = self.dice.below(self.holders.len());
        if self.firms > 1 && self.dice.one_in(8) {
            return self.asks_other(at);
        }
        let now_ms = self.now_ms;
        if self.holders[at].now.as_ref().is_some_and(|used| used.over_ms() <= now_ms) {
            self.note(Event::SeatLost);
            let over = |used: Use| Use { until_ms: used.over_ms(), ..used };
            self.holders[at].ended = self.holders[at].now.take().map(over);
        }
        if self.holders[at].ended.is_some() && self.dice.one_in(4) {
            return self.asks_late(at);
        }
        let seats = 1 + self.dice.below(QUANTITY as usize) as i64;
        let returns = self.dice.one_in(3);
        let low = self.dice.number() as i64;
        let wish = match &self.holders[at].now {
            None => Wish::Take(seats),
            Some(used) => match used.asked {
                Some((_, wish, _)) => wish,
                None if returns => Wish::Return,
                None => Wish::Keep,
            },
        };
        self.asks_seat(at, wish, low);
    }

    /// C4: a credential is worth nothing at a vendor that did not give it.
    fn asks_other(&mut self, at: usize) {
        let (other, credential) = (1 - self.holders[at].firm, self.holders[at].credential.clone());
        let request = (SeatKey { high: 0, low: 0, counter: 0 }, 0, Wish::Keep);
        let done = self.call(FIRMS[other], |central| ask(central, other, &credential, request));
        self.line(&format!("holder {at} asks {}: {}", FIRMS[other], done.is_ok()));
        let is_so = match &done {
            Err(Refusal::Store(_)) => true,
            Err(Refusal::Told(shown)) => shown.is(ErrorCode::CredentialRefused),
            Ok(_) => false,
        };
        self.promise(is_so, || format!("C4: a credential of another tenant: {done:?}"));
        self.note(Event::CredentialOfOther);
    }

    fn asks_seat(&mut self, at: usize, wish: Wish, low: i64) {
        let firm = self.holders[at].firm;
        let (sent_ms, drawn_ms) = (self.now_ms, (self.true_s() * 1000) as i64);
        let begun = self.holders[at].now.clone();
        // A UUID of version 7: its time, its version, and what was drawn.
        let key = SeatKey { high: drawn_ms << 16 | 0x7000, low: low & i64::MAX, counter: 0 };
        let grant = String::new();
        let timeout_ms = self.holders[at].timeout_ms;
        let fresh = Use {
            grant,
            key,
            seats: 0,
            n: -1,
            asked: None,
            sent_ms,
            until_ms: 0,
            timeout_ms,
            is_lost: false,
        };
        let mut used = Use { sent_ms, ..begun.unwrap_or(fresh) };
        let (n, wish, first_ms) = *used.asked.get_or_insert((used.n + 1, wish, sent_ms));
        if wish == Wish::Return {
            // Its program has ended.
            used.until_ms = 0;
        }
        let credential = self.holders[at].credential.clone();
        let request = (used.key, n, wish);
        let done = self.call(FIRMS[firm], |central| ask(central, firm, &credential, request));
        let told = done.as_ref().map(|(_, held)| held.seat.left).map_err(code_of);
        self.line(&format!("holder {at}: {wish:?} {n}: {told:?}"));
        if self.is_rough && self.dice.one_in(6) {
            // It was sent, and nobody hears the answer: it may hold a seat by it all the same.
            self.note(Event::SeatUnheard);
            self.holders[at].now = Some(used);
            return;
        }
        match done {
            Ok((credential, held)) => {
                self.promise(held.seat.n == n, || format!("F2: {n} was asked, {held:?}"));
                let until_ms = if wish == Wish::Return { 0 } else { first_ms + timeout_ms };
                used = Use { key: held.seat.key, seats: held.seat.seats, ..used };
                (used.grant, used.n, used.asked) = (credential.grant.clone(), n, None);
                used.until_ms = until_ms;
                self.note(match wish {
                    Wish::Take(_) => Event::SeatTaken,
                    Wish::Keep => Event::SeatKept,
                    Wish::Return => Event::SeatReturned,
                });
                let holder = &mut self.holders[at];
                (holder.now, holder.ended) = match wish {
                    Wish::Return => (None, Some(used)),
                    _ => (Some(used), holder.ended.take()),
                };
            }
            Err(refusal) => self.seat_refused(at, used, &refusal),
        }
    }

    fn seat_refused(&mut self, at: usize, used: Use, refusal: &Refusal) {
        let is_held = used.until_ms > self.now_ms + LATE_MS;
        match code_of(refusal) {
            // The store, the signer or the network: it asks again.
            None | Some(ErrorCode::SignerUnavailable | ErrorCode::JournalUnshown) => {
                self.holders[at].now = Some(used);
            }
            Some(ErrorCode::SeatsTaken) => {
                let may_be = self.is_rough;
                self.promise(may_be, || "F5: seats that nobody uses are not free".into());
                self.note(Event::SeatsTaken);
                self.holders[at].now = None;
            }
            Some(ErrorCode::SeatOver) => {
                let is_so = !is_held || used.is_lost;
                self.promise(is_so, || "F3: a seat that is held is said to be over".into());
                self.holders[at].now = None;
            }
            // The records were put back, and it goes on until its time is over.
            Some(ErrorCode::SeatsWait | ErrorCode::CredentialRefused) if self.were_put_back() => {
                let is_gone = code_of(refusal) == Some(ErrorCode::CredentialRefused);
                self.note(if is_gone { Event::CredentialLost } else { Event::SeatsWait });
                self.holders[at].is_over = is_gone;
                let asked = None;
                self.holders[at].now = is_held.then_some(Use { asked, ..used });
            }
            // Nothing is signed before journal and records agree.
            Some(ErrorCode::JournalAhead) if self.is_put_back[self.holders[at].firm] => {
                self.note(Event::NothingIssued);
                self.holders[at].now = Some(used);
            }
            // It goes on until its time is over.
            Some(ErrorCode::ServingEnds) => {
                self.note(Event::ServingEnds);
                self.holders[at].is_over = true;
                let asked = None;
                self.holders[at].now = is_held.then_some(Use { asked, ..used });
            }
            Some(ErrorCode::SessionRefused) => self.holders[at].now = None,
            refused => self.broken(&format!("a seat is refused: {refused:?}")),
        }
    }

    /// F6: what is over never comes back.
    fn asks_late(&mut self, at: usize) {
        let Some(ended) = self.holders[at].ended.clone() else { return };
        if self.now_ms < ended.until_ms + LATE_MS || ended.n < 0 {
            return;
        }
        let (firm, credential) = (self.holders[at].firm, self.holders[at].credential.clone());
        let n = ended.n + 5;
        let request = (ended.key, n, Wish::Keep);
        let done = self.call(FIRMS[firm], |central| ask(central, firm, &credential, request));
        self.promise(done.is_err(), || format!("F6: a seat comes back: {done:?}"));
        self.line(&format!("holder {at}: a late heartbeat: {:?}", done.err().map(|e| code_of(&e))));
        self.note(Event::SeatLate);
    }

    /// F1: no more seats are used than there are, and none of a license that is elsewhere.
    pub(super) fn judge_seats(&self) {
        let mut counted: BTreeMap<&str, i64> = BTreeMap::new();
        let now = self.holders.iter().filter_map(|holder| holder.now.as_ref());
        for used in now.filter(|used| used.until_ms > self.now_ms) {
            *counted.entry(&used.grant).or_default() += used.seats;
            // Also where the records have forgotten that it is there.
            let mut drawers = self.devices.iter().flat_map(|device| &device.drawers);
            let has = drawers.any(|drawer| drawer.entries.values().any(|e| e.grant == used.grant));
            self.promise(!has, || format!("F1: a seat of {} beside a container", used.grant));
            // Nothing is left of what was ordered after the backup.
            let Some(grant) = self.book.grants.get(&used.grant) else { continue };
            // Records that were put back may have it in a container, where it was before.
            let waits = grant.seats_until_ms.is_some();
            let is_here = matches!(grant.place, Place::Served { .. }) || waits;
            self.promise(is_here, || format!("F1: a seat is used of {grant:?}"));
            let follower = self.book.grants.values().find(|next| {
                let is_next = Some(&next.ticket) == grant.followed_by.as_ref();
                is_next && next.device == grant.device && next.place != Place::Pool
            });
            let Some(follower) = follower.filter(|next| next.place != Place::Withdrawn) else {
                continue;
            };
            self.broken(&format!("F1: a seat is used of {grant:?} beside {follower:?}"));
        }
        for (grant, seats) in counted {
            self.promise(seats <= QUANTITY, || format!("F1: {seats} seats of {grant} are used"));
        }
    }

    /// The records were put back: none of the seats that are used is in them.
    pub(super) fn seats_are_lost(&mut self) {
        let now_ms = self.now_ms;
        let mut count = 0;
        for used in self.holders.iter_mut().filter_map(|holder| holder.now.as_mut()) {
            used.is_lost = true;
            count += usize::from(used.until_ms > now_ms);
        }
        (0..count).for_each(|_| self.note(Event::SeatsLost));
    }

    pub(super) fn were_put_back(&self) -> bool {
        self.seen.times(Event::PutBack) > 0
    }

    /// No seat is lost for good: when all are over, all can be had. And the log is whole.
    pub(super) fn all_seats_come_back(&mut self) {
        let mut logs: BTreeMap<i64, Vec<_>> = BTreeMap::new();
        for event in self.disk.seat_log() {
            logs.entry(event.writer).or_default().push(event);
        }
        let broken = logs.values().find_map(|log| first_break(log));
        self.promise(broken.is_none(), || format!("the log of seats breaks at {broken:?}"));
        if self.holders.is_empty() {
            return;
        }
        // What was noted of leases is ahead by a minute.
        self.pass_ms(u64::from(LONG_TIMEOUT_S) * 1000 + 60_000 + LATE_MS);
        let mut done: Vec<SeatKey> = Vec::new();
        for at in 0..self.holders.len() {
            self.holders[at].now = None;
            let low = self.dice.number() as i64;
            self.asks_seat(at, Wish::Take(QUANTITY), low);
            let Some(used) = self.holders[at].now.clone() else { continue };
            done.push(used.key);
            self.asks_seat(at, Wish::Return, low);
        }
        let taken = self.holders.iter().any(|holder| holder.now.is_some());
        self.promise(!taken, || "a seat is not given back".into());
        if !done.is_empty() {
            self.note(Event::AllSeatsCameBack);
        }
    }
}

impl Use {
    /// When it is over for everybody, whatever of it was heard.
    fn over_ms(&self) -> u64 {
        self.sent_ms + self.timeout_ms
    }
}

fn ask(
    central: &Central,
    firm: usize,
    credential: &str,
    (key, n, what): (SeatKey, i64, Wish),
) -> Outcome<(SeatCredential, Held)> {
    let tenant = FIRMS[firm];
    let credential = match credentials::recall(central, tenant, credential)? {
        Caller::Known(known) => known,
        Caller::Unread => credentials::read(central, tenant, credential)?,
    };
    let SeatCredential { product, counter, ref grant, .. } = *credential;
    let key = SeatKey { counter: counter.0, ..key };
    let lease = Lease { tenant: tenant.into(), grant: serving::grant_bytes(grant), product };
    let asked = Asked { request: Request { key, n, what }, lease };
    let commit = || central.desk().commit(std::slice::from_ref(&asked)).pop().expect("one answer");
    let answer = match commit() {
        // As the Gateway does.
        Err(Refusal::Told(shown)) if agreement::is_unshown(&shown) => {
            central.agree(tenant)?;
            commit()?
        }
        done => done?,
    };
    Ok((credential.as_ref().clone(), answer.held))
}

fn code_of(refusal: &Refusal) -> Option<ErrorCode> {
    match refusal {
        Refusal::Told(shown) => shown.failure().and_then(|failure| failure.known()),
        Refusal::Store(_) => None,
    }
}
