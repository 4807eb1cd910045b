//! The engine's journal and counter on the simulated chip, beside their model, through power cuts.

use engine::journal::{COUNTER_BLOCKS, Flash, FlashCounter, Journal, Layout, WriteKind};
use engine::platform::{Counter, Store, StoreError};
use engine::testing::{
    Broken, Contents, Coverage, CutFlash, Dice, Driver, Outcome, Step, Torn, Transaction, contents,
};
use proptest::prelude::*;

use crate::flash::{FlashConfig, SimFlash};

/// Parts and layouts that the tests run on: small, so that reclaim is frequent.
fn setups() -> [(FlashConfig, Layout); 3] {
    [
        (FlashConfig::nrf52840(4), Layout { first_block: 0, blocks: 4, blocks_per_segment: 1 }),
        (FlashConfig::stm32l4(13), Layout { first_block: 1, blocks: 12, blocks_per_segment: 2 }),
        (FlashConfig::nrf52840(9), Layout { first_block: 3, blocks: 6, blocks_per_segment: 2 }),
    ]
}

/// Number of sequences for a test: `STRONGROOM_CUTS`, or few.
fn sequences() -> u64 {
    let wanted = std::env::var("STRONGROOM_CUTS").ok();
    wanted.map_or(6, |n| n.parse().expect("STRONGROOM_CUTS is a number"))
}

/// A transaction of one of several manners; values are mostly small.
fn draw(dice: &mut Dice) -> Transaction {
    let (steps, keys, longest, deletes) = match dice.below(16) {
        0 => (1 + dice.below(2), 40, 2049, 1),
        // The same few records again and again.
        1 => (20 + dice.below(20), 3, 700, 1),
        2 => (10 + dice.below(50), 120, 30, 1),
        // Many deletions: several lists of them, and segments opened in between.
        3 => (60 + dice.below(200), 120, 30, 9),
        _ => (1 + dice.below(5), 120, 90, 2),
    };
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
            for _ in 0..dice.below(100) {
                driver.run(&draw(&mut dice))?;
            }
            for _ in 0..10 {
                let outcome = driver.sweep(&draw(&mut dice), &mut dice, &mut coverage)?;
                refused += u64::from(outcome == Outcome::Answered(Err(StoreError::Full)));
                transactions += 1;
            }
            Ok(())
        };
        run().unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
    println!(
        "journal: {transactions} transactions, {refused} refused for lack of room; {coverage}"
    );
    for kind in WriteKind::ALL.into_iter().filter(|kind| *kind != WriteKind::Counter) {
        assert!(coverage.cuts.contains_key(&kind), "no cut hit {kind:?}");
    }
    assert!(coverage.double > 0);
}

