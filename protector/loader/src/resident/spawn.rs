//! Starts the watcher, in the first process and in forked children.

use core::arch::global_asm;
use core::sync::atomic::Ordering::{Acquire, Release};

use linux_raw_sys::general::{CLONE_SIGHAND, CLONE_SYSVSEM, CLONE_THREAD, CLONE_VM};

use super::block::{BLOCK, Block, Common, STACK_LEN};
use super::refusal::{EXIT_REFUSED, Refusal};
use super::{Renew, reasons, sys, watcher};

/// Milliseconds between two looks at whether the watcher is ready.
const READY_WAIT_MS: u32 = 1000;

/// A thread of the same process with its own descriptor table, root and directory.
const FLAGS: u32 = CLONE_VM | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM;

// strongroom_clone(flags, stack top, function, argument): as `clone`, and the new thread calls the
// function.
global_asm!(
    ".globl strongroom_clone",
    ".hidden strongroom_clone",
    ".type strongroom_clone,@function",
    "strongroom_clone:",
    "mov r9, rdx",
    "sub rsi, 16",
    "mov [rsi], rcx",
    "xor edx, edx",
    "xor r10d, r10d",
    "xor r8d, r8d",
    "mov eax, 56",
    "syscall",
    "test rax, rax",
    "jnz 2f",
    "xor ebp, ebp",
    "mov rdi, [rsp]",
    "add rsp, 16",
    "call r9",
    "ud2",
    "2: ret",
    ".size strongroom_clone, . - strongroom_clone",
);

unsafe extern "C" {
    fn strongroom_clone(flags: usize, stack: usize, function: usize, argument: usize) -> isize;
}

/// What a new watcher is given; lies on top of its stack.
#[repr(C, align(64))]
pub(super) struct Start<R: Renew> {
    pub(super) block: *const Block<R>,
    /// The open seat; none in a forked child, which opens its own.
    pub(super) seat: Option<R>,
}

/// Starts the first watcher and waits until it holds nothing of the program's. Gives the descriptor
/// that the caller must close then. `after_fork` of the block must be `child_starter::<R>()`.
///
/// # Errors
/// The system refuses another thread.
///
/// # Safety
/// `block` and its stack must stay mapped for the life of the process, and the stack must be
/// `STACK_LEN` unused bytes.
pub unsafe fn start<R: Renew>(block: *mut Block<R>, seat: R) -> Result<i32, Refusal> {
    let descriptor = seat.descriptor();
    BLOCK.store(block.cast(), Release);
    // SAFETY: block and stack are as the caller promises.
    unsafe { launch(block, Some(seat)) }?;
    Ok(descriptor)
}

/// What the fork hook calls in a child, for this kind of seat.
pub fn child_starter<R: Renew>() -> extern "C" fn() {
    after_fork::<R>
}

extern "C" fn after_fork<R: Renew>() {
    let block = BLOCK.load(Acquire).cast::<Block<R>>();
    // SAFETY: the block was stored by `start::<R>`, the only user of this handler; the child has a
    // copy of it.
    if let Err(refusal) = unsafe { launch(block, None) } {
        // SAFETY: as above.
        let speaker = unsafe { &(*block).common.speaker };
        super::refusal::write_bounded(2, super::refusal::for_people(speaker, &refusal).as_bytes());
        sys::exit_group(EXIT_REFUSED);
    }
}

/// # Safety
/// As `start`.
unsafe fn launch<R: Renew>(block: *const Block<R>, seat: Option<R>) -> Result<(), Refusal> {
    // SAFETY: the block is valid, and nothing in it but the atomic changes.
    let common: &Common = unsafe { &(*block).common };
    let mask = sys::block_signals();
    common.ready.store(0, Release);
    let size = size_of::<Start<R>>().next_multiple_of(align_of::<Start<R>>());
    let top = common.stack.wrapping_add(STACK_LEN).wrapping_sub(size);
    // SAFETY: the stack is unused and aligned to pages, so this lies in it and is aligned.
    unsafe { (top as *mut Start<R>).write(Start { block, seat }) };
    let entry: unsafe extern "C" fn(*mut Start<R>) -> ! = watcher::main::<R>;
    // SAFETY: the new thread runs on its own stack below its argument and never returns.
    let pid = unsafe { strongroom_clone(FLAGS as usize, top, entry as usize, top) };
    if pid > 0 {
        while common.ready.load(Acquire) == 0 {
            sys::futex_wait(&common.ready, 0, READY_WAIT_MS);
        }
    }
    sys::set_signals(mask);
    if pid > 0 { Ok(()) } else { Err(reasons::no_thread(sys::Errno(pid.wrapping_neg() as i32))) }
}
