//! What several tests need.

use protocol::crypto::Random;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The same bytes each time.
pub(crate) fn random(seed: u64) -> impl Random {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    move |out: &mut [u8]| {
        random.fill_bytes(out);
        Ok(())
    }
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