/// Many deletions in one commit, on a chip whose segments are in full use.
#[test]
fn a_cut_among_many_deletions_is_no_third_state() {
    let mut coverage = Coverage::default();
    for seed in 0..sequences().div_ceil(4) {
        let mut dice = Dice::new(seed);
        let (config, layout) = setups()[0];
        let flash = SimFlash::in_memory(config, seed);
        let mut run = || -> Result<(), Broken> {
            let mut driver = Driver::new(flash.clone(), layout)?;
            // 140 records, most of the capacity; the tail is full of them.
            let fill = (0..140).map(|key| Step::Put(key, dice.bytes(8))).collect();
            driver.run(&Transaction { steps: fill, commit: true })?;
            for _ in 0..dice.below(40) {
                let len = dice.below(700) as usize;
                let steps = vec![Step::Put(200, dice.bytes(len))];
                driver.run(&Transaction { steps, commit: dice.below(2) == 0 })?;
            }
            let steps = (0..140).map(Step::Delete).collect();
            driver.sweep(&Transaction { steps, commit: true }, &mut dice, &mut coverage)?;
            // What is deleted stays deleted when its lists are reclaimed.
            for _ in 0..40 {
                let steps = vec![Step::Put(201, dice.bytes(500))];
                driver.run(&Transaction { steps, commit: true })?;
                driver.remount()?;
            }
            Ok(())
        };
        run().unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
    println!("journal, deletions: {coverage}");
}

/// One transaction goes all the way round the ring: its own first records become the tail.
#[test]
fn a_transaction_may_be_longer_than_the_ring() {
    let mut coverage = Coverage::default();
    for seed in 0..sequences().div_ceil(4) {
        let mut dice = Dice::new(seed);
        let config = FlashConfig::nrf52840(3);
        let layout = Layout { first_block: 0, blocks: 3, blocks_per_segment: 1 };
        let flash = SimFlash::in_memory(config, seed);
        let mut run = || -> Result<(), Broken> {
            let mut driver = Driver::new(flash.clone(), layout)?;
            let old = (0..8).map(|key| Step::Put(key, dice.bytes(20))).collect();
            driver.run(&Transaction { steps: old, commit: true })?;
            // Written, deleted and replaced once at the begin; then 10 KB of one record.
            let mut steps: Vec<_> = (4..12).map(|key| Step::Put(key, dice.bytes(30))).collect();
            steps.extend([Step::Delete(0), Step::Delete(4), Step::Delete(8)]);
            steps.extend((0..10).map(|_| Step::Put(20, dice.bytes(1000))));
            let commit = seed % 4 != 3;
            driver.sweep(&Transaction { steps, commit }, &mut dice, &mut coverage)?;
            Ok(())
        };
        run().unwrap_or_else(|broken| panic!("seed {seed}: {broken:?}"));
    }
    println!("journal, long transactions: {coverage}");
    assert!(coverage.cuts.contains_key(&WriteKind::Copy));
}

/// Deletions whose records move between their list and their commit: rare, so it is arranged.
#[test]
fn records_moved_behind_the_list_that_deletes_them_stay_deleted() {
    let (config, layout) = setups()[0];
    let mut moved = 0;
    for padding in 0..256 {
        let flash = SimFlash::in_memory(config, padding);
        let mut driver = Driver::new(flash.clone(), layout).expect("a new journal");
        let mut run = |steps, commit| driver.run(&Transaction { steps, commit }).map(drop);
        let value = |len: u64| vec![7; len as usize];
        run((0..140).map(|key| Step::Put(key, value(8))).collect(), true).expect("room");
        // Brings the head, by all steps, close to its end when the ring is in full use.
        for _ in 0..4 {
            run(vec![Step::Put(300, value(1200 + padding * 8 % 97))], false).expect("room");
        }
        run(vec![Step::Put(300, value(padding * 8))], false).expect("room");
        let copies = flash.stats().of(WriteKind::Copy);
        run((0..140).map(Step::Delete).collect(), true).expect("deletions need no room");
        moved += u64::from(flash.stats().of(WriteKind::Copy) > copies);
        for _ in 0..12 {
            let steps = vec![Step::Put(300, value(1500))];
            driver.run(&Transaction { steps, commit: true }).expect("room");
            driver.remount().unwrap_or_else(|broken| panic!("padding {padding}: {broken:?}"));
        }
    }
    println!("journal: records were moved during {moved} of 256 commits");
    assert!(moved > 0);
}

#[test]
fn format_cut_off_at_any_write_leaves_no_half_journal() {
    for (config, layout) in setups() {
        let flash = SimFlash::in_memory(config, 1);
        let blank = flash.snapshot();
        let mut driver = Driver::new(flash.clone(), layout).expect("a new journal");
        let mut dice = Dice::new(1);
        for _ in 0..80 {
            driver.run(&draw(&mut dice)).expect("no cut yet");
        }
        let (old, used) = (driver.model().records().clone(), flash.snapshot());
        for (image, old) in [(used, Some(old)), (blank, None)] {
            let format = |cut: Option<(u64, Torn)>| {
                flash.set_image(&image);
                let before = flash.writes();
                if let Some((n, torn)) = cut {
                    CutFlash::cut_power_after(&flash, n, torn);
                }
                assert_eq!(Journal::format(flash.clone(), layout).is_err(), cut.is_some());
                flash.power_up();
                flash.writes() - before
            };
            for n in 0..format(None) {
                for torn in [Torn::Before, Torn::During, Torn::After] {
                    format(Some((n, torn)));
                    after_cut_format(&flash, layout, old.as_ref());
                }
            }
        }
    }
}

/// A format of a used chip that was cut off is refused, or not begun, or done; of a new one it goes
/// on.
fn after_cut_format(flash: &SimFlash, layout: Layout, old: Option<&Contents>) {
    match (Journal::mount(flash.clone(), layout), old) {
        (Ok(mut journal), old) => {
            let found = contents(&mut journal).expect("a sound journal");
            assert!(found.is_empty() || Some(&found) == old);
        }
        (Err(error), Some(_)) => assert_eq!(error, StoreError::Medium),
        (Err(_), None) => {
            let mut journal = Journal::open(flash.clone(), layout).expect("blank but for a head");
            assert_eq!(journal.next_key(0), Ok(None));
        }
    }
}

#[test]
fn a_flipped_bit_is_never_taken_for_data() {
    let (mut refused, mut unreadable, mut harmless) = (0, 0, 0);
    for (seed, (config, layout)) in (0..).zip(setups()) {
        let mut dice = Dice::new(seed);
        let flash = SimFlash::in_memory(config, seed);
        let mut driver = Driver::new(flash.clone(), layout).expect("a new journal");
        for _ in 0..60 + seed {
            driver.run(&draw(&mut dice)).expect("no cut");
        }
        let wanted = driver.model().records().clone();
        let image = flash.snapshot();
        let bits = u64::from(config.geometry.block_len * config.geometry.blocks) * 8;
        // One bit of each byte.
        for byte in 0..bits / 8 {
            flash.set_image(&image);
            flash.flip_bits(byte as u32, &[1 << dice.below(8)]).expect("inside the chip");
            match Journal::mount(flash.clone(), layout) {
                Err(error) => {
                    assert_eq!(error, StoreError::Medium);
                    refused += 1;
                }
                Ok(mut journal) => match damaged(&mut journal, &wanted) {
                    Some(key) => {
                        unreadable += 1;
                        outlive(journal, key, &wanted, &flash, layout);
                    }
                    None => harmless += 1,
                },
            }
        }
    }
    println!("one bit flipped: {refused} refused, {unreadable} unreadable, {harmless} harmless");
    assert!(refused > 0 && unreadable > 0 && harmless > 0);
}

/// The flag that vouches for a segment is completed after a cut that came right before it.
#[test]
fn a_damaged_head_is_recognized_after_a_cut_too() {
    let (config, layout) = setups()[0];
    let flash = SimFlash::in_memory(config, 2);
    let mut driver = Driver::new(flash.clone(), layout).expect("a new journal");
    let put = |key, len| Transaction { steps: vec![Step::Put(key, vec![5; len])], commit: true };
    for key in 0..9 {
        driver.run(&put(key % 3, 1100)).expect("no cut");
    }
    let image = flash.snapshot();
    let opens = flash.stats().of(WriteKind::Segment);
    for n in 0..1000 {
        flash.set_image(&image);
        let mut driver = Driver::over(flash.clone(), layout).expect("a journal");
        CutFlash::cut_power_after(&flash, n, Torn::After);
        driver.run(&put(1, 1200)).expect("old or new");
        flash.power_up();
        driver.run(&put(2, 10)).expect("no cut");
        let wanted = driver.model().records().clone();
        for block in 0..layout.blocks {
            let byte = block * config.geometry.block_len;
            flash.flip_bits(byte, &[1]).expect("inside");
            match Journal::mount(flash.clone(), layout) {
                Err(error) => assert_eq!(error, StoreError::Medium),
                Ok(mut journal) => assert_eq!(contents(&mut journal), Ok(wanted.clone())),
            }
            flash.flip_bits(byte, &[1]).expect("inside");
        }
    }
    assert!(flash.stats().of(WriteKind::Segment) > opens);
}

/// The record that cannot be read, if any; all others must be as wanted, and none may be missing.
fn damaged(journal: &mut Journal<SimFlash>, wanted: &Contents) -> Option<u64> {
    let mut damaged = None;
    let (mut from, mut buf) = (0, [0; 2048]);
    for (key, value) in wanted {
        assert_eq!(journal.next_key(from), Ok(Some(*key)));
        from = key + 1;
        match journal.read(*key, &mut buf) {
            Ok(len) => assert_eq!(len.map(|len| &buf[..len]), Some(&value[..])),
            Err(error) => {
                assert_eq!((error, damaged.replace(*key)), (StoreError::Medium, None));
            }
        }
    }
    assert_eq!(journal.next_key(from), Ok(None));
    damaged
}

/// The mark of damage stays while its record is moved round the ring, until it is written anew.
fn outlive(
    mut journal: Journal<SimFlash>,
    key: u64,
    wanted: &Contents,
    flash: &SimFlash,
    layout: Layout,
) {
    if !key.is_multiple_of(16) {
        return;
    }
    for _ in 0..12 {
        journal.begin().expect("a sound medium");
        // Refused where there is no room; what counts is the way round the ring.
        let _ = journal.put(1000, &[0; 1000]);
        journal.abort();
    }
    let mut journal = Journal::mount(flash.clone(), layout).expect("heads are whole");
    assert_eq!(damaged(&mut journal, wanted), Some(key));
    journal.begin().expect("a sound medium");
    journal.delete(key).expect("a damaged record can be deleted");
    journal.commit().expect("deletions need no room");
    assert_eq!(journal.read(key, &mut []), Ok(None));
}

#[test]
fn blocks_wear_evenly_and_as_long_as_the_formula_says() {
    for (config, layout) in setups() {
        let config = FlashConfig { endurance: 40, ..config };
        let flash = SimFlash::in_memory(config, 0);
        let mut journal = Journal::open(flash.clone(), layout).expect("a new journal");
        let mut write = |key, value: &[u8]| {
            journal.begin()?;
            journal.put(key, value)?;
            journal.commit()
        };
        for key in 0..20 {
            write(key, &[1; 76]).expect("room");
        }
        let mut appended = 20_u64 * (24 + 76 + 32);
        let end = loop {
            match write(99, &[2; 64]) {
                Ok(()) => appended += 24 + 64 + 32,
                Err(error) => break error,
            }
        };
        assert_eq!(end, StoreError::Medium);
        let (least, most) = flash.wear(layout.first_block, layout.blocks);
        assert!(most == 40 && most - least <= 1, "{least} to {most} erases");
        let segments = u64::from(layout.blocks / layout.blocks_per_segment);
        let segment_len = u64::from(config.geometry.block_len * layout.blocks_per_segment);
        // Live: 20 records of 100 bytes, one of 88, in all segments but one.
        let live_per_segment = 2088 / (segments - 1) + 1;
        let promised = 40 * segments * (segment_len - live_per_segment - 64 - 2072);
        println!("{appended} bytes appended, {promised} promised");
        assert!(appended >= promised);
        // A worn chip still tells what it knows.
        let mut journal = Journal::mount(flash.clone(), layout).expect("reading wears nothing");
        assert_eq!(journal.records(), 21);
        assert_eq!(journal.read(19, &mut [0; 76]), Ok(Some(76)));
    }
}

#[test]
fn wear_stays_even_through_power_cuts() {
    let (config, layout) = setups()[1];
    let (flash, mut dice) = (SimFlash::in_memory(config, 5), Dice::new(5));
    let mut driver = Driver::new(flash.clone(), layout).expect("a new journal");
    let mut cuts = 0;
    for _ in 0..600 {
        CutFlash::cut_power_after(&flash, dice.below(3000), Torn::During);
        let outcome = driver.run(&draw(&mut dice)).expect("old or new");
        cuts += u32::from(matches!(outcome, Outcome::Cut(WriteKind::Copy | WriteKind::Segment, _)));
        cuts += u32::from(matches!(outcome, Outcome::Cut(WriteKind::Erase, _)));
    }
    flash.power_up();
    driver.remount().expect("all is there");
    driver.check_wear(cuts).expect("even wear");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 256,
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(0x666c_6173),
        ..ProptestConfig::default()
    })]

    #[test]
    fn the_journal_is_its_model(
        setup in 0..3_usize,
        run in prop::collection::vec((any::<bool>(), transaction()), 1..60),
    ) {
        let (config, layout) = setups()[setup];
        let mut driver = Driver::new(SimFlash::in_memory(config, 0), layout).expect("new");
        for (remount, transaction) in run {
            let outcome = driver.run(&transaction);
            prop_assert!(matches!(outcome, Ok(Outcome::Answered(_))), "{:?}", outcome);
            let checked = if remount { driver.remount() } else { driver.check() };
            prop_assert_eq!(checked, Ok(()));
        }
        prop_assert_eq!(driver.check_wear(0), Ok(()));
    }
}

