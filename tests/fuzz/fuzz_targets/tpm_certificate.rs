//! Fuzzes `targets::tpm_certificate`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::tpm_certificate(bytes));
