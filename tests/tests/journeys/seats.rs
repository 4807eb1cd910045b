//! Who holds a seat, for how long, and what a program hears that loses it.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;

use rustix::process::Signal;

use crate::clock;
use crate::world::{World, outcome, probe, run, signal, until};

pub(crate) const CAT: &str = "/bin/cat";
pub(crate) const PYTHON: &str = "/usr/bin/python3.11";

/// The heartbeat time-out of the profile `quick`.
const QUICK_TIMEOUT: Duration = Duration::from_secs(3);

/// Starts a protected program and waits until it holds its seat.
pub(crate) fn start(world: &World, sealed: &Path, args: &[&str]) -> Child {
    let before = world.seats();
    let child = world.spawn(sealed, args);
    world.wait_for_seats(before + 1);
    child
}

/// Waits until a use is allowed again: seats that were in use when the power went away keep others
/// waiting.
fn wait_for_quarantine(world: &World) {
    world.cli("license why 7").refused(5, &["S03E7", "seconds are left"]);
    until("the end of the quarantine", || world.cli("license why 7").code == 0);
}

/// Sends one line through `cat`, which thereby is known to run.
pub(crate) fn echo(child: &mut Child) {
    child.stdin.as_mut().expect("a pipe").write_all(b"line\n").expect("the program reads");
    let mut line = [0; 5];
    child.stdout.as_mut().expect("a pipe").read_exact(&mut line).expect("the program writes");
    assert_eq!(&line, b"line\n");
}

/// Ends a program by the end of its input.
pub(crate) fn end(mut child: Child) {
    drop(child.stdin.take());
    outcome(child).ok();
}

/// Reads a line of the program's.
pub(crate) fn line(child: &mut Child) -> String {
    let mut line = Vec::new();
    let stdout = child.stdout.as_mut().expect("a pipe");
    while line.last() != Some(&b'\n') {
        let mut byte = [0];
        stdout.read_exact(&mut byte).expect("the program speaks");
        line.push(byte[0]);
    }
    String::from_utf8(line).expect("UTF-8")
}

#[test]
fn uses_that_are_not_counted_take_no_seat_from_others() {
    let world = World::licensed("quick", "--quantity 1");
    let counted = world.protect(Path::new(CAT), "");
    let free = world.path("sealed/free");
    world.protect_as(Path::new(CAT), &free, "--access no-user-limit");
    let all = [&free, &free, &counted].map(|sealed| start(&world, sealed, &[]));
    world.run(&counted, &[], "").refused(125, &["S03E0"]);
    assert_eq!(world.run(&free, &[], "runs").ok().stdout, "runs");
    all.into_iter().for_each(end);
    world.wait_for_seats(0);
}

#[test]
fn many_programs_that_start_at_once_wait_for_a_slow_dongle() {
    let world = World::licensed("rtc", "--quantity 8");
    let sealed = world.protect(Path::new("/bin/echo"), "");
    world.fault("slow 20");
    let start = |_| world.spawn(&sealed, &["runs"]);
    let all: Vec<Child> = (0..8).map(start).collect();
    all.into_iter().for_each(|child| assert_eq!(outcome(child).ok().stdout, "runs\n"));
}

/// The program's own view: how many seats are taken while it does something.
const FAMILY: &str = r#"
import os, sys
def step(name):
    print(name, flush=True); os.read(0, 1)
step('alone')
child = os.fork()
if not child:
    os.read(int(sys.argv[1]), 1); os._exit(5)
step('forked')
os.write(int(sys.argv[2]), b'x')
print(os.waitpid(child, 0)[1] >> 8, flush=True); os.read(0, 1)
os.execv(sys.argv[3], ['cat'])
"#;

#[test]
fn a_forked_child_shares_the_seat_and_an_execed_program_has_its_own() {
    let world = World::licensed("quick", "--quantity 2");
    let (python, cat) = (world.protect(Path::new(PYTHON), ""), world.protect(Path::new(CAT), ""));
    let (read, write) = rustix::pipe::pipe().expect("a pipe");
    for end in [&read, &write] {
        let flags = rustix::io::FdFlags::empty();
        rustix::io::fcntl_setfd(end, flags).expect("own descriptor");
    }
    let number = |fd: &dyn std::os::fd::AsRawFd| fd.as_raw_fd().to_string();
    let (from, to) = (number(&read), number(&write));
    let args = ["-c", FAMILY, &from, &to, cat.to_str().expect("UTF-8")];
    let mut child = start(&world, &python, &args);
    let go = |child: &mut Child| {
        child.stdin.as_mut().expect("a pipe").write_all(b"\n").expect("the program reads");
    };
    for said in ["alone\n", "forked\n", "5\n"] {
        assert_eq!(line(&mut child), said);
        assert_eq!(world.seats(), 1, "{said}");
        go(&mut child);
    }
    // It is `cat` now, with a seat of its own; the other one's came back.
    echo(&mut child);
    world.wait_for_seats(1);
    // What is no protected program holds nothing.
    let unprotected = world.run(&python, &["-c", "import os; os.execv('/bin/cat', ['cat'])"], "x");
    assert_eq!(unprotected.ok().stdout, "x");
    world.wait_for_seats(1);
    end(child);
    world.wait_for_seats(0);
}

