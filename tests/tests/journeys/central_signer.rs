//! License Central's signer as a process, and the way back from a backup, as an administrator has
//! them.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::central::{on, selling, states, ticket};
use crate::key_stores::{MODULE, world_with_token};
use crate::postgresql::new_database;
use crate::world::{NOBODY, Outcome, World, run, signal, until};

/// Runs a command of the server's program in the world's Central.
fn server(world: &World, line: &str) -> Outcome {
    run(world.server().args(line.split_whitespace()).args(["--data", "central"]), "")
}

fn log(world: &World) -> String {
    fs::read_to_string(world.path("central.log")).expect("a log")
}

/// Ids of the signers that ran, in order.
fn signers(world: &World) -> Vec<Pid> {
    let lines = log(world);
    let lines = lines.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let says = lines.filter(|line| line["fields"]["message"] == "the signer listens");
    let id = |line: Value| line["fields"]["id"].as_i64().and_then(|id| Pid::from_raw(id as i32));
    says.map(|line| id(line).expect("an id")).collect()
}

fn last_signer(world: &World) -> Pid {
    *signers(world).last().expect("one runs")
}

fn activate(world: &World, dongle: &str, ticket: &str) -> Outcome {
    on(world, dongle, &format!("activate {ticket} --yes"))
}

#[test]
pub(crate) fn a_signer_that_is_killed_is_started_again_and_nothing_is_lost_or_signed_twice() {
    let mut world = selling("--quantity 1");
    let names = ["one", "two", "three"];
    names.iter().for_each(|name| world.plug(name, "rtc"));
    let ticket = ticket(&world, 3);
    // At rest, and in the middle of whatever it is at.
    kill_process(last_signer(&world), Signal::KILL).expect("it runs");
    activate(&world, "one", &ticket).ok();
    assert_eq!(signers(&world).len(), 2);
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for _ in 0..6 {
                let known = signers(&world).len();
                let _ = kill_process(last_signer(&world), Signal::KILL);
                let is_next = || signers(&world).len() > known || is_done.load(Ordering::Relaxed);
                until("the next signer", is_next);
            }
        });
        for name in &names[1..] {
            until("a license", || {
                let done = activate(&world, name, &ticket);
                let is_told = ["S0B0D", "S0B35"].iter().any(|code| done.stderr.contains(code));
                assert!(done.code == 0 || is_told, "{done:?}");
                done.code == 0
            });
        }
        is_done.store(true, Ordering::Relaxed);
    });
    assert_eq!(states(&world), ["held"; 3]);
    server(&world, "check").ok();
    let report = server(&world, "check --json").ok().data();
    assert_eq!(report["vendors"][0]["entries"], 3);
    // A server that dies takes its signer along: the next one has the journal.
    world.kill_central();
    world.start_central();
    on(&world, "one", "release --yes").ok();
    let log = world.stop_central();
    assert!(!log.contains("panicked"), "{log}");
}

#[test]
pub(crate) fn what_a_cap_stopped_is_signed_when_it_is_raised() {
    let mut world = selling("--quantity 1");
    ["one", "two"].iter().for_each(|name| world.plug(name, "rtc"));
    let ticket = ticket(&world, 2);
    let caps = world.path("central/signer.toml");
    let first = fs::read_to_string(&caps).expect("init made it");
    let reread = |world: &World, text: &str| {
        let count = |world: &World| log(world).matches("caps were read again").count();
        let before = count(world);
        fs::write(&caps, text).expect("room");
        kill_process(last_signer(world), Signal::HUP).expect("it runs");
        until("the caps", || count(world) > before);
    };
    reread(&world, &first.replace("installs = 50_000", "installs = 1"));
    activate(&world, "one", &ticket).ok();
    activate(&world, "two", &ticket).refused(5, &["S0B31", "installs", "2", "1", "signer.toml"]);
    let report = server(&world, "check").ok().stdout;
    assert!(report.contains("1 more were decided and are not signed yet"), "{report}");
    reread(&world, &first);
    activate(&world, "two", &ticket).ok();
    assert_eq!(states(&world), ["held", "held"]);
}

/// Files of the embedded database that may be there; what was written last is in the second.
const DATABASE: [&str; 3] = ["central.db", "central.db-wal", "central.db-shm"];

fn copy_database(world: &World, from: &str, to: &str) {
    fs::create_dir_all(world.path(to)).expect("room");
    let paths = DATABASE.map(|name| (world.path(from).join(name), world.path(to).join(name)));
    for (from, to) in paths.iter().filter(|(from, _)| from.exists()) {
        fs::copy(from, to).expect("room");
    }
}

fn move_database(world: &World, from: &str, to: &str) {
    copy_database(world, from, to);
    let paths = DATABASE.map(|name| world.path(from).join(name));
    paths.iter().filter(|path| path.exists()).for_each(|path| fs::remove_file(path).expect("own"));
}

