//! Programs for tests: compiled on the spot, in a directory that vanishes.
#![allow(dead_code, reason = "each test file uses its part")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

/// A directory that any user may enter.
pub(crate) fn open_directory() -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().expect("a temporary directory");
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("its owner");
    directory
}

/// Compiles C into `directory/name`.
pub(crate) fn compile(directory: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let (input, output) = (directory.join(format!("{name}.c")), directory.join(name));
    fs::write(&input, source).expect("a source file");
    let status = Command::new("cc")
        .args(["-O1", "-w", "-o"])
        .args([&output, &input])
        .args(flags)
        .status()
        .expect("a C compiler is installed");
    assert!(status.success(), "cc failed for {name} with {flags:?}");
    output
}

/// Names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("a directory");
    let name = |entry: std::io::Result<fs::DirEntry>| entry.expect("an entry").file_name();
    let mut names: Vec<String> =
        entries.map(|e| name(e).into_string().expect("plain names")).collect();
    names.sort();
    names
}
