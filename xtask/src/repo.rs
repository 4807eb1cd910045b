//! The repository: where it is, which files belong to it, how its tools are called.

use crate::Outcome;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The root of the work tree.
pub(crate) fn root() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_path_buf()
}

/// Where cargo puts what it builds.
pub(crate) fn target() -> PathBuf {
    match std::env::var_os("CARGO_TARGET_DIR") {
        Some(dir) => root().join(dir),
        None => root().join("target"),
    }
}

/// Files of the work tree that git tracks or would track, relative to the root, sorted.
pub(crate) fn files() -> Outcome<Vec<PathBuf>> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let list = output(&mut git)?;
    let mut files: Vec<PathBuf> =
        list.split('\0').filter(|p| !p.is_empty()).map(Into::into).collect();
    files.retain(|path| root().join(path).is_file());
    files.sort();
    files.dedup();
    Ok(files)
}

/// Number of commits that led to this one. A shallow clone knows fewer.
pub(crate) fn commit_count() -> Outcome<usize> {
    let mut git = Command::new("git");
    git.current_dir(root()).args(["rev-list", "--count", "HEAD"]);
    Ok(output(&mut git)?.trim().parse()?)
}

/// Cargo, called from `dir`.
pub(crate) fn cargo(dir: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(dir);
    cargo
}

/// Standard output of a command that must succeed.
pub(crate) fn output(command: &mut Command) -> Outcome<String> {
    let done = command.output().map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    if !done.status.success() {
        let said = String::from_utf8_lossy(&done.stderr);
        return Err(format!("{:?}: {}\n{said}", command.get_program(), done.status).into());
    }
    Ok(String::from_utf8(done.stdout)?)
}

/// Runs a command, its output passing through, and wants it to succeed.
pub(crate) fn succeed(command: &mut Command) -> Outcome {
    let status = command.status().map_err(|e| format!("{:?}: {e}", command.get_program()))?;
    if status.success() { Ok(()) } else { Err(format!("{command:?}: {status}").into()) }
}