fn transaction() -> impl Strategy<Value = Transaction> {
    let value = prop_oneof![
        6 => prop::collection::vec(any::<u8>(), 0..64),
        1 => (0..2060_usize).prop_map(|len| vec![3; len]),
    ];
    let step = prop_oneof![
        3 => (0..30_u64, value).prop_map(|(key, value)| Step::Put(key * 1000, value)),
        1 => (0..30_u64).prop_map(|key| Step::Delete(key * 1000)),
    ];
    (prop::collection::vec(step, 0..12), prop::bool::weighted(0.9))
        .prop_map(|(steps, commit)| Transaction { steps, commit })
}

#[test]
fn a_cut_at_any_write_leaves_the_counter_at_one_of_two_values() {
    let mut cuts = [0; 2];
    for seed in 0..sequences() {
        let mut dice = Dice::new(seed);
        let (config, _) = setups()[(seed % 2) as usize];
        let flash = SimFlash::in_memory(config, seed);
        let mut value = 0;
        // A full block of steps by one once per sequence, at its end; larger steps at any time.
        for step in 0..60 {
            let to = value + if dice.below(3) == 0 { 1 + dice.below(5000) } else { 1 };
            let image = flash.snapshot();
            let before = flash.writes();
            open_counter(&flash, value).advance_to(to).expect("power");
            let writes = flash.writes() - before;
            for n in 0..writes {
                for torn in [Torn::Before, Torn::During, Torn::After] {
                    flash.set_image(&image);
                    cut_counter(&flash, value, to, (n, torn), &mut dice, &mut cuts);
                }
            }
            // Goes on now from the state before, now from the one found after a cut.
            if step % 2 == 0 || writes == 0 {
                flash.set_image(&image);
                open_counter(&flash, value).advance_to(to).expect("power");
            }
            value = open_any(&flash);
            assert!(value <= to, "seed {seed}");
        }
    }
    println!("counter: {} cuts, {} of them in the work after a cut", cuts[0], cuts[1]);
}

