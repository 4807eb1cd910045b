//! The main job by files: vendor, context, license, receipt, protected file and program, and how
//! updates follow one another.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Outcome, World, run};

const ECHO: &str = "/bin/echo";

#[test]
fn a_license_travels_by_files_and_opens_file_and_program() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    issue_and_apply(&world);
    assert_eq!(licenses(&world), [(7, 0, "features=5 quantity=2 text=For you".to_owned())]);
    world.cli("license show 7").ok();
    world.cli("license show 8").refused(5, &["S0320", "8"]);
    assert!(world.cli("license why 7").ok().stdout.starts_with("allowed: product 7"));
    world.cli("license why 7 --features 0x2").refused(5, &["S0321", "features"]);
    world.cli("license why 8").refused(5, &["S0320"]);
    a_file(&world);
    a_program(&world);
}

/// The exchange of design and README, word by word.
fn issue_and_apply(world: &World) {
    world.cli("container context --firm acme -o c.context").ok();
    let issue = "vendor issue --vendor acme --context c.context --product 7 --quantity 2 \
                 --features 0x5 -o l.update";
    let words: Vec<&str> = issue.split_whitespace().chain(["--text", "For you"]).collect();
    let before = world.vendor_state();
    let dry: Vec<&str> = words.iter().copied().chain(["--dry-run"]).collect();
    world.cli_words(&dry).ok();
    assert!(world.vendor_state() == before && !world.path("l.update").exists(), "a dry run acts");
    world.cli_words(&words).ok();
    let preview = world.cli("update preview l.update").ok().stdout;
    for line in ["NEW VENDOR", "update 1 from Acme", "+ quantity    2", "+ features    0x5"] {
        assert!(preview.contains(line), "{line:?} is not in {preview}");
    }
    let state = world.state();
    world.cli("update apply l.update --dry-run").ok();
    world.cli("update apply l.update").refused(2, &["--yes"]);
    assert_eq!(world.state(), state);
    world.cli("update apply l.update --receipt r.receipt --yes").ok();
    let settled = world.cli("vendor receipt r.receipt --vendor acme").ok().stdout;
    assert!(settled.contains("proves update 1") && settled.contains("0 without"), "{settled}");
    assert!(world.cli("vendor show --vendor acme").ok().stdout.contains("at number 1, 0 without"));
    for file in ["c.context", "l.update", "r.receipt", "acme/root.strgroom"] {
        world.cli(&format!("inspect {file}")).ok();
    }
}

fn a_file(world: &World) {
    fs::write(world.path("table.csv"), "city,visitors\n").expect("room");
    world.cli("protect file table.csv -o table.sealed --vendor acme --product 7").ok();
    let sealed = fs::read(world.path("table.sealed")).expect("own file");
    assert!(!sealed.windows(8).any(|bytes| bytes == b"visitors"));
    world.cli("protect verify table.sealed --firm acme").ok();
    let opened = world.cli("license open table.sealed -o -").ok();
    assert_eq!(opened.stdout, "city,visitors\n");
    world.cli("license open table.sealed -o back.csv").ok();
    assert_eq!(fs::read(world.path("back.csv")).expect("own file"), b"city,visitors\n");
    world.cli("license open table.sealed -o back.csv").refused(7, &["back.csv"]);
}

fn a_program(world: &World) {
    let sealed = world.protect(Path::new(ECHO), "");
    world.cli(&format!("protect verify {} --firm acme", sealed.display())).ok();
    assert_eq!(world.run(&sealed, &["it", "runs"], "").ok().stdout, "it runs\n");
    world.wait_for_seats(0);
    world.fault("unplug");
    refuses(world, &sealed, "S0805", "sim:");
    world.cli("license open table.sealed -o -").refused(3, &["S0805"]);
    world.cli("container show").refused(3, &["S0805"]);
    world.fault("plug");
    assert_eq!(world.run(&sealed, &["again"], "").ok().stdout, "again\n");
}

