//! Fuzzes `targets::file`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::file(bytes));