/// Cuts one advance, then perhaps the next attempt, and completes it.
fn cut_counter(
    flash: &SimFlash,
    value: u64,
    to: u64,
    cut: (u64, Torn),
    dice: &mut Dice,
    cuts: &mut [u64; 2],
) {
    for again in [cut, (dice.below(12), Torn::During)] {
        let mut counter = FlashCounter::open(flash.clone(), 0).expect("a counter");
        let start = counter.value().expect("power");
        assert!(start == value || start == to);
        CutFlash::cut_power_after(flash, again.0, again.1);
        let advanced = counter.advance_to(to);
        let hit = flash.power_up();
        assert_eq!(advanced.is_err(), hit.is_some());
        cuts[0] += u64::from(hit.is_some());
        cuts[1] += u64::from(hit.is_some() && again != cut);
        let found = open_any(flash);
        assert!(found == to || (found == start && hit.is_some()), "{value} to {to}: {found}");
    }
}

fn open_counter(flash: &SimFlash, value: u64) -> FlashCounter<SimFlash> {
    let mut counter = FlashCounter::open(flash.clone(), 0).expect("a counter");
    assert_eq!(counter.value(), Ok(value));
    counter
}

fn open_any(flash: &SimFlash) -> u64 {
    FlashCounter::open(flash.clone(), 0).and_then(|mut c| c.value()).expect("a counter")
}

