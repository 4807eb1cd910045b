//! Randomness from one seed, which is told when a test fails.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// The seed of this run: `STRONGROOM_SEED`, or 1.
pub fn seed() -> u64 {
    std::env::var("STRONGROOM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

/// A stream of random numbers. Tells its seed if the test that holds it fails.
pub struct Dice {
    seed: u64,
    stream: ChaCha8Rng,
}

impl Dice {
    /// The stream number `n` of this run's seed.
    pub fn new(n: u64) -> Self {
        Dice::of(seed(), n)
    }

    /// The stream number `n` of another seed.
    pub fn of(seed: u64, n: u64) -> Self {
        let mut stream = ChaCha8Rng::seed_from_u64(seed);
        stream.set_stream(n);
        Dice { seed, stream }
    }

    /// A number below `end`, which is not 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.stream.next_u64() % end as u64) as usize
    }

    /// Whether a chance of one in `n` came.
    pub fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// Any number.
    pub fn number(&mut self) -> u64 {
        self.stream.next_u64()
    }

    /// Random bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut out = [0; N];
        self.stream.fill_bytes(&mut out);
        out
    }
}

impl Drop for Dice {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("STRONGROOM_SEED={} repeats this", self.seed);
        }
    }
}
