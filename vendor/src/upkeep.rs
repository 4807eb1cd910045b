//! Between updates: certified time, and usage logs that are acknowledged.

use protocol::codec;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::ContainerId;
use protocol::objects::device::{Device, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::TimeTokenBody;
use protocol::objects::usage::{LoggedEntry, UsageHeadBody, read_entries};
use protocol::signed::{Header, Kind};

use crate::Result;
use crate::certificates::{Certifiers, certified};
use crate::context::{VerifiedStatement, verify};
use crate::issuer::Issuer;
use crate::keys::KeyRing;
use crate::ledger::Point;

/// A usage log whose head was verified; whether its entries lead there is for
/// [`crate::UsageLog::take`] to say.
pub type UploadedLog = (VerifiedStatement<UsageHeadBody>, Vec<LoggedEntry>);

/// Reads a request for certified time: which container asks, and its nonce.
///
/// # Errors
/// It is damaged, or not for this firm.
pub fn read_time_request(
    bytes: &[u8],
    certifiers: Certifiers<'_>,
) -> std::result::Result<(Device, [u8; 32]), Failure> {
    let rest = file::expect(bytes, FileKind::TimeRequest)?;
    let (device, rest) = certified(rest, certifiers)?;
    let request = rest.try_into().map_err(|_| ErrorCode::Malformed.failure())?;
    let (asked, nonce) = file::split_time_request(request);
    if asked == certifiers.firm {
        Ok((device, nonce))
    } else {
        Err(ErrorCode::ContextRefused.failure())
    }
}

/// Reads a usage log.
///
/// # Errors
/// It is damaged, its signature does not hold, or it is not for this firm.
pub fn read_usage_log(
    bytes: &[u8],
    certifiers: Certifiers<'_>,
) -> std::result::Result<UploadedLog, Failure> {
    let (statement, rest) = verify(bytes, FileKind::UsageLog, certifiers)?;
    let entries = read_entries(rest).ok_or(ErrorCode::Malformed.failure())?;
    Ok((statement, entries))
}

impl Issuer<'_> {
    /// Tells a container the time, give or take `radius_s`: the object that answers its `nonce`.
    ///
    /// # Errors
    /// Nobody signs.
    pub fn time_token(
        &self,
        id: ContainerId,
        nonce: [u8; 32],
        (time_s, radius_s): (u64, u32),
        keys: &KeyRing,
    ) -> Result<Vec<u8>> {
        let body = codec::encode(&TimeTokenBody { time_s, radius_s });
        let header = Header { state: nonce, ..self.header(Kind::TimeToken, id, time_s, &body) };
        self.signed(header, &body, keys)
    }

    /// Certifies the keys of a soft license's container: the device certificate.
    ///
    /// # Errors
    /// Nobody signs.
    pub fn certificate(
        &self,
        id: ContainerId,
        body: &DeviceBody,
        issued_s: u64,
        keys: &KeyRing,
    ) -> Result<Vec<u8>> {
        let body = codec::encode(body);
        self.signed(self.header(Kind::Device, id, issued_s, &body), &body, keys)
    }

    /// Acknowledges a container's usage log up to this entry and its head.
    ///
    /// # Errors
    /// Nobody signs.
    pub fn usage_ack(
        &self,
        id: ContainerId,
        upto: Point,
        now_s: u64,
        keys: &KeyRing,
    ) -> Result<Vec<u8>> {
        let header = self.header(Kind::UsageAck, id, now_s, &[]);
        self.signed(Header { seq: upto.seq, state: upto.state, ..header }, &[], keys)
    }

    fn header(&self, kind: Kind, id: ContainerId, issued_s: u64, body: &[u8]) -> Header {
        let (root_fp, target) = (self.root.root_fp, *id.bytes());
        Header { root_fp, target, issued_s, ..Header::new(kind, body) }
    }

    /// Signs an object with the key of its kind's role.
    fn signed(&self, header: Header, body: &[u8], keys: &KeyRing) -> Result<Vec<u8>> {
        let key = keys.signer(&self.root.body, header.kind.role(), &[])?;
        keys.sign_object(header, body, key)
    }
}
