//! Fuzzes `targets::key_store`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::key_store(bytes));
