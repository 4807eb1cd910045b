//! Broken headers: every field with every kind of wrong value is judged, without panic and
//! without much memory.

mod common;

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::{compile, open_directory};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use strongroom_protector::elf::{Refusal, Verdict, examine};

const SOURCE: &str = "#include <stdio.h>\nint main(void) { puts(\"hello\"); return 0; }\n";

/// More than the test needs and far less than a wild length would take.
const MEMORY_LIMIT_BYTES: u64 = 2 << 30;

fn limit_memory() {
    let limit = Rlimit { current: Some(MEMORY_LIMIT_BYTES), ..getrlimit(Resource::As) };
    setrlimit(Resource::As, limit).expect("lowering a limit is always allowed");
}

fn program(directory: &Path, flags: &[&str]) -> (std::path::PathBuf, File) {
    let path = compile(directory, "program", SOURCE, flags);
    let file = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    (path, file)
}

fn word(file: &File, at: u64, len: usize) -> u64 {
    let mut bytes = [0; 8];
    file.read_exact_at(&mut bytes[..len], at).unwrap();
    u64::from_le_bytes(bytes)
}

/// Where the bytes of all header tables are.
fn tables(file: &File) -> Vec<u64> {
    let segments = word(file, 32, 8)..word(file, 32, 8) + 56 * word(file, 56, 2);
    let sections = word(file, 40, 8)..word(file, 40, 8) + 64 * word(file, 60, 2);
    (0..64).chain(segments).chain(sections).collect()
}

#[test]
fn every_byte_of_every_header_may_be_wrong() {
    limit_memory();
    let directory = open_directory();
    let (path, file) = program(directory.path(), &["-Wl,-rpath,$ORIGIN"]);
    let (mut refused, mut judged) = (0, 0);
    for at in tables(&file) {
        let original = word(&file, at, 1) as u8;
        for wrong in [0, 0xff, original ^ 0x01, original ^ 0x80] {
            file.write_all_at(&[wrong], at).unwrap();
            let found = examine(&path).expect("the file can be read");
            refused += usize::from(matches!(found.verdict, Verdict::Refused(_)));
            judged += 1;
        }
        file.write_all_at(&[original], at).unwrap();
    }
    assert_eq!(examine(&path).unwrap().verdict, Verdict::Fit, "all bytes are back");
    println!("{refused} of {judged} broken headers refused");
    assert!(refused > 300, "{refused}");
}

#[test]
fn every_wide_field_may_hold_an_extreme_value() {
    limit_memory();
    let directory = open_directory();
    let (path, file) = program(directory.path(), &["-static-pie"]);
    // A static program is the costly case: each look at it may search its code for forks.
    let at_words = tables(&file).into_iter().filter(|at| at % 8 == 0 && *at < 4096);
    for at in at_words {
        let original = word(&file, at, 8);
        for wrong in [u64::MAX, 1 << 63, i64::MAX as u64, 1 << 40, u64::from(u32::MAX), 4095, 1] {
            file.write_all_at(&wrong.to_le_bytes(), at).unwrap();
            examine(&path).expect("the file can be read");
        }
        file.write_all_at(&original.to_le_bytes(), at).unwrap();
    }
    assert_eq!(examine(&path).unwrap().verdict, Verdict::Fit, "all bytes are back");
}

/// In a file that really is so long, the file's length bounds nothing.
#[test]
fn wild_lengths_in_a_huge_sparse_file_allocate_little() {
    limit_memory();
    let directory = open_directory();
    let (path, file) = program(directory.path(), &[]);
    file.set_len(1 << 40).unwrap();
    let len = 1_u64 << 39;
    let segments = word(&file, 32, 8);
    let sections = word(&file, 40, 8);
    let mut places: Vec<u64> = (0..word(&file, 56, 2)).map(|i| segments + 56 * i + 32).collect();
    places.extend((0..word(&file, 60, 2)).map(|i| sections + 64 * i + 32));
    for at in places {
        let original = word(&file, at, 8);
        file.write_all_at(&len.to_le_bytes(), at).unwrap();
        examine(&path).expect("the file can be read");
        file.write_all_at(&original.to_le_bytes(), at).unwrap();
    }
    for at in [56, 60] {
        let original = word(&file, at, 2) as u16;
        file.write_all_at(&[0xff, 0xff], at).unwrap();
        examine(&path).expect("the file can be read");
        file.write_all_at(&original.to_le_bytes(), at).unwrap();
    }
}

#[test]
fn a_file_cut_anywhere_is_never_fit_by_mistake() {
    limit_memory();
    let directory = open_directory();
    let (path, file) = program(directory.path(), &[]);
    let loaded = examine(&path).unwrap().program.expect("a program").sealed_len_bytes;
    for len in (0..loaded).rev().step_by(97) {
        file.set_len(len).unwrap();
        let verdict = examine(&path).unwrap().verdict;
        assert!(matches!(verdict, Verdict::Refused(_)), "cut to {len}: {verdict:?}");
    }
    file.set_len(0).unwrap();
    assert_eq!(examine(&path).unwrap().verdict, Verdict::Refused(Refusal::NotElf));
}
