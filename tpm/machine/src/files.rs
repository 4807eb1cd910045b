//! Small files of a system, below any root directory.

use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::traits::Why;

/// More than any of these files has.
const LEN_MAX: u64 = 1 << 20;

/// A page, which is what an attribute in sysfs has at most.
const ATTRIBUTE_LEN_MAX: usize = 4 * 1024;

/// What a file holds, the first [`LEN_MAX`] bytes of it.
pub(crate) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, Why> {
    // A buffer that grew would leave copies of a trait behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(ATTRIBUTE_LEN_MAX + 1));
    let file = File::open(path).map_err(|error| why(&error))?;
    file.take(LEN_MAX).read_to_end(&mut bytes).map_err(|error| why(&error))?;
    Ok(bytes)
}

/// The same as text, with what is no UTF-8 replaced.
pub(crate) fn text(path: &Path) -> Result<Zeroizing<String>, Why> {
    Ok(Zeroizing::new(String::from_utf8_lossy(&read(path)?).into_owned()))
}

/// What is in a directory, by name.
pub(crate) fn entries(path: &Path) -> Result<Vec<PathBuf>, Why> {
    let entries = path.read_dir().map_err(|error| why(&error))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    let mut paths = paths.collect::<io::Result<Vec<_>>>().map_err(|error| why(&error))?;
    paths.sort();
    Ok(paths)
}

/// Where a path leads, without links.
pub(crate) fn resolved(path: &Path) -> Result<PathBuf, Why> {
    path.canonicalize().map_err(|error| why(&error))
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> Option<&str> {
    path.file_name()?.to_str()
}

fn why(error: &io::Error) -> Why {
    match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Why::Absent,
        ErrorKind::PermissionDenied => Why::Denied,
        _ => Why::Unreadable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_only_root_may_read_is_told_from_what_is_not_there() {
        let of = |kind: ErrorKind| why(&kind.into());
        assert_eq!(of(ErrorKind::NotFound), Why::Absent);
        assert_eq!(of(ErrorKind::PermissionDenied), Why::Denied);
        assert_eq!(of(ErrorKind::InvalidData), Why::Unreadable);
    }
}
