//! Runs steps: each in one transaction with its audit, and again where another came between.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::file::{self, FileKind};
use vendor::Issuer;

use super::activation::{self, Context, Due};
use super::agreement;
use super::anchors::Head;
use super::audit::Chain;
use super::cases;
use super::commit::{Group, Stepped};
use super::credentials::Credentials;
use super::denials::{self, Denied, Tally};
use super::desk::Desk;
use super::env::{Env, Random};
use super::firm::{Firm, Leaf};
use super::firms::Firms;
use super::keys::{SYSTEM, Secret};
use super::lapse;
use super::orders::unhex;
use super::records::{Answer, Grant};
use super::refusal::{Outcome, Refusal};
use super::requests;
use super::trusted::{self, TrustMark};
use super::webhooks;
use super::work::{Stored, Work};
use crate::store::{OpenTransaction, Purpose, Store, StoreError};

/// How long an answer is kept for a request that is repeated.
const ANSWER_MS: i64 = 24 * 3600 * 1000;

/// Updates after which the database notes how far it knows the journal.
const MARK_STRIDE: u64 = 1024;

/// How often a signer that was just started is shown the database, before somebody else tries.
const SHOWN_TRIES: u32 = 3;

/// The time.
pub trait Clock: Send + Sync {
    /// Milliseconds since 1970 UTC.
    fn now_ms(&self) -> i64;
}

/// License Central over its store.
pub struct Central {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
    secret: Secret,
    firms: Firms,
    /// Updates that were signed since it runs.
    signed: AtomicU64,
    group: Group,
    desk: Arc<Desk>,
    credentials: Credentials,
    denials: Tally,
}

/// An update on its way to a container.
pub struct Delivered {
    /// The file.
    pub file: Vec<u8>,
    /// What it does, for people.
    pub what: String,
}

/// A request that may be repeated.
pub struct Once {
    /// Hash of the key that the client drew, hexadecimal.
    key: String,
    /// Hash of what is asked for, so that one key does not answer for two requests.
    request: String,
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status of HTTP.
    pub status: u16,
    /// JSON.
    pub body: String,
    /// The version of the record in it, where a change of it has to name that.
    pub version: Option<i64>,
}

impl Once {
    /// Under the `key` that the client drew: this `body`, as it came, to this `route`.
    pub fn new(key: &str, route: &str, body: &[u8]) -> Self {
        let request = hex(&sha256(&[route.as_bytes(), b"\0", body].concat()));
        Once { key: hex(&sha256(key.as_bytes())), request }
    }
}

