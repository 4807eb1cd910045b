//! Sealing to a container's key: HPKE base mode, single shot (RFC 9180).
//!
//! DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, and nothing else. One message for each encapsulated key,
//! so the sequence number is always 0. Base mode does not authenticate the sender: accept what it carries only
//! inside a verified signed object.

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

/// Encrypts the first `plaintext_len` bytes of `buf` to `recipient`, in place, and appends the tag. Returns the
/// encapsulated key and the length of ciphertext and tag.
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
/// [`CryptoError::Tag`] where key, info, aad or bytes are not those of the sender; `buf` is then zero.
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
        let psk_id_hash = labeled_extract(SUITE, &[], "psk_id_hash", &[]);
        let info_hash = labeled_extract(SUITE, &[], "info_hash", info);
        let schedule: [&[u8]; 3] = [&[MODE_BASE], psk_id_hash.as_bytes(), info_hash.as_bytes()];
        let secret = labeled_extract(SUITE, &shared[..], "secret", &[]);
        let mut context = Context { key: Zeroizing::new([0; 32]), nonce: [0; 12] };
        labeled_expand(SUITE, &secret, "key", schedule, &mut context.key[..])?;
        labeled_expand(SUITE, &secret, "base_nonce", schedule, &mut context.nonce)?;
        Ok(context)
    }
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
