//! Whom a firm trusts: roots that follow one another, what it revoked, rights that it handed on.
//!
//! Roots and revocations are signed by a firm for all of its containers and move no chain: they are
//! taken whoever brings them, and their own numbers only rise. So a firm whose licensing key was
//! stolen can take it out of use without it. What waits for the update that follows is in RAM.

use alloc::vec::Vec;

use protocol::codec::{self, Fixed};
use protocol::command::Reply;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{KeyId, RootFp};
use protocol::limits::{REVOCATION_BODY_LEN_MAX, UPDATE_IDLE_S};
use protocol::objects::delegation::{Delegate, ScopeError};
use protocol::objects::revocation::{Revocation, RevocationError};
use protocol::objects::root::{Root, RootError};
use protocol::objects::update::UpdateOp;
use protocol::signed::{
    HYBRID_SUITE, Header, HeaderError, Kind, ObjectError, Proof, Role, UnverifiedObject,
    verify_batch,
};

use crate::engine::{Engine, store_failure};
use crate::platform::{Clock, Platform};
use crate::records::{self, Firm, FirmSlot, Revoked};

/// What was brought on a channel for the update that begins next on it.
pub(crate) struct Pending {
    channel: u32,
    newcomer: Option<Known>,
    delegate: Option<Delegate>,
    last_ms: u64,
}

impl Pending {
    /// Who brought it.
    pub(crate) fn channel(&self) -> u32 {
        self.channel
    }

    /// Whether nobody continues it.
    pub(crate) fn is_stale(&self, now_ms: u64) -> bool {
        now_ms.saturating_sub(self.last_ms) > UPDATE_IDLE_S * 1000
    }
}

/// A firm with what it revoked.
#[derive(Clone)]
pub(crate) struct Known {
    /// Its place here.
    pub slot: FirmSlot,
    /// Its record.
    pub firm: Firm,
    /// What it revoked.
    pub revoked: Revoked,
    /// Whether it is in this container already.
    pub stored: bool,
}

/// By what right an update changes something.
pub(crate) enum Authority {
    /// A `licensing` key of the root.
    Firm,
    /// A key that the firm handed a part of its right on to.
    Delegate(Delegate),
    /// The threshold of the `recovery` role.
    Recovery,
}

impl Authority {
    /// Refuses operations that this right does not cover.
    pub(crate) fn check(&self, op: &UpdateOp, at: u64) -> Result<(), Failure> {
        match (self, op) {
            (Authority::Recovery, UpdateOp::Perpetuate(_) | UpdateOp::Nop) => Ok(()),
            (Authority::Recovery, _) | (Authority::Firm, UpdateOp::Perpetuate(_)) => {
                Err(ErrorCode::RecoveryOp.with(at, 0))
            }
            (Authority::Firm, _) => Ok(()),
            (Authority::Delegate(delegate), op) => delegate.allows(op).map_err(|why| match why {
                ScopeError::Product => ErrorCode::DelegationProduct.with(at, 0),
                ScopeError::Quantity(seats) => {
                    let most = delegate.scope.quantity_max;
                    ErrorCode::DelegationQuantity.with(seats.into(), most.into())
                }
            }),
        }
    }

    /// What an update that was issued at `issued_s` says of the time. Who was given a part of a
    /// right was not given the time: a reseller could end other licenses by it.
    pub(crate) fn certified_s(&self, issued_s: u64) -> u64 {
        match self {
            Authority::Firm => issued_s,
            Authority::Delegate(delegate) => delegate.issued_s,
            Authority::Recovery => 0,
        }
    }
}

impl Firm {
    /// The root that is trusted for it.
    pub(crate) fn trusted(&self) -> Root {
        Root {
            root_fp: self.root_fp,
            version: self.root_version.into(),
            hash: self.root_hash.0,
            until_s: 0,
            min_epoch: self.min_epoch,
            body: self.root.clone(),
        }
    }
}

impl Known {
    /// Takes the next root over. A stolen key may have raised the epoch as far as it goes, so with
    /// other keys for revocations their count begins anew.
    fn follow(&mut self, root: Root) -> Result<(), Failure> {
        let refused = ErrorCode::RootRefused.failure();
        let firm = &mut self.firm;
        if root.body.role(Role::Revocation) != firm.root.role(Role::Revocation) {
            firm.revocation_epoch = 0;
            self.revoked = Revoked::default();
        }
        firm.root_version = u32::try_from(root.version).map_err(|_| refused)?;
        firm.root_hash = Fixed(root.hash);
        firm.min_epoch = root.min_epoch;
        firm.root = root.body;
        Ok(())
    }

    pub(crate) fn refuse_revoked(&self, keys: &[KeyId]) -> Result<(), Failure> {
        match keys.iter().any(|key| self.revoked.keys.contains(key)) {
            true => Err(ErrorCode::KeyRevoked.with(self.firm.revocation_epoch.into(), 0)),
            false => Ok(()),
        }
    }
}

