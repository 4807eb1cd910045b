//! A container and the machine below it: what may drift, what a copy of a virtual machine is given,
//! and that no clock makes it more.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::errors::ErrorCode;
use serde_json::Value;
use strongroom_tests::swtpm::Swtpm;
use strongroom_tests::tree::{Part, Tree};
use tempfile::TempDir;
use tpm::binding;

use crate::files;
use crate::soft::Soft;

/// Where no TPM is.
pub(crate) const NOWHERE: &str = "swtpm:host=127.0.0.1,port=9";
const HOUR_S: i64 = 60 * 60;
const DAY_S: i64 = 24 * HOUR_S;

/// How a container stands, as its own user is told.
pub(crate) fn look(soft: &Soft) -> Value {
    let answer = backends::look(soft.folder()).unwrap_or_else(|error| panic!("{error}"));
    serde_json::from_slice(&answer).expect("JSON")
}

/// Serves it, asks how it stands, and ends it.
pub(crate) fn seen(soft: &mut Soft, tpm: Option<&Swtpm>) -> Value {
    soft.serve();
    let seen = look(soft);
    // One that is locked leaves by itself.
    soft.kill();
    tpm.map(Swtpm::flush_all);
    seen
}

fn state(seen: &Value) -> (&str, &str) {
    let standing = &seen["standing"];
    (standing["state"].as_str().expect("a word"), standing["why"].as_str().unwrap_or(""))
}

/// The classes that are not the same, by their words.
fn drifted(seen: &Value) -> Vec<&str> {
    let traits = seen["machine"]["traits"].as_array().expect("traits");
    let drifted = traits.iter().filter(|one| one["state"] != "same");
    drifted.map(|one| one["class"].as_str().expect("a word")).collect()
}

/// A container on a machine.
pub(crate) fn on(tree: &Tree, tcti: &str, tolerance: &str) -> Soft {
    let mut soft = Soft::empty(tcti);
    soft.set_env("STRONGROOM_MACHINE_ROOT", tree.root());
    let how: &[&str] = match tcti {
        NOWHERE => &["--without-tpm", "--tolerance", tolerance],
        _ => &["--tolerance", tolerance],
    };
    soft.create_with(how).unwrap_or_else(|said| panic!("{said}"));
    soft.certify();
    soft
}

const BOARD: [&str; 2] = ["system UUID of the firmware", "serial number of the board"];
const CARD: &str = "address of a network card on the board";
const DISK: [&str; 3] =
    ["serial number of the system disk", "machine id", "UUID of the root file system"];

/// What is replaced, and how the container stands then with each tolerance.
type Row = (&'static [Part], [&'static str; 3]);

/// All traits weigh 17; 14, 10 and 7 must be the same.
const WITH_TPM: [Row; 6] = [
    (&[], ["active", "active", "active"]),
    (&[Part::Card], ["active", "active", "active"]),
    (&[Part::Disk], ["grace", "active", "active"]),
    (&[Part::Board], ["grace", "active", "active"]),
    (&[Part::Board, Part::Card], ["grace", "grace", "active"]),
    (&[Part::Board, Part::Disk], ["locked", "locked", "locked"]),
];

#[test]
fn what_was_replaced_is_tolerated_borne_for_a_while_or_locks() {
    let tpm = Swtpm::blank();
    for (at, tolerance) in ["strict", "medium", "loose"].into_iter().enumerate() {
        let tree = Tree::new();
        let made = on(&tree, &tpm.tcti(), tolerance);
        for (parts, expected) in WITH_TPM {
            // Each of them a machine to which this alone happened.
            let mut soft = made.copied();
            parts.iter().for_each(|part| tree.replace(*part, 2));
            let seen = seen(&mut soft, Some(&tpm));
            assert_eq!(state(&seen).0, expected[at], "{tolerance}, {parts:?}: {seen}");
            if expected[at] == "locked" {
                assert_eq!(seen["standing"]["code"], ErrorCode::SoftTraits as u16);
            } else {
                let mut named = Vec::new();
                parts.iter().for_each(|part| match part {
                    Part::Board => named.extend(BOARD),
                    Part::Disk => named.extend(DISK),
                    _ => named.push(CARD),
                });
                assert_eq!(drifted(&seen), named, "{tolerance}");
            }
            parts.iter().for_each(|part| tree.replace(*part, 1));
            files::put_back(made.folder(), &files::read(soft.folder()));
        }
    }
}

