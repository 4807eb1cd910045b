//! The worked example of suite 2 in docs/formats/01. `STRONGROOM_BLESS=1` makes the kept lease
//! anew.

use strongroom_protocol::crypto::hybrid::{HybridKey, HybridVerifyingKey};
use strongroom_protocol::objects::lease::{LeaseBody, verify as verify_lease};
use strongroom_protocol::objects::root::NextBody;
use strongroom_protocol::signed::hybrid::{UnverifiedHybrid, sign_hybrid_batch, write_hybrid};

use super::*;

/// A lease of suite 2 that was made once: ML-DSA draws randomness, so another is never the same.
const LEASE_2: &str = include_str!("../lease-2.hex");

#[test]
fn a_lease_of_suite_2() {
    let firm = Firm::new();
    let key = HybridKey::from_seed(&[0x51; 32]).unwrap();
    let mut roles = firm.verified.body.roles.clone().into_vec();
    roles[1].keys = list(vec![roles[1].keys[0], key.name()]);
    let body = RootBody { roles: list(roles), ..firm.verified.body.clone() };
    let body = NextBody { body, min_epoch: 0 };
    let object = firm.verified.write_next(&body, (ISSUED_S, 0), &[&firm.root], &ENTROPY).unwrap();
    let root = firm.verified.verify_next(&read(&object, ROOT_BODY_LEN_MAX)).unwrap();
    let lease = LeaseBody { session: Fixed([0x61; 16]), product: PRODUCT, seats: 2 };
    let body = codec::encode(&lease);
    let header = Header {
        root_fp: firm.fp(),
        target: [0x60; 16],
        seq: 3,
        issued_s: ISSUED_S,
        until_s: ISSUED_S + 600,
        ..Header::new(Kind::Lease, &body)
    };
    let mut headers = [header];
    let proofs = sign_hybrid_batch(&mut headers, &key, key.p256(), &ENTROPY).unwrap();
    let made = write_hybrid(&headers[0], &proofs[0], &body);
    if std::env::var_os("STRONGROOM_BLESS").is_some_and(|value| value == "1") {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/protocol/lease-2.hex");
        let text: Vec<u8> = hex(&made).into_bytes();
        let lines: Vec<&[u8]> = text.chunks(96).collect();
        std::fs::write(path, [&lines.join(&b'\n')[..], b"\n"].concat()).unwrap();
    }
    let kept: Vec<u8> = unhex(LEASE_2);
    let size = HEADER_LEN + 2 + codec::encode(&proofs[0]).len() + body.len();
    assert_eq!((made.len(), kept.len()), (size, size));
    let (kept_object, rest) = UnverifiedHybrid::read(&kept, 64).unwrap();
    assert!(rest.is_empty());
    assert_eq!(*kept_object.header(), headers[0]);
    let proof = kept_object.proof();
    let leaf =
        tree::leaf_hash(&[&b"strongroom/lease/v1\0\0\0\0\x90"[..], &kept[..HEADER_LEN]].concat());
    let signed = [
        &b"strongroom/tree/v1\0\0\0\0\x40\x02\x01\0\0"[..],
        firm.fp().bytes(),
        key.id().bytes(),
        &[0, 0, 0, 1],
        &leaf,
    ]
    .concat();
    let verifying = HybridVerifyingKey::from_bytes(key.public()).unwrap();
    assert_eq!(verifying.verify(&signed, &proof.p256.0, &proof.ml_dsa), Ok(()));
    let verified = verify_lease(&root, None, &kept).unwrap();
    assert_eq!((verified.suite, verified.body), (2, lease));
    Example::default()
        .bytes("name in the root", &key.name().0)
        .bytes("key_id", key.id().bytes())
        .bytes("SHA-256 of the ML-DSA-65 half", &sha256(&key.public()[33..]))
        .bytes("P-256 half", &key.public()[..33])
        .bytes("header", &kept[..HEADER_LEN])
        .bytes("signed", &signed)
        .bytes("p256", &proof.p256.0)
        .bytes("proof length", &kept[HEADER_LEN..HEADER_LEN + 2])
        .bytes("body", &body)
        .stands_in(SIGNED_OBJECTS);
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<u32> = text.chars().filter_map(|digit| digit.to_digit(16)).collect();
    digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect()
}
