//! Copies of the work tree, in which checks may change what they like.

use crate::{Outcome, repo};
use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// How a source names a path that cargo knows while it builds.
const OWN_PATHS: &[&str] = &["env!(\"CARGO_MANIFEST_DIR\"", "env!(\"CARGO_BIN_EXE_"];

/// Makes a copy equal to the work tree. Equal files stay untouched, so that cargo builds only what
/// differs.
pub(crate) fn of_work_tree(to: &Path) -> Outcome {
    mirror(&repo::root(), &repo::files()?, to)
}

/// Makes a first copy with the times of the work tree: what was built there counts as built here.
/// Sources that hold the path they are built at keep the present time, and are built anew.
pub(crate) fn with_times(to: &Path) -> Outcome {
    let (from, files) = (repo::root(), repo::files()?);
    mirror(&from, &files, to)?;
    for file in files {
        let source = from.join(&file);
        let text = std::fs::read(&source)?;
        let text = String::from_utf8_lossy(&text);
        if !OWN_PATHS.iter().any(|path| text.contains(path)) {
            set_time(&to.join(&file), &source)?;
        }
    }
    Ok(())
}

/// Gives a file the time of another.
pub(crate) fn set_time(file: &Path, of: &Path) -> Outcome {
    let time = std::fs::metadata(of)?.modified()?;
    // Opened for reading: programs and what may not be written have times too.
    Ok(std::fs::File::open(file)?.set_modified(time)?)
}

fn mirror(from: &Path, files: &[PathBuf], to: &Path) -> Outcome {
    let wanted: HashSet<&Path> = files.iter().map(PathBuf::as_path).collect();
    for path in files_below(to)? {
        if !wanted.contains(path.strip_prefix(to)?) {
            std::fs::remove_file(&path)?;
        }
    }
    for file in files {
        copy_if_different(&from.join(file), &to.join(file))?;
    }
    Ok(())
}

fn copy_if_different(from: &Path, to: &Path) -> Outcome {
    let bytes = std::fs::read(from)?;
    if std::fs::read(to).is_ok_and(|present| present == bytes) {
        return Ok(());
    }
    if let Some(parent) = to.parent() {
        std::fs::create_dir_all(parent)?;
    }
    std::fs::write(to, bytes)?;
    std::fs::set_permissions(to, std::fs::metadata(from)?.permissions())?;
    Ok(())
}

/// All files below a directory; none where it is absent.
fn files_below(dir: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten() {
        let path = entry?.path();
        if path.is_dir() { files.extend(files_below(&path)?) } else { files.push(path) }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirror_drops_what_is_gone_and_leaves_equal_files_alone() {
        let base = std::env::temp_dir().join(format!("strongroom-mirror-{}", std::process::id()));
        let (from, to) = (base.join("from"), base.join("to"));
        std::fs::create_dir_all(from.join("a")).unwrap();
        std::fs::create_dir_all(&to).unwrap();
        std::fs::write(from.join("a/b"), "1").unwrap();
        std::fs::write(to.join("gone"), "2").unwrap();
        mirror(&from, &["a/b".into()], &to).unwrap();
        assert_eq!(files_below(&to).unwrap(), [to.join("a/b")]);
        let before = std::fs::metadata(to.join("a/b")).unwrap().modified().unwrap();
        mirror(&from, &["a/b".into()], &to).unwrap();
        assert_eq!(std::fs::metadata(to.join("a/b")).unwrap().modified().unwrap(), before);
        std::fs::remove_dir_all(&base).unwrap();
    }
}
