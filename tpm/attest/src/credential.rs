//! Challenges that only a TPM with a certain endorsement key can answer, and only while it has a
//! certain attestation key loaded (TCG TPM 2.0 Library, Part 1, "Credential Protection").

use aws_lc_rs::agreement::{PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{AES_128, AES_256, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey};
use protocol::crypto::{Random, RandomFailed};
use zeroize::Zeroizing;

use crate::hash::{HashAlg, Name};
use crate::keys::{AttestationKey, EndorsementKey};
use crate::public::{Key, Point};
use crate::wire::Writer;

/// Bytes of the secret in a challenge.
pub const SECRET_LEN: usize = 32;

/// Scalars drawn before the source of randomness is taken for broken. One in 2^32 is out of range.
const DRAWS_MAX: u32 = 8;

/// A challenge, for `TPM2_ActivateCredential`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Challenge {
    /// The secret, under the seed: a `TPM2B_ID_OBJECT`.
    pub id_object: Vec<u8>,
    /// The seed, for the endorsement key: a `TPM2B_ENCRYPTED_SECRET`.
    pub encrypted_seed: Vec<u8>,
}

/// Why no challenge was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CredentialError {
    /// The source of random bytes failed.
    #[error("the source of random bytes failed")]
    Random,
    /// Nothing can be encrypted to this endorsement key.
    #[error("nothing can be encrypted to the endorsement key")]
    Key,
}

impl From<RandomFailed> for CredentialError {
    fn from(_: RandomFailed) -> Self {
        CredentialError::Random
    }
}

impl From<Unspecified> for CredentialError {
    fn from(_: Unspecified) -> Self {
        CredentialError::Key
    }
}

/// Makes a challenge for the TPM that has both keys. Who knows `secret` afterwards has activated
/// it. All randomness is from `random`, but for the padding of RSA, which the library draws itself.
///
/// # Errors
/// As [`CredentialError`] says.
pub fn challenge(
    ek: &EndorsementKey,
    ak: &AttestationKey,
    secret: &[u8; SECRET_LEN],
    random: &mut dyn Random,
) -> Result<Challenge, CredentialError> {
    let (seed, encrypted_seed) = match ek.key() {
        Key::Rsa { .. } => rsa_seed(ek, random)?,
        Key::Point(point) => agreed_seed(ek.name_alg(), point, random)?,
    };
    let id_object = id_object(ek, ak.name(), &seed, secret)?;
    let encrypted_seed = Writer::new().sized(&encrypted_seed).finish();
    Ok(Challenge { id_object, encrypted_seed })
}

type Seed = Zeroizing<Vec<u8>>;

/// A drawn seed, and it under RSA-OAEP (Part 1, annex B.10).
fn rsa_seed(
    ek: &EndorsementKey,
    random: &mut dyn Random,
) -> Result<(Seed, Vec<u8>), CredentialError> {
    let mut seed = Zeroizing::new(vec![0; ek.name_alg().hash_len()]);
    random.fill(&mut seed)?;
    let key = PublicEncryptingKey::from_der(&ek.spki()).map_err(|_| CredentialError::Key)?;
    let key = OaepPublicEncryptingKey::new(key)?;
    let mut encrypted = vec![0; key.ciphertext_size()];
    // The one RSA template is named with SHA-256. The label counts its terminating zero.
    key.encrypt(&OAEP_SHA256_MGF1SHA256, &seed, &mut encrypted, Some(b"IDENTITY\0"))?;
    Ok((seed, encrypted))
}

