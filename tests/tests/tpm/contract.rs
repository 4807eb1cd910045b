//! A container on a TPM passes the contract of backends.

use protocol::ids::ContainerKind;
use protocol::objects::device::AnchorClass;
use strongroom_tests::swtpm::Swtpm;

use crate::soft::Soft;

#[test]
fn a_container_on_a_tpm_passes_the_contract() {
    let tpm = Swtpm::blank();
    let soft = Soft::served(&tpm);
    container::contract::check(&*soft.backend());
    let opened = soft.open().expect("it is certified");
    assert_eq!(opened.device().body.kind, ContainerKind::Tpm);
    assert_eq!(opened.device().body.anchor, AnchorClass::Tpm);
    assert_eq!(opened.device().maker, soft.vendor.fp());
}

#[test]
fn what_was_kept_is_there_after_the_helper_was_killed_and_after_the_tpm_lost_its_power() {
    let mut tpm = Swtpm::blank();
    let mut soft = Soft::served(&tpm);
    let name = |soft: &Soft| soft.open().expect("it opens").info().expect("it answers").name;
    soft.open().expect("it opens").rename("first").expect("it can be renamed");
    soft.kill();
    soft.serve();
    assert_eq!(&*name(&soft), "first");
    soft.open().expect("it opens").rename("second").expect("it can be renamed");
    soft.kill();
    tpm.kill();
    tpm.start_again();
    soft.serve();
    assert_eq!(&*name(&soft), "second");
}
