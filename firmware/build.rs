//! Puts the memory map where the linker looks and names the scripts of cortex-m-rt.

use std::path::Path;

fn main() {
    let out = std::env::var_os("OUT_DIR").unwrap_or_default();
    let map = Path::new(&out).join("memory.x");
    if let Err(error) = std::fs::copy("memory.x", &map) {
        panic!("{}: {error}", map.display()); // nothing can be linked without it
    }
    println!("cargo::rerun-if-changed=memory.x");
    println!("cargo::rustc-link-search={}", Path::new(&out).display());
    println!("cargo::rustc-link-arg-bins=-Tlink.x");
}
