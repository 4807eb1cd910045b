//! The fork hook: a stop between the dynamic linker and the program that registers a handler for
//! forked children.

use core::arch::global_asm;
use core::ffi::CStr;
use core::sync::atomic::Ordering::Acquire;

use linux_raw_sys::auxvec::AT_ENTRY;

use super::block::{BLOCK, Common};
use super::refusal::{EXIT_REFUSED, for_people, write_bounded};
use super::{reasons, symbols, sys};

/// glibc's way to register handlers; the last argument names the library they belong to.
const GLIBC: &CStr = c"__register_atfork";

/// Everybody else's.
const POSIX: &CStr = c"pthread_atfork";

// The dynamic linker jumps here as if it were the program's entry: stack pointer at argc, rdx = its
// own finisher.
global_asm!(
    ".globl strongroom_entry_stub",
    ".hidden strongroom_entry_stub",
    ".type strongroom_entry_stub,@function",
    "strongroom_entry_stub:",
    "mov r12, rsp",
    "mov r13, rdx",
    "mov rdi, rsp",
    "and rsp, -16",
    "call strongroom_fork_hook",
    "mov rsp, r12",
    "mov rdx, r13",
    "xor r12d, r12d",
    "xor r13d, r13d",
    "xor ebp, ebp",
    "jmp rax",
    ".size strongroom_entry_stub, . - strongroom_entry_stub",
);

unsafe extern "C" {
    fn strongroom_entry_stub();
}

/// The address that stands for the program's entry while the dynamic linker works.
pub fn entry_stub() -> usize {
    strongroom_entry_stub as *const () as usize
}

/// Registers the handler, puts the program's own entry back into the auxiliary vector, and gives
/// it.
///
/// # Safety
/// Only the stub may call this: `stack` is the initial stack and the dynamic linker is done.
#[unsafe(no_mangle)]
unsafe extern "C" fn strongroom_fork_hook(stack: *mut usize) -> usize {
    // SAFETY: the stub is only used as entry after `start` has stored a block that stays mapped.
    let common: &Common = unsafe { &*BLOCK.load(Acquire) };
    // SAFETY: this is the initial stack, by the caller's promise.
    unsafe { restore_entry(stack, common.entry) };
    // SAFETY: the dynamic linker is done, so the list of libraries is complete and does not change
    // now.
    let registered = unsafe { register(common) };
    if !registered && !common.accept_unwatched_forks {
        write_bounded(2, for_people(&common.speaker, &reasons::no_hook()).as_bytes());
        sys::exit_group(EXIT_REFUSED);
    }
    common.entry
}

/// # Safety
/// `stack` must be the initial stack of the process.
unsafe fn restore_entry(stack: *mut usize, entry: usize) {
    // SAFETY: argc, argv, 0, environment, 0, then pairs up to AT_NULL stand here in this order.
    unsafe {
        let mut at = stack.wrapping_add((*stack).wrapping_add(2));
        while *at != 0 {
            at = at.wrapping_add(1);
        }
        at = at.wrapping_add(1);
        while *at != 0 {
            if *at == AT_ENTRY as usize {
                *at.wrapping_add(1) = entry;
            }
            at = at.wrapping_add(2);
        }
    }
}

/// # Safety
/// `common.dynamic` must be the program's dynamic section, and its libraries loaded.
unsafe fn register(common: &Common) -> bool {
    type Handler = extern "C" fn();
    // SAFETY: as the caller promises.
    if let Some(function) = unsafe { symbols::find(common.dynamic, GLIBC) } {
        type Register = unsafe extern "C" fn(usize, usize, Handler, *const Common) -> i32;
        // SAFETY: this is the type of glibc's function of that name since 2.3.
        let function: Register = unsafe { core::mem::transmute(function) };
        // SAFETY: no handler but the child's is given; the block's address stands for no library
        // that could be closed.
        return unsafe { function(0, 0, common.after_fork, common) } == 0;
    }
    // SAFETY: as the caller promises.
    if let Some(function) = unsafe { symbols::find(common.dynamic, POSIX) } {
        type Register = unsafe extern "C" fn(usize, usize, Handler) -> i32;
        // SAFETY: this is the type that POSIX gives the function.
        let function: Register = unsafe { core::mem::transmute(function) };
        // SAFETY: no handler but the child's is given.
        return unsafe { function(0, 0, common.after_fork) } == 0;
    }
    false
}
