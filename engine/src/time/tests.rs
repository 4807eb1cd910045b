//! Time: floors, running time, nonces.

use super::*;
use crate::engine::Pace;
use crate::seats::SeatTimes;
use protocol::ids::RootFp;
use protocol::objects::device::AnchorClass;
use protocol::objects::root::{Mode, RootBody};

struct Fake {
    ticks_ms: u64,
    rtc_s: Option<u64>,
}

impl Clock for Fake {
    fn ticks_ms(&mut self) -> u64 {
        self.ticks_ms
    }

    fn rtc_s(&mut self) -> Option<u64> {
        self.rtc_s
    }
}

fn firm(floor_s: u64) -> Firm {
    let root = RootBody {
        mode: Mode::Test,
        name: Default::default(),
        firm_code: Default::default(),
        roles: Default::default(),
    };
    Firm {
        root_fp: RootFp::default(),
        root_version: 1,
        root_hash: Fixed::default(),
        min_epoch: 0,
        root,
        seq: 0,
        state: Fixed::default(),
        config_hash: Fixed::default(),
        revocation_epoch: 0,
        floor_s,
        floor_ran_s: 0,
        certified_s: floor_s,
        commits: 0,
        entries: 0,
        trapped: None,
    }
}

fn profile(clock: ClockClass) -> Profile {
    Profile {
        clock,
        anchor: AnchorClass::Hardware,
        firmware: 0,
        seats: SeatTimes::default(),
        pace: Pace::Device,
    }
}

#[test]
fn a_clock_set_back_does_not_turn_time_back() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: Some(1000) };
    let mut time = Timekeeper::new(profile(ClockClass::Rtc), 0, &mut clock);
    assert_eq!(time.now_s(&mut clock, &firm(0)), 1000);
    clock = Fake { ticks_ms: 5000, rtc_s: Some(10) };
    assert_eq!(time.now_s(&mut clock, &firm(0)), 1005);
}

#[test]
fn what_was_known_goes_on_by_ticks_and_loses_no_part_of_a_second() {
    let mut known = Known::at(1000, 5000);
    assert_eq!((known.carried_s(5999), known.carried_s(6000)), (1000, 1001));
    // The same second told again does not begin anew.
    assert_eq!(known.raise(1001, 6500), 1001);
    assert_eq!(known.carried_s(7000), 1002);
    assert_eq!(known.raise(1003, 7000), 1003);
    assert_eq!(known.carried_s(7999), 1003);
    assert_eq!(Known::at(0, 0).carried_s(9000), 0, "nothing was known");
}

#[test]
fn without_a_clock_time_goes_on_from_what_was_certified_as_the_container_runs() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: None };
    let mut time = Timekeeper::new(profile(ClockClass::Session), 100, &mut clock);
    assert_eq!(time.now_s(&mut clock, &firm(0)), 0);
    let certified = Firm { floor_ran_s: 90, ..firm(500) };
    assert_eq!(time.now_s(&mut clock, &certified), 510);
    clock.ticks_ms = 7000;
    assert_eq!(time.now_s(&mut clock, &certified), 517);
}

#[test]
fn running_time_is_kept_every_minute() {
    let mut clock = Fake { ticks_ms: 5000, rtc_s: None };
    let mut time = Timekeeper::new(profile(ClockClass::Session), 100, &mut clock);
    clock.ticks_ms += 59_999;
    assert_eq!(time.ran_to_keep(&mut clock), None);
    clock.ticks_ms += 1;
    assert_eq!(time.ran_to_keep(&mut clock), Some(160));
    // It is not kept before it is durable.
    assert_eq!(time.ran_to_keep(&mut clock), Some(160));
    time.kept(160);
    assert_eq!(time.ran_to_keep(&mut clock), None);
}

#[test]
fn what_one_firm_certified_does_not_move_the_time_of_another() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: Some(1000) };
    let mut time = Timekeeper::new(profile(ClockClass::Rtc), 0, &mut clock);
    assert_eq!(time.now_s(&mut clock, &firm(4_000_000_000)), 4_000_000_000);
    assert_eq!(time.now_s(&mut clock, &firm(0)), 1000);
}

#[test]
fn a_dead_battery_leaves_a_clock_of_the_session() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: Some(1000) };
    let mut time = Timekeeper::new(profile(ClockClass::Rtc), 0, &mut clock);
    assert_eq!(time.class(&mut clock), ClockClass::Rtc);
    clock.rtc_s = None;
    assert_eq!(time.info(&mut clock, &firm(500)).class, ClockClass::Session);
}

#[test]
fn a_host_is_followed_and_does_not_turn_back() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: None };
    let mut time = Timekeeper::new(profile(ClockClass::Session), 0, &mut clock);
    time.follow(&mut clock, 1, 2000);
    clock.ticks_ms = 5000;
    assert_eq!(time.view(&mut clock, 1, &firm(500), 100).host_s, 2005);
    assert_eq!(time.view(&mut clock, 2, &firm(500), 100).host_s, 100);
    assert_eq!(time.view(&mut clock, 1, &firm(500), 0).host_s, 0);
}

#[test]
fn a_nonce_is_answered_once_in_time_and_for_its_firm() {
    let mut clock = Fake { ticks_ms: 0, rtc_s: None };
    let mut time = Timekeeper::new(profile(ClockClass::Signed), 0, &mut clock);
    time.ask(&mut clock, 1, Fixed([7; 32]));
    clock.ticks_ms = 120_000;
    assert_eq!(time.asked_ms_ago(&mut clock, 1, &[7; 32]), Some(120_000));
    assert_eq!(time.asked_ms_ago(&mut clock, 2, &[7; 32]), None);
    assert_eq!(time.asked_ms_ago(&mut clock, 1, &[8; 32]), None);
    clock.ticks_ms = 120_001;
    assert_eq!(time.asked_ms_ago(&mut clock, 1, &[7; 32]), None);
    time.answered(1);
    clock.ticks_ms = 0;
    assert_eq!(time.asked_ms_ago(&mut clock, 1, &[7; 32]), None);
    assert!(time.view(&mut clock, 1, &firm(0), 0).is_fresh);
}

#[test]
fn what_was_certified_never_falls() {
    let mut firm = firm(500);
    firm.certify(400, 0, 600, 100);
    assert_eq!((firm.floor_s, firm.floor_ran_s, firm.certified_s), (500, 0, 500));
    // Certified before, but for a time that the container has passed: the floor stays, and with it
    // the time that it ran since.
    firm.certify(550, 10, 600, 100);
    assert_eq!((firm.floor_s, firm.floor_ran_s, firm.certified_s), (500, 0, 550));
    // What the container knew already is no news either.
    firm.certify(590, 10, 600, 100);
    assert_eq!((firm.floor_s, firm.floor_ran_s, firm.certified_s), (500, 0, 590));
    firm.certify(700, 10, 600, 100);
    assert_eq!((firm.floor_s, firm.floor_ran_s, firm.certified_s), (710, 100, 700));
}
