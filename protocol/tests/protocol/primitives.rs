//! Hash, keys, signatures and encryption: what the wrappers add to the libraries.

use strongroom_protocol::crypto::ecdh::{PublicKey, SoftwareKey, StaticKey};
use strongroom_protocol::crypto::ecdsa::{self, Sign, SigningKey, VerifyingKey};
use strongroom_protocol::crypto::hash::{Sha256, sha256};
use strongroom_protocol::crypto::kdf::{EXPAND_LEN_MAX, Prk, hkdf};
use strongroom_protocol::crypto::{CryptoError, aead, mac};
use strongroom_protocol::ids::{Generation, KeyId, ProductCode, RootFp, parse_hex};
use strongroom_protocol::objects::artifact::{item_key, item_key_info};
use strongroom_protocol::signed::{
    Header, Kind, sign_batch, sign_threshold, verify_batch, verify_threshold,
};

use crate::{broken, bytes, constant, hex, rng, seeded};

/// Order of the group, big-endian (SP 800-186).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
    0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

#[test]
fn sec_s05_the_other_form_of_a_signature_is_refused() {
    let key = SigningKey::generate(&mut seeded(1)).unwrap();
    for seed in 0..64 {
        let message = bytes(&mut rng(seed), 300);
        let signature = key.sign(&message, &sha256(&seed.to_be_bytes()));
        let public = key.verifying_key();
        assert_eq!(ecdsa::verify(&public, &message, &signature), Ok(()), "seed {seed}");

        let twin = with_other_s(&signature);
        let refused = Err(CryptoError::Signature);
        assert_eq!(ecdsa::verify(&public, &message, &twin), refused, "seed {seed}");
        assert_eq!(ecdsa::verify_any_s(&public, &message, &twin), Ok(()), "seed {seed}");
        assert_eq!(ecdsa::normalize(&twin), Ok(signature), "seed {seed}");
        assert_eq!(ecdsa::normalize(&signature), Ok(signature), "seed {seed}");
    }
}

/// A home of keys that answers as tokens may: in the other form, or not at all.
struct Home(SigningKey, Result<(), CryptoError>);

impl Sign for Home {
    fn verifying_key(&self) -> VerifyingKey {
        self.0.verifying_key()
    }

    fn any_s(&self, hash: &[u8; 32], entropy: &[u8; 32]) -> Result<[u8; 64], CryptoError> {
        self.1.map(|()| with_other_s(&self.0.sign_hash(hash, entropy)))
    }
}

#[test]
fn sec_s05_what_a_token_signs_in_the_other_form_becomes_ours() {
    let (soft, key) = (SigningKey::generate(&mut seeded(5)), SigningKey::generate(&mut seeded(6)));
    let (soft, token) = (soft.unwrap(), Home(key.unwrap(), Ok(())));
    let public = token.verifying_key();
    let raw = token.any_s(&sha256(b"message"), &[0; 32]).unwrap();
    assert_eq!(ecdsa::verify(&public, b"message", &raw), Err(CryptoError::Signature));
    let ours = ecdsa::sign(&token, b"message", &[0; 32]).unwrap();
    assert_eq!(ecdsa::verify(&public, b"message", &ours), Ok(()));

    let mut headers = [Header::new(Kind::Update, b""), Header::new(Kind::Update, b"more")];
    let proofs = sign_batch(&mut headers, &token, &[0; 32]).unwrap();
    for (header, proof) in headers.iter().zip(&proofs) {
        assert_eq!(verify_batch(header, proof, header.role, &public), Ok(()));
    }
    let header = Header { key_id: KeyId::default(), ..Header::new(Kind::Root, b"") };
    let signers: [&dyn Sign; 2] = [&soft, &token];
    let proof = sign_threshold(&header, &signers, &[0; 32]).unwrap();
    let keys = [soft.verifying_key(), public];
    assert_eq!(verify_threshold(&header, &proof, keys.into_iter(), 2), Ok(()));

    let pulled = Home(token.0, Err(CryptoError::KeyHome));
    assert!(sign_batch(&mut headers, &pulled, &[0; 32]).is_none());
    let signers: [&dyn Sign; 2] = [&soft, &pulled];
    assert!(sign_threshold(&header, &signers, &[0; 32]).is_none());
}

/// As a token derives it that holds the pseudorandom key.
#[test]
fn an_item_key_is_one_hmac_under_the_extracted_firm_key() {
    let (root_fp, product, generation) = (RootFp::new([7; 16]), ProductCode(9), Generation(2));
    let extracted = mac::hmac_sha256(&[0; 32], &[&[5; 32]]);
    let info = item_key_info(root_fp, product, generation);
    let expanded = mac::hmac_sha256(&extracted, &[&info, &[1]]);
    assert_eq!(*item_key(&[5; 32], root_fp, product, generation), expanded);
}

