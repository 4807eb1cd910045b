//! Files and folders that are not their owner's alone: a container does not open by them, and does
//! when they are put right.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use protocol::errors::ErrorCode;
use rustix::fs::{CWD, FileType, Mode, mknodat};
use strongroom_tests::swtpm::Swtpm;
use tpm::binding;

use crate::files;
use crate::soft::Soft;

/// A user who is not this one.
const NOBODY: u32 = 65534;

fn set_mode(path: &Path, mode: u32) {
    fs::set_permissions(path, PermissionsExt::from_mode(mode)).expect("our own file");
}

/// What is done to a file, which is put beside its place first.
type Deed = (&'static str, fn(&Path, &Path));

/// What somebody may do to a file of a container. Links lead to the true content.
const DEEDS: [Deed; 6] = [
    ("others may read it", |file, kept| {
        fs::copy(kept, file).expect("room");
        set_mode(file, 0o604);
    }),
    ("its group may write it", |file, kept| {
        fs::copy(kept, file).expect("room");
        set_mode(file, 0o620);
    }),
    ("it is another's", |file, kept| {
        fs::copy(kept, file).expect("room");
        chown(file, Some(NOBODY), None).expect("we are root");
    }),
    ("a link", |file, kept| symlink(kept, file).expect("room")),
    ("a pipe, which nobody writes to", |file, _| {
        mknodat(CWD, file, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).expect("room");
    }),
    ("a folder", |file, _| fs::create_dir(file).expect("room")),
];

/// A container that holds 1, and its latest state.
fn container(tpm: &Swtpm) -> (Soft, PathBuf) {
    let mut soft = Soft::served(tpm);
    soft.set(1).expect("nothing is in its way");
    soft.end();
    let newest = |name: &String| tpm::state_file::epoch_of(name);
    let name = files::states(soft.folder()).into_keys().max_by_key(newest).expect("a state");
    let path = soft.folder().join(name);
    (soft, path)
}

fn remove(path: &Path) {
    fs::remove_file(path).or_else(|_| fs::remove_dir(path)).expect("our own");
}

#[test]
fn a_file_that_is_not_its_owners_alone_is_not_read() {
    let tpm = Swtpm::blank();
    let (mut soft, state) = container(&tpm);
    for place in [state, soft.folder().join(binding::NAME)] {
        let kept = soft.folder().with_file_name("kept");
        fs::rename(&place, &kept).expect("our own file");
        for (which, deed) in DEEDS {
            deed(&place, &kept);
            soft.serve();
            let refused = soft.refusal();
            assert_eq!(refused, ErrorCode::SoftDamaged, "{which}: {}", place.display());
            soft.kill();
            tpm.flush_all();
            remove(&place);
        }
        fs::rename(&kept, &place).expect("our own file");
    }
    soft.serve();
    assert_eq!(soft.value(), 1);
    soft.set(2).expect("nothing is in its way");
    assert_eq!(soft.value(), 2);
}

#[test]
fn a_folder_that_others_may_change_is_not_served() {
    let tpm = Swtpm::blank();
    let (mut soft, _) = container(&tpm);
    let folder = soft.folder().to_owned();
    for mode in [0o702, 0o720, 0o777] {
        set_mode(&folder, mode);
        assert!(soft.is_not_served().contains("others have rights to it"), "{mode:o}");
    }
    set_mode(&folder, 0o700);
    chown(&folder, Some(NOBODY), None).expect("we are root");
    assert!(soft.is_not_served().contains("it belongs to user 65534, not to user 0"));
    chown(&folder, Some(0), None).expect("we are root");
    let elsewhere = folder.with_file_name("elsewhere");
    fs::rename(&folder, &elsewhere).expect("our own folder");
    symlink(&elsewhere, &folder).expect("room");
    soft.is_not_served();
    fs::remove_file(&folder).expect("our own link");
    fs::rename(&elsewhere, &folder).expect("our own folder");
    soft.serve();
    assert_eq!(soft.value(), 1);
}

/// Files that were laid beside the true ones lead the helper nowhere.
#[test]
fn what_lies_in_the_way_of_a_commit_is_not_written_through() {
    let tpm = Swtpm::blank();
    let (mut soft, state) = container(&tpm);
    let victim = soft.folder().with_file_name("victim");
    fs::write(&victim, b"of somebody else").expect("room");
    soft.serve();
    // The file that it has in use, and one of the next epoch, whose name nobody can know.
    fs::remove_file(&state).expect("our own file");
    symlink(&victim, &state).expect("room");
    let epoch = |path: &Path| tpm::state_file::epoch_of(path.file_name()?.to_str()?);
    let next = epoch(&state).expect("a state") + 1;
    symlink(&victim, soft.folder().join(format!("state.{next}.00000000"))).expect("room");
    soft.set(2).expect("nothing is in its way");
    soft.end();
    soft.serve();
    assert_eq!(soft.value(), 2);
    assert_eq!(fs::read(&victim).expect("it is there"), b"of somebody else");
}
