//! An old state that somebody put back: it is locked, and it does not catch up with the counter.

use engine::journal::FlashCounter;
use engine::platform::Counter;
use firmware_sim::flash::FlashImage;
use protocol::codec::Text;
use protocol::command::{Command, Reply};
use protocol::objects::license::ItemOption;

use crate::license::{Licensed, op};

/// Longer than any quarantine, and than running time goes without being kept.
const LONG_MS: u64 = 200_000;

/// Puts an image of the chip back, all but the counter.
fn put_back(made: &mut Licensed, image: &FlashImage) {
    let mut chip = made.bench.flash().clone();
    let counter = |chip| FlashCounter::open(chip, 0).expect("a counter");
    let before = counter(chip.clone()).value().expect("a value");
    chip.restore(image).expect("an image of this chip");
    chip = made.bench.flash().clone();
    counter(chip).advance_to(before).expect("it only rises");
    made.power_cycle();
}

fn is_locked(made: &mut Licensed) -> bool {
    match made.bench.command(Command::Info) {
        Reply::Info(info) => info.locked == 1,
        _ => panic!("no info"),
    }
}

/// Seats that are over, and running time, are noted whoever sends whatever.
#[test]
fn a_state_that_was_put_back_stays_as_it_is_and_locked() {
    for commits in 1..4 {
        let mut made = Licensed::new(vec![ItemOption::LicenseQuantity(1)]);
        assert!(made.open(1, op(1), 0).is_ok());
        let image = made.bench.flash().snapshot();
        for number in 0..commits {
            let name = Text::new(&format!("name {number}")).expect("a short name");
            let renamed = made.bench.command(Command::Rename { op: op(10 + number), name });
            assert!(matches!(renamed, Reply::Done));
        }
        put_back(&mut made, &image);
        let before = made.bench.records();
        for _ in 0..3 {
            assert!(is_locked(&mut made));
            made.bench.ticks.pass_ms(LONG_MS);
            assert!(is_locked(&mut made));
            assert_eq!(made.bench.records(), before);
            made.power_cycle();
        }
    }
}
