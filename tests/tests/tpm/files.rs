//! Files of a container as somebody copies them and puts them back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Names and contents.
pub(crate) type Files = BTreeMap<String, Vec<u8>>;

/// All files of a folder.
pub(crate) fn read(folder: &Path) -> Files {
    let entries = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry"));
    let files = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
    let names = files.map(|file| file.file_name().into_string().expect("text"));
    // One that is gone meanwhile was there before.
    let read = |name: String| Some((fs::read(folder.join(&name)).ok()?, name));
    names.filter_map(read).map(|(bytes, name)| (name, bytes)).collect()
}

/// The same, states only.
pub(crate) fn states(folder: &Path) -> Files {
    let mut files = read(folder);
    files.retain(|name, _| tpm::state_file::epoch_of(name).is_some());
    files
}

/// Makes these all files that a folder has. Nobody else uses it meanwhile.
pub(crate) fn put_back(folder: &Path, files: &Files) {
    fs::create_dir_all(folder).expect("room");
    fs::set_permissions(folder, PermissionsExt::from_mode(0o700)).expect("our own folder");
    for name in read(folder).into_keys() {
        fs::remove_file(folder.join(name)).expect("our own file");
    }
    files.iter().for_each(|(name, bytes)| add(folder, name, bytes));
}

/// Puts one file back.
pub(crate) fn add(folder: &Path, name: &str, bytes: &[u8]) {
    let path = folder.join(name);
    fs::write(&path, bytes).expect("room");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("our own file");
}
