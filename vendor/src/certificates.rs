//! Certificates of containers. Whoever issues for a container meets its certificate with every
//! context and receipt, so one whose signature held is known again by its bytes.

use std::collections::BTreeMap;
use std::sync::{LazyLock, Mutex, PoisonError};

use protocol::crypto::hash::{Hash32, sha256};
use protocol::errors::{ErrorCode, Failure};
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::Device;
use protocol::objects::file;
use protocol::objects::root::{Mode, Root};
use protocol::objects::test_root;

/// Certificates that are known at a time.
const KNOWN_MAX: usize = 1 << 16;

static TEST_ROOT: LazyLock<Option<Root>> = LazyLock::new(test_root::root);

/// What held, by the hash of all bytes of the object: that stays so.
static KNOWN: Mutex<BTreeMap<Hash32, Device>> = Mutex::new(BTreeMap::new());

/// The container of the certificate at the front of `bytes`, and what follows that. A simulated
/// container counts for a test vendor only; no maker of real ones is known to this version.
///
/// # Errors
/// It cannot be read, its signature does not hold, or it is of a simulated container for a live
/// vendor.
pub fn certified(bytes: &[u8], mode: Mode) -> Result<(Device, &[u8]), Failure> {
    let (certificate, rest) = file::next_object(bytes, DEVICE_BODY_LEN_MAX)?;
    let hash = sha256(&bytes[..bytes.len() - rest.len()]);
    let known = || KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let found = known().get(&hash).cloned();
    let device = match found {
        Some(device) => device,
        None => {
            let refused = ErrorCode::CertificateRefused.failure();
            let maker = TEST_ROOT.as_ref().ok_or(refused)?;
            let device = Device::verify(&certificate, maker).map_err(|_| refused)?;
            let mut known = known();
            if known.len() >= KNOWN_MAX {
                known.clear();
            }
            known.insert(hash, device.clone());
            device
        }
    };
    if mode == Mode::Test { Ok((device, rest)) } else { Err(ErrorCode::TestContainer.failure()) }
}
