//! What a Central runs on: clocks that differ, randomness from the seed, the way to its signers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use license_central::domain::central::{Central, Clock};
use license_central::domain::env::Random;
use license_central::domain::firm::Firm;
use license_central::domain::keys::Secret;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use super::disk::Disk;
use super::parties::{FIRMS, Parties};
use super::signer::{Line, Signers};

/// True time and randomness, in the hands of the world.
pub(super) struct Machine {
    now_ms: AtomicI64,
    random: Mutex<ChaCha8Rng>,
}

impl Machine {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        let random = Mutex::new(ChaCha8Rng::seed_from_u64(seed));
        Arc::new(Machine { now_ms: AtomicI64::new(0), random })
    }

    pub(super) fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }
}

/// Clock and randomness, as one process has them.
pub(super) struct Share {
    pub(super) machine: Arc<Machine>,
    /// How far its clock is off.
    pub(super) skew_ms: i64,
}

impl Clock for Share {
    fn now_ms(&self) -> i64 {
        self.machine.now_ms.load(Ordering::Relaxed) + self.skew_ms
    }
}

impl Random for Share {
    fn fill(&self, out: &mut [u8]) {
        self.machine.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(out);
    }
}

/// An instance over a store, whose clock is off by so much. `stages` says how far each firm is.
pub(super) fn instance(
    parties: &Parties,
    (disk, signers): (&Arc<Disk>, &Arc<Signers>),
    (machine, skew_ms): (&Arc<Machine>, i64),
    stages: &[usize],
) -> Central {
    let firm = |at: usize| {
        let (trust, _) = &parties.firms[at].stages[stages[at]];
        let signer = Box::new(Line { signers: signers.clone(), firm: at });
        Arc::new(Firm::new(trust.clone(), signer))
    };
    let firms: BTreeMap<String, Arc<Firm>> =
        FIRMS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), firm(at))).collect();
    let share = || Arc::new(Share { machine: machine.clone(), skew_ms });
    Central::new(disk.clone(), share(), share(), Secret::new([5; 32]), firms)
}
