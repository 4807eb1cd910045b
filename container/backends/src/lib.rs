//! The standard registry: the one place that names all backends.
#![forbid(unsafe_code)]
