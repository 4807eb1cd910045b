//! Headers of all kinds, most of them bad.

use super::*;

const FILE_LEN: u64 = 0x3000;

/// Offsets in the program header that begins at 64.
const FIRST: usize = 64;

/// A static program with one text and one data segment.
fn made() -> Vec<u8> {
    let mut head = vec![0u8; 512];
    head[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    put(&mut head, 16, &2u16.to_le_bytes()); // ET_EXEC
    put(&mut head, 18, &62u16.to_le_bytes());
    put(&mut head, 20, &1u32.to_le_bytes());
    put(&mut head, 24, &0x40_1000u64.to_le_bytes());
    put(&mut head, 32, &64u64.to_le_bytes());
    put(&mut head, 52, &64u16.to_le_bytes());
    put(&mut head, 54, &56u16.to_le_bytes());
    put(&mut head, 56, &2u16.to_le_bytes());
    segment(&mut head, FIRST, 5, 0, 0x40_0000, 0x2000, 0x2000);
    segment(&mut head, FIRST + 56, 6, 0x2000, 0x40_3000, 0x1000, 0x5000);
    head
}

fn segment(
    head: &mut [u8],
    at: usize,
    flags: u32,
    offset: u64,
    vaddr: u64,
    file: u64,
    memory: u64,
) {
    put(head, at, &1u32.to_le_bytes());
    put(head, at + 4, &flags.to_le_bytes());
    for (field, value) in
        [(8, offset), (16, vaddr), (24, vaddr), (32, file), (40, memory), (48, 0x1000)]
    {
        put(head, at + field, &value.to_le_bytes());
    }
}

fn put(head: &mut [u8], at: usize, bytes: &[u8]) {
    head[at..at + bytes.len()].copy_from_slice(bytes);
}

#[test]
fn reads_a_program() {
    let program = parse(&made(), FILE_LEN).expect("a good program");
    assert!(program.fixed);
    assert_eq!(program.span(), (0x40_0000, 0x40_8000));
    assert_eq!(program.headers_at, Some(0x40_0040));
    assert_eq!((program.file_end(), program.file_len()), (0x40_4000, 0x3000));
    assert_eq!(program.headers.len(), 112);
}

#[test]
fn refuses_what_contradicts_itself() {
    let cases: [(&str, usize, &[u8]); 12] = [
        ("magic", 0, b"\x7fELG"),
        ("32-bit", 4, &[1]),
        ("big-endian", 5, &[2]),
        ("another machine", 18, &[183, 0]),
        ("an object file", 16, &[1, 0]),
        ("no headers", 56, &[0, 0]),
        ("headers elsewhere", 32, &u64::MAX.to_le_bytes()),
        ("entry outside", 24, &0x50_0000u64.to_le_bytes()),
        ("segment past the file", FIRST + 8, &0x2000u64.to_le_bytes()),
        ("segment past memory", FIRST + 56 + 40, &u64::MAX.to_le_bytes()),
        ("more in the file than in memory", FIRST + 40, &0x1000u64.to_le_bytes()),
        ("overlap", FIRST + 56 + 16, &0x40_1000u64.to_le_bytes()),
    ];
    for (name, at, bytes) in cases {
        let mut head = made();
        put(&mut head, at, bytes);
        assert!(parse(&head, FILE_LEN).is_err(), "{name}");
    }
}

#[test]
fn any_cut_and_any_flip_gives_an_answer() {
    let head = made();
    for len in 0..head.len() {
        let _ = parse(&head[..len], FILE_LEN);
    }
    for bit in 0..(FIRST + 112) * 8 {
        let mut head = head.clone();
        head[bit / 8] ^= 1 << (bit % 8);
        if let Ok(program) = parse(&head, FILE_LEN) {
            assert!(program.span().1 < ADDRESS_END as usize, "bit {bit}");
            assert!(program.segments.iter().all(|s| s.file_offset + s.file_len as u64 <= FILE_LEN));
        }
    }
}
