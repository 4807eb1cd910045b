//! The journal on a plain array of bytes: its contract, the documented bytes, refusal of garbage.

use std::cell::RefCell;
use std::rc::Rc;

use super::*;
use crate::platform::{Counter, TRANSACTION_RECORDS_MAX};
use crate::testing::Dice;

/// Bytes that clones share; bits only fall between erases.
#[derive(Clone)]
struct Ram {
    geometry: Geometry,
    cells: Rc<RefCell<Vec<u8>>>,
}

impl Ram {
    fn new(blocks: u32, word_len: u32) -> Self {
        let cells = Rc::new(RefCell::new(vec![0xff; 4096 * blocks as usize]));
        Self { geometry: Geometry { block_len: 4096, blocks, word_len }, cells }
    }

    fn layout(&self) -> Layout {
        Layout { first_block: 0, blocks: self.geometry.blocks, blocks_per_segment: 1 }
    }

    fn journal(&self) -> Journal<Self> {
        Journal::open(self.clone(), self.layout()).expect("blank, or a journal")
    }
}

impl Flash for Ram {
    fn geometry(&self) -> Geometry {
        self.geometry
    }

    fn read(&mut self, at: u32, out: &mut [u8]) -> Result<(), FlashError> {
        out.copy_from_slice(&self.cells.borrow()[at as usize..][..out.len()]);
        Ok(())
    }

    fn program(&mut self, at: u32, words: &[u8], _: WriteKind) -> Result<(), FlashError> {
        let word_len = self.geometry.word_len as usize;
        assert!((at as usize).is_multiple_of(word_len) && words.len().is_multiple_of(word_len));
        let mut cells = self.cells.borrow_mut();
        for (cell, new) in cells[at as usize..].iter_mut().zip(words) {
            assert_eq!(*cell & new, *new, "a bit would rise");
            *cell = *new;
        }
        Ok(())
    }

    fn erase(&mut self, block: u32) -> Result<(), FlashError> {
        self.cells.borrow_mut()[block as usize * 4096..][..4096].fill(0xff);
        Ok(())
    }
}

fn read(journal: &mut Journal<Ram>, key: u64) -> Option<Vec<u8>> {
    let mut buf = [0; RECORD_LEN_MAX];
    let len = journal.read(key, &mut buf).expect("a sound record");
    len.map(|len| buf[..len].to_vec())
}

fn write(journal: &mut Journal<Ram>, key: u64, value: &[u8]) -> Result<(), StoreError> {
    journal.begin()?;
    journal.put(key, value)?;
    journal.commit()
}

fn delete(journal: &mut Journal<Ram>, key: u64) -> Result<(), StoreError> {
    journal.begin()?;
    journal.delete(key)?;
    journal.commit()
}

#[test]
fn the_open_transaction_is_seen_and_can_be_dropped() {
    let mut journal = Ram::new(3, 4).journal();
    write(&mut journal, 5, b"old").unwrap();
    journal.begin().unwrap();
    journal.put(5, b"new").unwrap();
    journal.put(9, b"").unwrap();
    assert_eq!(read(&mut journal, 5).as_deref(), Some(&b"new"[..]));
    assert_eq!(journal.next_key(6), Ok(Some(9)));
    journal.delete(5).unwrap();
    assert_eq!((read(&mut journal, 5), journal.next_key(0)), (None, Ok(Some(9))));
    journal.abort();
    assert_eq!(read(&mut journal, 5).as_deref(), Some(&b"old"[..]));
    assert_eq!(journal.next_key(6), Ok(None));
}

#[test]
fn what_breaks_the_contract_is_misuse_and_is_never_committed() {
    let mut journal = Ram::new(3, 8).journal();
    assert_eq!(journal.put(1, b"x"), Err(StoreError::Misuse));
    assert_eq!(journal.delete(1), Err(StoreError::Misuse));
    assert_eq!(journal.commit(), Err(StoreError::Misuse));
    journal.begin().unwrap();
    journal.put(1, b"x").unwrap();
    assert_eq!(journal.put(2, &[0; RECORD_LEN_MAX + 1]), Err(StoreError::Misuse));
    assert_eq!(journal.commit(), Err(StoreError::Misuse));
    assert_eq!(journal.next_key(0), Ok(None));
    write(&mut journal, 1, b"four").unwrap();
    assert_eq!(journal.read(1, &mut [0; 3]), Err(StoreError::Misuse));
    let ram = Ram::new(3, 4);
    for (first_block, blocks, blocks_per_segment) in
        [(0, 2, 1), (1, 3, 1), (0, 3, 0), (0, 3, 2), (u32::MAX, 3, 1), (0, 0, 1), (0, 3, u32::MAX)]
    {
        let layout = Layout { first_block, blocks, blocks_per_segment };
        assert_eq!(Journal::mount(ram.clone(), layout).err(), Some(StoreError::Misuse));
    }
}

