//! A counter that cannot go back: one-way words on two erase blocks of their own.
//!
//! One of the blocks counts, the other is blank. The one that counts has a head (magic, version,
//! word, base, checksum) and, behind it, one *tick* per word. The value is the base plus the number
//! of ticks set. A step by one programs one word. A larger step, or the first step in a full block
//! or behind a torn tick, writes a head with the new value in the other block, and then erases the
//! old one. The last word of the head is the commit point.
//!
//! Power cuts: after any of them the value is the old or the new one. A tick counts by the majority
//! of its bits, so a torn one reads as either, and a flipped bit changes nothing. Of two whole
//! heads the higher base counts; the next step erases the other.
//!
//! Damage: as the old block is erased, a damaged head leaves none, and that is an error, never an
//! older value.
//!
//! Lifetime with `N` erases per block of `B` bytes and words of `W`: `N * (B - 24) / W` steps by
//! one, or `N` larger steps, and twice as many where power stays. 4 KiB blocks of 32-bit words that
//! endure 10,000 erases: 10 million steps.

use super::entry::{CRC, u64_at};
use super::flash::{Flash, Geometry, WriteKind};
use super::write::{program_checked, program_if_taken};
use crate::platform::{Counter, StoreError};

/// Erase blocks that a counter takes.
pub const COUNTER_BLOCKS: u32 = 2;

const HEAD_LEN: u32 = 24;
const MAGIC: [u8; 4] = *b"SRCT";
const VERSION: u8 = 1;

/// A counter found on flash.
pub struct FlashCounter<F> {
    flash: F,
    geometry: Geometry,
    first_block: u32,
    /// Which of the two blocks counts.
    active: u32,
    base: u64,
    ticks: u32,
    /// The other block is not blank.
    erase_due: bool,
    /// The other block was erased since power came. An erase that was cut short may leave what
    /// only looks blank.
    other_erased: bool,
    /// A write failed: only a new start tells what holds.
    failed: bool,
}

impl<F: Flash> FlashCounter<F> {
    /// Finds the counter in the two blocks from `first_block` on; blocks never written start at 0.
    ///
    /// # Errors
    /// `Misuse` if the blocks do not exist; `Medium` if no counter stands there, or a damaged one.
    pub fn open(flash: F, first_block: u32) -> Result<Self, StoreError> {
        let geometry = flash.geometry();
        let end = first_block.checked_add(COUNTER_BLOCKS).filter(|&end| end <= geometry.blocks);
        let fits = end.and_then(|end| end.checked_mul(geometry.block_len)).is_some();
        let word_fits = matches!(geometry.word_len, 4 | 8);
        if !fits || !word_fits || geometry.block_len <= HEAD_LEN {
            return Err(StoreError::Misuse);
        }
        let mut counter = Self {
            flash,
            geometry,
            first_block,
            active: 0,
            base: 0,
            ticks: 0,
            erase_due: false,
            other_erased: false,
            failed: false,
        };
        counter.load()?;
        Ok(counter)
    }

    /// Gives the flash back.
    pub fn into_flash(self) -> F {
        self.flash
    }

    fn load(&mut self) -> Result<(), StoreError> {
        let (active, base) = match [self.base_of(0)?, self.base_of(1)?] {
            [Some(a), Some(b)] if b > a => (1, b),
            [Some(a), _] => (0, a),
            [None, Some(b)] => (1, b),
            [None, None] if self.is_virgin()? => {
                self.flash.erase(self.first_block)?;
                return self.start_block(0, 0);
            }
            [None, None] => return Err(StoreError::Medium),
        };
        (self.active, self.base) = (active, base);
        self.erase_due = !self.is_blank(1 - active, 0)?;
        self.ticks = self.count_ticks()?;
        self.base.checked_add(u64::from(self.ticks)).map(drop).ok_or(StoreError::Medium)
    }

    /// Counts the ticks set; they stand in a row.
    fn count_ticks(&mut self) -> Result<u32, StoreError> {
        let (mut ticks, mut gap) = (0, false);
        for i in 0..self.ticks_max() {
            let mut word = [0; 8];
            let word = &mut word[..self.geometry.word_len as usize];
            self.flash.read(self.tick_at(i), word)?;
            let zeros: u32 = word.iter().map(|b| b.count_zeros()).sum();
            let set = zeros > self.geometry.word_len * 4;
            if set && gap {
                return Err(StoreError::Medium);
            }
            gap |= !set;
            ticks += u32::from(set);
        }
        Ok(ticks)
    }

    fn head_of(&mut self, which: u32) -> Result<[u8; HEAD_LEN as usize], StoreError> {
        let mut bytes = [0; HEAD_LEN as usize];
        self.flash.read(self.block_at(which), &mut bytes)?;
        Ok(bytes)
    }

