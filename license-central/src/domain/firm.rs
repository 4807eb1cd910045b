//! A firm as Central issues for it: whom containers trust, and who signs.

use std::sync::{Mutex, PoisonError};

use protocol::errors::{ErrorCode, Failure, Shown};
use protocol::ids::RootFp;
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::Device;
use protocol::objects::root::Mode;
use protocol::objects::statement::{ContextBody, next_state_hash};
use protocol::objects::update::UpdateOp;
use protocol::signed::{Header, Kind, UnverifiedObject, write_object};
use vendor::issue::{Change, Draft};
use vendor::ledger::{Issued, Point};
use vendor::trust::Trust;
use vendor::{Issuer, KeyRing, VerifiedStatement, certified};

use super::journal::{Claim, Head, Part};

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
    /// States that others of its number lead to, which it takes the place of.
    pub beside: Vec<[u8; 32]>,
}

/// Holds the firm's keys. What it signs it signs again, byte for byte but for the signature: so a
/// decision is made durable first, and signed after.
pub trait Signer: Send + Sync {
    /// Seals what the container gets, and says which bytes will be signed and what they lead to.
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown>;

    /// Signs leaves: the objects as containers take them, in the same order.
    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown>;

    /// Signs leases of one commit, with one signature, under the key that signs now.
    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown>;

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
}

/// A firm.
pub struct Firm {
    /// Its roots and revocations.
    pub trust: Trust,
    /// Who signs.
    pub signer: Box<dyn Signer>,
}

impl Firm {
    /// Fingerprint and mode.
    pub fn identity(&self) -> Result<(RootFp, Mode), Failure> {
        let root = self.trust.root.as_ref().ok_or(ErrorCode::RootRefused.failure())?;
        Ok((root.root_fp, root.body.mode))
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
    trust: Trust,
    keys: Mutex<KeyRing>,
}

impl LocalSigner {
    /// With these keys.
    pub fn new(trust: Trust, keys: KeyRing) -> Self {
        LocalSigner { trust, keys: Mutex::new(keys) }
    }

    /// Refuses what names another key than the one that signs.
    pub fn check_key(&self, leaves: &[Leaf]) -> Result<(), Shown> {
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let key_id = Issuer::of(&self.trust)?.key(&keys)?.verifying_key().id();
        if leaves.iter().all(|leaf| leaf.header.key_id == key_id) {
            return Ok(());
        }
        let why = "it was decided under a key that signs no more; take it back and issue anew";
        Err(Shown::from(ErrorCode::SignerRefused.failure()).detailed(why))
    }

    /// Refuses what a reseller may not issue.
    pub fn check_scope(&self, ops: &[UpdateOp]) -> Result<(), Shown> {
        Issuer::of(&self.trust)?.check_scope(ops)
    }
}

impl Signer for LocalSigner {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        let issuer = Issuer::of(&self.trust)?;
        let device = device(wanted.certificate, issuer.root.body.mode)?;
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let times = (wanted.issued_s, 0);
        let draft = issuer.draft(&device, wanted.before, wanted.changes, times, &keys)?;
        let Draft { before, mut header, body, what } = draft;
        // The header names the key that signs, and the state after it depends on the header.
        header.key_id = issuer.key(&keys)?.verifying_key().id();
        let state = next_state_hash(&before.state, &header.hash());
        let after = Point { seq: header.seq, state };
        let issued = Issued { before, after, what, issued_s: wanted.issued_s, superseded: false };
        Ok((Leaf { header, body, claims: Vec::new(), beside: Vec::new() }, issued))
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        self.check_key(leaves)?;
        let issuer = Issuer::of(&self.trust)?;
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let draft = |leaf: &Leaf| Draft {
            before: Point { seq: leaf.header.seq - 1, state: leaf.header.state },
            header: leaf.header,
            body: leaf.body.clone(),
            what: String::new(),
        };
        let updates = issuer.sign(leaves.iter().map(draft).collect(), &keys)?;
        Ok(updates.into_iter().map(|update| update.object).collect())
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        let issuer = Issuer::of(&self.trust)?;
        let keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut headers: Vec<Header> = leases.iter().map(|lease| lease.header).collect();
        if headers.iter().any(|header| header.kind != Kind::Lease) {
            return Err(ErrorCode::SignerRefused.failure().into());
        }
        let proofs = keys.sign_batch(&mut headers, issuer.key(&keys)?)?;
        let signed = headers.iter().zip(&proofs).zip(&leases);
        Ok(signed.map(|((header, proof), one)| write_object(header, proof, &one.body)).collect())
    }
}

/// The container of a certificate, which must hold.
pub fn device(certificate: &[u8], mode: Mode) -> Result<Device, Failure> {
    let refused = |_| ErrorCode::CertificateRefused.failure();
    let (object, _) = UnverifiedObject::read(certificate, DEVICE_BODY_LEN_MAX).map_err(refused)?;
    certified(&object, mode)
}
