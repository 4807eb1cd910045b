//! The real engine in a world that is drawn from a seed: firms, clients with clocks of their own, a
//! wire that loses messages, power that goes away at any write. The promises of seats, units and
//! log are looked at after every step.
//!
//! What the models in `tests/models` show of the rules, this shows of the code, as far as it comes:
//!
//! - F1, F3: `judge.rs`, by the clocks of those who use; F2, F6: `client.rs`; F5, F8: `end.rs`. A
//!   container has no queue yet: who waits asks again, and F5 is that each is served when as many
//!   seats came free as others were before it. Nor does it lend: the loans of F1, and F4 but for
//!   repeated requests, are checked in `tests/models` until it does.
//! - U1, U2: `judge.rs` holds each account against the log; U3: what was confirmed is in the log,
//!   over all power cuts; U4, U5: `book.rs`, `client.rs`.
//! - L1, L2, L4: `firm.rs` takes the log in as a server does; L3: `judge.rs`. That a fork is told
//!   is checked in `units.rs`. The bills of many containers belong to the server.
//! - Time: T1, T2 and fresh tokens in `firm.rs`. Clocks are turned in `time.rs`.
//! - Commands go to the engine without a channel: handshakes are for `attacks.rs`, flash at the end
//!   of its life for the tests of the journal, each write of each command for `power.rs`.
//!
//! Clients are honest: they stop by their own clocks, and none shows a token after its time. Those
//! who lie are tried in `seats.rs`. The quantity of an entry never falls, since nobody who has a
//! seat loses it then.

mod book;
mod client;
mod end;
mod event;
mod firm;
mod judge;
mod world;

use strongroom_tests::dice::seed;
use strongroom_tests::worlds::Run;

use event::Event;
use world::{Parties, World};

/// Worlds of a run, and of a long one.
const RUN: Run =
    Run { name: "simulation of seats, units and logs", least: 200, most: 2_000, in_soak: 100_000 };

/// Steps of a world.
const STEPS: usize = 400;

/// The time-out of a seat.
const SILENCE_MS: u64 = 30_000;

/// One world in so many fills a log first.
const FULL_LOG: u64 = 50;

/// Plays a world to its end.
fn play(seed: u64, parties: &Parties) -> World {
    let mut world = World::new(seed, parties);
    world.judge();
    if seed.is_multiple_of(FULL_LOG) {
        world.fill_log();
    }
    for _ in 0..STEPS {
        world.step();
        world.judge();
    }
    world.end();
    world
}

#[test]
fn simulation_of_seats_units_and_logs_keeps_every_promise() {
    let parties = Parties::new();
    let (worlds, seen) = RUN.play(|seed| play(seed, &parties).seen);
    assert!(seen.times(Event::SeatGranted) > worlds, "hardly anybody gets a seat");
}

#[test]
fn simulation_of_a_seed_goes_the_same_way_each_time() {
    let parties = Parties::new();
    let hash = |seed| play(seed, &parties).trace_hash();
    let first = seed();
    assert_eq!(hash(first), hash(first));
    assert_ne!(hash(first), hash(first + 1));
}

impl World {
    fn step(&mut self) {
        if !self.is_powered && self.dice.one_in(3) {
            return self.plug_in();
        }
        match self.dice.below(200) {
            0..=39 => {
                let ms = self.dice.below(2000) as u64;
                self.pass_ms(ms);
            }
            40 | 41 => {
                let ms = 10_000 + self.dice.below(35_000) as u64;
                self.pass_ms(ms);
            }
            42..=182 => self.client_acts(),
            183..=195 => self.firm_acts(),
            196 if self.is_powered => self.unplug(),
            197 if self.dice.one_in(2) => self.withdraws(),
            198 if self.dice.one_in(2) => self.falls_silent(),
            199 if self.dice.one_in(4) => self.moves_about(),
            _ => {}
        }
    }

    /// A license is withdrawn for a moment. Who does not hear of it goes on, and others want its
    /// seat.
    fn withdraws(&mut self) {
        let (firm, which) = self.busy[self.dice.below(self.busy.len())];
        self.firm_suspends(firm, which, true);
        for at in 0..self.clients.len() {
            self.renews(at);
        }
        self.firm_suspends(firm, which, false);
        for turn in 0..3 * self.clients.len() {
            self.act(turn % self.clients.len());
            self.judge();
        }
    }

    /// Nobody says anything for the time-out: some clocks say that it is over, and slow ones do not
    /// yet.
    fn falls_silent(&mut self) {
        for at in 0..self.clients.len() {
            self.renews(at);
        }
        let ms = SILENCE_MS + self.dice.below(500) as u64;
        self.pass_ms(ms);
        for at in (0..self.clients.len()).rev() {
            self.act(at);
            self.judge();
        }
    }

    /// The dongle is plugged into one machine after the other, and used at once on each.
    fn moves_about(&mut self) {
        for _ in 0..5 {
            if self.is_powered {
                self.unplug();
            }
            while !self.is_powered {
                self.plug_in();
            }
            let at = self.dice.below(self.clients.len());
            self.act(at);
            self.judge();
        }
    }
}
