//! Who may take seats: credentials in memory, so that a request of a seat reads no record.
//!
//! A credential is read once. That one was revoked by another instance is learned from the list of
//! revocations, which is read anew when it is a second old: so long that takes at most. One that is
//! revoked here counts no more at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::errors::ErrorCode;

use super::central::Central;
use super::env::Env;
use super::records::{SeatCredential, SeatRevocation};
use super::refusal::{Outcome, Refusal};
use super::serving;
use crate::store::{Filter, Page};

/// How old the list of revocations may be.
const LIST_AGE_MAX_MS: i64 = 1000;

/// How far back the list is read each time: clocks of instances may differ by that.
const LOOK_BACK_MS: i64 = 600_000;

/// Revocations that are read at once.
const LIST_LEN: usize = 1000;

/// Credentials that are kept.
const KEPT_MAX: usize = 200_000;

/// Credentials by tenant.
#[derive(Default)]
pub struct Credentials {
    tenants: Mutex<BTreeMap<String, Known>>,
    /// Of whoever reads the list, so that all others wait for it.
    reads: Mutex<()>,
}

/// Those of one tenant.
#[derive(Default)]
struct Known {
    /// By id, revoked ones too.
    credentials: HashMap<String, Arc<SeatCredential>>,
    /// When the list of revocations was read; none before the first time.
    listed_ms: Option<i64>,
}

/// Who asks, as far as it is known without a look at the records.
pub enum Caller {
    /// Its credential holds.
    Known(Arc<SeatCredential>),
    /// It has to be read: [`read`].
    Unread,
}

/// Whose credential this is, if that is in memory. What is wrong with it is not told.
pub fn recall(central: &Central, tenant: &str, text: &str) -> Outcome<Caller> {
    let (id, own) = split(text)?;
    match central.credentials().get(tenant, id, central.now_ms()) {
        Some(known) => checked(central, Some(known), own).map(Caller::Known),
        None => Ok(Caller::Unread),
    }
}

/// Whose credential this is, as the records say now.
pub fn read(central: &Central, tenant: &str, text: &str) -> Outcome<Arc<SeatCredential>> {
    let (id, own) = split(text)?;
    let kept = central.credentials();
    kept.refresh(central, tenant)?;
    if let Some(known) = kept.get(tenant, id, central.now_ms()) {
        return checked(central, Some(known), own);
    }
    let found = central.read(tenant, |work| work.find::<SeatCredential>(id))?;
    let found = found.map(|stored| Arc::new(stored.record));
    if let Some(credential) = &found {
        kept.put(tenant, credential.clone());
    }
    checked(central, found, own)
}

impl Credentials {
    /// It was revoked: it does not count from now on, whoever read it before.
    pub fn revoked(&self, tenant: &str, credential: SeatCredential) {
        self.put(tenant, Arc::new(credential));
    }

    fn get(&self, tenant: &str, id: &str, now_ms: i64) -> Option<Arc<SeatCredential>> {
        let all = self.lock();
        let known = all.get(tenant).filter(|known| known.is_fresh(now_ms))?;
        known.credentials.get(id).cloned()
    }

    /// Reads the list of revocations anew, if it is old.
    fn refresh(&self, central: &Central, tenant: &str) -> Outcome<()> {
        let _one = self.reads.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = central.now_ms();
        if self.lock().get(tenant).is_some_and(|known| known.is_fresh(now_ms)) {
            return Ok(());
        }
        let mut after = Env::first_id(now_ms - LOOK_BACK_MS, "rev");
        let revoked = central.read(tenant, |work| {
            let mut revoked = Vec::new();
            loop {
                let page = Page { after: Some(&after), limit: LIST_LEN };
                let rows = work.list::<SeatRevocation>(&Filter::All, &page)?;
                let Some(last) = rows.last() else { return Ok(revoked) };
                after = last.record.id.clone();
                revoked.extend(rows.into_iter().map(|row| row.record.credential));
            }
        })?;
        let mut all = self.lock();
        let Some(known) = all.get_mut(tenant) else {
            // Nobody is known who could have been revoked. A tenant that has none gets no place.
            return Ok(());
        };
        for id in revoked {
            if let Some(own) = known.credentials.get_mut(&id).filter(|own| own.revoked_ms.is_none())
            {
                let mut gone = SeatCredential::clone(own);
                gone.revoked_ms = Some(now_ms);
                *own = Arc::new(gone);
            }
        }
        known.listed_ms = Some(now_ms);
        Ok(())
    }

