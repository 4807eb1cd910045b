//! Keys of suite 2 in a ring, and the leases that they sign.

use protocol::crypto::ecdsa::Sign;
use protocol::crypto::hybrid::HybridKey;
use protocol::errors::ErrorCode;
use protocol::ids::KeyId;
use protocol::objects::lease::{self, VerifiedLease};
use protocol::objects::root::RootBody;
use protocol::signed::hybrid::{sign_hybrid_batch, write_hybrid};
use protocol::signed::{HYBRID_SUITE, Header, Kind, Role};

use crate::Result;
use crate::fast::FastKey;
use crate::issuer::Issuer;
use crate::keys::{KeyRing, SystemRandom, entropy};
use crate::trust::Trust;

/// A key of suite 2, and the role that it was made for.
pub(crate) struct HeldHybrid {
    pub(crate) role: Role,
    pub(crate) key: HybridKey,
    /// Its P-256 half where it signs faster.
    pub(crate) fast: Option<FastKey>,
    /// From another file than this one, so never written to it.
    pub(crate) foreign: bool,
}

impl HeldHybrid {
    pub(crate) fn own(role: Role, key: HybridKey) -> Self {
        let fast = FastKey::of(key.p256());
        HeldHybrid { role, key, fast, foreign: false }
    }

    pub(crate) fn draw(role: Role) -> Result<Self> {
        let key = HybridKey::generate(&mut SystemRandom);
        Ok(HeldHybrid::own(role, key.map_err(|_| ErrorCode::RandomFailed.failure())?))
    }

    pub(crate) fn public(&self) -> [u8; 33] {
        self.key.name().0
    }

    fn p256(&self) -> &dyn Sign {
        self.fast.as_ref().map_or(self.key.p256() as &dyn Sign, |fast| fast)
    }
}

impl KeyRing {
    /// The key of suite 2 that holds `role` under `root` and is not one of `revoked`.
    fn hybrid(&self, root: &RootBody, role: Role, revoked: &[KeyId]) -> Result<&HeldHybrid> {
        let holds = |held: &&HeldHybrid| {
            let named = root.keys(role).any(|name| *name == held.key.name());
            named && !revoked.contains(&held.key.id())
        };
        let found = self.hybrids().iter().find(holds);
        found.ok_or_else(|| crate::keys::missing(role, 0, 1))
    }
}

impl Issuer<'_> {
    /// Signs leases with one signature, of the suite that the root wants of them.
    ///
    /// # Errors
    /// One is no lease, or the key is not in the ring, or does not sign.
    pub fn sign_leases(&self, leases: &[(Header, &[u8])], keys: &KeyRing) -> Result<Vec<Vec<u8>>> {
        let mut headers: Vec<Header> = leases.iter().map(|(header, _)| *header).collect();
        if headers.iter().any(|header| header.kind != Kind::Lease) {
            return Err(ErrorCode::SignerRefused.failure().into());
        }
        if self.root.body.host_suite(Role::Licensing) != HYBRID_SUITE {
            return self.sign_objects(leases, keys);
        }
        let held = keys.hybrid(&self.root.body, Role::Licensing, &self.trust.revoked_keys())?;
        let proofs = sign_hybrid_batch(&mut headers, &held.key, held.p256(), &entropy()?);
        let proofs = proofs.ok_or(ErrorCode::SignerRefused.failure())?;
        let signed = headers.iter().zip(&proofs).zip(leases);
        Ok(signed.map(|((header, proof), (_, body))| write_hybrid(header, proof, body)).collect())
    }
}

