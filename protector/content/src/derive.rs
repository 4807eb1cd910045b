//! From an input key, salt and context to the key, base nonce and commitment of one content.

use aws_lc_rs::aead::{AES_256_GCM, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf::{HKDF_SHA512, KeyType, Prk};
use zeroize::Zeroizing;

use crate::layout::{COMMITMENT_LEN, SALT_LEN};
use crate::{Error, MAX_CHUNKS};

const LABEL: &[u8] = b"c2sp.org/chunked-encryption@v1+AEAD_AES_256_GCM\0";
const KEY_LEN: usize = 32;
const DERIVED_LEN: usize = KEY_LEN + NONCE_LEN + COMMITMENT_LEN;

/// What one content is sealed and opened with. The library wipes its key schedule when freed.
pub(crate) struct ContentKeys {
    key: LessSafeKey,
    base_nonce: Zeroizing<[u8; NONCE_LEN]>,
    /// Public once the content is written; secret for salts that no content carries.
    pub(crate) commitment: Zeroizing<[u8; COMMITMENT_LEN]>,
}

impl ContentKeys {
    pub(crate) fn derive(
        input_key: &[u8; KEY_LEN],
        salt: &[u8; SALT_LEN],
        context: &[u8],
    ) -> Result<Self, Error> {
        let mut derived = Zeroizing::new([0; DERIVED_LEN]);
        Prk::new_less_safe(HKDF_SHA512, input_key)
            .expand(&[LABEL, salt, context], DerivedLen)
            .and_then(|okm| okm.fill(&mut *derived))
            .map_err(|_| Error::Library)?;
        let (key, rest) = derived.split_at(KEY_LEN);
        let (nonce, commitment) = rest.split_at(NONCE_LEN);

        let mut keys = Self {
            key: LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key).map_err(|_| Error::Library)?),
            base_nonce: Zeroizing::new([0; NONCE_LEN]),
            commitment: Zeroizing::new([0; COMMITMENT_LEN]),
        };
        keys.base_nonce.copy_from_slice(nonce);
        keys.commitment.copy_from_slice(commitment);
        Ok(keys)
    }

    pub(crate) fn key(&self) -> &LessSafeKey {
        &self.key
    }

    /// The base nonce with the chunk's number folded in, big-endian, at its end.
    pub(crate) fn nonce(&self, index: u64) -> Result<Nonce, Error> {
        if index >= MAX_CHUNKS {
            return Err(Error::TooLong);
        }
        let mut nonce = *self.base_nonce;
        for (byte, counter) in nonce[NONCE_LEN - 8..].iter_mut().zip(index.to_be_bytes()) {
            *byte ^= counter;
        }
        Ok(Nonce::assume_unique_for_key(nonce))
    }
}

struct DerivedLen;

impl KeyType for DerivedLen {
    fn len(&self) -> usize {
        DERIVED_LEN
    }
}
