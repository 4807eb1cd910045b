//! NOR flash in software: one-way bits, wear, torn writes and flipped bits, all repeatable from a
//! seed.
//!
//! It behaves as the part that its [`FlashConfig`] names, and refuses what that part would spoil: a
//! bit raised from 0 to 1, a word programmed too often, a block erased beyond its endurance. Power
//! can be taken away at any write: [`SimFlash::cut_power_after`]. Clones of a handle are the same
//! chip, so that a journal, a counter and a test share it.

use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use engine::journal::{Flash, FlashError, Geometry, WriteKind};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

use crate::flash_file::Backing;

/// Which part is simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlashConfig {
    /// Its shape.
    pub geometry: Geometry,
    /// Erases that each block endures.
    pub endurance: u32,
    /// How often a word may be programmed between two erases.
    pub rewrite: Rewrite,
}

/// How often a word may be programmed between two erases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rewrite {
    /// Twice, with anything.
    Twice,
    /// Once, and again only by zeros: parts that keep error correction bits beside each word.
    ZerosOnly,
}

impl FlashConfig {
    /// The flash of a Nordic nRF52840, or a run of its 256 blocks: 4 KiB, words of 32 bits, 10,000
    /// erases.
    pub const fn nrf52840(blocks: u32) -> Self {
        let geometry = Geometry { block_len: 4096, blocks, word_len: 4 };
        Self { geometry, endurance: 10_000, rewrite: Rewrite::Twice }
    }

    /// The flash of an ST STM32L4, or a run of its blocks: 2 KiB, words of 64 bits with error
    /// correction.
    pub const fn stm32l4(blocks: u32) -> Self {
        let geometry = Geometry { block_len: 2048, blocks, word_len: 8 };
        Self { geometry, endurance: 10_000, rewrite: Rewrite::ZerosOnly }
    }
}

/// How a cut leaves the write that it hits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TornMode {
    /// Nothing of it happened.
    Before,
    /// A random subset of its bits was programmed, or erased.
    During,
    /// All of it happened, but the caller is told that power is gone.
    After,
}

/// What a chip has been through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlashStats {
    /// Words programmed and blocks erased, in the order of [`WriteKind::ALL`].
    pub by_kind: [u64; WriteKind::ALL.len()],
    /// Erases per block.
    pub erases: Vec<u32>,
}

impl FlashStats {
    /// Writes of one kind.
    pub fn of(&self, kind: WriteKind) -> u64 {
        self.by_kind[place_of(kind)]
    }
}

/// A simulated chip. Clones are the same chip.
#[derive(Clone)]
pub struct SimFlash {
    config: FlashConfig,
    chip: Arc<Mutex<Chip>>,
}

/// The cells of a chip at a moment: [`SimFlash::snapshot`].
#[derive(Clone, PartialEq, Eq)]
pub struct FlashImage {
    cells: Vec<u8>,
    programmed: Vec<u8>,
}

impl SimFlash {
    /// A new chip, all erased, gone with its last handle.
    pub fn in_memory(config: FlashConfig, seed: u64) -> Self {
        Self { config, chip: Arc::new(Mutex::new(Chip::new(&config, seed))) }
    }

    /// The chip whose cells are in the file at `path`, or a new one there. See
    /// [`crate::flash_file`] for what is promised when the process is killed.
    ///
    /// # Errors
    /// The file cannot be opened or made, or has another size.
    pub fn in_file(config: FlashConfig, seed: u64, path: &Path) -> io::Result<Self> {
        let mut chip = Chip::new(&config, seed);
        let backing = Backing::open(path, &mut chip.cells, &mut chip.erases)?;
        let word_len = config.geometry.word_len as usize;
        for (word, programmed) in chip.cells.chunks(word_len).zip(&mut chip.programmed) {
            *programmed = u8::from(word.iter().any(|&b| b != 0xff));
        }
        chip.backing = Some(backing);
        Ok(Self { config, chip: Arc::new(Mutex::new(chip)) })
    }

    /// Lets `writes` more words be programmed or blocks be erased, then takes the power away at the
    /// next. From then on every call fails, until [`SimFlash::power_up`].
    pub fn cut_power_after(&self, writes: u64, torn: TornMode) {
        self.chip().cut = Some((writes, torn));
    }

    /// Gives the power back, and forgets a cut that has not happened. Returns what the cut hit, if
    /// it did.
    pub fn power_up(&self) -> Option<WriteKind> {
        let mut chip = self.chip();
        chip.cut = None;
        chip.hit.take()
    }

    /// Whether the chip has power.
    pub fn is_powered(&self) -> bool {
        self.chip().hit.is_none()
    }

