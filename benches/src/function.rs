//! The first call of a protected function, beside what no such call can do without.
//!
//! No function is protected yet, so this is what such a call will do with the content as it is
//! sealed today, when the key of its part is there: open the function's chunk where it shall run,
//! and make it executable again. There is no limit before there are such functions.

use std::convert::Infallible;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use content::{CHUNK_LEN, HEADER_LEN, Opener, Sealer};
use memmap2::{Mmap, MmapMut};

use crate::Result;
use crate::clock::cpu_s;
use crate::measure::{against, in_turn};
use crate::table::Row;

/// Bytes of the function.
const LEN: usize = 4096;
const _: () = assert!(LEN <= CHUNK_LEN);
const KEY: [u8; 32] = [5; 32];
const TAG_LEN: usize = 16;
/// Calls that are timed together.
const BATCH: usize = 200;
const ROUNDS: usize = 15;
const US: (&str, f64) = ("us", 1e6 / BATCH as f64);

/// Memory that the function runs in: executable, and writable only while it is opened.
struct Place(Option<Mmap>);

/// Ours over the bare cipher, both with two changes of the protection of the page.
pub(crate) fn rows() -> Result<Vec<Row>> {
    let plain: Vec<u8> = (0..LEN).map(|at| (at >> 4) as u8).collect();
    let (header, sealed) = seal(&plain)?;
    let (bare, bare_sealed) = seal_bare(&plain)?;
    let (mut place, mut bare_place) = (Place::new()?, Place::new()?);
    let pairs = against(None, || {
        in_turn(
            ROUNDS,
            || {
                batch(|| {
                    place.fill(|out| {
                        let opener = Opener::new(&KEY, b"bench", &header)?;
                        Ok(opener.open_chunk(0, true, &sealed, out)?)
                    })
                })
            },
            || {
                batch(|| {
                    bare_place.fill(|out| {
                        let (ciphertext, tag) = bare_sealed.split_at(LEN);
                        Ok(bare.open_separate_gather(
                            nonce(),
                            Aad::empty(),
                            ciphertext,
                            tag,
                            out,
                        )?)
                    })
                })
            },
        )
    })?;
    if place.bytes() != plain || bare_place.bytes() != plain {
        return Err("what was opened is not what was sealed".into());
    }
    let name = "first call of a 4 KiB function / bare decrypt + 2 mprotect";
    Ok(vec![Row::of_pairs(name, &pairs, None, US, ("ours", "bare"))])
}

impl Place {
    fn new() -> Result<Self> {
        Ok(Place(Some(MmapMut::map_anon(LEN)?.make_exec()?)))
    }

    fn fill(&mut self, open: impl FnOnce(&mut [u8]) -> Result<()>) -> Result<()> {
        let mut writable = self.0.take().ok_or("the page is gone")?.make_mut()?;
        open(&mut writable)?;
        self.0 = Some(writable.make_exec()?);
        Ok(())
    }

    fn bytes(&self) -> &[u8] {
        self.0.as_deref().unwrap_or_default()
    }
}

fn batch(mut call: impl FnMut() -> Result<()>) -> Result<f64> {
    cpu_s(|| (0..BATCH).try_for_each(|_| call()))
}

fn seal(plain: &[u8]) -> Result<([u8; HEADER_LEN], Vec<u8>)> {
    let sealer = Sealer::new(&KEY, b"bench", |salt| {
        salt.fill(9);
        Ok::<(), Infallible>(())
    })?;
    let header = *sealer.header();
    let mut out = vec![0; LEN + TAG_LEN];
    sealer.seal_final(plain, &mut out)?;
    Ok((header, out))
}

fn seal_bare(plain: &[u8]) -> Result<(LessSafeKey, Vec<u8>)> {
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &KEY)?);
    let mut sealed = Vec::with_capacity(LEN + TAG_LEN);
    sealed.extend_from_slice(plain);
    key.seal_in_place_append_tag(nonce(), Aad::empty(), &mut sealed)?;
    Ok((key, sealed))
}

fn nonce() -> Nonce {
    Nonce::assume_unique_for_key([0; NONCE_LEN])
}