impl<P: Platform> Engine<P> {
    /// Takes a root, a revocation or a delegation.
    pub(crate) fn trust(&mut self, channel: u32, object: &[u8]) -> Result<Reply, Failure> {
        self.check_unlocked()?;
        let busy = ErrorCode::UpdateBusy.with(UPDATE_IDLE_S, 0);
        let other_update =
            self.staging.as_ref().is_some_and(|staging| staging.channel() != channel);
        let other_pending = self.pending.as_ref().is_some_and(|other| other.channel != channel);
        if other_update || other_pending {
            return Err(busy);
        }
        // An update that was begun was judged by what was trusted then.
        self.staging = None;
        let malformed = ErrorCode::Malformed.failure();
        let (object, rest) =
            UnverifiedObject::read(object, REVOCATION_BODY_LEN_MAX).map_err(unread)?;
        if !rest.is_empty() {
            return Err(malformed);
        }
        match object.header().kind {
            Kind::Root if object.header().root_fp == RootFp::default() => {
                self.first_root(channel, &object)
            }
            Kind::Root => self.next_root(channel, &object),
            Kind::Revocation => self.revocation(channel, &object),
            Kind::Delegation => self.delegation(channel, &object),
            _ => Err(malformed),
        }
        .map(|()| Reply::Done)
    }

    /// Takes what was brought for the update that begins now, whatever becomes of it.
    pub(crate) fn take_brought(&mut self, channel: u32) -> Option<Pending> {
        self.pending.take_if(|pending| pending.channel == channel)
    }

    /// The firm of an update: as it is here, as what was brought on this channel makes it, or by
    /// the root v1 that comes with the update.
    pub(crate) fn firm_of(
        &mut self,
        brought: Option<&Pending>,
        root_fp: RootFp,
        root: &[u8],
    ) -> Result<Known, Failure> {
        match self.known(brought, root_fp)? {
            Some(known) => Ok(known),
            None => self.new_firm(root_fp, root),
        }
    }

    /// By what right the header's signers change something, if they have one.
    pub(crate) fn authority(
        &mut self,
        brought: Option<&Pending>,
        header: &Header,
        proof: &Proof,
        known: &Known,
    ) -> Result<Authority, Failure> {
        let refused = ErrorCode::UpdateSignature.failure();
        if header.kind == Kind::Recovery {
            let signed = known.firm.root.check_signed(header, proof, Role::Recovery);
            return signed.map(|()| Authority::Recovery).map_err(|_| refused);
        }
        if let Some(key) = known.firm.root.key(Role::Licensing, header.key_id) {
            verify_batch(header, proof, Role::Licensing, &key).map_err(|_| refused)?;
            known.refuse_revoked(&[header.key_id])?;
            return Ok(Authority::Firm);
        }
        let delegate = brought.and_then(|brought| brought.delegate.clone());
        let delegate = delegate.filter(|delegate| delegate.root_fp == header.root_fp);
        let delegate = delegate.ok_or(refused)?;
        verify_batch(header, proof, Role::Licensing, &delegate.key).map_err(|_| refused)?;
        self.check_delegate(known, &delegate)?;
        Ok(Authority::Delegate(delegate))
    }

    fn check_delegate(&mut self, known: &Known, delegate: &Delegate) -> Result<(), Failure> {
        known.refuse_revoked(delegate.chain())?;
        let firm = &known.firm;
        if firm.revocation_epoch < firm.min_epoch {
            let (has, needs) = (firm.revocation_epoch.into(), firm.min_epoch.into());
            return Err(ErrorCode::RevocationNeeded.with(has, needs));
        }
        let now_s = self.time.now_s(self.platform.parts().clock, firm);
        if delegate.until_s != 0 && now_s > delegate.until_s {
            return Err(ErrorCode::DelegationOver.with(delegate.until_s, now_s));
        }
        Ok(())
    }

    /// A root v1 makes a firm known for the update that follows. The owner decided it by applying
    /// that update.
    fn first_root(&mut self, channel: u32, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let root = Root::verify_first(object).map_err(root_failure)?;
        if let Some((_, firm)) = self.find_firm(root.root_fp)? {
            return Err(ErrorCode::RootOld.with(firm.root_version.into(), 1));
        }
        let known = self.newcomer(root)?;
        self.keep(channel, known)
    }

    fn next_root(&mut self, channel: u32, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let header = object.header();
        let mut known = self.firm_for(header.root_fp)?;
        let version = known.firm.root_version.into();
        if header.seq == version && header.hash() == known.firm.root_hash.0 {
            // A host that lost the answer.
            return Ok(());
        }
        if header.seq <= version {
            return Err(ErrorCode::RootOld.with(version, header.seq));
        }
        let root = known.firm.trusted().verify_next(object).map_err(root_failure)?;
        known.follow(root)?;
        self.keep(channel, known)
    }

