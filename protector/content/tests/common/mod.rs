//! Sealed content for tests: fixed keys, fixed salts, a recognizable plaintext.
#![allow(dead_code, reason = "each test file uses its part")]

use std::convert::Infallible;

use strongroom_content::{Sealer, seal_reader};

pub(crate) const KEY: [u8; 32] = [0x4b; 32];
pub(crate) const CONTEXT: &[u8] = b"hash of the license header";

/// A sealer whose salt is 24 times `salt`.
pub(crate) fn sealer(salt: u8) -> Sealer {
    let random = |out: &mut [u8]| {
        out.fill(salt);
        Ok::<_, Infallible>(())
    };
    Sealer::new(&KEY, CONTEXT, random).expect("a fixed salt")
}

/// Bytes that differ from chunk to chunk.
pub(crate) fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8).collect()
}

/// `plaintext` sealed under [`KEY`], [`CONTEXT`] and the given salt.
pub(crate) fn seal(plaintext: &[u8], salt: u8) -> Vec<u8> {
    let mut out = Vec::new();
    let sealed = seal_reader(sealer(salt), plaintext, &mut out).expect("memory to memory");
    assert_eq!(sealed, plaintext.len() as u64);
    out
}
