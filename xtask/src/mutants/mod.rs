//! Changes the code that judges uses, updates and time, one place at a time: a test must notice.
//!
//! `cargo-mutants` makes the changes, in a copy of the work tree under `target/mutants`. What the
//! engine's own tests do not notice is tried again with the system tests, which take longer to
//! build. The copy of those is cut down to what looks at this code.

mod survivors;
mod tool;

use crate::{Outcome, mirror, repo};
use std::path::{Path, PathBuf};
use survivors::{Counts, Known};
use tool::{Run, Tests, Tool};

/// A module of the engine.
struct Part {
    name: &'static str,
    /// Whether it has tests of its own, which are built and run in no time.
    has_tests: bool,
}

/// What decides about uses, time and updates.
const PARTS: [Part; 7] = [
    Part { name: "evaluate", has_tests: true },
    Part { name: "time", has_tests: true },
    Part { name: "clock", has_tests: false },
    Part { name: "update", has_tests: false },
    Part { name: "steps", has_tests: false },
    Part { name: "uses", has_tests: false },
    Part { name: "trust", has_tests: false },
];

/// Of the system tests, the modules that look most closely at that code, and what they share.
const MODULES: &[&str] = &[
    "answers",
    "bounds",
    "license",
    "pin",
    "receiving",
    "seats",
    "time",
    "trust",
    "units",
    "updates",
    "vectors",
];

/// Tests that go long ways which others of these go shortly.
const LONG: &[&str] = &[
    "no_walk_of_clocks",
    "no_crash_and_no_repetition",
    "no_power_cut_gives",
    "no_update_of_the_past",
    "only_the_diagonal",
];

/// Dependencies of the system tests that those modules do without.
const UNUSED: &[&str] = &["cli", "strongroom-c"];

const GO_ON: &str = "--go-on";

/// Of every hundred changes, so many are noticed at least.
const PERCENT_MIN: f64 = 98.0;

/// `mutants [--go-on] [PART…]`: all, or those that are named. `--go-on` skips what the run before
/// it noticed, which holds for the same code only.
pub(crate) fn run(arguments: &[String]) -> Outcome {
    let (options, names): (Vec<_>, Vec<_>) =
        arguments.iter().cloned().partition(|argument| argument == GO_ON);
    let parts = chosen(&names)?;
    let known = Known::read(&repo::root().join("tests/mutants.toml"))?;
    let tool = tool::installed()?;
    mirror::of_work_tree(&tree())?;
    cut_down(&tree())?;
    let mut all = Counts::default();
    for part in &parts {
        let counts = part.change(&tool, !options.is_empty())?;
        println!("figure: {}: {counts}", part.name);
        all.add(counts);
    }
    judge(&all, &known.below(|file| parts.iter().any(|part| part.has(file))))
}

fn chosen(names: &[String]) -> Outcome<Vec<Part>> {
    let all = PARTS.map(|part| part.name).join(", ");
    match names.iter().find(|name| PARTS.iter().all(|part| part.name != *name)) {
        Some(name) => Err(format!("{name} is none of {all}").into()),
        None => {
            let is_chosen = |part: &Part| names.is_empty() || names.iter().any(|n| n == part.name);
            Ok(PARTS.into_iter().filter(is_chosen).collect())
        }
    }
}

impl Part {
    /// What comes of all changes in it.
    fn change(&self, tool: &Tool, goes_on: bool) -> Outcome<Counts> {
        let run = Run { name: self.name, files: &self.files() };
        if !goes_on {
            run.clear()?;
        }
        if self.has_tests {
            let own = format!("{}::", self.name);
            let filter = vec![own.as_str()];
            run.with(tool, &Tests { package: "strongroom-engine", target: "--lib", filter })?;
            let counts = run.counts()?;
            if counts.missed.is_empty() && counts.timed_out == 0 {
                return Ok(counts);
            }
        }
        run.with(tool, &system_tests())?;
        run.counts()
    }

