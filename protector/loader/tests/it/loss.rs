//! What happens when the license is lost, by the vendor's policy.

use std::io::{BufRead, BufReader};
use std::process::Child;

use crate::harness::{World, outcome};
use crate::seat::Answer;

const WITHDRAWN: &str = "cat: Buy more.\ncat: test: the license was withdrawn (S0001)\n\
                         cat: ask the test's server again";
const SILENT: &str = "cat: the license was lost: its container no longer answers (S0911)\n";

fn start(world: &World, settings: &[&str]) -> Child {
    let sealed = world.seal("/bin/cat".as_ref(), settings);
    let child = world.command(&sealed, &[""; 0]).spawn().expect("the program starts");
    world.seats.wait("a seat", |c| c.opened == 1);
    child
}

#[test]
fn withdrawn_means_a_message_and_the_end() {
    let world = World::new();
    let child = start(&world, &["text=Buy more."]);
    world.seats.answer(Answer::Deny);
    let got = outcome(child);
    assert_eq!((got.stderr, got.status.code()), (format!("{WITHDRAWN}\n"), Some(125)));
    world.seats.wait_all_returned();
}

#[test]
fn silence_means_a_message_and_the_end() {
    let world = World::new();
    let child = start(&world, &[]);
    world.seats.answer(Answer::Silence);
    let got = outcome(child);
    assert!(got.stderr.starts_with(SILENT), "{}", got.stderr);
    assert_eq!(got.status.code(), Some(125));
}

#[test]
fn the_message_goes_where_stderr_then_is_and_the_report_to_its_descriptor() {
    let world = World::new();
    let sealed = world.seal("/bin/sh".as_ref(), &[]);
    let (said, report) = (world.path("work/said"), world.path("work/report"));
    let line = format!(
        "exec 5>{}; STRONGROOM_REPORT_FD=5 exec {} -c 'exec 2>{}; read never'",
        report.display(),
        sealed.display(),
        said.display()
    );
    let child = world.command("/bin/sh".as_ref(), &["-c", &line]).spawn().expect("a shell");
    world.seats.wait("a seat", |c| c.opened == 1);
    wait_for_file(&said);
    world.seats.answer(Answer::Deny);
    let got = outcome(child);
    assert_eq!((got.stderr.as_str(), got.status.code()), ("", Some(125)));
    assert!(std::fs::read_to_string(said).expect("a file").contains("withdrawn"));
    let report = std::fs::read_to_string(report).expect("a file");
    assert!(
        report.starts_with("{\"schema\":\"strongroom.report/v1\",\"error\":{\"code\":\"S0001\","),
        "{report}"
    );
}

fn wait_for_file(path: &std::path::Path) {
    while !path.exists() {
        std::thread::yield_now();
    }
}

#[test]
fn a_report_never_goes_into_what_the_program_has_opened_since() {
    let world = World::new();
    let sealed = world.seal("/bin/sh".as_ref(), &[]);
    let own = world.path("work/own");
    let line = format!(
        "exec 5>/dev/null; STRONGROOM_REPORT_FD=5 exec {} -c 'exec 5>{}; read never'",
        sealed.display(),
        own.display()
    );
    let child = world.command("/bin/sh".as_ref(), &["-c", &line]).spawn().expect("a shell");
    world.seats.wait("a seat", |c| c.opened == 1);
    wait_for_file(&own);
    world.seats.answer(Answer::Deny);
    assert_eq!(outcome(child).code(), 125);
    assert_eq!(std::fs::read_to_string(own).expect("a file"), "");
}

#[test]
fn a_reader_that_does_not_read_cannot_hold_the_end_up() {
    let world = World::new();
    let sealed = world.seal("/bin/sh".as_ref(), &[]);
    let fill = "i=0; while [ $i -lt 64 ]; do printf '%1024s' x >&2; i=$((i+1)); done\n\
                echo full; read never";
    let mut child = world.command(&sealed, &["-c", fill]).spawn().expect("the program starts");
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("the program writes");
    assert_eq!(line, "full\n");
    world.seats.answer(Answer::Deny);
    assert_eq!(child.wait().expect("a child").code(), Some(125));
    drop((stdin, stderr));
}

#[test]
fn a_warning_lets_the_program_go_on() {
    let world = World::new();
    let mut child = start(&world, &["policy=warn:1", "text=Buy more."]);
    world.seats.answer(Answer::Deny);
    let mut lines =
        BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    let twice: Vec<String> = lines.by_ref().take(6).collect();
    assert_eq!(twice.join("\n"), format!("{WITHDRAWN}\n{WITHDRAWN}"));
    world.seats.answer(Answer::Keep);
    world.seats.wait_renewal();
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("a child").code(), Some(0));
}

#[test]
fn grace_is_said_once_and_then_ends_the_program() {
    let world = World::new();
    let child = start(&world, &["policy=grace:1", "text=Buy more."]);
    world.seats.answer(Answer::Deny);
    let got = outcome(child);
    let expected = format!("{WITHDRAWN}; otherwise the program ends in 1 seconds\n{WITHDRAWN}\n");
    assert_eq!((got.stderr, got.status.code()), (expected, Some(125)));
}

#[test]
fn a_license_that_comes_back_ends_the_grace() {
    let world = World::new();
    let mut child = start(&world, &["policy=grace:3600"]);
    world.seats.answer(Answer::Deny);
    let mut lines =
        BufReader::new(child.stderr.take().expect("a pipe")).lines().map_while(Result::ok);
    assert_eq!(lines.by_ref().take(2).count(), 2);
    world.seats.answer(Answer::Keep);
    world.seats.wait_renewal();
    world.seats.wait_renewal();
    drop(child.stdin.take());
    assert_eq!(child.wait().expect("a child").code(), Some(0));
    assert_eq!(lines.count(), 0);
}
