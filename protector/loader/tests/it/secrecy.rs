//! What another process of the same, ordinary user can reach. Root is not kept out.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::Command;

use crate::harness::{NOBODY, Outcome, World, outcome};

/// Doors that stand open into a plain program; perf may be closed by the system, and map_files is
/// by the kernel.
const DOORS: [&str; 17] = [
    "mem",
    "maps",
    "smaps",
    "environ",
    "auxv",
    "pagemap",
    "io",
    "syscall",
    "exe",
    "cwd",
    "root",
    "fd",
    "ns",
    "process_vm_readv",
    "pidfd_getfd",
    "get_robust_list",
    "seize",
];

fn as_nobody(command: &mut Command) {
    command.uid(NOBODY).gid(NOBODY).current_dir("/");
}

/// Runs `program` as an ordinary user and lets another process of that user try all doors.
fn doors(world: &World, attacker: &Path, program: &Path) -> BTreeMap<String, String> {
    let mut command = world.command(program, &[""; 0]);
    as_nobody(&mut command);
    let mut child = command.spawn().expect("the program starts");
    let mut address = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut address).expect("the program speaks");
    let args = [child.id().to_string(), address.trim().to_owned()];
    let tried = world.run_with(attacker, &[&args[0], &args[1]], "", as_nobody);
    let _ = child.kill();
    outcome(child);
    let pairs = tried.stdout.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(door, result)| (door.to_owned(), result.to_owned())).collect()
}

#[test]
fn sec_no_door_into_a_protected_program_is_open() {
    let world = World::new();
    let attacker = world.build("attacker.c", "attacker", &[]);
    let plain = world.build("secret.c", "secret", &[]);
    let into_plain = doors(&world, &attacker, &plain);
    for door in DOORS {
        assert_eq!(
            into_plain.get(door).map(String::as_str),
            Some("open"),
            "{door}: the attack itself must work"
        );
    }
    for mode in [0o755, 0o711] {
        let sealed = world.seal(&plain, &[]);
        fs::set_permissions(&sealed, fs::Permissions::from_mode(mode)).expect("own file");
        let into_sealed = doors(&world, &attacker, &sealed);
        assert_eq!(into_sealed.len(), into_plain.len(), "{into_sealed:?}");
        for (door, result) in &into_sealed {
            assert!(result == "EACCES" || result == "EPERM", "{door} {result} with mode {mode:o}");
        }
    }
}

fn early(world: &World, mode: u32) -> Outcome {
    let early = world.build("early.c", "early", &[]);
    let sealed = world.seal(&world.build("secret.c", "secret", &[]), &[]);
    fs::set_permissions(&sealed, fs::Permissions::from_mode(mode)).expect("own file");
    world.run_with(&early, &[sealed.to_str().expect("UTF-8")], "", as_nobody)
}

#[test]
fn sec_an_execute_only_file_closes_memory_before_its_first_instruction() {
    let world = World::new();
    assert_eq!(early(&world, 0o711).stdout, "mem EACCES\naddress told 1\n");
    world.seats.wait_all_returned();
}

#[test]
fn a_readable_file_leaves_that_one_door_open_as_documented() {
    let world = World::new();
    let expected = "mem read 29 the secret text of the vendor\naddress told 1\n";
    assert_eq!(early(&world, 0o755).stdout, expected);
}

#[test]
fn sec_a_tracer_at_the_start_is_refused() {
    let world = World::new();
    let sealed = world.seal("/bin/echo".as_ref(), &[]);
    let path = sealed.to_str().expect("UTF-8");
    let traced = world.build("traced.c", "traced", &[]);
    let got = world.run_with(&traced, &[path], "", as_nobody);
    assert_eq!((got.stdout.as_str(), got.code()), ("", 125), "{}", got.stderr);
    assert!(got.stderr.contains("(S0904)"), "{}", got.stderr);
    assert_eq!(world.seats.counts().opened, 0);
}

#[test]
fn sec_a_crash_leaves_no_core() {
    let world = World::new();
    let plain = world.build("secret.c", "secret", &[]);
    let sealed = world.seal(&plain, &[]);
    let crash = |program: &Path| {
        let line = format!("ulimit -c unlimited; exec {} crash", program.display());
        world.run_with("/bin/sh".as_ref(), &["-c", &line], "", |command| {
            command.uid(NOBODY).gid(NOBODY);
        })
    };
    let (plain, sealed) = (crash(&plain), crash(&sealed));
    assert_eq!((plain.code(), sealed.code()), (128 + 11, 128 + 11));
    assert!(!sealed.status.core_dumped());
}

#[test]
fn sec_a_program_that_makes_itself_dumpable_is_closed_again() {
    let world = World::new();
    let code = "import ctypes,sys,time\nlibc=ctypes.CDLL(None)\nlibc.prctl(4,1,0,0,0)\n\
                while libc.prctl(3,0,0,0,0): time.sleep(.01)\nprint('closed')";
    let sealed = world.seal("/usr/bin/python3.11".as_ref(), &[]);
    let got = world.run(&sealed, &["-c", code], "");
    assert_eq!(got.stdout, "closed\n", "{}", got.stderr);
}

#[test]
fn sec_a_preloaded_library_is_ignored_by_loader_and_program() {
    let world = World::new();
    let library = world.build("library.c", "preload.so", &["-shared", "-fPIC", "-DPRELOAD"]);
    let sealed = world.seal("/bin/echo".as_ref(), &[]);
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o711)).expect("own file");
    for variable in ["LD_PRELOAD", "LD_AUDIT"] {
        let got = world.run_with(&sealed, &["hello"], "", |command| {
            as_nobody(command);
            command.env(variable, &library);
        });
        assert_eq!(
            (got.stdout.as_str(), got.stderr.as_str(), got.code()),
            ("hello\n", "", 0),
            "{variable}"
        );
    }
}

#[test]
fn an_execute_only_file_runs_as_before() {
    let world = World::new();
    let sealed = world.seal("/bin/cat".as_ref(), &[]);
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o711)).expect("own file");
    assert!(Command::new("cat").arg(&sealed).uid(NOBODY).output().expect("cat").stdout.is_empty());
    let got = world.run_with(&sealed, &["-", "/proc/self/comm"], "in\n", as_nobody);
    assert_eq!((got.stdout.as_str(), got.code()), ("in\ncat\n", 0), "{}", got.stderr);
}

#[test]
fn sec_no_sealed_or_opened_bytes_stay_beside_the_program() {
    // The payload's mapping is gone once the program runs: only its own image is left, seen here by
    // root.
    let world = World::new();
    let sealed = world.seal(&world.build("secret.c", "secret", &[]), &[]);
    let mut child = world.command(&sealed, &[""; 0]).spawn().expect("the program starts");
    let mut line = String::new();
    BufReader::new(child.stdout.as_mut().expect("a pipe"))
        .read_line(&mut line)
        .expect("the program speaks");
    let maps = fs::read_to_string(format!("/proc/{}/maps", child.id())).expect("root may look");
    let loader_len =
        fs::metadata(env!("CARGO_BIN_EXE_strongroom-loader")).expect("the loader").len();
    let name = sealed.to_str().expect("UTF-8");
    for line in maps.lines().filter(|line| line.ends_with(name)) {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let offset = u64::from_str_radix(fields[2], 16).expect("an offset");
        assert!(offset < loader_len, "{line}");
    }
    drop(child.stdin.take());
    let mut rest = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut rest).expect("an end");
    assert_eq!((outcome(child).code(), rest.as_str()), (0, ""));
}
