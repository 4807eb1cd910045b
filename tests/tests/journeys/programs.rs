//! Debian's programs, protected and with no change to them: with the dongle as before, without it
//! not at all.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::terminal::{Talk, stop_and_go_on};
use crate::world::{Outcome, World, cc};

const LICENSE: &str = "--quantity 64";

/// Runs plain and protected and asserts that nobody can tell them apart.
#[track_caller]
fn same(world: &World, plain: &Path, sealed: &Path, args: &[&str], input: &str) -> Outcome {
    let expected = world.run(plain, args, input);
    let got = world.run(sealed, args, input);
    assert_eq!(got, expected, "{} {args:?}", plain.display());
    got
}

#[track_caller]
fn same_all(world: &World, plain: &Path, sealed: &Path, commands: &[(&[&str], &str)]) {
    assert!(commands.len() >= 10, "at least ten commands are compared");
    for (args, input) in commands {
        same(world, plain, sealed, args, input);
    }
}

/// Ctrl-Z and `fg`, plain and protected.
#[track_caller]
fn same_job(world: &World, plain: &Path, sealed: &Path, line: &str, talk: Talk<'_>) {
    let expected = stop_and_go_on(world, plain, line, talk).ok();
    assert!(expected.stdout.contains("stopped\nlisted\ngoes on\n"), "{}", expected.stdout);
    assert_eq!(stop_and_go_on(world, sealed, line, talk), expected);
    world.wait_for_seats(0);
}

/// Without the dongle: 125, the reason, nothing run.
#[track_caller]
fn refuses_without_dongle(world: &World, sealed: &Path, args: &[&str], trace: &Path) {
    assert!(!trace.exists());
    world.wait_for_seats(0);
    world.fault("unplug");
    let got = world.run(sealed, args, "").refused(125, &["S0805", "no dongle"]);
    assert_eq!(got.stdout, "");
    assert!(!trace.exists(), "something ran");
    world.fault("plug");
    world.run(sealed, args, "").ok();
    assert!(trace.exists(), "it would have left a trace");
}

#[test]
fn busybox() {
    let world = World::licensed("quick", LICENSE);
    let plain = Path::new("/bin/busybox");
    let refused = "protect app /bin/busybox -o bb --vendor acme --product 7";
    world.cli(refused).refused(2, &["unwatched-forks", "static"]);
    assert!(!world.path("bb").exists());
    let sealed = world.protect(plain, "--accept unwatched-forks");
    let long = "line\n".repeat(100_000);
    same_all(
        &world,
        plain,
        &sealed,
        &[
            (&["echo", "hello"], ""),
            (&["wc", "-l"], &long),
            (&["sort", "-r"], "a\nc\nb\n"),
            (&["sha256sum"], "abc"),
            (&["awk", "{s+=$1} END {print s}"], "1\n2\n3\n"),
            (&["sh", "-c", "busybox echo a | busybox tr a b; exit 7"], ""),
            (&["sh", "-c", "busybox seq 100000 | busybox tail -1; busybox false; echo $?"], ""),
            (&["sh", "-c", "kill -TERM $$"], ""),
            (&["sh", "-c", "kill -SEGV $$"], ""),
            (&["sh", "-c", "busybox cat; echo end"], ""),
            (&["sh", "-c", "busybox yes | busybox head -3"], ""),
            (&["ls", "/nowhere"], ""),
            (&["no-such-applet"], ""),
        ],
    );
    same_job(&world, plain, &sealed, "PROGRAM cat", [("one", "one"), ("two", "two")]);
    refuses_without_dongle(&world, &sealed, &["touch", "trace"], &world.path("work/trace"));
}

#[test]
fn sqlite3() {
    let world = World::licensed("quick", LICENSE);
    let plain = Path::new("/usr/bin/sqlite3");
    let sealed = world.protect(plain, "");
    let many = format!("create table t(a);\n{}select sum(a) from t;\n", {
        "insert into t values (2);\n".repeat(2_000)
    });
    same_all(
        &world,
        plain,
        &sealed,
        &[
            (&["--version"], ""),
            (&[":memory:", "select 1+1, sqlite_version();"], ""),
            (&[":memory:"], &many),
            (&[":memory:"], ""),
            (&["-json", ":memory:", "select 1 as a"], ""),
            (&[":memory:", "select * from nowhere"], ""),
            (&["/nowhere/x", "select 1"], ""),
            (&[":memory:", "select upper('x'), json('{\"a\":1}')"], ""),
            (&[":memory:", ".shell echo sub | tr s S"], ""),
            (&["db", "create table if not exists t(a); select count(*) from t"], ""),
            (&["db", ".output |cat", "select 'piped'"], ""),
            (&[":memory:"], ".system kill -TERM $PPID\nselect 'never';\n"),
            (&["-bad-flag"], ""),
        ],
    );
    let talk = [("select 'fir'||'st';", "first"), ("select 'sec'||'ond';", "second")];
    same_job(&world, plain, &sealed, "PROGRAM -batch :memory:", talk);
    let args = ["trace", "create table t(a)"];
    refuses_without_dongle(&world, &sealed, &args, &world.path("work/trace"));
}

