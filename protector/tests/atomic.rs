//! Files appear whole or not at all: on a full disk, in a directory without write permission,
//! over an existing file and when the work is given up.

mod common;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use common::{SmallDisk, as_nobody, names_in, open_directory};
use strongroom_protector::atomic::{AtomicFile, Existing, WriteError, write_file};
use strongroom_protector::seal::{SealError, seal};

fn kind_of(error: &WriteError) -> Option<ErrorKind> {
    match error {
        WriteError::Io { source, .. } => Some(source.kind()),
        _ => None,
    }
}

#[test]
fn a_new_file_has_its_content_and_mode() {
    let directory = open_directory();
    for mode in [0o600, 0o644, 0o755, 0o711] {
        let path = directory.path().join(format!("{mode:o}"));
        write_file(&path, mode, Existing::Keep, b"content").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"content");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, mode);
    }
    assert_eq!(names_in(directory.path()), ["600", "644", "711", "755"]);
}

#[test]
fn a_full_disk_keeps_what_was_there() {
    let directory = open_directory();
    let disk = SmallDisk::mount(directory.path().join("disk"));
    let path = disk.path().join("file");
    write_file(&path, 0o600, Existing::Keep, b"old").unwrap();
    let error = write_file(&path, 0o600, Existing::Replace, &vec![1; 1 << 20]).unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::StorageFull), "{error}");
    assert!(error.to_string().contains("nothing was changed"));
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(disk.path()), ["file"]);
    write_file(&path, 0o600, Existing::Replace, &vec![1; 32 << 10]).expect("the space is back");
}

#[test]
fn a_directory_that_cannot_be_written_is_left_alone() {
    let directory = open_directory();
    let path = directory.path().join("file");
    fs::write(&path, "old").unwrap();
    for (path, existing) in
        [(path.clone(), Existing::Replace), (directory.path().join("new"), Existing::Keep)]
    {
        let error = as_nobody(|| write_file(&path, 0o600, existing, b"new")).unwrap_err();
        assert_eq!(kind_of(&error), Some(ErrorKind::PermissionDenied), "{error}");
    }
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), ["file"]);
}

#[test]
fn a_program_sealed_onto_a_full_disk_leaves_nothing() {
    let directory = open_directory();
    let disk = SmallDisk::mount(directory.path().join("disk"));
    let path = disk.path().join("program");
    for (loader_len, artifact_len) in [(1 << 20, 8), (4096, 1 << 20)] {
        let write_artifact = |out: &mut dyn Write| {
            out.write_all(b"STRGROOM")?;
            out.write_all(&vec![1; artifact_len])
        };
        let loader = vec![0; loader_len];
        let error = seal(&loader, &path, 0o755, Existing::Keep, write_artifact).unwrap_err();
        let kind = match &error {
            SealError::Write(error) => kind_of(error),
            SealError::Artifact(source) => Some(source.kind()),
            other => panic!("{other}"),
        };
        assert_eq!(kind, Some(ErrorKind::StorageFull), "{error}");
        assert!(names_in(disk.path()).is_empty());
    }
}

#[test]
fn work_that_is_given_up_leaves_nothing() {
    let directory = open_directory();
    let path = directory.path().join("file");
    let mut file = AtomicFile::create(&path, 0o600, Existing::Keep).unwrap();
    file.write_all(b"new").unwrap();
    assert!(!path.exists(), "no name before the commit");
    drop(file);
    assert!(names_in(directory.path()).is_empty());
}

#[test]
fn names_that_are_taken_are_kept() {
    let directory = open_directory();
    let at = |name: &str| directory.path().join(name);
    fs::write(at("file"), "old").unwrap();
    fs::create_dir(at("directory")).unwrap();
    symlink("file", at("link")).unwrap();
    symlink("/dev/null", at("device")).unwrap();
    let before = names_in(directory.path());

    let error = write_file(&at("file"), 0o600, Existing::Keep, b"new").unwrap_err();
    assert!(matches!(error, WriteError::Exists { .. }));
    for name in ["directory", "link", "device"] {
        let error = write_file(&at(name), 0o600, Existing::Replace, b"new").unwrap_err();
        assert!(matches!(error, WriteError::NotAFile { .. }), "{name}");
    }
    let error = write_file(Path::new("/dev/null"), 0o600, Existing::Replace, b"new").unwrap_err();
    assert!(matches!(error, WriteError::NotAFile { .. }));
    assert_eq!(fs::read(at("file")).unwrap(), b"old");
    assert_eq!(names_in(directory.path()), before);
}

#[test]
fn a_name_taken_meanwhile_is_kept() {
    let directory = open_directory();
    let path = directory.path().join("file");
    let file = AtomicFile::create(&path, 0o600, Existing::Keep).unwrap();
    fs::write(&path, "somebody else's").unwrap();
    assert!(matches!(file.commit(), Err(WriteError::Exists { .. })));
    assert_eq!(fs::read_to_string(&path).unwrap(), "somebody else's");
    assert_eq!(names_in(directory.path()), ["file"]);
}

#[test]
fn replacing_gives_a_new_file_and_leaves_open_ones() {
    let directory = open_directory();
    let path = directory.path().join("file");
    fs::write(&path, "old").unwrap();
    let old = fs::File::open(&path).unwrap();
    write_file(&path, 0o600, Existing::Replace, b"new").unwrap();
    assert_eq!(fs::read(&path).unwrap(), b"new");
    assert_eq!(std::io::read_to_string(&old).unwrap(), "old");
    assert_ne!(fs::metadata(&path).unwrap().ino(), old.metadata().unwrap().ino());
}

#[test]
fn a_missing_directory_is_an_error_with_the_name() {
    let directory = open_directory();
    let path = directory.path().join("missing").join("file");
    let error = write_file(&path, 0o600, Existing::Keep, b"new").unwrap_err();
    assert_eq!(kind_of(&error), Some(ErrorKind::NotFound));
    assert!(error.to_string().contains("missing/file"));
}
