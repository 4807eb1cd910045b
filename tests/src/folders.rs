//! Folders as tests copy them.

use std::fs;
use std::path::Path;

/// Copies a folder with all that is in it, and who may enter.
pub fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("room");
    let metadata = fs::metadata(from).expect("a folder");
    fs::set_permissions(to, metadata.permissions()).expect("our own folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let place = to.join(path.file_name().expect("a name"));
        match path.is_dir() {
            true => copy(&path, &place),
            false if !path.is_file() => {}
            false => drop(fs::copy(&path, &place).expect("room")),
        }
    }
}
