//! Fuzzes `targets::tpm_attest`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::tpm_attest(bytes));
