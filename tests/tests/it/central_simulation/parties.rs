//! What all worlds begin with, since keys take long to make: firms and containers.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::platform::Keys;
use firmware_sim::device::SimRandom;
use firmware_sim::keys::SimKeys;
use license_central::domain::central::{Central, Clock};
use license_central::domain::env::Random;
use license_central::domain::firm::{Firm, Leaf, LocalSigner, Signer, Wanted};
use license_central::domain::keys::Secret;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::RootFp;
use protocol::objects::root::Mode;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use vendor::ledger::Issued;
use vendor::trust::Trust;
use vendor::{Passphrase, Revocations, Secrets, Vendor};

use super::disk::Disk;

/// Firms.
pub(super) const FIRMS: [&str; 2] = ["acme", "bolt"];

/// Containers.
pub(super) const DEVICES: usize = 4;

/// The container that a firm may revoke.
pub(super) const REVOCABLE: usize = 1;

/// Whether the container of this place has a clock with a battery.
pub(super) fn has_battery(at: usize) -> bool {
    at < 2
}

/// Firms with their keys, and keys of containers.
pub(super) struct Parties {
    pub(super) keys: Vec<Arc<SimKeys>>,
    pub(super) firms: Vec<Party>,
}

/// A firm, before and after it revoked a container.
pub(super) struct Party {
    pub(super) root_fp: RootFp,
    /// Whom containers trust, and who signs.
    pub(super) stages: [(Trust, Arc<LocalSigner>); 2],
}

struct NoSecret;

impl Secrets for NoSecret {
    fn passphrase(&self, _: Mode) -> vendor::Result<Passphrase> {
        Ok(Passphrase::empty())
    }

    fn pin(&self, token: &str) -> vendor::Result<Passphrase> {
        unreachable!("no keys are in a token {token}")
    }
}

impl Parties {
    pub(super) fn new() -> Self {
        let new_keys = |at: usize| {
            let mut random = SimRandom::new(Some(at as u64 + 1));
            Arc::new(SimKeys::generate(has_battery(at), &mut random).expect("bytes of a seed"))
        };
        let keys: Vec<_> = (0..DEVICES).map(new_keys).collect();
        let firms = FIRMS.iter().map(|name| Party::new(name, &keys[REVOCABLE])).collect();
        Parties { keys, firms }
    }
}

impl Party {
    fn new(name: &str, revoked: &SimKeys) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let (dir, none) = (dir.path().join(name), Passphrase::empty());
        let open = |vendor: &Vendor| {
            let keys = vendor.keys(&NoSecret).expect("its own keys");
            (vendor.trust.clone(), Arc::new(LocalSigner::new(vendor.trust.clone(), keys)))
        };
        let vendor = Vendor::init(&dir, name, 7, Mode::Test, None, &none).expect("a new vendor");
        let (root_fp, before) = (vendor.root.root_fp, open(&vendor));
        let mut next = Revocations::after(&vendor.trust, 0).expect("the first ones");
        next.put_container(revoked.id(), true).expect("room for one");
        let keys = vendor.keys(&NoSecret).expect("its own keys");
        let vendor = vendor.revoke(&next, &keys).expect("its own revocation");
        Party { root_fp, stages: [before, open(&vendor)] }
    }
}

/// What a Central is given, in the hands of the world: the time, random numbers, a signer that
/// fails.
pub(super) struct Desk {
    now_ms: AtomicI64,
    random: Mutex<ChaCha8Rng>,
    signer_fails: AtomicBool,
}

impl Desk {
    pub(super) fn new(seed: u64) -> Arc<Self> {
        Arc::new(Desk {
            now_ms: AtomicI64::new(0),
            random: Mutex::new(ChaCha8Rng::seed_from_u64(seed)),
            signer_fails: AtomicBool::new(false),
        })
    }

    pub(super) fn set_now_ms(&self, now_ms: i64) {
        self.now_ms.store(now_ms, Ordering::Relaxed);
    }

    pub(super) fn fail_signer(&self, fails: bool) {
        self.signer_fails.store(fails, Ordering::Relaxed);
    }
}

/// The world's own clock and randomness, as one Central has them.
struct Share(Arc<Desk>);

impl Clock for Share {
    fn now_ms(&self) -> i64 {
        self.0.now_ms.load(Ordering::Relaxed)
    }
}

impl Random for Share {
    fn fill(&self, out: &mut [u8]) {
        self.0.random.lock().unwrap_or_else(PoisonError::into_inner).fill_bytes(out);
    }
}

/// The real signer, which can be told to fail between decision and signature. The one place where
/// another signer is put in.
struct Failing {
    signer: Arc<LocalSigner>,
    desk: Arc<Desk>,
}

impl Signer for Failing {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        self.signer.draft(wanted)
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        if self.desk.signer_fails.load(Ordering::Relaxed) {
            return Err(ErrorCode::SignerRefused.failure().into());
        }
        self.signer.sign(leaves)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        self.signer.sign_leases(leases)
    }
}

/// An instance over a store. `revoked` says which firms revoked a container.
pub(super) fn instance(
    parties: &Parties,
    disk: &Arc<Disk>,
    desk: &Arc<Desk>,
    revoked: &[bool],
) -> Central {
    let firm = |at: usize| {
        let (trust, signer) = &parties.firms[at].stages[usize::from(revoked[at])];
        let signer = Failing { signer: signer.clone(), desk: desk.clone() };
        Arc::new(Firm { trust: trust.clone(), signer: Box::new(signer) })
    };
    let firms: BTreeMap<String, Arc<Firm>> =
        FIRMS.iter().enumerate().map(|(at, name)| ((*name).to_owned(), firm(at))).collect();
    let (clock, random) = (Arc::new(Share(desk.clone())), Arc::new(Share(desk.clone())));
    Central::new(disk.clone(), clock, random, Secret::new([5; 32]), firms)
}
