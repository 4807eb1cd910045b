//! A client that starts a helper while another one is on its way: as after a kill, when the keeper
//! sets it up again.

use std::fs;
use std::thread;

use strongroom_tests::swtpm::{CommandCode, Proxy, Swtpm};

use crate::soft::Soft;

#[test]
fn who_starts_a_helper_while_another_opens_the_container_waits_for_that_one() {
    let tpm = Swtpm::blank();
    let proxy = Proxy::of(&tpm);
    let mut soft = Soft::new(&proxy.tcti());
    let mut start = soft.command("start");
    let log = soft.folder().join("helper.log");
    let held = proxy.hold_next(CommandCode::UNSEAL);
    thread::scope(|scope| {
        let first = scope.spawn(|| soft.serve());
        held.wait();
        let mut second = start.spawn().expect("the helper");
        // The second found the folder taken.
        while !fs::read_to_string(&log).is_ok_and(|said| said.contains("another helper serves")) {
            assert_eq!(second.try_wait().expect("our own process"), None, "it gave up");
            thread::yield_now();
        }
        held.let_go();
        first.join().expect("it serves");
        assert!(second.wait().expect("our own process").success());
    });
    assert_eq!(soft.value(), 0);
}
