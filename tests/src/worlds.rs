//! Plays worlds of a simulation, each drawn from a seed of its own, until enough was seen.

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread::available_parallelism;

use crate::dice::seed;
use crate::seen::{Reached, Seen};

/// Worlds that are played at a time.
const AT_A_TIME: u64 = 50;

/// How many worlds a run plays. A short one goes on until everything was reached that must be, to
/// a bound.
pub struct Run {
    /// What is simulated, for people.
    pub name: &'static str,
    /// At least.
    pub least: u64,
    /// At most, as long as something was never reached.
    pub most: u64,
    /// In a long run (`STRONGROOM_SOAK`).
    pub in_soak: u64,
}

impl Run {
    /// Plays from this run's seed on, on all processors. All that must happen has happened, or the
    /// test ends. How many worlds there were, and what was seen in them.
    pub fn play<E: Reached + Send>(&self, play: impl Fn(u64) -> Seen<E> + Sync) -> (u64, Seen<E>) {
        let soak = std::env::var_os("STRONGROOM_SOAK").is_some();
        let wanted = if soak { self.in_soak } else { self.least };
        let (first, mut worlds, mut seen) = (seed(), 0, Seen::default());
        while worlds < wanted || (worlds < self.most && !seen.missing().is_empty()) {
            let from = first.saturating_add(worlds);
            seen.add(play_all(from..from.saturating_add(AT_A_TIME), &play));
            worlds += AT_A_TIME;
        }
        println!("figure: {}: {worlds} worlds, from STRONGROOM_SEED={first} on", self.name);
        seen.print();
        assert!(seen.missing().is_empty(), "never reached: {:?}", seen.missing());
        (worlds, seen)
    }
}

fn play_all<E: Reached + Send>(
    seeds: Range<u64>,
    play: &(impl Fn(u64) -> Seen<E> + Sync),
) -> Seen<E> {
    let threads = available_parallelism().map_or(1, usize::from);
    let part = |first| {
        let mut seen = Seen::default();
        for seed in seeds.clone().skip(first).step_by(threads) {
            seen.add(play(seed));
        }
        seen
    };
    std::thread::scope(|scope| {
        let parts: Vec<_> = (0..threads).map(|first| scope.spawn(move || part(first))).collect();
        let mut seen = Seen::default();
        for part in parts {
            seen.add(part.join().unwrap_or_else(|panic| resume_unwind(panic)));
        }
        seen
    })
}
