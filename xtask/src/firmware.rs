//! Builds the bare-metal image with Debian's compiler and prints what it takes of flash and RAM.

use crate::{Outcome, repo};
use object::{Object, ObjectSection, SectionFlags, elf};
use std::path::{Path, PathBuf};
use std::process::Command;

const TARGET: &str = "thumbv7em-none-eabihf";

/// The toolchain of the packages rustc-web, cargo-web and rust-web-src: the one that brings the
/// sources of `core` and `alloc` in its own version. It is asked for by path, since another Rust
/// may stand first.
const RUSTC: &str = "/usr/bin/rustc";
const CARGO: &str = "/usr/bin/cargo";

/// What an image takes, in bytes.
#[derive(Debug, Default, PartialEq, Eq)]
struct Sizes {
    /// Code, constants and the first values of variables.
    flash: u64,
    /// Variables and reserved memory; the stack comes on top.
    ram: u64,
}

pub(crate) fn run(_: &[String]) -> Outcome {
    let image = build()?;
    let Sizes { flash, ram } = sizes(&image)?;
    println!("figure: {TARGET}: text {flash} bytes, static RAM {ram} bytes (stack not counted)");
    Ok(())
}

fn build() -> Outcome<PathBuf> {
    let dir = repo::root().join("firmware");
    let out = repo::target().join("firmware");
    let mut cargo = Command::new(CARGO);
    cargo.current_dir(&dir).args(["build", "--release", "--locked", "--target", TARGET]);
    cargo.args(["-Zbuild-std=core,alloc", "-Zbuild-std-features=compiler-builtins-mem"]);
    cargo.env("CARGO_TARGET_THUMBV7EM_NONE_EABIHF_LINKER", "ld.lld");
    cargo.env("RUSTC", RUSTC).env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &out);
    for variable in ["RUSTUP_TOOLCHAIN", "CARGO", "RUSTFLAGS", "RUSTDOC"] {
        cargo.env_remove(variable); // they would name the other Rust
    }
    repo::succeed(&mut cargo)?;
    Ok(out.join(TARGET).join("release/strongroom-firmware"))
}

fn sizes(image: &Path) -> Outcome<Sizes> {
    let bytes = std::fs::read(image).map_err(|e| format!("{}: {e}", image.display()))?;
    let file = object::File::parse(&*bytes)?;
    let mut sizes = Sizes::default();
    for section in file.sections() {
        let SectionFlags::Elf { sh_flags, .. } = section.flags() else { continue };
        add(&mut sizes, sh_flags.0, section.kind().is_bss(), section.size());
    }
    Ok(sizes)
}

/// Counts one section: what is loaded lies in flash; what can be written lies in RAM, with its
/// first value, if it has one, in flash.
fn add(sizes: &mut Sizes, flags: u64, zeroed: bool, size: u64) {
    if flags & elf::SHF_ALLOC.0 == 0 {
        return;
    }
    if flags & elf::SHF_WRITE.0 != 0 {
        sizes.ram += size;
    }
    if !zeroed {
        sizes.flash += size;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_are_counted_where_they_lie() {
        let (alloc, write) = (elf::SHF_ALLOC.0, elf::SHF_WRITE.0);
        let mut sizes = Sizes::default();
        add(&mut sizes, alloc, false, 100); // text
        add(&mut sizes, alloc | write, false, 20); // data
        add(&mut sizes, alloc | write, true, 3); // bss
        add(&mut sizes, 0, false, 1000); // debug information
        assert_eq!(sizes, Sizes { flash: 120, ram: 23 });
    }
}
