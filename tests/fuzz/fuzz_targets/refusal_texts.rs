//! Fuzzes `targets::refusal_texts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::refusal_texts(bytes));
