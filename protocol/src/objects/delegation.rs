//! A delegation: a part of the right to issue, handed on to another key.
//!
//! A key of the `licensing` role gives a reseller or an OEM some products, up to a quantity, for a
//! time; who was given may hand a part of that on, once. Each step can only narrow.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use super::license::ProductItem;
use super::root::RootBody;
use super::update::{ProductRange, UpdateOp};
use crate::codec::{self, Fixed, Text};
use crate::crypto::ecdsa::{Sign, VerifyingKey};
use crate::ids::{KeyId, RootFp};
use crate::limits::{DELEGATE_NAME_LEN_MAX, DELEGATION_BODY_LEN_MAX, DELEGATION_DEPTH_MAX};
use crate::signed::{Header, Kind, Role, UnverifiedObject, sign_batch, write_object};

/// The body of a delegation. `key_id` of the header names who hands on, `until_s` the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DelegationBody {
    /// Whose name it is, for people.
    pub name: Text<DELEGATE_NAME_LEN_MAX>,
    /// The key that may issue, a compressed SEC 1 point.
    pub key: Fixed<33>,
    /// What it may issue.
    pub scope: Scope,
}

/// What a delegated key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Products.
    pub products: ProductRange,
    /// Seats of one entry, at most.
    pub quantity_max: u32,
    /// Seats issued in one day, at most. No container sees a day's issues: this is for the one
    /// who signs.
    pub daily_max: u32,
    /// How many times it may be handed on.
    pub depth: u8,
}

/// A key that may issue, with all that limits it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delegate {
    /// The firm in whose name.
    pub root_fp: RootFp,
    /// The key.
    pub key: VerifyingKey,
    /// What it may issue.
    pub scope: Scope,
    /// Last second, the earliest of the chain; 0 = no end.
    pub until_s: u64,
    /// When the firm's own key handed on, by that key's clock: all that the chain says of time.
    pub issued_s: u64,
    /// The keys of the chain, from the root's on, this one last.
    keys: [KeyId; DELEGATION_DEPTH_MAX as usize + 1],
    len: u8,
}

/// Why a delegation was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum DelegationError {
    /// No delegation, of another vendor, or not signed by the key before it.
    #[cfg_attr(feature = "std", error("not signed by the key that hands on"))]
    Signature,
    /// The signed body cannot be read, or contradicts itself.
    #[cfg_attr(feature = "std", error("the signed body cannot be read"))]
    Body,
    /// It gives more than it was given.
    #[cfg_attr(feature = "std", error("it gives more than its issuer was given"))]
    Wider,
}

/// Why an operation is none that a delegated key may have in an update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScopeError {
    /// A product outside of the range, or an operation that is nobody's but the firm's.
    Product,
    /// So many seats, where fewer are the most.
    Quantity(u32),
}

impl Delegate {
    /// Verifies a delegation by a `licensing` key of the root.
    pub fn first(
        root_fp: RootFp,
        root: &RootBody,
        object: &UnverifiedObject<'_>,
    ) -> Result<Self, DelegationError> {
        let key = root.key(Role::Licensing, object.header().key_id);
        let key = key.ok_or(DelegationError::Signature)?;
        let body = verified(root_fp, &key, object)?;
        if body.scope.depth >= DELEGATION_DEPTH_MAX {
            return Err(DelegationError::Wider);
        }
        let mut keys = [KeyId::default(); DELEGATION_DEPTH_MAX as usize + 1];
        keys[0] = key.id();
        let (until_s, issued_s) = (object.header().until_s, object.header().issued_s);
        let delegate =
            Delegate { root_fp, key, scope: body.scope, until_s, issued_s, keys, len: 1 };
        delegate.hold(&body)
    }

