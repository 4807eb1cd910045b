//! Certified time for containers that ask for it.

use protocol::errors::ErrorCode;
use protocol::ids::hex;
use protocol::objects::device::Device;
use protocol::objects::file::{self, FileKind, PREFIX_LEN, TIME_REQUEST_LEN};
use vendor::Issuer;
use vendor::upkeep::read_time_request;

use super::central::Central;
use super::firm::Firm;
use super::records::{Case, Container, ContainerState};
use super::refusal::{Outcome, Refusal};
use super::work::Work;
use crate::store::Filter;

/// A request whose certificate held. Nothing in it is secret or signed by the container: a token
/// counts only where its nonce was drawn, once, and for two minutes.
pub struct TimeRequest {
    /// The container.
    pub device: Device,
    certificate: Vec<u8>,
    nonce: [u8; 32],
}

impl TimeRequest {
    /// Verifies a request for this firm.
    pub fn read(firm: &Firm, bytes: &[u8]) -> Outcome<Self> {
        let certifiers = firm.certifiers()?;
        let (device, nonce) = read_time_request(bytes, certifiers)?;
        // What was read has a prefix in front of the certificate, and the request behind it.
        let certificate = bytes[PREFIX_LEN..bytes.len() - TIME_REQUEST_LEN].to_vec();
        Ok(TimeRequest { device, certificate, nonce })
    }
}

/// The token file that answers a request. It changes no record: only the signer, whose clock it is,
/// notes what it certified.
pub fn token(central: &Central, tenant: &str, request: &TimeRequest) -> Outcome<Vec<u8>> {
    let firm = central.firm(tenant)?;
    Issuer::of(&firm.trust)?.check_container(request.device.id)?;
    central.read(tenant, |work| check_state(work, &hex(request.device.id.bytes())))?;
    let token = firm.signer.time_token(&request.certificate, request.nonce)?;
    Ok(file::write(FileKind::TimeToken, &[&token]))
}

/// Refuses a container that gets nothing more: with the time its licenses would go on. One that is
/// not known here may have its licenses by file.
fn check_state(work: &mut Work<'_>, id: &str) -> Outcome<()> {
    let known = work.find::<Container>(id)?;
    match known.map(|container| container.record.state) {
        None | Some(ContainerState::Active) => Ok(()),
        Some(ContainerState::Blocked) => Err(ErrorCode::ContainerBlocked.into()),
        Some(ContainerState::Differs) => {
            let cases = work.all::<Case>(&Filter::Is("container", id.into()))?;
            let open = cases.into_iter().find(|case| case.record.decision.is_none());
            let (shown, known) = open.map_or((0, 0), |one| (one.record.shown, one.record.known));
            Err(Refusal::from(ErrorCode::ContainerUndecided.with(shown, known)))
        }
    }
}