#[test]
fn sec_s05_any_changed_bit_of_signature_or_message_is_refused() {
    let key = SigningKey::generate(&mut seeded(2)).unwrap();
    let (public, message) = (key.verifying_key(), *b"message");
    let signature = key.sign(&message, &[3; 32]);
    for bit in 0..512 {
        let mut changed = signature;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(ecdsa::verify(&public, &message, &changed).is_err(), "bit {bit}");
    }
    for bit in 0..8 * message.len() {
        let mut changed = message;
        changed[bit / 8] ^= 1 << (bit % 8);
        assert!(ecdsa::verify(&public, &changed, &signature).is_err(), "bit {bit}");
    }
    for (r, s) in [([0; 32], [1; 32]), ([1; 32], [0; 32]), (ORDER, [1; 32]), ([1; 32], ORDER)] {
        let signature = [r, s].concat().try_into().unwrap();
        assert_eq!(ecdsa::verify(&public, b"", &signature), Err(CryptoError::Signature));
        assert_eq!(ecdsa::normalize(&signature), Err(CryptoError::Signature));
    }
}

#[test]
fn entropy_changes_a_signature_and_equal_entropy_does_not() {
    let key = SigningKey::generate(&mut seeded(3)).unwrap();
    let first = key.sign(b"message", &[1; 32]);
    assert_eq!(first, key.sign(b"message", &[1; 32]));
    assert_ne!(first[..32], key.sign(b"message", &[2; 32])[..32]);
    assert_ne!(first[..32], key.sign(b"another", &[1; 32])[..32]);
    assert_eq!(first, key.sign_hash(&sha256(b"message"), &[1; 32]));
}

#[test]
fn a_key_has_one_encoding() {
    let key = SoftwareKey::generate(&mut seeded(4)).unwrap().public();
    let (compressed, uncompressed) = (key.to_compressed(), key.to_uncompressed());
    assert_eq!(PublicKey::from_compressed(&compressed), Ok(key));
    assert_eq!(PublicKey::from_uncompressed(&uncompressed), Ok(key));
    for tag in 0..=255 {
        let (mut short, mut long) = (compressed, uncompressed);
        (short[0], long[0]) = (tag, tag);
        assert_eq!(PublicKey::from_compressed(&short).is_ok(), matches!(tag, 2 | 3), "tag {tag}");
        assert_eq!(VerifyingKey::from_bytes(&short).is_ok(), matches!(tag, 2 | 3), "tag {tag}");
        assert_eq!(PublicKey::from_uncompressed(&long).is_ok(), tag == 4, "tag {tag}");
    }
}

#[test]
fn points_off_the_curve_are_refused() {
    let mut point = SoftwareKey::generate(&mut seeded(5)).unwrap().public().to_uncompressed();
    point[64] ^= 1;
    assert_eq!(PublicKey::from_uncompressed(&point), Err(CryptoError::Key));
    assert_eq!(PublicKey::from_uncompressed(&[0; 65]), Err(CryptoError::Key));
    let mut zero = [0; 65];
    zero[0] = 4;
    assert_eq!(PublicKey::from_uncompressed(&zero), Err(CryptoError::Key));
    // An x coordinate not below the field's prime would be a second encoding of another.
    let mut above = [0xff; 33];
    above[0] = 2;
    assert_eq!(PublicKey::from_compressed(&above), Err(CryptoError::Key));
}

#[test]
fn private_keys_out_of_range_and_broken_sources_are_refused() {
    for scalar in [[0; 32], ORDER, [0xff; 32]] {
        assert_eq!(SoftwareKey::from_bytes(&scalar).err(), Some(CryptoError::Key));
        assert_eq!(SigningKey::from_bytes(&scalar).err(), Some(CryptoError::Key));
    }
    for byte in [0, 0xff] {
        let failed = SoftwareKey::generate(&mut constant(byte)).err();
        assert_eq!(failed, Some(CryptoError::Random), "a source stuck at {byte}");
    }
    assert_eq!(SoftwareKey::generate(&mut broken).err(), Some(CryptoError::Random));
    assert_eq!(SigningKey::generate(&mut broken).err(), Some(CryptoError::Random));
}

