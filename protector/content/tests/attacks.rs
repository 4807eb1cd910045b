//! Cut, moved, exchanged and altered content: refused, and with no plaintext (rows K06 and S22).

mod common;

use common::{CONTEXT, KEY, plaintext, seal};
use strongroom_content::{
    CHUNK_LEN, Error, HEADER_LEN, Opener, RandomAccess, SEALED_CHUNK_LEN, TAG_LEN, open_reader,
};

fn chunk_of(sealed: &[u8], index: usize) -> std::ops::Range<usize> {
    let start = HEADER_LEN + index * SEALED_CHUNK_LEN;
    start..sealed.len().min(start + SEALED_CHUNK_LEN)
}

fn open_streamed(sealed: &[u8]) -> (Result<u64, Error>, Vec<u8>) {
    let mut out = Vec::new();
    (open_reader(&KEY, CONTEXT, sealed, &mut out), out)
}

/// Reads everything by random access, into a buffer that was not zero before.
fn open_random(sealed: &[u8]) -> (Result<(), Error>, Vec<u8>) {
    let mut out = vec![0xee; sealed.len()];
    let result = RandomAccess::open(&KEY, CONTEXT, sealed).and_then(|content| {
        let len = content.read_at(0, &mut out)?;
        assert_eq!(len as u64, content.plaintext_len());
        Ok(())
    });
    (result, out)
}

#[test]
fn empty_and_exact_lengths_come_back() {
    for len in [0, 1, CHUNK_LEN - 1, CHUNK_LEN, CHUNK_LEN + 1, 2 * CHUNK_LEN, 3 * CHUNK_LEN + 7] {
        let plain = plaintext(len);
        let sealed = seal(&plain, 1);
        assert_eq!(sealed.len() as u64, strongroom_content::ciphertext_len(len as u64).unwrap());
        let (result, out) = open_streamed(&sealed);
        assert_eq!(result.unwrap(), len as u64);
        assert_eq!(out, plain);
        open_random(&sealed).0.unwrap();
    }
}

#[test]
fn sec_k06_a_cut_at_or_around_any_boundary_is_found() {
    let sealed = seal(&plaintext(3 * CHUNK_LEN + 100), 1);
    let mut cuts: Vec<usize> = (0..=HEADER_LEN + TAG_LEN).collect();
    for index in 0..4 {
        let chunk = chunk_of(&sealed, index);
        for edge in [chunk.start, chunk.end - TAG_LEN, chunk.end] {
            cuts.extend(edge - 2..=edge + 2);
        }
        cuts.extend([chunk.start + 16, chunk.start + 17]);
    }
    for cut in cuts.into_iter().filter(|cut| *cut < sealed.len()) {
        let (result, out) = open_streamed(&sealed[..cut]);
        result.expect_err("streamed");
        let whole_chunks = cut.saturating_sub(HEADER_LEN) / SEALED_CHUNK_LEN;
        assert_eq!(out, plaintext(whole_chunks * CHUNK_LEN), "cut at {cut}");
        assert!(RandomAccess::open(&KEY, CONTEXT, &sealed[..cut]).is_err(), "cut at {cut}");
    }
}

#[test]
fn a_source_that_shrinks_after_opening_is_found() {
    let sealed = seal(&plaintext(3 * CHUNK_LEN), 1);
    let path = std::env::temp_dir().join(format!("strongroom-content-{}", std::process::id()));
    std::fs::write(&path, &sealed).unwrap();
    let file = std::fs::File::options().read(true).write(true).open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let content = RandomAccess::open(&KEY, CONTEXT, file.try_clone().unwrap()).unwrap();
    file.set_len(sealed.len() as u64 / 2).unwrap();
    let mut out = [0xee; 64];
    assert!(matches!(content.read_at(2 * CHUNK_LEN as u64, &mut out), Err(Error::Truncated)));
    assert_eq!(out, [0; 64]);
}

#[test]
fn sec_k06_chunks_swapped_repeated_or_dropped_are_found() {
    let sealed = seal(&plaintext(3 * CHUNK_LEN + 100), 1);
    let [a, b, c] = [0, 1, 2].map(|i| sealed[chunk_of(&sealed, i)].to_vec());
    let last = &sealed[chunk_of(&sealed, 3)];
    let arrangements: [(&[&[u8]], u64); 5] = [
        (&[&b, &a, &c, last], 0),
        (&[&a, &c, &b, last], 1),
        (&[&a, &a, &c, last], 1),
        (&[&a, &b, last], 2),
        (&[&a, &b, &c, &c, last], 3),
    ];
    for (chunks, first_wrong) in arrangements {
        let moved = [&sealed[..HEADER_LEN], &chunks.concat()[..]].concat();
        let (result, out) = open_streamed(&moved);
        assert!(matches!(result, Err(Error::Chunk { index }) if index == first_wrong));
        assert_eq!(out, plaintext(first_wrong as usize * CHUNK_LEN));
        let (result, out) = open_random(&moved);
        assert!(matches!(result, Err(Error::Chunk { .. })));
        assert!(out.iter().all(|b| *b == 0 || *b == 0xee));
    }
}

