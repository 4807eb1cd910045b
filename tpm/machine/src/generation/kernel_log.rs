//! Changes of the generation, as the kernel logs them.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};

use protocol::codec::Fixed;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;

use super::{Changes, Generation, Known, parse_id};
use crate::files;

/// What Linux logs when the generation changed (`add_vmfork_randomness`).
const FORK: &str = "random: crng reseeded due to virtual machine fork";

/// More than a record of the log has; a shorter buffer is refused.
const RECORD_LEN_MAX: usize = 8 * 1024;

/// First level that is not the kernel's own. A program that writes to the log gets a facility
/// above, whatever it asks for.
const KERNEL_LEVELS: u32 = 8;

/// The log of the kernel, `/dev/kmsg`. Tells that the generation changed since this boot, not what
/// it is. A line that was overwritten before it was read is not seen.
pub struct KernelLog {
    root: PathBuf,
    /// The boot and its log, read so far.
    log: Option<(Fixed<16>, File)>,
    /// The beginning of a line.
    partial: Vec<u8>,
    last: u64,
}

impl KernelLog {
    /// The log of the system below `root`.
    pub fn new(root: &Path) -> Self {
        KernelLog { root: root.into(), log: None, partial: Vec::new(), last: 0 }
    }

    fn open(&self) -> Option<(Fixed<16>, File)> {
        let boot = files::text(&self.root.join("proc/sys/kernel/random/boot_id")).ok()?;
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let log = open(self.root.join("dev/kmsg"), flags, Mode::empty()).ok()?;
        Some((Fixed(parse_id(&boot)?), log.into()))
    }

    /// Takes in what the log has more by now.
    fn read(&mut self) -> Option<Fixed<16>> {
        if self.log.is_none() {
            self.log = self.open();
        }
        let (boot, log) = self.log.as_mut()?;
        let mut record = [0; RECORD_LEN_MAX];
        loop {
            match log.read(&mut record) {
                Ok(0) => return Some(*boot),
                Ok(len) => {
                    self.partial.extend_from_slice(record.get(..len)?);
                    self.last = take_lines(&mut self.partial).unwrap_or(self.last);
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Some(*boot),
                // Records were overwritten; what is there comes next.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::PIPE) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => return None,
            }
        }
    }
}

impl Generation for KernelLog {
    fn now(&mut self) -> Known {
        match self.read() {
            Some(boot) => Known::Changes(Changes { boot, last: self.last }),
            None => Known::Nothing,
        }
    }
}

/// Takes all whole lines, and returns where the last change is among them.
fn take_lines(bytes: &mut Vec<u8>) -> Option<u64> {
    let end = bytes.iter().rposition(|byte| *byte == b'\n')? + 1;
    let lines: Vec<u8> = bytes.drain(..end).collect();
    lines.split(|byte| *byte == b'\n').filter_map(change).next_back()
}

/// The place of a line that tells of a change, from 1. A line is "level,sequence,time,flags;text"
/// (Linux, Documentation/ABI/testing/dev-kmsg).
fn change(line: &[u8]) -> Option<u64> {
    let (prefix, text) = std::str::from_utf8(line).ok()?.split_once(';')?;
    let mut fields = prefix.split(',');
    let level: u32 = fields.next()?.parse().ok()?;
    let sequence: u64 = fields.next()?.parse().ok()?;
    (level < KERNEL_LEVELS && text == FORK).then(|| sequence.saturating_add(1))
}

#[cfg(test)]
mod tests {
    use std::fs::OpenOptions;
    use std::io::Write;

    use super::*;

    const BOOT: &str = "3d1219c7-c4c5-404a-aa1f-6d2a48adfda4\n";

    fn tree() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let boot = root.path().join("proc/sys/kernel/random");
        std::fs::create_dir_all(&boot).unwrap();
        std::fs::create_dir_all(root.path().join("dev")).unwrap();
        std::fs::write(boot.join("boot_id"), BOOT).unwrap();
        root
    }

    fn log(root: &Path, text: &str) {
        let path = root.join("dev/kmsg");
        let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    fn last(log: &mut KernelLog) -> Option<u64> {
        match log.now() {
            Known::Changes(changes) => {
                assert_eq!(changes.boot, Fixed(parse_id(BOOT).unwrap()));
                Some(changes.last)
            }
            _ => None,
        }
    }

    #[test]
    fn changes_are_seen_as_they_are_logged() {
        let root = tree();
        let mut source = KernelLog::new(root.path());
        assert_eq!(last(&mut source), None);
        log(root.path(), "6,0,0,-;Linux version 6.12\n SUBSYSTEM=cpu\n");
        assert_eq!(last(&mut source), Some(0));
        log(root.path(), &format!("5,41,99,-;{FORK}\n6,42,99,-;eth0: up\n"));
        assert_eq!(last(&mut source), Some(42));
        assert_eq!(last(&mut source), Some(42));
        let (front, back) = FORK.split_at(20);
        log(root.path(), &format!("5,77,99,c;{front}"));
        assert_eq!(last(&mut source), Some(42));
        log(root.path(), &format!("{back}\n"));
        assert_eq!(last(&mut source), Some(78));
        // Who comes later sees what was before, and no more.
        assert_eq!(last(&mut KernelLog::new(root.path())), Some(78));
    }

    #[test]
    fn a_line_that_a_program_wrote_does_not_count() {
        let root = tree();
        log(root.path(), &format!("12,3,9,-;{FORK}\n6,4,9,-;agent: {FORK}\n {FORK}\n;{FORK}\n"));
        assert_eq!(last(&mut KernelLog::new(root.path())), Some(0));
    }
}
