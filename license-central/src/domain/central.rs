//! Runs steps: each in one transaction with its audit, and again where another came between.

use std::collections::BTreeMap;
use std::sync::Arc;

use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::file::{self, FileKind};

use super::activation::{Context, Due};
use super::audit::Chain;
use super::commit::{Group, Stepped};
use super::credentials::Credentials;
use super::desk::Desk;
use super::env::{Env, Random};
use super::firm::{Firm, Leaf};
use super::keys::Secret;
use super::orders::unhex;
use super::records::Answer;
use super::refusal::{Outcome, Refusal};
use super::work::{Stored, Work};
use crate::store::{OpenTransaction, Purpose, Store, StoreError};

/// How long an answer is kept for a request that is repeated.
const ANSWER_MS: i64 = 24 * 3600 * 1000;

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
    group: Group,
    desk: Arc<Desk>,
    credentials: Credentials,
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
        let writer = (clock.clone(), random.clone());
        let group = Group::new(store.clone(), move || new_chain(&*writer.0, &*writer.1));
        let desk = (store.clone(), clock.clone(), random.clone(), firms.clone());
        let desk = Arc::new(Desk::new(desk.0, desk.1, desk.2, desk.3));
        let credentials = Credentials::default();
        Central { store, clock, random, secret, firms, group, desk, credentials }
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
        let due = self.write(tenant, actor, |work, env| step(work, env, &firm))?;
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

    /// Where seats are taken and given back.
    pub fn desk(&self) -> &Arc<Desk> {
        &self.desk
    }

    /// Credentials of seats as they were read last.
    pub fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The installation's own secret.
    pub fn secret(&self) -> &Secret {
        &self.secret
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

    /// Changes records of `tenant`. When it returns `Ok`, all is durable; a step that refuses
    /// changed nothing. A step may run several times, and only the last one counts. Steps that wait
    /// together are committed together ([`super::commit`]).
    pub fn write<T>(
        &self,
        tenant: &str,
        actor: &str,
        mut step: impl FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<T>,
    ) -> Outcome<T> {
        self.group.run(|open, chain| self.attempt(open, chain, (tenant, actor), &mut step))
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
        let (next, audit) = chain.extend(notes, env.now_ms, tenant, actor);
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
