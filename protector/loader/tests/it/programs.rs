//! Real programs, plain against protected: what they print and how they end.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use crate::harness::World;

fn same_all(
    world: &World,
    plain: &str,
    settings: &[&str],
    commands: &[(&[&str], &str)],
) -> PathBuf {
    let plain = Path::new(plain);
    let sealed = world.seal(plain, settings);
    for (args, input) in commands {
        world.same(plain, &sealed, args, input);
    }
    sealed
}

#[test]
fn busybox() {
    let world = World::new();
    let long = "line\n".repeat(100_000);
    same_all(
        &world,
        "/bin/busybox",
        &["forks=1"],
        &[
            (&["echo", "hello"], ""),
            (&["wc", "-l"], &long),
            (&["sort", "-r"], "a\nc\nb\n"),
            (&["sha256sum"], "abc"),
            (&["awk", "{s+=$1} END {print s}"], "1\n2\n3\n"),
            (&["sh", "-c", "echo a | tr a b; exit 7"], ""),
            (&["sh", "-c", "seq 100000 | tail -1; busybox false; echo $?"], ""),
            (&["sh", "-c", "kill -TERM $$"], ""),
            (&["sh", "-c", "cat; echo end"], ""),
            (&["ls", "/nowhere"], ""),
            (&["no-such-applet"], ""),
            (&["sh", "-c", "yes | head -3"], ""),
        ],
    );
}

#[test]
fn python() {
    let world = World::new();
    let threads = "import threading as t\nx=[]\n\
                   r=[t.Thread(target=x.append,args=(n,)) for n in range(9)]\n\
                   [y.start() for y in r]\n[y.join() for y in r]\nprint(sorted(x))";
    same_all(
        &world,
        "/usr/bin/python3.11",
        &[],
        &[
            (&["-c", "import ssl, sqlite3, ctypes, zlib, lzma; print(ssl.OPENSSL_VERSION)"], ""),
            (&["-c", "import sys; print(sys.argv, sys.version)", "a", "b"], ""),
            (&["-c", "import sys; print(sys.stdin.read()[::-1])"], "abc"),
            (&["-c", "1/0"], ""),
            (&["-c", "import os; os.abort()"], ""),
            (&["-c", "import os; os.kill(os.getpid(), 15)"], ""),
            (&["-c", "import sys; sys.exit(42)"], ""),
            (&["-c", threads], ""),
            (&["-c", "import ctypes; print(ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 5)())"], ""),
            (&["-c", "import os; p=os.fork(); p or os._exit(3); print(os.waitpid(p,0)[1])"], ""),
            (
                &[
                    "-c",
                    "import subprocess as s; print(s.run('cat', input=b'x', capture_output=True))",
                ],
                "",
            ),
            (&["-c", "import os; print(os.path.basename(os.readlink('/proc/self/exe')))"], ""),
            (&["-"], "print('from stdin')\n"),
        ],
    );
}

#[test]
fn sqlite() {
    let world = World::new();
    same_all(
        &world,
        "/usr/bin/sqlite3",
        &[],
        &[
            (&["--version"], ""),
            (&[":memory:", "select 1+1, sqlite_version();"], ""),
            (
                &[":memory:"],
                "create table t(a); insert into t values (1),(2); select sum(a) from t;\n",
            ),
            (&["-json", ":memory:", "select 1 as a"], ""),
            (&[":memory:", "select * from nowhere"], ""),
            (&["/nowhere/x", "select 1"], ""),
            (&[":memory:", "select upper('x'), json('{\"a\":1}')"], ""),
            (&[":memory:", ".shell echo sub"], ""),
            (&["db", "create table if not exists t(a); select count(*) from t"], ""),
            (&["-bad-flag"], ""),
        ],
    );
}