/// A protected program does not start: 125, the reason for people, and as JSON where asked.
fn refuses(world: &World, sealed: &Path, code: &str, word: &str) {
    let got = world.run(sealed, &["ran"], "").refused(125, &[code, word]);
    assert_eq!(got.stdout, "");
    let line = format!("STRONGROOM_REPORT_FD=3 exec {} ran 3>&1 >/dev/null", sealed.display());
    let got = world.run(Path::new("/bin/sh"), &["-c", &line], "").refused(125, &[code]);
    let report: Value = serde_json::from_str(&got.stdout).expect("one JSON document");
    assert_eq!(report["schema"], "strongroom.report/v1");
    assert_eq!(report["error"]["code"], code);
    assert!(report["error"]["title"].as_str().is_some_and(|title| !title.is_empty()));
    assert!(report["error"]["hint"].as_str().is_some_and(|hint| hint.ends_with('.')));
}

#[test]
fn a_license_begins_and_expires_with_the_containers_clock() {
    let world = World::licensed("rtc", "--activates +2d --expires +30d");
    let sealed = world.protect(Path::new(ECHO), "");
    refuses(&world, &sealed, "S0370", "begins at");
    world.cli("license why 7").refused(5, &["S0370"]);
    world.fault("jump-clock 259200");
    world.run(&sealed, &["runs"], "").ok();
    world.fault("jump-clock 2592000");
    refuses(&world, &sealed, "S0380", "expired");
    world.cli("license why 7").refused(5, &["S0380"]);
    world.license("--expires +90d");
    world.run(&sealed, &["runs"], "").ok();
}

#[test]
fn other_products_features_and_generations_do_not_open() {
    let world = World::licensed("rtc", "--features 0x1");
    world.cli("vendor product add 8 --name Viewer --vendor acme").ok();
    world.cli("vendor product add 8 --name Viewer --vendor acme").refused(7, &["8"]);
    let all = world.path("sealed/all");
    let line = |what: &str| {
        let all = all.display();
        format!("protect app {ECHO} -o {all} --force --vendor acme {what}")
    };
    for (what, code) in [
        ("--product 8", "S0320"),
        ("--product 7 --features 0x3", "S0321"),
        ("--product 7 --generation 1", "S03F0"),
    ] {
        world.cli(&line(what)).ok();
        refuses(&world, &all, code, "");
    }
    world.cli(&line("--product 8 --product 7")).ok();
    world.run(&all, &["either"], "").ok();
    world.cli(&line("--product 9")).refused(3, &["S0A03", "9"]);
}

#[test]
fn eight_updates_may_be_under_way_and_are_applied_in_their_order() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.context("c");
    for n in 1..=8 {
        issue(&world, "c", &format!("--quantity {n}"), &format!("u{n}")).ok();
    }
    issue(&world, "c", "--quantity 9", "u9").refused(7, &["S0A05"]);
    assert!(!world.path("u9").exists());
    let state = world.state();
    apply(&world, "u2").refused(7, &["S0405"]);
    assert_eq!(world.state(), state, "an update came before its time");
    apply(&world, "u1").ok();
    apply(&world, "u3").refused(7, &["S0405"]);
    (2..=8).for_each(|n| drop(apply(&world, &format!("u{n}")).ok()));
    assert_eq!(licenses(&world), [(7, 0, "quantity=8".to_owned())]);
    // One receipt proves all before it.
    world.cli("update receipt --firm acme -o last").ok();
    let settled = world.cli("vendor receipt last --vendor acme").ok().stdout;
    assert!(settled.contains("proves update 8") && settled.contains("0 without"), "{settled}");
    world.context("c");
    issue(&world, "c", "--quantity 9", "u9").ok();
    apply(&world, "u9").ok();
    for n in 2..=9 {
        world.cli(&format!("update receipt --firm acme --number {n} -o r{n}")).ok();
    }
    world.cli("update receipt --firm acme --number 1 -o r1").refused(3, &["S0413"]);
}

#[test]
fn an_update_that_comes_again_changes_nothing_and_is_answered_with_the_receipt() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.context("c");
    issue(&world, "c", "--quantity 1", "u1").ok();
    apply(&world, "u1").ok();
    let state = world.state();
    world.cli("update apply u1 --receipt again --yes").refused(7, &["S0404"]);
    assert_eq!(world.state(), state);
    let settled = world.cli("vendor receipt again --vendor acme").ok().stdout;
    assert!(settled.contains("proves update 1"), "{settled}");
    // A receipt that comes again is no news either.
    let vendor = world.vendor_state();
    world.cli("vendor receipt again --vendor acme").ok();
    assert_eq!(world.vendor_state(), vendor);
}

