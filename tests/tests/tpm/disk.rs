//! A disk that is full, fails or is read-only: what needs it is refused, nothing is lost, and the
//! next one works.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Act, CommandCode, Proxy, Swtpm};
use tpm::binding;

use crate::soft::Soft;

/// Bytes that a small file takes.
const PAGE: u64 = 4096;

/// A small disk, mounted for the test.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let disk = Disk(tempfile::tempdir().expect("a folder"));
        let options = ["-t", "tmpfs", "-o", "size=1m,mode=700", "strongroom-test"];
        let status = Command::new("/bin/mount").args(options).arg(disk.0.path()).status();
        assert!(status.expect("mount").success(), "root may mount");
        disk
    }

    /// Leaves room for so many small files.
    fn fill(&self, but: u64) {
        let path = self.0.path().join("filler");
        let mut file = File::options().append(true).create(true).open(path).expect("a file");
        while file.write_all(&[1; PAGE as usize]).is_ok() {}
        let len = file.metadata().expect("a file").len() / PAGE * PAGE;
        file.set_len(len - but * PAGE).expect("our own file");
    }

    fn free(&self) {
        fs::remove_file(self.0.path().join("filler")).expect("our own file");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("/bin/umount").arg(self.0.path()).status();
    }
}

#[track_caller]
fn is_refused(answer: Result<(), container::Error>) {
    let refused = answer.expect_err("it cannot be kept");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
}

/// After something failed: the value is there, and the next commit works, before and after a start.
#[track_caller]
fn goes_on(mut soft: Soft, tpm: &Swtpm, value: u64) {
    assert_eq!(soft.value(), value);
    soft.set(value + 1).expect("nothing is in its way");
    soft.kill();
    tpm.flush_all();
    soft.serve();
    assert_eq!(soft.value(), value + 1);
    soft.end();
}

#[test]
fn a_commit_on_a_full_disk_is_refused_and_made_when_there_is_room() {
    let (disk, tpm) = (Disk::mount(), Swtpm::blank());
    let mut soft = Soft::new_in(disk.0.path(), &tpm.tcti());
    disk.fill(0);
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::StoreFailed, "it begins with a commit");
    disk.free();
    soft.end();
    soft.serve();
    soft.set(1).expect("nothing is in its way");
    disk.fill(0);
    is_refused(soft.set(2));
    is_refused(soft.set(3));
    disk.free();
    goes_on(soft, &tpm, 1);
}

/// The helper has something to say, to a log on the same disk.
#[test]
fn a_helper_that_can_say_nothing_goes_on() {
    let (disk, tpm) = (Disk::mount(), Swtpm::blank());
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new_in(disk.0.path(), &proxy.tcti());
    soft.serve();
    soft.set(1).expect("nothing is in its way");
    assert_eq!(soft.said(), "", "its log has no room of its own yet");
    disk.fill(1);
    let mut is_lost = false;
    proxy.set_hook(move |exchange| {
        is_lost |= exchange.code() == CommandCode::NV_WRITE;
        if is_lost { Act::LoseCommand } else { Act::Pass }
    });
    is_refused(soft.set(2));
    assert_eq!(soft.refusal(), ErrorCode::TpmAbsent);
    disk.free();
    proxy.pass_all();
    tpm.flush_all();
    soft.kill();
    soft.serve();
    goes_on(soft, &tpm, 1);
}

#[test]
fn a_container_that_is_made_on_a_full_disk_is_made_when_there_is_room() {
    for room in 0.. {
        let (disk, tpm) = (Disk::mount(), Swtpm::blank());
        let mut soft = Soft::empty_in(disk.0.path(), &tpm.tcti());
        disk.fill(room);
        let made = soft.create();
        disk.free();
        // The intent is gone when the request is written.
        let files = ["intent", "state", "container"];
        match made {
            Ok(()) => assert_eq!(room as usize, files.len(), "each file was refused once"),
            Err(said) => {
                assert!(said.contains(&ErrorCode::HelperFailed.failure().shown_code()), "{said}");
                soft.create().expect("nothing is in its way");
            }
        }
        assert_eq!(tpm.nv_indices().len(), 2, "room for {room} files");
        soft.certify();
        soft.serve();
        goes_on(soft, &tpm, 0);
        if room as usize == files.len() {
            break;
        }
    }
}

/// A library that makes the fsync of a number fail.
fn failing_fsync(dir: &Path) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/tpm/fsync.c");
    let library = dir.join("fsync.so");
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-Wall", "-Wextra", "-Werror", "-shared", "-fPIC", "-o"]);
    assert!(gcc.arg(&library).arg(source).status().expect("gcc").success());
    library
}

/// Each commit makes its file durable, and then the folder: the first two are the start's own.
#[test]
fn a_file_or_folder_that_is_not_made_durable_is_no_commit() {
    let dir = tempfile::tempdir().expect("a folder");
    let library = failing_fsync(dir.path());
    for number in 1..=4 {
        let tpm = Swtpm::blank();
        let mut soft = Soft::new(&tpm.tcti());
        soft.set_env("LD_PRELOAD", &library);
        soft.set_env("STRONGROOM_FAIL_FSYNC", Path::new(&number.to_string()));
        soft.serve();
        if number <= 2 {
            assert_eq!(soft.refusal(), ErrorCode::StoreFailed, "fsync {number}");
            soft.end();
            soft.unset_env();
            soft.serve();
        } else {
            is_refused(soft.set(1));
            soft.unset_env();
        }
        goes_on(soft, &tpm, 0);
    }
}

#[test]
fn a_container_whose_files_are_not_made_durable_is_not_made() {
    let dir = tempfile::tempdir().expect("a folder");
    let library = failing_fsync(dir.path());
    // Four files, each followed by the folder.
    for number in 1..=8 {
        let tpm = Swtpm::blank();
        let mut soft = Soft::empty(&tpm.tcti());
        soft.set_env("LD_PRELOAD", &library);
        soft.set_env("STRONGROOM_FAIL_FSYNC", Path::new(&number.to_string()));
        let said = soft.create().expect_err("a file that may be lost");
        assert!(said.contains(&ErrorCode::HelperFailed.failure().shown_code()), "{said}");
        soft.unset_env();
        let is_there = soft.folder().join(binding::NAME).exists();
        assert_eq!(is_there, number >= 6, "the third folder has it");
        if !is_there {
            soft.create().expect("nothing is in its way");
        }
        assert_eq!(tpm.nv_indices().len(), 2, "fsync {number}");
        soft.certify();
        soft.serve();
        goes_on(soft, &tpm, 0);
    }
}

#[test]
fn a_commit_in_a_folder_that_nobody_may_change_is_refused() {
    let tpm = Swtpm::blank();
    let soft = Soft::served(&tpm);
    soft.set(1).expect("nothing is in its way");
    let change = |flag: &str| {
        let changed = Command::new("chattr").arg(flag).arg(soft.folder()).status();
        assert!(changed.expect("chattr").success());
    };
    change("+i");
    let answer = soft.set(2);
    change("-i");
    is_refused(answer);
    goes_on(soft, &tpm, 1);
}