    fn base_of(&mut self, which: u32) -> Result<Option<u64>, StoreError> {
        let bytes = self.head_of(which)?;
        let base = u64_at(&bytes, 8);
        Ok((encode_head(base, self.geometry.word_len) == bytes).then_some(base))
    }

    /// Whether nothing stands here but, perhaps, the begin of the very first head. A damaged head
    /// with another base is not taken for one: its words before the last differ.
    fn is_virgin(&mut self) -> Result<bool, StoreError> {
        let word_len = self.geometry.word_len as usize;
        let (found, first) = (self.head_of(0)?, encode_head(0, self.geometry.word_len));
        let mut words = found.chunks(word_len).zip(first.chunks(word_len));
        // The word being programmed when power went has some of its zeros, those behind it none.
        let torn = words.find(|(found, first)| found != first);
        let begun = torn
            .is_none_or(|(found, first)| found.iter().zip(first).all(|(f, e)| f & e == *e))
            && words.all(|(found, _)| found.iter().all(|&b| b == 0xff));
        Ok(begun && self.is_blank(0, HEAD_LEN)? && self.is_blank(1, 0)?)
    }

    fn is_blank(&mut self, which: u32, from: u32) -> Result<bool, StoreError> {
        for at in (from..self.geometry.block_len).step_by(8) {
            let mut bytes = [0xff; 8];
            let len = (self.geometry.block_len - at).min(8) as usize;
            self.flash.read(self.block_at(which) + at, &mut bytes[..len])?;
            if bytes != [0xff; 8] {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes `base` the value by a fresh block.
    fn start_block(&mut self, which: u32, base: u64) -> Result<(), StoreError> {
        let head = encode_head(base, self.geometry.word_len);
        let at = self.block_at(which);
        program_checked(&mut self.flash, at, &head, WriteKind::Counter)?;
        (self.active, self.base, self.ticks) = (which, base, 0);
        Ok(())
    }

    fn erase_other(&mut self) -> Result<(), StoreError> {
        self.flash.erase(self.first_block + 1 - self.active)?;
        self.erase_due = false;
        self.other_erased = true;
        Ok(())
    }

    fn step(&mut self, to: u64) -> Result<(), StoreError> {
        if self.erase_due {
            self.erase_other()?;
        }
        let by_tick = to - self.now() == 1 && self.ticks < self.ticks_max();
        if by_tick && self.next_is_blank()? && self.tick()? {
            return Ok(());
        }
        if !self.other_erased {
            self.erase_other()?;
        }
        self.start_block(1 - self.active, to)?;
        self.erase_other()
    }

    /// Sets the next tick, or gives `false` where the part does not take it.
    fn tick(&mut self) -> Result<bool, StoreError> {
        let zeros = [0; 8];
        let tick = &zeros[..self.geometry.word_len as usize];
        let at = self.tick_at(self.ticks);
        let taken = program_if_taken(&mut self.flash, at, tick, WriteKind::Counter)?;
        self.ticks += u32::from(taken);
        Ok(taken)
    }

    /// Whether the next tick was never touched. One that was torn may be spent: some parts allow a
    /// word to be programmed twice only, and a second cut may have torn it twice.
    fn next_is_blank(&mut self) -> Result<bool, StoreError> {
        let mut word = [0xff; 8];
        let len = self.geometry.word_len as usize;
        self.flash.read(self.tick_at(self.ticks), &mut word[..len])?;
        Ok(word == [0xff; 8])
    }

    fn now(&self) -> u64 {
        self.base + u64::from(self.ticks)
    }

    fn ticks_max(&self) -> u32 {
        (self.geometry.block_len - HEAD_LEN) / self.geometry.word_len
    }

    fn block_at(&self, which: u32) -> u32 {
        (self.first_block + which) * self.geometry.block_len
    }

    fn tick_at(&self, i: u32) -> u32 {
        self.block_at(self.active) + HEAD_LEN + i * self.geometry.word_len
    }
}

impl<F: Flash> Counter for FlashCounter<F> {
    fn value(&mut self) -> Result<u64, StoreError> {
        if self.failed { Err(StoreError::Medium) } else { Ok(self.now()) }
    }

    fn advance_to(&mut self, to: u64) -> Result<(), StoreError> {
        if to <= self.value()? {
            return Ok(());
        }
        let result = self.step(to);
        self.failed = result.is_err();
        result
    }
}

fn encode_head(base: u64, word_len: u32) -> [u8; HEAD_LEN as usize] {
    let mut out = [0; HEAD_LEN as usize];
    out[..4].copy_from_slice(&MAGIC);
    out[4] = VERSION;
    // 4 or 8.
    out[5] = word_len as u8;
    out[8..16].copy_from_slice(&base.to_le_bytes());
    let crc = CRC.checksum(&out[..16]);
    out[16..20].copy_from_slice(&crc.to_le_bytes());
    // And its complement, so that the word programmed last never reads as whole before it is.
    out[20..].copy_from_slice(&(!crc).to_le_bytes());
    out
}
