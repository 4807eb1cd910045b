//! The engine's five capabilities over a vault.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use engine::platform::{
    Counter, Keys, Parts, Platform, RECORD_LEN_MAX, Random, RecordKey, Store, StoreError,
    TRANSACTION_RECORDS_MAX,
};
use engine::{Engine, Pace, Profile, SeatTimes};
use protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use protocol::crypto::ecdsa::SigningKey;
use protocol::crypto::hash::Hash32;
use protocol::crypto::{CryptoError, RandomFailed};
use protocol::errors::Failure;
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::enrollment::Attested;
use zeroize::Zeroizing;

use crate::binding::Binding;
use crate::clock::HostClock;
use crate::guard::Guard;
use crate::look::Look;
use crate::opening::Opened;
use crate::state::{Secrets, State};
use crate::vault::{NotCommitted, Vault};
use crate::watch::{Grace, Why};

/// Version of this home, as the engine tells it.
pub const FIRMWARE: u32 = 1 << 8;
/// Records of a container, at most.
const RECORDS_MAX: usize = 65_536;

/// A container of this home.
pub struct Home {
    store: VaultStore,
    keys: HomeKeys,
    counter: SealedCounter,
    clock: HostClock,
    random: System,
    anchor: AnchorClass,
}

impl Home {
    /// A home over an open container.
    ///
    /// # Errors
    /// A key in the state is none.
    pub(crate) fn new(opened: Opened) -> Result<Self, CryptoError> {
        let Opened { vault, state, guard, binding } = opened;
        let (keys, anchor) = (HomeKeys::new(&binding, &state.secrets)?, binding.anchor());
        let counter = Rc::new(Cell::new(state.counter));
        let clock = guard.clock().clone();
        let store = VaultStore {
            vault,
            state,
            changes: None,
            counter: counter.clone(),
            guard,
            is_kept: false,
            lost: None,
        };
        Ok(Home { store, keys, counter: SealedCounter(counter), clock, random: System, anchor })
    }

    /// Starts the engine on it. What the machine showed is kept by then, its time too, so that
    /// nobody gets another grace by killing the helper.
    ///
    /// # Errors
    /// What the engine says.
    pub fn start(self, seats: SeatTimes) -> Result<Engine<Home>, StoreError> {
        let profile = Profile {
            clock: ClockClass::Host,
            anchor: self.anchor,
            firmware: FIRMWARE,
            seats,
            pace: Pace::Process,
        };
        let mut engine = Engine::start(self, profile)?;
        let store = &mut engine.platform().store;
        if !store.is_kept {
            store.keep()?;
        }
        Ok(engine)
    }

    /// Why the vault is to be opened again, if it is.
    pub fn lost(&self) -> Option<&NotCommitted> {
        self.store.lost.as_ref()
    }

    /// Whether the container may be used, and whether for a while only.
    ///
    /// # Errors
    /// Why it may not any more.
    pub fn standing(&self) -> Result<Option<(Why, Grace)>, Failure> {
        self.store.guard.standing(&self.store.state)
    }

    /// What is to be told of it to its user.
    pub(crate) fn look(&self) -> Look {
        Look::of(&self.store.state, &self.store.guard, self.anchor == AnchorClass::Tpm)
    }
}

impl Platform for Home {
    type Store = VaultStore;
    type Keys = HomeKeys;
    type Counter = SealedCounter;
    type Clock = HostClock;
    type Random = System;

    fn parts(&mut self) -> Parts<'_, Self> {
        Parts {
            store: &mut self.store,
            keys: &self.keys,
            counter: &mut self.counter,
            clock: &mut self.clock,
            random: &mut self.random,
        }
    }

    fn attest(&mut self, over: &Hash32) -> Result<Option<Attested>, StoreError> {
        self.store.vault.attest(self.keys.firm, over).map_err(|_| StoreError::Medium)
    }
}

/// Changes of an open transaction: `None` deletes.
type Changes = BTreeMap<RecordKey, Option<Vec<u8>>>;

/// Records in a vault: read from memory, written as a whole.
pub struct VaultStore {
    vault: Vault,
    state: State,
    changes: Option<Changes>,
    counter: Rc<Cell<u64>>,
    guard: Guard,
    /// Whether there was a commit since it was opened.
    is_kept: bool,
    lost: Option<NotCommitted>,
}

impl VaultStore {
    fn value(&self, key: RecordKey) -> Option<&Vec<u8>> {
        match self.changes.as_ref().and_then(|changes| changes.get(&key)) {
            Some(change) => change.as_ref(),
            None => self.state.records.get(&key),
        }
    }

    fn change(&mut self, key: RecordKey, value: Option<Vec<u8>>) -> Result<(), StoreError> {
        let changes = self.changes.as_mut().ok_or(StoreError::Misuse)?;
        if changes.len() >= TRANSACTION_RECORDS_MAX && !changes.contains_key(&key) {
            return Err(StoreError::Full);
        }
        changes.insert(key, value);
        Ok(())
    }

