//! The C library as a C programmer meets it: installed, found by pkg-config, called by programs in
//! C and C++, and by one that does everything wrong.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use protocol::objects::license::OptionKind;

use crate::options::{Meanwhile, Row, row};
use crate::world::{Outcome, World, outcome, run};

/// Options that are tried from C.
const TEN: [OptionKind; 10] = [
    OptionKind::FeatureMap,
    OptionKind::LicenseQuantity,
    OptionKind::ExpirationTime,
    OptionKind::DeniedModes,
    OptionKind::MinimumRuntime,
    OptionKind::MaintenancePeriod,
    OptionKind::UsagePeriod,
    OptionKind::Checkpoint,
    OptionKind::NamedUser,
    OptionKind::Region,
];

const C99: [&str; 6] = ["gcc", "-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic"];
const CPP11: [&str; 6] = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-pedantic"];
const THREADS: [&str; 2] = ["-D_POSIX_C_SOURCE=200809L", "-pthread"];

/// The library, installed below a prefix of its own.
struct Installed {
    prefix: PathBuf,
}

impl Installed {
    /// Installs what cargo has built beside this test.
    fn in_world(world: &World) -> Self {
        let prefix = world.path("prefix");
        let this = std::env::current_exe().expect("a running test");
        let mut install = Command::new(repository().join("dev"));
        install.args(["install-c", "--prefix"]).arg(&prefix);
        install.arg("--from").arg(this.parent().expect("target/debug/deps"));
        assert_eq!(run(&mut install, "").code, 0, "it is not installed");
        Installed { prefix }
    }

    /// What pkg-config says of it.
    fn flags(&self, asked: &[&str]) -> Vec<String> {
        let mut ask = Command::new("pkg-config");
        ask.env("PKG_CONFIG_PATH", self.prefix.join("lib/pkgconfig"));
        let told = run(ask.args(asked).arg("strongroom"), "");
        assert_eq!(told.code, 0, "{told:?}");
        told.stdout.split_whitespace().map(str::to_owned).collect()
    }

    /// Builds a program that finds the shared library where it is installed.
    fn build(&self, compiler: &[&str], source: &Path, more: &[&str]) -> PathBuf {
        let linked = format!("-Wl,-rpath,{}", self.prefix.join("lib").display());
        self.build_with(compiler, source, more, &self.flags(&["--cflags", "--libs"]), &linked)
    }

    /// Builds a program that has the library in it.
    fn build_static(&self, compiler: &[&str], source: &Path) -> PathBuf {
        let flags = self.flags(&["--static", "--cflags", "--libs"]);
        let archive = |flag: String| flag.replace("-lstrongroom", "-l:libstrongroom.a");
        let flags: Vec<String> = flags.into_iter().map(archive).collect();
        self.build_with(compiler, source, &[], &flags, "-Wl,--as-needed")
    }

