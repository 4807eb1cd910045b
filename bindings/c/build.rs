//! How the shared library is linked.
#![forbid(unsafe_code)]

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let version = std::env::var("CARGO_PKG_VERSION_MAJOR").unwrap_or_default();
    println!("cargo:rustc-cdylib-link-arg=-Wl,-soname,libstrongroom.so.{version}");
    // Threads that keep seats run its code, so it stays in memory once it is there.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}