    fn files(&self) -> [String; 2] {
        let name = self.name;
        [format!("engine/src/{name}.rs"), format!("engine/src/{name}/**/*.rs")]
    }

    fn has(&self, file: &str) -> bool {
        let rest = file.strip_prefix("engine/src/").and_then(|rest| rest.strip_prefix(self.name));
        rest.is_some_and(|rest| rest.starts_with(['.', '/']))
    }
}

fn system_tests() -> Tests<'static> {
    let filter = LONG.iter().flat_map(|test| ["--skip", test]).collect();
    Tests { package: "strongroom-tests", target: "--test=it", filter }
}

/// Where the copy lies.
fn tree() -> PathBuf {
    repo::target().join("mutants/tree")
}

/// Leaves out of the copied system tests what would be built for each change and looks at none.
fn cut_down(tree: &Path) -> Outcome {
    let is_unused = |line: &str| UNUSED.iter().any(|name| line.starts_with(&format!("{name} = ")));
    let manifest = tree.join("tests/Cargo.toml");
    let text = std::fs::read_to_string(&manifest)?;
    std::fs::write(&manifest, without(&text, is_unused))?;
    let is_other = |line: &str| {
        let module = line.strip_prefix("mod ").and_then(|rest| rest.strip_suffix(';'));
        module.is_some_and(|module| !MODULES.contains(&module))
    };
    std::fs::remove_dir_all(tree.join("tests/src/bin"))?;
    let main = tree.join("tests/tests/it/main.rs");
    let text = std::fs::read_to_string(&main)?;
    std::fs::write(&main, without(&text, is_other))?;
    Ok(())
}

fn without(text: &str, is_out: impl Fn(&str) -> bool) -> String {
    text.lines().filter(|line| !is_out(line)).map(|line| format!("{line}\n")).collect()
}

/// All survivors are explained, and there are few.
fn judge(counts: &Counts, known: &Known) -> Outcome {
    let unknown = known.compare(&counts.missed);
    println!("figure: mutants: {counts}, {} of them unexplained", unknown.new.len());
    unknown.new.iter().for_each(|mutant| println!("survives: {mutant}"));
    unknown.gone.iter().for_each(|mutant| println!("explained, but noticed or gone: {mutant}"));
    match counts.percent() >= PERCENT_MIN && unknown.new.is_empty() && unknown.gone.is_empty() {
        true => Ok(()),
        false => Err(format!("{PERCENT_MIN} % and an explained rest are asked for").into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_left_out_whole() {
        let text = "mod time;\nmod power;\n";
        assert_eq!(without(text, |line| line == "mod power;"), "mod time;\n");
    }

    #[test]
    fn a_part_is_chosen_by_name_and_has_its_own_files() {
        let names =
            |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(chosen(&[]).unwrap().len(), PARTS.len());
        let time = chosen(&names(&["time"])).unwrap().remove(0);
        assert!(time.has("engine/src/time.rs") && time.has("engine/src/time/a.rs"));
        assert!(!time.has("engine/src/timer.rs") && !time.has("engine/src/update.rs"));
        assert!(chosen(&names(&["time", "tme"])).is_err());
    }

    #[test]
    fn few_or_unexplained_catches_fail() {
        let known = Known::parse("[[survivor]]\nmutant = \"f: a\"\nwhy = \"equal\"\n").unwrap();
        let counts = |caught, missed: &[&str]| Counts {
            caught,
            missed: missed.iter().map(|name| (*name).to_owned()).collect(),
            ..Counts::default()
        };
        assert!(judge(&counts(99, &["f:1:2: a"]), &known).is_ok());
        assert!(judge(&counts(9, &["f:1:2: a"]), &known).is_err(), "too many");
        assert!(judge(&counts(99, &["f:1:2: b"]), &known).is_err(), "another one");
        assert!(judge(&counts(99, &[]), &known).is_err(), "explained for nothing");
    }
}