#[test]
fn without_a_tpm_what_is_tolerated_is_all_there_is() {
    for (tolerance, bears) in [("loose", 3), ("medium", 2), ("strict", 1)] {
        let tree = Tree::new();
        let mut soft = on(&tree, NOWHERE, tolerance);
        soft.serve();
        soft.set(1).expect("nothing is in its way");
        soft.end();
        // Weight 2, then 9, then 10 drifts; only the first is less than 4.
        let walk = [(Part::Card, 1), (Part::Disk, 2), (Part::Memory, 3)];
        for (part, step) in walk {
            tree.replace(part, 2);
            let seen = seen(&mut soft, None);
            let is_borne = step <= bears && (tolerance, step) != ("medium", 2);
            let expected = if is_borne { "active" } else { "locked" };
            assert_eq!(state(&seen).0, expected, "{tolerance}, step {step}: {seen}");
        }
        walk.iter().for_each(|(part, _)| tree.replace(*part, 1));
        soft.serve();
        assert_eq!(soft.value(), 1, "it is its own machine again");
    }
}

#[test]
fn a_machine_that_cannot_be_told_from_others_is_not_bound() {
    let tree = Tree::bare();
    let mut soft = Soft::empty(NOWHERE);
    soft.set_env("STRONGROOM_MACHINE_ROOT", tree.root());
    let mut create = soft.creation();
    let made = create.args(["--without-tpm"]).output().expect("the helper");
    assert!(!made.status.success());
    let said = String::from_utf8(made.stderr).expect("text");
    for part in ["kinds of traits, where 3 are needed", "only a placeholder", "machine id: found"] {
        assert!(said.contains(part), "{said}");
    }
    assert_eq!(soft.create_with(&["--without-tpm"]), Err("S0C0D".into()));
    assert_eq!(soft.create_with(&["--without-tpm", "--tolerance", "off"]), Err("S0C10".into()));
    // All of it weighs 17; without a board 10, which is less than strict asks for.
    let tree = Tree::new();
    soft.unset_env();
    soft.set_env("STRONGROOM_MACHINE_ROOT", tree.root());
    fs::remove_dir_all(tree.root().join("sys/class/dmi")).expect("our own folder");
    let tpm = Swtpm::blank();
    let soft = soft.at(&tpm.tcti());
    assert_eq!(soft.create_with(&["--tolerance", "strict"]), Err("S0C0D".into()));
    soft.create_with(&["--tolerance", "medium"]).expect("just enough");
}

/// Guessing at traits, or another machine's record, does not lock the TPM for its user.
#[test]
fn wrong_traits_never_lock_the_tpm() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = on(&tree, &tpm.tcti(), "loose");
    let other = on(&tree, &tpm.tcti(), "loose");
    let file = soft.folder().join(binding::NAME);
    let own = fs::read(&file).expect("a container");
    let mut mixed = soft.binding();
    mixed.traits = other.binding().traits;
    fs::write(&file, mixed.write()).expect("our own file");
    for _ in 0..5 {
        assert_eq!(seen(&mut soft, Some(&tpm))["standing"]["code"], ErrorCode::SoftTraits as u16);
    }
    fs::write(&file, own).expect("our own file");
    [Part::Board, Part::Disk].iter().for_each(|part| tree.replace(*part, 2));
    for _ in 0..5 {
        assert_eq!(seen(&mut soft, Some(&tpm))["standing"]["code"], ErrorCode::SoftTraits as u16);
    }
    let variable = String::from_utf8(tpm.tools().ok("tpm2_getcap properties-variable")).unwrap();
    assert!(variable.contains("TPM2_PT_LOCKOUT_COUNTER: 0x0\n"), "{variable}");
    [Part::Board, Part::Disk].iter().for_each(|part| tree.replace(*part, 1));
    assert_eq!(state(&seen(&mut soft, Some(&tpm))).0, "active");
}

