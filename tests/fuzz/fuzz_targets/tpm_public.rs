//! Fuzzes `targets::tpm_public`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::tpm_public(bytes));
