//! Forked children hold and lose their own entries; children that are not forks need none.

use std::io::{BufRead, BufReader, Read};

use crate::harness::{World, outcome};
use crate::seat::Answer;

fn fork_program(world: &World) -> (std::path::PathBuf, std::path::PathBuf) {
    let plain = world.build("fork.c", "fork", &[]);
    let sealed = world.seal(&plain, &[]);
    (plain, sealed)
}

#[test]
fn each_forked_child_opens_an_entry_and_returns_it() {
    let world = World::new();
    let (plain, sealed) = fork_program(&world);
    for (how, children) in [("fork", 1), ("grandchild", 2), ("close", 1)] {
        let before = world.seats.counts().children;
        world.same(&plain, &sealed, &[how], "");
        assert_eq!(world.seats.counts().children - before, children, "{how}");
    }
}

#[test]
fn children_that_execute_at_once_need_no_entry() {
    let world = World::new();
    let (plain, sealed) = fork_program(&world);
    for how in ["vfork", "spawn"] {
        world.same(&plain, &sealed, &[how], "");
    }
    assert_eq!(world.seats.counts().children, 0);
}

#[test]
fn a_child_without_an_entry_does_not_run() {
    let world = World::new();
    let line = "read go; import=1; (echo child ran) ; echo status $?";
    let sealed = world.seal("/bin/sh".as_ref(), &["policy=warn:3600"]);
    let mut child = world.command(&sealed, &["-c", line]).spawn().expect("the program starts");
    world.seats.wait("a seat", |c| c.opened == 1);
    world.seats.answer(Answer::Deny);
    drop(child.stdin.take());
    let got = outcome(child);
    assert_eq!(got.stdout, "status 125\n", "{}", got.stderr);
    assert!(got.stderr.contains("the license was withdrawn"), "{}", got.stderr);
}

#[test]
fn a_daemon_keeps_its_seat_when_its_parent_has_gone_and_dies_with_its_license() {
    let world = World::new();
    let (_, sealed) = fork_program(&world);
    let mut child = world.command(&sealed, &["daemon"]).spawn().expect("the program starts");
    let stdin = child.stdin.take();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    let mut line = String::new();
    stdout.read_line(&mut line).expect("the daemon speaks");
    assert!(line.starts_with("daemon "), "{line}");
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    let counts = world.seats.wait("parents' seats to come back", |c| c.returned == 2);
    assert_eq!((counts.opened, counts.children), (1, 2));
    world.seats.wait_renewal();
    world.seats.answer(Answer::Deny);
    let mut rest = String::new();
    stdout.read_to_string(&mut rest).expect("an end");
    assert_eq!(rest, "", "the daemon ended before it could speak");
    let mut said = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut said).expect("an end");
    assert!(said.contains("withdrawn"), "{said}");
    world.seats.wait_all_returned();
    drop(stdin);
}

#[test]
fn pools_of_processes_work_and_return_all_entries() {
    let world = World::new();
    let python = "/usr/bin/python3.11";
    let sealed = world.seal(python.as_ref(), &[]);
    for method in ["fork", "spawn", "forkserver"] {
        let code = format!(
            "import multiprocessing as m, os\n\
             if __name__ == '__main__':\n\
             \x20m.set_start_method('{method}')\n\
             \x20with m.Pool(3) as pool: print(pool.map(abs, range(-5, 5)))\n\
             \x20print(os.popen('echo popen').read(), end='')\n"
        );
        let script = world.path("work/pool.py");
        std::fs::write(&script, code).expect("room");
        let script = script.to_str().expect("UTF-8");
        world.same(python.as_ref(), &sealed, &[script], "");
    }
    assert!(world.seats.counts().children >= 3);
}

#[test]
fn a_static_program_forks_without_a_watcher() {
    let world = World::new();
    let plain = world.build("fork.c", "fork", &["-static"]);
    let sealed = world.seal(&plain, &["forks=1"]);
    world.same(&plain, &sealed, &["fork"], "");
    assert_eq!(world.seats.counts().children, 0);
}
