//! A first build directory for the patched copy: the dependencies that the work tree has built
//! already.
//!
//! It cannot be the work tree's own: a patched `strongroom` would lie there afterwards. It is
//! copied, not linked, since cargo writes some of its files in place.

use crate::Outcome;
use std::path::{Path, PathBuf};

/// What is built from this repository differs with each patch and is left out.
const OWN: &[&str] = &["strongroom", "libstrongroom", "xtask"];

/// Where the patched copy is built.
pub(super) fn build_dir(target: &Path) -> PathBuf {
    target.join("defeat/build")
}

/// Copies what is needed, once.
pub(super) fn copy_dependencies(target: &Path) -> Outcome {
    let to = build_dir(target).join("debug");
    if to.exists() {
        return Ok(());
    }
    for part in ["deps", "build", ".fingerprint"] {
        copy(&target.join("debug").join(part), &to.join(part))?;
    }
    Ok(())
}

fn is_own(name: &str) -> bool {
    OWN.iter().any(|own| name.starts_with(own))
}

/// Copies a directory with its times, by which cargo tells what is fresh.
fn copy(from: &Path, to: &Path) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).into_iter().flatten() {
        let entry = entry?;
        let (source, copied) = (entry.path(), to.join(entry.file_name()));
        if entry.file_name().to_str().is_some_and(is_own) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&source, &copied)?;
        } else {
            std::fs::copy(&source, &copied)?;
            let file = std::fs::File::options().write(true).open(&copied)?;
            file.set_modified(entry.metadata()?.modified()?)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_crates_are_told_from_dependencies() {
        assert!(is_own("libstrongroom_engine-0123.rlib") && is_own("xtask-0123"));
        assert!(!is_own("libp256-0123.rlib"));
    }
}
