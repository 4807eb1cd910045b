//! A first build directory for the patched copy: what the work tree has built already.
//!
//! It cannot be the work tree's own: a patched `strongroom` would lie there afterwards.

use crate::{Outcome, mirror};
use std::fs::{DirEntry, read_dir};
use std::path::{Path, PathBuf};

/// Where the patched copy is built.
pub(super) fn build_dir(target: &Path) -> PathBuf {
    target.join("defeat/build")
}

/// Takes over what is built, with its times, by which cargo tells what is fresh.
pub(super) fn take_over(target: &Path) -> Outcome {
    let (from, to) = (target.join("debug"), build_dir(target).join("debug"));
    for part in ["deps", "build", ".fingerprint", "incremental"] {
        take_dir(&from.join(part), &to.join(part), part)?;
    }
    Ok(())
}

fn take_dir(from: &Path, to: &Path, part: &str) -> Outcome {
    std::fs::create_dir_all(to)?;
    for entry in read_dir(from).into_iter().flatten() {
        let entry = entry?;
        let (source, taken) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type()?.is_dir() {
            take_dir(&source, &taken, part)?;
            continue;
        }
        match how(part, &entry) {
            How::Leave => {}
            How::Link => std::fs::hard_link(&source, &taken)?,
            How::Copy => {
                std::fs::copy(&source, &taken)?;
                mirror::set_time(&taken, &source)?;
            }
        }
    }
    Ok(())
}

enum How {
    Leave,
    /// Two names of one file: for what is replaced and never written in place. The compiler's
    /// incremental files are made for that.
    Link,
    Copy,
}

/// Of this repository, libraries are copied, and programs, which a patch changes anyway, left out.
fn how(part: &str, entry: &DirEntry) -> How {
    let (name, path) = (entry.file_name(), entry.path());
    let extension = path.extension().and_then(|extension| extension.to_str());
    match (part, extension) {
        ("incremental", _) => How::Link,
        ("deps", Some("d")) => How::Copy,
        ("deps", Some("rlib" | "rmeta")) if name.to_str().is_some_and(is_own) => How::Copy,
        ("deps", _) if name.to_str().is_some_and(is_own) => How::Leave,
        ("deps", Some("rlib" | "rmeta" | "so")) => How::Link,
        ("deps", _) => How::Leave,
        _ => How::Copy,
    }
}

fn is_own(name: &str) -> bool {
    const OWN: &[&str] = &["strongroom", "libstrongroom", "liblicense_central", "libmodels"];
    OWN.iter().any(|own| name.starts_with(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_crates_are_told_from_dependencies() {
        assert!(is_own("libstrongroom_engine-0123.rlib"));
        assert!(is_own("liblicense_central-0123.rmeta"));
        assert!(!is_own("libp256-0123.rlib"));
    }

    #[test]
    fn libraries_come_with_their_times_and_own_ones_as_copies() {
        let base = std::env::temp_dir().join(format!("strongroom-seed-{}", std::process::id()));
        let (from, to) = (base.join("target"), build_dir(&base.join("target")));
        let deps = from.join("debug/deps");
        std::fs::create_dir_all(&deps).unwrap();
        for name in ["libp256-1.rlib", "libstrongroom-1.rlib", "it-1", "it-1.d"] {
            std::fs::write(deps.join(name), name).unwrap();
        }
        take_over(&from).unwrap();
        let taken = to.join("debug/deps");
        std::fs::write(taken.join("libstrongroom-1.rlib"), "patched").unwrap();
        assert!(!taken.join("it-1").exists());
        for name in ["libp256-1.rlib", "libstrongroom-1.rlib", "it-1.d"] {
            assert_eq!(std::fs::read_to_string(deps.join(name)).unwrap(), name);
            assert!(taken.join(name).exists());
        }
        let time = |path: PathBuf| std::fs::metadata(path).unwrap().modified().unwrap();
        assert_eq!(time(taken.join("it-1.d")), time(deps.join("it-1.d")));
        std::fs::remove_dir_all(&base).unwrap();
    }
}
