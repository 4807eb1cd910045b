//! Who may take seats: credentials, kept for a second so that a heartbeat reads no record.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::errors::ErrorCode;

use super::central::Central;
use super::records::SeatCredential;
use super::refusal::{Outcome, Refusal};
use super::serving;

/// How long a credential counts as it was read: so long a revocation by another instance takes.
const KEPT_MS: i64 = 1000;

/// Credentials that are kept.
const KEPT_MAX: usize = 100_000;

/// Credentials by tenant and id, each with the time at which it was read.
#[derive(Default)]
pub struct Credentials(Mutex<BTreeMap<String, BTreeMap<String, Known>>>);

/// One, as it was read.
#[derive(Clone)]
struct Known {
    read_ms: i64,
    credential: Arc<SeatCredential>,
}

/// Who asks, as far as it is known without a look at the records.
pub enum Caller {
    /// Its credential holds.
    Known(Arc<SeatCredential>),
    /// It has to be read: [`read`].
    Unread,
}

/// Whose credential this is, if it was read just now. What is wrong with it is not told.
pub fn recall(central: &Central, tenant: &str, text: &str) -> Outcome<Caller> {
    let (id, own) = split(text)?;
    let known = central.credentials().get(tenant, id);
    let is_young =
        |known: &Known| (known.read_ms..known.read_ms + KEPT_MS).contains(&central.now_ms());
    match known.filter(is_young) {
        Some(known) => checked(central, Some(known.credential), own).map(Caller::Known),
        None => Ok(Caller::Unread),
    }
}

/// Whose credential this is, as the records say now.
pub fn read(central: &Central, tenant: &str, text: &str) -> Outcome<Arc<SeatCredential>> {
    let (id, own) = split(text)?;
    let read_ms = central.now_ms();
    let found = central.read(tenant, |work| work.find::<SeatCredential>(id))?;
    let found = found.map(|stored| Arc::new(stored.record));
    if let Some(credential) = &found {
        central.credentials().put(tenant, Known { read_ms, credential: credential.clone() });
    }
    checked(central, found, own)
}

impl Credentials {
    /// It was revoked here: it does not count from now on, whoever read it before.
    pub fn revoked(&self, tenant: &str, credential: SeatCredential, now_ms: i64) {
        self.put(tenant, Known { read_ms: now_ms, credential: Arc::new(credential) });
    }

    fn get(&self, tenant: &str, id: &str) -> Option<Known> {
        self.lock().get(tenant)?.get(id).cloned()
    }

    fn put(&self, tenant: &str, known: Known) {
        let mut all = self.lock();
        if all.values().map(BTreeMap::len).sum::<usize>() >= KEPT_MAX {
            // They are read again when they are needed.
            all.clear();
        }
        let own = all.entry(tenant.to_owned()).or_default();
        let id = known.credential.id.clone();
        // What was read before it was revoked may come here after.
        if known.credential.revoked_ms.is_some()
            || own.get(&id).is_none_or(|old| old.credential.revoked_ms.is_none())
        {
            own.insert(id, known);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, BTreeMap<String, Known>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn split(text: &str) -> Outcome<(&str, &str)> {
    text.split_once('.').ok_or_else(|| Refusal::from(ErrorCode::CredentialRefused))
}

fn checked(
    central: &Central,
    credential: Option<Arc<SeatCredential>>,
    own: &str,
) -> Outcome<Arc<SeatCredential>> {
    let holds = serving::is_own(central.secret(), credential.as_deref(), own);
    credential.filter(|_| holds).ok_or_else(|| ErrorCode::CredentialRefused.into())
}
