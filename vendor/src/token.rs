//! A token: keys are made in it, sign in it and never leave it. Behind a PKCS#11 module, or
//! whatever else is a [`Desk`].
//!
//! The firm key is a secret that was born in the token and stands where HKDF has its pseudorandom
//! key, so that one HMAC expands an item key. A token that cannot do that leaves the firm key to
//! the sealed file.

mod pkcs11;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use protocol::crypto::CryptoError;
use protocol::crypto::ecdsa::{self, Sign, VerifyingKey};
use protocol::crypto::hash::{Hash32, sha256};
use protocol::errors::ErrorCode;
use protocol::ids::{hex, parse_hex};
use protocol::objects::artifact::SecretKey;
use protocol::objects::root::Mode;
use protocol::signed::Role;

use crate::keys::fill;
use crate::secrets::Secrets;
use crate::store::{TokenKeyPlace, TokenPlace};
use crate::trust::role_name;
use crate::{Result, Shown};

/// What a new key signs first, to show that it can. No object's preimage begins so.
const TRIAL: &[u8] = b"strongroom/key-trial/v1\0";

/// Bytes whose hexadecimal digits end a label, by which no two are the same.
pub const LABEL_ID_LEN: usize = 8;

/// What keeps keys, by label.
pub trait Desk: Send {
    /// Makes a pair of P-256 keys.
    ///
    /// # Errors
    /// Nothing was made.
    fn generate_pair(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<VerifyingKey>;
    /// Signs a hash. The signature may have a high S.
    ///
    /// # Errors
    /// There is no such key, or it does not sign.
    fn sign(&self, label: &str, hash: &Hash32) -> Result<[u8; 64]>;
    /// Whether it can hold a secret that others are expanded from.
    ///
    /// # Errors
    /// It does not say.
    fn derives(&self) -> Result<bool>;
    /// Makes such a secret.
    ///
    /// # Errors
    /// Nothing was made.
    fn generate_secret(&self, label: &str, id: &[u8; LABEL_ID_LEN]) -> Result<()>;
    /// HKDF-Expand (RFC 5869) of one block.
    ///
    /// # Errors
    /// There is no such secret, or it is of no use.
    fn expand(&self, label: &str, info: &[u8]) -> Result<SecretKey>;
    /// Destroys all of this label; whether none is left.
    fn destroy(&self, label: &str) -> bool;
}

/// A token that took its PIN.
pub struct Token {
    desk: SharedDesk,
    place: TokenPlace,
    keys: Vec<TokenKey>,
    /// Labels of keys that were made and are not written down yet: destroyed on drop.
    fresh: Vec<String>,
    /// Why the last signature was not made.
    failure: Arc<Mutex<Option<Shown>>>,
}

/// A key that signs.
pub struct TokenKey {
    desk: SharedDesk,
    place: TokenKeyPlace,
    public: VerifyingKey,
    failure: Arc<Mutex<Option<Shown>>>,
}

impl Token {
    /// Opens a token of a vendor of this mode. Which keys it should hold is looked at when they are
    /// used.
    pub fn open(place: TokenPlace, secrets: &dyn Secrets, mode: Mode) -> Result<Self> {
        let TokenPlace { module, token, .. } = &place;
        let pin = secrets.pin(token)?;
        let desk: Box<dyn Desk> = match module {
            Some(module) => {
                let about =
                    |error: Shown| error.about(format!("{} token {token:?}", module.display()));
                Box::new(pkcs11::Module::open(module, token, &pin).map_err(about)?)
            }
            None => secrets.dongle(token, &pin, mode)?,
        };
        let desk = SharedDesk(Arc::new(Mutex::new(desk)));
        let mut opened =
            Token { desk, keys: Vec::new(), fresh: Vec::new(), failure: Arc::default(), place };
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
    pub fn place(&self) -> &TokenPlace {
        &self.place
    }

    /// Keys that sign.
    pub fn keys(&self) -> impl Iterator<Item = &TokenKey> {
        self.keys.iter()
    }

    /// Makes a key pair and returns its public half.
    pub fn draw(&mut self, role: Role) -> Result<VerifyingKey> {
        let (label, id) = fresh_label(&role_name(role))?;
        self.fresh.push(label.clone());
        let public = self.desk.lock().generate_pair(&label, &id)?;
        let place = TokenKeyPlace::new(role, label, &public);
        let key = self.key(place.clone(), public);
        key.signature(&sha256(TRIAL))?;
        self.place.keys.push(place);
        self.keys.push(key);
        Ok(public)
    }

    /// Makes the firm key, if the token can hold one; whether it does.
    pub fn draw_firm_key(&mut self) -> Result<bool> {
        if !self.derives()? {
            return Ok(false);
        }
        let (label, id) = fresh_label("firm")?;
        self.fresh.push(label.clone());
        self.desk.lock().generate_secret(&label, &id)?;
        self.place.firm_key = Some(label);
        Ok(true)
    }

    /// Whether it can hold a firm key.
    pub fn derives(&self) -> Result<bool> {
        self.desk.lock().derives()
    }

    /// An item key, if the token holds the firm key.
    pub fn item_key(&self, info: &[u8]) -> Option<Result<SecretKey>> {
        let label = self.place.firm_key.as_ref()?;
        Some(self.desk.lock().expand(label, info))
    }

    /// Lets new keys stay: they are written down now.
    pub fn keep(&mut self) {
        self.fresh.clear();
    }

    /// Destroys the keys that are no longer of use. One that the token does not let go of stays
    /// written down.
    pub fn retain(&mut self, mut wanted: impl FnMut(&[u8; 33]) -> bool) {
        let desk = self.desk.clone();
        self.keys
            .retain(|key| wanted(&key.public.to_bytes()) || !desk.lock().destroy(&key.place.label));
        self.place.keys = self.keys.iter().map(|key| key.place.clone()).collect();
    }

    /// Why the last signature was not made, if one was not.
    pub fn failure(&self) -> Option<Shown> {
        unpoisoned(&self.failure).take()
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        for label in &self.fresh {
            self.desk.lock().destroy(label);
        }
    }
}

impl TokenKey {
    fn signature(&self, hash: &Hash32) -> Result<[u8; 64]> {
        let signature = self.desk.lock().sign(&self.place.label, hash)?;
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
            unpoisoned(&self.failure).replace(error.about(about));
            CryptoError::KeyHome
        })
    }
}

/// The desk of a token and of all its keys.
#[derive(Clone)]
struct SharedDesk(Arc<Mutex<Box<dyn Desk>>>);

impl SharedDesk {
    fn lock(&self) -> MutexGuard<'_, Box<dyn Desk>> {
        unpoisoned(&self.0)
    }
}

/// A desk keeps nothing half done that a panic could leave behind.
fn unpoisoned<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A label that no other key has, and the number that it ends with.
fn fresh_label(what: &str) -> Result<(String, [u8; LABEL_ID_LEN])> {
    let mut id = [0; LABEL_ID_LEN];
    fill(&mut id)?;
    Ok((format!("strongroom {what} {}", hex(&id)), id))
}

/// The number that a label ends with.
pub fn label_id(label: &str) -> Option<[u8; LABEL_ID_LEN]> {
    label.rsplit(' ').next().and_then(parse_hex)
}
