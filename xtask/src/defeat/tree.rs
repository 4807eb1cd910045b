//! The copy of the work tree in which patches are applied.

use super::patch::Patch;
use super::seed;
use crate::{Outcome, mirror, repo};
use std::path::PathBuf;
use std::process::Command;

/// The copy.
pub(super) fn dir() -> PathBuf {
    repo::target().join("defeat/tree")
}

/// Makes the copy and what is built of it, together: one without the other would be built by times
/// that mean nothing.
pub(super) fn prepare() -> Outcome {
    let build = seed::build_dir(&repo::target());
    if build.exists() && dir().exists() {
        return Ok(());
    }
    for half in [&build, &dir()] {
        if half.exists() {
            std::fs::remove_dir_all(half)?;
        }
    }
    seed::take_over(&repo::target())?;
    mirror::with_times(&dir())
}

/// Makes the copy equal to the work tree.
pub(super) fn restore() -> Outcome {
    mirror::of_work_tree(&dir())
}

/// Applies the patch to the copy. `Err` holds what git said.
pub(super) fn apply(patch: &Patch) -> Outcome<Result<(), String>> {
    let mut git = Command::new("git");
    git.current_dir(dir()).args(["apply", "--whitespace=nowarn"]).arg(&patch.file);
    // Inside a repository git would take the paths from its root and silently skip what lies
    // elsewhere.
    git.env("GIT_CEILING_DIRECTORIES", dir().parent().unwrap_or(&dir()));
    let done = git.output()?;
    let said = String::from_utf8_lossy(&done.stderr).trim().to_owned();
    Ok(if done.status.success() { Ok(()) } else { Err(said) })
}
