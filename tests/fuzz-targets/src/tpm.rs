//! Parsers of what a customer's TPM says, and of who vouches for it.

use attest::credential::{SECRET_LEN, challenge};
use attest::endorsement::{Authorities, judge};
use attest::evidence::{verify_nv_certify, verify_quote};
use attest::hash::HashAlg;
use attest::keys::{AttestationKey, check_ak, check_ek};
use attest::nv::{NvPublic, Purpose};
use attest::public::{Curve, Key, Point, Public, attribute::*};
use attest::wire::{Reader, WireError, Writer};
use protocol::crypto::ecdh::PublicKey;
use protocol::crypto::ecdsa::SigningKey;
use protocol::objects::test_root;

/// What attestations of the corpus answer.
pub const NONCE: [u8; 32] = [0x11; 32];
/// When certificates of the corpus hold, Unix seconds.
const NOW_S: u64 = 1_800_000_000;
/// More than a certificate may have.
const PART_LEN_MAX: usize = 5_000;
/// More certificates than there may be.
const PARTS_MAX: usize = 12;

/// An attestation key whose private half everybody knows.
pub fn attestation_key() -> (AttestationKey, SigningKey) {
    let signing = test_root::device_key().expect("a constant key");
    let point = PublicKey::from_compressed(&signing.verifying_key().to_bytes()).expect("a point");
    let point = point.to_uncompressed();
    let (x, y) = point[1..].split_at(Curve::P256.coordinate_len());
    let made_by_tpm = FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN;
    let public = Public {
        name_alg: HashAlg::Sha256,
        attributes: made_by_tpm | USER_WITH_AUTH | RESTRICTED | SIGN,
        policy: Vec::new(),
        aes_bits: None,
        ecdsa: Some(HashAlg::Sha256),
        key: Key::Point(Point { curve: Curve::P256, x: x.to_vec(), y: y.to_vec() }),
    };
    (check_ak(&public).expect("an attestation key"), signing)
}

/// A signature, and behind the public part of an index what the key above signs: a quote, a
/// certified index, or neither.
pub fn tpm_attest(bytes: &[u8]) {
    let (ak, key) = attestation_key();
    let forged = verify_quote(&ak, b"nobody signed this", bytes, &NONCE);
    assert!(forged.is_err(), "a signature without a key");
    let Ok((public, attest)) = index(bytes) else { return };
    let signed = key.sign(attest, &[1; 32]);
    let (algorithm, hash) = (0x0018, HashAlg::Sha256.id());
    let signature = Writer::new().u16(algorithm).u16(hash).sized(&signed[..32]);
    let signature = signature.sized(&signed[32..]).finish();
    let quoted = verify_quote(&ak, attest, &signature, &NONCE);
    for purpose in [Purpose::Counter, Purpose::Data] {
        let Ok(index) = public.check(purpose) else { continue };
        assert_eq!(index.name(), &public.name());
        if let Ok(certified) = verify_nv_certify(&ak, attest, &signature, &NONCE, &index) {
            assert_eq!(certified.contents.len(), usize::from(public.data_len));
            assert!(purpose == Purpose::Data || certified.counter().is_some());
            assert!(quoted.is_err(), "a quote is a certified index, too");
        }
    }
}

/// Handle, attributes and length of an index, then the rest.
fn index(bytes: &[u8]) -> Result<(NvPublic, &[u8]), WireError> {
    let mut reader = Reader::new(bytes);
    let (handle, attributes, data_len) = (reader.u32()?, reader.u32()?, reader.u16()?);
    Ok((NvPublic { handle, attributes, policy: None, data_len }, &bytes[10..]))
}

/// The public area of a key, with and without its length: it is read in one form alone, is for one
/// thing alone, and can be challenged where it is an endorsement key.
pub fn tpm_public(bytes: &[u8]) {
    let (ak, _) = attestation_key();
    let plain = Public::parse(bytes).ok().map(|public| (public, bytes));
    let sized = Public::parse_sized(bytes).ok().map(|public| (public, &bytes[2..]));
    for (public, written) in plain.into_iter().chain(sized) {
        assert_eq!(public.encode(), written, "another encoding is accepted");
        let Ok(ek) = check_ek(&public) else { continue };
        assert!(check_ak(&public).is_err(), "a key for both");
        let mut random = |out: &mut [u8]| {
            out.fill(1);
            Ok(())
        };
        let _ = challenge(&ek, &ak, &[2; SECRET_LEN], &mut random);
    }
}

/// Each behind its length: an endorsement key, its certificate, an authority, and certificates
/// between them.
pub fn tpm_certificate(bytes: &[u8]) {
    let mut reader = Reader::new(bytes);
    let parts: Vec<&[u8]> = (0..PARTS_MAX).map_while(|_| reader.sized(PART_LEN_MAX).ok()).collect();
    let [public, certificate, authority, between @ ..] = &parts[..] else { return };
    let Ok(ek) = Public::parse(public).map_err(drop).and_then(|key| check_ek(&key).map_err(drop))
    else {
        return;
    };
    let Ok(authorities) = Authorities::new(&[authority]) else { return };
    let Ok(endorsed) = judge(certificate, between, &authorities, &ek, NOW_S) else { return };
    for name in [endorsed.manufacturer, endorsed.model, endorsed.version].into_iter().flatten() {
        assert!(name.len() <= 64 && !name.contains(char::is_control), "a name to be shown");
    }
    let nobody = Authorities::new::<&[u8]>(&[]).expect("an empty list");
    assert!(judge(certificate, between, &nobody, &ek, NOW_S).is_err(), "nobody vouched for it");
}
