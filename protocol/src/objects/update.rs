//! Updates: what a firm changes in a container, operation by operation.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, DecodeError, Fixed};
use crate::ids::{ContainerId, Generation, ProductCode, RootFp};
use crate::limits::{OP_LEN_MAX, UPDATE_BODY_LEN_MAX, UPDATE_OPS_MAX};
use crate::objects::data::{DataContent, DataField};
use crate::objects::license::{ItemRef, ProductItem};
use crate::objects::request::Answer;

/// One operation of an update. Numbers are the order here: append, never reorder.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UpdateOp {
    /// Changes nothing. An update of it alone cancels the one it supersedes.
    Nop,
    /// Adds a Product Item, or replaces the one of the same number.
    SetItem(ProductItem),
    /// Removes a Product Item, if it is there, with its modules.
    RemoveItem(ItemRef),
    /// Gives the container an item key, sealed to it.
    SetKey(SealedKey),
    /// Takes an item key away.
    RemoveKey {
        /// Product.
        product: ProductCode,
        /// Generation.
        generation: Generation,
    },
    /// Writes a data field of an entry, or empties it.
    SetData {
        /// Entry.
        item: ItemRef,
        /// Field; not that of the owner.
        field: DataField,
        /// What is written.
        content: DataContent,
    },
    /// Changes the units of an entry.
    Units {
        /// Entry; it has a unit counter.
        item: ItemRef,
        /// How.
        change: UnitsChange,
    },
    /// Takes the checkpoint off every entry of these products: they are perpetual from then on.
    /// Only in an update of kind [`Recovery`](crate::signed::Kind::Recovery).
    Perpetuate(ProductRange),
    /// Opens the firm's licenses again that a trap locked.
    Unlock,
    /// Answers the container's request.
    Answer(Answer),
}

/// How an update changes units.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UnitsChange {
    /// So many more are left.
    Add(u64),
    /// So many fewer are left; refused where fewer are there.
    Remove(u64),
    /// What is reserved now counts as used.
    ChargeReserved,
    /// What is reserved now is left again.
    ReleaseReserved,
}

/// Products, both ends included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProductRange {
    /// First product.
    pub first: ProductCode,
    /// Last product.
    pub last: ProductCode,
}

impl ProductRange {
    /// Whether `product` is one of them.
    pub fn contains(&self, product: ProductCode) -> bool {
        (self.first..=self.last).contains(&product)
    }

    /// Whether all of these are among `others`.
    pub fn is_within(&self, others: &ProductRange) -> bool {
        self.first >= others.first && self.last <= others.last
    }
}

/// An item key, sealed to one container by HPKE (RFC 9180 base mode): 32 bytes of key, 16 of tag.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SealedKey {
    /// Product.
    pub product: ProductCode,
    /// Generation.
    pub generation: Generation,
    /// Encapsulated key, an uncompressed SEC 1 point.
    pub encapsulated: Fixed<65>,
    /// Sealed item key.
    pub ciphertext: Fixed<48>,
}

impl SealedKey {
    /// `info` of HPKE: suite label, firm, container.
    pub fn info(root_fp: RootFp, container: ContainerId) -> Vec<u8> {
        let mut info = Vec::from(&b"strongroom/sealed-key/v1\0"[..]);
        info.extend_from_slice(root_fp.bytes());
        info.extend_from_slice(container.bytes());
        info
    }

    /// `aad` of HPKE: `firm_seq`, product, generation, big-endian.
    pub fn aad(firm_seq: u64, product: ProductCode, generation: Generation) -> Vec<u8> {
        let mut aad = Vec::from(firm_seq.to_be_bytes());
        aad.extend_from_slice(&product.0.to_be_bytes());
        aad.extend_from_slice(&generation.0.to_be_bytes());
        aad
    }
}

impl UpdateOp {
    /// Whether it makes sense by itself.
    pub fn check(&self) -> Result<(), &'static str> {
        match self {
            UpdateOp::SetItem(item) => item.check(),
            UpdateOp::SetData { field, content, .. } => {
                let fits = match content {
                    DataContent::Plain(bytes) => !field.is_sealed() || bytes.is_empty(),
                    DataContent::Sealed { .. } => field.is_sealed(),
                };
                match (field.is_one(), *field == DataField::User, fits) {
                    (false, _, _) => Err("there is no data field of this number"),
                    (_, true, _) => Err("user data is written by the container's owner"),
                    (_, _, false) => Err("hidden and secret data travel sealed, others in clear"),
                    _ => Ok(()),
                }
            }
            UpdateOp::Units { change: UnitsChange::Add(0) | UnitsChange::Remove(0), .. } => {
                Err("a change of no units")
            }
            _ => Ok(()),
        }
    }
}

/// Why a body is not a list of operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "std", derive(thiserror::Error))]
#[non_exhaustive]
pub enum OpsError {
    /// The bytes end inside an operation.
    #[cfg_attr(feature = "std", error("cut short inside operation {at}"))]
    Short {
        /// Operation, from 0.
        at: usize,
    },
    /// An operation cannot be read.
    #[cfg_attr(feature = "std", error("operation {at} cannot be read: {error}"))]
    Op {
        /// Operation, from 0.
        at: usize,
        /// Why.
        error: DecodeError,
    },
    /// More operations than allowed, or more bytes.
    #[cfg_attr(feature = "std", error("more operations or bytes than an update may have"))]
    TooMany,
    /// An item whose options contradict each other.
    #[cfg_attr(feature = "std", error("operation {at}: {why}"))]
    Item {
        /// Operation, from 0.
        at: usize,
        /// Why.
        why: &'static str,
    },
}

/// Writes the body of an update: each operation behind its length (u16), so that it is read one by
/// one.
pub fn write_ops(ops: &[UpdateOp]) -> Result<Vec<u8>, OpsError> {
    let mut body = Vec::new();
    for (at, op) in ops.iter().enumerate() {
        op.check().map_err(|why| OpsError::Item { at, why })?;
        let bytes = codec::encode(op);
        if bytes.len() > OP_LEN_MAX {
            return Err(OpsError::TooMany);
        }
        body.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        body.extend_from_slice(&bytes);
    }
    let fits = ops.len() <= UPDATE_OPS_MAX && body.len() <= UPDATE_BODY_LEN_MAX;
    if fits { Ok(body) } else { Err(OpsError::TooMany) }
}

/// Reads one operation, without the length in front of it.
pub fn read_op(bytes: &[u8], at: usize) -> Result<UpdateOp, OpsError> {
    let op: UpdateOp =
        codec::decode(bytes, OP_LEN_MAX).map_err(|error| OpsError::Op { at, error })?;
    op.check().map_err(|why| OpsError::Item { at, why })?;
    Ok(op)
}

/// Reads a whole body: for hosts, which have it in memory anyway.
pub fn read_ops(mut body: &[u8]) -> Result<Vec<UpdateOp>, OpsError> {
    let mut ops = Vec::new();
    while !body.is_empty() {
        let at = ops.len();
        if at == UPDATE_OPS_MAX {
            return Err(OpsError::TooMany);
        }
        let (len, rest) = body.split_at_checked(2).ok_or(OpsError::Short { at })?;
        let len = usize::from(u16::from_be_bytes([len[0], len[1]]));
        let (op, rest) = rest.split_at_checked(len).ok_or(OpsError::Short { at })?;
        ops.push(read_op(op, at)?);
        body = rest;
    }
    Ok(ops)
}
