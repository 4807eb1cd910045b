//! Seats of programs that run, at every home of a container: shared, given back, and held over what
//! takes the container's memory.

use std::io::Write;
use std::path::Path;
use std::process::Child;

use rustix::process::{Pid, Signal, kill_process};

use crate::homes::Home;
use crate::seats::{CAT, PYTHON, echo, end, line, start};
use crate::world::{World, outcome, signal, until};

#[test]
fn a_seat_is_one_running_program_and_comes_back_at_its_end() {
    Home::each(a_seat_is_one_running_program);
}

fn a_seat_is_one_running_program(home: Home) {
    let world = World::licensed_at(home, "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "");
    let mut first = start(&world, &sealed, &[]);
    echo(&mut first);
    let second = world.run(&sealed, &[], "ran").refused(125, &["S03E0", "1 in use"]);
    assert_eq!(second.stdout, "");
    world.cli("license why 7").refused(5, &["S03E0"]);
    end(first);
    world.wait_for_seats(0);
    assert_eq!(world.run(&sealed, &[], "ran").ok().stdout, "ran");
    let killed = start(&world, &sealed, &[]);
    signal(&killed, Signal::KILL);
    assert_eq!(outcome(killed).code, 128 + 9);
    world.wait_for_seats(0);
}

#[test]
fn of_two_seats_none_is_left_for_a_third_program_until_one_ends() {
    Home::each(two_seats);
}

fn two_seats(home: Home) {
    let world = World::licensed_at(home, "--quantity 2");
    let sealed = world.protect(Path::new(CAT), "");
    let mut both = [(); 2].map(|()| start(&world, &sealed, &[]));
    both.iter_mut().for_each(echo);
    let third = world.run(&sealed, &[], "ran").refused(125, &["S03E0", "all 2 seats", "2 in use"]);
    assert_eq!(third.stdout, "");
    let [first, second] = both;
    end(first);
    world.wait_for_seats(1);
    assert_eq!(world.run(&sealed, &[], "ran").ok().stdout, "ran");
    end(second);
    world.wait_for_seats(0);
}

#[test]
fn a_power_cut_is_survived() {
    Home::each(a_power_cut);
}

fn a_power_cut(home: Home) {
    let world = World::licensed_to_nobody_at(home, "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "");
    let mut child = start(&world, &sealed, &[]);
    for _ in 0..2 {
        echo(&mut child);
        world.cut_power();
        world.wait_for_seats(1);
    }
    echo(&mut child);
    end(child);
    world.wait_for_seats(0);
}

/// A parent and two children; tells their process ids, then for each line how many children answer.
const ANSWERING: &str = "
import os, sys
kids = []
for _ in range(2):
    (ask, asked), (answer, answered) = os.pipe(), os.pipe()
    pid = os.fork()
    if not pid:
        os.close(asked)
        while os.read(ask, 1): os.write(answered, b'x')
        os._exit(0)
    os.close(ask), os.close(answered)
    kids.append((pid, asked, answer))
print(*[pid for pid, _, _ in kids], flush=True)
for _ in sys.stdin:
    answers = [(os.write(asked, b'x'), os.read(answer, 1))[1] for _, asked, answer in kids]
    print(len(b''.join(answers)), flush=True)
";

/// All of them hold one seat, and take up one again, whoever of them asks first.
#[test]
fn a_power_cut_is_survived_by_a_program_with_its_children() {
    Home::each(a_power_cut_of_a_family);
}

fn a_power_cut_of_a_family(home: Home) {
    let world = World::licensed_to_nobody_at(home, "--quantity 1");
    let sealed = world.protect(Path::new(PYTHON), "");
    let mut child = start(&world, &sealed, &["-c", ANSWERING]);
    let pids = line(&mut child);
    let kids = pids.split_whitespace().map(|pid| Pid::from_raw(pid.parse().expect("a number")));
    let family: Vec<Pid> = kids.flatten().chain([Pid::from_child(&child)]).collect();
    assert_eq!(family.len(), 3);
    let all_answer = |child: &mut Child| {
        child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("the parent reads");
        assert_eq!(line(child), "2\n");
        assert_eq!(world.seats(), 1);
    };
    all_answer(&mut child);
    for _ in 0..3 {
        world.cut_power();
        world.wait_for_seats(1);
        // Each goes on only when it has asked for its license.
        for sent in [Signal::STOP, Signal::CONT] {
            for pid in &family {
                kill_process(*pid, sent).expect("the family lives");
            }
        }
        all_answer(&mut child);
    }
    end(child);
    world.wait_for_seats(0);
}

#[test]
fn after_a_power_cut_who_held_a_seat_goes_on_and_others_wait() {
    Home::each(who_held_a_seat_goes_on);
}

fn who_held_a_seat_goes_on(home: Home) {
    let world = World::licensed_to_nobody_at(home, "--quantity 2");
    let sealed = world.protect(Path::new(CAT), "--loss grace --loss-seconds 3600");
    let mut first = start(&world, &sealed, &[]);
    // It runs, and is not still on its way from its seat to its beginning.
    echo(&mut first);
    world.cut_power();
    world.wait_for_seats(1);
    echo(&mut first);
    // One of two seats is free, but nobody can know that yet.
    world.run(&sealed, &[], "").refused(125, &["S03E7", "seconds are left"]);
    until("the end of the quarantine", || world.cli("license why 7").code == 0);
    world.run(&sealed, &[], "").ok();
    end(first);
    world.wait_for_seats(0);
}

/// A dongle notes that no seat is open. A helper saves itself that commit: one that was killed said
/// nothing, and keeps others waiting.
const AFTER_A_CUT_WITHOUT_SEATS: [(Home, i32); 2] = [(Home::Dongle, 0), (Home::Tpm, 125)];

#[test]
fn with_no_seat_open_nobody_waits_for_a_container_that_was_put_away() {
    for (home, code) in AFTER_A_CUT_WITHOUT_SEATS {
        let mut world = World::licensed_at(home, "--quantity 1");
        let sealed = world.protect(Path::new(CAT), "");
        world.run(&sealed, &[], "").ok();
        world.wait_for_seats(0);
        world.put_away();
        world.run(&sealed, &[], "").ok();
        world.wait_for_seats(0);
        world.cut_power();
        let after = world.run(&sealed, &[], "");
        assert_eq!(after.code, code, "{home:?}: {after:?}");
        until("the end of the quarantine", || world.cli("license why 7").code == 0);
        world.run(&sealed, &[], "").ok();
    }
}
