//! Opening chunked content over the bare cipher on as many bytes.

use std::convert::Infallible;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use content::{CHUNK_LEN, HEADER_LEN, Opener, SEALED_CHUNK_LEN, Sealer};

use crate::Result;
use crate::clock::cpu_s;
use crate::measure::in_turn;
use crate::table::{Row, short};

const CHUNKS: usize = 4096;
const LEN: usize = CHUNKS * CHUNK_LEN;
/// The bare cipher takes the same bytes in messages of this length: where it is at its best.
const BARE_LEN: usize = 1 << 20;
const TAG_LEN: usize = 16;
const ROUNDS: usize = 15;

/// Gigabytes in a second, and the ratio of times.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let plain: Vec<u8> = (0..LEN).map(|at| (at >> 9) as u8).collect();
    let (opener, sealed) = seal_chunks(&plain)?;
    let (bare, bare_sealed) = seal_bare(&plain)?;
    let (mut out, mut bare_out) = (vec![0; LEN], vec![0; LEN]);
    let pair = in_turn(
        ROUNDS,
        || cpu_s(|| open_chunks(&opener, &sealed, &mut out)),
        || cpu_s(|| open_bare(&bare, &bare_sealed, &mut bare_out)),
    )?;
    if out != plain || bare_out != plain {
        return Err("what was opened is not what was sealed".into());
    }
    let speed = |seconds: f64| short(LEN as f64 / 1e9 / seconds);
    let (ours, limit) = (speed(pair.ours_s), speed(pair.limit_s));
    Ok(vec![Row {
        name: "content, 16 KiB chunks / bare AES-256-GCM".into(),
        values: vec![pair.ratio()],
        unit: "x",
        bound: None,
        beside: format!("ours {ours} GB/s, bare {limit} GB/s, one thread, 64 MiB"),
    }])
}

fn seal_chunks(plain: &[u8]) -> Result<(Opener, Vec<u8>)> {
    let key = [5; 32];
    let mut sealer = Sealer::new(&key, b"bench", |salt| {
        salt.fill(9);
        Ok::<(), Infallible>(())
    })?;
    let opener = Opener::new(&key, b"bench", sealer.header())?;
    let mut sealed = Vec::with_capacity(HEADER_LEN + CHUNKS * SEALED_CHUNK_LEN);
    let mut out = [0; SEALED_CHUNK_LEN];
    for chunk in plain.chunks_exact(CHUNK_LEN) {
        sealer.seal_chunk(chunk.try_into()?, &mut out)?;
        sealed.extend_from_slice(&out);
    }
    Ok((opener, sealed))
}

fn open_chunks(opener: &Opener, sealed: &[u8], out: &mut [u8]) -> Result<()> {
    let chunks = sealed.chunks_exact(SEALED_CHUNK_LEN).zip(out.chunks_exact_mut(CHUNK_LEN));
    for (index, (sealed, out)) in (0..).zip(chunks) {
        opener.open_chunk(index, false, sealed, out)?;
    }
    Ok(())
}

fn seal_bare(plain: &[u8]) -> Result<(LessSafeKey, Vec<u8>)> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[5; 32])?);
    let mut sealed = Vec::with_capacity(LEN + LEN / BARE_LEN * TAG_LEN);
    for (index, message) in (0..).zip(plain.chunks_exact(BARE_LEN)) {
        let mut bytes = message.to_vec();
        key.seal_in_place_append_tag(nonce(index), Aad::empty(), &mut bytes)?;
        sealed.extend_from_slice(&bytes);
    }
    Ok((key, sealed))
}

fn open_bare(key: &LessSafeKey, sealed: &[u8], out: &mut [u8]) -> Result<()> {
    let messages = sealed.chunks_exact(BARE_LEN + TAG_LEN).zip(out.chunks_exact_mut(BARE_LEN));
    for (index, (sealed, out)) in (0..).zip(messages) {
        let (ciphertext, tag) = sealed.split_at(BARE_LEN);
        key.open_separate_gather(nonce(index), Aad::empty(), ciphertext, tag, out)?;
    }
    Ok(())
}

fn nonce(index: u64) -> Nonce {
    let mut nonce = [0; NONCE_LEN];
    nonce[..8].copy_from_slice(&index.to_be_bytes());
    Nonce::assume_unique_for_key(nonce)
}
