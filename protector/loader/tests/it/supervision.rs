//! The watcher against signals, stops and freezes, and the ends of programs.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::thread;

use rustix::process::Signal;

use crate::harness::{World, outcome, signal, threads};
use crate::seat::Answer;

/// Copies its input until the end: alive as long as the test wants.
const CAT: &str = "/bin/cat";

fn start_cat(world: &World, settings: &[&str]) -> Child {
    let sealed = world.seal(CAT.as_ref(), settings);
    let child = world.command(&sealed, &[""; 0]).spawn().expect("the program starts");
    world.seats.wait("a seat", |c| c.opened == 1);
    child
}

/// Sends one line through the program, which thereby is known to run.
fn echo(child: &mut Child) {
    child.stdin.as_mut().expect("a pipe").write_all(b"line\n").expect("the program reads");
    let mut line = [0; 5];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut line).expect("the program writes");
}

/// The thread of the process that is not its first.
fn watcher_of(child: &Child) -> u32 {
    let threads = threads(child.id());
    assert_eq!(threads.len(), 2, "{threads:?}");
    threads[1]
}

fn to_watcher(world: &World, child: &Child, signal: Signal) {
    let tool = world.build("tgkill.c", "tgkill", &[]);
    let numbers = [child.id(), watcher_of(child), signal.as_raw() as u32].map(|n| n.to_string());
    let sent = world.run(&tool, &[&numbers[0], &numbers[1], &numbers[2]], "");
    assert_eq!(sent.code(), 0);
}

#[test]
fn killing_the_watcher_ends_the_program_and_returns_its_seat() {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    echo(&mut child);
    to_watcher(&world, &child, Signal::KILL);
    assert_eq!(outcome(child).code(), 128 + 9);
    world.seats.wait_all_returned();
}

#[test]
fn killing_the_program_returns_its_seat() {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    echo(&mut child);
    signal(&child, Signal::KILL);
    assert_eq!(outcome(child).code(), 128 + 9);
    world.seats.wait_all_returned();
}

#[test]
fn a_term_for_the_watcher_reaches_nobody() {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    echo(&mut child);
    to_watcher(&world, &child, Signal::TERM);
    world.seats.wait_renewal();
    echo(&mut child);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 0);
}

#[test]
fn stopping_the_watcher_stops_the_whole_process() {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    echo(&mut child);
    to_watcher(&world, &child, Signal::STOP);
    wait_for_state(child.id(), 'T');
    signal(&child, Signal::CONT);
    echo(&mut child);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 0);
}

/// Waits until the first thread of a process is in a state.
fn wait_for_state(process: u32, state: char) {
    loop {
        let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
        let fields = stat.rsplit_once(") ").expect("a stat line").1;
        if fields.starts_with(state) {
            return;
        }
        thread::yield_now();
    }
}

/// Waits until another program, which is not stopped, has renewed its seat so often: 400 ms each.
fn outlast_renewals(count: usize) {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    world.seats.wait("the clock's renewals", |c| c.renewals >= count);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 0);
}

#[test]
fn a_stop_longer_than_the_time_out_is_survived_and_the_seat_asked_for_again() {
    let world = World::new();
    let mut child = start_cat(&world, &["lost_ms=1000"]);
    echo(&mut child);
    signal(&child, Signal::STOP);
    wait_for_state(child.id(), 'T');
    outlast_renewals(6);
    let before = world.seats.counts().renewals;
    signal(&child, Signal::CONT);
    world.seats.wait("a renewal after the stop", |c| c.renewals > before);
    echo(&mut child);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 0);
}

#[test]
fn a_license_withdrawn_while_stopped_ends_the_program_when_it_goes_on() {
    let world = World::new();
    let mut child = start_cat(&world, &["lost_ms=600000", "next_ms=300000"]);
    echo(&mut child);
    signal(&child, Signal::STOP);
    wait_for_state(child.id(), 'T');
    world.seats.answer(Answer::Deny);
    outlast_renewals(2);
    signal(&child, Signal::CONT);
    assert_eq!(outcome(child).code(), 125);
}

/// A cgroup that is removed with the test; the processes in it must have ended.
struct Group(PathBuf);

impl Group {
    fn new(parent: &Path, name: &str) -> Self {
        let path = parent.join(name);
        fs::create_dir(&path).expect("cgroup version 2, writable by root");
        Self(path)
    }

    fn write(&self, file: &str, text: &str) {
        fs::write(self.0.join(file), text)
            .unwrap_or_else(|error| panic!("{file} = {text}: {error}"));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group whose last process has just ended may still be busy.
        while self.0.exists() && fs::remove_dir(&self.0).is_err() {
            thread::yield_now();
        }
    }
}

fn cgroup_root() -> PathBuf {
    let mounts = fs::read_to_string("/proc/mounts").expect("/proc");
    let mut lines = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
    let mount = lines.find(|fields| fields.get(2) == Some(&"cgroup2"));
    PathBuf::from(mount.expect("cgroup version 2 must be mounted for this test")[1])
}

#[test]
fn a_watcher_frozen_alone_ends_a_busy_program() {
    let world = World::new();
    let busy = world.build("busy.c", "busy", &[]);
    let sealed = world.seal(&busy, &[]);
    let outer = Group::new(&cgroup_root(), &format!("strongroom-test-{}", std::process::id()));
    let mut child = world.command(&sealed, &[""; 0]).spawn().expect("the program starts");
    let mut said = [0; 5];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("the program runs");
    outer.write("cgroup.procs", &child.id().to_string());
    let frozen = Group::new(&outer.0, "frozen");
    frozen.write("cgroup.type", "threaded");
    let watcher = threads(child.id()).into_iter().find(|&thread| is_watcher(child.id(), thread));
    frozen.write("cgroup.threads", &watcher.expect("a watcher").to_string());
    frozen.write("cgroup.freeze", "1");
    assert_eq!(outcome(child).code(), 128 + 9);
    world.seats.wait_all_returned();
}

