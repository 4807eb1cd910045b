//! What is loaded in a TPM without a resource manager: a helper that ends leaves nothing there, and
//! one that is killed leaves its key and its session.

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::Swtpm;
use tpm::chip::Chip;

use crate::bare::{self, Bare};
use crate::keys::{STORAGE_KEY, keep_primary};
use crate::soft::Soft;

/// How often, in a test and in a long run.
fn times(test: usize, soak: usize) -> usize {
    if std::env::var_os("STRONGROOM_SOAK").is_some() { soak } else { test }
}

/// There is room for three objects and three sessions.
#[test]
fn a_container_that_is_opened_and_closed_leaves_nothing_in_the_tpm() {
    let tpm = Swtpm::blank();
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    for number in 0..times(200, 2000) {
        let opened = bare.open(&tpm.tcti());
        drop(opened.unwrap_or_else(|shut| panic!("{number}: {shut}")));
    }
    assert_eq!(tpm.flush_all(), 0);
}

#[test]
fn a_connection_that_is_begun_and_ended_leaves_nothing_in_the_tpm() {
    let tpm = Swtpm::blank();
    keep_primary(&tpm, "ecc", STORAGE_KEY);
    let (bare, vault) = Bare::new(&tpm.tcti());
    drop(vault);
    let (access, key) = (bare::access(&tpm.tcti()), bare.seal().storage_key());
    for number in 0..times(800, 8000) {
        let opened = Chip::open(&access.tcti, Some(&key), &access.passwords);
        drop(opened.unwrap_or_else(|trouble| panic!("{number}: {trouble}")));
    }
    assert_eq!(tpm.flush_all(), 0);
}

#[test]
fn a_helper_that_ends_leaves_nothing_and_one_that_is_killed_its_key_and_its_session() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    for value in 1..=times(20, 1000) as u64 {
        soft.serve();
        soft.set(value).expect("nothing is in its way");
        soft.end();
        assert_eq!(tpm.flush_all(), 0);
        soft.serve();
        assert_eq!(soft.value(), value);
        soft.kill();
        assert_eq!(tpm.flush_all(), 2);
    }
}

/// A key and a blob have to be loaded at once: after two that were killed, nobody opens anything;
/// once it is freed, everybody does.
#[test]
fn a_tpm_that_killed_helpers_have_filled_is_told_by_its_name_and_freed() {
    let tpm = Swtpm::blank();
    let mut soft = Soft::new(&tpm.tcti());
    for _ in 0..2 {
        soft.serve();
        assert_eq!(soft.value(), 0);
        soft.kill();
    }
    soft.serve();
    assert_eq!(soft.refusal(), ErrorCode::TpmExhausted);
    soft.end();
    assert_eq!(tpm.flush_all(), 4);
    soft.serve();
    assert_eq!(soft.value(), 0);
}
