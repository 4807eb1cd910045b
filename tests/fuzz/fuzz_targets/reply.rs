//! Fuzzes `targets::reply`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::reply(bytes));
