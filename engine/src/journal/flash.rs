//! What the journal asks of a flash memory: read anywhere, program words from 1 to 0, erase blocks.

/// A NOR flash, or a stretch of one.
///
/// A cell reads 1 after an erase and is programmed to 0, word by word. The formats of this crate
/// program each word once between two erases, with one exception: what a power cut left half
/// programmed without a trace, or a flag word, is programmed a second time. Parts that allow two
/// writes per word, and parts with error correction that allow overwriting by zeros, both qualify;
/// one that counts its writes may answer `Refused`, and another place is taken.
pub trait Flash {
    /// The shape of the memory. Never changes.
    fn geometry(&self) -> Geometry;

    /// Fills `out` with the bytes from address `at` on. Any alignment.
    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError>;

    /// Programs whole words from address `at` on, in rising order. `at` and the length of `words`
    /// are multiples of the word; no bit may rise from 0 to 1. `kind` is for statistics.
    fn program(&mut self, at: u32, words: &[u8], kind: WriteKind) -> Result<(), FlashError>;

    /// Erases one block: every bit of it becomes 1.
    fn erase(&mut self, block: u32) -> Result<(), FlashError>;
}

/// The shape of a flash memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Bytes per erase block.
    pub block_len: u32,
    /// Number of erase blocks.
    pub blocks: u32,
    /// Bytes programmed at once: 4 or 8.
    pub word_len: u32,
}

/// What a write to flash is for. A simulator counts by it; hardware ignores it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum WriteKind {
    /// A record of an open transaction.
    Record,
    /// The end of a transaction: its list of deletions and its commit entry.
    Commit,
    /// A live record copied out of the oldest segment.
    Copy,
    /// The head and the flags of a segment.
    Segment,
    /// A tick, head or flag of the monotone counter.
    Counter,
    /// An erase. Never passed to [`Flash::program`].
    Erase,
}

impl WriteKind {
    /// All kinds, for tables of counts.
    pub const ALL: [Self; 6] =
        [Self::Record, Self::Commit, Self::Copy, Self::Segment, Self::Counter, Self::Erase];
}

/// Why a flash refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FlashError {
    /// There is no power, or it went away during the operation.
    Unpowered,
    /// Outside the memory, or not on a word boundary.
    Range,
    /// A bit would have risen from 0 to 1, or the word was programmed too often since the last
    /// erase.
    Refused,
    /// The block has seen more erases than it endures.
    Worn,
    /// What carries the memory failed.
    Io,
}
