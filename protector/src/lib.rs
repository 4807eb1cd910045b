//! Encrypts programs and files against a license container.
#![forbid(unsafe_code)]
