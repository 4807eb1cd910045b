//! Keys of the API, and the installation's own secret.
//!
//! A key is `key_ID.SECRET`. The database has a hash of the secret under a key that is not in the
//! database, so that neither a dump of it nor a change in it lets anybody in.

use protocol::crypto::aead;
use protocol::crypto::hash::sha256;
use protocol::crypto::mac;
use protocol::errors::ErrorCode;
use protocol::ids::hex;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::access::Principal;
use super::env::Env;
use super::records::{ApiKey, RoleName};
use super::refusal::{Outcome, Refusal};
use super::work::Work;

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

/// Makes a key. Its text is told once.
pub fn create(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    (vendor, name, role): (&str, &str, RoleName),
) -> Outcome<(ApiKey, Zeroizing<String>)> {
    let own = Zeroizing::new(hex(&env.bytes::<24>()));
    let key = ApiKey {
        id: env.id("key"),
        vendor: vendor.to_owned(),
        name: name.to_owned(),
        role,
        secret_hash: secret.hash(&own),
        created_ms: env.now_ms,
        revoked_ms: None,
    };
    work.insert(&key)?;
    work.note("key.create", &key.id, format!("{name} for {vendor}"));
    let text = Zeroizing::new(format!("{}.{}", key.id, *own));
    Ok((key, text))
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
    let ApiKey { id, vendor, role, .. } = key.record;
    Ok(Principal { id, vendor, role })
}