const PYTHON: &str = "/usr/bin/python3.11";

#[test]
fn python3() {
    let world = World::licensed("quick", LICENSE);
    let plain = Path::new(PYTHON);
    let sealed = world.protect(plain, "");
    same_all(
        &world,
        plain,
        &sealed,
        &[
            (&["-c", "import ssl, sqlite3, ctypes, zlib, lzma; print(ssl.OPENSSL_VERSION)"], ""),
            (&["-c", "import ssl; print(len(ssl.create_default_context().get_ciphers()))"], ""),
            (&["-c", "import sys; print(sys.argv, sys.version)", "a", "b"], ""),
            (&["-c", "import sys; print(sys.stdin.read()[::-1])"], "abc"),
            (&["-c", "import sys; print(repr(sys.stdin.read()))"], ""),
            (&["-c", "1/0"], ""),
            (&["-c", "import os; os.abort()"], ""),
            (&["-c", "import os; os.kill(os.getpid(), 15)"], ""),
            (&["-c", "import os; os.kill(os.getpid(), 9)"], ""),
            (&["-c", "import sys; sys.exit(42)"], ""),
            (&["-c", "import os; print(os.popen('yes | head -3').read())"], ""),
            (&["-c", "import os; p=os.fork(); p or os._exit(3); print(os.waitpid(p,0)[1])"], ""),
            (&["-c", "import os; print(os.path.basename(os.readlink('/proc/self/exe')))"], ""),
            (&["-"], "print('from stdin')\n"),
        ],
    );
    fs::write(world.path("work/pool.py"), POOL).expect("room");
    same(&world, plain, &sealed, &["pool.py"], "").ok();
    fs::write(world.path("work/echo.py"), ECHO_LINES).expect("room");
    let talk = [("one", "ONE"), ("two", "TWO")];
    same_job(&world, plain, &sealed, "PROGRAM echo.py", talk);
    let args = ["-c", "open('trace', 'w')"];
    refuses_without_dongle(&world, &sealed, &args, &world.path("work/trace"));
}

/// Each child is the same program, started anew or forked.
const POOL: &str = "
import multiprocessing, os, sys

def name(n):
    return n * n, os.path.basename(os.readlink('/proc/self/exe'))

if __name__ == '__main__':
    for method in 'spawn', 'fork', 'forkserver':
        with multiprocessing.get_context(method).Pool(3) as pool:
            print(method, pool.map(name, range(6)))
";

const ECHO_LINES: &str = "
import sys
for line in sys.stdin:
    print(line.upper(), end='', flush=True)
";

/// The compiler's folders, with `cc1` and the driver in `bin` left out: links to Debian's.
fn compiler_tree(root: &Path) -> PathBuf {
    let inner = root.join("lib/gcc/x86_64-linux-gnu/12");
    fs::create_dir_all(&inner).expect("a folder");
    fs::create_dir(root.join("bin")).expect("a folder");
    for entry in fs::read_dir("/usr/lib/gcc/x86_64-linux-gnu/12").expect("gcc 12") {
        let entry = entry.expect("an entry");
        if entry.file_name() != "cc1" {
            symlink(entry.path(), inner.join(entry.file_name())).expect("a link");
        }
    }
    inner
}

const HELLO: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 6; }\n";

