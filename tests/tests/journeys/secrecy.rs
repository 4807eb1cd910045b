//! What an ordinary user can learn of a protected program that he may run, and what a false dongle
//! gets out of it. The file is root's, and nobody may read it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::thread;

use crate::shim::Shim;
use crate::world::{World, outcome, probe, run};

/// Stands in the text of `secret.c`.
const SECRET: &[u8] = b"the secret text of the vendor";

/// Doors that stand open into a plain program of the same user.
const DOORS: [&str; 14] = [
    "mem",
    "maps",
    "smaps",
    "environ",
    "auxv",
    "pagemap",
    "exe",
    "cwd",
    "root",
    "fd",
    "process_vm_readv",
    "pidfd_getfd",
    "get_robust_list",
    "seize",
];

/// A program with a secret, and the same protected and installed as the guide says.
fn installed(world: &World) -> (PathBuf, PathBuf) {
    let plain = probe(world, "secret.c", "secret", &[]);
    let sealed = world.protect(&plain, "");
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o711)).expect("own file");
    (plain, sealed)
}

/// Runs a program and lets another process of its user try all doors into it.
fn doors(world: &World, attacker: &Path, program: &Path) -> BTreeMap<String, String> {
    let mut child = world.spawn(program, &[""; 0]);
    let mut address = String::new();
    let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
    stdout.read_line(&mut address).expect("the program speaks");
    let process = child.id().to_string();
    let tried = world.run(attacker, &[&process, address.trim()], "");
    child.kill().expect("it runs");
    outcome(child);
    let pairs = tried.stdout.lines().filter_map(|line| line.split_once(' '));
    pairs.map(|(door, result)| (door.to_owned(), result.to_owned())).collect()
}

#[test]
fn no_door_into_a_protected_program_is_open_to_its_user() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let attacker = probe(&world, "attacker.c", "attacker", &[]);
    let (plain, sealed) = installed(&world);
    let into_plain = doors(&world, &attacker, &plain);
    for door in DOORS {
        assert_eq!(into_plain.get(door).map(String::as_str), Some("open"), "{door} of a plain one");
    }
    let into_sealed = doors(&world, &attacker, &sealed);
    assert_eq!(into_sealed.len(), into_plain.len(), "{into_sealed:?}");
    for (door, result) in &into_sealed {
        assert!(result == "EACCES" || result == "EPERM", "{door} {result}");
    }
    let cat = world.run(Path::new("/bin/cat"), &[sealed.to_str().expect("UTF-8")], "");
    assert_eq!((cat.code, cat.stdout.as_str()), (1, ""), "the file itself can be read");
}

#[test]
fn memory_opened_before_the_first_instruction_is_closed_too() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let early = probe(&world, "early.c", "early", &[]);
    let (plain, sealed) = installed(&world);
    let attack = |program: &Path| {
        let path = program.to_str().expect("UTF-8");
        world.run(&early, &[path], "").ok().stdout
    };
    let read = attack(&plain);
    assert!(read.contains("mem read 29 the secret text of the vendor"), "{read}");
    assert_eq!(attack(&sealed), "mem EACCES\naddress told 1\n");
}

#[test]
fn a_tracer_at_the_start_is_refused() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let traced = probe(&world, "traced.c", "traced", &[]);
    let (_, sealed) = installed(&world);
    let got = world.run(&traced, &[sealed.to_str().expect("UTF-8")], "").refused(125, &["S0904"]);
    assert_eq!(got.stdout, "");
    assert_eq!(world.seats(), 0);
}

#[test]
fn what_would_be_loaded_before_the_program_is_left_out() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let library = probe(&world, "library.c", "preload.so", &["-shared", "-fPIC", "-DPRELOAD"]);
    let folder = world.path("false");
    fs::create_dir(&folder).expect("a folder");
    fs::copy(&library, folder.join("libc.so.6")).expect("room");
    let sealed = world.protect(Path::new("/bin/echo"), "");
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o711)).expect("own file");
    for (variable, value) in [
        ("LD_PRELOAD", &library),
        ("LD_AUDIT", &library),
        ("LD_LIBRARY_PATH", &folder),
        ("LD_DEBUG", &PathBuf::from("all")),
    ] {
        let attack =
            |program: &Path| run(world.command(program, &["hello"]).env(variable, value), "");
        let plain = attack(Path::new("/bin/echo"));
        assert_ne!((plain.stdout.as_str(), plain.stderr.as_str()), ("hello\n", ""), "{variable}");
        let got = attack(&sealed).ok();
        assert_eq!((got.stdout.as_str(), got.stderr.as_str()), ("hello\n", ""), "{variable}");
    }
    let allowed = world.path("sealed/allowed");
    world.protect_as(Path::new("/bin/echo"), &allowed, "--allow-preload");
    let got = run(world.command(&allowed, &["hello"]).env("LD_DEBUG", "all"), "").ok();
    assert!(got.stderr.contains("calling init"), "the vendor allows it");
}