#[test]
fn compiler_driver_and_compiler() {
    let world = World::new();
    let source = world.path("work/hello.c");
    fs::write(&source, "#include <stdio.h>\nint main(void){puts(\"hello\");return 6;}\n")
        .expect("room");
    let driver = world.seal("/usr/bin/gcc".as_ref(), &[]);
    let found = world.run("/usr/bin/gcc".as_ref(), &["-print-prog-name=cc1"], "").stdout;
    let compiler = world.seal(found.trim_end().as_ref(), &[]);
    let with = format!("-B{}/", compiler.parent().expect("a folder").display());
    let object = |name: &str| fs::read(world.path("work").join(name)).expect("an object");
    let plain = world.run("/usr/bin/gcc".as_ref(), &["-O2", "-c", "hello.c", "-o", "plain.o"], "");
    let sealed = world.run(&driver, &[&with, "-O2", "-c", "hello.c", "-o", "sealed.o"], "");
    assert_eq!(sealed, plain);
    assert!(object("plain.o") == object("sealed.o"), "objects differ");
    assert_eq!(world.seats.wait_all_returned().opened, 2);
    let linked = world.run(&driver, &[&with, "hello.c", "-o", "hello"], "");
    assert_eq!(linked.code(), 0, "{}", linked.stderr);
    let hello = world.run(&world.path("work/hello"), &[], "");
    assert_eq!((hello.stdout.as_str(), hello.code()), ("hello\n", 6));
    for args in [&["nowhere.c"][..], &["--version"], &["-dumpmachine"], &["-E", "-x", "c", "-"]] {
        world.same("/usr/bin/gcc".as_ref(), &driver, args, "int x = __LINE__;\n");
    }
}

#[test]
fn version_control() {
    let world = World::new();
    let git = Path::new("/usr/bin/git");
    let sealed = world.seal(git, &[]);
    let helpers = world.path("sealed/core");
    fs::create_dir(&helpers).expect("a folder");
    for name in ["git", "git-upload-pack", "git-receive-pack"] {
        symlink(&sealed, helpers.join(name)).expect("a link");
    }
    let run = |program: &Path, args: &[&str]| {
        world.run_with(program, args, "", |command| {
            command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_AUTHOR_DATE", "1700000000 +0000");
            command.env("GIT_COMMITTER_DATE", "1700000000 +0000");
            if program == sealed {
                command.env("GIT_EXEC_PATH", &helpers);
            }
        })
    };
    let identity = ["-c", "user.name=a", "-c", "user.email=a@example"];
    let steps: [&[&str]; 9] = [
        &["init", "-q", "-b", "main", "r"],
        &["-C", "r", "commit", "-q", "--allow-empty", "-m", "one"],
        &["-C", "r", "log", "--format=%H %s"],
        &["clone", "-q", "--no-local", "r", "copy"],
        &["-C", "copy", "log", "--format=%H %s"],
        &["-C", "copy", "status"],
        &["-C", "copy", "fsck"],
        &["-C", "copy", "nonsense"],
        &["-C", "copy", "push", "origin", "main:other"],
    ];
    let all = |program: &Path| -> Vec<_> {
        let outcomes =
            steps.iter().map(|step| run(program, &[&identity[..], step].concat())).collect();
        for folder in ["work/r", "work/copy"] {
            fs::remove_dir_all(world.path(folder)).expect("a repository");
        }
        outcomes
    };
    let (plain, protected) = (all(git), all(&sealed));
    for ((plain, protected), step) in plain.iter().zip(&protected).zip(steps) {
        assert_eq!(protected, plain, "{step:?}");
    }
    world.seats.wait_all_returned();
}

/// Shared with the journeys; it says at its head what it does.
const TERMINAL: &str = include_str!("probes/terminal.py");

#[test]
fn job_control_under_a_terminal() {
    let world = World::new();
    let sealed = world.seal("/bin/cat".as_ref(), &[]);
    let python = Path::new("/usr/bin/python3.11");
    // Ctrl-C: the program dies by its signal.
    let talk = ["first", "first", "second", "second", "\u{3}"];
    let job = |program: &str| {
        let args: Vec<&str> = ["-c", TERMINAL, program].into_iter().chain(talk).collect();
        world.run(python, &args, "")
    };
    let plain = job("/bin/cat");
    assert_eq!(job(sealed.to_str().expect("UTF-8")), plain);
    assert_eq!(plain.stdout, "stopped\nlisted\ngoes on\n[]\n130\n0\n");
    world.seats.wait_all_returned();
}
