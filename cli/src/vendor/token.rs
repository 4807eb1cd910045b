//! A token: keys are made in it, sign in it and never leave it. Behind a PKCS#11 module, or a
//! container of ours.
//!
//! The firm key is a secret that was born in the token and stands where HKDF has its pseudorandom
//! key, so that one HMAC expands an item key. A token that cannot do that leaves the firm key to
//! the sealed file.

mod dongle;
mod pkcs11;

use std::cell::RefCell;
use std::rc::Rc;

use protocol::crypto::CryptoError;
use protocol::crypto::ecdsa::{self, Sign, VerifyingKey};
use protocol::crypto::hash::{Hash32, sha256};
use protocol::errors::ErrorCode;
use protocol::ids::parse_hex;
use protocol::objects::artifact::SecretKey;
use protocol::objects::root::Mode;
use protocol::signed::Role;

use super::keys::fill;
use super::passphrase::Passphrase;
use super::store::{TokenKeyPlace, TokenPlace};
use crate::error::{Result, Shown};
use crate::trust::role_name;

/// What a new key signs first, to show that it can. No object's preimage begins so.
const TRIAL: &[u8] = b"strongroom/key-trial/v1\0";

/// Bytes whose hexadecimal digits end a label, by which no two are the same.
const LABEL_ID_LEN: usize = 8;

/// What keeps keys, by label.
trait Desk {
    /// Makes a pair of P-256 keys.
    fn generate_pair(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<VerifyingKey>;
    /// Signs a hash. The signature may have a high S.
    fn sign(&self, label: &str, hash: &Hash32) -> Result<[u8; 64]>;
    /// Whether it can hold a secret that others are expanded from.
    fn derives(&self) -> Result<bool>;
    /// Makes such a secret.
    fn generate_secret(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<()>;
    /// HKDF-Expand (RFC 5869) of one block.
    fn expand(&self, label: &str, info: &[u8]) -> Result<SecretKey>;
    /// Destroys all of this label; whether none is left.
    fn destroy(&self, label: &str) -> bool;
}

/// A token that took its PIN.
pub(crate) struct Token {
    desk: Rc<dyn Desk>,
    place: TokenPlace,
    keys: Vec<TokenKey>,
    /// Labels of keys that were made and are not written down yet: destroyed on drop.
    fresh: Vec<String>,
    /// Why the last signature was not made.
    failure: Rc<RefCell<Option<Shown>>>,
}

/// A key that signs.
pub(crate) struct TokenKey {
    desk: Rc<dyn Desk>,
    place: TokenKeyPlace,
    public: VerifyingKey,
    failure: Rc<RefCell<Option<Shown>>>,
}

impl Token {
    /// Opens a token. Which keys it should hold is looked at when they are used. A dongle is looked
    /// for among `sources`, and must be one for vendors of this mode.
    pub(crate) fn open(
        place: TokenPlace,
        pin: &Passphrase,
        sources: &[String],
        mode: Mode,
    ) -> Result<Self> {
        let TokenPlace { module, token, .. } = &place;
        let desk: Rc<dyn Desk> = match module {
            Some(module) => {
                let about =
                    |error: Shown| error.about(format!("{} token {token:?}", module.display()));
                Rc::new(pkcs11::Module::open(module, token, pin).map_err(about)?)
            }
            None => Rc::new(dongle::SecurityBox::open(token, pin, sources, mode)?),
        };
        let mut opened =
            Token { desk, keys: Vec::new(), fresh: Vec::new(), failure: Rc::default(), place };
        for place in opened.place.keys.clone() {
            let public = place.verifying_key()?;
            opened.keys.push(opened.key(place, public));
        }
        Ok(opened)
    }

    fn key(&self, place: TokenKeyPlace, public: VerifyingKey) -> TokenKey {
        TokenKey { desk: self.desk.clone(), place, public, failure: self.failure.clone() }
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
        let public = self.desk.generate_pair(&label, &id)?;
        let place = TokenKeyPlace::new(role, label, &public);
        let key = self.key(place.clone(), public);
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
        self.desk.generate_secret(&label, &id)?;
        self.place.firm_key = Some(label);
        Ok(true)
    }

    /// Whether it can hold a firm key.
    pub(crate) fn derives(&self) -> Result<bool> {
        self.desk.derives()
    }

    /// An item key, if the token holds the firm key.
    pub(crate) fn item_key(&self, info: &[u8]) -> Option<Result<SecretKey>> {
        let label = self.place.firm_key.as_ref()?;
        Some(self.desk.expand(label, info))
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
    pub(crate) fn failure(&self) -> Option<Shown> {
        self.failure.take()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        for label in &self.fresh {
            self.desk.destroy(label);
        }
    }
}

impl TokenKey {
    fn signature(&self, hash: &Hash32) -> Result<[u8; 64]> {
        let signature = self.desk.sign(&self.place.label, hash)?;
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
            self.failure.replace(Some(error.about(about)));
            CryptoError::KeyHome
        })
    }
}

/// A label that no other key has, and the number that it ends with.
fn fresh_label(what: &str) -> Result<(String, [u8; LABEL_ID_LEN])> {
    let mut id = [0; LABEL_ID_LEN];
    fill(&mut id)?;
    let digits: String = id.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok((format!("strongroom {what} {digits}"), id))
}

/// The number that a label ends with.
fn label_id(label: &str) -> Option<[u8; LABEL_ID_LEN]> {
    label.rsplit(' ').next().and_then(parse_hex)
}
