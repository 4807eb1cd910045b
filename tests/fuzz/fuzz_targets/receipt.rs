//! Fuzzes `targets::receipt`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::receipt(bytes));