impl Central {
    /// Over this store, as a new writer of the audit.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        secret: Secret,
        firms: BTreeMap<String, Arc<Firm>>,
    ) -> Self {
        let firms = Firms::from(firms);
        let writer = (clock.clone(), random.clone());
        let group = Group::new(store.clone(), move || new_chain(&*writer.0, &*writer.1));
        let desk = (store.clone(), clock.clone(), random.clone(), firms.clone());
        let desk = Arc::new(Desk::new(desk.0, desk.1, desk.2, desk.3));
        let (credentials, signed) = (Credentials::default(), AtomicU64::new(0));
        let denials = Tally::default();
        Central { store, clock, random, secret, firms, signed, group, desk, credentials, denials }
    }

    /// The firm of a tenant.
    pub fn firm(&self, tenant: &str) -> Outcome<Arc<Firm>> {
        let found = self.firms.get(tenant);
        found.ok_or_else(|| Refusal::missing(format!("vendor {tenant:?}")))
    }

    /// Decides what a container gets, makes that durable, and only then has it signed: update files
    /// in the order in which the container applies them, each with what it does. Where the signer
    /// fails, the decision stays, and the same call later has it signed.
    pub fn deliver(
        &self,
        tenant: &str,
        actor: &str,
        context: &Context,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>, &Firm) -> Outcome<Due>,
    ) -> Outcome<Vec<Delivered>> {
        let firm = self.firm(tenant)?;
        let due = self.write(tenant, actor, |work, env| match requests::again(work, context)? {
            Some(again) => Ok(Due { leaves: vec![again], refused: None }),
            None => step(work, env, &firm),
        });
        let of_case = [ErrorCode::ContainerDiffers, ErrorCode::ContainerForked];
        let is_case = |refused: &&Refusal| of_case.into_iter().any(|code| refused.is(code));
        if let Some(refused) = due.as_ref().err().filter(is_case) {
            // The step is refused and leaves nothing; what was shown is kept by one of its own.
            self.write(tenant, actor, |work, env| cases::open(work, env, context, refused))?;
        }
        let due = due?;
        if let Some(refused) = due.refused {
            return Err(refused);
        }
        let (mut leaves, mut what): (Vec<Leaf>, Vec<String>) = due.leaves.into_iter().unzip();
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        let sign = |leaves: &[Leaf]| self.shown(tenant, || Ok(firm.sign(leaves)?));
        let objects = match sign(&leaves) {
            Err(refused) if refused.is(ErrorCode::KeyGone) => {
                // The key was rotated after they were decided.
                let key_id = firm.signer.key_id()?;
                let anew = self.write(tenant, actor, |work, env| {
                    activation::anew(work, env, (&firm, key_id), context)
                })?;
                (leaves, what) = anew.into_iter().unzip();
                sign(&leaves)?
            }
            signed => signed?,
        };
        self.count_signed(tenant, leaves.len());
        // A root that was taken over meanwhile goes along: the signer may know it already.
        let lacking = self.firm(tenant)?.lacking(&context.statement.body)?;
        let file = |(object, what): (Vec<u8>, String)| Delivered {
            file: file::write(FileKind::Update, &[&lacking, &object]),
            what,
        };
        Ok(objects.into_iter().zip(what).map(file).collect())
    }

    /// What a container lacks of roots and revocations, for one that gets no update to bring them:
    /// a file for it, if there is anything. A vendor that is not in it comes in by an update only.
    pub fn news(&self, tenant: &str, context: &Context) -> Outcome<Option<Vec<u8>>> {
        let (firm, known) = (self.firm(tenant)?, &context.statement.body);
        let newer = Issuer::of(&firm.trust)?.newer(known);
        let is_for_it = known.root_version > 0 && !newer.is_empty();
        Ok(is_for_it.then(|| file::write(FileKind::Trust, &[&newer])))
    }

    /// Notes whom a vendor trusts, when it is served for the first time.
    ///
    /// # Errors
    /// Something newer was known here before.
    pub fn note_trust(&self, tenant: &str) -> Outcome<bool> {
        let firm = self.firm(tenant)?;
        self.write(tenant, SYSTEM, |work, _| trusted::take(work, &firm.trust))
    }

    /// Takes over a firm whose directory says something newer than the one that runs: a root that
    /// follows, or revocations. Whether anything was new to the records.
    ///
    /// # Errors
    /// It is older, or another branch: all stays as it is.
    pub fn take_over(&self, tenant: &str, next: Firm) -> Outcome<bool> {
        TrustMark::of(&self.firm(tenant)?.trust)?.followed_by(&next.trust)?;
        let is_new = self.write(tenant, SYSTEM, |work, _| trusted::take(work, &next.trust))?;
        self.firms.replace(tenant, next);
        Ok(is_new)
    }

    /// Frees what lapsed of a tenant.
    pub fn sweep(&self, tenant: &str) -> Outcome<()> {
        let mut after: Option<String> = None;
        loop {
            let now_ms = self.now_ms();
            let found = self.read(tenant, |work| lapse::due(work, now_ms, after.as_deref()))?;
            for id in found.0 {
                self.write(tenant, "sweep", |work, env| {
                    let grant = work.get::<Grant>(&id)?;
                    lapse::reclaim(work, env, grant)
                })?;
            }
            after = found.1;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Now and then notes how far the journal is known, so that a start need not look far.
    fn count_signed(&self, tenant: &str, count: usize) {
        let before = self.signed.fetch_add(count as u64, Ordering::Relaxed);
        let stride = |signed: u64| signed / MARK_STRIDE;
        if stride(before) == stride(before + count as u64) {
            return;
        }
        // What was signed leaves all the same: the next start only looks further.
        if let Err(refused) = self.agree(tenant) {
            let why = refused.shown().title(&|at_s| at_s.to_string());
            tracing::error!(why, "the journal's mark stays where it was");
        }
    }

    /// The last entry of this run's audit.
    pub fn head(&self) -> Head {
        self.group.head()
    }

    /// Steps that were committed, and how often one began anew since another came between.
    pub fn tally(&self) -> (u64, u64) {
        self.group.tally()
    }

    /// Where seats are taken and given back.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Credentials of seats as they were read last.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// Counts a use that was refused. It is kept once [`Central::book_denials`] returns.
    pub fn denied(&self, tenant: &str, denied: Denied) {
        self.denials.note(tenant, denied, self.now_ms());
    }

    /// Writes down what was refused since the last time.
    pub fn book_denials(&self) -> Outcome<()> {
        let mut counts = self.denials.take();
        while let Some(((tenant, day, denied), count)) = counts.pop_first() {
            let booked =
                self.write(&tenant, "", |work, _| denials::book(work, (&day, &denied), count));
            if let Err(refused) = booked {
                // It counts with what comes meanwhile, the next time.
                counts.insert((tenant, day, denied), count);
                self.denials.put(counts);
                return Err(refused);
            }
        }
        Ok(())
    }

    /// The installation's own secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The records of all tenants.
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The time, milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
    }

    /// How many wait for their turn to write.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        self.group.waiting()
    }

    /// Looks at records of `tenant`.
    pub fn read<T>(
        &self,
        tenant: &str,
        mut step: impl FnMut(&mut Work<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut result = None;
        self.store.transact(Purpose::Read, &mut |open| {
            match step(&mut Work::new(open, tenant)) {
                Err(Refusal::Store(error)) => return Err(error),
                done => result = Some(done),
            }
            Ok(())
        })?;
        result.unwrap_or(Err(Refusal::Store(StoreError::Conflict)))
    }

    /// What a step would do: it is carried out, and nothing of it is kept.
    pub fn preview<T>(
        &self,
        tenant: &str,
        actor: &str,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let env = Env::new(self.clock.now_ms(), &*self.random, actor);
        self.read(tenant, |work| step(work, &env))
    }

    /// Changes records of `tenant`. When it returns `Ok`, all is durable; a step that refuses
    /// changed nothing. A step may run several times, and only the last one counts. Steps that wait
    /// together are committed together.
    pub fn write<T>(
        &self,
        tenant: &str,
        actor: &str,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        self.shown(tenant, || self.write_chained(tenant, actor, &mut step))
    }

    /// Runs what needs the signer, and again once it was shown that the database knows its journal:
    /// it asks for that when it was started.
    fn shown<T>(&self, tenant: &str, mut run: impl FnMut() -> Outcome<T>) -> Outcome<T> {
        for _ in 0..SHOWN_TRIES {
            match run() {
                Err(Refusal::Told(error)) if agreement::is_unshown(&error) => self.agree(tenant)?,
                done => return done,
            }
        }
        run()
    }

    /// Shows the signer of a tenant that the database knows its journal.
    pub fn agree(&self, tenant: &str) -> Outcome<()> {
        agreement::agree(self, tenant, &*self.firm(tenant)?)
    }

    /// The tenants that anything is issued for.
    pub fn tenants(&self) -> impl Iterator<Item = &str> {
        self.firms.tenants()
    }

    fn write_chained<T>(
        &self,
        tenant: &str,
        actor: &str,
        step: &mut impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        self.group.run(|open, chain| self.attempt(open, chain, (tenant, actor), step))
    }

    fn attempt<T>(
        &self,
        open: &mut dyn OpenTransaction,
        chain: &Chain,
        (tenant, actor): (&str, &str),
        step: &mut impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Stepped<T> {
        let env = Env::new(self.clock.now_ms(), &*self.random, actor);
        let mut work = Work::new(open, tenant);
        let done = step(&mut work, &env)?;
        let (mut writes, notes, seats) = work.finish();
        writes.extend(webhooks::messages(open, tenant, &notes, &env)?);
        let (next, audit) = chain.extend(notes, env.now_ms, actor);
        writes.extend(audit);
        if !writes.is_empty() {
            open.apply(&writes)?;
        }
        if !seats.is_empty() {
            open.change_seats(&seats)?;
        }
        Ok((done, next))
    }

    /// [`Central::write`] for a request that may come again: the second one gets the first one's
    /// answer and changes nothing. Another request under the same key is refused. Answers are kept
    /// sealed, since some of them hold a ticket.
    pub fn write_once(
        &self,
        tenant: &str,
        actor: &str,
        once: Option<&Once>,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<Reply>,
    ) -> Outcome<Reply> {
        let Some(once) = once else { return self.write(tenant, actor, step) };
        let key = format!("{actor}/{}", once.key);
        self.write(tenant, actor, |work, env| {
            let old = work.find::<Answer>(&key)?;
            if let Some(Stored { record: answer, .. }) = &old
                && answer.until_ms > env.now_ms
            {
                return self.again(answer, &once.request);
            }
            let reply = step(work, env)?;
            let record = Answer {
                key: key.clone(),
                request: once.request.clone(),
                status: reply.status,
                version: reply.version,
                body: hex(&self.secret.seal(reply.body.as_bytes(), &env.bytes())),
                until_ms: env.now_ms.saturating_add(ANSWER_MS),
            };
            match old {
                Some(old) => work.update(&Stored { record, ..old })?,
                None => work.insert(&record)?,
            }
            Ok(reply)
        })
    }

    fn again(&self, answer: &Answer, request: &str) -> Outcome<Reply> {
        if answer.request != request {
            return Err(ErrorCode::KeyReused.into());
        }
        let damaged = || StoreError::Damaged { table: "answer", why: "it cannot be opened".into() };
        let sealed = unhex(&answer.body).ok_or_else(damaged)?;
        let body = self.secret.open(&sealed).ok_or_else(damaged)?;
        let body = String::from_utf8(body).map_err(|_| damaged())?;
        Ok(Reply { status: answer.status, body, version: answer.version })
    }
}

fn new_chain(clock: &dyn Clock, random: &dyn Random) -> Chain {
    Chain::begin(Env::new(clock.now_ms(), random, "").id("wri"))
}
