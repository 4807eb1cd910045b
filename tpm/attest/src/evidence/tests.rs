//! Evidence of a software TPM, and everything that is nearly evidence.

use protocol::crypto::ecdsa::SigningKey;

use super::*;
use crate::keys::check_ak;
use crate::nv::{NvPublic, Purpose};
use crate::public::Public;
use crate::samples;
use crate::wire::Writer;

const QUOTE: &[u8] = include_bytes!("../../tests/vectors/quote.attest");
const QUOTE_SIGNATURE: &[u8] = include_bytes!("../../tests/vectors/quote.signature");
const COUNTER: &[u8] = include_bytes!("../../tests/vectors/counter.attest");
const COUNTER_SIGNATURE: &[u8] = include_bytes!("../../tests/vectors/counter.signature");
const QUOTE_NONCE: Hash32 = [0x11; 32];
const COUNTER_NONCE: Hash32 = [0x22; 32];

/// Where in either: the signer is the first field with a length.
const SIGNER: usize = 6;
const NONCE: usize = SIGNER + 36;
const CLOCK: usize = NONCE + 34;
const BODY: usize = CLOCK + 25;

fn index() -> Index {
    samples::counter().check(Purpose::Counter).unwrap()
}

fn quote(attest: &[u8], signature: &[u8]) -> Result<Quoted, EvidenceError> {
    verify_quote(&samples::ak(), attest, signature, &QUOTE_NONCE)
}

fn counter(attest: &[u8], signature: &[u8]) -> Result<Certified, EvidenceError> {
    verify_nv_certify(&samples::ak(), attest, signature, &COUNTER_NONCE, &index())
}

/// A `TPMT_SIGNATURE`.
fn signature(r: &[u8], s: &[u8]) -> Vec<u8> {
    Writer::new().u16(ALG_ECDSA).u16(HashAlg::Sha256.id()).sized(r).sized(s).finish()
}

fn signed(key: &SigningKey, attest: &[u8]) -> Vec<u8> {
    let both = key.sign(attest, &[1; 32]);
    let (r, s) = both.split_at(32);
    signature(r, s)
}

/// What the TPM said, as if another key had: so that what is wrong in it is signed rightly.
fn resigned(attest: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let (ak, _) = samples::soft_ak();
    let mut attest = attest.to_vec();
    attest[SIGNER + 2..NONCE].copy_from_slice(ak.qualified_name().as_bytes());
    change(&mut attest);
    attest
}

fn soft_quote(change: impl FnOnce(&mut Vec<u8>)) -> Result<Quoted, EvidenceError> {
    let (ak, key) = samples::soft_ak();
    let attest = resigned(QUOTE, change);
    verify_quote(&ak, &attest, &signed(&key, &attest), &QUOTE_NONCE)
}

fn soft_counter(change: impl FnOnce(&mut Vec<u8>)) -> Result<Certified, EvidenceError> {
    let (ak, key) = samples::soft_ak();
    let attest = resigned(COUNTER, change);
    verify_nv_certify(&ak, &attest, &signed(&key, &attest), &COUNTER_NONCE, &index())
}

#[test]
fn a_quote_and_a_counter_of_a_tpm_hold() {
    let quoted = quote(QUOTE, QUOTE_SIGNATURE).unwrap();
    let clock = ClockInfo { reset_count: 2, restart_count: 0, safe: true, ..quoted.clock };
    assert_eq!(quoted.clock, clock);
    assert_eq!(quoted.firmware_version, 0x2019_1023_0016_3636);
    assert_eq!(quoted.selections, [PcrSelection { bank: 0x000b, bits: vec![0x81, 0, 0] }]);
    // Two PCRs of zeros.
    assert_eq!(quoted.pcr_digest, protocol::crypto::hash::sha256(&[0; 64]));
    let certified = counter(COUNTER, COUNTER_SIGNATURE).unwrap();
    assert_eq!(certified.counter(), Some(1));
    assert_eq!(certified.firmware_version, quoted.firmware_version);
    assert!(certified.clock.clock_ms > quoted.clock.clock_ms);
    assert!(soft_quote(|_| ()).is_ok() && soft_counter(|_| ()).is_ok());
}

#[test]
fn each_bit_of_what_was_signed_and_of_the_signature_counts() {
    for (attest, signature) in [(QUOTE, QUOTE_SIGNATURE), (COUNTER, COUNTER_SIGNATURE)] {
        let judge = |attest: &[u8], signature: &[u8]| {
            quote(attest, signature).map(|_| ()).or(counter(attest, signature).map(|_| ()))
        };
        assert_eq!(judge(attest, signature), Ok(()));
        for bit in 0..8 * attest.len() {
            let mut changed = attest.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(judge(&changed, signature), Err(EvidenceError::Signature), "bit {bit}");
        }
        for bit in 0..8 * signature.len() {
            let mut changed = signature.to_vec();
            changed[bit / 8] ^= 1 << (bit % 8);
            assert!(judge(attest, &changed).is_err(), "bit {bit}");
        }
    }
}

