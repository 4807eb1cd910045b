//! The generation of a virtual machine: what its hypervisor changes when it is copied or put back.
//!
//! Where the kernel shows the value (QEMU, by its configuration device), the value; else only that
//! it changed, which the kernel logs. Kernels differ in whether they announce a change to user
//! space otherwise, so nothing else is asked. A hypervisor need not change it: putting a snapshot
//! back into the same QEMU does not.

mod kernel_log;

use std::path::{Path, PathBuf};

use protocol::codec::Fixed;
use protocol::crypto::mac::{hmac_sha256, verify_hmac_sha256};
use serde::{Deserialize, Serialize};

use crate::files;

pub use kernel_log::KernelLog;

/// Bytes of a generation id.
pub const ID_LEN: usize = 16;

/// Where the id lies in QEMU's file: behind the head of an ACPI table (QEMU, "Virtual Machine
/// Generation ID Device").
const FW_CFG_ID_AT: usize = 40;

const TAG_LABEL: &[u8] = b"strongroom/vm-generation/v1\0";

/// What a source knows of the generation now.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Known {
    /// The id itself.
    Value([u8; ID_LEN]),
    /// Only when it changed last.
    Changes(Changes),
    /// Nothing.
    Nothing,
}

/// The last change that was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// The kernel's id of this boot. A copy of a running machine has it too.
    pub boot: Fixed<ID_LEN>,
    /// Where in the log of this boot the last change is, from 1; 0 if there is none.
    pub last: u64,
}

/// A source of the generation.
pub trait Generation {
    /// What is known now. Asked before each commit, so it must be cheap.
    fn now(&mut self) -> Known;
}

/// What was known when a state was stored. Does not tell the id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Mark {
    /// Nothing.
    #[default]
    Nothing,
    /// The tag of the id.
    Value(Fixed<32>),
    /// The last change.
    Changes(Changes),
}

/// How what is known now relates to what was known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The same generation, or no change seen since.
    Same,
    /// Another generation.
    Changed,
    /// Nothing can be said: nothing was known and nothing is, or the machine was started anew
    /// since, or the log has lost what it had.
    Unknown,
    /// Something is known where nothing, or less, was.
    Appeared,
    /// Nothing, or less, is known where something was.
    Vanished,
}

/// A keyed hash of an id.
pub fn tag(key: &[u8; 32], id: &[u8; ID_LEN]) -> [u8; 32] {
    hmac_sha256(key, &[TAG_LABEL, id])
}

impl Mark {
    /// What to store for what is known, under a key of the state.
    pub fn of(key: &[u8; 32], known: &Known) -> Mark {
        match known {
            Known::Value(id) => Mark::Value(Fixed(tag(key, id))),
            Known::Changes(changes) => Mark::Changes(*changes),
            Known::Nothing => Mark::Nothing,
        }
    }

    /// Compares what was stored with what is known now, in constant time as far as the id goes.
    pub fn seen(&self, key: &[u8; 32], now: &Known) -> Seen {
        match (self, now) {
            (Mark::Nothing, Known::Nothing) => Seen::Unknown,
            (Mark::Nothing, _) | (Mark::Changes(_), Known::Value(_)) => Seen::Appeared,
            (_, Known::Nothing) | (Mark::Value(_), Known::Changes(_)) => Seen::Vanished,
            (Mark::Value(tag), Known::Value(id)) => {
                match verify_hmac_sha256(key, &[TAG_LABEL, id], &tag.0) {
                    Ok(()) => Seen::Same,
                    Err(_) => Seen::Changed,
                }
            }
            (Mark::Changes(then), Known::Changes(now)) => then.compare(now),
        }
    }
}

impl Changes {
    fn compare(&self, now: &Changes) -> Seen {
        if self.boot != now.boot {
            return Seen::Unknown;
        }
        match now.last.cmp(&self.last) {
            std::cmp::Ordering::Equal => Seen::Same,
            std::cmp::Ordering::Greater => Seen::Changed,
            std::cmp::Ordering::Less => Seen::Unknown,
        }
    }
}

/// The sources of a Linux system below a root directory: QEMU's file, else the kernel's log.
pub struct Local {
    fw_cfg: PathBuf,
    log: KernelLog,
}

impl Local {
    /// The system below `root`. Both sources need root, or are silent.
    pub fn new(root: &Path) -> Self {
        let file = "sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid/raw";
        Local { fw_cfg: root.join(file), log: KernelLog::new(root) }
    }

    fn qemu_id(&self) -> Option<[u8; ID_LEN]> {
        let table = files::read(&self.fw_cfg).ok()?;
        table.get(FW_CFG_ID_AT..)?.first_chunk().copied()
    }
}

