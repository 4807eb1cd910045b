//! A bare-metal image that reaches what a dongle reaches, so that its size means something.
//!
//! It drives no hardware and is no firmware to ship. What hardware would give (reports, random
//! bytes, a key) goes through `black_box`, so that the compiler must keep every path.
#![no_std]
#![no_main]

extern crate alloc;

use core::hint::black_box;
use cortex_m as _; // brings the critical section of a single core
use cortex_m_rt::entry;
use embedded_alloc::LlffHeap;
use panic_halt as _;
use protocol::codec;
use protocol::command::Command;
use protocol::crypto::channel::{Responder, Transport};
use protocol::crypto::ecdh::SoftwareKey;
use protocol::frame::{Assembler, MESSAGE_MAX, REPORT_LEN, Step};
use protocol::limits::{COMMAND_LEN_MAX, ROOT_BODY_LEN_MAX};
use protocol::objects::root::Root;
use protocol::signed::UnverifiedObject;

/// What one command may need of heap, at most.
const HEAP_LEN: usize = 16 * 1024;

#[global_allocator]
static HEAP: LlffHeap = LlffHeap::empty();

#[entry]
fn main() -> ! {
    // SAFETY: called once, before anything is allocated.
    unsafe {
        embedded_alloc::init!(HEAP, HEAP_LEN);
    }
    let mut assembler = Assembler::new([0; MESSAGE_MAX]);
    let mut transport = None;
    loop {
        let report = black_box([0; REPORT_LEN]);
        if let Ok(Step::Complete(message)) = assembler.accept(&report, black_box(0)) {
            let mut message = alloc::vec::Vec::from(message.payload);
            serve(&mut transport, &mut message);
        }
    }
}

/// The first message opens the channel; the others are commands in it.
fn serve(transport: &mut Option<Transport>, message: &mut [u8]) {
    match transport {
        None => *transport = open(message),
        Some(channel) => {
            black_box(command(channel, message));
        }
    }
    black_box(root(message));
}

fn open(message: &mut [u8]) -> Option<Transport> {
    let key = SoftwareKey::from_bytes(&black_box([1; 32])).ok()?;
    let (responder, _) = Responder::accept(&key, message).ok()?;
    let mut answer = [0; 256];
    let mut random = |out: &mut [u8]| {
        black_box(out);
        Ok(())
    };
    let (transport, len) = responder.reply(&mut random, &[], &mut answer).ok()?;
    black_box(&answer[..len]);
    Some(transport)
}

fn command(channel: &mut Transport, message: &mut [u8]) -> Option<Command> {
    let len = channel.open(message).ok()?;
    codec::decode(message.get(..len)?, COMMAND_LEN_MAX).ok()
}

fn root(bytes: &[u8]) -> Option<Root> {
    let (object, _) = UnverifiedObject::read(bytes, ROOT_BODY_LEN_MAX).ok()?;
    Root::verify_first(&object).ok()
}