/// The seed that a key of one use agrees on with the endorsement key, and that key as a
/// `TPMS_ECC_POINT` (Part 1, annex C.6).
fn agreed_seed(
    hash: HashAlg,
    ek: &Point,
    random: &mut dyn Random,
) -> Result<(Seed, Vec<u8>), CredentialError> {
    let (key, len) = (draw_key(ek, random)?, ek.curve.coordinate_len());
    let public = key.compute_public_key()?;
    let xy = public.as_ref().split_first().and_then(|(_, xy)| xy.split_at_checked(len));
    let (x, y) = xy.ok_or(CredentialError::Key)?;
    let peer = UnparsedPublicKey::new(ek.curve.agreement(), ek.to_uncompressed());
    let seed = agree(&key, peer, CredentialError::Key, |shared| {
        Ok(kdf_e(hash, shared, "IDENTITY", x, &ek.padded_x()))
    })?;
    Ok((seed, Writer::new().sized(x).sized(y).finish()))
}

fn draw_key(ek: &Point, random: &mut dyn Random) -> Result<PrivateKey, CredentialError> {
    let mut scalar = Zeroizing::new(vec![0; ek.curve.coordinate_len()]);
    for _ in 0..DRAWS_MAX {
        random.fill(&mut scalar)?;
        if let Ok(key) = PrivateKey::from_private_key(ek.curve.agreement(), &scalar) {
            return Ok(key);
        }
    }
    Err(CredentialError::Random)
}

/// The secret, encrypted, behind a code over it and the name of the attestation key.
fn id_object(
    ek: &EndorsementKey,
    ak: &Name,
    seed: &[u8],
    secret: &[u8; SECRET_LEN],
) -> Result<Vec<u8>, CredentialError> {
    let hash = ek.name_alg();
    let cipher = kdf_a(hash, seed, "STORAGE", ak.as_bytes(), ek.aes_key_len());
    let code = kdf_a(hash, seed, "INTEGRITY", &[], hash.hash_len());
    let mut identity = Zeroizing::new(Writer::new().sized(secret).finish());
    encrypt(&cipher, &mut identity)?;
    let integrity = hash.hmac(&code, &[&identity, ak.as_bytes()]);
    let inner = Writer::new().sized(integrity.as_ref()).raw(&identity).finish();
    Ok(Writer::new().sized(&inner).finish())
}

/// AES in CFB mode from a zero vector, in place. The key is used once.
fn encrypt(key: &[u8], bytes: &mut [u8]) -> Result<(), CredentialError> {
    let algorithm = if key.len() == 16 { &AES_128 } else { &AES_256 };
    let key = EncryptingKey::cfb128(UnboundCipherKey::new(algorithm, key)?)?;
    key.less_safe_encrypt(bytes, EncryptionContext::Iv128(FixedLength::from([0; 16])))?;
    Ok(())
}

/// KDFa (Part 1, 11.4.10.2) of `len` bytes, which are no more than one hash here.
fn kdf_a(hash: HashAlg, key: &[u8], label: &str, context: &[u8], len: usize) -> Seed {
    let bits = (8 * len as u32).to_be_bytes();
    let block = hash.hmac(key, &[&[0, 0, 0, 1], label.as_bytes(), &[0], context, &bits]);
    Zeroizing::new(block.as_ref().iter().copied().take(len).collect())
}

