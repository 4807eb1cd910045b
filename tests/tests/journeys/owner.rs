//! What an owner does with a container itself: finds it, lists what it holds, retires it for good.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;

use crate::world::{World, built, outcome};

const ISSUE: &str = "vendor issue --vendor bolt --context bolt.context --product 9";

/// A dongle with a license of Acme and one of Bolt.
fn two_vendors() -> World {
    let world = World::licensed("rtc", "--quantity 2 --text Acme-only --units 10");
    world.cli("vendor init bolt --name Bolt --test").ok();
    world.cli("vendor product add 9 --name Viewer --vendor bolt").ok();
    world.cli("container context --firm bolt -o bolt.context").ok();
    world.cli(&format!("{ISSUE} --text Bolt-only -o bolt.update")).ok();
    world.cli("update apply bolt.update --yes --receipt bolt.receipt").ok();
    world
}

/// A vendor's file in a folder of many.
fn of(world: &World, folder: &str, vendor: &str) -> PathBuf {
    let shown = world.cli(&format!("vendor show --vendor {vendor} --json")).ok().data();
    let root_fp = shown["root_fp"].as_str().expect("a fingerprint").to_owned();
    world.path(folder).join(format!("{root_fp}.strgroom"))
}

fn holds(bytes: &[u8], words: &[u8]) -> bool {
    bytes.windows(words.len()).any(|window| window == words)
}

#[test]
fn a_container_shows_itself_when_it_is_asked_to() {
    let world = World::new();
    let strongroom = built("strongroom");
    let run = ["sim", "run", "--state", "dongle", "--socket", "socket"];
    let mut child = world.spawn(&strongroom, &run);
    let mut said = BufReader::new(child.stdout.take().expect("a pipe"));
    said.read_line(&mut String::new()).expect("a line");
    let mut seen = BufReader::new(child.stderr.take().expect("a pipe"));
    let source = "--source sim:work/socket";
    for (options, line) in
        [("", "blinks for 5 s"), ("--seconds 60", "blinks for 60 s"), ("--seconds 0", "is dark")]
    {
        world.cli(&format!("container identify {options} {source}")).ok();
        let mut shown = String::new();
        seen.read_line(&mut shown).expect("a line");
        assert!(shown.starts_with(&format!("sim: {line}")), "{shown}");
    }
    world.cli(&format!("container identify --seconds 61 {source}")).refused(2, &["0..=60"]);
    world.cli("sim fault --socket work/socket stop").ok();
    outcome(child).ok();
}

#[test]
fn an_inventory_shows_each_vendor_his_own_and_is_checked_by_what_was_signed() {
    let world = two_vendors();
    world.cli("container inventory -o lists --dry-run").ok();
    assert!(!world.path("lists").exists());
    world.cli("container inventory -o lists").ok();
    world.cli("container inventory -o lists").refused(7, &["is there already"]);
    let (acme, bolt) = (of(&world, "lists", "acme"), of(&world, "lists", "bolt"));
    let (ours, theirs) = (fs::read(&acme).expect("a file"), fs::read(&bolt).expect("a file"));
    assert!(holds(&ours, b"Acme-only") && holds(&theirs, b"Bolt-only"));
    assert!(!holds(&ours, b"Bolt-only") && !holds(&theirs, b"Acme-only"));
    for (file, other) in [(&acme, "bolt"), (&bolt, "acme")] {
        let line = format!("vendor inventory {} --vendor {other}", file.display());
        world.cli(&line).refused(6, &["S0A14"]);
    }
    let line = format!("vendor inventory {} --vendor acme --json", acme.display());
    let told = world.cli(&line).ok().data();
    assert_eq!((&told["number"], &told["stands"]), (&1.into(), &"without-receipt".into()));
    assert_eq!(told["records"][0]["options"]["text"], "Acme-only");
    assert_eq!(told["records"][1]["key_of"], 7);
    let shown = world.cli(&format!("inspect {}", acme.display())).ok().stdout;
    assert!(shown.contains("matches          yes") && shown.contains("Acme-only"), "{shown}");
    changed_ones_are_refused(&world, &ours);
}

