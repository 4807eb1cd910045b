//! Contexts and receipts as a vendor reads them: certificate first, then the statement under its
//! key.

use std::path::Path;

use protocol::codec;
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::crypto::hash::sha256;
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::configuration::{Configured, read_configuration};
use protocol::objects::device::Device;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::ContextBody;
use protocol::signed::{Header, Kind};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::certificates::{Certifiers, certified};
use crate::files;
use crate::ledger::Point;
use crate::{Result, Shown};

/// A statement whose certificate and signature held.
pub struct VerifiedStatement<B> {
    /// The container.
    pub device: Device,
    /// Header of the statement.
    pub header: Header,
    /// Its body.
    pub body: B,
}

impl<B> VerifiedStatement<B> {
    /// How the container is named to people.
    pub fn serial(&self) -> String {
        self.device.serial().to_string()
    }

    /// Where the container stands in the firm's chain.
    pub fn point(&self) -> Point {
        Point { seq: self.header.seq, state: self.header.state }
    }
}

/// Reads a context or receipt for a firm.
pub fn read_statement<B: DeserializeOwned + Serialize>(
    path: &Path,
    kind: FileKind,
    certifiers: Certifiers<'_>,
) -> Result<VerifiedStatement<B>> {
    parse_statement(&files::read(path)?, kind, certifiers)
        .map_err(|failure| Shown::from(failure).about(path.display()))
}

/// [`read_statement`] from its bytes.
pub fn parse_statement<B: DeserializeOwned + Serialize>(
    bytes: &[u8],
    kind: FileKind,
    certifiers: Certifiers<'_>,
) -> std::result::Result<VerifiedStatement<B>, Failure> {
    let (statement, rest) = verify(bytes, kind, certifiers)?;
    file::finish(rest).map(|()| statement)
}

/// Reads an inventory for a firm: its signed context, then the configuration,
/// which is compared with the hash in it before it is taken apart.
pub fn read_inventory(
    bytes: &[u8],
    certifiers: Certifiers<'_>,
) -> std::result::Result<(VerifiedStatement<ContextBody>, Vec<Configured>), Failure> {
    let refused = ErrorCode::InventoryRefused.failure();
    let (statement, rest) = verify::<ContextBody>(bytes, FileKind::Inventory, certifiers)?;
    // A firm that is not in the container has no configuration, and its hash is zero.
    let is_absent = statement.body.root_version == 0 && rest.is_empty();
    if !is_absent && sha256(rest) != statement.body.config_hash.0 {
        return Err(refused);
    }
    Ok((statement, read_configuration(rest).ok_or(refused)?))
}

/// Verifies certificate and statement of a file, and returns what follows them.
pub fn verify<'b, B: DeserializeOwned + Serialize>(
    bytes: &'b [u8],
    kind: FileKind,
    certifiers: Certifiers<'_>,
) -> std::result::Result<(VerifiedStatement<B>, &'b [u8]), Failure> {
    let (object_kind, refused) = match kind {
        FileKind::Receipt => (Kind::Receipt, ErrorCode::ReceiptRefused.failure()),
        FileKind::Proof => (Kind::Proof, ErrorCode::ProofRefused.failure()),
        FileKind::UsageLog => (Kind::UsageHead, ErrorCode::LogRefused.failure()),
        FileKind::FinalStatement => (Kind::Final, ErrorCode::ReceiptRefused.failure()),
        FileKind::Inventory => (Kind::Context, ErrorCode::InventoryRefused.failure()),
        _ => (Kind::Context, ErrorCode::ContextRefused.failure()),
    };
    let rest = file::expect(bytes, kind)?;
    let (device, rest) = certified(rest, certifiers)?;
    let (statement, rest) = file::next_object(rest, STATEMENT_BODY_LEN_MAX)?;
    let key = VerifyingKey::from_bytes(&device.body.identity_key.0).map_err(|_| refused)?;
    let header = *statement.header();
    let fits = header.kind == object_kind
        && header.root_fp == certifiers.firm
        && header.target == *device.id.bytes();
    if !fits {
        return Err(refused);
    }
    let object = statement.verify_container(&key).map_err(|_| refused)?;
    let body = codec::decode(object.body, STATEMENT_BODY_LEN_MAX).map_err(|_| refused)?;
    Ok((VerifiedStatement { device, header, body }, rest))
}
