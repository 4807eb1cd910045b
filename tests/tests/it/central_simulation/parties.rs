//! What all worlds begin with, since keys take long to make: firms and containers.

use std::sync::Arc;

use engine::platform::Keys;
use firmware_sim::device::SimRandom;
use firmware_sim::keys::SimKeys;
use license_central::domain::firm::LocalSigner;
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::ids::RootFp;
use protocol::objects::device::ClockClass;
use protocol::objects::root::Mode;
use protocol::signed::Role;
use vendor::trust::Trust;
use vendor::{Home, Passphrase, Revocations, Rotation, Secrets, Vendor};

/// Firms.
pub(super) const FIRMS: [&str; 2] = ["acme", "bolt"];

/// Containers.
pub(super) const DEVICES: usize = 4;

/// The container that a firm may revoke.
pub(super) const REVOCABLE: usize = 1;

/// Stages of a firm: as it began; under another licensing key; when it has revoked a container; and
/// under a third key, with the second one revoked.
pub(super) const BASE: usize = 0;
pub(super) const ROTATED: usize = 1;
pub(super) const REVOKED: usize = 2;
pub(super) const ROTATED_AGAIN: usize = 3;

/// Clocks of containers: with a battery; by what the vendor tells; of what else goes by.
pub(super) const CLOCKS: [ClockClass; DEVICES] =
    [ClockClass::Rtc, ClockClass::Rtc, ClockClass::Signed, ClockClass::Session];

/// Firms with their keys, and keys of containers.
pub(super) struct Parties {
    pub(super) keys: Vec<Arc<SimKeys>>,
    pub(super) firms: Vec<Party>,
}

/// A firm, with all its stages.
pub(super) struct Party {
    pub(super) root_fp: RootFp,
    /// Whom containers trust, and who signs.
    pub(super) stages: [(Trust, Arc<LocalSigner>); 4],
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
            Arc::new(SimKeys::generate(CLOCKS[at], &mut random).expect("bytes of a seed"))
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
        let vendor = rotated(vendor);
        let second = open(&vendor);
        let vendor = revoked_by(vendor, |next| next.put_container(revoked.id(), true));
        let third = open(&vendor);
        let role = vendor.root.body.role(Role::Licensing).expect("a key");
        let old = VerifyingKey::from_bytes(&role.keys[0].0).expect("a key").id();
        let vendor = revoked_by(rotated(vendor), |next| next.put_key(old, true));
        Party { root_fp, stages: [before, second, third, open(&vendor)] }
    }
}

/// Under another licensing key.
fn rotated(vendor: Vendor) -> Vendor {
    let (keys, none) = (vendor.keys(&NoSecret).expect("its own keys"), Passphrase::empty());
    let home = (0, Home::File);
    let rotation =
        Rotation::of(&vendor.root, Role::Licensing, None, None, None, home).expect("one key");
    vendor.rotate(&rotation, keys, &none, None).expect("the next root")
}

/// With one more revocation.
fn revoked_by<T>(
    vendor: Vendor,
    put: impl FnOnce(&mut Revocations) -> vendor::Result<T>,
) -> Vendor {
    let mut next = Revocations::after(&vendor.trust, 0).expect("the next ones");
    put(&mut next).expect("room for one");
    let keys = vendor.keys(&NoSecret).expect("its own keys");
    vendor.revoke(&next, &keys).expect("its own revocation")
}