/// Any byte of it, and any that is left out or added.
fn changed_ones_are_refused(world: &World, bytes: &[u8]) {
    let line = "vendor inventory changed --vendor acme";
    for at in (0..bytes.len()).step_by(29).chain([bytes.len() - 1]) {
        let mut changed = bytes.to_vec();
        changed[at] ^= 1;
        fs::write(world.path("changed"), &changed).expect("room");
        let got = world.cli(line);
        assert!(matches!(got.code, 1 | 2 | 6), "byte {at}: {got:?}");
    }
    for changed in [&bytes[..bytes.len() - 1], &[bytes, &[0]].concat()] {
        fs::write(world.path("changed"), changed).expect("room");
        world.cli(line).refused(6, &["S0A14"]);
    }
}

#[test]
fn an_inventory_stands_to_what_was_issued_since() {
    let world = two_vendors();
    let take = |folder: &str| {
        world.cli(&format!("container inventory --firm bolt -o {folder}")).ok();
        of(&world, folder, "bolt").display().to_string()
    };
    let first = take("first");
    let stands = |file: &str| {
        let line = format!("vendor inventory {file} --vendor bolt --json");
        world.cli(&line).ok().data()["stands"].as_str().expect("a word").to_owned()
    };
    assert_eq!(stands(&first), "without-receipt");
    world.cli("vendor receipt bolt.receipt --vendor bolt").ok();
    assert_eq!(stands(&first), "as-proven");
    world.cli("container context --firm bolt -o second.context").ok();
    let issue = ISSUE.replace("bolt.context", "second.context");
    world.cli(&format!("{issue} --text Newer -o second.update")).ok();
    assert_eq!(stands(&first), "as-proven");
    world.cli("update apply second.update --yes --receipt second.receipt").ok();
    let second = take("second");
    assert_eq!(stands(&second), "without-receipt");
    world.cli("vendor receipt second.receipt --vendor bolt").ok();
    assert_eq!((stands(&first), stands(&second)), ("older".into(), "as-proven".into()));
    // Somebody else issued what this record does not know.
    fs::remove_dir_all(world.path("bolt/containers")).expect("own folder");
    fs::create_dir(world.path("bolt/containers")).expect("own folder");
    world.cli("vendor receipt second.receipt --vendor bolt").ok();
    world.cli("container context --firm bolt -o third.context").ok();
    let issue = ISSUE.replace("bolt.context", "third.context");
    world.cli(&format!("{issue} -o third.update")).ok();
    world.cli("update apply third.update --yes").ok();
    let third = take("third");
    world.cli("vendor cancel --vendor bolt --context third.context --number 3 -o no").ok();
    assert_eq!(stands(&third), "without-receipt");
    fs::remove_dir_all(world.path("bolt/containers")).expect("own folder");
    fs::create_dir(world.path("bolt/containers")).expect("own folder");
    world.cli("vendor receipt second.receipt --vendor bolt").ok();
    world.cli(&format!("vendor inventory {third} --vendor bolt")).refused(7, &["S0A06"]);
}

