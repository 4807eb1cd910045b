//! Starts that are refused: 125, the reason, nothing run.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{NOBODY, World};
use crate::seal::{payload, seal_payload};
use crate::seat::Answer;
use std::os::unix::process::CommandExt;

const ECHO: &str = "/bin/echo";

fn refused(world: &World, program: &Path, reason: &str) {
    let got = world.run(program, &["ran"], "");
    assert_eq!((got.code(), got.stdout.as_str()), (125, ""), "{got:?}");
    assert!(got.stderr.contains(reason), "{}", got.stderr);
}

#[test]
fn no_seat_no_program() {
    let world = World::new();
    let sealed = world.seal(ECHO.as_ref(), &[]);
    world.seats.answer(Answer::Deny);
    refused(
        &world,
        &sealed,
        "echo: test: the license was withdrawn (S0001)\necho: ask the test's server again\n",
    );
}

#[test]
fn the_reason_is_also_given_as_json_where_asked() {
    let world = World::new();
    let sealed = world.seal(ECHO.as_ref(), &[]);
    world.seats.answer(Answer::Deny);
    let line = format!("STRONGROOM_REPORT_FD=1 exec {} ran", sealed.display());
    let got = world.run("/bin/sh".as_ref(), &["-c", &line], "");
    let expected = "{\"schema\":\"strongroom.report/v1\",\"error\":{\"code\":\"S0001\",\
                    \"title\":\"test: the license was \
                    withdrawn\",\"hint\":\"ask the test's server again\"}}\n";
    assert_eq!((got.stdout.as_str(), got.code()), (expected, 125));
    for number in ["-1", "77", "x", "99999999999999999999"] {
        let line = format!("STRONGROOM_REPORT_FD={number} exec {} ran", sealed.display());
        assert_eq!(world.run("/bin/sh".as_ref(), &["-c", &line], "").code(), 125);
    }
}

#[test]
fn a_loader_without_a_program_says_so() {
    let world = World::new();
    refused(&world, env!("CARGO_BIN_EXE_strongroom-loader").as_ref(), "holds no protected program");
}

#[test]
fn other_kinds_and_versions_are_named() {
    let world = World::new();
    let out = world.path("sealed/odd");
    for at in [8, 9] {
        let mut bytes = payload(&fs::read(ECHO).expect("a program"), &[]);
        bytes[at] = 99;
        seal_payload(&bytes, &out);
        refused(&world, &out, "(S0103)");
    }
}

#[test]
fn bad_bytes_are_refused_and_never_run() {
    let world = World::new();
    let program = fs::read(ECHO).expect("a program");
    let out = world.path("sealed/bad");
    for len in [0, 1, 63, 64, 200, 4096, program.len() / 2] {
        seal_payload(&payload(&program[..len], &[]), &out);
        refused(&world, &out, "the protected program cannot be mapped");
    }
    for (at, byte) in [(0, 0), (4, 1), (18, 183), (16, 1), (54, 1), (56, 0), (57, 0xff), (39, 0xff)]
    {
        let mut bad = program.clone();
        bad[at] = byte;
        seal_payload(&payload(&bad, &[]), &out);
        refused(&world, &out, "the protected program cannot be mapped");
    }
}

#[test]
fn a_missing_dynamic_linker_is_named() {
    let world = World::new();
    let plain = world.build("fork.c", "odd-linker", &["-Wl,--dynamic-linker=/nowhere/ld.so"]);
    refused(&world, &world.seal_without_seat(&plain), ": /nowhere/ld.so (S090A)");
}

#[test]
fn raised_rights_are_refused() {
    let world = World::new();
    let sealed = world.seal(ECHO.as_ref(), &[]);
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o4755)).expect("own file");
    let got = world.run_with(&sealed, &["ran"], "", |command| {
        command.uid(NOBODY).gid(NOBODY);
    });
    assert_eq!((got.code(), got.stdout.as_str()), (125, ""), "{got:?}");
    assert!(got.stderr.contains("raised rights"), "{}", got.stderr);
}

#[test]
fn no_room_for_a_timer_is_refused_since_nothing_could_end_the_program() {
    let world = World::new();
    let sealed = world.seal(ECHO.as_ref(), &[]);
    let line = format!("ulimit -i 0; exec {} ran", sealed.display());
    let got = world.run("/bin/bash".as_ref(), &["-c", &line], "");
    assert_eq!((got.code(), got.stdout.as_str()), (125, ""), "{got:?}");
    assert!(got.stderr.contains("refuses a timer"), "{}", got.stderr);
}

/// The key of sealed images in these tests.
const KEY: [u8; 32] = [0x5a; 32];

fn sealed_content(program: &[u8]) -> Vec<u8> {
    let mut sealed = Vec::new();
    let salt = |out: &mut [u8]| -> Result<(), std::io::Error> {
        out.fill(7);
        Ok(())
    };
    let sealer = content::Sealer::new(&KEY, &[], salt).expect("a sealer");
    content::seal_reader(sealer, program, &mut sealed).expect("room");
    sealed
}

#[test]
fn sealed_bytes_that_were_changed_are_refused_and_never_run() {
    let world = World::new();
    let sealed = sealed_content(&fs::read(ECHO).expect("a program"));
    let key = format!("key={}", "5a".repeat(32));
    let out = world.path("sealed/echo");
    seal_payload(&payload(&sealed, std::slice::from_ref(&key)), &out);
    let got = world.run(&out, &["ran"], "");
    assert_eq!((got.stdout.as_str(), got.code()), ("ran\n", 0), "{}", got.stderr);
    let last = sealed.len() - 1;
    for at in [0, 30, 60, 100, 17_000, last / 2, last] {
        let mut changed = sealed.clone();
        changed[at] ^= 1;
        seal_payload(&payload(&changed, std::slice::from_ref(&key)), &out);
        refused(&world, &out, "(S0902)");
    }
    for len in [0, 40, 20_000, last] {
        seal_payload(&payload(&sealed[..len], std::slice::from_ref(&key)), &out);
        refused(&world, &out, "(S0902)");
    }
    seal_payload(&payload(&sealed, &[format!("key={}", "5b".repeat(32))]), &out);
    refused(&world, &out, "(S0902)");
}
