//! Fuzzes `targets::handshake`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::handshake(bytes));
