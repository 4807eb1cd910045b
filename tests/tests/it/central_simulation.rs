//! The real code of License Central in a world that is drawn from a seed: its steps over a store
//! that fails, its signers with journal and caps in processes that end at any step, real containers
//! with clocks of three classes on simulated flash, letters that come late, again or never,
//! machines whose clocks differ, seats that Central serves, records that are put back to an old
//! backup. What the model of moves in `tests/models` shows of the rules, this shows of the code.
//!
//! | promise | who looks | a seeded bug, `tests/defeat/sim_central_*` |
//! |---|---|---|
//! | M1, M2, M5 | `judge_container`: containers say it | `m1_replaced`, `m5_*` |
//! | M3 | `judge_chain`, `weigh_issued` | `m3_window` |
//! | M4 | `weigh_grant` | `m4_epoch` |
//! | M6 | `judge_grants` | `m6_renewal` |
//! | M7 | `weigh_settled`; `weigh_entry`, of what was signed | `m7_receipt` |
//! | M8 | `keep_receipt` | `m8_answer` |
//! | M9 | `end.rs`, when nothing fails any more | `m9_*` |
//! | M10 | `all_lapse` | `m10_due` |
//! | M11 | all of it holds while Central, signers and containers end anywhere | `m11_unheard` |
//! | M12 | `weigh_issued` | `m12_revoked` |
//! | U1 to U3, as far as Central issues units | `judge_grants`, `judge_units` | `u1_units` |
//! | C1 | `orders_once` | `c1_once` |
//! | C2 | `letters.rs`, `sets` | `c2_decided` |
//! | C3 | `restore.rs`; `weigh_entry`; `goes_to_one` | `c3_agreement`, `c3_places` |
//! | C4 | `is_of`, `tells_nothing_of_other`, `asks_other` | `c4_credentials` |
//! | C5 | `book.rs`, from what is committed | `c5_settled` |
//! | C6, read on the issue journal | `issue.rs`; `all_agrees` | `c6_journal`, `c6_durable` |
//! | caps (S16) | `weigh_entry` | `s16_caps` |
//! | seats: F1, F2, F3, F5, F6, also over a restore | `seats.rs` | `f1_*`, `f3_*` |
//! | R2, R3: keys that are rotated or revoked with updates under way | all | `m9_anew`, `m1_anew` |
//!
//! Not here: U4 and U5, which the accounts of a container keep (`simulation.rs`); R1, R4 and R5,
//! which `trust.rs` has of the engine.

mod book;
mod device;
mod disk;
mod end;
mod event;
mod issue;
mod judge;
mod letters;
mod machine;
mod office;
mod operation;
mod parties;
mod restore;
mod seats;
mod signer;
mod users;
mod world;

use license_central::domain::lapse::MARGIN_S;
use strongroom_tests::dice::seed;
use strongroom_tests::worlds::Run;

use event::Event;
use parties::Parties;
use world::World;

/// Worlds of a run, and of a long one.
const RUN: Run =
    Run { name: "simulation of License Central", least: 400, most: 3_000, in_soak: 100_000 };

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

#[test]
fn central_simulation_keeps_every_promise() {
    let parties = Parties::new();
    let (worlds, seen) = RUN.play(|seed| play(seed, &parties).seen);
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
        if self.serves && self.dice.one_in(3) {
            return self.seats_act();
        }
        match self.dice.below(100) {
            0..=17 => self.time_passes(),
            18..=54 => self.letter_arrives(),
            55..=84 => self.customer_acts(),
            85..=94 => self.vendor_acts(),
            95 | 96 => {
                let firm = self.dice.below(self.firms);
                self.sweeps(firm);
            }
            97 => self.backs_up(),
            _ => self.puts_back(),
        }
        if self.dice.one_in(12) {
            (0..self.firms).for_each(|firm| self.repairs(firm));
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
