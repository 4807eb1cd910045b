//! Who issues: by which root, under which revocations, by what right. Needs no files.

use protocol::crypto::ecdsa::Sign;
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, KeyId};
use protocol::objects::delegation::ScopeError;
use protocol::objects::license::Version;
use protocol::objects::revocation::{Freshness, Revocation, StalePolicy};
use protocol::objects::root::Root;
use protocol::objects::statement::ContextBody;
use protocol::objects::update::UpdateOp;
use protocol::signed::{Kind, Role};

use crate::keys::KeyRing;
use crate::roots::Revocations;
use crate::trust::{Part, Trust};
use crate::{Result, Shown};

/// Days after the end of revocations in which one is warned; then nothing is issued under them.
const STALE: StalePolicy = StalePolicy { refuse_after_s: Some(30 * 86_400) };

/// Who issues, as a vendor directory or a server has it in memory.
#[derive(Debug, Clone, Copy)]
pub struct Issuer<'a> {
    /// The newest root.
    pub root: &'a Root,
    /// All roots, revocations, and by what right a reseller issues.
    pub trust: &'a Trust,
}

impl<'a> Issuer<'a> {
    /// From what begins with the root v1.
    ///
    /// # Errors
    /// It begins with something else.
    pub fn of(trust: &'a Trust) -> Result<Self> {
        let root = trust.root.as_ref().ok_or(ErrorCode::RootRefused.failure())?;
        Ok(Issuer { root, trust })
    }

    /// Refuses a container that may not be issued for, and revocations that are long over. What is
    /// only to be warned of is returned.
    ///
    /// # Errors
    /// The container or its firmware is revoked, or nobody knows any more.
    pub fn check(&self, id: ContainerId, firmware: u32, now_s: u64) -> Result<Vec<String>> {
        let mut warnings = Vec::new();
        if self.root.until_s != 0 && now_s > self.root.until_s {
            warnings
                .push("the vendor's root has expired: make the next with vendor key rotate".into());
        }
        self.check_container(id)?;
        let Some(revocation) = self.revocation()? else { return Ok(warnings) };
        if revocation.body.names_firmware(Version(firmware)) {
            let epoch = revocation.epoch.into();
            return Err(ErrorCode::FirmwareRevoked.with(firmware.into(), epoch).into());
        }
        match revocation.freshness(now_s, STALE) {
            Freshness::Fresh => {}
            Freshness::Stale(_) => warnings
                .push("the revocations are over: make the next with vendor key revoke".into()),
            Freshness::Refused(_) => {
                return Err(ErrorCode::RevocationStale.with(revocation.until_s, now_s).into());
            }
        }
        Ok(warnings)
    }

    /// Refuses a container that is revoked.
    ///
    /// # Errors
    /// As said, or the revocations are not those of the newest root.
    pub fn check_container(&self, id: ContainerId) -> Result<()> {
        match self.revocation()? {
            Some(revocation) if revocation.body.containers.contains(&id) => {
                Err(ErrorCode::ContainerRevoked.with(revocation.epoch.into(), 0).into())
            }
            _ => Ok(()),
        }
    }

    /// The revocations that go with the newest root.
    ///
    /// # Errors
    /// Those that are there go with another.
    pub fn revocation(&self) -> Result<Option<Revocation>> {
        let Some(part) = &self.trust.revocation else { return Ok(None) };
        let verified = Revocation::verify(self.root, &part.unverified()?);
        verified.map(Some).map_err(|_| {
            let failure = Shown::from(ErrorCode::RevocationRefused.failure());
            failure.hinting("Make them again for the newest root: strongroom vendor key revoke.")
        })
    }

    /// The key that signs updates and delegations.
    ///
    /// # Errors
    /// It is not in the ring.
    pub fn key<'k>(&self, keys: &'k KeyRing) -> Result<&'k dyn Sign> {
        match &self.trust.delegate {
            Some(delegate) => keys.by_id(delegate.key.id()),
            None => keys.signer(&self.root.body, Role::Licensing, &self.trust.revoked_keys()),
        }
    }

    /// Refuses operations that a reseller may not issue, before they are signed.
    ///
    /// # Errors
    /// As said.
    pub fn check_scope(&self, ops: &[UpdateOp]) -> Result<()> {
        let Some(delegate) = &self.trust.delegate else { return Ok(()) };
        for (at, op) in ops.iter().enumerate() {
            delegate.allows(op).map_err(|why| match why {
                ScopeError::Product => ErrorCode::DelegationProduct.with(at as u64, 0),
                ScopeError::Quantity(seats) => {
                    let most = delegate.scope.quantity_max;
                    ErrorCode::DelegationQuantity.with(seats.into(), most.into())
                }
            })?;
        }
        Ok(())
    }

    /// What a container lacks of roots and revocations.
    pub fn newer(&self, known: &ContextBody) -> Vec<u8> {
        self.parts(known, false)
    }

    /// What a container lacks of roots and revocations, and by what right a reseller issues.
    pub fn lacking(&self, known: &ContextBody) -> Vec<u8> {
        self.parts(known, true)
    }

    fn parts(&self, known: &ContextBody, with_right: bool) -> Vec<u8> {
        let (version, epoch) = (u64::from(known.root_version), u64::from(known.revocation_epoch));
        let new_root = self.root.version > version;
        let wanted = |part: &&Part| match part.header.kind {
            Kind::Root => part.header.seq > version,
            Kind::Revocation => part.header.seq > epoch || new_root,
            _ => with_right,
        };
        let parts = self.trust.objects().filter(wanted);
        parts.flat_map(|part| part.bytes.iter().copied()).collect()
    }
}

impl Trust {
    /// The revocations, as they are and as they count.
    pub fn revocations(&self) -> Option<Revocations> {
        let part = self.revocation.as_ref()?;
        Some(Revocations {
            epoch: u32::try_from(part.header.seq).ok()?,
            body: part.revocation_body()?,
            until_s: part.header.until_s,
        })
    }

    /// Keys that sign no license any more.
    pub fn revoked_keys(&self) -> Vec<KeyId> {
        self.revocations().map(|now| now.body.keys.into_vec()).unwrap_or_default()
    }
}
