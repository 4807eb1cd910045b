//! Fuzzes `targets::revocation`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::revocation(bytes));