const DAEMON: &str = "
import os, sys
if os.fork(): os._exit(0)
os.setsid()
if os.fork(): os._exit(0)
print('daemon', os.getppid() == 1 or 'orphan', flush=True)
sys.stdin.read()
print('daemon ends', flush=True)
";

#[test]
fn a_daemon_holds_the_seat_when_its_parents_have_gone_and_loses_it_with_the_license() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(PYTHON), "");
    for license_is_lost in [false, true] {
        let mut child = world.spawn(&sealed, &["-c", DAEMON]);
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut said = String::new();
        stdout.read_line(&mut said).expect("the daemon speaks");
        let stdin = child.stdin.take();
        let mut stderr = child.stderr.take().expect("a pipe");
        assert_eq!(child.wait().expect("a child").code(), Some(0));
        // Only the daemon is left, and its seat is the only one.
        assert_eq!(world.seats(), 1);
        world.run(&sealed, &["-c", "0"], "").refused(125, &["S03E0"]);
        let mut rest = String::new();
        if license_is_lost {
            world.fault("unplug");
            stdout.read_to_string(&mut rest).expect("an end");
            assert_eq!(rest, "", "it went on to its own end");
            stderr.read_to_string(&mut rest).expect("an end");
            assert!(rest.contains("S0911") || rest.contains("S02"), "{rest}");
            world.fault("plug");
        } else {
            drop(stdin);
            stdout.read_to_string(&mut rest).expect("an end");
            assert_eq!(rest, "daemon ends\n");
        }
        world.wait_for_seats(0);
    }
}

#[test]
fn a_dongle_that_falls_silent_ends_the_program() {
    for fault in ["stall on", "unplug"] {
        let world = World::licensed("quick", "--quantity 1");
        let sealed = world.protect(Path::new(CAT), "");
        let mut child = start(&world, &sealed, &[]);
        echo(&mut child);
        world.fault(fault);
        // Not its speed is asserted but a promise: no use beyond this time.
        let silent = clock::start();
        let _stdin = child.stdin.take();
        let got = outcome(child).refused(125, &["the license was lost"]);
        let used = silent.elapsed();
        assert!(used <= QUICK_TIMEOUT + Duration::from_secs(1), "{fault}: ran on for {used:?}");
        assert_eq!(got.stdout, "");
        if fault == "unplug" {
            world.fault("plug");
            wait_for_quarantine(&world);
        } else {
            world.fault("stall off");
        }
        world.wait_for_seats(0);
        assert_eq!(world.run(&sealed, &[], "runs").ok().stdout, "runs");
    }
}

#[test]
fn a_dongle_that_comes_back_in_time_is_asked_again() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "--loss grace --loss-seconds 3600");
    let mut child = start(&world, &sealed, &[]);
    echo(&mut child);
    world.fault("unplug");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("a warning");
    assert!(said.contains("the license was lost"), "{said}");
    world.fault("plug");
    world.wait_for_seats(1);
    echo(&mut child);
    end(child);
    world.wait_for_seats(0);
}

#[test]
fn a_dongle_that_is_switched_between_machines_too_quickly_stays_shut() {
    let world = World::licensed("quick", "");
    let sealed = world.protect(Path::new(CAT), "");
    let switch = || {
        world.fault("unplug");
        world.fault("plug");
    };
    // Each is on a station of its own.
    for _ in 0..4 {
        run(&mut world.elsewhere(&sealed), "").ok();
        switch();
    }
    let refused = run(&mut world.elsewhere(&sealed), "").refused(125, &["S03E8", "seconds"]);
    assert_eq!(refused.stdout, "");
}

#[test]
fn a_license_that_expires_while_the_program_runs_ends_it() {
    let world = World::licensed("quick", "--quantity 1 --expires +1d");
    let sealed = world.protect(Path::new(CAT), "");
    let mut child = start(&world, &sealed, &[]);
    echo(&mut child);
    let _stdin = child.stdin.take();
    world.fault("jump-clock 172800");
    outcome(child).refused(125, &["S0380"]);
    world.wait_for_seats(0);
}

