//! Puts a program into a copy of the loader, as an extra segment in place of its note.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use strongroom_loader::payload::MAGIC;
use strongroom_loader::plain::{KIND, VERSION};

const PAGE: usize = 4096;
const HEADER_LEN: usize = 56;
const PT_LOAD: u32 = 1;
const PT_NOTE: u32 = 4;
const PF_R: u32 = 4;

/// Writes `program`, sealed with `settings` (lines `key=value`), to `out` with mode 0755.
pub(crate) fn seal(program: &Path, settings: &[String], out: &Path) {
    let program = fs::read(program).expect("the program to seal");
    seal_payload(&payload(&program, settings), out);
}

/// A plain payload.
pub(crate) fn payload(program: &[u8], settings: &[String]) -> Vec<u8> {
    let lines = settings.join("\n") + "\n";
    let at = (32 + lines.len()).next_multiple_of(PAGE);
    let mut bytes = Vec::from(MAGIC);
    bytes.extend_from_slice(&[KIND, VERSION, 0, 0, 0, 0, 0, 0]);
    bytes.extend_from_slice(&(at as u64).to_le_bytes());
    bytes.extend_from_slice(&(program.len() as u64).to_le_bytes());
    bytes.extend_from_slice(lines.as_bytes());
    bytes.resize(at, 0);
    bytes.extend_from_slice(program);
    bytes
}

/// Writes the loader with any payload.
pub(crate) fn seal_payload(payload: &[u8], out: &Path) {
    let mut file = fs::read(env!("CARGO_BIN_EXE_strongroom-loader")).expect("the loader");
    let table = number(&file, 32, 8) as usize;
    let count = number(&file, 56, 2) as usize;
    let headers: Vec<usize> = (0..count).map(|n| table + n * HEADER_LEN).collect();
    let loads = headers.iter().filter(|&&at| number(&file, at, 4) == u64::from(PT_LOAD));
    let end = loads.map(|&at| number(&file, at + 16, 8) + number(&file, at + 40, 8)).max();
    let address = end.expect("segments").next_multiple_of(PAGE as u64);
    let note =
        headers.into_iter().find(|&at| number(&file, at, 4) == u64::from(PT_NOTE)).expect("a note");
    let offset = file.len().next_multiple_of(PAGE);
    let (len, page) = (payload.len() as u64, PAGE as u64);
    file[note..note + 4].copy_from_slice(&PT_LOAD.to_le_bytes());
    file[note + 4..note + 8].copy_from_slice(&PF_R.to_le_bytes());
    for (field, value) in [offset as u64, address, address, len, len, page].iter().enumerate() {
        let at = note + 8 + field * 8;
        file[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    file.resize(offset, 0);
    file.extend_from_slice(payload);
    let made = out.with_extension("made");
    fs::write(&made, file).expect("room for the sealed program");
    fs::set_permissions(&made, fs::Permissions::from_mode(0o755)).expect("own file");
    // By another process: one that is forked here meanwhile would keep a writable file, which
    // cannot be executed.
    let _ = fs::remove_file(out);
    assert!(Command::new("cp").arg(&made).arg(out).status().expect("cp").success());
    fs::remove_file(made).expect("own file");
}

fn number(bytes: &[u8], at: usize, len: usize) -> u64 {
    bytes[at..at + len].iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte))
}
