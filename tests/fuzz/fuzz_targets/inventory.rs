//! Fuzzes `targets::inventory`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::inventory(bytes));
