//! Cryptography and channel from outside, beside other implementations and published vectors.

mod channel;
mod examples;
mod hpke;
mod primitives;
mod snow;
mod trust;
mod wycheproof;

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};
use strongroom_protocol::crypto::RandomFailed;

/// A random source that gives the same bytes for the same seed. Tests name their seed when they
/// fail.
fn seeded(seed: u64) -> impl FnMut(&mut [u8]) -> Result<(), RandomFailed> {
    let mut rng = rng(seed);
    move |out: &mut [u8]| {
        rng.fill_bytes(out);
        Ok(())
    }
}

fn rng(seed: u64) -> ChaCha20Rng {
    ChaCha20Rng::seed_from_u64(seed)
}

/// A random source that gives one value over and over.
fn constant(byte: u8) -> impl FnMut(&mut [u8]) -> Result<(), RandomFailed> {
    move |out: &mut [u8]| {
        out.fill(byte);
        Ok(())
    }
}

/// A random source whose health test fails.
fn broken(_: &mut [u8]) -> Result<(), RandomFailed> {
    Err(RandomFailed)
}

fn bytes(rng: &mut ChaCha20Rng, len_max: u32) -> Vec<u8> {
    let mut bytes = vec![0; (rng.next_u32() % (len_max + 1)) as usize];
    rng.fill_bytes(&mut bytes);
    bytes
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
