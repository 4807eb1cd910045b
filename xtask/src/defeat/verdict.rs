//! Builds and runs the guarding test in the patched copy and says what came of it.

use super::patch::Patch;
use super::{seed, tree};
use crate::{Outcome, repo};
use std::fmt;
use std::process::{Command, Output};

/// A test that hangs is ended after this time. No test that is red or green comes near it.
const HANG: &str = "900";

/// Building may take so long: the first time much is built anew.
const BUILD: &str = "3600";

/// What coreutils' `timeout` answers when it had to end the program.
const TIMED_OUT: i32 = 124;

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// As it must be: the test failed.
    Red,
    /// The test passes without the defense: it guards nothing.
    Green(String),
    /// No test has that name.
    NoSuchTest(String),
    /// The code has moved on; the patch must follow.
    DoesNotApply(String),
    /// A compiler's error is no attack.
    DoesNotCompile(String),
    Hung,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Red => write!(f, "ok: the test turns red"),
            Self::Green(test) => write!(f, "FAILED: {test} passes without the defense"),
            Self::NoSuchTest(test) => write!(f, "FAILED: no test is named {test}"),
            Self::DoesNotApply(said) => write!(f, "FAILED: does not apply\n{said}"),
            Self::DoesNotCompile(said) => write!(f, "FAILED: does not compile\n{said}"),
            Self::Hung => write!(f, "FAILED: still running after {HANG} s"),
        }
    }
}

/// Applies the patch to a fresh copy of the work tree and runs its test there.
pub(super) fn of(patch: &Patch) -> Outcome<Verdict> {
    tree::restore()?;
    if let Err(said) = tree::apply(patch)? {
        return Ok(Verdict::DoesNotApply(said));
    }
    let built = build(patch)?;
    if !built.status.success() {
        return Ok(Verdict::DoesNotCompile(text(&built.stderr)));
    }
    let mut tests = cargo(HANG, &["test", "--no-fail-fast"]);
    let done = tests.args(&patch.target).args(["--", &patch.test]).output()?;
    Ok(judge(patch, done.status.code(), &text(&done.stdout)))
}

fn build(patch: &Patch) -> Outcome<Output> {
    if patch.programs {
        for command in [&mut cargo(BUILD, &["build", "--bins"]), &mut loader()] {
            let built = command.output()?;
            if !built.status.success() {
                return Ok(built);
            }
        }
    }
    Ok(cargo(BUILD, &["test", "--no-run"]).args(&patch.target).output()?)
}

/// Always of the one selection that `./dev` names: with another one, dependencies have other
/// features and are built anew.
fn cargo(limit: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("timeout");
    command.args(["--kill-after=10", limit, "cargo"]).args(arguments);
    command.args(["--locked", "--workspace", "--exclude", "strongroom-loader"]);
    in_copy(command)
}

fn loader() -> Command {
    let mut command = Command::new("./dev");
    command.arg("loader");
    in_copy(command)
}

fn in_copy(mut command: Command) -> Command {
    command.current_dir(tree::dir());
    command.env("CARGO_TARGET_DIR", seed::build_dir(&repo::target()));
    command
}

/// Red is a failed test, or a test program that died in the middle. `cargo test` prints `running N
/// tests` first.
fn judge(patch: &Patch, status: Option<i32>, stdout: &str) -> Verdict {
    let started: usize = stdout.lines().filter_map(running).sum();
    match status {
        Some(TIMED_OUT) => Verdict::Hung,
        _ if started == 0 => Verdict::NoSuchTest(patch.test.clone()),
        Some(0) => Verdict::Green(patch.test.clone()),
        _ => Verdict::Red,
    }
}

fn running(line: &str) -> Option<usize> {
    line.strip_prefix("running ")?.split(' ').next()?.parse().ok()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(status: Option<i32>, stdout: &str) -> Verdict {
        judge(&Patch { test: "sec_x01".into(), ..Patch::default() }, status, stdout)
    }

    #[test]
    fn red_is_a_test_that_ran_and_failed_or_died() {
        let ran = "running 0 tests\n\nrunning 1 test\n";
        assert_eq!(verdict(Some(101), ran), Verdict::Red);
        assert_eq!(verdict(Some(0), ran), Verdict::Green("sec_x01".into()));
        assert_eq!(verdict(Some(124), ran), Verdict::Hung);
    }

    #[test]
    fn a_name_that_fits_no_test_is_not_red() {
        let nothing = "running 0 tests\n\nrunning 0 tests\n";
        assert_eq!(verdict(Some(0), nothing), Verdict::NoSuchTest("sec_x01".into()));
        assert_eq!(verdict(Some(101), ""), Verdict::NoSuchTest("sec_x01".into()));
    }
}
