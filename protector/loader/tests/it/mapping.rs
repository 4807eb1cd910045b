//! How programs of all link kinds are mapped, and each trap of mapping.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

use crate::harness::{Outcome, World};

const KINDS: [(&str, &[&str]); 4] = [
    ("pie", &["-pie", "-fPIE"]),
    ("fixed", &["-no-pie"]),
    ("static", &["-static", "-no-pie"]),
    ("static-pie", &["-static-pie", "-fPIE"]),
];

fn probes(world: &World) -> Vec<PathBuf> {
    KINDS.iter().map(|(name, flags)| world.build("probe.c", name, flags)).collect()
}

#[test]
fn a_program_sees_the_process_it_always_saw() {
    let world = World::new();
    for plain in probes(&world) {
        let sealed = world.seal_without_seat(&plain);
        let seen = world.same(&plain, &sealed, &["copy", "17"], "input\nwithout end");
        assert_eq!(seen.code(), 17);
        assert!(seen.stdout.contains("registered 1\n"), "{}", seen.stdout);
        assert!(seen.stdout.ends_with("input\nwithout endatexit 1\n"), "{}", seen.stdout);
    }
}

#[test]
fn a_watched_program_sees_it_too() {
    let world = World::new();
    for plain in probes(&world) {
        let sealed = world.seal(&plain, &["forks=1"]);
        world.same(&plain, &sealed, &["copy", "17"], "input\n");
    }
    assert_eq!(world.seats.counts().opened, KINDS.len());
}

#[test]
fn an_ordinary_user_sees_it_too() {
    let world = World::new();
    for plain in probes(&world) {
        let sealed = world.seal(&plain, &["forks=1"]);
        let run = |program| world.run_with(program, &["copy"], "x\n", as_nobody);
        assert_eq!(run(&sealed), run(&plain));
    }
}

fn as_nobody(command: &mut std::process::Command) {
    command.uid(crate::harness::NOBODY).gid(crate::harness::NOBODY).current_dir("/");
}

#[test]
fn code_on_the_stack_runs() {
    let world = World::new();
    for (name, flags) in
        [("dynamic", &["-zexecstack"][..]), ("static", &["-zexecstack", "-static"])]
    {
        let plain = world.build("nested.c", name, flags);
        let sealed = world.seal(&plain, &["forks=1"]);
        assert_eq!(world.same(&plain, &sealed, &["x"], "").stdout, "43\n");
    }
}

#[test]
fn a_library_beside_the_program_is_found() {
    let world = World::new();
    for folder in ["origin/lib", "sealed/lib"] {
        std::fs::create_dir(world.path(folder)).expect("a folder");
    }
    let library = world.build("library.c", "lib/libbeside.so", &["-shared", "-fPIC"]);
    std::fs::copy(&library, world.path("sealed/lib/libbeside.so")).expect("room");
    let search = format!("-L{}", world.path("origin/lib").display());
    let flags = ["-DPROGRAM", &search, "-lbeside", "-Wl,-rpath,$ORIGIN/lib"];
    let plain = world.build("library.c", "origin", &flags);
    let sealed = world.seal(&plain, &[]);
    assert_eq!(world.same(&plain, &sealed, &[], "").stdout, "from beside\n");
}

#[test]
fn addresses_differ_in_each_start() {
    let world = World::new();
    let sealed = world.seal_without_seat(&world.build("address.c", "address", &["-pie", "-fPIE"]));
    let seen: Vec<String> = (0..3).map(|_| world.run(&sealed, &[], "").stdout).collect();
    assert!(seen[0] != seen[1] && seen[1] != seen[2], "{seen:?}");
}

fn environment(world: &World, program: &Path, more: &[(&str, &str)]) -> Outcome {
    world.run_with(program, &[], "", |command| {
        command.envs(more.iter().copied());
    })
}

#[test]
fn foreign_libraries_are_dropped_from_the_environment() {
    let world = World::new();
    let library = world.build("library.c", "preload.so", &["-shared", "-fPIC", "-DPRELOAD"]);
    let library = library.to_str().expect("UTF-8");
    let plain = world.build("address.c", "env", &["-DENVIRONMENT"]);
    let (one, two) =
        ([("LD_PRELOAD", library)], [("LD_PRELOAD", library), ("LD_LIBRARY_PATH", "/nowhere")]);
    let expected = environment(&world, &plain, &[]);
    let sealed = world.seal(&plain, &[]);
    for more in [&one[..], &two] {
        assert_eq!(environment(&world, &sealed, more), expected, "{more:?}");
    }
    let allowed = world.seal(&plain, &["preload=1"]);
    for more in [&one[..], &two] {
        let got = environment(&world, &allowed, more);
        assert_eq!(got, environment(&world, &plain, more), "{more:?}");
        assert!(got.stdout.contains("preloaded"), "{}", got.stdout);
    }
}

#[test]
fn text_is_mapped_from_a_memory_file_where_memory_may_not_become_executable() {
    let world = World::new();
    let launcher = world.build("mdwe.c", "mdwe", &[]);
    for plain in probes(&world) {
        let sealed = world.seal(&plain, &["forks=1"]);
        let run = |program: &Path| {
            let program = program.to_str().expect("UTF-8");
            world.run(&launcher, &[program, "copy", "11"], "some\n")
        };
        let got = run(&sealed);
        assert_eq!(got, run(&plain), "{}", plain.display());
        assert_eq!(got.code(), 11);
    }
}

#[test]
fn too_little_memory_is_said() {
    let world = World::new();
    let plain = world.build("nested.c", "big-data", &["-static", "-DBIG"]);
    let sealed = world.seal_without_seat(&plain);
    let line = format!("ulimit -v 50000; exec {} x", sealed.display());
    let got = world.run("/bin/sh".as_ref(), &["-c", &line], "");
    assert_eq!(got.code(), 125, "{got:?}");
    assert!(got.stderr.contains("no memory for the program"), "{}", got.stderr);
}

#[test]
fn an_unlimited_stack_is_no_obstacle() {
    let world = World::new();
    let plain = world.build("probe.c", "stack", &[]);
    let sealed = world.seal(&plain, &[]);
    let run = |program: &Path| {
        let line = format!("ulimit -s unlimited; exec {} a b", program.display());
        world.run("/bin/sh".as_ref(), &["-c", &line], "")
    };
    let without_name =
        |outcome: Outcome| outcome.stdout.replace(&*world.path("").to_string_lossy(), "");
    let (got, expected) = (without_name(run(&sealed)), without_name(run(&plain)));
    assert_eq!(got.replace("sealed/", "origin/"), expected.replace("sealed/", "origin/"));
}
