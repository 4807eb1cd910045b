//! Vectors of the evaluation, for implementers in all languages: `tests/vectors/evaluation`.
//!
//! What is expected stands in tables here, written by hand. The engine has to agree with them, and
//! so have the files, read back from their bytes alone. `STRONGROOM_BLESS=1` writes the files.

mod case;
mod entries;
mod json;
mod modules;
mod order;
mod read;
mod times;
mod uses;

use std::collections::BTreeSet;
use std::path::PathBuf;

use engine::{Question, STEPS, evaluate};
use protocol::errors::{ErrorCode, Failure};

use case::Vector;

/// The files, each with what it is about.
fn files() -> Vec<(&'static str, &'static str, Vec<Vector>)> {
    vec![
        ("order", "Two steps would refuse: the earlier one is told.", order::vectors()),
        ("entries", "What the container has, and what the entry says itself.", entries::vectors()),
        ("times", "Clocks, time rules, and every beginning and end.", times::vectors()),
        ("uses", "Users, units, seats and keys; uses that go on.", uses::vectors()),
        ("modules", "What a module takes over from its parent.", modules::vectors()),
    ]
}

fn all() -> Vec<Vector> {
    files().into_iter().flat_map(|(_, _, vectors)| vectors).collect()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/evaluation")
}

/// The first step that refuses, with what it says.
fn told(vector: &Vector) -> Option<(&'static str, Failure)> {
    let item = vector.case.effective();
    let question = vector.case.question(&item);
    let first = STEPS.iter().find_map(|(name, step)| Some((*name, step(&question).err()?)));
    assert_eq!(evaluate(&question).err(), first.map(|(_, failure)| failure), "{}", vector.name);
    first
}

/// The steps that would refuse if each were asked alone.
fn refusing(question: &Question<'_>) -> Vec<&'static str> {
    let refuses = STEPS.iter().filter(|(_, step)| step(question).is_err());
    refuses.map(|(name, _)| *name).collect()
}

#[test]
fn the_engine_says_what_the_tables_say() {
    for vector in all() {
        assert_eq!(told(&vector), vector.expected, "{}: {}", vector.name, vector.shows);
        for entry in [Some(vector.case.native()), vector.case.parent()].into_iter().flatten() {
            assert_eq!(entry.check(), Ok(()), "{}: no container has it", vector.name);
        }
    }
}

#[test]
fn every_two_neighboring_steps_have_a_vector_in_which_both_refuse() {
    let order = order::vectors();
    for pair in STEPS.windows(2) {
        let (first, second) = (pair[0].0, pair[1].0);
        let name = order::name(first, second);
        let vector = order.iter().find(|vector| vector.name == name);
        let vector = vector.unwrap_or_else(|| panic!("no vector `{name}`"));
        let item = vector.case.effective();
        assert_eq!(refusing(&vector.case.question(&item)), [first, second], "{name}");
        assert_eq!(vector.expected.map(|(step, _)| step), Some(first), "{name}");
    }
    assert_eq!(order.len(), STEPS.len() * (STEPS.len() - 1) / 2, "every pair");
}

/// Each step alone: where it refuses, no other would; and no step is without one that just passes.
#[test]
fn every_step_is_refused_alone_and_just_allowed() {
    let vectors: Vec<Vector> = files().into_iter().skip(1).flat_map(|file| file.2).collect();
    for (step, _) in STEPS {
        let of_step = |vector: &&Vector| vector.step == step;
        let alone = vectors.iter().filter(of_step).filter(|vector| {
            let item = vector.case.effective();
            refusing(&vector.case.question(&item)) == [step]
        });
        assert!(alone.count() > 0, "{step} is never refused alone");
        let mut allowed = vectors.iter().filter(of_step).filter(|one| one.expected.is_none());
        assert!(allowed.next().is_some(), "{step} is never just allowed");
    }
    let known: Vec<&str> = STEPS.iter().map(|(name, _)| *name).collect();
    assert!(vectors.iter().all(|vector| known.contains(&vector.step)));
}

/// Whatever the document says that a step refuses with is refused with in some vector.
#[test]
fn every_number_of_the_document_is_in_a_vector() {
    let document = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/formats/04-license-entry.md");
    let document = std::fs::read_to_string(document).expect("the document");
    let (_, table) = document.split_once("## Order of evaluation").expect("the table");
    let seen: BTreeSet<u16> =
        all().iter().filter_map(|vector| Some(vector.expected?.1.code)).collect();
    let mut documented = BTreeSet::from([ErrorCode::NoTime.number()]);
    for (step, _) in STEPS {
        let row = table.lines().find(|line| line.starts_with(&format!("| {step} |")));
        let codes = row.unwrap_or_else(|| panic!("no row for {step}")).rsplit('|').nth(1);
        documented.extend(codes_of(codes.expect("three columns")));
    }
    assert!(documented.is_subset(&seen), "without a vector: {:x?}", &documented - &seen);
    let more = &seen - &documented;
    assert!(more.is_empty(), "not in the document: {more:x?}");
}

/// `S0361` to `S0365`, or `S03C0`, `S03C1`.
fn codes_of(text: &str) -> Vec<u16> {
    let named: Vec<u16> = text
        .split('`')
        .filter_map(|word| u16::from_str_radix(word.strip_prefix('S')?, 16).ok())
        .collect();
    assert!(!named.is_empty(), "no numbers in {text}");
    if !text.contains(" to ") {
        return named;
    }
    let numbers = ErrorCode::ALL.iter().map(|code| code.number());
    numbers.filter(|number| (named[0]..=named[1]).contains(number)).collect()
}

#[test]
fn the_files_hold_the_tables_and_can_be_read_alone() {
    let mut count = 0;
    let mut names = BTreeSet::new();
    for (name, about, vectors) in files() {
        let path = folder().join(format!("{name}.json"));
        let text = json::file(about, &vectors);
        if std::env::var_os("STRONGROOM_BLESS").is_some() {
            std::fs::write(&path, &text).expect("a folder that can be written");
        }
        let stored = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(stored == text, "{} differs: STRONGROOM_BLESS=1 writes it", path.display());
        let value: serde_json::Value = serde_json::from_str(&stored).expect("JSON");
        for value in value["vectors"].as_array().expect("vectors") {
            let name = value["name"].as_str().expect("a name").to_owned();
            read::check(value);
            assert!(names.insert(name), "a name twice: {value}");
            count += 1;
        }
    }
    println!("figure: {count} vectors of the evaluation");
    assert!(count >= 200, "only {count} vectors");
}
