//! Keys at rest: records can be read out of a broken container.

use protocol::codec::Fixed;
use protocol::crypto::{Random, aead};
use protocol::errors::{ErrorCode, Failure};
use protocol::objects::artifact::SecretKey;
use zeroize::Zeroizing;

use crate::platform::{Keys, Parts, Platform, RecordKey};
use crate::records::StoredKey;

/// Encrypts a key for its record.
pub(crate) fn seal_key<P: Platform>(
    parts: &mut Parts<'_, P>,
    record: RecordKey,
    key: &[u8; 32],
) -> Result<StoredKey, Failure> {
    let mut nonce = [0; 12];
    parts.random.fill(&mut nonce).map_err(|_| ErrorCode::RandomFailed.failure())?;
    let mut sealed = Zeroizing::new([0; 48]);
    sealed[..32].copy_from_slice(key);
    let (storage_key, aad) = (parts.keys.storage_key(), record.to_be_bytes());
    let tag = aead::seal_in_place(storage_key, &nonce, &aad, &mut sealed[..32]);
    sealed[32..].copy_from_slice(&tag);
    Ok(StoredKey { nonce: Fixed(nonce), sealed: Fixed(*sealed) })
}

/// Decrypts the key of a record.
pub(crate) fn open_key(
    keys: &impl Keys,
    record: RecordKey,
    stored: &StoredKey,
) -> Result<SecretKey, Failure> {
    let failed = ErrorCode::StoreFailed.failure();
    let (sealed, tag) = stored.sealed.0.split_last_chunk::<16>().ok_or(failed)?;
    let mut key = Zeroizing::new([0; 32]);
    key.copy_from_slice(sealed);
    let aad = record.to_be_bytes();
    aead::open_in_place(keys.storage_key(), &stored.nonce.0, &aad, &mut key[..], tag)
        .map_err(|_| failed)?;
    Ok(key)
}