/// KDFe (Part 1, 11.4.10.3) of as many bytes as one hash has.
fn kdf_e(hash: HashAlg, shared: &[u8], label: &str, x: &[u8], ek_x: &[u8]) -> Seed {
    let block = hash.hash(&[&[0, 0, 0, 1], shared, label.as_bytes(), &[0], x, ek_x]);
    Zeroizing::new(block.as_ref().to_vec())
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::rsa::{OaepPrivateDecryptingKey, PrivateDecryptingKey};

    use super::*;
    use crate::samples::{Soft, ak, soft};
    use crate::wire::Reader;

    /// What the vectors have for a secret.
    fn secret() -> [u8; SECRET_LEN] {
        std::array::from_fn(|at| at as u8)
    }

    /// The seed, as the TPM with the private key finds it.
    fn opened(key: &Soft, encrypted_seed: &[u8]) -> Option<Seed> {
        let mut reader = Reader::new(encrypted_seed);
        let encrypted = reader.sized(256).ok()?;
        reader.finish().ok()?;
        let Key::Point(Point { curve, .. }) = key.ek.key() else {
            let key = PrivateDecryptingKey::from_pkcs8(key.private).unwrap();
            let key = OaepPrivateDecryptingKey::new(key).unwrap();
            let (label, mut out) = (Some(&b"IDENTITY\0"[..]), [0; 256]);
            let seed = key.decrypt(&OAEP_SHA256_MGF1SHA256, encrypted, &mut out, label).ok()?;
            return Some(Zeroizing::new(seed.to_vec()));
        };
        let mut reader = Reader::new(encrypted);
        let (x, y) = (
            reader.sized(curve.coordinate_len()).ok()?,
            reader.sized(curve.coordinate_len()).ok()?,
        );
        reader.finish().ok()?;
        let private = PrivateKey::from_private_key(curve.agreement(), key.private).unwrap();
        let public = private.compute_public_key().unwrap();
        let ek_x = &public.as_ref()[1..=curve.coordinate_len()];
        let peer = UnparsedPublicKey::new(curve.agreement(), [&[4], x, y].concat());
        let hash = key.ek.name_alg();
        agree(&private, peer, (), |shared| Ok(kdf_e(hash, shared, "IDENTITY", x, ek_x))).ok()
    }

    /// Of the two for each curve, the second meets a shared secret with a leading zero; the x
    /// coordinates of the keys have one, too.
    #[test]
    fn what_another_tool_made_is_made_again_byte_for_byte() {
        let [rsa, p256, p384] = soft();
        let vectors: [(_, &[u8]); 5] = [
            (&rsa, include_bytes!("../tests/vectors/soft-rsa2048.challenge")),
            (&p256, include_bytes!("../tests/vectors/soft-p256.challenge")),
            (&p256, include_bytes!("../tests/vectors/soft-p256-z.challenge")),
            (&p384, include_bytes!("../tests/vectors/soft-p384.challenge")),
            (&p384, include_bytes!("../tests/vectors/soft-p384-z.challenge")),
        ];
        for (key, challenge) in vectors {
            let len = 2 + usize::from(Reader::new(challenge).u16().unwrap());
            let (theirs, encrypted_seed) = challenge.split_at(len);
            let seed = opened(key, encrypted_seed).unwrap();
            assert_eq!(id_object(&key.ek, ak().name(), &seed, &secret()).unwrap(), theirs);
        }
    }

    #[test]
    fn the_private_key_finds_the_seed() {
        for (key, len) in soft().iter().zip([258, 2 + 68, 2 + 100]) {
            let mut random = |out: &mut [u8]| -> Result<(), RandomFailed> {
                out.fill(0x5a);
                Ok(())
            };
            let made = challenge(&key.ek, &ak(), &secret(), &mut random).unwrap();
            assert_eq!(made.encrypted_seed.len(), len);
            let seed = opened(key, &made.encrypted_seed).unwrap();
            assert_eq!(id_object(&key.ek, ak().name(), &seed, &secret()).unwrap(), made.id_object);
        }
    }

    #[test]
    fn a_broken_source_of_randomness_makes_no_challenge() {
        let [rsa, p256, p384] = soft();
        let mut fails = |_: &mut [u8]| Err(RandomFailed);
        for key in [&rsa, &p256, &p384] {
            let made = challenge(&key.ek, &ak(), &secret(), &mut fails);
            assert_eq!(made, Err(CredentialError::Random));
        }
        let mut stuck = |out: &mut [u8]| -> Result<(), RandomFailed> {
            out.fill(0xff);
            Ok(())
        };
        for key in [&p256, &p384] {
            let made = challenge(&key.ek, &ak(), &secret(), &mut stuck);
            assert_eq!(made, Err(CredentialError::Random));
        }
    }
}
