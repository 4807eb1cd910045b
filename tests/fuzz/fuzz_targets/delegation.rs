//! Fuzzes `targets::delegation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::delegation(bytes));
