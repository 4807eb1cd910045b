//! Replays the stored corpus: every input that ever mattered goes through its target again.

use std::fs;
use std::path::{Path, PathBuf};
use strongroom_fuzz_targets::TARGETS;

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus")
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let name = |entry: std::io::Result<fs::DirEntry>| entry.unwrap().file_name();
    let mut names: Vec<String> = entries.map(|e| name(e).into_string().unwrap()).collect();
    names.sort();
    names
}

/// An input that panics names its file by the message, since each is printed before it runs.
#[test]
fn every_stored_input_runs() {
    for (target, run) in TARGETS {
        let dir = corpus().join(target);
        let inputs = names(&dir);
        assert!(!inputs.is_empty(), "{target} has no stored corpus");
        for input in &inputs {
            println!("{target}/{input}");
            run(&fs::read(dir.join(input)).unwrap());
        }
    }
}

#[test]
fn targets_corpora_and_programs_have_the_same_names() {
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&corpus()), targets);
    let programs = names(&corpus().join("../fuzz_targets"));
    let programs: Vec<&str> = programs.iter().filter_map(|name| name.strip_suffix(".rs")).collect();
    assert_eq!(programs, targets);
}

/// The empty input and each stored input cut short are inputs as well.
#[test]
fn every_stored_input_may_be_cut_short() {
    for (target, run) in TARGETS {
        let dir = corpus().join(target);
        for input in names(&dir) {
            let bytes = fs::read(dir.join(&input)).unwrap();
            println!("{target}/{input}");
            let step = (bytes.len() / 64).max(1);
            for len in (0..bytes.len()).step_by(step) {
                run(&bytes[..len]);
            }
        }
    }
}