#[test]
fn a_superseded_update_is_applied_in_one_of_its_two_forms() {
    for first_wins in [false, true] {
        let mut world = World::new();
        world.plug("usb", "rtc");
        world.context("c");
        issue(&world, "c", "--quantity 1", "old").ok();
        issue(&world, "c", "--quantity 5 --supersede 1", "new").ok();
        issue(&world, "c", "--quantity 6", "behind").refused(7, &["not known which"]);
        let (winner, loser) = if first_wins { ("old", "new") } else { ("new", "old") };
        apply(&world, winner).ok();
        let state = world.state();
        world.cli(&format!("update apply {loser} --receipt r --yes")).refused(7, &["S04"]);
        assert_eq!(world.state(), state, "both were applied");
        let quantity = if first_wins { "quantity=1" } else { "quantity=5" };
        assert_eq!(licenses(&world), [(7, 0, quantity.to_owned())]);
        let settled = world.cli("vendor receipt r --vendor acme").ok().stdout;
        assert!(settled.contains("0 without"), "{settled}");
        world.context("c");
        issue(&world, "c", "--quantity 6", "behind").ok();
        apply(&world, "behind").ok();
    }
}

#[test]
fn a_cancelled_update_is_dead_or_was_applied_before() {
    for too_late in [false, true] {
        let mut world = World::new();
        world.plug("usb", "rtc");
        world.license("--quantity 3");
        world.context("c");
        issue(&world, "c", "--quantity 4", "u2").ok();
        world.cli("vendor cancel --vendor acme --context c --number 9 -o x").refused(3, &["9"]);
        world.cli("vendor cancel --vendor acme --context c --number 2 -o cancel").ok();
        let (winner, loser) = if too_late { ("u2", "cancel") } else { ("cancel", "u2") };
        apply(&world, winner).ok();
        world.cli(&format!("update apply {loser} --receipt r --yes")).refused(7, &["S04"]);
        let quantity = if too_late { "quantity=4" } else { "quantity=3" };
        assert_eq!(licenses(&world), [(7, 0, quantity.to_owned())]);
        world.cli("vendor receipt r --vendor acme").ok();
        world.context("c");
        issue(&world, "c", "--remove", "u3").ok();
        apply(&world, "u3").ok();
        assert_eq!(licenses(&world), []);
    }
}

#[test]
fn an_update_for_another_container_is_refused_there_and_named_in_its_preview() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.context("c");
    issue(&world, "c", "--quantity 1", "u1").ok();
    world.plug("other", "rtc");
    world.cli("container show").refused(2, &["S0802"]);
    let port = world.socket("other");
    let at_other = |line: &str| world.cli(&format!("{line} --source sim:{}", port.display()));
    let state = at_other("license list --json").ok().stdout;
    let preview = at_other("update preview u1").ok().stdout;
    assert!(preview.contains("for ANOTHER CONTAINER"), "{preview}");
    at_other("update apply u1 --yes").refused(5, &["S0402"]);
    assert_eq!(at_other("license list --json").ok().stdout, state);
}

#[test]
fn an_update_is_refused_from_its_last_moment_on() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.context("c");
    issue(&world, "c", "--quantity 1 --apply-before +1d", "u1").ok();
    assert!(world.cli("update preview u1").ok().stdout.contains("to be applied before"));
    world.fault("jump-clock 172800");
    let state = world.state();
    apply(&world, "u1").refused(5, &["S0407"]);
    assert_eq!(world.state(), state);
    world.fault("jump-clock -172800");
    apply(&world, "u1").refused(5, &["S0407"]);
    issue(&world, "c", "--quantity 2 --supersede 1", "u2").ok();
    apply(&world, "u2").ok();
}