#[test]
fn a_removed_license_ends_the_program() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "");
    let mut child = start(&world, &sealed, &[]);
    echo(&mut child);
    let _stdin = child.stdin.take();
    world.license("--remove");
    outcome(child).refused(125, &["S03"]);
}

#[test]
fn the_vendor_decides_what_happens_at_a_loss() {
    let world = World::licensed("quick", "--quantity 1");
    let warned = world.path("sealed/warned");
    world.protect_as(Path::new(CAT), &warned, "--loss warn --loss-seconds 1");
    let mut child = start(&world, &warned, &[]);
    world.fault("unplug");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe")).lines();
    let mut warning = || stderr.next().expect("a line").expect("UTF-8");
    let said: Vec<String> = (0..4).map(|_| warning()).collect();
    assert!(said[0].contains("the license was lost"), "{said:?}");
    assert_eq!(said[..2], said[2..], "said again every second");
    echo(&mut child);
    end(child);
    world.fault("plug");
    wait_for_quarantine(&world);
    let grace = world.path("sealed/grace");
    world.protect_as(Path::new(CAT), &grace, "--loss grace --loss-seconds 1");
    let mut child = start(&world, &grace, &[]);
    echo(&mut child);
    world.fault("unplug");
    let _stdin = child.stdin.take();
    outcome(child).refused(125, &["the program ends in 1 seconds", "the license was lost"]);
    world.fault("plug");
    world.wait_for_seats(0);
}

const TEXTS: &str = r#"
[[text]]
text = "Ask us."
shop = "https://shop.example"
support = "help@example"

[[text]]
language = "de"
text = "Fragen Sie uns."
"#;

#[test]
fn the_vendors_words_come_in_the_users_language() {
    let world = World::licensed("quick", "--quantity 1 --expires +1d");
    fs::write(world.path("texts.toml"), TEXTS).expect("room");
    let sealed = world.protect(Path::new(CAT), "--texts texts.toml --name Editor");
    world.fault("jump-clock 172800");
    for (variable, value, words) in [
        ("LANG", "en_US.UTF-8", &["Ask us.", "https://shop.example", "help@example"][..]),
        ("LANG", "de_AT.UTF-8", &["Fragen Sie uns."]),
        ("LC_ALL", "de", &["Fragen Sie uns."]),
        ("LC_MESSAGES", "C", &["Ask us."]),
    ] {
        let mut command = world.command(&sealed, &[""; 0]);
        let got = run(command.env(variable, value), "").refused(125, words);
        assert!(got.stderr.contains("S0380"), "the reason itself: {}", got.stderr);
        assert_eq!(got.stderr.contains("Ask us."), words[0] == "Ask us.");
    }
    fs::write(world.path("texts.toml"), "[[text]]\nwords = 1\n").expect("room");
    let line = "protect app /bin/cat -o x --vendor acme --product 7 --texts texts.toml";
    world.cli(line).refused(2, &["texts.toml", "words"]);
}

/// The thread that watches the license: it alone has every signal blocked.
pub(crate) fn watcher(process: u32) -> u32 {
    let tasks = fs::read_dir(format!("/proc/{process}/task")).expect("the process lives");
    let mut threads = tasks.map(|task| task.expect("an entry").file_name());
    let found = threads.find_map(|thread| {
        let thread: u32 = thread.to_str()?.parse().ok()?;
        let status = fs::read_to_string(format!("/proc/{process}/task/{thread}/status")).ok()?;
        let blocked = !status.contains("SigBlk:\t0000000000000000");
        (thread != process && blocked).then_some(thread)
    });
    found.expect("a watcher")
}

fn to_watcher(world: &World, child: &Child, signal: Signal) {
    let tool = probe(world, "tgkill.c", "tgkill", &[]);
    let numbers = [child.id(), watcher(child.id()), signal.as_raw() as u32];
    let numbers = numbers.map(|number| number.to_string());
    world.run(&tool, &[&numbers[0], &numbers[1], &numbers[2]], "").ok();
}

#[test]
fn killing_the_watcher_ends_the_program_and_gives_the_seat_back() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "");
    let mut child = start(&world, &sealed, &[]);
    echo(&mut child);
    to_watcher(&world, &child, Signal::KILL);
    assert_eq!(outcome(child).code, 128 + 9);
    world.wait_for_seats(0);
}

fn state(process: u32) -> char {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).expect("the process lives");
    stat.rsplit_once(") ").and_then(|(_, fields)| fields.chars().next()).expect("a stat line")
}

