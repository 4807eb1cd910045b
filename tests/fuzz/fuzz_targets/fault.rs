//! Fuzzes `targets::fault`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::fault(bytes));
