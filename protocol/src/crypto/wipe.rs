//! Overwrites what functions that have returned left on the stack.

use core::hint::black_box;

use zeroize::Zeroize;

/// Bytes of stack that are overwritten: more than a command with all its cryptography uses (a test
/// searches memory).
const STACK_LEN: usize = 12 * 1024;

/// Overwrites the stack below its caller's frame. A value that is moved leaves its bytes where it
/// was, and no destructor runs there; so whoever handles secrets by value does it in a function
/// that is not inlined, and its caller calls this.
#[inline(never)]
pub fn wipe_stack() {
    let mut stack = [0xff_u8; STACK_LEN];
    black_box(&mut stack).zeroize();
    black_box(&stack);
}
