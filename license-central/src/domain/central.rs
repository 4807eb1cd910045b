//! Runs steps: each in one transaction with its audit, and again where another came between.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::file::{self, FileKind};

use super::activation::{Context, Due};
use super::audit::Chain;
use super::cases;
use super::env::{Env, Random};
use super::firm::{Firm, Leaf};
use super::keys::Secret;
use super::lapse;
use super::orders::unhex;
use super::records::Answer;
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use crate::store::{Purpose, Store, StoreError, Write};

/// How long an answer is kept for a request that is repeated.
const ANSWER_MS: i64 = 24 * 3600 * 1000;

/// How often a step is tried that meets a record which another has just made.
const TAKEN_TRIES: u32 = 3;

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
    firms: BTreeMap<String, Arc<Firm>>,
    chain: Mutex<Chain>,
}

/// An update on its way to a container.
pub struct Delivered {
    /// The file.
    pub file: Vec<u8>,
    /// What it does, for people.
    pub what: String,
}

/// A request that may be repeated.
pub struct Once<'a> {
    /// The key that the client drew.
    pub key: &'a str,
    /// What is asked for, so that one key does not answer for two routes.
    pub route: &'a str,
    /// The body, as it came.
    pub body: &'a [u8],
}

/// An answer that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Status of HTTP.
    pub status: u16,
    /// JSON.
    pub body: String,
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
        let chain = Mutex::new(new_chain(&*clock, &*random));
        Central { store, clock, random, secret, firms, chain }
    }

    /// The firm of a tenant.
    pub fn firm(&self, tenant: &str) -> Outcome<Arc<Firm>> {
        let found = self.firms.get(tenant).cloned();
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
        let due = self.write(tenant, actor, |work, env| step(work, env, &firm));
        if let Err(Refusal::Told(shown)) = &due
            && shown.failure().and_then(|failure| failure.known())
                == Some(ErrorCode::ContainerDiffers)
        {
            // The step is refused and leaves nothing; what was shown is kept by one of its own.
            self.write(tenant, actor, |work, env| cases::open(work, env, context))?;
        }
        let due = due?;
        if let Some(refused) = due.refused {
            return Err(refused);
        }
        let (leaves, what): (Vec<Leaf>, Vec<String>) = due.leaves.into_iter().unzip();
        if leaves.is_empty() {
            return Ok(Vec::new());
        }
        let objects = firm.signer.sign(&leaves)?;
        let lacking = firm.lacking(&context.statement.body)?;
        let file = |(object, what): (Vec<u8>, String)| Delivered {
            file: file::write(FileKind::Update, &[&lacking, &object]),
            what,
        };
        Ok(objects.into_iter().zip(what).map(file).collect())
    }

    /// Frees what lapsed, of all firms.
    pub fn sweep(&self) -> Outcome<()> {
        for tenant in self.firms.keys() {
            let mut after: Option<String> = None;
            loop {
                let from = after.clone();
                after = self
                    .write(tenant, "sweep", |work, env| lapse::sweep(work, env, from.as_deref()))?;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// The installation's own secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
    }

    /// The time, milliseconds since 1970 UTC.
    pub fn now_ms(&self) -> i64 {
        self.clock.now_ms()
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

    /// Changes records of `tenant`. When it returns `Ok`, all is durable; a step that refuses
    /// changed nothing. A step may run several times, and only the last one counts.
    pub fn write<T>(
        &self,
        tenant: &str,
        actor: &str,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        let mut chain = self.chain.lock().unwrap_or_else(PoisonError::into_inner);
        for again in (0..TAKEN_TRIES).rev() {
            match self.attempt(&chain, tenant, actor, &mut step) {
                // Two instances may have made the same record at once: the second then finds it.
                Err(Refusal::Store(StoreError::Taken { .. })) if again > 0 => {}
                Err(refused) => {
                    if let Refusal::Store(StoreError::Unavailable(_)) = refused {
                        // Whether it was committed is not known, so no number may follow the last.
                        *chain = new_chain(&*self.clock, &*self.random);
                    }
                    return Err(refused);
                }
                Ok((done, next)) => {
                    *chain = next;
                    return Ok(done);
                }
            }
        }
        Err(Refusal::Store(StoreError::Conflict))
    }

    fn attempt<T>(
        &self,
        chain: &Chain,
        tenant: &str,
        actor: &str,
        step: &mut impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<(T, Chain)> {
        let mut result = None;
        self.store.transact(Purpose::Write, &mut |open| {
            let env = Env::new(self.clock.now_ms(), &*self.random, actor);
            let mut work = Work::new(open, tenant);
            let done = match step(&mut work, &env) {
                Err(Refusal::Store(error)) => return Err(error),
                Err(told) => {
                    result = Some(Err(told));
                    return Ok(());
                }
                Ok(done) => done,
            };
            let (mut writes, notes) = work.finish();
            let (next, audit) = chain.extend(notes, env.now_ms, tenant, actor);
            writes.extend::<Vec<Write>>(audit);
            if !writes.is_empty() {
                open.apply(&writes)?;
            }
            result = Some(Ok((done, next)));
            Ok(())
        })?;
        result.unwrap_or(Err(Refusal::Store(StoreError::Conflict)))
    }

    /// [`Central::write`] for a request that may come again: the second one gets the first one's
    /// answer and changes nothing. Another request under the same key is refused. Answers are kept
    /// sealed, since some of them hold a ticket.
    pub fn write_once(
        &self,
        tenant: &str,
        actor: &str,
        once: Option<&Once<'_>>,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<Reply>,
    ) -> Outcome<Reply> {
        let Some(once) = once else { return self.write(tenant, actor, step) };
        let request = hex(&sha256(&[once.route.as_bytes(), b"\0", once.body].concat()));
        let key = format!("{actor}/{}", hex(&sha256(once.key.as_bytes())));
        self.write(tenant, actor, |work, env| {
            let old = work.find::<Answer>(&key)?;
            if let Some(Stored { record: answer, .. }) = &old
                && answer.until_ms > env.now_ms
            {
                return self.again(answer, &request);
            }
            let reply = step(work, env)?;
            let record = Answer {
                key: key.clone(),
                request: request.clone(),
                status: reply.status,
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
        Ok(Reply { status: answer.status, body: String::from_utf8(body).map_err(|_| damaged())? })
    }
}

fn new_chain(clock: &dyn Clock, random: &dyn Random) -> Chain {
    Chain::begin(Env::new(clock.now_ms(), random, "").id("wri"))
}