/// The watcher alone has every signal blocked.
fn is_watcher(process: u32, thread: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status"));
    !status.expect("the thread lives").contains("SigBlk:\t0000000000000000")
}

#[test]
fn the_watcher_of_a_root_program_has_no_rights() {
    let world = World::new();
    let mut child = start_cat(&world, &[]);
    echo(&mut child);
    let path = format!("/proc/{}/task/{}/status", child.id(), watcher_of(&child));
    let status = fs::read_to_string(path).expect("the watcher lives");
    let value = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key)).expect("a known key");
        line.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(value("Uid:").iter().chain(&value("Gid:")).all(|id| id != "0"), "{status}");
    assert!(value("Groups:").is_empty(), "{status}");
    for set in ["CapPrm:", "CapEff:", "CapInh:", "CapAmb:"] {
        assert_eq!(value(set), ["0000000000000000"], "{set}");
    }
    assert_eq!(value("NoNewPrivs:"), ["1"]);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 0);
}

#[test]
fn the_program_does_not_see_the_license_socket() {
    let world = World::new();
    let sealed = world.seal("/bin/ls".as_ref(), &[]);
    let plain = world.run("/bin/ls".as_ref(), &["/proc/self/fd"], "");
    assert_eq!(world.run(&sealed, &["/proc/self/fd"], ""), plain);
}

#[test]
fn every_way_to_end_keeps_its_status() {
    let world = World::new();
    let ways: [&[&str]; 14] = [
        &["exit"],
        &["_exit"],
        &["pthread_exit"],
        &["raw"],
        &["thread"],
        &["null"],
        &["abort"],
        &["overflow"],
        &["signal", "1"],
        &["signal", "2"],
        &["signal", "9"],
        &["signal", "13"],
        &["signal", "15"],
        &["signal", "11"],
    ];
    for flags in [&[][..], &["-static"]] {
        let plain = world.build("end.c", "end", flags);
        let sealed = world.seal(&plain, &["forks=1"]);
        for way in ways.iter().filter(|way| way[0] != "thread") {
            world.same(&plain, &sealed, way, "");
        }
        // The kernel reports the status of the last thread, and the first one's when the watcher is
        // the last.
        let got = world.run(&sealed, ways[4], "");
        assert_eq!((got.stdout.as_str(), got.code()), ("later\n", 9));
    }
}

#[test]
fn the_reader_of_a_pipe_sees_its_end_when_the_program_closes_it() {
    let world = World::new();
    let sealed = world.seal("/bin/sh".as_ref(), &[]);
    let line = "exec 1>&- 2>&-; read never";
    let mut child = world.command(&sealed, &["-c", line]).spawn().expect("the program starts");
    let mut all = String::new();
    child.stdout.as_mut().expect("a pipe").read_to_string(&mut all).expect("an end");
    child.stderr.as_mut().expect("a pipe").read_to_string(&mut all).expect("an end");
    assert_eq!(all, "");
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 1);
}

#[test]
fn a_program_that_becomes_another_user_keeps_its_seat_and_stays_closed() {
    let world = World::new();
    let sealed = world.seal("/usr/bin/python3.11".as_ref(), &[]);
    let code = "import os,sys,ctypes\nos.setgroups([]); os.setgid(65534); os.setuid(65534)\n\
                print(ctypes.CDLL(None).prctl(3,0,0,0,0), flush=True)\nsys.stdin.read()\n\
                p=os.fork(); p or os._exit(4)\nprint(os.waitpid(p,0)[1]>>8)";
    let mut child = world.command(&sealed, &["-c", code]).spawn().expect("the program starts");
    let mut said = [0; 2];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("the program speaks");
    world.seats.wait_renewal();
    world.seats.wait_renewal();
    drop(child.stdin.take());
    let got = outcome(child);
    assert_eq!((&said, got.stdout.as_str(), got.code()), (b"0\n", "4\n", 0), "{}", got.stderr);
    assert_eq!(world.seats.wait_all_returned().children, 1);
}

#[test]
fn known_limit_no_new_user_namespace_beside_a_watcher() {
    let world = World::new();
    let code = "import ctypes\nlibc=ctypes.CDLL(None,use_errno=True)\n\
                print(libc.unshare(0x10000000), ctypes.get_errno(), libc.unshare(0x20000))";
    let sealed = world.seal("/usr/bin/python3.11".as_ref(), &[]);
    assert_eq!(world.run(&sealed, &["-c", code], "").stdout, "-1 22 0\n");
    let without = world.seal_without_seat("/usr/bin/python3.11".as_ref());
    assert_eq!(world.run(&without, &["-c", code], "").stdout, "0 0 0\n");
}

#[test]
fn a_filter_over_all_threads_may_take_all_but_the_steady_state() {
    let world = World::new();
    let sealed = world.seal(&world.build("seccomp.c", "seccomp", &[]), &[]);
    let mut child = world.command(&sealed, &[""; 0]).spawn().expect("the program starts");
    let mut said = [0; 9];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut said).expect("the program speaks");
    assert_eq!(&said, b"filtered\n");
    for _ in 0..3 {
        world.seats.wait_renewal();
    }
    echo(&mut child);
    drop(child.stdin.take());
    assert_eq!(outcome(child).code(), 3);
}