#[test]
fn a_decommissioned_container_leaves_a_proof_for_each_vendor_and_nothing_else() {
    let mut world = two_vendors();
    let cat = world.protect("/bin/cat".as_ref(), "");
    world.run(&cat, &[], "").ok();
    fs::write(world.path("pin"), "1234").expect("room");
    world.cli("container pin set --new-pin-file pin").ok();
    let before = world.state();
    let dry = world.cli("container decommission -o final --dry-run").ok().stdout;
    for lost in ["Acme-only", "Bolt-only", "10 left of 10"] {
        assert!(dry.contains(lost), "{lost} is not in {dry}");
    }
    world.cli("container decommission -o final").refused(2, &["--yes"]);
    world.cli("container decommission -o final --yes").refused(4, &["S0606"]);
    world.cli("container decommission -o acme/root.strgroom --yes").refused(7, &["there already"]);
    assert!(world.state() == before && !world.path("final").exists());
    world.cli("container decommission -o final --yes --pin-file pin").ok();
    nothing_else_is_answered(&world);
    assert_eq!(world.run(&cat, &[], "").code, 125);
    let kept = world.files("final");
    assert_eq!(kept.len(), 2);
    world.fault("stop");
    world.restart();
    nothing_else_is_answered(&world);
    world.cli("container decommission -o again").ok();
    let again = world.files("again").into_iter().map(|(_, bytes)| bytes);
    assert!(again.eq(kept.into_iter().map(|(_, bytes)| bytes)), "another statement");
    let shown = world.cli("container show").ok().stdout;
    assert!(shown.contains("DECOMMISSIONED") && !shown.contains("Acme"), "{shown}");
    let doctor = world.cli("doctor --bundle bundle").refused(10, &[]).stdout;
    assert!(doctor.contains("[S060B]") && doctor.contains("decommissioned"), "{doctor}");
}

fn nothing_else_is_answered(world: &World) {
    for line in [
        "license list",
        "license why 7 --firm acme",
        "container context --firm acme -o refused",
        "container rename Desk",
        "container inventory",
        "update apply bolt.update --yes",
        "update receipt --firm acme -o refused",
        "license log --firm acme",
    ] {
        world.cli(line).refused(5, &["S060B", "final statements"]);
    }
    world.cli("container identify").ok();
}

#[test]
fn a_vendor_books_a_final_statement_and_issues_nothing_more() {
    let world = two_vendors();
    world.context("now.context");
    world.cli("vendor issue --vendor acme --context now.context --product 7 -o late.update").ok();
    world.cli("container decommission -o final --yes").ok();
    let (acme, bolt) = (of(&world, "final", "acme"), of(&world, "final", "bolt"));
    let (ours, theirs) = (fs::read(&acme).expect("a file"), fs::read(&bolt).expect("a file"));
    let fp = |path: &PathBuf| {
        let name = path.file_stem().and_then(|name| name.to_str()).expect("a name").to_owned();
        let byte = |at| u8::from_str_radix(&name[at..at + 2], 16).expect("hexadecimal");
        (0..name.len()).step_by(2).map(byte).collect::<Vec<u8>>()
    };
    assert!(holds(&ours, &fp(&acme)) && !holds(&ours, &fp(&bolt)) && !holds(&theirs, &fp(&acme)));
    let line = |file: &PathBuf| format!("vendor receipt {} --vendor acme", file.display());
    world.cli(&line(&bolt)).refused(6, &["S0A07"]);
    for at in (0..ours.len()).step_by(31) {
        let mut changed = ours.clone();
        changed[at] ^= 1;
        fs::write(world.path("changed"), &changed).expect("room");
        assert_ne!(world.cli("vendor receipt changed --vendor acme").code, 0, "byte {at}");
    }
    let before = world.vendor_state();
    let told = world.cli(&format!("{} --dry-run --json", line(&acme))).ok().data();
    assert_eq!((&told["entries"], &told["never_applied"]), (&1.into(), &1.into()));
    assert!(world.vendor_state() == before);
    world.cli(&line(&acme)).ok();
    world.cli(&line(&acme)).ok();
    let issue = "vendor issue --vendor acme --context now.context --product 7 -o no.update";
    for options in ["", "--adopt", "--supersede 2", "--dry-run"] {
        world.cli(&format!("{issue} {options}")).refused(7, &["S0A13", "number 1"]);
    }
    assert!(!world.path("no.update").exists());
    let shown = world.cli("vendor show --vendor acme").ok().stdout;
    assert!(shown.contains("DECOMMISSIONED at number 1"), "{shown}");
    world.cli("update apply late.update --yes").refused(5, &["S060B"]);
}