    /// Inverts the bits of the bytes from `at` on that are 1 in `mask`: damage, not a write.
    ///
    /// # Errors
    /// `Range` outside the chip, `Io` if the file cannot be written.
    pub fn flip_bits(&self, at: u32, mask: &[u8]) -> Result<(), FlashError> {
        let mut chip = self.chip();
        let range = chip.range(at, mask.len())?;
        for (cell, mask) in chip.cells[range.clone()].iter_mut().zip(mask) {
            *cell ^= mask;
        }
        chip.save(range)
    }

    /// Inverts `count` random bits of a run of blocks and returns the number of each in the chip.
    ///
    /// # Errors
    /// As [`SimFlash::flip_bits`].
    pub fn flip_random_bits(
        &self,
        first_block: u32,
        blocks: u32,
        count: u32,
    ) -> Result<Vec<u64>, FlashError> {
        let block_bits = u64::from(self.config.geometry.block_len) * 8;
        let run = u64::from(blocks).max(1) * block_bits;
        let mut flipped = Vec::new();
        for _ in 0..count {
            let bit = u64::from(first_block) * block_bits + self.chip().dice.next_u64() % run;
            let at = u32::try_from(bit / 8).map_err(|_| FlashError::Range)?;
            self.flip_bits(at, &[1 << (bit % 8)])?;
            flipped.push(bit);
        }
        Ok(flipped)
    }

    /// Words programmed and blocks erased so far.
    pub fn writes(&self) -> u64 {
        self.chip().by_kind.iter().sum()
    }

    /// What the chip has been through.
    pub fn stats(&self) -> FlashStats {
        let chip = self.chip();
        FlashStats { by_kind: chip.by_kind, erases: chip.erases.clone() }
    }

    /// Copies the cells. Wear and counts are not part of it.
    pub fn snapshot(&self) -> FlashImage {
        let chip = self.chip();
        FlashImage { cells: chip.cells.clone(), programmed: chip.programmed.clone() }
    }

    /// Puts the cells back. The image is of a chip of the same configuration.
    ///
    /// # Errors
    /// `Range` if it is not, `Io` if the file cannot be written.
    pub fn restore(&self, image: &FlashImage) -> Result<(), FlashError> {
        let mut chip = self.chip();
        if chip.cells.len() != image.cells.len() || chip.programmed.len() != image.programmed.len()
        {
            return Err(FlashError::Range);
        }
        chip.cells.copy_from_slice(&image.cells);
        chip.programmed.copy_from_slice(&image.programmed);
        let all = 0..image.cells.len();
        chip.save(all)
    }

    fn chip(&self) -> MutexGuard<'_, Chip> {
        // A panic elsewhere leaves cells that are as valid as after a power cut.
        self.chip.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Flash for SimFlash {
    fn geometry(&self) -> Geometry {
        self.config.geometry
    }

    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError> {
        let chip = self.chip();
        chip.powered()?;
        out.copy_from_slice(&chip.cells[chip.range(at, out.len())?]);
        Ok(())
    }

    fn program(&mut self, at: u32, words: &[u8], kind: WriteKind) -> Result<(), FlashError> {
        let word_len = self.config.geometry.word_len as usize;
        let mut chip = self.chip();
        chip.powered()?;
        let start = chip.range(at, words.len())?.start;
        if start % word_len != 0 || !words.len().is_multiple_of(word_len) {
            return Err(FlashError::Range);
        }
        for (i, word) in words.chunks(word_len).enumerate() {
            chip.program_word(start + i * word_len, word, kind, self.config.rewrite)?;
        }
        Ok(())
    }

    fn erase(&mut self, block: u32) -> Result<(), FlashError> {
        let Geometry { block_len, blocks, word_len } = self.config.geometry;
        let mut chip = self.chip();
        chip.powered()?;
        if block >= blocks {
            return Err(FlashError::Range);
        }
        if chip.erases[block as usize] >= self.config.endurance {
            return Err(FlashError::Worn);
        }
        let range = chip.range(block * block_len, block_len as usize)?;
        chip.erase_block(block as usize, range, word_len as usize)
    }
}

struct Chip {
    cells: Vec<u8>,
    /// How often each word was programmed since its last erase.
    programmed: Vec<u8>,
    erases: Vec<u32>,
    by_kind: [u64; WriteKind::ALL.len()],
    cut: Option<(u64, TornMode)>,
    /// What the cut hit; power is gone while this is set.
    hit: Option<WriteKind>,
    dice: ChaCha8Rng,
    backing: Option<Backing>,
}

impl Chip {
    fn new(config: &FlashConfig, seed: u64) -> Self {
        let Geometry { block_len, blocks, word_len } = config.geometry;
        let len = block_len as usize * blocks as usize;
        Self {
            cells: vec![0xff; len],
            programmed: vec![0; len / word_len as usize],
            erases: vec![0; blocks as usize],
            by_kind: [0; WriteKind::ALL.len()],
            cut: None,
            hit: None,
            dice: ChaCha8Rng::seed_from_u64(seed),
            backing: None,
        }
    }

