//! The test root: certifies simulated containers. Its keys are public, so it certifies nothing of
//! value.

use alloc::vec::Vec;

use super::root::{Mode, RoleKeys, Root, RootBody};
use crate::codec::{Fixed, List, Text};
use crate::crypto::ecdsa::SigningKey;
use crate::ids::FirmCode;
use crate::signed::{Role, UnverifiedObject};

/// Private keys that everybody knows: SHA-256 would do as well, but small numbers show that they
/// are no secret.
fn key(number: u8) -> Option<SigningKey> {
    let mut scalar = [0; 32];
    scalar[31] = number;
    SigningKey::from_bytes(&scalar).ok()
}

/// The key of the test root's `device` role.
pub fn device_key() -> Option<SigningKey> {
    key(2)
}

/// The test root as an object.
pub fn object() -> Option<Vec<u8>> {
    let root = key(1)?;
    let keys = |key: &SigningKey| List::new(Vec::from([Fixed(key.verifying_key().to_bytes())]));
    let roles = Vec::from([
        RoleKeys { role: Role::Root, threshold: 1, keys: keys(&root)? },
        RoleKeys { role: Role::Device, threshold: 1, keys: keys(&device_key()?)? },
    ]);
    let body = RootBody {
        mode: Mode::Test,
        name: Text::new("Strongroom test root")?,
        firm_code: FirmCode(0),
        roles: List::new(roles)?,
    };
    // Without entropy the signature, and so the whole object, is the same everywhere.
    Root::write_first(&body, 0, &[&root], &[0; 32])
}

/// The test root, verified.
pub fn root() -> Option<Root> {
    let bytes = object()?;
    let (object, _) = UnverifiedObject::read(&bytes, crate::limits::ROOT_BODY_LEN_MAX).ok()?;
    Root::verify_first(&object).ok()
}