impl Generation for Local {
    fn now(&mut self) -> Known {
        self.qemu_id().map_or_else(|| self.log.now(), Known::Value)
    }
}

/// An id that somebody keeps in a file, in 32 hexadecimal digits: a hypervisor without a device of
/// the kind, or a test.
pub struct Named {
    path: PathBuf,
}

impl Named {
    /// The file; it need not be there yet.
    pub fn new(path: PathBuf) -> Self {
        Named { path }
    }
}

impl Generation for Named {
    fn now(&mut self) -> Known {
        let text = files::text(&self.path).ok();
        text.and_then(|text| parse_id(&text)).map_or(Known::Nothing, Known::Value)
    }
}

/// An id of 32 hexadecimal digits, with or without hyphens.
fn parse_id(text: &str) -> Option<[u8; ID_LEN]> {
    let digits: String = text.trim().chars().filter(|digit| *digit != '-').collect();
    let is_id = digits.len() == 2 * ID_LEN && digits.bytes().all(|digit| digit.is_ascii_hexdigit());
    let number = u128::from_str_radix(&digits, 16).ok().filter(|_| is_id)?;
    Some(number.to_be_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];

    fn changes(boot: u8, last: u64) -> Known {
        Known::Changes(Changes { boot: Fixed([boot; 16]), last })
    }

    #[test]
    fn what_is_seen_for_each_pair() {
        let (value, other) = (Known::Value([1; 16]), Known::Value([2; 16]));
        let table = [
            (Known::Nothing, Known::Nothing, Seen::Unknown),
            (Known::Nothing, value, Seen::Appeared),
            (Known::Nothing, changes(1, 0), Seen::Appeared),
            (value, value, Seen::Same),
            (value, other, Seen::Changed),
            (value, changes(1, 0), Seen::Vanished),
            (value, Known::Nothing, Seen::Vanished),
            (changes(1, 5), value, Seen::Appeared),
            (changes(1, 5), Known::Nothing, Seen::Vanished),
            (changes(1, 5), changes(1, 5), Seen::Same),
            (changes(1, 5), changes(1, 9), Seen::Changed),
            (changes(1, 5), changes(1, 0), Seen::Unknown),
            (changes(1, 5), changes(2, 5), Seen::Unknown),
        ];
        for (at, (then, now, seen)) in table.into_iter().enumerate() {
            assert_eq!(Mark::of(&KEY, &then).seen(&KEY, &now), seen, "row {at}");
        }
    }

    /// RFC 2104 over the label, 0 and the id, computed apart.
    #[test]
    fn a_tag_is_as_computed_apart_and_belongs_to_its_key() {
        assert_eq!(
            crate::testing::hex(&tag(&KEY, &[1; 16])),
            "e9ad79e040adf37538a543823d41869259f813c0876a64e276401f4b228991c3"
        );
        let mark = Mark::of(&KEY, &Known::Value([1; 16]));
        assert_eq!(mark.seen(&[8; 32], &Known::Value([1; 16])), Seen::Changed);
        let stored = protocol::codec::encode(&mark);
        assert!(!stored.windows(ID_LEN).any(|part| part == [1; ID_LEN]));
        assert!(protocol::codec::decode::<Mark>(&stored, 64) == Ok(mark));
    }

    #[test]
    fn qemus_file_is_asked_before_the_log() {
        let root = tempfile::tempdir().unwrap();
        let dir = root.path().join("sys/firmware/qemu_fw_cfg/by_name/etc/vmgenid_guid");
        std::fs::create_dir_all(&dir).unwrap();
        let mut local = Local::new(root.path());
        assert!(local.now() == Known::Nothing);
        let table: Vec<u8> = (0..=255).collect();
        std::fs::write(dir.join("raw"), &table).unwrap();
        assert!(local.now() == Known::Value(std::array::from_fn(|at| 40 + at as u8)));
        std::fs::write(dir.join("raw"), &table[..55]).unwrap();
        assert!(local.now() == Known::Nothing);
    }

    #[test]
    fn a_named_file_is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("generation");
        let mut named = Named::new(path.clone());
        let mut after = |text: &str| {
            std::fs::write(&path, text).unwrap();
            named.now()
        };
        assert!(after("000102030405060708090a0b0c0d0e0F\n") == known_from(0));
        assert!(after("01020304-0506-0708-090a-0b0c0d0e0f10") == known_from(1));
        // Half written, too long, no digits.
        for text in
            ["0001", "", "+00102030405060708090a0b0c0d0e0f", &"0".repeat(33), &"é".repeat(16)]
        {
            assert!(after(text) == Known::Nothing, "{text}");
        }
    }

    fn known_from(first: u8) -> Known {
        Known::Value(std::array::from_fn(|at| first + at as u8))
    }
}
