//! Entry of the loader. No `main` of Rust: its runtime would leave the program signal handlers and
//! an ignored SIGPIPE.
#![no_main]

use strongroom_loader::{stack::InitialStack, start};

/// Called by the C library's start code.
#[unsafe(no_mangle)]
extern "C" fn main(_argc: i32, argv: *mut usize) -> i32 {
    // SAFETY: the start code passes the argument vector where the kernel has put it: behind argc,
    // before the environment.
    let stack = unsafe { InitialStack::from_argv(argv) };
    start::run(stack)
}
