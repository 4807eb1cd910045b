//! The journal and the counter of the engine on the simulated chip: against the model, through power cuts.

use engine::journal::{
    COUNTER_BLOCKS, Flash, FlashCounter, FlashError, Geometry, Journal, Layout, WriteKind,
};
use engine::platform::{Counter, Store, StoreError};
use engine::testing::{Broken, Coverage, Dice, Driver, Outcome, Step, Transaction, contents};
use proptest::prelude::*;

use crate::flash::{FlashConfig, Rewrite, SimFlash, TornMode};

/// Parts and layouts that the tests run on: small, so that reclaim is frequent.
fn setups() -> [(FlashConfig, Layout); 3] {
    [
        (FlashConfig::nrf52840(4), Layout { first_block: 0, blocks: 4, blocks_per_segment: 1 }),
        (FlashConfig::stm32l4(13), Layout { first_block: 1, blocks: 12, blocks_per_segment: 2 }),
        (FlashConfig::nrf52840(9), Layout { first_block: 3, blocks: 6, blocks_per_segment: 2 }),
    ]
}

/// Number of sequences for a test, `STRONGROOM_CUTS` or few.
fn sequences() -> u64 {
    let wanted = std::env::var("STRONGROOM_CUTS").ok();
    wanted.map_or(6, |n| n.parse().expect("STRONGROOM_CUTS is a number"))
}

/// A transaction of one of several manners; values are mostly small.
fn draw(dice: &mut Dice) -> Transaction {
    let (steps, keys, longest) = match dice.below(12) {
        0 => (1 + dice.below(3), 40, 2049),
        1 => (20 + dice.below(20), 3, 700),
        2 => (10 + dice.below(50), 60, 30),
        _ => (1 + dice.below(5), 40, 100),
    };
    let deletes = [1, 3, 9][dice.below(3) as usize];
    let step = |dice: &mut Dice| {
        let key = dice.below(keys);
        if dice.below(10) < deletes {
            return Step::Delete(key);
        }
        let len = dice.below(longest) as usize;
        Step::Put(key, dice.bytes(len))
    };
    Transaction { steps: (0..steps).map(|_| step(dice)).collect(), commit: dice.below(8) != 0 }
}

#[test]
fn a_cut_at_any_write_leaves_the_old_or_the_new_state() {
    let mut coverage = Coverage::default();
    let (mut refused, mut transactions) = (0, 0);
    for seed in 0..sequences() {
        let mut dice = Dice::new(seed);
        let (config, layout) = setups()[(seed % 3) as usize];
        let flash = SimFlash::in_memory(config, seed);
        let mut run = || -> Result<(), Broken> {
            let mut driver = Driver::new(flash.clone(), layout)?;
            // Well into the life of the chip, so that the ring is in full use.
            for _ in 0..dice.below(60) {
                driver.run(&draw(&mut dice))?;
            }
            for _ in 0..12 {
                let outcome = driver.sweep(&draw(&mut dice), &mut dice, &mut coverage)?;
                refused += u64::from(outcome == Outcome::Answered(Err(StoreError::Full)));
                transactions += 1;
            }
            Ok(())
        };
        run().unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
    println!("{transactions} transactions, {refused} refused for lack of room; {coverage}");
    for kind in [WriteKind::Record, WriteKind::Commit, WriteKind::Copy, WriteKind::Segment] {
        assert!(coverage.cuts.contains_key(&kind), "no cut hit {kind:?}");
    }
    assert!(coverage.cuts.contains_key(&WriteKind::Erase) && coverage.double > 0);
}
