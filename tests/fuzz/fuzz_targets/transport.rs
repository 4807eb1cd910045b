//! Fuzzes `targets::transport`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::transport(bytes));
