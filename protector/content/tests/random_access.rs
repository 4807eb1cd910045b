//! Random access gives what reading in order gives, from memory, from a file and from threads.

mod common;

use common::{CONTEXT, KEY, plaintext, seal};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use strongroom_content::{CHUNK_LEN, Opener, RandomAccess};

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        rng_seed: RngSeed::Fixed(30),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_range_equals_the_plaintext(
        len in 0..5 * CHUNK_LEN,
        ranges in prop::collection::vec((0..6 * CHUNK_LEN as u64, 0..3 * CHUNK_LEN), 1..8),
    ) {
        let plain = plaintext(len);
        let sealed = seal(&plain, 1);
        let content = RandomAccess::open(&KEY, CONTEXT, &sealed[..]).unwrap();
        prop_assert_eq!(content.plaintext_len(), len as u64);
        for (offset, want) in ranges {
            let mut out = vec![0xee; want];
            let got = content.read_at(offset, &mut out).unwrap();
            let start = len.min(offset as usize);
            let expected = &plain[start..len.min(start + want)];
            prop_assert_eq!(&out[..got], expected);
            prop_assert!(out[got..].iter().all(|b| *b == 0xee), "bytes behind the end touched");
        }
    }
}

#[test]
fn offsets_far_behind_the_end_give_nothing() {
    let sealed = seal(&plaintext(10), 1);
    let content = RandomAccess::open(&KEY, CONTEXT, &sealed[..]).unwrap();
    for offset in [10, 11, 1 << 52, u64::MAX] {
        assert_eq!(content.read_at(offset, &mut [0; 4]).unwrap(), 0);
    }
}

#[test]
fn two_threads_fill_one_buffer() {
    fn shared<T: Send + Sync>(_: &T) {}
    let plain = plaintext(9 * CHUNK_LEN + 5);
    let sealed = seal(&plain, 1);
    shared(&Opener::new(&KEY, CONTEXT, sealed.first_chunk().unwrap()).unwrap());
    let content = RandomAccess::open(&KEY, CONTEXT, &sealed[..]).unwrap();
    let mut out = vec![0; plain.len()];
    let (low, high) = out.split_at_mut(4 * CHUNK_LEN);
    let high_start = low.len() as u64;
    std::thread::scope(|scope| {
        scope.spawn(|| content.read_at(0, low).unwrap());
        scope.spawn(|| content.read_at(high_start, high).unwrap());
    });
    assert_eq!(out, plain);
}
