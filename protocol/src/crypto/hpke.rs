//! Sealing to a container's key: HPKE base mode, single shot (RFC 9180).
//!
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, and nothing else. One message for each
//! encapsulated key, so the sequence number is always 0. Base mode does not authenticate the
//! sender: accept what it carries only inside a verified signed object.

use zeroize::Zeroizing;

use super::ecdh::{PublicKey, SharedSecret, SoftwareKey, StaticKey, UNCOMPRESSED_LEN};
use super::kdf::Prk;
use super::{CryptoError, Random, aead};

/// Bytes of an encapsulated key: an uncompressed point.
pub const ENCAPPED_LEN: usize = UNCOMPRESSED_LEN;

const VERSION: &[u8] = b"HPKE-v1";
/// "KEM", DHKEM(P-256, HKDF-SHA256).
const KEM_SUITE: &[u8] = b"KEM\x00\x10";
/// "HPKE", the KEM, HKDF-SHA256, AES-256-GCM.
const SUITE: &[u8] = b"HPKE\x00\x10\x00\x01\x00\x02";
const MODE_BASE: u8 = 0;

/// Encrypts the first `plaintext_len` bytes of `buf` to `recipient`, in place, and appends the tag.
/// Returns the encapsulated key and the length of ciphertext and tag.
///
/// # Errors
/// [`CryptoError::Length`] where `buf` has no room for the tag, [`CryptoError::Random`].
pub fn seal(
    random: &mut dyn Random,
    recipient: &PublicKey,
    info: &[u8],
    aad: &[u8],
    buf: &mut [u8],
    plaintext_len: usize,
) -> Result<([u8; ENCAPPED_LEN], usize), CryptoError> {
    let ephemeral = SoftwareKey::generate(random)?;
    let encapped = ephemeral.public().to_uncompressed();
    let shared = ephemeral.diffie_hellman(recipient)?;
    let context = Context::new(&shared, &encapped, recipient, info)?;
    let len = aead::seal_appended(&context.key, &context.nonce, aad, buf, plaintext_len)?;
    Ok((encapped, len))
}

/// Decrypts `buf`, ciphertext and tag, in place and returns the length of the plaintext.
///
/// # Errors
/// [`CryptoError::Key`] where `encapped` is no point of the curve, [`CryptoError::KeyHome`],
/// [`CryptoError::Tag`] where key, info, aad or bytes are not those of the sender; `buf` is then
/// zero.
pub fn open(
    recipient: &dyn StaticKey,
    encapped: &[u8; ENCAPPED_LEN],
    info: &[u8],
    aad: &[u8],
    buf: &mut [u8],
) -> Result<usize, CryptoError> {
    let ephemeral = PublicKey::from_uncompressed(encapped)?;
    let shared = recipient.diffie_hellman(&ephemeral)?;
    let context = Context::new(&shared, encapped, &recipient.public(), info)?;
    aead::open_appended(&context.key, &context.nonce, aad, buf)
}

/// Key and nonce of the one message.
struct Context {
    key: Zeroizing<[u8; aead::KEY_LEN]>,
    nonce: [u8; aead::NONCE_LEN],
}

impl Context {
    fn new(
        dh: &SharedSecret,
        encapped: &[u8; ENCAPPED_LEN],
        recipient: &PublicKey,
        info: &[u8],
    ) -> Result<Context, CryptoError> {
        let shared = decapsulate(dh, encapped, recipient)?;
        let mut context = Context { key: Zeroizing::new([0; 32]), nonce: [0; 12] };
        schedule(SUITE, &shared, info, &mut context.key[..], &mut context.nonce)?;
        Ok(context)
    }
}

/// `KeySchedule` of section 5.1 in base mode.
fn schedule(
    suite: &[u8],
    shared: &[u8; 32],
    info: &[u8],
    key: &mut [u8],
    nonce: &mut [u8],
) -> Result<(), CryptoError> {
    let psk_id_hash = labeled_extract(suite, &[], "psk_id_hash", &[]);
    let info_hash = labeled_extract(suite, &[], "info_hash", info);
    let context: [&[u8]; 3] = [&[MODE_BASE], psk_id_hash.as_bytes(), info_hash.as_bytes()];
    let secret = labeled_extract(suite, shared, "secret", &[]);
    labeled_expand(suite, &secret, "key", context, key)?;
    labeled_expand(suite, &secret, "base_nonce", context, nonce)
}

/// `ExtractAndExpand` of section 4.1.
fn decapsulate(
    dh: &SharedSecret,
    encapped: &[u8; ENCAPPED_LEN],
    recipient: &PublicKey,
) -> Result<Zeroizing<[u8; 32]>, CryptoError> {
    let mut shared = Zeroizing::new([0; 32]);
    let prk = labeled_extract(KEM_SUITE, &[], "eae_prk", dh.as_bytes());
    let context: [&[u8]; 3] = [encapped, &recipient.to_uncompressed(), &[]];
    labeled_expand(KEM_SUITE, &prk, "shared_secret", context, &mut shared[..])?;
    Ok(shared)
}

fn labeled_extract(suite: &[u8], salt: &[u8], label: &str, ikm: &[u8]) -> Prk {
    Prk::extract(salt, &[VERSION, suite, label.as_bytes(), ikm])
}

fn labeled_expand(
    suite: &[u8],
    prk: &Prk,
    label: &str,
    [a, b, c]: [&[u8]; 3],
    out: &mut [u8],
) -> Result<(), CryptoError> {
    let len = u16::try_from(out.len()).map_err(|_| CryptoError::Length)?.to_be_bytes();
    prk.expand(&[&len, VERSION, suite, label.as_bytes(), a, b, c], out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::crypto::RandomFailed;

    fn unhex<const N: usize>(text: &str) -> [u8; N] {
        assert_eq!(text.len(), 2 * N);
        core::array::from_fn(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).unwrap())
    }

    /// RFC 9180 A.3.1. Its cipher is AES-128-GCM; key agreement and key schedule are the same code
    /// with another suite number and key length.
    #[test]
    fn key_schedule_of_the_rfc() {
        let recipient = SoftwareKey::from_bytes(&unhex(
            "f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2",
        ))
        .unwrap();
        let ephemeral: [u8; 32] =
            unhex("4995788ef4b9d6132b249ce59a77281493eb39af373d236a1fe415cb0c2d7beb");
        let mut random = |out: &mut [u8]| -> Result<(), RandomFailed> {
            out.copy_from_slice(&ephemeral);
            Ok(())
        };
        let info: [u8; 20] = unhex("4f6465206f6e2061204772656369616e2055726e");
        let (encapped, _) =
            seal(&mut random, &recipient.public(), &info, b"", &mut [0; 16], 0).unwrap();
        assert_eq!(
            encapped,
            unhex(concat!(
                "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9",
                "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
            ))
        );
        let dh =
            recipient.diffie_hellman(&PublicKey::from_uncompressed(&encapped).unwrap()).unwrap();
        let shared = decapsulate(&dh, &encapped, &recipient.public()).unwrap();
        assert_eq!(
            *shared,
            unhex("c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8")
        );
        let (mut key, mut nonce) = ([0; 16], [0; 12]);
        let suite = b"HPKE\x00\x10\x00\x01\x00\x01";
        schedule(suite, &shared, &info, &mut key, &mut nonce).unwrap();
        assert_eq!(key, unhex("868c066ef58aae6dc589b6cfdd18f97e"));
        assert_eq!(nonce, unhex("4e0bc5018beba4bf004cca59"));
    }
}