#[test]
fn sec_l08_a_crash_leaves_no_core() {
    let world = World::licensed_to_nobody("quick", "--quantity 1");
    let plain = probe(&world, "secret.c", "secret", &[]);
    // Readable: the kernel's own rule for files that are not must not be what helps.
    let sealed = world.protect(&plain, "");
    let crash = |program: &Path| {
        let line = format!("ulimit -c unlimited; exec {} crash", program.display());
        let mut command = world.command(Path::new("/bin/sh"), &["-c", &line]);
        command.spawn().and_then(|mut child| child.wait()).expect("a shell")
    };
    let (plain, sealed) = (crash(&plain), crash(&sealed));
    assert_eq!((plain.signal(), sealed.signal()), (Some(11), Some(11)));
    assert!(plain.core_dumped(), "the attack itself must work");
    assert!(!sealed.core_dumped());
}

#[test]
fn nothing_of_the_program_can_be_read_in_its_protected_file() {
    let world = World::licensed("quick", "--quantity 1");
    let (plain, sealed) = installed(&world);
    let contains = |file: &Path, text: &[u8]| {
        let bytes = fs::read(file).expect("own file");
        bytes.windows(text.len()).any(|window| window == text)
    };
    assert!(contains(&plain, SECRET) && !contains(&sealed, SECRET));
    let python = Path::new("/usr/bin/python3.11");
    let bytes = fs::read(python).expect("a file");
    let sealed = fs::read(world.protect(python, "")).expect("own file");
    let loader = fs::read(crate::world::built("strongroom-loader")).expect("a file");
    // A sample of 16-byte blocks; what the loader itself has is no secret of the program.
    let blocks = bytes.chunks_exact(16).step_by(997);
    let blocks = blocks.filter(|block| block.iter().any(|&byte| byte != block[0]));
    let found = |hay: &[u8], block: &[u8]| hay.windows(16).any(|window| window == block);
    for block in blocks.take(64) {
        assert!(!found(&sealed, block) || found(&loader, block), "{block:02x?}");
    }
}

#[test]
fn sec_k02_a_dongle_that_says_yes_to_everything_starts_nothing() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new("/bin/touch"), "");
    fs::write(world.path("plain"), "text").expect("room");
    world.cli("protect file plain -o file.sealed --vendor acme --product 7").ok();
    let port = world.socket("shim");
    let shim = Shim::start(&port);
    let source = format!("sim:{}", port.display());
    let mut command = world.command(&sealed, &["trace"]);
    run(command.env("STRONGROOM_SOURCES", &source), "").refused(125, &["S0902"]);
    assert!(!world.path("work/trace").exists(), "the program ran");
    let open = format!("license open file.sealed -o out --source {source}");
    world.cli(&open).refused(6, &["S0902"]);
    assert!(!world.path("out").exists());
    assert_eq!(shim.keys_given(), 2, "the attack itself must get as far as the keys");
    // With the dongle beside it everything goes on.
    world.run(&sealed, &["trace"], "").ok();
    assert!(world.path("work/trace").exists());
}

/// Answers every 64 bytes with the same 64 bytes until the client goes.
fn babble(socket: &Path, say: [u8; 64]) {
    let listener = UnixListener::bind(socket).expect("a free socket");
    thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || {
                let mut report = [0; 64];
                while stream.read_exact(&mut report).is_ok() && stream.write_all(&say).is_ok() {}
            });
        }
    });
}

#[test]
fn sec_k02_a_socket_that_answers_anything_starts_nothing() {
    let world = World::licensed("quick", "--quantity 1");
    let sealed = world.protect(Path::new("/bin/touch"), "");
    let mut ok = [0; 64];
    ok[..2].copy_from_slice(b"ok");
    for (n, say) in [[0; 64], [0xff; 64], ok].into_iter().enumerate() {
        let port = world.socket(&format!("babble{n}"));
        babble(&port, say);
        let source = format!("sim:{}", port.display());
        let mut command = world.command(&sealed, &["trace"]);
        run(command.env("STRONGROOM_SOURCES", &source), "").refused(125, &["S0"]);
        assert!(!world.path("work/trace").exists(), "the program ran");
        let shown = world.cli(&format!("container show --source {source}"));
        assert!([3, 6].contains(&shown.code), "{shown:?}");
    }
}