#[test]
fn sec_s22_a_wrong_tag_leaves_zeros() {
    let (key, nonce, aad) = ([1; 32], [2; 12], b"aad");
    for len in [0, 1, 15, 16, 17, 64, 1000] {
        let text: Vec<u8> = (0..len).map(|i| 0xA5 ^ i as u8).collect();
        let mut sealed = [&text[..], &[0; 16]].concat();
        assert_eq!(aead::seal_appended(&key, &nonce, aad, &mut sealed, len), Ok(len + 16));
        assert!(len == 0 || sealed[..len] != text);
        for at in [0, len / 2, len, len + 15] {
            let mut buf = sealed.clone();
            buf[at] ^= 1;
            let opened = aead::open_appended(&key, &nonce, aad, &mut buf);
            assert_eq!(opened, Err(CryptoError::Tag), "byte {at} of {len}");
            assert!(buf.iter().all(|byte| *byte == 0), "byte {at} of {len}");
        }
        let (mut buf, tag) = (sealed[..len].to_vec(), sealed[len..].try_into().unwrap());
        let opened = aead::open_in_place(&key, &nonce, b"other", &mut buf, &tag);
        assert_eq!(opened, Err(CryptoError::Tag));
        assert!(buf.iter().all(|byte| *byte == 0));
        assert_eq!(aead::open_appended(&key, &nonce, aad, &mut sealed), Ok(len));
        assert_eq!(sealed[..len], text);
    }
}

#[test]
fn sec_s22_less_than_a_tag_is_refused_and_zeroed() {
    for len in 0..16 {
        let mut buf = vec![0xA5; len];
        let opened = aead::open_appended(&[1; 32], &[2; 12], b"", &mut buf);
        assert_eq!(opened, Err(CryptoError::Tag));
        assert_eq!(buf, vec![0; len]);
    }
}

#[test]
fn no_room_for_a_tag_changes_nothing() {
    let mut buf = [0xA5; 20];
    for len in [5, 20, 21, usize::MAX] {
        let sealed = aead::seal_appended(&[1; 32], &[2; 12], b"", &mut buf, len);
        assert_eq!(sealed, Err(CryptoError::Length));
        assert_eq!(buf, [0xA5; 20]);
    }
}

#[test]
fn hash_in_parts_is_the_hash_of_the_whole() {
    // FIPS 180-2 appendix B.1.
    let abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    let mut hash = Sha256::new();
    hash.update(b"a");
    hash.update(b"");
    hash.update(b"bc");
    assert_eq!(hex(&hash.finish()), abc);
    assert_eq!(hex(&sha256(b"abc")), abc);
}

#[test]
fn labels_are_separated_from_their_context() {
    let prk = Prk::extract(b"salt", &[b"key ", b"material"]);
    let (mut a, mut b, mut c) = ([0; 32], [0; 32], [0; 32]);
    prk.expand_label("label", b"xy", &mut a).unwrap();
    prk.expand_label("labelx", b"y", &mut b).unwrap();
    prk.expand(&[b"label", b"\0", b"x", b"y"], &mut c).unwrap();
    assert_eq!(a, c);
    assert_ne!(a, b);
    assert_eq!(*hkdf(b"key material", b"salt", b"label\0xy"), a);
    let mut long = vec![1; EXPAND_LEN_MAX + 1];
    assert_eq!(prk.expand(&[b"info"], &mut long), Err(CryptoError::Length));
    assert!(long.iter().all(|byte| *byte == 0));
}

#[test]
fn a_message_tag_is_compared_whole() {
    let tag = mac::hmac_sha256(b"key", &[b"me", b"ssage"]);
    assert_eq!(mac::verify_hmac_sha256(b"key", &[b"message"], &tag), Ok(()));
    for at in 0..tag.len() {
        let mut changed = tag;
        changed[at] ^= 1;
        let verified = mac::verify_hmac_sha256(b"key", &[b"message"], &changed);
        assert_eq!(verified, Err(CryptoError::Tag));
    }
}

/// The signature with `n - s` for `s`.
fn with_other_s(signature: &[u8; 64]) -> [u8; 64] {
    let mut twin = *signature;
    let mut borrow = 0;
    for at in (0..32).rev() {
        let digit = i16::from(ORDER[at]) - i16::from(signature[32 + at]) - borrow;
        borrow = i16::from(digit < 0);
        twin[32 + at] = digit.rem_euclid(256) as u8;
    }
    twin
}

#[test]
fn low_s_ends_at_half_of_the_order() {
    let number = |digits: &str| parse_hex::<32>(digits).expect("digits");
    let low = number("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a8");
    let high = number("7fffffff800000007fffffffffffffffde737d56d38bcf4279dce5617e3192a9");
    let (mut last, order) = (ORDER, ORDER);
    last[31] -= 1;
    let mut one = [0; 32];
    one[31] = 1;
    let normal =
        |r: [u8; 32], s: [u8; 32]| ecdsa::normalize(&[r, s].concat().try_into().expect("64 bytes"));
    let is = |r: [u8; 32], s: [u8; 32]| Ok([r, s].concat().try_into().expect("64 bytes"));
    assert_eq!(normal(last, low), is(last, low));
    assert_eq!(normal(last, high), is(last, low));
    assert_eq!(normal(one, last), is(one, one));
    assert_eq!(normal(one, one), is(one, one));
    for (r, s) in [(order, one), (one, order), ([0; 32], one), (one, [0; 32]), ([255; 32], low)] {
        assert_eq!(normal(r, s), Err(CryptoError::Signature));
    }
}
