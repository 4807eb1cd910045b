//! Fuzzes `targets::time`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::time(bytes));