#[test]
fn the_first_start_of_a_counter_can_be_cut_off() {
    for (config, _) in setups() {
        let flash = SimFlash::in_memory(config, 3);
        let blank = flash.snapshot();
        for n in 0..8 {
            for torn in [Torn::Before, Torn::During, Torn::After] {
                flash.set_image(&blank);
                CutFlash::cut_power_after(&flash, n, torn);
                let _ = FlashCounter::open(flash.clone(), 0);
                flash.power_up();
                assert_eq!(open_any(&flash), 0);
            }
        }
    }
}

#[test]
fn a_damaged_counter_never_goes_back() {
    for (config, _) in setups() {
        let flash = SimFlash::in_memory(config, 0);
        // Values right after a block was begun, and some steps later; in either block.
        for to in [0, 1, 2, 900, 901, 902, 4096, 1 << 40, (1 << 40) + 1] {
            open_counter(&flash, open_any(&flash)).advance_to(to).expect("power");
            let image = flash.snapshot();
            for byte in 0..config.geometry.block_len * COUNTER_BLOCKS {
                // Most bits are ticks far behind the last: one in each byte will do there.
                let bits = if byte % config.geometry.block_len > 64 { 1 } else { 8 };
                for bit in 0..bits {
                    let writes = flash.writes();
                    flash.flip_bits(byte, &[1 << bit]).expect("inside");
                    let found = FlashCounter::open(flash.clone(), 0).and_then(|mut c| c.value());
                    assert!(matches!(found, Err(StoreError::Medium)) || found == Ok(to));
                    flash.flip_bits(byte, &[1 << bit]).expect("inside");
                    // A damaged first head may have been written again.
                    if flash.writes() != writes {
                        flash.set_image(&image);
                    }
                }
            }
            flash.set_image(&image);
        }
    }
}

#[test]
fn a_counter_counts_through_full_blocks() {
    let (config, _) = setups()[0];
    let flash = SimFlash::in_memory(config, 0);
    let mut counter = open_counter(&flash, 0);
    for to in 1..=5000 {
        counter.advance_to(to).expect("power");
        assert_eq!(counter.advance_to(to - 1), Ok(()));
        assert_eq!(counter.value(), Ok(to));
    }
    open_counter(&flash, 5000);
    let erases = flash.stats().erases;
    // 1,018 ticks and one head per block.
    assert!(erases[0] + erases[1] <= 6 && erases[0].abs_diff(erases[1]) <= 1, "{erases:?}");
    assert_eq!(flash.geometry().block_len, 4096);
}
