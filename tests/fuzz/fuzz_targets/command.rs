//! Fuzzes `targets::command`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::command(bytes));