    fn powered(&self) -> Result<(), FlashError> {
        if self.hit.is_some() { Err(FlashError::Unpowered) } else { Ok(()) }
    }

    fn range(&self, at: u32, len: usize) -> Result<std::ops::Range<usize>, FlashError> {
        let range = at as usize..at as usize + len;
        if range.end <= self.cells.len() { Ok(range) } else { Err(FlashError::Range) }
    }

    fn program_word(
        &mut self,
        at: usize,
        word: &[u8],
        kind: WriteKind,
        rewrite: Rewrite,
    ) -> Result<(), FlashError> {
        let range = at..at + word.len();
        let rises = self.cells[range.clone()].iter().zip(word).any(|(cell, new)| new & !cell != 0);
        let programmed = self.programmed[at / word.len()];
        let too_often = match rewrite {
            Rewrite::Twice => programmed >= 2,
            Rewrite::ZerosOnly => programmed >= 1 && word.iter().any(|&b| b != 0),
        };
        if rises || too_often {
            return Err(FlashError::Refused);
        }
        let torn = self.spend(kind);
        if torn != Some(TornMode::Before) {
            self.programmed[at / word.len()] = programmed.saturating_add(1);
            let density = self.dice.next_u32();
            for (i, new) in word.iter().enumerate() {
                let kept = if torn == Some(TornMode::During) { self.subset(density) } else { 0 };
                self.cells[at + i] &= new | kept;
            }
            self.save(range)?;
        }
        self.powered()
    }

    fn erase_block(
        &mut self,
        block: usize,
        range: std::ops::Range<usize>,
        word_len: usize,
    ) -> Result<(), FlashError> {
        let torn = self.spend(WriteKind::Erase);
        if torn != Some(TornMode::Before) {
            self.erases[block] += 1;
            let density = self.dice.next_u32();
            for at in range.clone() {
                let raised =
                    if torn == Some(TornMode::During) { self.subset(density) } else { 0xff };
                self.cells[at] |= raised;
            }
            if torn != Some(TornMode::During) {
                self.programmed[range.start / word_len..range.end / word_len].fill(0);
            }
            self.save(range)?;
            let erases = self.erases[block];
            if let Some(backing) = &self.backing {
                backing.save_erases(block, erases).map_err(|_| FlashError::Io)?;
            }
        }
        self.powered()
    }

    /// Counts a write, and says how it is cut if this is the one.
    fn spend(&mut self, kind: WriteKind) -> Option<TornMode> {
        self.by_kind[place_of(kind)] += 1;
        match self.cut.as_mut()? {
            (0, torn) => {
                let torn = *torn;
                (self.cut, self.hit) = (None, Some(kind));
                Some(torn)
            }
            (left, _) => {
                *left -= 1;
                None
            }
        }
    }

    /// Random bits: few, half or most of them set.
    fn subset(&mut self, density: u32) -> u8 {
        let [a, b, c, _] = self.dice.next_u32().to_le_bytes();
        match density % 3 {
            0 => a & b & c,
            1 => a,
            _ => a | b | c,
        }
    }

    fn save(&mut self, range: std::ops::Range<usize>) -> Result<(), FlashError> {
        match &self.backing {
            Some(backing) => {
                backing.save_cells(range.start, &self.cells[range]).map_err(|_| FlashError::Io)
            }
            None => Ok(()),
        }
    }
}

fn place_of(kind: WriteKind) -> usize {
    // The kinds are numbered in the order of `ALL`.
    kind as usize
}

#[cfg(any(test, feature = "testing"))]
mod cut {
    //! The chip as the engine's power cut driver sees it.

    use engine::testing::{CutFlash, Torn};

    use super::{FlashImage, SimFlash, TornMode, WriteKind};

    impl CutFlash for SimFlash {
        type Image = FlashImage;

        fn writes(&self) -> u64 {
            Self::writes(self)
        }

        fn cut_power_after(&self, writes: u64, torn: Torn) {
            let torn = match torn {
                Torn::Before => TornMode::Before,
                Torn::During => TornMode::During,
                Torn::After => TornMode::After,
            };
            Self::cut_power_after(self, writes, torn);
        }

        fn restore_power(&self) -> Option<WriteKind> {
            self.power_up()
        }

        fn image(&self) -> FlashImage {
            self.snapshot()
        }

        fn set_image(&self, image: &FlashImage) {
            // The driver puts back what it took from this chip.
            self.restore(image).expect("an image of the same chip");
        }

        fn wear(&self, first_block: u32, blocks: u32) -> (u32, u32) {
            let erases = self.stats().erases;
            let run = &erases[first_block as usize..][..blocks as usize];
            (run.iter().min().copied().unwrap_or(0), run.iter().max().copied().unwrap_or(0))
        }
    }
}
