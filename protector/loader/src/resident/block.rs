//! The memory that the resident part shares between starter, watcher and forked children.

use core::sync::atomic::{AtomicPtr, AtomicU32};

use super::refusal::Speaker;
use super::{LossPolicy, Renew};

/// Bytes of the watcher's stack.
pub const STACK_LEN: usize = 256 * 1024;

/// What stays the same for all kinds of seats. Only `ready` changes once the program runs.
#[derive(Debug)]
pub struct Common {
    /// 0 until the watcher holds nothing of the program's and its seat is open.
    pub ready: AtomicU32,
    /// Lowest address of the watcher's stack.
    pub stack: usize,
    /// Who speaks in messages.
    pub speaker: Speaker,
    /// What happens at loss.
    pub policy: LossPolicy,
    /// Seconds of processor time that the process may use without its watcher.
    pub cpu_budget_s: u32,
    /// Descriptor for reports in the starting process, with what it then was: (number, device,
    /// inode).
    pub report: Option<(i32, u64, u64)>,
    /// Where the program begins.
    pub entry: usize,
    /// The program's dynamic section, 0 where it has none.
    pub dynamic: usize,
    /// Whether forked children without a watcher are accepted.
    pub accept_unwatched_forks: bool,
    /// Starts the watcher of a forked child.
    pub after_fork: extern "C" fn(),
}

/// The whole block for one kind of seat.
#[repr(C)]
#[derive(Debug)]
pub struct Block<R: Renew> {
    /// First, so that code without the type finds it.
    pub common: Common,
    /// For forked children.
    pub ticket: R::Ticket,
}

/// The block of this process, set before the program starts and never again.
pub(super) static BLOCK: AtomicPtr<Common> = AtomicPtr::new(core::ptr::null_mut());