#[test]
fn a_largest_transaction_keeps_within_its_heap() {
    let mut journal = Ram::new(24, 4).journal();
    let keys = || (0..TRANSACTION_RECORDS_MAX as u64).map(|i| i * 7);
    journal.begin().unwrap();
    keys().for_each(|key| journal.put(key, &key.to_le_bytes()).unwrap());
    assert_eq!(journal.put(1, b""), Err(StoreError::Misuse));
    assert!(journal.heap_len().1 <= 8192, "{} bytes", journal.heap_len().1);
    assert_eq!(journal.commit(), Err(StoreError::Misuse));
    journal.begin().unwrap();
    keys().for_each(|key| journal.put(key, &key.to_le_bytes()).unwrap());
    journal.commit().unwrap();
    assert_eq!(journal.records(), TRANSACTION_RECORDS_MAX);
    journal.begin().unwrap();
    keys().for_each(|key| journal.delete(key).unwrap());
    assert!(journal.heap_len().1 <= 8192, "{} bytes", journal.heap_len().1);
    journal.commit().unwrap();
    assert_eq!((journal.records(), journal.live_len()), (0, 0));
    assert_eq!(journal.heap_len().1, 0);
}

#[test]
fn a_full_store_refuses_at_its_capacity_and_still_deletes() {
    for value_len in [0, 1, 100, 1000, RECORD_LEN_MAX] {
        let ram = Ram::new(5, 8);
        let mut journal = ram.journal();
        let most = journal.capacity() / journal.entry_len(value_len);
        for key in 0..u64::from(most) {
            write(&mut journal, key, &vec![key as u8; value_len]).unwrap();
        }
        assert_eq!(write(&mut journal, u64::MAX, &vec![0; value_len]), Err(StoreError::Full));
        assert_eq!(journal.records(), most as usize);
        let mut journal = ram.journal();
        for key in 0..u64::from(most) {
            assert_eq!(read(&mut journal, key), Some(vec![key as u8; value_len]));
            delete(&mut journal, key).unwrap();
        }
        assert_eq!((journal.records(), journal.live_len()), (0, 0));
        write(&mut journal, 1, &[7; RECORD_LEN_MAX]).unwrap();
    }
}

#[test]
fn the_commit_sequence_outlives_its_entry() {
    let ram = Ram::new(3, 4);
    let mut journal = ram.journal();
    write(&mut journal, 1, b"kept").unwrap();
    let seq = journal.commit_seq();
    // Dropped transactions go round the ring until the commit entry is long erased.
    for _ in 0..20 {
        journal.begin().unwrap();
        journal.put(2, &[0; RECORD_LEN_MAX]).unwrap();
        journal.abort();
        let mut journal = ram.journal();
        assert_eq!((journal.commit_seq(), read(&mut journal, 1)), (seq, Some(b"kept".to_vec())));
    }
    let mut journal = ram.journal();
    write(&mut journal, 1, b"next").unwrap();
    assert!(journal.commit_seq() > seq);
}

#[test]
fn garbage_is_refused_without_a_panic() {
    for seed in 0..400 {
        let mut dice = Dice::new(seed);
        let ram = Ram::new(3, 4);
        let mut journal = ram.journal();
        for i in 0..40 {
            write(&mut journal, i % 8, &dice.bytes(200)).unwrap();
        }
        {
            let mut cells = ram.cells.borrow_mut();
            let len = cells.len() as u64;
            match seed % 4 {
                0 => *cells = dice.bytes(len as usize),
                // Blocks swapped, parts moved, many bits flipped.
                1 => cells.rotate_left(4096 * (1 + seed as usize % 2)),
                2 => cells.rotate_left(4 * (1 + dice.below(1000)) as usize),
                _ => (0..2000).for_each(|_| cells[dice.below(len) as usize] ^= 1 << (seed % 8)),
            }
        }
        let mounted = Journal::mount(ram.clone(), ram.layout());
        assert_eq!(mounted.err(), Some(StoreError::Medium), "seed {seed}");
        let opened = FlashCounter::open(ram.clone(), 0);
        assert_eq!(opened.err(), Some(StoreError::Medium), "seed {seed}");
        assert!(Journal::format(ram.clone(), ram.layout()).is_ok(), "seed {seed}");
    }
}

