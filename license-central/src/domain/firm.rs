//! A firm as Central issues for it: whom containers trust, and who signs.

use std::sync::{Mutex, MutexGuard, PoisonError};

use protocol::errors::{ErrorCode, Failure, Shown};
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::objects::device::{Device, DeviceBody};
use protocol::objects::file::FileKind;
use protocol::objects::root::Mode;
use protocol::objects::statement::ContextBody;
use protocol::objects::update::UpdateOp;
use protocol::signed::Header;
use serde::{Deserialize, Serialize};
use vendor::issue::{Change, Draft};
use vendor::ledger::{Issued, Point};
use vendor::trust::Trust;
use vendor::{Certifiers, Issuer, KeyRing, VerifiedStatement, certified, verify};

use super::journal::{Claim, Head, Part};
use super::signing::Signing;
use super::trusted::TrustMark;

/// What is to be issued to one container.
pub struct Wanted<'a> {
    /// Its certificate.
    pub certificate: &'a [u8],
    /// Where the update follows.
    pub before: Point,
    /// What it changes.
    pub changes: &'a [Change],
    /// When it is issued, Unix seconds.
    pub issued_s: u64,
}

/// An update that was decided and is not signed: all its bytes but the signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its header, with the key that will sign.
    pub header: Header,
    /// Its operations.
    pub body: Vec<u8>,
    /// What explains it, for the journal.
    pub claims: Vec<Claim>,
    /// Why it may be signed though others were.
    pub grounds: Grounds,
}

/// Why a signer that has signed another update for a container may sign this one.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds {
    /// States that others of its number lead to, which it takes the place of.
    pub beside: Vec<[u8; 32]>,
    /// The context by which the container showed the state that it follows, where a person decided
    /// that it counts: nothing that was signed need lead there. Empty where nobody did.
    pub shown: Vec<u8>,
}

/// Holds the firm's keys. What it signs it signs again, byte for byte but for the signature: so a
/// decision is made durable first, and signed after.
pub trait Signer: Send + Sync {
    /// Seals what the container gets, and says which bytes will be signed and what they lead to.
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown>;

    /// The key that signs now.
    fn key_id(&self) -> Result<KeyId, Shown>;

    /// Signs leaves: the objects as containers take them, in the same order.
    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown>;

    /// Signs leases of one commit, with one signature, under the key that signs now.
    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown>;

    /// Tells the container of this certificate the time, by a token that answers its nonce. A
    /// signer in memory has no clock.
    fn time_token(&self, _certificate: &[u8], _nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        Err(Shown::from(ErrorCode::SignerRefused.failure()).detailed("it has no clock"))
    }

    /// Certifies the keys of a soft license's container.
    fn certify(&self, _id: ContainerId, _body: &DeviceBody) -> Result<Vec<u8>, Shown> {
        Err(Shown::from(ErrorCode::SignerRefused.failure()).detailed("it has no clock"))
    }

    /// Reads keys, roots and revocations again, where it has them from a place that may change.
    fn reread(&self) -> Result<(), Shown> {
        Ok(())
    }

    /// By which root and revocations it signs, where it says so.
    fn trusted(&self) -> Result<Option<TrustMark>, Shown> {
        Ok(None)
    }

    /// How far its journal is. A signer in memory has none.
    fn head(&self) -> Result<Head, Shown> {
        Ok(Head::BEGIN)
    }

    /// Some entries of its journal behind number `after`: none where there are none.
    fn entries(&self, _after: u64) -> Result<Part, Shown> {
        Ok(Part { before: Head::BEGIN.hash, entries: Vec::new() })
    }

    /// Shows that the database knows all up to `head`. Before, it drafts and signs nothing.
    fn agree(&self, _head: Head) -> Result<(), Shown> {
        Ok(())
    }

    /// Refuses where that was not shown yet.
    fn agreed(&self) -> Result<(), Shown> {
        Ok(())
    }
}

/// A firm.
pub struct Firm {
    /// Its roots and revocations.
    pub trust: Trust,
    /// Who signs.
    pub signer: Box<dyn Signer>,
    signing: Signing,
}

impl Firm {
    /// Of these roots and revocations, with this signer.
    pub fn new(trust: Trust, signer: Box<dyn Signer>) -> Self {
        Firm { trust, signer, signing: Signing::default() }
    }

    /// Signs leaves, together with those of others that wait: the objects, in the same order.
    ///
    /// # Errors
    /// As [`Signer::sign`].
    pub fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        self.signing.sign(&*self.signer, leaves)
    }

    /// Fingerprint and mode.
    pub fn identity(&self) -> Result<(RootFp, Mode), Failure> {
        let root = self.trust.root.as_ref().ok_or(ErrorCode::RootRefused.failure())?;
        Ok((root.root_fp, root.body.mode))
    }

    /// Whose certificates of containers count.
    pub fn certifiers(&self) -> Result<Certifiers<'_>, Failure> {
        let root = self.trust.root.as_ref().ok_or(ErrorCode::RootRefused.failure())?;
        Ok(Certifiers::of(root))
    }

    /// Refuses a container that is revoked, or whose firmware is: it may give licenses back, and
    /// gets none.
    pub fn admits(&self, shown: &VerifiedStatement<ContextBody>, now_s: u64) -> Result<(), Shown> {
        let issuer = Issuer::of(&self.trust)?;
        for warning in issuer.check(shown.device.id, shown.body.firmware, now_s)? {
            tracing::warn!(warning, "issuing all the same");
        }
        Ok(())
    }

    /// What a container lacks of roots and revocations.
    pub fn lacking(&self, known: &ContextBody) -> Result<Vec<u8>, Shown> {
        Ok(Issuer::of(&self.trust)?.lacking(known))
    }
}

