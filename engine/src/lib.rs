//! What a license container does: pure steps and one committing shell over five capabilities.
#![cfg_attr(not(any(test, feature = "testing")), no_std)]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod platform;
