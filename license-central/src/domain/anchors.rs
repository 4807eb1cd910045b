//! Heads of the audit, kept apart from the database, and whether the audit still leads to them.
//!
//! The chain of hashes shows what was changed or left out in the middle. What was cut off at its
//! end only a head shows that somebody keeps elsewhere: the server writes one each minute into a
//! file beside the database.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use protocol::errors::Shown;
use vendor::files;

use super::audit::Entry;

/// Name of the file.
pub const FILE: &str = "audit-heads.log";

/// The last entry of a writer, at some time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Which run of the server wrote it.
    pub writer: String,
    /// Number of its last entry.
    pub number: u64,
    /// Hash of that entry, hexadecimal.
    pub hash: String,
}

/// Where the audit is not what was written.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Break {
    /// Which run of the server wrote it.
    pub writer: String,
    /// Number of the entry.
    pub number: u64,
    /// What is wrong with it.
    pub what: Fault,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// It is not there.
    Missing,
    /// It is there more than once.
    Twice,
    /// It is not what the next one, or a head, says.
    Changed,
}

/// Compares the whole audit, of all tenants, with itself and with heads.
pub fn verify(entries: &[Entry], heads: &[Head]) -> Vec<Break> {
    let mut writers: BTreeMap<&str, BTreeMap<u64, Vec<&Entry>>> = BTreeMap::new();
    for entry in entries {
        let own = writers.entry(&entry.writer).or_default();
        own.entry(entry.number).or_default().push(entry);
    }
    let mut breaks = Vec::new();
    for (writer, own) in &writers {
        let mut told = |number, what| {
            breaks.push(Break { writer: (*writer).to_owned(), number, what });
        };
        let last = own.keys().next_back().copied().unwrap_or(0);
        let mut before = "0".repeat(64);
        for number in 1..=last {
            let Some(found) = own.get(&number) else {
                told(number, Fault::Missing);
                before.clear();
                continue;
            };
            if found.len() > 1 {
                told(number, Fault::Twice);
            }
            // Behind a gap there is nothing to compare with. The first entry has no other to blame.
            if !before.is_empty() && found[0].before != before {
                told(number.saturating_sub(1).max(1), Fault::Changed);
            }
            before = found[0].hash();
        }
        if own.contains_key(&0) {
            told(0, Fault::Changed);
        }
    }
    breaks.extend(heads.iter().filter_map(|head| missed(head, &writers)));
    breaks.sort();
    breaks.dedup();
    breaks
}

fn missed(head: &Head, writers: &BTreeMap<&str, BTreeMap<u64, Vec<&Entry>>>) -> Option<Break> {
    if head.number == 0 {
        return None;
    }
    let found = writers.get(&*head.writer).and_then(|own| own.get(&head.number));
    let what = match found {
        None => Fault::Missing,
        Some(found) if found[0].hash() != head.hash => Fault::Changed,
        Some(_) => return None,
    };
    Some(Break { writer: head.writer.clone(), number: head.number, what })
}

/// Adds a head to the file, durably.
pub fn append(dir: &Path, head: &Head) -> Result<(), Shown> {
    let path = dir.join(FILE);
    let failed = |error: std::io::Error| Shown::io(&path, &error);
    let mut options = OpenOptions::new();
    let mut file = options.append(true).create(true).mode(0o600).open(&path).map_err(failed)?;
    let line = format!("{} {} {}\n", head.writer, head.number, head.hash);
    file.write_all(line.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)
}

/// The heads of the file; none where there is none. A line that was not written to its end counts
/// for nothing.
pub fn read(dir: &Path) -> Result<Vec<Head>, Shown> {
    let path = dir.join(FILE);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let bytes = files::read(&path)?;
    let lines = files::text(&bytes)?.split_inclusive('\n').filter(|line| line.ends_with('\n'));
    let head = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let (writer, number, hash) = (words.next()?, words.next()?, words.next()?);
        Some(Head { writer, number: number.parse().ok()?, hash })
    };
    let damaged = || Shown::usage(format!("{} is damaged", path.display()), "Put a backup back.");
    lines.map(|line| head(line).ok_or_else(damaged)).collect()
}

impl fmt::Display for Break {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.what {
            Fault::Missing => "is missing",
            Fault::Twice => "is there twice",
            Fault::Changed => "was changed",
        };
        write!(out, "entry {} of {} {what}", self.number, self.writer)
    }
}
