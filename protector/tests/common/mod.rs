//! Programs, users and disks for tests; what is made vanishes at their end.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod vendor;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::{Gid, Uid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
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

const NOBODY: u32 = 65534;

/// A small file system of its own, gone at the end.
pub(crate) struct SmallDisk(PathBuf);

impl SmallDisk {
    pub(crate) fn mount(path: PathBuf) -> Self {
        fs::create_dir(&path).unwrap();
        let status = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"])
            .arg(&path)
            .status()
            .expect("mount");
        assert!(status.success(), "this test mounts a file system and so runs as root");
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Runs `work` as an ordinary user, in a thread of its own: credentials are a thread's here.
pub(crate) fn as_nobody<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    let drop_privileges = || {
        let (uid, gid) = (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY));
        set_thread_groups(&[]).expect("this test changes user and so runs as root");
        set_thread_res_gid(gid, gid, gid).expect("as root");
        set_thread_res_uid(uid, uid, uid).expect("as root");
    };
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            drop_privileges();
            work()
        });
        run.join().expect("the work does not panic")
    })
}