/// The driver finds the compiler relative to its own place; both are protected.
#[test]
fn gcc() {
    let world = World::licensed("quick", LICENSE);
    let [plain, sealed] = ["plain", "sealed"].map(|name| {
        let root = world.path(name);
        let inner = compiler_tree(&root);
        (root.join("bin/gcc"), inner.join("cc1"))
    });
    let compiler = Path::new("/usr/lib/gcc/x86_64-linux-gnu/12/cc1");
    fs::copy("/usr/bin/gcc", &plain.0).expect("room");
    fs::copy(compiler, &plain.1).expect("room");
    world.protect_as(Path::new("/usr/bin/gcc"), &sealed.0, "");
    world.protect_as(compiler, &sealed.1, "");
    fs::write(world.path("work/hello.c"), HELLO).expect("room");
    fs::write(world.path("work/alone.c"), "int f(int a) { return a * 5; }\n").expect("room");
    fs::write(world.path("work/wrong.c"), "int main(void) { return nothing; }\n").expect("room");
    let found = world.run(&sealed.0, &["-print-prog-name=cc1"], "").ok().stdout;
    let found = fs::canonicalize(found.trim_end()).expect("the compiler");
    assert_eq!(found, sealed.1, "the protected driver runs another compiler");
    same_all(
        &world,
        &plain.0,
        &sealed.0,
        &[
            (&["--version"], ""),
            (&["-dumpmachine"], ""),
            (&["-E", "-P", "-x", "c", "-"], "int x = __LINE__;\n"),
            (&["-S", "-O2", "-o-", "-x", "c", "-"], "int f(int a) { return a * 3; }\n"),
            (&["-S", "-o-", "-x", "c", "-"], ""),
            (&["-fsyntax-only", "-Wall", "-x", "c", "-"], "int f(void) { int a; return a; }\n"),
            (&["-c", "wrong.c"], ""),
            (&["nowhere.c"], ""),
            (&["-pipe", "hello.c", "-o", "piped"], ""),
            (&["-O2", "-c", "hello.c", "-o", "hello.o"], ""),
            (&["-bad-flag", "hello.c"], ""),
            (&[], ""),
        ],
    );
    program_of(&world, &plain, &sealed);
    // The driver of the job reads nothing; its child does.
    let line = "PROGRAM -E -P -x c -";
    same_job(&world, &plain.0, &sealed.0, line, [("", ""), ("int last;", "")]);
    let args = ["-c", "hello.c", "-o", "trace"];
    refuses_without_dongle(&world, &sealed.0, &args, &world.path("work/trace"));
    let args = ["-quiet", "alone.c", "-o", "other-trace"];
    refuses_without_dongle(&world, &sealed.1, &args, &world.path("work/other-trace"));
}

/// Compiles one program with each, and one that a signal ends.
fn program_of(world: &World, plain: &(PathBuf, PathBuf), sealed: &(PathBuf, PathBuf)) {
    let object = |name: &str| fs::read(world.path("work").join(name)).expect("an object");
    for (driver, name) in [(&plain.0, "plain.o"), (&sealed.0, "sealed.o")] {
        world.run(driver, &["-O2", "-c", "hello.c", "-o", name], "").ok();
    }
    assert!(object("plain.o") == object("sealed.o"), "objects differ");
    world.run(&sealed.0, &["hello.c", "-o", "hello"], "").ok();
    let hello = world.run(&world.path("work/hello"), &[], "");
    assert_eq!((hello.stdout.as_str(), hello.code), ("hello\n", 6));
    // Where nothing may be written a signal ends the compiler, and the driver says so.
    let drivers = ("-c", [&plain.0, &sealed.0], 4);
    let compilers = ("-quiet", [&plain.1, &sealed.1], 128 + 25);
    for (args, which, end) in [drivers, compilers] {
        let ends = which.map(|program| {
            let line = format!("ulimit -f 0; exec {} {args} alone.c -o no", program.display());
            world.run(Path::new("/bin/sh"), &["-c", &line], "").code
        });
        assert_eq!(ends, [end; 2]);
    }
}

const GIT_SETTINGS: [(&str, &str); 7] = [
    ("GIT_CONFIG_NOSYSTEM", "1"),
    ("GIT_AUTHOR_DATE", "1700000000 +0000"),
    ("GIT_COMMITTER_DATE", "1700000000 +0000"),
    ("GIT_AUTHOR_NAME", "a"),
    ("GIT_COMMITTER_NAME", "a"),
    ("GIT_AUTHOR_EMAIL", "a@b"),
    ("GIT_COMMITTER_EMAIL", "a@b"),
];

