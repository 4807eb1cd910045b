//! A bare-metal image of the whole engine, so that its size means something.
//!
//! It drives no hardware and is no firmware to ship. What hardware would give (reports, flash,
//! random bytes, keys, time) goes through `black_box`, so that the compiler must keep every path.
#![no_std]
#![no_main]

extern crate alloc;

mod board;

use alloc::vec::Vec;
use core::hint::black_box;

use cortex_m as _; // brings the critical section of a single core
use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use engine::Engine;
use panic_halt as _;
use protocol::frame::{Assembler, MESSAGE_MAX, REPORT_LEN, Step};

use board::Board;

/// Heap of the image: what one command may need, and the index of some hundred records.
const HEAP_LEN: usize = 32 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

#[entry]
fn main() -> ! {
    // SAFETY: called once, before anything is allocated.
    unsafe {
        embedded_alloc::init!(HEAP, HEAP_LEN);
    }
    if let Some(mut engine) = Board::power_up() {
        serve(&mut engine);
    }
    loop {
        cortex_m::asm::wfi();
    }
}

/// Reports in, messages to the engine, answers out.
fn serve(engine: &mut Engine<Board>) {
    let mut assembler = Assembler::new([0; MESSAGE_MAX]);
    let mut answer = Vec::new();
    loop {
        let report = black_box([0; REPORT_LEN]);
        match assembler.accept(&report, black_box(0)) {
            Ok(Step::Complete(message)) => {
                engine.message(black_box(1), message.payload, &mut answer);
                black_box(&answer);
            }
            _ => engine.closed(black_box(2)),
        }
    }
}