#[test]
fn sec_k06_parts_of_another_file_are_found() {
    let plain = plaintext(2 * CHUNK_LEN + 100);
    let (ours, theirs) = (seal(&plain, 1), seal(&plain, 2));
    for region in [chunk_of(&ours, 0), chunk_of(&ours, 2), 0..24, 24..56, 0..56] {
        let mut mixed = ours.clone();
        mixed[region.clone()].copy_from_slice(&theirs[region.clone()]);
        open_streamed(&mixed).0.expect_err("streamed");
        open_random(&mixed).0.expect_err("random");
    }
    let header = [&theirs[..HEADER_LEN], &ours[HEADER_LEN..]].concat();
    assert!(matches!(open_streamed(&header).0, Err(Error::Chunk { index: 0 })));
}

#[test]
fn sec_k06_a_flipped_bit_in_any_region_is_found() {
    let sealed = seal(&plaintext(CHUNK_LEN + 100), 1);
    let (first, last) = (chunk_of(&sealed, 0), chunk_of(&sealed, 1));
    let mut places: Vec<usize> = (0..HEADER_LEN).collect();
    places.extend([first.start, first.start + 8_000, first.end - TAG_LEN - 1]);
    places.extend(first.end - TAG_LEN..first.end);
    places.extend(last.clone());
    for place in places {
        for bit in [0, 7] {
            let mut flipped = sealed.clone();
            flipped[place] ^= 1 << bit;
            let (result, out) = open_streamed(&flipped);
            match result {
                Err(Error::Commitment) => assert!(place < HEADER_LEN && out.is_empty()),
                Err(Error::Chunk { index: 0 }) => assert!(first.contains(&place) && out.is_empty()),
                Err(Error::Chunk { index: 1 }) => assert!(last.contains(&place)),
                other => panic!("byte {place}: {other:?}"),
            }
            let (result, out) = open_random(&flipped);
            result.expect_err("random");
            assert!(out.iter().all(|b| *b == 0 || *b == 0xee), "byte {place}");
        }
    }
}

#[test]
fn sec_k06_another_key_or_context_is_refused_before_any_output() {
    let sealed = seal(&plaintext(100), 1);
    let header = sealed.first_chunk::<HEADER_LEN>().unwrap();
    for bit in [0, 7] {
        let mut key = KEY;
        key[31] ^= 1 << bit;
        assert!(matches!(Opener::new(&key, CONTEXT, header), Err(Error::Commitment)));
    }
    for context in [&b""[..], &CONTEXT[1..], b"hash of the license headeR"] {
        let mut out = Vec::new();
        let result = open_reader(&KEY, context, &sealed[..], &mut out);
        assert!(matches!(result, Err(Error::Commitment)) && out.is_empty());
    }
}

#[test]
fn sec_s22_a_refused_chunk_leaves_zeros() {
    let sealed = seal(&plaintext(CHUNK_LEN + 100), 1);
    let opener = Opener::new(&KEY, CONTEXT, sealed.first_chunk().unwrap()).unwrap();
    let full = &sealed[chunk_of(&sealed, 0)];
    let last = &sealed[chunk_of(&sealed, 1)];
    let mut out = vec![0xee; CHUNK_LEN];
    let refused = |index, is_final, chunk: &[u8], out: &mut [u8]| {
        out.fill(0xee);
        let error = opener.open_chunk(index, is_final, chunk, out).unwrap_err();
        assert!(out.iter().all(|b| *b == 0), "output after {error}");
        error
    };
    assert!(matches!(refused(0, true, full, &mut out), Error::Truncated));
    assert!(matches!(refused(1, false, last, &mut out[..100]), Error::Truncated));
    assert!(matches!(refused(1, true, &last[..15], &mut out), Error::Truncated));
    assert!(matches!(refused(1, true, &[], &mut out), Error::Truncated));
    assert!(matches!(refused(0, false, &[0; SEALED_CHUNK_LEN + 1], &mut out), Error::Truncated));
    assert!(matches!(refused(0, false, full, &mut out[..99]), Error::Buffer { .. }));
    assert!(matches!(refused(1 << 38, false, full, &mut out), Error::TooLong));
    assert!(matches!(refused(u64::MAX, false, full, &mut out), Error::TooLong));
    assert!(matches!(refused(1, false, full, &mut out), Error::Chunk { index: 1 }));
    opener.open_chunk(0, false, full, &mut out).unwrap();
    opener.open_chunk(1, true, last, &mut out[..100]).unwrap();
}

#[test]
fn a_final_chunk_cannot_be_full() {
    let mut out = vec![0; SEALED_CHUNK_LEN];
    let error = common::sealer(1).seal_final(&plaintext(CHUNK_LEN), &mut out).unwrap_err();
    assert!(matches!(error, Error::Buffer { .. }));
}

#[test]
fn a_failing_source_of_randomness_seals_nothing() {
    let none = |_: &mut [u8]| Err(std::io::Error::other("no entropy"));
    let sealed = strongroom_content::Sealer::new(&KEY, CONTEXT, none);
    assert!(matches!(sealed, Err(Error::Random(_))));
}
