//! Files that come with this program: beside it, or where packages put them.

use std::path::PathBuf;

/// Where a file of this name is looked for.
pub(crate) fn places(name: &str) -> Vec<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(name)));
    let packaged = PathBuf::from("/usr/lib/strongroom").join(name);
    beside.into_iter().chain([packaged]).collect()
}

/// Where it is, if it is there.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    places(name).into_iter().find(|path| path.is_file())
}
