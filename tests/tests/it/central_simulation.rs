//! The real code of License Central in a world that is drawn from a seed: its steps over a store
//! that fails, its signer, real containers on simulated flash, letters that come late, again or
//! never. What the model of moves in `tests/models` shows of the rules, this shows of the code.
//!
//! - M1 to M8, M12, M13: `judge.rs`, after every step. What can be used the containers say
//!   themselves. M9, M10: `end.rs`, when nothing fails any more. M11 is that all of it holds while
//!   Central crashes and containers lose their power.
//! - C1: `office.rs`; C2: `letters.rs`, `office.rs`; C4, C5: `book.rs`, from what is committed.
//! - U1 to U3 as far as Central issues units: `judge.rs`. The accounts of a container itself are
//!   for `simulation.rs`.
//! - Not here: the store put back to a backup (C3), since without a journal nothing tells Central
//!   what it issued after it; updates that are superseded, which Central does not issue yet.

mod book;
mod device;
mod disk;
mod end;
mod event;
mod judge;
mod letters;
mod office;
mod parties;
mod users;
mod world;

use std::ops::Range;
use std::panic::resume_unwind;
use std::thread::available_parallelism;

use license_central::domain::lapse::MARGIN_S;
use strongroom_tests::dice::seed;
use strongroom_tests::seen::Seen;

use event::Event;
use parties::Parties;
use world::World;

/// Worlds of a run, and of a long one. A short one goes on until everything was reached that must
/// be, to a bound.
const WORLDS: u64 = 400;
const WORLDS_IN_SOAK: u64 = 100_000;
const WORLDS_MAX: u64 = 3_000;

/// Worlds that are played at a time.
const WORLDS_AT_A_TIME: u64 = 50;

/// Steps of a world.
const STEPS: usize = 80;

/// Plays a world to its end.
fn play(seed: u64, parties: &Parties) -> World<'_> {
    let mut world = World::new(seed, parties);
    world.judge();
    for _ in 0..STEPS {
        world.step();
        world.judge();
    }
    world.end();
    world
}

/// Plays worlds on all processors.
fn play_all(seeds: Range<u64>, parties: &Parties) -> Seen<Event> {
    let threads = available_parallelism().map_or(1, usize::from);
    let part = |first| {
        let mut seen = Seen::default();
        for seed in seeds.clone().skip(first).step_by(threads) {
            seen.add(play(seed, parties).seen);
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

#[test]
fn central_simulation_keeps_every_promise() {
    let parties = Parties::new();
    let soak = std::env::var_os("STRONGROOM_SOAK").is_some();
    let wanted = if soak { WORLDS_IN_SOAK } else { WORLDS };
    let (first, mut worlds, mut seen) = (seed(), 0, Seen::default());
    while worlds < wanted || (worlds < WORLDS_MAX && !seen.missing().is_empty()) {
        let from = first.saturating_add(worlds);
        seen.add(play_all(from..from.saturating_add(WORLDS_AT_A_TIME), &parties));
        worlds += WORLDS_AT_A_TIME;
    }
    println!("figure: simulated worlds of Central: {worlds}, from STRONGROOM_SEED={first} on");
    seen.print();
    assert_eq!(seen.missing(), [], "never reached");
    assert!(seen.times(Event::UpdateApplied) > 2 * worlds, "hardly anything is issued");
}

#[test]
fn central_simulation_of_a_seed_goes_the_same_way_each_time() {
    let parties = Parties::new();
    let hash = |seed| play(seed, &parties).trace_hash();
    let first = seed();
    for seed in first..first + 4 {
        assert_eq!(hash(seed), hash(seed));
    }
    assert_ne!(hash(first), hash(first + 1));
}

impl World<'_> {
    fn step(&mut self) {
        match self.dice.below(100) {
            0..=17 => self.time_passes(),
            18..=54 => self.letter_arrives(),
            55..=84 => self.customer_acts(),
            85..=95 => self.vendor_acts(),
            _ => {
                let firm = self.dice.below(self.firms);
                self.sweeps(firm);
            }
        }
    }

    /// Some minutes, some hours, or a day. Containers without a battery may sleep.
    fn time_passes(&mut self) {
        if self.sleeps && self.dice.one_in(3) {
            let at = self.dice.below(self.devices.len());
            if self.devices[at].is_powered {
                self.unplug(at);
            }
        }
        let seconds = match self.dice.below(8) {
            0..=2 => self.dice.below(3600),
            3 | 4 => self.dice.below(12 * 3600),
            5 => 24 * 3600 + self.dice.below(3600),
            _ => return self.something_lapses(),
        };
        self.pass_ms(seconds as u64 * 1000);
        self.line(&format!("{seconds} s later"));
    }

    /// It is a little later than the next lapse, where clocks differ about it.
    fn something_lapses(&mut self) {
        let now_s = self.true_s();
        let lapses = self.book.grants.values().filter_map(|grant| grant.max_lapse_s);
        let Some(next_s) = lapses.filter(|lapse_s| *lapse_s > now_s).min() else { return };
        let margin_s = MARGIN_S as usize;
        let behind_s = self.dice.below(2 * margin_s) as u64;
        self.pass_ms((next_s - now_s + behind_s) * 1000);
        self.line(&format!("{behind_s} s behind a lapse"));
        for firm in 0..self.firms {
            self.sweeps(firm);
        }
    }
}