#[test]
fn no_file_of_a_container_has_a_trait_in_it() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    for tcti in [&*tpm.tcti(), NOWHERE] {
        let mut soft = on(&tree, tcti, "medium");
        seen(&mut soft, Some(&tpm));
        let files = files::read(soft.folder());
        assert!(files.len() >= 2, "{:?}", files.keys());
        for secret in tree.secrets().iter().filter(|secret| secret.len() > 4) {
            for (name, bytes) in &files {
                let has = |part: &[u8]| bytes.windows(part.len()).any(|window| window == part);
                assert!(!has(secret.as_bytes()), "{secret} in {name}");
                assert!(!has(secret.to_uppercase().as_bytes()), "{secret} in {name}");
            }
        }
    }
}

/// One part after the other, months apart, with no checkpoint: never another machine.
#[test]
fn a_machine_that_walks_away_part_by_part_is_locked() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = on(&tree, &tpm.tcti(), "medium");
    let walk = [
        (Part::Card, "active"),
        (Part::Processor, "active"),
        (Part::Disk, "grace"),
        (Part::Memory, "grace"),
        (Part::Board, "locked"),
    ];
    for (part, expected) in walk {
        tree.replace(part, 2);
        let seen = seen(&mut soft, Some(&tpm));
        assert_eq!(state(&seen).0, expected, "{part:?}: {seen}");
        let refused = soft.rebind(&[]).expect_err("there was no checkpoint");
        let code = if expected == "locked" { "S0C07" } else { "S0C0E" };
        assert_eq!(refused, code, "{part:?}");
        tpm.flush_all();
    }
}

/// A file with a machine's generation.
pub(crate) struct Generation {
    dir: TempDir,
}

impl Generation {
    pub(crate) fn of(soft: &mut Soft) -> Self {
        let generation = Generation { dir: tempfile::tempdir().expect("a folder") };
        soft.set_env("STRONGROOM_VM_GENERATION_FILE", &generation.path());
        generation.set(1);
        generation
    }

    pub(crate) fn set(&self, number: u8) {
        fs::write(self.path(), format!("{number:032x}\n")).expect("room");
    }

    fn hide(&self) {
        fs::remove_file(self.path()).expect("our own file");
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("generation")
    }
}

const ACTIVE: (&str, &str) = ("active", "");
const COPIED: (&str, &str) = ("grace", "generation");

#[test]
fn a_virtual_machine_that_is_copied_is_borne_for_a_while_whenever_that_happens() {
    let tpm = Swtpm::blank();
    for is_served in [true, false] {
        let mut soft = Soft::new(&tpm.tcti());
        let generation = Generation::of(&mut soft);
        soft.serve();
        soft.set(1).expect("nothing is in its way");
        assert_eq!(state(&look(&soft)), ACTIVE);
        if is_served {
            generation.set(2);
            soft.set(2).expect("it is in use");
        } else {
            soft.end();
            generation.set(2);
            soft.serve();
        }
        let first = look(&soft);
        assert_eq!(state(&first), COPIED, "{first}");
        soft.set(3).expect("it is in use");
        // Nothing but a checkpoint ends it: not the old value, not a start, and no other change.
        for number in [2, 1, 3] {
            soft.kill();
            tpm.flush_all();
            generation.set(number);
            soft.serve();
            assert_eq!(look(&soft)["standing"], first["standing"], "generation {number}");
        }
        assert_eq!(soft.value(), 3);
    }
}

#[test]
fn a_generation_that_is_hidden_for_a_while_is_compared_with_what_it_was() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    let generation = Generation::of(&mut soft);
    assert_eq!(state(&seen(&mut soft, Some(&tpm))), ACTIVE);
    generation.hide();
    let hidden = seen(&mut soft, Some(&tpm));
    assert_eq!((state(&hidden), &hidden["machine"]["generation"]), (ACTIVE, &"vanished".into()));
    generation.set(1);
    assert_eq!(state(&seen(&mut soft, Some(&tpm))), ACTIVE);
    generation.hide();
    seen(&mut soft, Some(&tpm));
    generation.set(2);
    assert_eq!(state(&seen(&mut soft, Some(&tpm))), COPIED);
}

/// A machine whose clock can be set.
struct Time {
    dir: TempDir,
}

impl Time {
    fn of(soft: &mut Soft) -> Self {
        let time = Time { dir: tempfile::tempdir().expect("a folder") };
        let library = time.dir.path().join("clock.so");
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tpm/clock.c");
        let mut gcc = Command::new("gcc");
        gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
        assert!(gcc.arg(&library).arg(source).status().expect("gcc").success());
        soft.set_env("LD_PRELOAD", &library);
        soft.set_env("STRONGROOM_CLOCK_FILE", &time.path());
        time.set(0);
        time
    }

