//! A token behind a PKCS#11 module.
//!
//! Signing is `CKM_ECDSA` over a hash. The firm key is a generic secret, and one
//! `CKM_SHA256_HMAC` expands an item key. A token that cannot do that has none.

use std::path::Path;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use protocol::crypto::ecdsa::VerifyingKey;
use protocol::crypto::hash::Hash32;
use protocol::errors::ErrorCode;
use protocol::objects::artifact::SecretKey;
use zeroize::Zeroizing;

use super::{Desk, LABEL_ID_LEN};
use crate::passphrase::Passphrase;
use crate::{Result, Shown};

/// OBJECT IDENTIFIER prime256v1, in DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];

/// The session that all keys share.
pub(crate) struct Module {
    session: Session,
    module: Pkcs11,
    slot: Slot,
}

impl Module {
    pub(crate) fn open(path: &Path, label: &str, pin: &Passphrase) -> Result<Self> {
        let not_loaded = |error: Error| Shown::from(ErrorCode::TokenModule.failure()).about(error);
        let module = Pkcs11::new(path).map_err(not_loaded)?;
        module
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(not_loaded)?;
        let slot = slot_of(&module, label)?;
        let session = module.open_rw_session(slot).map_err(failed)?;
        let pin = AuthPin::new(pin.text().into());
        session.login(UserType::User, Some(&pin)).map_err(failed)?;
        Ok(Module { session, module, slot })
    }

    /// The one object of this class and label.
    fn find(&self, class: ObjectClass, label: &str) -> Result<ObjectHandle> {
        let template =
            [Attribute::Token(true), Attribute::Class(class), Attribute::Label(label.into())];
        match self.session.find_objects(&template).map_err(failed)?.as_slice() {
            [handle] => Ok(*handle),
            _ => Err(ErrorCode::TokenKeyMissing.failure().into()),
        }
    }
}

impl Desk for Module {
    fn generate_pair(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<VerifyingKey> {
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(P256.to_vec()),
            Attribute::Label(label.into()),
            Attribute::Id(id.to_vec()),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Derive(false),
            Attribute::Label(label.into()),
            Attribute::Id(id.to_vec()),
        ];
        let pair = self.session.generate_key_pair(&Mechanism::EccKeyPairGen, &public, &private);
        let (public, _) = pair.map_err(failed)?;
        let attributes = self.session.get_attributes(public, &[AttributeType::EcPoint]);
        let point = match attributes.map_err(failed)?.as_slice() {
            [Attribute::EcPoint(point)] => compressed(point),
            _ => None,
        };
        let key = point.and_then(|point| VerifyingKey::from_bytes(&point).ok());
        Ok(key.ok_or(ErrorCode::TokenFailed.failure())?)
    }

    fn sign(&self, label: &str, hash: &Hash32) -> Result<[u8; 64]> {
        let handle = self.find(ObjectClass::PRIVATE_KEY, label)?;
        let made = self.session.sign(&Mechanism::Ecdsa, handle, hash).map_err(failed)?;
        Ok(made.try_into().map_err(|_| ErrorCode::TokenFailed.failure())?)
    }

    fn derives(&self) -> Result<bool> {
        let can = self.module.get_mechanism_list(self.slot).map_err(failed)?;
        let wanted = [MechanismType::GENERIC_SECRET_KEY_GEN, MechanismType::SHA256_HMAC];
        Ok(wanted.iter().all(|mechanism| can.contains(mechanism)))
    }

    fn generate_secret(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<()> {
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Derive(false),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::ValueLen(32.into()),
            Attribute::Label(label.into()),
            Attribute::Id(id.to_vec()),
        ];
        let made = self.session.generate_key(&Mechanism::GenericSecretKeyGen, &template);
        made.map(drop).map_err(failed)
    }

    fn expand(&self, label: &str, info: &[u8]) -> Result<SecretKey> {
        let handle = self.find(ObjectClass::SECRET_KEY, label)?;
        let block = [info, &[1]].concat();
        let mac = self.session.sign(&Mechanism::Sha256Hmac, handle, &block);
        let mac = Zeroizing::new(mac.map_err(failed)?);
        let mut key = Zeroizing::new([0; 32]);
        if mac.len() != key.len() {
            return Err(ErrorCode::TokenFailed.failure().into());
        }
        key.copy_from_slice(&mac);
        Ok(key)
    }

    fn destroy(&self, label: &str) -> bool {
        let template = [Attribute::Token(true), Attribute::Label(label.into())];
        let Ok(found) = self.session.find_objects(&template) else { return false };
        found.into_iter().all(|handle| self.session.destroy_object(handle).is_ok())
    }
}

impl Drop for Module {
    fn drop(&mut self) {
        // The end of all sessions; that nothing more can be done about a failure is no loss.
        let _ = self.module.clone().finalize();
    }
}

fn slot_of(module: &Pkcs11, label: &str) -> Result<Slot> {
    let mut found = Vec::new();
    for slot in module.get_slots_with_token().map_err(failed)? {
        // A reader whose token was pulled in this moment is none of ours.
        if module.get_token_info(slot).is_ok_and(|info| info.label() == label) {
            found.push(slot);
        }
    }
    match found[..] {
        [slot] => Ok(slot),
        [] => Err(ErrorCode::TokenMissing.failure().into()),
        _ => Err(Shown::conflict(
            format!("{} tokens have the label {label:?}", found.len()),
            "Leave the right one plugged in only, or give them different labels.",
        )),
    }
}

/// A point as tokens give it: uncompressed, in an OCTET STRING of DER or, from some, bare.
fn compressed(point: &[u8]) -> Option<[u8; 33]> {
    let bare = match point {
        [0x04, 0x41, bare @ ..] if bare.len() == 65 => bare,
        bare => bare,
    };
    let (&[0x04], coordinates) = bare.split_first_chunk()? else { return None };
    let (x, y) = coordinates.split_at_checked(32)?;
    let last = y.last().filter(|_| y.len() == 32)?;
    let mut out = [2 + (last & 1); 33];
    out[1..].copy_from_slice(x);
    Some(out)
}

/// What a token said, as a row of the error table.
fn failed(error: Error) -> Shown {
    let code = match &error {
        Error::Pkcs11(why, _) => match why {
            RvError::PinIncorrect | RvError::PinInvalid | RvError::PinLenRange => {
                ErrorCode::TokenPin
            }
            RvError::PinLocked | RvError::PinExpired | RvError::UserPinNotInitialized => {
                ErrorCode::TokenLocked
            }
            RvError::TokenNotPresent | RvError::DeviceRemoved | RvError::TokenNotRecognized => {
                ErrorCode::TokenMissing
            }
            _ => ErrorCode::TokenFailed,
        },
        _ => ErrorCode::TokenFailed,
    };
    let shown = Shown::from(code.failure());
    if code == ErrorCode::TokenFailed { shown.about(error) } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_point_is_read_in_both_forms_and_in_no_other() {
        let mut bare = [7; 65];
        bare[0] = 4;
        let der = [&[0x04, 0x41][..], &bare].concat();
        let mut odd = [7; 33];
        odd[0] = 3;
        assert_eq!(compressed(&bare), Some(odd));
        assert_eq!(compressed(&der), Some(odd));
        bare[64] = 8;
        assert_eq!(compressed(&bare).map(|point| point[0]), Some(2));
        assert_eq!(compressed(&der[..66]), None);
        assert_eq!(compressed(&bare[..64]), None);
        assert_eq!(compressed(&[&bare[..], &[0]].concat()), None);
        assert_eq!(compressed(&odd), None);
        assert_eq!(compressed(&[]), None);
    }
}
