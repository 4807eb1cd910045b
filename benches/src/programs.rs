//! The programs that are started: a large one that does little, and the floor to compare with.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;

const LARGE: &str = include_str!("../programs/large.c");
const FLOOR: &str = include_str!("../programs/floor.c");

/// Builds a program of about `len` bytes that touches a few of its pages and ends: three quarters
/// are code, the rest constants and values.
pub(crate) fn large(dir: &Path, len: usize) -> Result<PathBuf> {
    let parts = [("code.bin", 75), ("constants.bin", 20), ("values.bin", 5)];
    for (seed, (name, percent)) in (1..).zip(parts) {
        write_noise(&dir.join(name), len / 100 * percent, seed)?;
    }
    let program = dir.join(format!("large-{len}"));
    compile(dir, LARGE, &program, &["-pie", "-fPIE"])?;
    Ok(program)
}

/// Builds the floor: started with a file, it executes the file's bytes from a memory file.
pub(crate) fn floor(dir: &Path) -> Result<PathBuf> {
    let program = dir.join("floor");
    // Static, so that the floor has no dynamic linker's work to do before its own.
    compile(dir, FLOOR, &program, &["-static"])?;
    Ok(program)
}

fn compile(dir: &Path, source: &str, output: &Path, options: &[&str]) -> Result<()> {
    let input = output.with_extension("c");
    std::fs::write(&input, source)?;
    let mut cc = Command::new("cc");
    cc.current_dir(dir).args(["-O2", "-o"]).arg(output).arg(&input).args(options);
    match cc.status()? {
        status if status.success() => Ok(()),
        status => Err(format!("cc ended with {status}").into()),
    }
}

/// Bytes that nothing can shorten, the same every time.
fn write_noise(path: &Path, len: usize, seed: u64) -> Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    let mut state = seed;
    for _ in 0..len.div_ceil(8) {
        // xorshift64 (Marsaglia 2003)
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        file.write_all(&state.to_le_bytes())?;
    }
    Ok(file.flush()?)
}
