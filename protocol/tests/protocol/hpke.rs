//! Sealing to a container against the `hpke` crate, both ways.

use ::hpke::aead::AesGcm256;
use ::hpke::kdf::HkdfSha256;
use ::hpke::kem::DhP256HkdfSha256;
use ::hpke::{
    Deserializable, Kem, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal,
};
use strongroom_protocol::crypto::CryptoError;
use strongroom_protocol::crypto::ecdh::{SoftwareKey, StaticKey};
use strongroom_protocol::crypto::hpke::{ENCAPPED_LEN, open, seal};

use crate::{broken, bytes, rng, seeded};

const SEEDS: u64 = 24;

#[test]
fn the_other_library_opens_what_we_seal() {
    for seed in 0..SEEDS {
        let case = Case::new(seed);
        let (encapped, sealed) = case.seal();
        let secret = <DhP256HkdfSha256 as Kem>::PrivateKey::from_bytes(&case.secret).unwrap();
        let encapped = <DhP256HkdfSha256 as Kem>::EncappedKey::from_bytes(&encapped).unwrap();
        let opened = single_shot_open::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeR::Base,
            &secret,
            &encapped,
            &case.info,
            &sealed,
            &case.aad,
        );
        assert_eq!(opened.unwrap(), case.text, "seed {seed}");
    }
}

#[test]
fn we_open_what_the_other_library_seals() {
    for seed in 0..SEEDS {
        let case = Case::new(seed);
        let public = case.key.public().to_uncompressed();
        let public = <DhP256HkdfSha256 as Kem>::PublicKey::from_bytes(&public).unwrap();
        let (encapped, mut sealed) = single_shot_seal::<AesGcm256, HkdfSha256, DhP256HkdfSha256>(
            &OpModeS::Base,
            &public,
            &case.info,
            &case.text,
            &case.aad,
        )
        .unwrap();
        let encapped: [u8; ENCAPPED_LEN] = encapped.to_bytes().as_slice().try_into().unwrap();
        let len = open(&case.key, &encapped, &case.info, &case.aad, &mut sealed).unwrap();
        assert_eq!(sealed[..len], case.text, "seed {seed}");
    }
}

#[test]
fn sec_s22_nothing_is_left_where_any_input_differs() {
    let case = Case::new(77);
    let (encapped, sealed) = case.seal();
    let other = SoftwareKey::generate(&mut seeded(78)).unwrap();
    let refused = |key: &SoftwareKey, encapped: &[u8; ENCAPPED_LEN], info: &[u8], aad: &[u8]| {
        let mut buf = sealed.clone();
        assert!(open(key, encapped, info, aad, &mut buf).is_err());
        assert!(buf != case.text && (buf == sealed || buf.iter().all(|byte| *byte == 0)));
    };
    refused(&other, &encapped, &case.info, &case.aad);
    refused(&case.key, &encapped, b"other info", &case.aad);
    refused(&case.key, &encapped, &case.info, b"other aad");
    for at in 0..ENCAPPED_LEN {
        let mut changed = encapped;
        changed[at] ^= 1;
        refused(&case.key, &changed, &case.info, &case.aad);
    }
    for at in 0..sealed.len() {
        let mut buf = sealed.clone();
        buf[at] ^= 0x80;
        let opened = open(&case.key, &encapped, &case.info, &case.aad, &mut buf);
        assert_eq!(opened, Err(CryptoError::Tag));
        assert!(buf.iter().all(|byte| *byte == 0));
    }
}

#[test]
fn a_failed_random_source_and_a_small_buffer_are_said() {
    let case = Case::new(5);
    let public = case.key.public();
    let mut buf = [0x5A; 40];
    assert_eq!(seal(&mut broken, &public, b"", b"", &mut buf, 8), Err(CryptoError::Random));
    assert_eq!(seal(&mut seeded(1), &public, b"", b"", &mut buf, 25), Err(CryptoError::Length));
    assert_eq!(buf, [0x5A; 40]);
}

/// One message to one recipient, drawn from a seed.
struct Case {
    seed: u64,
    secret: Vec<u8>,
    key: SoftwareKey,
    info: Vec<u8>,
    aad: Vec<u8>,
    text: Vec<u8>,
}

impl Case {
    fn new(seed: u64) -> Case {
        let key = SoftwareKey::generate(&mut seeded(seed)).unwrap();
        let mut rng = rng(seed ^ 0x5EED);
        Case {
            seed,
            secret: key.to_secret_bytes().to_vec(),
            key,
            info: bytes(&mut rng, 80),
            aad: bytes(&mut rng, 40),
            text: [&[1], &bytes(&mut rng, 200)[..]].concat(),
        }
    }

    fn seal(&self) -> ([u8; ENCAPPED_LEN], Vec<u8>) {
        let mut buf = [&self.text[..], &[0; 16]].concat();
        let mut random = seeded(self.seed ^ 0xE9E);
        let public = self.key.public();
        let (encapped, len) =
            seal(&mut random, &public, &self.info, &self.aad, &mut buf, self.text.len()).unwrap();
        assert_eq!(len, buf.len());
        (encapped, buf)
    }
}
