//! The seam between loader and licensing: what opening a payload yields.

use crate::resident::text::Text;
use crate::resident::{LossPolicy, Refusal, Renew};

/// The decrypted program, by offset. Wipes its keys when dropped.
pub trait ImageSource: Sync {
    /// Bytes of the program.
    fn len(&self) -> u64;

    /// Whether there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Decrypts from `offset` until `out` is full. Called from two threads for large programs.
    ///
    /// # Errors
    /// The bytes are not what the vendor sealed, or end early.
    fn read_into(&self, offset: u64, out: &mut [u8]) -> Result<(), Refusal>;

    /// Bytes of the unit in which it decrypts; reads that begin at a multiple cost least.
    fn unit_len(&self) -> u64;

    /// Told before a large range is read, so that its pages can be brought in at once.
    fn will_read(&self, _offset: u64, _len: u64) {}

    /// Told after a large range was read, so that its pages can be given back.
    fn has_read(&self, _offset: u64, _len: u64) {}
}

/// What the vendor decided when protecting.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What happens at loss.
    pub policy: LossPolicy,
    /// Whether `LD_PRELOAD` and its like reach the program.
    pub allow_preload: bool,
    /// Whether forked children without a watcher are accepted.
    pub accept_unwatched_forks: bool,
    /// The vendor's words, said before a reason.
    pub vendor_text: Text<1200>,
}

/// A payload that its license has opened.
pub struct Opened<S: ImageSource, R: Renew> {
    /// The program.
    pub image: S,
    /// The seat and what forked children need; none where the license counts none.
    pub seat: Option<(R, R::Ticket)>,
    /// The vendor's decisions.
    pub settings: Settings,
}
