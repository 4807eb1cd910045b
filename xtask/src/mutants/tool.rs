//! `cargo-mutants`: installed under `target/tools`, in one version, and called.

use super::survivors::Counts;
use super::tree;
use crate::{Outcome, repo};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const VERSION: &str = "27.1.0";

/// Where the tool writes, and where is kept what it wrote before.
const NEWEST: &str = "mutants.out";
const BEFORE: &str = "before";

/// Of changes that were noticed, and of those that do not compile.
const CAUGHT: &str = "caught.txt";
const UNVIABLE: &str = "unviable.txt";

/// Statuses with which the tool ends when it did its work: all noticed; some survive; some hang.
const DONE: [i32; 3] = [0, 2, 3];

/// The crates that each change builds anew: without optimization they are built sooner than the
/// tests would run faster.
const REBUILT: &[&str] = &["strongroom-engine", "strongroom-firmware-sim", "strongroom-tests"];

/// Seconds after which a test hangs, and a compiler. None that ends comes near it.
const HANG_S: &str = "60";
const BUILD_S: &str = "900";

/// Bytes of memory of each process: a loop without an end that fills a list shall fail.
const MEMORY_MAX: u64 = 8 << 30;

/// A test program and the arguments that it is run with.
pub(super) struct Tests<'a> {
    pub(super) package: &'a str,
    /// As cargo wants it.
    pub(super) target: &'a str,
    pub(super) filter: Vec<&'a str>,
}

pub(super) struct Tool {
    program: PathBuf,
}

/// The tool, installed if it is not there in this version.
pub(super) fn installed() -> Outcome<Tool> {
    let root = repo::target().join("tools");
    let tool = Tool { program: root.join("bin/cargo-mutants") };
    let said = Command::new(&tool.program).args(["mutants", "--version"]).output();
    let wanted = format!("cargo-mutants {VERSION}");
    if !said.is_ok_and(|said| String::from_utf8_lossy(&said.stdout).trim() == wanted) {
        let mut cargo = repo::cargo(&repo::root());
        cargo.args(["install", "cargo-mutants", "--version", VERSION, "--locked", "--force"]);
        cargo.arg("--root").arg(&root);
        let build = root.join("build");
        repo::succeed(cargo.env("CARGO_TARGET_DIR", &build))?;
        std::fs::remove_dir_all(&build)?;
    }
    Ok(tool)
}

/// Changes in some files, and where what came of them is written.
pub(super) struct Run<'a> {
    pub(super) name: &'a str,
    pub(super) files: &'a [String],
}

impl Run<'_> {
    fn dir(&self) -> PathBuf {
        base().join(self.name)
    }

    /// What came of the changes, in this run of the tool and in those before.
    pub(super) fn counts(&self) -> Outcome<Counts> {
        let newest = self.dir().join(NEWEST);
        Ok(Counts {
            caught: self.all(CAUGHT)?.len(),
            unviable: self.all(UNVIABLE)?.len(),
            timed_out: list(&newest, "timeout.txt")?.len(),
            missed: list(&newest, "missed.txt")?,
        })
    }

    /// Forgets all of it.
    pub(super) fn clear(&self) -> Outcome {
        match std::fs::remove_dir_all(self.dir()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// The tool skips what was noticed before, and lists it no more.
    fn keep(&self) -> Outcome {
        let before = self.dir().join(BEFORE);
        std::fs::create_dir_all(&before)?;
        for name in [CAUGHT, UNVIABLE] {
            let text: String = self.all(name)?.iter().map(|one| format!("{one}\n")).collect();
            std::fs::write(before.join(name), text)?;
        }
        Ok(())
    }

    fn all(&self, name: &str) -> Outcome<BTreeSet<String>> {
        let lists = [list(&self.dir().join(BEFORE), name)?, list(&self.dir().join(NEWEST), name)?];
        Ok(lists.into_iter().flatten().collect())
    }

    /// Makes each change that was not noticed yet, and runs `tests`. Without a change they pass, or
    /// there is nothing to learn.
    pub(super) fn with(&self, tool: &Tool, tests: &Tests<'_>) -> Outcome {
        self.keep()?;
        let mut cargo = repo::cargo(&tree());
        cargo.args(["test", "--package", tests.package]).args(build_arguments(tests));
        // The long forms of tests are for code that is right.
        cargo.env("CARGO_TARGET_DIR", build_dir()).env_remove("STRONGROOM_SOAK");
        repo::succeed(cargo.arg("--").args(&tests.filter))?;
        let mut mutants = Command::new("prlimit");
        mutants.arg(format!("--as={MEMORY_MAX}")).arg(&tool.program);
        mutants.args(["mutants", "--in-place", "--iterate", "--no-config", "--colors", "never"]);
        // Its own first run would be of other tests.
        mutants.args(["--baseline", "skip", "--timeout", HANG_S, "--build-timeout", BUILD_S]);
        mutants.arg("--dir").arg(tree()).arg("--output").arg(self.dir());
        mutants.args(self.files.iter().flat_map(|file| ["--file", file]));
        mutants.args(["--test-package", tests.package]);
        mutants.args(build_arguments(tests).iter().map(|word| format!("--cargo-arg={word}")));
        mutants.args(["--", "--"]).args(&tests.filter);
        mutants.env("CARGO_TARGET_DIR", build_dir()).env_remove("STRONGROOM_SOAK");
        let status = mutants.status()?;
        match status.code().is_some_and(|code| DONE.contains(&code)) {
            true => Ok(()),
            false => Err(format!("cargo-mutants: {status}").into()),
        }
    }
}

/// The lines of a list, if it is there.
fn list(dir: &Path, name: &str) -> Outcome<Vec<String>> {
    match std::fs::read_to_string(dir.join(name)) {
        Ok(text) => Ok(text.lines().map(str::to_owned).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error.into()),
    }
}

/// What cargo is told each time, so that it builds nothing but this test program.
fn build_arguments(tests: &Tests<'_>) -> Vec<String> {
    let setting = |name| format!("--config=profile.dev.package.{name}.opt-level=0");
    std::iter::once(tests.target.to_owned()).chain(REBUILT.iter().map(setting)).collect()
}

/// A build of its own: changed programs must not lie among the others.
fn build_dir() -> PathBuf {
    base().join("build")
}

fn base() -> PathBuf {
    let base = tree();
    base.parent().map_or_else(PathBuf::new, Path::to_path_buf)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_noticed_stays_noticed_and_counts_once() {
        let name = format!("test-{}", std::process::id());
        let run = Run { name: &name, files: &[] };
        let newest = run.dir().join(NEWEST);
        std::fs::create_dir_all(&newest).unwrap();
        let write = |name: &str, text: &str| std::fs::write(newest.join(name), text).unwrap();
        write(CAUGHT, "a\nb\n");
        write("missed.txt", "c\nd\n");
        for _ in 0..2 {
            run.keep().unwrap();
        }
        write(CAUGHT, "c\n");
        write("missed.txt", "d\n");
        let counts = run.counts().unwrap();
        assert_eq!((counts.caught, counts.unviable, counts.missed), (3, 0, vec!["d".to_owned()]));
        run.clear().unwrap();
        assert_eq!(run.counts().unwrap().caught, 0);
    }
}