    fn revocation(&mut self, channel: u32, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let header = object.header();
        let mut known = self.firm_for(header.root_fp)?;
        let (version, epoch) = (known.firm.root_version.into(), known.firm.revocation_epoch.into());
        if header.hash() == known.revoked.hash.0 {
            // A host that lost the answer.
            return Ok(());
        }
        let revocation = Revocation::verify(&known.firm.trusted(), object);
        let revocation = revocation.map_err(|error| match error {
            RevocationError::OtherRoot => ErrorCode::RevocationOtherRoot.with(version, 0),
            RevocationError::Epoch(found) => ErrorCode::RevocationOld.with(epoch, found),
            _ => ErrorCode::RevocationRefused.failure(),
        })?;
        if u64::from(revocation.epoch) <= epoch {
            return Err(ErrorCode::RevocationOld.with(epoch, revocation.epoch.into()));
        }
        known.firm.revocation_epoch = revocation.epoch;
        known.revoked = Revoked { hash: Fixed(revocation.hash), keys: revocation.body.keys };
        self.keep(channel, known)
    }

    /// A right that was handed on, for the update that follows. Whether it still counts is judged
    /// there.
    fn delegation(&mut self, channel: u32, object: &UnverifiedObject<'_>) -> Result<(), Failure> {
        let header = object.header();
        let known = self.firm_for(header.root_fp)?;
        let before = self.pending.as_ref().and_then(|pending| pending.delegate.as_ref());
        let before = before.filter(|before| before.key.id() == header.key_id);
        let delegate = match before {
            Some(before) => before.next(object),
            None => Delegate::first(known.firm.root_fp, &known.firm.root, object),
        };
        let delegate = delegate.map_err(|_| ErrorCode::DelegationRefused.failure())?;
        self.pending_on(channel).delegate = Some(delegate);
        Ok(())
    }

    /// The firm, if it is here or was brought.
    pub(crate) fn known(
        &mut self,
        brought: Option<&Pending>,
        root_fp: RootFp,
    ) -> Result<Option<Known>, Failure> {
        let Some((slot, firm)) = self.find_firm(root_fp)? else {
            let newcomer = brought.and_then(|brought| brought.newcomer.clone());
            return Ok(newcomer.filter(|known| known.firm.root_fp == root_fp));
        };
        let store = self.platform.parts().store;
        let revoked = records::read(store, records::revoked_key(slot)).map_err(store_failure)?;
        Ok(Some(Known { slot, firm, revoked: revoked.unwrap_or_default(), stored: true }))
    }

    /// The firm, for one more object. Whatever is pending belongs to this channel.
    fn firm_for(&mut self, root_fp: RootFp) -> Result<Known, Failure> {
        let pending = self.pending.take();
        let known = self.known(pending.as_ref(), root_fp);
        self.pending = pending;
        known?.ok_or(ErrorCode::RootNeeded.failure())
    }

    /// Keeps what changed: durably, or for the first update of a firm that is new here.
    fn keep(&mut self, channel: u32, mut known: Known) -> Result<(), Failure> {
        // A right was judged by the root and the revocations before.
        self.pending = None;
        if !known.stored {
            self.pending_on(channel).newcomer = Some(known);
            return Ok(());
        }
        known.firm.commits += 1;
        let revoked = (known.firm.revocation_epoch != 0).then(|| codec::encode(&known.revoked));
        self.commit(Vec::from([
            (records::firm_key(known.slot), Some(codec::encode(&known.firm))),
            (records::revoked_key(known.slot), revoked),
        ]))
    }

    fn pending_on(&mut self, channel: u32) -> &mut Pending {
        let last_ms = self.platform.parts().clock.ticks_ms();
        let none = || Pending { channel, newcomer: None, delegate: None, last_ms };
        let pending = self.pending.get_or_insert_with(none);
        pending.last_ms = last_ms;
        pending
    }
}

/// The number for a signed object that cannot be read here.
pub(crate) fn unread(error: ObjectError) -> Failure {
    match error {
        ObjectError::Header(HeaderError::Suite(HYBRID_SUITE)) => {
            ErrorCode::SuiteForHosts.with(HYBRID_SUITE.into(), 0)
        }
        _ => ErrorCode::Malformed.failure(),
    }
}

fn root_failure(error: RootError) -> Failure {
    match error {
        RootError::Threshold { found, needed } => {
            ErrorCode::RootUnsigned.with(found.into(), needed.into())
        }
        RootError::NotNext { found, needed } => ErrorCode::RootSkipped.with(needed - 1, found),
        _ => ErrorCode::RootRefused.failure(),
    }
}