    /// Verifies a delegation by this delegate. It may only narrow.
    pub fn next(&self, object: &UnverifiedObject<'_>) -> Result<Self, DelegationError> {
        let body = verified(self.root_fp, &self.key, object)?;
        if !body.scope.is_within(&self.scope) {
            return Err(DelegationError::Wider);
        }
        let until_s = earlier(self.until_s, object.header().until_s);
        Delegate { scope: body.scope, until_s, ..self.clone() }.hold(&body)
    }

    /// The keys of the chain, from the root's on, this one last. A revoked one ends it.
    pub fn chain(&self) -> &[KeyId] {
        &self.keys[..usize::from(self.len)]
    }

    /// Whether an operation is within the scope. What is not known to be is not.
    pub fn allows(&self, op: &UpdateOp) -> Result<(), ScopeError> {
        let product = match op {
            UpdateOp::Nop => return Ok(()),
            UpdateOp::SetItem(item) => {
                self.allows_quantity(item)?;
                item.item.product
            }
            UpdateOp::RemoveItem(item) => item.product,
            UpdateOp::SetKey(key) => key.product,
            UpdateOp::RemoveKey { product, .. } => *product,
            UpdateOp::SetData { item, .. } => item.product,
            // Units are money: their cap would be one of its own, which no delegation states yet.
            _ => return Err(ScopeError::Product),
        };
        let within = self.scope.products.contains(product);
        if within { Ok(()) } else { Err(ScopeError::Product) }
    }

    fn allows_quantity(&self, item: &ProductItem) -> Result<(), ScopeError> {
        match item.quantity() {
            seats if seats > self.scope.quantity_max => Err(ScopeError::Quantity(seats)),
            _ => Ok(()),
        }
    }

    /// Puts the key of `body` behind the chain.
    fn hold(mut self, body: &DelegationBody) -> Result<Self, DelegationError> {
        self.key = VerifyingKey::from_bytes(&body.key.0).map_err(|_| DelegationError::Body)?;
        let place = self.keys.get_mut(usize::from(self.len)).ok_or(DelegationError::Wider)?;
        *place = self.key.id();
        self.len += 1;
        Ok(self)
    }
}

impl DelegationBody {
    /// Signs and writes a delegation by `key`, a `licensing` key of the firm or a delegate's.
    pub fn write(
        &self,
        root_fp: RootFp,
        (issued_s, until_s): (u64, u64),
        key: &(impl Sign + ?Sized),
        entropy: &[u8; 32],
    ) -> Option<Vec<u8>> {
        let bytes = codec::encode(self);
        let mut headers =
            [Header { root_fp, issued_s, until_s, ..Header::new(Kind::Delegation, &bytes) }];
        let proofs = sign_batch(&mut headers, key, entropy)?;
        Some(write_object(&headers[0], proofs.first()?, &bytes))
    }
}

impl Scope {
    /// Whether all of this is part of `wider`, handed on once more.
    pub fn is_within(&self, wider: &Scope) -> bool {
        self.products.is_within(&wider.products)
            && self.quantity_max <= wider.quantity_max
            && self.daily_max <= wider.daily_max
            && self.depth < wider.depth
    }
}

fn verified(
    root_fp: RootFp,
    key: &VerifyingKey,
    object: &UnverifiedObject<'_>,
) -> Result<DelegationBody, DelegationError> {
    let header = object.header();
    if header.kind != Kind::Delegation || header.root_fp != root_fp {
        return Err(DelegationError::Signature);
    }
    let object =
        object.verify_role(Role::Licensing, key).map_err(|_| DelegationError::Signature)?;
    let body: DelegationBody =
        codec::decode(object.body, DELEGATION_BODY_LEN_MAX).map_err(|_| DelegationError::Body)?;
    let products = body.scope.products;
    if products.first > products.last { Err(DelegationError::Body) } else { Ok(body) }
}

/// The earlier of two ends, of which 0 is none.
fn earlier(a_s: u64, b_s: u64) -> u64 {
    match (a_s, b_s) {
        (0, end_s) | (end_s, 0) => end_s,
        (a_s, b_s) => a_s.min(b_s),
    }
}
