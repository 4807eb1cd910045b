//! `store.toml` of a vendor directory: where private keys are that are not in its file. No secrets.
//!
//! ```text
//! [pkcs11]
//! module = "/usr/lib/softhsm/libsofthsm2.so"
//! token = "acme"
//! firm_key = "strongroom firm 0011223344556677"     where the token holds the firm key
//!
//! [[pkcs11.keys]]
//! role = "licensing"
//! label = "strongroom licensing 8899aabbccddeeff"
//! public = "02..."                                  33 bytes, the compressed point
//! ```
//!
//! Or `[dongle]` and `[[dongle.keys]]`, the same without `module`; `token` is a serial.

use std::path::PathBuf;

use protocol::crypto::ecdsa::{VERIFYING_KEY_LEN, VerifyingKey};
use protocol::ids::{hex, parse_hex};
use protocol::signed::Role;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::trust::role_name;
use crate::{Result, Shown};

/// All of the file: a table for each kind of store.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreFile {
    /// A token behind a module.
    pkcs11: Option<TokenPlace>,
    /// A container of ours.
    dongle: Option<TokenPlace>,
}

/// A token, and which of its keys are ours.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenPlace {
    /// The library that reaches it; none for a container of ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub module: Option<PathBuf>,
    /// Its label, or the container's serial.
    pub token: String,
    /// Label of the secret that item keys are expanded from, where the token holds it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub firm_key: Option<String>,
    /// Keys that sign.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<TokenKeyPlace>,
}

/// A key that signs, in a token.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenKeyPlace {
    /// The role that it was made for, for people.
    pub role: String,
    /// Its label, which no other private key of the token has.
    pub label: String,
    /// Its public half, in hexadecimal digits.
    pub public: String,
}

impl StoreFile {
    /// Reads the file's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let store: StoreFile = toml::from_str(files::text(bytes)?).map_err(refused)?;
        match (&store.pkcs11, &store.dongle) {
            (Some(_), Some(_)) => return Err(refused("there are two stores")),
            (Some(TokenPlace { module: None, .. }), _) => return Err(refused("no module")),
            (_, Some(TokenPlace { module: Some(_), .. })) => {
                return Err(refused("a module, and no token of it"));
            }
            _ => {}
        }
        let keys = store.token().into_iter().flat_map(|place| &place.keys);
        keys.map(TokenKeyPlace::verifying_key).try_for_each(|key| key.map(drop))?;
        Ok(store)
    }

    /// The file of a token.
    pub fn of(place: TokenPlace) -> Self {
        match place.module {
            Some(_) => StoreFile { pkcs11: Some(place), dongle: None },
            None => StoreFile { pkcs11: None, dongle: Some(place) },
        }
    }

    /// The token, of either kind.
    pub fn token(&self) -> Option<&TokenPlace> {
        self.pkcs11.as_ref().or(self.dongle.as_ref())
    }

    /// The file's text.
    pub fn write(&self) -> Result<String> {
        toml::to_string(self).map_err(refused)
    }
}

impl TokenKeyPlace {
    /// A key of this role and label.
    pub(crate) fn new(role: Role, label: String, key: &VerifyingKey) -> Self {
        TokenKeyPlace { role: role_name(role), label, public: hex(&key.to_bytes()) }
    }

    /// Its public half.
    pub(crate) fn verifying_key(&self) -> Result<VerifyingKey> {
        let refused = || refused(format!("{:?} is no public key", self.public));
        let point: [u8; VERIFYING_KEY_LEN] = parse_hex(&self.public).ok_or_else(refused)?;
        VerifyingKey::from_bytes(&point).map_err(|_| refused())
    }
}

fn refused(why: impl std::fmt::Display) -> Shown {
    Shown::usage(why.to_string().trim_end(), "Mend the file, or take it from a copy.")
}