#[test]
fn a_second_vendor_keeps_a_drawer_of_its_own() {
    let world = World::licensed("rtc", "--quantity 1");
    world.cli("vendor init bolt --name Bolt --firm-code 100 --test").ok();
    world.cli("vendor product add 7 --name Other --vendor bolt").ok();
    world.cli("container context --firm bolt -o b").ok();
    world.cli("vendor issue --vendor acme --context b --product 7 -o x").refused(6, &["S0A04"]);
    world.cli("vendor issue --vendor bolt --context b --product 7 --quantity 9 -o u").ok();
    apply(&world, "u").ok();
    world.cli("license why 7").refused(2, &["--firm"]);
    world.cli("license why 7 --firm bolt").ok();
    world.cli("container context --firm 100 -o y").refused(2, &["fingerprint"]);
    let context = world.cli("inspect b").ok().stdout;
    assert!(!context.contains("Acme"), "{context}");
    let ours = world.protect(Path::new(ECHO), "");
    world.run(&ours, &["ours"], "").ok();
    world.cli("update receipt --firm bolt -o r").ok();
    world.cli("vendor receipt r --vendor acme").refused(6, &["S0A07"]);
}

#[test]
fn a_dongle_keeps_everything_over_a_power_cut_and_a_restart() {
    let mut world = World::licensed("rtc", "--quantity 2");
    world.cli("container rename Desk").ok();
    let state = world.state();
    for fault in ["unplug", "plug"] {
        world.fault(fault);
    }
    assert_eq!(world.state(), state);
    world.fault("stop");
    world.restart();
    assert_eq!(world.state(), state);
    assert!(world.cli("container list").ok().stdout.contains("Desk"));
}

#[test]
fn what_is_written_never_takes_the_place_of_what_is_there() {
    let world = World::licensed("rtc", "--quantity 1");
    fs::write(world.path("here"), "mine").expect("room");
    let commands = [
        "container context --firm acme -o here",
        "update receipt --firm acme -o here",
        "protect file /etc/hostname -o here --vendor acme --product 7",
        "protect app /bin/echo -o here --vendor acme --product 7",
        "vendor init here --name Other --test",
        "vendor init acme --name Other --test",
    ];
    let vendor = world.vendor_state();
    for command in commands {
        world.cli(command).refused(7, &[]);
    }
    world.context("c");
    issue(&world, "c", "--quantity 3", "here").refused(7, &["Nothing was issued"]);
    assert_eq!(fs::read(world.path("here")).expect("own file"), b"mine");
    assert_eq!(world.vendor_state(), vendor);
}

#[test]
fn the_demo_runs_and_leaves_nothing_behind() {
    let world = World::new();
    let before = fs::read_dir(world.path("work")).expect("a folder").count();
    let mut demo = world.command(&crate::world::built("strongroom"), &["demo"]);
    demo.env("TMPDIR", world.path("work"));
    let got = run(&mut demo, "").ok();
    let lines = [
        "decrypted with a key",
        "Graz,1200",
        "Renewed.",
        "with the second dongle",
        "Paid.",
        "withdrawn",
        "nothing is left behind",
    ];
    for said in lines {
        assert!(got.stdout.contains(said) || got.stderr.contains(said), "{said}: {got:?}");
    }
    assert_eq!(fs::read_dir(world.path("work")).expect("a folder").count(), before);
}

fn issue(world: &World, context: &str, options: &str, file: &str) -> Outcome {
    world.cli(&format!(
        "vendor issue --vendor acme --context {context} --product 7 {options} -o {file}"
    ))
}

fn apply(world: &World, file: &str) -> Outcome {
    world.cli(&format!("update apply {file} --yes"))
}

/// Product, entry and options of every license.
fn licenses(world: &World) -> Vec<(u64, u64, String)> {
    let listed = world.cli("license list --json").ok().data();
    let mut found = Vec::new();
    for firm in listed["licenses"].as_array().expect("a list") {
        for item in firm["items"].as_array().expect("a list") {
            let options = item["options"].as_object().expect("an object").iter();
            let options = options.map(|(name, value)| match value {
                Value::String(text) => format!("{name}={text}"),
                other => format!("{name}={other}"),
            });
            let number = |name: &str| item[name].as_u64().expect("a number");
            let options = options.collect::<Vec<_>>().join(" ");
            found.push((number("product"), number("entry"), options));
        }
    }
    found
}