/// A signer in this process, over keys in memory or in a token.
pub struct LocalSigner {
    held: Mutex<Held>,
}

/// Roots and revocations, and the keys that sign by them.
struct Held {
    trust: Trust,
    keys: KeyRing,
}

impl LocalSigner {
    /// With these keys.
    pub fn new(trust: Trust, keys: KeyRing) -> Self {
        LocalSigner { held: Mutex::new(Held { trust, keys }) }
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Other roots and keys from now on.
    pub fn replace(&self, trust: Trust, keys: KeyRing) {
        *self.held() = Held { trust, keys };
    }

    /// By which root and revocations it signs.
    pub fn mark(&self) -> Result<TrustMark, Shown> {
        TrustMark::of(&self.held().trust)
    }

    /// Whether its roots and revocations follow what was known before.
    pub fn follows(&self, known: &TrustMark) -> Result<TrustMark, Shown> {
        known.followed_by(&self.held().trust)
    }

    /// Refuses what names another key than the one that signs.
    pub fn check_key(&self, leaves: &[Leaf]) -> Result<(), Shown> {
        check_key(&self.held(), leaves)
    }

    /// The container of a certificate, which must hold.
    pub fn device(&self, certificate: &[u8]) -> Result<Device, Shown> {
        Ok(device(certificate, Certifiers::of(Issuer::of(&self.held().trust)?.root))?)
    }

    /// A token that answers a container's nonce: the time, give or take so many seconds.
    pub fn token_at(
        &self,
        id: ContainerId,
        nonce: [u8; 32],
        time: (u64, u32),
    ) -> Result<Vec<u8>, Shown> {
        let held = self.held();
        Issuer::of(&held.trust)?.time_token(id, nonce, time, &held.keys)
    }

    /// A certificate for a container's keys.
    pub fn certificate_at(
        &self,
        id: ContainerId,
        body: &DeviceBody,
        issued_s: u64,
    ) -> Result<Vec<u8>, Shown> {
        let held = self.held();
        Issuer::of(&held.trust)?.certificate(id, body, issued_s, &held.keys)
    }

    /// Whether the container of an update showed the state that it follows.
    pub fn is_shown(&self, leaf: &Leaf) -> Result<bool, Shown> {
        let (header, shown) = (&leaf.header, &leaf.grounds.shown);
        if shown.is_empty() {
            return Ok(false);
        }
        let held = self.held();
        let certifiers = Certifiers::of(Issuer::of(&held.trust)?.root);
        let (context, _) = verify::<ContextBody>(shown, FileKind::Context, certifiers)?;
        let before = Point { seq: header.seq.saturating_sub(1), state: header.state };
        Ok(*context.device.id.bytes() == header.target && context.point() == before)
    }

    /// Refuses what a reseller may not issue.
    pub fn check_scope(&self, ops: &[UpdateOp]) -> Result<(), Shown> {
        Issuer::of(&self.held().trust)?.check_scope(ops)
    }
}

fn check_key(held: &Held, leaves: &[Leaf]) -> Result<(), Shown> {
    let key_id = key_id(held)?;
    let is_own = leaves.iter().all(|leaf| leaf.header.key_id == key_id);
    if is_own { Ok(()) } else { Err(ErrorCode::KeyGone.failure().into()) }
}

fn key_id(held: &Held) -> Result<KeyId, Shown> {
    Ok(Issuer::of(&held.trust)?.key(&held.keys)?.id())
}

impl Signer for LocalSigner {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        let held = self.held();
        let issuer = Issuer::of(&held.trust)?;
        let device = device(wanted.certificate, Certifiers::of(issuer.root))?;
        let times = (wanted.issued_s, 0);
        let draft = issuer.draft(&device, wanted.before, wanted.changes, times, &held.keys)?;
        let Draft { mut header, body, what } = draft;
        // The header names the key that signs, and the state after it depends on the header.
        header.key_id = key_id(&held)?;
        let issued = Issued::of(&header, what);
        Ok((Leaf { header, body, claims: Vec::new(), grounds: Grounds::default() }, issued))
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        key_id(&self.held())
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        let held = self.held();
        check_key(&held, leaves)?;
        let updates: Vec<_> = leaves.iter().map(|leaf| (leaf.header, &leaf.body[..])).collect();
        Issuer::of(&held.trust)?.sign_objects(&updates, &held.keys)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        let held = self.held();
        let leases: Vec<_> = leases.iter().map(|one| (one.header, &one.body[..])).collect();
        Issuer::of(&held.trust)?.sign_leases(&leases, &held.keys)
    }

    fn trusted(&self) -> Result<Option<TrustMark>, Shown> {
        self.mark().map(Some)
    }
}

/// The container of a certificate, which must hold.
pub fn device(certificate: &[u8], certifiers: Certifiers<'_>) -> Result<Device, Failure> {
    certified(certificate, certifiers).map(|(device, _)| device)
}

#[cfg(test)]
mod tests {
    use strongroom_tests::device::Device;

    use super::*;

    #[test]
    fn a_certificate_is_known_again_by_all_its_bytes() {
        let known = Device::new(1, RootFp::default());
        let test = Certifiers::simulated(RootFp::default());
        let mut live = test;
        live.mode = Mode::Live;
        for _ in 0..2 {
            assert!(device(known.certificate(), test).is_ok());
            let refused = device(known.certificate(), live).map(drop);
            assert_eq!(refused, Err(ErrorCode::TestContainer.failure()));
        }
        for bit in 0..8 * known.certificate().len() {
            let mut changed = known.certificate().to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(device(&changed, test).is_err(), "bit {bit}");
        }
    }
}
