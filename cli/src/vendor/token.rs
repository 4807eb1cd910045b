//! A token behind a PKCS#11 module: keys are made in it, sign in it and never leave it.
//!
//! Signing is `CKM_ECDSA` over a hash. The firm key is a generic secret that was born in the token
//! and stands where HKDF has its pseudorandom key, so that one `CKM_SHA256_HMAC` expands an item
//! key. A token that cannot do that leaves the firm key to the sealed file.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use cryptoki::context::{CInitializeArgs, CInitializeFlags, Pkcs11};
use cryptoki::error::{Error, RvError};
use cryptoki::mechanism::{Mechanism, MechanismType};
use cryptoki::object::{Attribute, AttributeType, KeyType, ObjectClass, ObjectHandle};
use cryptoki::session::{Session, UserType};
use cryptoki::slot::Slot;
use cryptoki::types::AuthPin;
use protocol::crypto::CryptoError;
use protocol::crypto::ecdsa::{self, Sign, VerifyingKey};
use protocol::crypto::hash::{Hash32, sha256};
use protocol::errors::ErrorCode;
use protocol::objects::artifact::SecretKey;
use protocol::signed::Role;
use zeroize::Zeroizing;

use super::keys::fill;
use super::passphrase::Passphrase;
use super::store::{TokenKeyPlace, TokenPlace};
use crate::error::{CliError, Result};
use crate::trust::role_name;

