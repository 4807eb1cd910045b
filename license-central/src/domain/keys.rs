//! Keys of the API, and the installation's own secret.
//!
//! A key is `key_ID.SECRET`. The database has a hash of the secret under a key that is not in the
//! database, so that neither a dump of it nor a change in it lets anybody in.

use protocol::crypto::aead;
use protocol::crypto::hash::sha256;
use protocol::crypto::mac;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use serde::Serialize;
use subtle::ConstantTimeEq;
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::access::Principal;
use super::env::Env;
use super::records::{ApiKey, RoleName, User};
use super::refusal::{Outcome, Refusal};
use super::users;
use super::work::Work;
use crate::store::{Filter, Page};

/// The tenant of records that belong to no vendor.
pub const SYSTEM: &str = "";

/// 32 bytes that only this installation knows. They lie beside the database, not in it.
pub struct Secret(Zeroizing<[u8; 32]>);

impl Secret {
    /// These bytes.
    pub fn new(bytes: [u8; 32]) -> Self {
        Secret(Zeroizing::new(bytes))
    }

    /// Hash of a key's secret part.
    fn hash(&self, secret: &str) -> String {
        hex(&mac::hmac_sha256(&self.0[..], &[b"strongroom/api-key/v1\0", secret.as_bytes()]))
    }

    /// Hash of the secret part of a credential of seats.
    pub fn credential_hash(&self, secret: &str) -> String {
        let label = b"strongroom/seat-credential/v1\0";
        hex(&mac::hmac_sha256(&self.0[..], &[label, secret.as_bytes()]))
    }

    /// Seals what the database shall not show.
    pub fn seal(&self, plain: &[u8], nonce: &[u8; 12]) -> Vec<u8> {
        let mut sealed = plain.to_vec();
        let tag = aead::seal_in_place(&self.sealing_key(), nonce, ANSWER, &mut sealed);
        [&nonce[..], &sealed, &tag].concat()
    }

    /// Opens it again.
    pub fn open(&self, sealed: &[u8]) -> Option<Vec<u8>> {
        let (nonce, rest) = sealed.split_first_chunk::<12>()?;
        let (bytes, tag) = rest.split_last_chunk::<16>()?;
        let mut plain = bytes.to_vec();
        aead::open_in_place(&self.sealing_key(), nonce, ANSWER, &mut plain, tag).ok()?;
        Some(plain)
    }

    fn sealing_key(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(mac::hmac_sha256(&self.0[..], &[ANSWER]))
    }
}

/// What answers are sealed for.
const ANSWER: &[u8] = b"strongroom/answer/v1\0";

/// What a key may do: what a role says, or the role that a user has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Rights {
    /// This, as long as it is not revoked.
    Role(RoleName),
    /// What the user of this id may.
    User(String),
}

/// Makes a key. Its text is told once.
pub fn create(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    (vendor, name, rights): (&str, &str, Rights),
) -> Outcome<(ApiKey, Zeroizing<String>)> {
    super::catalog::check_name(name)?;
    let (role, user) = match rights {
        Rights::Role(role) => (role, None),
        Rights::User(id) => (users::find(work, vendor, &id)?.record.role, Some(id)),
    };
    let may = user.clone().unwrap_or_else(|| format!("{role:?}").to_lowercase());
    let own = Zeroizing::new(hex(&env.bytes::<24>()));
    let key = ApiKey {
        id: env.id("key"),
        vendor: vendor.to_owned(),
        name: name.to_owned(),
        role,
        user,
        secret_hash: secret.hash(&own),
        created_ms: env.now_ms,
        revoked_ms: None,
    };
    work.insert(&key)?;
    work.note_of(vendor, "key.create", &key.id, format!("{name}, {may}"));
    let text = Zeroizing::new(format!("{}.{}", key.id, *own));
    Ok((key, text))
}

/// A key as it is shown: never its secret, nor a hash of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct KeyView {
    /// `key_…`
    pub id: String,
    /// What it is for, for people.
    pub name: String,
    /// What it may do: now, where it is of a user.
    pub role: RoleName,
    /// Whose it is, `usr_…`.
    pub user: Option<String>,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it ended, if it did.
    pub revoked_ms: Option<i64>,
}

impl KeyView {
    fn of(work: &mut Work<'_>, key: ApiKey) -> Outcome<Self> {
        let role = rights(work, &key)?.0;
        let ApiKey { id, name, user, created_ms, revoked_ms, .. } = key;
        Ok(KeyView { id, name, role, user, created_ms, revoked_ms })
    }
}

/// What a key may do now, and whether it ended with its user.
fn rights(work: &mut Work<'_>, key: &ApiKey) -> Outcome<(RoleName, bool)> {
    let Some(user) = &key.user else { return Ok((key.role, false)) };
    let user = work.get::<User>(user)?.record;
    Ok((user.role, user.disabled_ms.is_some()))
}

/// The keys of a vendor. `work` is that of [`SYSTEM`], as for all that follow.
pub fn list(work: &mut Work<'_>, vendor: &str, page: &Page<'_>) -> Outcome<Vec<KeyView>> {
    let found = work.list::<ApiKey>(&Filter::Is("vendor", vendor.into()), page)?;
    found.into_iter().map(|key| KeyView::of(work, key.record)).collect()
}

/// Ends a key of `who`'s vendor. Nobody ends the key that he asks with: the last owner would be
/// locked out.
pub fn revoke(work: &mut Work<'_>, env: &Env<'_>, who: &Principal, id: &str) -> Outcome<KeyView> {
    let found = work.find::<ApiKey>(id)?.filter(|key| key.record.vendor == who.vendor);
    let mut key = found.ok_or_else(|| Refusal::missing(format!("key {id:?}")))?;
    if id == who.id {
        return Err(Refusal::malformed("it is the key of this request: revoke it with another"));
    }
    if key.record.revoked_ms.is_none() {
        key.record.revoked_ms = Some(env.now_ms);
        work.update(&key)?;
        work.note_of(&who.vendor, "key.revoke", id, &key.record.name);
    }
    KeyView::of(work, key.record)
}

/// Whose key this is. `work` is that of [`SYSTEM`]. What is wrong with it is not told.
pub fn authenticate(work: &mut Work<'_>, secret: &Secret, text: &str) -> Outcome<Principal> {
    let refused = || Refusal::from(ErrorCode::NotLoggedIn);
    let (id, own) = text.split_once('.').ok_or_else(refused)?;
    let found = work.find::<ApiKey>(id)?;
    // Compared also where there is no such key, so that both take the same time.
    let expected =
        found.as_ref().map_or_else(|| hex(&sha256(b"none")), |key| key.record.secret_hash.clone());
    let equal = bool::from(secret.hash(own).as_bytes().ct_eq(expected.as_bytes()));
    let key = found.filter(|key| equal && key.record.revoked_ms.is_none()).ok_or_else(refused)?;
    let (role, is_over) = rights(work, &key.record)?;
    if is_over {
        return Err(refused());
    }
    let ApiKey { id, vendor, user, .. } = key.record;
    Ok(Principal { id, vendor, role, user })
}