/// Stops a program until the dongle has given up on its seat.
fn stop_past_the_time_out(world: &World, child: &Child) {
    signal(child, Signal::STOP);
    until("the stop", || state(child.id()) == 'T');
    world.wait_for_seats(0);
}

#[test]
fn a_stopped_program_is_only_suspended_and_asks_again_before_it_goes_on() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "");
    let mut child = start(&world, &sealed, &[]);
    echo(&mut child);
    stop_past_the_time_out(&world, &child);
    signal(&child, Signal::CONT);
    world.wait_for_seats(1);
    echo(&mut child);
    // The next time somebody else has the seat when it comes back.
    stop_past_the_time_out(&world, &child);
    let other = start(&world, &sealed, &[]);
    let stdin = child.stdin.take();
    signal(&child, Signal::CONT);
    outcome(child).refused(125, &["S03E0"]);
    drop(stdin);
    end(other);
    world.wait_for_seats(0);
}

#[test]
fn a_short_silence_is_survived() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "--loss grace --loss-seconds 3600");
    let mut child = start(&world, &sealed, &[]);
    world.fault("stall on");
    let mut stderr = BufReader::new(child.stderr.take().expect("a pipe"));
    let mut said = String::new();
    stderr.read_line(&mut said).expect("a warning");
    world.fault("stall off");
    world.wait_for_seats(1);
    echo(&mut child);
    end(child);
    world.wait_for_seats(0);
}

#[test]
fn a_watcher_frozen_alone_ends_a_busy_program() {
    let world = World::licensed("rtc", "--quantity 1");
    let sealed = world.protect(&probe(&world, "busy.c", "busy", &[]), "");
    let outer = Group::new(&cgroup_root(), &format!("strongroom-journey-{}", std::process::id()));
    let mut child = start(&world, &sealed, &[]);
    assert_eq!(line(&mut child), "busy\n");
    outer.write("cgroup.procs", &child.id().to_string());
    let frozen = Group::new(&outer.0, "frozen");
    frozen.write("cgroup.type", "threaded");
    frozen.write("cgroup.threads", &watcher(child.id()).to_string());
    frozen.write("cgroup.freeze", "1");
    assert_eq!(outcome(child).code, 128 + 9);
    world.wait_for_seats(0);
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
        let written = fs::write(self.0.join(file), text);
        written.unwrap_or_else(|error| panic!("{file} = {text}: {error}"));
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // A group whose last process has just ended may still be busy. A failing test leaves it.
        while self.0.exists() && !std::thread::panicking() && fs::remove_dir(&self.0).is_err() {
            std::thread::yield_now();
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
fn a_station_shares_one_seat() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new(CAT), "--access station-share");
    let mut first = start(&world, &sealed, &[]);
    echo(&mut first);
    let mut second = start(&world, &sealed, &[]);
    echo(&mut second);
    let full = &["S03E0", "all 1 seats", "1 in use"];
    run(&mut world.elsewhere(&sealed), "never read").refused(125, full);
    end(first);
    world.wait_for_seats(1);
    run(&mut world.elsewhere(&sealed), "never read").refused(125, full);
    end(second);
    world.wait_for_seats(0);
    assert_eq!(run(&mut world.elsewhere(&sealed), "runs").ok().stdout, "runs");
}

#[test]
fn an_exclusive_program_runs_once_on_each_station() {
    let world = World::licensed("quick", "--quantity 2");
    let sealed = world.protect(Path::new(CAT), "--access exclusive");
    let mut first = start(&world, &sealed, &[]);
    echo(&mut first);
    world.run(&sealed, &[], "never read").refused(125, &["S03E6", "already on this station"]);
    assert_eq!(run(&mut world.elsewhere(&sealed), "runs").ok().stdout, "runs");
    world.cli("license why 7 --access exclusive").refused(5, &["S03E6"]);
    end(first);
    world.wait_for_seats(0);
    assert_eq!(world.run(&sealed, &[], "runs").ok().stdout, "runs");
}

#[test]
fn a_seat_lingers_for_others_and_is_free_after_a_while() {
    let world = World::licensed("quick", "--quantity 1 --linger 2s");
    let sealed = world.protect(Path::new(CAT), "");
    assert_eq!(world.run(&sealed, &[], "runs").ok().stdout, "runs");
    assert_eq!(world.run(&sealed, &[], "again").ok().stdout, "again");
    run(&mut world.elsewhere(&sealed), "never read").refused(125, &["S03E0", "1 in use"]);
    let mut got = None;
    until("the seat of the other station", || {
        got = Some(run(&mut world.elsewhere(&sealed), "runs"));
        got.as_ref().is_some_and(|got| got.code == 0)
    });
    assert_eq!(got.expect("an outcome").stdout, "runs");
}
