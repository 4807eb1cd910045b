//! A disk that is copied while its TPM stays: the copy and the original are one container to the
//! TPM, and one of them goes on.

use protocol::errors::ErrorCode;
use strongroom_tests::swtpm::Swtpm;

use crate::soft::Soft;

#[test]
fn sec_k07_a_copy_of_a_disk_that_is_used_first_locks_the_original() {
    let tpm = Swtpm::blank();
    let mut original = Soft::served(&tpm);
    original.set(1).expect("nothing is in its way");
    let mut copy = original.copied();
    // It begins with a commit.
    copy.serve();
    copy.set(2).expect("nobody wrote since it read");
    assert_eq!(original.value(), 1, "what it has in memory is of before");
    let refused = original.set(3).expect_err("the other has written");
    assert!(refused.is(ErrorCode::StoreFailed), "{refused}");
    assert_eq!(original.refusal(), ErrorCode::SoftStale);
    original.kill();
    original.serve();
    assert_eq!(original.refusal(), ErrorCode::SoftStale);
    assert_eq!(copy.value(), 2);
    copy.set(4).expect("it goes on");
}

#[test]
fn sec_k07_a_copy_of_a_disk_is_locked_once_the_original_has_written() {
    let tpm = Swtpm::blank();
    let original = Soft::served(&tpm);
    original.set(1).expect("nothing is in its way");
    let mut copy = original.copied();
    original.set(2).expect("nobody wrote since it read");
    copy.serve();
    assert_eq!(copy.refusal(), ErrorCode::SoftStale);
    original.set(3).expect("it goes on");
}
