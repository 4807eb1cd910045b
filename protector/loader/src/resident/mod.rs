//! The part that stays in the process beside the program: watcher, fork hook, dead man's switch.
//!
//! It runs without a C library: no heap, no thread-local storage, no panic. The program's own
//! allocator and libraries share the address space and know nothing of it, so nothing here may call
//! them, but for the one registration of the fork hook. A panic would end the process, since the
//! watcher has no thread pointer.

pub mod block;
mod dead_man;
pub mod deadline;
mod fork;
mod last_thread;
mod privileges;
pub mod reasons;
pub mod refusal;
pub mod seat;
mod spawn;
mod symbols;
pub mod sys;
pub mod text;
mod watcher;

pub use fork::entry_stub;
pub use refusal::Refusal;
pub use spawn::{child_starter, start};

/// How long an answer holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// Milliseconds until the license should be asked for again.
    pub next_in_ms: u32,
    /// Milliseconds until it counts as lost when no answer comes.
    pub lost_after_ms: u32,
}

/// What became of a renewal.
#[derive(Debug)]
pub enum Renewal {
    /// The license goes on.
    Kept(Timing),
    /// The license was refused.
    Lost(Refusal),
    /// Nobody answered in time, or not so that it could be understood.
    NoAnswer,
}

/// A seat as the watcher holds it. Methods run on the watcher: no heap, no thread-local storage, no
/// panic.
///
/// The value lives on the watcher's stack, which forked children see as zeros.
pub trait Renew: Sized {
    /// What a forked child needs to open an entry of the same seat. Never changes, so a fork never
    /// sees half of it.
    type Ticket: Copy;

    /// The one descriptor that the seat needs; the watcher closes all others.
    fn descriptor(&self) -> i32;

    /// How long the answer to opening it holds.
    fn opened(&self) -> Timing;

    /// Asks for the license to go on, for at most `budget_ms`. After `Lost` it may be called again.
    fn renew(&mut self, budget_ms: u32) -> Renewal;

    /// Opens a child entry, in a forked child. `budget_ms` bounds the whole of it.
    ///
    /// # Errors
    /// The reason why there is no seat for the child.
    fn open_child(ticket: &Self::Ticket, budget_ms: u32) -> Result<Self, Refusal>;
}

/// What happens at loss.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LossPolicy {
    /// Ends the program.
    Stop,
    /// Says so every so many seconds; the program goes on.
    Warn {
        /// Seconds between two warnings.
        every_s: u32,
    },
    /// Says so and ends the program later, unless the license comes back.
    Grace {
        /// Seconds until the end.
        for_s: u32,
    },
}