impl Trust {
    /// Verifies a lease by the newest root, the newest revocations, and the right that was handed
    /// on, if one was.
    ///
    /// # Errors
    /// It does not hold, or is over.
    pub fn verify_lease(&self, bytes: &[u8], now_s: u64) -> Result<VerifiedLease> {
        let root = self.root.as_ref().ok_or(ErrorCode::RootRefused.failure())?;
        let lease = lease::verify(root, self.delegate.as_ref(), bytes)?;
        if self.revoked_keys().contains(&lease.header.key_id) {
            return Err(ErrorCode::LeaseRefused.failure().into());
        }
        if now_s > lease.header.until_s {
            return Err(ErrorCode::LeaseOver.with(lease.header.until_s, now_s).into());
        }
        Ok(lease)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use protocol::codec::{self, Fixed};
    use protocol::ids::ProductCode;
    use protocol::objects::lease::LeaseBody;
    use protocol::objects::root::Mode;
    use protocol::signed::SUITE;

    use super::*;
    use crate::directory::KEYS_FILE;
    use crate::{Home, Passphrase, Revocations, Rotation, Vendor, files};

    const UNTIL_S: u64 = 1_800_000_000;

    fn passphrase() -> Passphrase {
        Passphrase::empty()
    }

    fn keys(vendor: &Vendor) -> KeyRing {
        KeyRing::read(&vendor.dir.join(KEYS_FILE), &passphrase()).unwrap()
    }

    fn rotated(vendor: Vendor, role: Role, suite: Option<u8>, out: Option<&Path>) -> Vendor {
        let rotation = Rotation::of(&vendor.root, role, None, None, suite, (0, Home::File));
        let (keys, passphrase) = (keys(&vendor), passphrase());
        let out = out.map(|folder| (folder, &passphrase));
        vendor.rotate(&rotation.unwrap(), keys, &passphrase, out).unwrap()
    }

    fn sign(vendor: &Vendor, keys: &KeyRing) -> Result<Vec<Vec<u8>>> {
        let body = LeaseBody { session: Fixed([1; 16]), product: ProductCode(7), seats: 1 };
        let body = codec::encode(&body);
        let header = Header {
            root_fp: vendor.root.root_fp,
            until_s: UNTIL_S,
            ..Header::new(Kind::Lease, &body)
        };
        vendor.issuer().sign_leases(&[(header, &body), (header, &body)], keys)
    }

    fn version(vendor: &Vendor) -> u8 {
        files::read(&vendor.dir.join(KEYS_FILE)).unwrap()[8]
    }

    #[test]
    fn a_rotation_turns_suite_2_on_keeps_it_and_turns_it_off() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("acme");
        let vendor = Vendor::init(&path, "Acme", 1, Mode::Test, None, &passphrase()).unwrap();
        let suites = |vendor: &Vendor| {
            let leases = sign(vendor, &keys(vendor)).unwrap();
            let verified = leases.iter().map(|lease| vendor.trust.verify_lease(lease, UNTIL_S));
            let suites: Vec<u8> = verified.map(|lease| lease.unwrap().suite).collect();
            (suites, vendor.root.body.keys(Role::Licensing).count(), version(vendor))
        };
        assert_eq!(suites(&vendor), (vec![SUITE; 2], 1, 2));
        let old = sign(&vendor, &keys(&vendor)).unwrap();
        let on = rotated(vendor, Role::Licensing, Some(HYBRID_SUITE), None);
        assert_eq!(suites(&on), (vec![HYBRID_SUITE; 2], 2, 3));
        assert!(on.trust.verify_lease(&old[0], UNTIL_S).is_err(), "suite 1 still counts");
        let before: Vec<_> = on.root.body.keys(Role::Licensing).copied().collect();
        let kept = rotated(on, Role::Licensing, None, None);
        assert_eq!(suites(&kept), (vec![HYBRID_SUITE; 2], 2, 3));
        assert!(!kept.root.body.keys(Role::Licensing).any(|name| before.contains(name)));
        assert_eq!(keys(&kept).hybrids().len(), 1, "a key that no root names is kept");
        let newest = sign(&kept, &keys(&kept)).unwrap();
        let over = kept.trust.verify_lease(&newest[0], UNTIL_S + 1).unwrap_err();
        assert_eq!(over.failure().and_then(|failure| failure.known()), Some(ErrorCode::LeaseOver));
        let off = rotated(kept, Role::Licensing, Some(SUITE), None);
        assert_eq!(suites(&off), (vec![SUITE; 2], 1, 2));
        assert!(off.trust.verify_lease(&newest[0], UNTIL_S).is_err(), "suite 2 still counts");
        let other = Rotation::of(&off.root, Role::Protect, None, None, Some(2), (0, Home::File));
        assert_eq!(other.err().map(|error| error.exit()), Some(2));
    }

    #[test]
    fn without_the_key_or_with_a_revoked_one_nothing_is_signed_in_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let (path, apart) = (dir.path().join("acme"), dir.path().join("apart"));
        let vendor = Vendor::init(&path, "Acme", 1, Mode::Test, None, &passphrase()).unwrap();
        let vendor = rotated(vendor, Role::Licensing, Some(HYBRID_SUITE), Some(&apart));
        let mut ring = keys(&vendor);
        assert!(sign(&vendor, &ring).is_err(), "signed without the key of suite 2");
        for file in std::fs::read_dir(&apart).unwrap() {
            ring.borrow(KeyRing::read(&file.unwrap().path(), &passphrase()).unwrap());
        }
        let leases = sign(&vendor, &ring).unwrap();
        let lease = vendor.trust.verify_lease(&leases[0], UNTIL_S).unwrap();
        let mut next = Revocations::after(&vendor.trust, 0).unwrap();
        next.put_key(lease.header.key_id, true).unwrap();
        let vendor = vendor.revoke(&next, &keys(&Vendor::open(&path).unwrap())).unwrap();
        assert!(vendor.trust.verify_lease(&leases[0], UNTIL_S).is_err());
        assert!(sign(&vendor, &ring).is_err(), "signed by a revoked key");
    }
}