    /// Makes the state as it is in memory the present one.
    fn keep(&mut self) -> Result<(), StoreError> {
        self.state.counter = self.counter.get();
        self.state.answered = engine::answered(self)?;
        self.guard.look(&mut self.state);
        match self.vault.commit(&self.state.write()) {
            Ok(()) => {
                self.is_kept = true;
                Ok(())
            }
            Err(NotCommitted::Kept(_)) => Err(StoreError::Medium),
            Err(lost) => {
                self.lost = Some(lost);
                Err(StoreError::Medium)
            }
        }
    }
}

impl Store for VaultStore {
    fn read(&mut self, key: RecordKey, buf: &mut [u8]) -> Result<Option<usize>, StoreError> {
        let Some(value) = self.value(key) else { return Ok(None) };
        let place = buf.get_mut(..value.len()).ok_or(StoreError::Misuse)?;
        place.copy_from_slice(value);
        Ok(Some(value.len()))
    }

    fn next_key(&mut self, from: RecordKey) -> Result<Option<RecordKey>, StoreError> {
        let is_gone = |key: &RecordKey| {
            let change = self.changes.as_ref().and_then(|changes| changes.get(key));
            change.is_some_and(Option::is_none)
        };
        let kept = self.state.records.range(from..).map(|(key, _)| *key).find(|key| !is_gone(key));
        let changes = self.changes.iter().flat_map(|changes| changes.range(from..));
        let changed = changes.filter(|(_, value)| value.is_some()).map(|(key, _)| *key).next();
        Ok(kept.into_iter().chain(changed).min())
    }

    fn begin(&mut self) -> Result<(), StoreError> {
        self.changes = Some(Changes::new());
        Ok(())
    }

    fn put(&mut self, key: RecordKey, value: &[u8]) -> Result<(), StoreError> {
        if value.len() > RECORD_LEN_MAX {
            return Err(StoreError::Misuse);
        }
        self.change(key, Some(value.to_vec()))
    }

    fn delete(&mut self, key: RecordKey) -> Result<(), StoreError> {
        self.change(key, None)
    }

    fn commit(&mut self) -> Result<(), StoreError> {
        let changes = self.changes.take().ok_or(StoreError::Misuse)?;
        if self.lost.is_some() {
            return Err(StoreError::Medium);
        }
        let mut before = Changes::new();
        for (key, value) in changes {
            let old = match value {
                Some(value) => self.state.records.insert(key, value),
                None => self.state.records.remove(&key),
            };
            before.insert(key, old);
        }
        let kept = match self.state.records.len() > RECORDS_MAX {
            true => Err(StoreError::Full),
            false => self.keep(),
        };
        if kept.is_err() {
            for (key, value) in before {
                match value {
                    Some(value) => self.state.records.insert(key, value),
                    None => self.state.records.remove(&key),
                };
            }
        }
        kept
    }

    fn abort(&mut self) {
        self.changes = None;
    }
}

/// The count of commits. It lies in the sealed state, which does not go back: that is the vault's
/// work.
pub struct SealedCounter(Rc<Cell<u64>>);

impl Counter for SealedCounter {
    fn value(&mut self) -> Result<u64, StoreError> {
        Ok(self.0.get())
    }

    fn advance_to(&mut self, to: u64) -> Result<(), StoreError> {
        self.0.set(self.0.get().max(to));
        Ok(())
    }
}

/// The container's keys.
pub struct HomeKeys {
    id: ContainerId,
    firm: RootFp,
    identity: SigningKey,
    channel: SoftwareKey,
    sealing: SoftwareKey,
    storage: Zeroizing<[u8; 32]>,
    certificate: Vec<u8>,
    roots: Vec<Vec<u8>>,
}

impl HomeKeys {
    fn new(binding: &Binding, secrets: &Secrets) -> Result<Self, CryptoError> {
        Ok(HomeKeys {
            id: binding.container,
            firm: binding.firm,
            identity: SigningKey::from_bytes(&secrets.identity)?,
            channel: SoftwareKey::from_bytes(&secrets.channel)?,
            sealing: SoftwareKey::from_bytes(&secrets.sealing)?,
            storage: Zeroizing::new(secrets.storage),
            certificate: binding.certificate.to_vec(),
            roots: binding.roots.iter().map(|root| root.to_vec()).collect(),
        })
    }
}

impl Keys for HomeKeys {
    fn id(&self) -> ContainerId {
        self.id
    }

    fn certificate(&self) -> &[u8] {
        &self.certificate
    }

    fn root(&self, version: u8) -> Option<&[u8]> {
        self.roots.get(usize::from(version).checked_sub(1)?).map(Vec::as_slice)
    }

    fn only_firm(&self) -> Option<RootFp> {
        Some(self.firm)
    }

    fn sign(&self, preimage: &[u8], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        Ok(self.identity.sign(preimage, entropy))
    }

    fn identity_id(&self) -> KeyId {
        self.identity.verifying_key().id()
    }

    fn channel_key(&self) -> &dyn StaticKey {
        &self.channel
    }

    fn sealing_key(&self) -> &dyn StaticKey {
        &self.sealing
    }

    fn storage_key(&self) -> &[u8; 32] {
        &self.storage
    }
}

/// The system's randomness.
pub struct System;

impl Random for System {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), RandomFailed> {
        getrandom::fill(out).map_err(|_| RandomFailed)
    }
}