#[test]
pub(crate) fn a_restored_backup_sells_nothing_twice() {
    let mut world = selling("--quantity 1");
    ["one", "two", "three"].iter().for_each(|name| world.plug(name, "rtc"));
    let ticket = ticket(&world, 2);
    activate(&world, "one", &ticket).ok();
    let made = server(&world, "backup --out saved --json").ok().data();
    assert!(made["rows"].as_u64().is_some_and(|rows| rows > 5), "{made}");
    server(&world, "backup --out saved").refused(7, &["saved"]);
    activate(&world, "two", &ticket).ok();
    server(&world, "restore saved --yes").refused(7, &["another signer", "Stop the servers"]);
    world.stop_central();
    server(&world, "restore saved --yes").refused(7, &["S0B3A"]);
    match &mut world.database {
        Some(url) => *url = new_database().expect("a server"),
        None => move_database(&world, "central", "gone"),
    }
    server(&world, "restore saved").refused(2, &["--yes"]);
    let preview = server(&world, "restore saved --dry-run --json").ok().data();
    assert_eq!(preview["vendors"][0], "acme");
    let restored = server(&world, "restore saved --yes --json").ok().data();
    assert_eq!(restored["vendors"][0]["updates"].as_array().map(Vec::len), Some(1), "{restored}");
    world.start_central();
    assert_eq!(states(&world), ["held", "held"]);
    activate(&world, "three", &ticket).refused(7, &["S0B03"]);
    server(&world, "check").ok();
    on(&world, "two", "release --yes").ok();
    activate(&world, "three", &ticket).ok();
}

#[test]
fn a_database_that_was_put_back_by_hand_issues_nothing_until_it_is_repaired() {
    let mut world = selling("--quantity 1");
    ["one", "two"].iter().for_each(|name| world.plug(name, "rtc"));
    let ticket = ticket(&world, 1);
    world.stop_central();
    move_database(&world, "central", "old");
    copy_database(&world, "old", "central");
    world.start_central();
    activate(&world, "one", &ticket).ok();
    world.stop_central();
    move_database(&world, "central", "newer");
    copy_database(&world, "old", "central");
    world.start_central();
    assert_eq!(states(&world), ["pool"]);
    activate(&world, "two", &ticket).refused(8, &["S0B36", "check --repair"]);
    let found = server(&world, "check");
    assert_eq!(found.code, 7, "{found:?}");
    assert!(found.stdout.contains("lost: number 1"), "{found:?}");
    server(&world, "check --repair --yes").refused(7, &["another signer"]);
    world.stop_central();
    server(&world, "check --repair --yes").ok();
    world.start_central();
    activate(&world, "two", &ticket).refused(7, &["S0B03"]);
    server(&world, "check").ok();
}

#[test]
fn a_vendor_whose_keys_are_in_a_token_is_served() {
    let mut world = world_with_token("");
    world.init_central("--test").ok();
    fs::remove_dir_all(world.path("central/vendors/acme")).expect("own folder");
    let store = format!("--store pkcs11 --module {MODULE} --token firm --pin-file pin");
    world.cli(&format!("vendor init central/vendors/acme --name Vault --test {store}")).ok();
    world.start_central_with(&[("STRONGROOM_PIN", "2468")]);
    world.cli("central product add --code 7 --name Editor --quantity 1").ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.cli("release --yes").ok();
    assert_eq!(states(&world), ["pool"]);
    server(&world, "check").ok();
}

/// A signer that an administrator runs: the server does without it, says so, and finds it again.
#[test]
pub(crate) fn a_signer_of_its_own_may_end_and_come_back() {
    let mut world = selling("--quantity 1");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    world.stop_central();
    let mut signer = start_signer(&world);
    world.start_central_with(&[("STRONGROOM_CENTRAL_SIGNER", "own.sock")]);
    signer.kill().expect("a child of this process");
    signer.wait().expect("a child of this process");
    activate(&world, "usb", &ticket).refused(8, &["S0B0D"]);
    assert_eq!(states(&world), ["pool"], "what cannot be drafted is not decided");
    let mut signer = start_signer(&world);
    activate(&world, "usb", &ticket).ok();
    world.stop_central();
    let ended = signer.try_wait().expect("a child of this process");
    assert!(ended.is_none(), "it is not the server's");
    signal(&signer, Signal::TERM);
    assert!(signer.wait().expect("a child of this process").success());
    server(&world, "check").ok();
}

fn start_signer(world: &World) -> Child {
    let mut signer = world.server();
    signer.args(["signer", "--data", "central", "--socket", "own.sock"]);
    let log = fs::File::create(world.path("signer.log")).expect("a file");
    let mut signer = signer.stdout(Stdio::piped()).stderr(log).spawn().expect("it starts");
    let mut line = String::new();
    let stdout = signer.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("it says where it is");
    assert!(line.contains("own.sock"), "{line}");
    signer
}

/// Asks the signer how far the journal is, and prints whether it says so.
const ASK: &str = "use Socket; $SIG{PIPE} = q(IGNORE); socket(S, AF_UNIX, SOCK_STREAM, 0) or die; \
    connect(S, sockaddr_un($ARGV[0])) or die \"no way in\"; \
    syswrite(S, pack(\"NC\", 6, 1) . \"\\x04acme\\x02\"); \
    print read(S, my $answer, 10) == 10 ? \"an answer\" : \"nothing\";";

#[test]
fn another_user_gets_no_answer_from_the_signer() {
    let world = selling("--quantity 1");
    let socket = world.path("central/signer.sock");
    let mode = fs::metadata(&socket).expect("it is there").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let ask = |user: u32| {
        let args = ["-e", ASK, socket.to_str().expect("UTF-8")];
        let mut perl = world.command(Path::new("/usr/bin/perl"), &args);
        run(perl.uid(user).gid(user), "")
    };
    assert_eq!(ask(0).ok().stdout, "an answer");
    assert!(ask(NOBODY).stderr.contains("no way in"));
    // Nor where the way in was left open.
    for path in [world.path("central"), socket.clone()] {
        fs::set_permissions(path, PermissionsExt::from_mode(0o777)).expect("own");
    }
    assert_eq!(ask(NOBODY).stdout, "nothing");
    assert_eq!(ask(0).ok().stdout, "an answer");
}
