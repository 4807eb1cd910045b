//! The simulated chip itself: what it refuses, how a cut leaves it, that it repeats, and its file.

use engine::journal::{Flash, FlashError, Journal, Layout, WriteKind};
use engine::platform::Store;

use crate::flash::{FlashConfig, SimFlash, TornMode};

fn chip(seed: u64) -> SimFlash {
    SimFlash::in_memory(FlashConfig::nrf52840(3), seed)
}

fn word(flash: &SimFlash, at: u32) -> u32 {
    let mut bytes = [0; 4];
    flash.clone().read(at, &mut bytes).expect("power");
    u32::from_le_bytes(bytes)
}

fn program(flash: &SimFlash, at: u32, words: &[u8]) -> Result<(), FlashError> {
    flash.clone().program(at, words, WriteKind::Record)
}

#[test]
fn what_would_spoil_the_part_is_refused() {
    let mut flash = chip(0);
    program(&flash, 8, &[0xf0; 4]).unwrap();
    assert_eq!(program(&flash, 8, &[0xff, 0, 0, 0]), Err(FlashError::Refused), "a bit would rise");
    program(&flash, 8, &[0; 4]).unwrap();
    assert_eq!(program(&flash, 8, &[0; 4]), Err(FlashError::Refused), "a third time");
    assert_eq!(program(&flash, 2, &[0; 4]), Err(FlashError::Range));
    assert_eq!(program(&flash, 4, &[0; 3]), Err(FlashError::Range));
    assert_eq!(program(&flash, 3 * 4096, &[0; 4]), Err(FlashError::Range));
    assert_eq!(flash.read(3 * 4096 - 2, &mut [0; 4]), Err(FlashError::Range));
    assert_eq!(flash.erase(3), Err(FlashError::Range));
    flash.erase(0).unwrap();
    assert_eq!(word(&flash, 8), u32::MAX);
    program(&flash, 8, &[0xff, 0, 0, 0]).unwrap();

    let ecc = SimFlash::in_memory(FlashConfig::stm32l4(2), 0);
    program(&ecc, 8, &[0xf0; 8]).unwrap();
    assert_eq!(program(&ecc, 8, &[0xf0; 8]), Err(FlashError::Refused), "once only");
    program(&ecc, 8, &[0; 8]).unwrap();
    assert_eq!(program(&ecc, 4, &[0; 8]), Err(FlashError::Range));
}

#[test]
fn a_block_endures_its_number_of_erases() {
    let config = FlashConfig { endurance: 3, ..FlashConfig::nrf52840(2) };
    let mut flash = SimFlash::in_memory(config, 0);
    (0..3).for_each(|_| flash.erase(1).unwrap());
    assert_eq!(flash.erase(1), Err(FlashError::Worn));
    flash.erase(0).unwrap();
    assert_eq!(flash.stats().erases, [1, 3]);
    assert_eq!(flash.stats().of(WriteKind::Erase), 4);
}

#[test]
fn a_cut_tears_the_write_that_it_hits_and_no_other() {
    for (seed, torn) in (0..60).flat_map(|seed| {
        [TornMode::Before, TornMode::During, TornMode::After].map(|torn| (seed, torn))
    }) {
        let mut flash = chip(seed);
        flash.cut_power_after(2, torn);
        assert_eq!(program(&flash, 0, &[0x0f; 16]), Err(FlashError::Unpowered));
        assert!(!flash.is_powered());
        assert_eq!(flash.read(0, &mut [0; 4]), Err(FlashError::Unpowered));
        assert_eq!(flash.erase(0), Err(FlashError::Unpowered));
        assert_eq!(flash.power_up(), Some(WriteKind::Record));
        assert_eq!((word(&flash, 0), word(&flash, 4)), (0x0f0f_0f0f, 0x0f0f_0f0f));
        assert_eq!(word(&flash, 12), u32::MAX);
        match torn {
            TornMode::Before => assert_eq!(word(&flash, 8), u32::MAX),
            // The zeros are some of those asked for.
            TornMode::During => assert_eq!(word(&flash, 8) & 0x0f0f_0f0f, 0x0f0f_0f0f),
            TornMode::After => assert_eq!(word(&flash, 8), 0x0f0f_0f0f),
        }
        flash.cut_power_after(0, torn);
        assert_eq!(flash.erase(0), Err(FlashError::Unpowered));
        assert_eq!(flash.power_up(), Some(WriteKind::Erase));
        let erased = word(&flash, 0);
        match torn {
            TornMode::Before => assert_eq!(erased, 0x0f0f_0f0f),
            TornMode::During => assert_eq!(erased & 0x0f0f_0f0f, 0x0f0f_0f0f),
            TornMode::After => assert_eq!(erased, u32::MAX),
        }
    }
}

#[test]
fn the_same_seed_tears_and_flips_the_same_bits() {
    let run = |seed| {
        let mut flash = chip(seed);
        program(&flash, 0, &[0; 256]).unwrap();
        flash.cut_power_after(1, TornMode::During);
        let _ = program(&flash, 256, &[0; 8]);
        flash.power_up();
        flash.cut_power_after(0, TornMode::During);
        let _ = flash.erase(0);
        flash.power_up();
        let flipped = flash.flip_random_bits(1, 2, 5).unwrap();
        assert!(flipped.iter().all(|bit| (4096 * 8..3 * 4096 * 8).contains(bit)));
        (flash.snapshot(), flipped)
    };
    assert!(run(7) == run(7));
    assert!(run(7) != run(8));
}

#[test]
fn a_file_keeps_cells_and_wear() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("flash.img");
    let config = FlashConfig::nrf52840(4);
    let layout = Layout { first_block: 0, blocks: 4, blocks_per_segment: 1 };
    let open = |seed| SimFlash::in_file(config, seed, &path).unwrap();
    let mut wear = Vec::new();
    for i in 0..120_u64 {
        // Each time as after a kill: nothing is closed or flushed, the handle is only forgotten.
        let flash = open(i);
        assert!(wear.is_empty() || wear == flash.stats().erases);
        let mut journal = Journal::open(flash.clone(), layout).unwrap();
        let mut buf = [0; 8];
        let last = journal.read(1, &mut buf).unwrap().map(|_| u64::from_le_bytes(buf));
        assert_eq!(last, i.checked_sub(1));
        journal.begin().unwrap();
        journal.put(1, &i.to_le_bytes()).unwrap();
        journal.put(2, &[i as u8; 600]).unwrap();
        journal.commit().unwrap();
        wear = flash.stats().erases;
        std::mem::forget((flash, journal));
    }
    assert!(wear.iter().sum::<u32>() > 8);
    // Damage stays too. The four heads cannot all be that of the spare segment.
    (0..4).for_each(|block| open(0).flip_bits(block * 4096, &[1]).unwrap());
    assert!(Journal::mount(open(0), layout).is_err());
    let other = FlashConfig::nrf52840(5);
    assert!(SimFlash::in_file(other, 0, &path).is_err(), "another size is another chip");
}