    fn put(&self, tenant: &str, credential: Arc<SeatCredential>) {
        let mut all = self.lock();
        if all.values().map(|known| known.credentials.len()).sum::<usize>() >= KEPT_MAX {
            // They are read again when they are needed.
            all.clear();
        }
        let known = &mut all.entry(tenant.to_owned()).or_default().credentials;
        // What was read before it was revoked may come here after.
        let is_gone = known.get(&credential.id).is_some_and(|old| old.revoked_ms.is_some());
        if !is_gone || credential.revoked_ms.is_some() {
            known.insert(credential.id.clone(), credential);
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Known>> {
        self.tenants.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn is_fresh(&self, now_ms: i64) -> bool {
        self.listed_ms.is_some_and(|at_ms| (at_ms..at_ms + LIST_AGE_MAX_MS).contains(&now_ms))
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

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::*;
    use crate::domain::central::Clock;
    use crate::domain::env::SystemRandom;
    use crate::domain::keys::Secret;
    use crate::domain::records::CounterId;
    use crate::store::{MemoryStore, Store};

    const NOW_MS: i64 = 1_800_000_000_000;

    struct Moving(AtomicI64);

    impl Clock for Moving {
        fn now_ms(&self) -> i64 {
            self.0.load(Ordering::SeqCst)
        }
    }

    fn instance(store: &Arc<dyn Store>, clock: &Arc<Moving>) -> Central {
        let secret = Secret::new([7; 32]);
        let random = Arc::new(SystemRandom);
        Central::new(store.clone(), clock.clone(), random, secret, BTreeMap::new())
    }

    fn may(central: &Central, tenant: &str, text: &str) -> bool {
        match recall(central, tenant, text) {
            Ok(Caller::Known(_)) => true,
            Ok(Caller::Unread) => read(central, tenant, text).is_ok(),
            Err(_) => false,
        }
    }

    #[test]
    fn sec_w18_one_that_another_instance_revoked_counts_no_more_after_a_second() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
        let clock = Arc::new(Moving(AtomicI64::new(NOW_MS)));
        let (here, there) = (instance(&store, &clock), instance(&store, &clock));
        let made = here.write("acme", "test", |work, env| {
            work.insert(&SeatCredential {
                id: "crd_1".into(),
                grant: "gra_1".into(),
                product: 7,
                counter: CounterId(1),
                heartbeat_s: 1,
                secret_hash: here.secret().credential_hash("own"),
                created_ms: env.now_ms,
                revoked_ms: None,
            })
        });
        made.unwrap();
        for central in [&here, &there] {
            for (tenant, text, counts) in [
                ("acme", "crd_1.own", true),
                ("acme", "crd_1.own", true),
                ("acme", "crd_1.other", false),
                ("bolt", "crd_1.own", false),
            ] {
                assert_eq!(may(central, tenant, text), counts, "{tenant} {text}");
            }
            clock.0.fetch_add(LIST_AGE_MAX_MS, Ordering::SeqCst);
            assert!(may(central, "acme", "crd_1.own"));
        }
        let revoked = here.write("acme", "test", |work, env| serving::revoke(work, env, "crd_1"));
        here.credentials().revoked("acme", revoked.unwrap());
        assert!(!may(&here, "acme", "crd_1.own"), "here at once");
        assert!(may(&there, "acme", "crd_1.own"), "there it is not known yet");
        clock.0.fetch_add(LIST_AGE_MAX_MS, Ordering::SeqCst);
        assert!(!may(&there, "acme", "crd_1.own"));
        // Whoever begins now, and the same ones much later, do not take it either.
        assert!(!may(&instance(&store, &clock), "acme", "crd_1.own"));
        clock.0.fetch_add(10 * LOOK_BACK_MS, Ordering::SeqCst);
        assert!(!may(&here, "acme", "crd_1.own") && !may(&there, "acme", "crd_1.own"));
    }
}