#[test]
fn nothing_is_read_before_the_signature_holds() {
    for junk in [&b""[..], b"\xff", b"no attestation", &QUOTE[..40]] {
        assert_eq!(quote(junk, QUOTE_SIGNATURE), Err(EvidenceError::Signature));
        assert_eq!(counter(junk, COUNTER_SIGNATURE), Err(EvidenceError::Signature));
    }
}

#[test]
fn each_cut_and_each_byte_more_is_refused() {
    let short = EvidenceError::Form(WireError::Short);
    for len in 0..QUOTE.len() {
        assert_eq!(soft_quote(|attest| attest.truncate(len)), Err(short), "{len}");
    }
    for len in 0..COUNTER.len() {
        assert_eq!(soft_counter(|attest| attest.truncate(len)), Err(short), "{len}");
    }
    let more = EvidenceError::Form(WireError::Remainder(1));
    assert_eq!(soft_quote(|attest| attest.push(0)), Err(more));
    assert_eq!(soft_counter(|attest| attest.push(0)), Err(more));
    for len in 0..QUOTE_SIGNATURE.len() {
        let refused = EvidenceError::SignatureForm(WireError::Short);
        assert_eq!(quote(QUOTE, &QUOTE_SIGNATURE[..len]), Err(refused), "{len}");
    }
    let more = EvidenceError::SignatureForm(WireError::Remainder(1));
    assert_eq!(quote(QUOTE, &[QUOTE_SIGNATURE, &[0]].concat()), Err(more));
}

/// Signed rightly, so that only the reader stands against it.
#[test]
fn each_bit_of_what_a_key_signed_is_read_or_refused() {
    let whole = soft_quote(|_| ()).unwrap();
    for bit in 0..8 * QUOTE.len() {
        let changed = soft_quote(|attest| attest[bit / 8] ^= 1 << (bit % 8));
        assert!(changed.as_ref() != Ok(&whole), "bit {bit}");
        assert!(bit / 8 >= CLOCK || changed.is_err(), "bit {bit}");
    }
    let whole = soft_counter(|_| ()).unwrap();
    for bit in 0..8 * COUNTER.len() {
        let changed = soft_counter(|attest| attest[bit / 8] ^= 1 << (bit % 8));
        assert!(changed.as_ref() != Ok(&whole), "bit {bit}");
        let is_told = (CLOCK..BODY).contains(&(bit / 8)) || bit / 8 >= COUNTER.len() - 8;
        assert!(is_told || changed.is_err(), "bit {bit}");
    }
}

#[test]
fn what_is_not_the_evidence_asked_for_is_refused_by_name() {
    let magic = soft_quote(|attest| attest[0] = 0);
    assert_eq!(magic, Err(EvidenceError::Magic(0x0054_4347)));
    let certify_instead = soft_quote(|attest| attest[5] = 0x17);
    assert_eq!(certify_instead, Err(EvidenceError::Type(0x8017)));
    assert_eq!(counter(QUOTE, QUOTE_SIGNATURE), Err(EvidenceError::Type(ATTEST_QUOTE)));
    assert_eq!(quote(COUNTER, COUNTER_SIGNATURE), Err(EvidenceError::Type(ATTEST_NV)));
    let digest_of_it = soft_counter(|attest| attest[5] = 0x1c);
    assert_eq!(digest_of_it, Err(EvidenceError::Type(0x801c)));
    let nonce = verify_quote(&samples::ak(), QUOTE, QUOTE_SIGNATURE, &COUNTER_NONCE);
    assert_eq!(nonce, Err(EvidenceError::Nonce));
    let no_nonce = soft_quote(|attest| {
        attest.splice(NONCE..CLOCK, [0, 0]);
    });
    assert_eq!(no_nonce, Err(EvidenceError::Nonce));
    let other_key = verify_quote(&samples::soft_ak().0, QUOTE, QUOTE_SIGNATURE, &QUOTE_NONCE);
    assert_eq!(other_key, Err(EvidenceError::Signature));
    let other = Writer::new().u16(ALG_ECDSA).u16(HashAlg::Sha384.id()).finish();
    let refused = EvidenceError::SignatureForm(WireError::Value("hash", 0x000c));
    assert_eq!(quote(QUOTE, &other), Err(refused));
    let rsa = Writer::new().u16(0x0014).u16(HashAlg::Sha256.id()).finish();
    let refused = EvidenceError::SignatureForm(WireError::Value("algorithm", 0x0014));
    assert_eq!(quote(QUOTE, &rsa), Err(refused));
    let safe = soft_quote(|attest| attest[BODY - 9] = 2);
    assert_eq!(safe, Err(EvidenceError::Form(WireError::Value("safe", 2))));
    let banks = soft_quote(|attest| attest[BODY + 3] = 17);
    assert_eq!(banks, Err(EvidenceError::Form(WireError::Value("number of banks", 17))));
    let wide = soft_quote(|attest| {
        attest.splice(BODY + 6..BODY + 10, [5, 0x81, 0, 0, 0, 0]);
    });
    assert_eq!(wide, Err(EvidenceError::Form(WireError::Long(5, 4))));
}

