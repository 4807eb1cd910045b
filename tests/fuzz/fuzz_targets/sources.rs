//! Fuzzes `targets::sources`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::sources(bytes));
