//! Certificates of containers. Whoever issues for a container meets its certificate with every
//! context and receipt, so one whose signature held is known again by its bytes.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use protocol::crypto::hash::{Hash32, sha256};
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerKind, RootFp};
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::Device;
use protocol::objects::file;
use protocol::objects::root::{Mode, Root};
use protocol::objects::test_root;

/// Certificates that are known at a time.
const KNOWN_MAX: usize = 1 << 16;

static TEST_ROOT: LazyLock<Option<Root>> = LazyLock::new(test_root::root);

/// What held, by the hash of all bytes of the object and that of the root that it held under: that
/// stays so.
static KNOWN: Mutex<BTreeMap<(Hash32, Hash32), Device>> = Mutex::new(BTreeMap::new());

/// A firm, as far as it decides whose certificates count for it: dongles that a maker certified,
/// and soft licenses that it certified itself.
#[derive(Debug, Clone, Copy)]
pub struct Certifiers<'a> {
    /// The firm.
    pub firm: RootFp,
    /// Whether it plays or sells.
    pub mode: Mode,
    /// Its newest root; none where only dongles count.
    root: Option<&'a Root>,
}

impl<'a> Certifiers<'a> {
    /// Of a firm whose root is known.
    pub fn of(root: &'a Root) -> Self {
        Certifiers { firm: root.root_fp, mode: root.body.mode, root: Some(root) }
    }

    /// Of a test firm of which there is only the fingerprint: simulated dongles.
    pub fn simulated(firm: RootFp) -> Self {
        Certifiers { firm, mode: Mode::Test, root: None }
    }
}

/// The container of the certificate at the front of `bytes`, and what follows that. A simulated
/// dongle counts for a test vendor only; no maker of real ones is known to this version.
///
/// # Errors
/// It cannot be read, its signature does not hold, or it is of a simulated dongle for a live
/// vendor.
pub fn certified<'b>(
    bytes: &'b [u8],
    certifiers: Certifiers<'_>,
) -> Result<(Device, &'b [u8]), Failure> {
    let refused = ErrorCode::CertificateRefused.failure();
    let (certificate, rest) = file::next_object(bytes, DEVICE_BODY_LEN_MAX)?;
    let is_own = certificate.header().root_fp == certifiers.firm;
    let root = if is_own { certifiers.root } else { TEST_ROOT.as_ref() }.ok_or(refused)?;
    let name = (sha256(&bytes[..bytes.len() - rest.len()]), root.hash);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(&name).cloned();
    let device = match found {
        Some(device) => device,
        None => {
            let device = Device::verify(&certificate, root).map_err(|_| refused)?;
            let mut known = known();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(name, device.clone());
            device
        }
    };
    let is_dongle = device.body.kind == ContainerKind::Dongle;
    match is_own {
        // Makers certify dongles, and firms what is none.
        _ if is_own == is_dongle => Err(refused),
        false if certifiers.mode == Mode::Live => Err(ErrorCode::TestContainer.failure()),
        _ => Ok((device, rest)),
    }
}
