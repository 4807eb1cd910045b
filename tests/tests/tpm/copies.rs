//! A disk that is copied while its TPM stays: the copy and the original are one container to the
//! TPM, and one of them goes on.

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::Swtpm;

use crate::soft::Soft;

/// A container and a copy of its disk, both served, so that no lock keeps them apart. The copy was
/// made while the container was in use.
fn twins(tpm: &Swtpm) -> (Soft, Soft) {
    let original = Soft::served(tpm);
    original.set(1).expect("nothing is in its way");
    let mut copy = original.copied();
    copy.serve();
    (original, copy)
}

/// The first to write wins. The other is refused at its next write, and locked from then on.
fn wins(first: &Soft, late: &mut Soft) {
    first.set(2).expect("nobody wrote since it read");
    assert_eq!(late.value(), 1, "what it has in memory is of before");
    let refused = late.set(3).expect_err("the first has written");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
    assert_eq!(late.refusal(), ErrorCode::SoftStale);
    late.kill();
    late.serve();
    assert_eq!(late.refusal(), ErrorCode::SoftStale);
    assert_eq!(first.value(), 2);
    first.set(4).expect("it goes on");
}

#[test]
fn sec_k07_a_copy_of_a_disk_that_is_used_first_locks_the_original() {
    let tpm = Swtpm::blank();
    let (mut original, copy) = twins(&tpm);
    wins(&copy, &mut original);
}

#[test]
fn sec_k07_a_copy_of_a_disk_is_refused_at_its_next_write_and_locked_at_its_next_open() {
    let tpm = Swtpm::blank();
    let (original, mut copy) = twins(&tpm);
    wins(&original, &mut copy);
}
