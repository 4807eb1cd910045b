//! What a license container does: pure steps and one committing shell over five capabilities.
#![no_std]
#![forbid(unsafe_code)]
