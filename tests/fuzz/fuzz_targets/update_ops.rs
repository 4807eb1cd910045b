//! Fuzzes `targets::update_ops`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::update_ops(bytes));