/// A key below the owner's hierarchy, of the same TPM and form.
#[test]
fn a_signer_in_another_hierarchy_is_refused() {
    let public = include_bytes!("../../tests/vectors/owner-ak.public");
    let attest = include_bytes!("../../tests/vectors/owner-quote.attest");
    let signature = include_bytes!("../../tests/vectors/owner-quote.signature");
    let ak = check_ak(&Public::parse_sized(public).unwrap()).unwrap();
    let judged = verify_quote(&ak, attest, signature, &QUOTE_NONCE);
    assert_eq!(judged, Err(EvidenceError::Signer));
}

#[test]
fn an_index_of_other_attributes_or_another_part_of_it_is_refused() {
    let good = samples::counter();
    let not_written = good.attributes & !crate::nv::attribute::WRITTEN;
    let others = [
        NvPublic { handle: good.handle + 1, ..good },
        NvPublic { attributes: not_written, ..good },
    ];
    for other in others {
        let index = other.check(Purpose::Counter).unwrap();
        let (ak, nonce) = (samples::ak(), &COUNTER_NONCE);
        let judged = verify_nv_certify(&ak, COUNTER, COUNTER_SIGNATURE, nonce, &index);
        assert_eq!(judged, Err(EvidenceError::Index));
    }
    let open = NvPublic { attributes: good.attributes | crate::nv::attribute::OWNER_READ, ..good };
    let named_so = soft_counter(|attest| {
        attest[BODY + 2..BODY + 36].copy_from_slice(open.name().as_bytes());
    });
    assert_eq!(named_so, Err(EvidenceError::Index));
    let offset = soft_counter(|attest| attest[BODY + 37] = 1);
    assert_eq!(offset, Err(EvidenceError::Offset(1)));
    let part = soft_counter(|attest| {
        attest.truncate(COUNTER.len() - 1);
        attest[BODY + 39] = 7;
    });
    assert_eq!(part, Err(EvidenceError::Len(7, 8)));
}

/// The order of the group (SP 800-186, 3.2.1.3).
const ORDER: [u8; 32] = [
    0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
    0xbc, 0xe6, 0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
];

fn minus(a: [u8; 32], b: &[u8]) -> [u8; 32] {
    let (mut out, mut borrow) = ([0; 32], false);
    for at in (0..32).rev() {
        let (low, first) = a[at].overflowing_sub(b[at]);
        let (low, second) = low.overflowing_sub(borrow.into());
        (out[at], borrow) = (low, first || second);
    }
    out
}

#[test]
fn r_and_s_are_taken_in_range_only_high_or_low() {
    let (r, s) = (&QUOTE_SIGNATURE[6..38], &QUOTE_SIGNATURE[40..72]);
    assert_eq!(signature(r, s), QUOTE_SIGNATURE);
    assert!(quote(QUOTE, &signature(r, &minus(ORDER, s))).is_ok());
    let one_more = |mut number: [u8; 32]| {
        number[31] += 1;
        number
    };
    for bad in [&[0; 32][..], &[], &[0], &ORDER, &one_more(ORDER), &[0xff; 32]] {
        let refused = Err(EvidenceError::Signature);
        assert_eq!(quote(QUOTE, &signature(bad, s)), refused);
        assert_eq!(quote(QUOTE, &signature(r, bad)), refused);
        assert_eq!(quote(QUOTE, &signature(bad, bad)), refused);
    }
    let long = [&[0], r].concat();
    let refused = EvidenceError::SignatureForm(WireError::Long(33, 32));
    assert_eq!(quote(QUOTE, &signature(&long, s)), Err(refused));
}

/// One signature in 128 has such a number. Some TPMs leave the zero away.
#[test]
fn numbers_of_31_bytes_are_taken_with_and_without_the_zero() {
    let (ak, key) = samples::soft_ak();
    let attest = resigned(QUOTE, |_| ());
    let mut seen = [false; 2];
    for draw in 0..=u8::MAX {
        for again in 0..8 {
            let both = key.sign(&attest, &[draw, again].repeat(16).try_into().unwrap());
            let (r, s) = both.split_at(32);
            let short = |number: &[u8]| number.iter().position(|byte| *byte != 0).unwrap();
            let (r_short, s_short) = (&r[short(r)..], &s[short(s)..]);
            seen = [seen[0] || r_short.len() < 32, seen[1] || s_short.len() < 32];
            if r_short.len() < 32 || s_short.len() < 32 {
                for signature in [signature(r, s), signature(r_short, s_short)] {
                    assert!(verify_quote(&ak, &attest, &signature, &QUOTE_NONCE).is_ok());
                }
            }
        }
    }
    assert_eq!(seen, [true; 2]);
}
