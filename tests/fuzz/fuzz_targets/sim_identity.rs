//! Fuzzes `targets::sim_identity`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::sim_identity(bytes));