    fn build_with(
        &self,
        compiler: &[&str],
        source: &Path,
        more: &[&str],
        flags: &[String],
        linked: &str,
    ) -> PathBuf {
        let name = source.file_name().expect("a file").to_string_lossy().replace('.', "-");
        let out = self.prefix.join(format!("{name}{}", more.concat()));
        let mut build = Command::new(compiler[0]);
        build.args(&compiler[1..]).args(more).arg("-o").arg(&out).arg(source);
        let built = run(build.args(flags).arg(linked), "");
        assert_eq!(built.code, 0, "{}", built.stderr);
        out
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A program of these tests.
fn source(name: &str) -> PathBuf {
    repository().join("bindings/c/tests").join(name)
}

/// The fingerprint of the vendor `acme`.
fn fingerprint(world: &World) -> String {
    let shown = world.cli("vendor show --vendor acme --json").ok().data();
    shown["root_fp"].as_str().expect("a text").to_owned()
}

/// Text of several chunks, and the protected file made of it.
fn protected_text(world: &World) -> (String, PathBuf) {
    let text: String = (0..9_000).map(|n| format!("{n}\n")).collect();
    fs::write(world.path("plain"), &text).expect("own file");
    world.cli("protect file plain -o sealed/text --vendor acme --product 7").ok();
    (text, world.path("sealed/text"))
}

#[test]
fn programs_in_c_and_cpp_find_ask_use_and_read() {
    let world = World::licensed("rtc", "--quantity 1");
    world.cli("container rename Desk").ok();
    let (text, sealed) = protected_text(&world);
    let (sealed, plain) = (sealed.to_str().expect("UTF-8"), world.path("plain"));
    let args = [&fingerprint(&world), "7", sealed, plain.to_str().expect("UTF-8")];
    let installed = Installed::in_world(&world);
    let shared = installed.build(&C99, &source("tour.c"), &[]);
    let toured = world.run(&shared, &args, "").ok();
    let serial = world.cli("container show --json").ok().data()["container"]["serial"].clone();
    let told = [
        format!("version {}", env!("CARGO_PKG_VERSION")),
        format!("found {} \"Desk\"", serial.as_str().expect("a text")),
        "found  \"\"".to_owned(),
        "a sign of life is due every 10 s, the latest after 30 s".to_owned(),
        format!("read {} bytes", text.len()),
        "0380: the license expired at (a time); the container's clock says (a time); fault 1, \
         exit 5, 69 bytes"
            .to_owned(),
    ];
    assert_eq!(toured.stdout.lines().collect::<Vec<_>>(), told);
    for words in [
        "hindered [S0805]: a source of containers cannot be reached",
        "no container [S0805]",
        "another source [S0804]: a source of containers is not known (floppy)",
        "another serial [S0803]: the container asked for was not found among 1\n",
        "another product [S0320]: product 8 is not in the container\n  Apply the update file",
        "a live license [S0207]",
        "more than is known [S0881]: an argument of the call cannot be used (requirement: asks",
        "a second seat [S03E0]: all 1 seats are taken (1 in use)",
        "a closed seat [S0882]",
        "a plain file [S0105]: this is no Strongroom file\n",
        "no file [S0885]: the file cannot be read (No such file",
    ] {
        assert!(toured.stderr.contains(words), "{words:?} is not in: {}", toured.stderr);
    }
    world.wait_for_seats(0);
    let inside = installed.build_static(&C99, &source("tour.c"));
    fs::remove_dir_all(installed.prefix.join("lib")).expect("own folder");
    world.run(&inside, &args, "").ok();
    let installed = Installed::in_world(&world);
    let cpp = installed.build(&CPP11, &source("tour.cpp"), &[]);
    assert_eq!(world.run(&cpp, &[sealed], "").ok().stdout, text);
    world.license("--remove");
    world.run(&cpp, &[sealed], "").refused(1, &["[S0320]"]);
    world.run(&cpp, &[args[3]], "").refused(1, &["[S0105]"]);
}

#[test]
fn the_example_of_the_guide_does_what_it_says() {
    let world = World::licensed("rtc", "--quantity 1");
    let (text, sealed) = protected_text(&world);
    let guide = fs::read_to_string(repository().join("docs/guide/c.md")).expect("the guide");
    let (_, from) = guide.split_once("```c\n").expect("an example");
    let (example, _) = from.split_once("```\n").expect("its end");
    fs::write(world.path("example.c"), example).expect("own file");
    let installed = Installed::in_world(&world);
    let example = installed.build(&C99, &world.path("example.c"), &[]);
    let sealed = sealed.to_str().expect("UTF-8");
    assert_eq!(world.run(&example, &[sealed], "").ok().stdout, text);
    world.license("--remove");
    world.run(&example, &[sealed], "").refused(5, &["S0320", "product 7", "Apply the update"]);
}

#[test]
fn a_lost_license_ends_seats_and_reading() {
    let world = World::licensed("quick", "--quantity 2");
    let (_, sealed) = protected_text(&world);
    let program = Installed::in_world(&world).build(&C99, &source("use.c"), &[]);
    let sealed = sealed.to_str().expect("UTF-8");
    let watching = world.spawn(&program, &[&fingerprint(&world), "7", "watch", sealed]);
    let watching = held(watching);
    world.fault("unplug");
    outcome(watching).refused(1, &["lost [S02", "read [S02"]);
}

#[test]
fn ten_options_allow_and_refuse_from_c_as_they_say() {
    let home = World::new();
    let installed = Installed::in_world(&home);
    let program = installed.build(&C99, &source("use.c"), &[]);
    for kind in TEN {
        println!("{kind:?}");
        try_out(&row(kind), &program);
    }
}

/// As the options' own table is tried out: a use that is allowed, and one that is refused.
fn try_out(row: &Row, program: &Path) {
    let mut world = World::new();
    world.plug("usb", "quick");
    world.license(row.allows);
    let firm = fingerprint(&world);
    let asked = |what: &str, options: &str| -> Vec<String> {
        let mut args = vec![firm.clone(), "7".to_owned(), what.to_owned()];
        args.extend(conditions(options));
        args
    };
    in_market(&world, row.market);
    for what in ["why", "seat"] {
        let used = run(&mut world.command(program, &asked(what, row.good)), "").ok();
        assert_eq!(used.stdout, "allowed\n");
    }
    in_market(&world, "");
    let mut other = None;
    match row.meanwhile {
        Meanwhile::Nothing => {}
        Meanwhile::AnotherUse => {
            other = Some(held(world.spawn(program, &asked("hold", row.good))));
        }
        // The use was the one above.
        Meanwhile::UseAndTime(seconds) | Meanwhile::Time(seconds) => {
            world.fault(&format!("jump-clock {seconds}"));
        }
        _ => panic!("none of the ten asks for this"),
    }
    if !row.refuses.is_empty() {
        world.license(row.refuses);
    }
    let before = world.state();
    for what in ["why", "seat"] {
        let refused = run(&mut world.command(program, &asked(what, row.bad)), "");
        assert_eq!(refused.refused(5, row.says).stdout, "");
        assert_eq!(world.state(), before, "a refused use changed something");
    }
    if let Some(mut other) = other {
        drop(other.stdin.take());
        assert_eq!(outcome(other).ok().stdout, "allowed\n");
        run(&mut world.command(program, &asked("seat", row.good)), "").ok();
    }
}

/// Waits until a program that keeps a seat says so.
fn held(mut program: Child) -> Child {
    let mut line = String::new();
    let mut stdout = BufReader::new(program.stdout.take().expect("a pipe"));
    stdout.read_line(&mut line).expect("a line");
    assert_eq!(line, "held\n");
    program.stdout = Some(stdout.into_inner());
    program
}

/// Options of `license why` as the program takes them.
fn conditions(options: &str) -> Vec<String> {
    let words: Vec<&str> = options.split_whitespace().collect();
    let condition = |pair: &[&str]| match pair {
        ["--features", value] => format!("features={value}"),
        ["--release", value] => {
            let date: jiff::civil::Date = value.parse().expect("a date");
            let start = date.to_zoned(jiff::tz::TimeZone::UTC).expect("a day");
            format!("release={}", start.timestamp().as_second())
        }
        ["--access", "no-user-limit"] => "access=3".to_owned(),
        other => panic!("{other:?} is not told to the program"),
    };
    words.chunks(2).map(condition).collect()
}

/// Configures the market of this machine, or none.
fn in_market(world: &World, market: &str) {
    fs::create_dir_all(world.path("home")).expect("own folder");
    let configured = if market.is_empty() { String::new() } else { format!("market = {market:?}") };
    fs::write(world.path("home/config.toml"), configured).expect("own file");
}

#[test]
fn sec_p14_every_function_refuses_what_is_wrong_from_any_thread() {
    let world = World::licensed("rtc", "--quantity 50");
    let (_, sealed) = protected_text(&world);
    let installed = Installed::in_world(&world);
    let attack = installed.build(&C99, &source("attack.c"), &THREADS);
    let list = world.run(&attack, &["list"], "").ok().stdout;
    let mut attacked: Vec<(&str, usize)> = list.lines().map(target).collect();
    attacked.sort_unstable();
    let header = fs::read_to_string(installed.prefix.join("include/strongroom.h")).expect("it");
    assert_eq!(attacked, functions(&header), "not every argument of every function is attacked");
    assert_eq!(exported(&installed), attacked.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let firm = fingerprint(&world);
    let args = |rounds| [firm.as_str(), "7", sealed.to_str().expect("UTF-8"), rounds];
    let fine = format!("attacked {} functions from 4 threads\n", attacked.len());
    let attacked_so = |outcome: Outcome| assert_eq!(outcome.ok().stdout, fine);
    attacked_so(world.run(&attack, &args("5"), ""));
    if std::env::var_os("STRONGROOM_SOAK").is_some() {
        attacked_so(world.run(&attack, &args("100"), ""));
        let sanitized = installed.build(
            &C99,
            &source("attack.c"),
            &[THREADS[0], THREADS[1], "-g", "-fsanitize=address,undefined"],
        );
        attacked_so(world.run(&sanitized, &args("20"), ""));
        let mut watched = vec!["-q", "--error-exitcode=9", "--leak-check=full"];
        watched.extend(["--errors-for-leak-kinds=definite", attack.to_str().expect("UTF-8")]);
        watched.extend(args("5"));
        attacked_so(world.run("/usr/bin/valgrind".as_ref(), &watched, ""));
    }
    world.wait_for_seats(0);
}

/// Name and number of arguments in a line of the attack's list.
fn target(line: &str) -> (&str, usize) {
    let (name, shape) = line.split_once(' ').expect("name and shape");
    (name, shape.len())
}

/// Names of all functions in the header, sorted, each with its number of arguments.
fn functions(header: &str) -> Vec<(&str, usize)> {
    let prototypes = header.match_indices("uint32_t strongroom_").filter_map(|(at, _)| {
        let (name, rest) = header[at + "uint32_t ".len()..].split_once('(')?;
        let (arguments, _) = rest.split_once(");")?;
        Some((name, arguments.split(',').count()))
    });
    let mut found: Vec<(&str, usize)> = prototypes.collect();
    found.sort_unstable();
    found
}

/// What the shared library exports, sorted.
fn exported(installed: &Installed) -> Vec<String> {
    let library = installed.prefix.join("lib/libstrongroom.so");
    let mut nm = Command::new("nm");
    let listed = run(nm.args(["-D", "--defined-only", "--format=just-symbols"]).arg(library), "");
    let mut names: Vec<String> = listed.ok().stdout.lines().map(str::to_owned).collect();
    names.sort_unstable();
    names
}