/// OBJECT IDENTIFIER prime256v1, in DER.
const P256: [u8; 10] = [0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// What a new key signs first, to show that it can. No object's preimage begins so.
const TRIAL: &[u8] = b"strongroom/key-trial/v1\0";

/// A token that took its PIN.
pub(crate) struct Token {
    desk: Rc<Desk>,
    place: TokenPlace,
    keys: Vec<TokenKey>,
    /// Labels of keys that were made and are not written down yet: destroyed on drop.
    fresh: Vec<String>,
}

/// A key that signs.
pub(crate) struct TokenKey {
    desk: Rc<Desk>,
    place: TokenKeyPlace,
    public: VerifyingKey,
}

/// The session that all keys share.
struct Desk {
    session: Session,
    module: Pkcs11,
    slot: Slot,
    /// Why the last signature was not made.
    failure: RefCell<Option<CliError>>,
}

impl Token {
    /// Opens a token. Which keys it should hold is looked at when they are used.
    pub(crate) fn open(place: TokenPlace, pin: &Passphrase) -> Result<Self> {
        let TokenPlace { module, token, .. } = &place;
        let about = |error: CliError| error.about(format!("{} token {token:?}", module.display()));
        let desk = Rc::new(Desk::open(module, token, pin).map_err(about)?);
        let key = |place: &TokenKeyPlace| {
            let public = place.verifying_key()?;
            Ok(TokenKey { desk: desk.clone(), place: place.clone(), public })
        };
        let keys: Result<_> = place.keys.iter().map(key).collect();
        Ok(Token { keys: keys?, desk, place, fresh: Vec::new() })
    }

    /// Where it is, and which of its keys are ours.
    pub(crate) fn place(&self) -> &TokenPlace {
        &self.place
    }

    /// Keys that sign.
    pub(crate) fn keys(&self) -> impl Iterator<Item = &TokenKey> {
        self.keys.iter()
    }

    /// Makes a key pair and returns its public half.
    pub(crate) fn draw(&mut self, role: Role) -> Result<VerifyingKey> {
        let (label, id) = fresh_label(&role_name(role))?;
        self.fresh.push(label.clone());
        let public = self.desk.generate_pair(&label, id)?;
        let place = TokenKeyPlace::new(role, label, &public);
        let key = TokenKey { desk: self.desk.clone(), place: place.clone(), public };
        key.signature(&sha256(TRIAL))?;
        self.place.keys.push(place);
        self.keys.push(key);
        Ok(public)
    }

    /// Makes the firm key, if the token can hold one; whether it does.
    pub(crate) fn draw_firm_key(&mut self) -> Result<bool> {
        if !self.derives()? {
            return Ok(false);
        }
        let (label, id) = fresh_label("firm")?;
        self.fresh.push(label.clone());
        let template = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Derive(false),
            Attribute::KeyType(KeyType::GENERIC_SECRET),
            Attribute::ValueLen(32.into()),
            Attribute::Label(label.clone().into_bytes()),
            Attribute::Id(id),
        ];
        let made = self.desk.session.generate_key(&Mechanism::GenericSecretKeyGen, &template);
        made.map_err(failed)?;
        self.place.firm_key = Some(label);
        Ok(true)
    }

    /// Whether it can hold a firm key.
    pub(crate) fn derives(&self) -> Result<bool> {
        let can = self.desk.module.get_mechanism_list(self.desk.slot).map_err(failed)?;
        let wanted = [MechanismType::GENERIC_SECRET_KEY_GEN, MechanismType::SHA256_HMAC];
        Ok(wanted.iter().all(|mechanism| can.contains(mechanism)))
    }

    /// An item key, if the token holds the firm key: HKDF-Expand (RFC 5869) of one block.
    pub(crate) fn item_key(&self, info: &[u8]) -> Option<Result<SecretKey>> {
        let label = self.place.firm_key.as_ref()?;
        let expanded = || {
            let handle = self.desk.find(ObjectClass::SECRET_KEY, label)?;
            let block = [info, &[1]].concat();
            let mac = self.desk.session.sign(&Mechanism::Sha256Hmac, handle, &block);
            let mac = Zeroizing::new(mac.map_err(failed)?);
            let mut key = Zeroizing::new([0; 32]);
            if mac.len() != key.len() {
                return Err(ErrorCode::TokenFailed.failure().into());
            }
            key.copy_from_slice(&mac);
            Ok(key)
        };
        Some(expanded())
    }

    /// Lets new keys stay: they are written down now.
    pub(crate) fn keep(&mut self) {
        self.fresh.clear();
    }

    /// Destroys the keys that are no longer of use. One that the token does not let go of stays
    /// written down.
    pub(crate) fn retain(&mut self, mut wanted: impl FnMut(&[u8; 33]) -> bool) {
        let desk = self.desk.clone();
        self.keys.retain(|key| wanted(&key.public.to_bytes()) || !desk.destroy(&key.place.label));
        self.place.keys = self.keys.iter().map(|key| key.place.clone()).collect();
    }

    /// Why the last signature was not made, if one was not.
    pub(crate) fn failure(&self) -> Option<CliError> {
        self.desk.failure.take()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        for label in &self.fresh {
            self.desk.destroy(label);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // The end of all sessions; that nothing more can be done about a failure is no loss.
        let _ = self.module.clone().finalize();
    }
}

impl TokenKey {
    fn signature(&self, hash: &Hash32) -> Result<[u8; 64]> {
        let handle = self.desk.find(ObjectClass::PRIVATE_KEY, &self.place.label)?;
        let made = self.desk.session.sign(&Mechanism::Ecdsa, handle, hash).map_err(failed)?;
        let signature = made.try_into().map_err(|_| ErrorCode::TokenFailed.failure())?;
        // The key of another token may have this label: what it signs is worth nothing.
        let low = ecdsa::normalize(&signature);
        low.and_then(|low| ecdsa::verify_hash(&self.public, hash, &low))
            .map_err(|_| ErrorCode::TokenKeyMissing.failure())?;
        Ok(signature)
    }
}

impl Sign for TokenKey {
    fn verifying_key(&self) -> VerifyingKey {
        self.public
    }

    fn any_s(
        &self,
        hash: &Hash32,
        _entropy: &[u8; 32],
    ) -> std::result::Result<[u8; 64], CryptoError> {
        self.signature(hash).map_err(|error| {
            let about = format!("key {:?}", self.place.label);
            self.desk.failure.replace(Some(error.about(about)));
            CryptoError::KeyHome
        })
    }
}

impl Desk {
    fn open(path: &Path, label: &str, pin: &Passphrase) -> Result<Self> {
        let not_loaded =
            |error: Error| CliError::from(ErrorCode::TokenModule.failure()).about(error);
        let module = Pkcs11::new(path).map_err(not_loaded)?;
        module
            .initialize(CInitializeArgs::new(CInitializeFlags::OS_LOCKING_OK))
            .map_err(not_loaded)?;
        let slot = slot_of(&module, label)?;
        let session = module.open_rw_session(slot).map_err(failed)?;
        let pin = AuthPin::new(pin.text().into());
        session.login(UserType::User, Some(&pin)).map_err(failed)?;
        Ok(Desk { session, module, slot, failure: RefCell::new(None) })
    }

    fn generate_pair(&self, label: &str, id: Vec<u8>) -> Result<VerifyingKey> {
        let public = [
            Attribute::Token(true),
            Attribute::Private(false),
            Attribute::Verify(true),
            Attribute::EcParams(P256.to_vec()),
            Attribute::Label(label.into()),
            Attribute::Id(id.clone()),
        ];
        let private = [
            Attribute::Token(true),
            Attribute::Private(true),
            Attribute::Sensitive(true),
            Attribute::Extractable(false),
            Attribute::Sign(true),
            Attribute::Derive(false),
            Attribute::Label(label.into()),
            Attribute::Id(id),
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

    /// The one object of this class and label.
    fn find(&self, class: ObjectClass, label: &str) -> Result<ObjectHandle> {
        let template =
            [Attribute::Token(true), Attribute::Class(class), Attribute::Label(label.into())];
        match self.session.find_objects(&template).map_err(failed)?.as_slice() {
            [handle] => Ok(*handle),
            _ => Err(ErrorCode::TokenKeyMissing.failure().into()),
        }
    }

    /// Destroys all of this label; whether none is left.
    fn destroy(&self, label: &str) -> bool {
        let template = [Attribute::Token(true), Attribute::Label(label.into())];
        let Ok(found) = self.session.find_objects(&template) else { return false };
        found.into_iter().all(|handle| self.session.destroy_object(handle).is_ok())
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
        _ => Err(CliError::conflict(
            format!("{} tokens have the label {label:?}", found.len()),
            "Leave the right one plugged in only, or give them different labels.",
        )),
    }
}

/// A label that no other object has, and the id that goes with it.
fn fresh_label(what: &str) -> Result<(String, Vec<u8>)> {
    let mut id = [0; 8];
    fill(&mut id)?;
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("strongroom {what} {digits}"), id.to_vec()))
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
fn failed(error: Error) -> CliError {
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
    let shown = CliError::from(code.failure());
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