/// Protected at both of its places: in PATH and under git-core.
#[test]
fn git() {
    let world = World::licensed("quick", LICENSE);
    let plain = Path::new("/usr/bin/git");
    let sealed = world.protect(plain, "");
    let core = world.path("git-core");
    fs::create_dir(&core).expect("a folder");
    for entry in fs::read_dir("/usr/lib/git-core").expect("git") {
        let entry = entry.expect("an entry");
        let target = fs::read_link(entry.path()).unwrap_or_else(|_| entry.path());
        if entry.file_name() != "git" {
            symlink(target, core.join(entry.file_name())).expect("a link");
        }
    }
    world.protect_as(Path::new("/usr/lib/git-core/git"), &core.join("git"), "");
    let commands: [(&[&str], &str); 13] = [
        (&["init", "-q", "-b", "main", "r"], ""),
        (&["-C", "r", "commit", "-q", "--allow-empty", "-m", "one"], ""),
        (&["-C", "r", "log", "--format=%H %s"], ""),
        (&["clone", "--no-local", "r", "copy"], ""),
        (&["-C", "copy", "log", "--format=%H %s"], ""),
        (&["-C", "copy", "status"], ""),
        (&["-C", "copy", "fsck"], ""),
        (&["-C", "copy", "nonsense"], ""),
        (&["-C", "copy", "push", "origin", "main:other"], ""),
        (&["hash-object", "--stdin"], "text"),
        (&["hash-object", "--stdin"], ""),
        (&["-C", "r", "-c", "alias.die=!kill -TERM $PPID", "die"], ""),
        (&["-C", "r", "-c", "pager.log=cat", "-p", "log", "--format=%s"], ""),
    ];
    let all = |program: &Path| -> Vec<Outcome> {
        let run = |(args, input): &(&[&str], &str)| {
            let mut command = world.command(program, args);
            command.envs(GIT_SETTINGS);
            if program == sealed {
                command.env("GIT_EXEC_PATH", &core);
            }
            crate::world::run(&mut command, input)
        };
        let outcomes: Vec<Outcome> = commands.iter().map(run).collect();
        for folder in ["work/r", "work/copy"] {
            let removed = fs::remove_dir_all(world.path(folder));
            removed.unwrap_or_else(|error| panic!("{folder}: {error}: {outcomes:#?}"));
        }
        outcomes
    };
    for ((plain, got), step) in all(plain).iter().zip(&all(&sealed)).zip(&commands) {
        assert_eq!(got, plain, "{step:?}");
    }
    world.run(plain, &["init", "-q", "."], "").ok();
    let talk = [("one", "one missing"), ("two", "two missing")];
    same_job(&world, plain, &sealed, "PROGRAM cat-file --batch-check", talk);
    let args = ["init", "-q", "trace"];
    refuses_without_dongle(&world, &sealed, &args, &world.path("work/trace"));
    world.fault("unplug");
    world.run(&core.join("git"), &["--version"], "").refused(125, &["S0805"]);
}

const BUNDLED: &str = r#"
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
const char *bundled(void);
int main(int argc, char **argv) {
    const char *how = argc > 1 ? argv[1] : "";
    char line[64];
    printf("%s from %s\n", bundled(), strrchr(argv[0], '/') ? "a path" : argv[0]);
    fflush(stdout);
    if (!strcmp(how, "lines"))
        while (fgets(line, sizeof line, stdin)) { printf("got %s", line); fflush(stdout); }
    if (!strcmp(how, "exit")) return atoi(argv[2]);
    if (!strcmp(how, "raise")) raise(atoi(argv[2]));
    if (!strcmp(how, "touch")) return !fopen(argv[2], "w");
    if (!strcmp(how, "pipe")) return pclose(popen("tr a-z A-Z; exit 3", "w")) >> 8;
    if (!strcmp(how, "error")) { fputs("wrong\n", stderr); abort(); }
    return 0;
}
"#;

/// A program with its own library, found by RUNPATH `$ORIGIN/lib`.
#[test]
fn a_program_with_a_bundled_library() {
    let world = World::licensed("quick", LICENSE);
    fs::write(world.path("bundled.c"), BUNDLED).expect("room");
    let library = "const char *bundled(void) { return \"the bundled library\"; }\n";
    fs::write(world.path("library.c"), library).expect("room");
    for folder in ["plain/lib", "sealed/lib"] {
        fs::create_dir_all(world.path(folder)).expect("a folder");
        let out = world.path(folder).join("libbundled.so");
        cc(&world.path("library.c"), &out, &["-shared", "-fPIC"]);
    }
    let plain = world.path("plain/program");
    let folder = format!("-L{}", world.path("plain/lib").display());
    let flags = [&folder, "-lbundled", "-Wl,--enable-new-dtags,-rpath,$ORIGIN/lib"];
    cc(&world.path("bundled.c"), &plain, &flags);
    let sealed = world.protect(&plain, "");
    // No protected file of these tests needs to be read to be run.
    fs::set_permissions(&sealed, fs::Permissions::from_mode(0o711)).expect("own file");
    same_all(
        &world,
        &plain,
        &sealed,
        &[
            (&[], ""),
            (&["lines"], "a\nb\n"),
            (&["lines"], ""),
            (&["exit", "0"], ""),
            (&["exit", "77"], ""),
            (&["raise", "1"], ""),
            (&["raise", "9"], ""),
            (&["raise", "11"], ""),
            (&["raise", "15"], ""),
            (&["pipe"], "shouted\n"),
            (&["error"], ""),
        ],
    );
    let talk = [("one", "got one"), ("two", "got two")];
    same_job(&world, &plain, &sealed, "PROGRAM lines", talk);
    refuses_without_dongle(&world, &sealed, &["touch", "trace"], &world.path("work/trace"));
    fs::remove_file(world.path("sealed/lib/libbundled.so")).expect("own file");
    world.run(&sealed, &[], "").refused(127, &["libbundled.so"]);
}
