//! A TPM that goes back: as a whole machine that is set back, which nothing here can see, or by
//! itself, as a TPM in software does that loses its last writes with the power.

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::{Snapshot, Swtpm};
use tpm::chip::read_clock;

use crate::bare::{Bare, commit};
use crate::files::{self, Files};
use crate::soft::Soft;

/// A vault after eleven commits, with what its folder and its TPM were after each.
fn history(tpm: &Swtpm) -> (Bare, Vec<(Files, Snapshot)>) {
    let (bare, mut vault) = Bare::new(&tpm.tcti());
    let mut past = vec![(files::read(bare.folder()), tpm.snapshot())];
    for number in 1..=11 {
        commit(&mut vault, number).expect("nothing is in its way");
        past.push((files::read(bare.folder()), tpm.snapshot()));
    }
    (bare, past)
}

#[test]
fn sec_k08_files_that_go_back_without_the_tpm_lock_the_container() {
    let tpm = Swtpm::blank();
    let (bare, past) = history(&tpm);
    for number in [10, 9, 1, 0] {
        files::put_back(bare.folder(), &past[number].0);
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftStale, "state {number}");
    }
    files::put_back(bare.folder(), &past[11].0);
    assert_eq!(bare.open(&tpm.tcti()).expect("the latest files").1, 11);
}

/// The files of the last three states are kept for this: else a host whose power was cut would
/// cost a license. Nothing on this machine sees that it happened.
#[test]
fn a_tpm_that_lost_its_last_write_or_two_opens_the_file_of_before_and_goes_on() {
    for (back, expected) in [(1, 10), (2, 9)] {
        let mut tpm = Swtpm::blank();
        let (bare, past) = history(&tpm);
        tpm.restore(&past[11 - back].1);
        let (mut vault, number) = bare.open(&tpm.tcti()).expect("its file is there");
        assert_eq!(number, expected);
        commit(&mut vault, 20).expect("nothing is in its way");
        drop(vault);
        let (mut vault, number) = bare.open(&tpm.tcti()).expect("its file is there");
        assert_eq!(number, 20);
        // Also beside files of the future that was.
        for number in 21..25 {
            commit(&mut vault, number).expect("nothing is in its way");
        }
        drop(vault);
        assert_eq!(bare.open(&tpm.tcti()).expect("its file is there").1, 24);
        assert_eq!(files::states(bare.folder()).len(), 3);
    }
}

#[test]
fn sec_k08_a_tpm_that_goes_back_further_than_files_are_kept_locks_the_container() {
    for back in [3, 10] {
        let mut tpm = Swtpm::blank();
        let (bare, past) = history(&tpm);
        tpm.restore(&past[11 - back].1);
        assert_eq!(bare.refusal(&tpm.tcti()), ErrorCode::SoftStale, "{back} writes back");
        // Nothing was lost: where the TPM comes back, so does the container.
        tpm.restore(&past[11].1);
        assert_eq!(bare.open(&tpm.tcti()).expect("the latest of both").1, 11);
    }
}

/// The clock of a TPM falls back when its power is cut, and says so.
#[test]
fn a_clock_that_falls_back_with_the_power_locks_nothing() {
    let mut tpm = Swtpm::blank();
    let mut soft = Soft::served(&tpm);
    soft.set(1).expect("it can be renamed");
    soft.end();
    let clock = |tpm: &Swtpm| read_clock(&tpm.tcti().parse().unwrap()).expect("it answers");
    let before = clock(&tpm);
    tpm.kill();
    tpm.start_again();
    let after = clock(&tpm);
    assert!(!after.safe && after.reset_count > before.reset_count);
    assert!(after.clock_ms < before.clock_ms, "{before:?} {after:?}");
    soft.serve();
    assert_eq!(soft.value(), 1);
}

/// The session of the helper is gone with the power of the TPM: it notices at its next commit.
#[test]
fn a_helper_outlives_a_power_cut_of_its_tpm() {
    let mut tpm = Swtpm::blank();
    let soft = Soft::served(&tpm);
    soft.set(1).expect("it can be renamed");
    tpm.kill();
    tpm.start_again();
    let refused = soft.set(2).expect_err("the session is gone");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
    assert_eq!(soft.value(), 1);
    soft.set(3).expect("it has another session");
    assert_eq!(soft.value(), 3);
}

/// A container that does not open is served for a moment, to say why: whoever asks again and again
/// does not keep it shut when its TPM is back.
#[test]
fn a_helper_that_lost_its_tpm_leaves_soon_so_that_the_next_one_finds_it() {
    let mut tpm = Swtpm::blank();
    let mut soft = Soft::served(&tpm);
    soft.set(1).expect("it can be renamed");
    tpm.kill();
    let refused = soft.set(2).expect_err("there is no TPM");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
    assert_eq!(soft.refusal(), ErrorCode::TpmAbsent);
    tpm.start_again();
    let found = soft.backend().list().expect("the source can be asked").remove(0);
    let _stays = soft.backend().open(&found).expect("it is served");
    soft.wait();
    soft.serve();
    assert_eq!(soft.value(), 1);
}
