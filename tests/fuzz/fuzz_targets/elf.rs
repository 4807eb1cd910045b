//! Fuzzes `targets::elf`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::elf(bytes));
