//! Fuzzes `targets::template`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::template(bytes));