#[test]
fn hostile_heads_with_right_checksums_are_refused() {
    let ram = Ram::new(15, 4);
    let layout = Layout { blocks_per_segment: 5, ..ram.layout() };
    let shape = segment::Shape::new(ram.geometry, layout).unwrap();
    let good = segment::Preamble { ordinal: 4, used: 9, committed: 9, span: 1, previous_end: 64 };
    let mount_with = |preamble: segment::Preamble, entries: &[Entry]| {
        ram.cells.borrow_mut().fill(0xff);
        let base = shape.base(preamble.ordinal) as usize;
        let mut cells = ram.cells.borrow_mut();
        cells[base..base + 48].copy_from_slice(&preamble.encode(&shape));
        cells[base + 48..base + 56].fill(0);
        let mut at = base + 64;
        for entry in entries {
            cells[at..at + 24].copy_from_slice(&entry.encode());
            at += entry.size(4) as usize;
        }
        drop(cells);
        Journal::mount(ram.clone(), layout).map(|journal| journal.records())
    };
    let record = |seq, key| Entry { kind: Kind::Record, seq, key, len: 0, crc: 0 };
    let commit = Entry::commit;
    assert_eq!(mount_with(good, &[record(10, 1), commit(10)]), Ok(1));
    for preamble in [
        segment::Preamble { ordinal: u64::MAX, ..good },
        segment::Preamble { ordinal: 1 << 48, ..good },
        segment::Preamble { span: 0, ..good },
        segment::Preamble { span: 2, ..good },
        segment::Preamble { span: u32::MAX, ..good },
        segment::Preamble { used: u64::MAX, ..good },
        segment::Preamble { committed: 10, ..good },
    ] {
        assert_eq!(mount_with(preamble, &[]), Err(StoreError::Medium), "{preamble:?}");
    }
    // Numbers that fall, entries behind their commit.
    assert_eq!(mount_with(good, &[record(10, 1), commit(9)]), Err(StoreError::Medium));
    assert_eq!(mount_with(good, &[commit(10), record(10, 1)]), Err(StoreError::Medium));
    assert_eq!(mount_with(good, &[commit(10), commit(10)]), Err(StoreError::Medium));
    // A damaged list that was committed, entries beyond the segment, too many changes.
    let list = Entry { kind: Kind::Deletes, seq: 10, key: 0, len: 2048, crc: 0 };
    assert_eq!(mount_with(good, &[list]), Ok(0));
    assert_eq!(mount_with(good, &[list, commit(10)]), Err(StoreError::Medium));
    assert_eq!(mount_with(good, &[list; 10]), Err(StoreError::Medium));
    let many: Vec<_> = (0..=TRANSACTION_RECORDS_MAX as u64).map(|key| record(10, key)).collect();
    assert_eq!(mount_with(good, &many[1..]), Ok(0));
    assert_eq!(mount_with(good, &many), Err(StoreError::Medium));
}

#[test]
fn the_documented_bytes_are_the_bytes() {
    let text = include_str!("../../../docs/formats/10-flash-journal.md");
    let ram = Ram::new(3, 4);
    let mut journal = ram.journal();
    write(&mut journal, 0x0102_0304_0506_0708, b"strongroom").unwrap();
    delete(&mut journal, 0x0102_0304_0506_0708).unwrap();
    let written = hex_block(text, "journal");
    let cells = ram.cells.borrow();
    assert_eq!(hex(&cells[..written.len()]), hex(&written));
    assert!(cells[written.len()..].iter().all(|&b| b == 0xff));

    let ram = Ram::new(2, 4);
    let mut counter = FlashCounter::open(ram.clone(), 0).unwrap();
    counter.advance_to(1000).unwrap();
    counter.advance_to(1001).unwrap();
    let written = hex_block(text, "counter");
    assert_eq!(hex(&ram.cells.borrow()[4096..][..written.len()]), hex(&written));
}

/// The bytes of the fenced block of this name; what follows a `|` is comment.
fn hex_block(text: &str, name: &str) -> Vec<u8> {
    let block = text.split(&format!("```hex {name}\n")).nth(1).expect("the document has the block");
    let lines = block.split("```").next().unwrap_or_default().lines();
    let digits: String = lines.filter_map(|l| l.split('|').next()).collect();
    let digits: Vec<_> = digits.chars().filter(char::is_ascii_hexdigit).collect();
    let byte = |pair: &[char]| u8::from_str_radix(&pair.iter().collect::<String>(), 16);
    digits.chunks(2).map(|pair| byte(pair).expect("hex digits")).collect()
}

fn hex(bytes: &[u8]) -> String {
    let lines = bytes.chunks(8).map(|l| l.iter().map(|b| format!("{b:02x} ")).collect::<String>());
    lines.collect::<Vec<_>>().join("\n")
}