    /// Seconds from the true time.
    fn set(&self, offset_s: i64) {
        let draft = self.dir.path().join("draft");
        fs::write(&draft, offset_s.to_string()).expect("room");
        // Whole or not at all, since it is read at any moment.
        fs::rename(draft, self.path()).expect("our own file");
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("offset")
    }
}

#[test]
fn a_clock_that_is_set_back_an_hour_locks_nothing_and_a_year_does() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    let time = Time::of(&mut soft);
    soft.serve();
    soft.set(1).expect("nothing is in its way");
    time.set(-HOUR_S);
    soft.set(2).expect("an hour is no matter");
    soft.kill();
    tpm.flush_all();
    soft.serve();
    assert_eq!(soft.value(), 2);
    // While it runs, and at each start again.
    time.set(-365 * DAY_S);
    for _ in 0..2 {
        assert_eq!(soft.refusal(), ErrorCode::SoftTimeBack);
        soft.kill();
        tpm.flush_all();
        soft.serve();
    }
    let [clock_s, seen_s] =
        ["a", "b"].map(|value| look(&soft)["standing"][value].as_i64().expect("a time"));
    assert!((365 * DAY_S - HOUR_S..=365 * DAY_S + HOUR_S).contains(&(seen_s - clock_s)));
    soft.kill();
    tpm.flush_all();
    time.set(0);
    soft.serve();
    assert_eq!(soft.value(), 2, "it is right again");
}

#[test]
fn a_grace_ends_when_it_was_to_end_whatever_is_done_to_helper_and_clock() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    let (time, generation) = (Time::of(&mut soft), Generation::of(&mut soft));
    seen(&mut soft, Some(&tpm));
    generation.set(2);
    let first = seen(&mut soft, Some(&tpm));
    assert_eq!(state(&first), COPIED);
    let length_s = tpm::watch::GRACE_S as i64;
    // Where the clock is set back, the container's own does not follow.
    for offset_s in [DAY_S, HOUR_S, 10 * DAY_S, length_s - HOUR_S, length_s - DAY_S] {
        time.set(offset_s);
        let seen = seen(&mut soft, Some(&tpm));
        assert_eq!(seen["standing"], first["standing"], "{offset_s} s");
    }
    time.set(0);
    assert_eq!(seen(&mut soft, Some(&tpm))["standing"]["code"], ErrorCode::SoftTimeBack as u16);
    // Its end comes while it is served, and stays.
    time.set(length_s - HOUR_S);
    soft.serve();
    soft.value();
    time.set(length_s + HOUR_S);
    for _ in 0..2 {
        assert_eq!(soft.refusal(), ErrorCode::SoftGraceOver);
        soft.kill();
        tpm.flush_all();
        soft.serve();
    }
    let standing = look(&soft)["standing"].clone();
    assert_eq!(standing["a"], first["standing"]["until_s"]);
    assert_eq!(standing["b"], 0, "since it was copied");
}

/// Parts that come back are as good as before, but give no second time.
#[test]
fn a_part_that_is_put_back_and_taken_away_again_gives_no_second_grace() {
    let (tpm, tree) = (Swtpm::blank(), Tree::new());
    let mut soft = on(&tree, &tpm.tcti(), "strict");
    let time = Time::of(&mut soft);
    tree.replace(Part::Board, 2);
    let first = seen(&mut soft, Some(&tpm));
    assert_eq!(state(&first), ("grace", "traits"));
    let length_s = tpm::watch::GRACE_S as i64;
    time.set(length_s - HOUR_S);
    tree.replace(Part::Board, 1);
    assert_eq!(state(&seen(&mut soft, Some(&tpm))), ACTIVE);
    tree.replace(Part::Board, 3);
    assert_eq!(seen(&mut soft, Some(&tpm))["standing"], first["standing"]);
    time.set(length_s + HOUR_S);
    let over = seen(&mut soft, Some(&tpm))["standing"].clone();
    assert_eq!((&over["code"], &over["b"]), (&(ErrorCode::SoftGraceOver as u16).into(), &1.into()));
    tree.replace(Part::Board, 1);
    assert_eq!(state(&seen(&mut soft, Some(&tpm))), ACTIVE);
}
