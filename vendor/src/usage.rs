//! Usage logs that containers sent: kept entry by entry, each once.
//!
//! A log that does not go on from what is kept is no log of that container any more, or the
//! container was copied or rolled back. Nothing of it is taken over, and both sides are told.

use std::path::{Path, PathBuf};

use protocol::codec;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, RootFp, hex, parse_hex};
use protocol::objects::usage::{LoggedEntry, UsageHeadBody, check_chain, genesis_head};
use protocol::signed::Header;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::{Result, Shown};

/// What a vendor has of one container's log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UsageLog {
    /// The container's serial, for people.
    pub serial: String,
    /// Entries from number 1 on, as they are encoded, in hexadecimal.
    entries: Vec<String>,
    /// The head after the last of them.
    head: String,
}

impl UsageLog {
    /// Reads what there is of a container's log, or begins it.
    pub fn load(dir: &Path, root_fp: RootFp, id: ContainerId, serial: &str) -> Result<Self> {
        let path = path_of(dir, id);
        if !path.is_file() {
            let head = hex(&genesis_head(root_fp, id));
            return Ok(UsageLog { serial: serial.into(), entries: Vec::new(), head });
        }
        let read: UsageLog = serde_json::from_slice(&files::read_record(&path)?)
            .map_err(|error| damaged(&path, &error))?;
        match read.head() {
            Some(_) => Ok(read),
            None => Err(damaged(&path, &"its head is no hash")),
        }
    }

    /// Number of the last entry.
    pub fn seq(&self) -> u64 {
        self.entries.len() as u64
    }

    /// The head after it.
    pub fn head(&self) -> Option<[u8; 32]> {
        parse_hex(&self.head)
    }

    /// Takes over what is new in a log whose head was verified; returns how many entries are.
    pub fn take(
        &mut self,
        header: &Header,
        body: &UsageHeadBody,
        entries: &[LoggedEntry],
    ) -> std::result::Result<usize, TakeError> {
        check_chain(body.acked_head.0, body.acked_seq, entries, &header.state)
            .map_err(|broken| TakeError::Broken { seq: broken.seq })?;
        let known = self.seq();
        if body.acked_seq > known {
            return Err(TakeError::Missing { after: known, first: body.acked_seq + 1 });
        }
        if header.seq < known {
            return Err(TakeError::Fork { seq: header.seq });
        }
        // What is kept must be a part of what came: the head at its end is the same.
        let there = (known - body.acked_seq) as usize;
        let met = match there.checked_sub(1) {
            None => Some(body.acked_head.0),
            Some(last) => entries.get(last).map(|logged| logged.head),
        };
        if met.is_none() || met != self.head() {
            return Err(TakeError::Fork { seq: known });
        }
        let new = entries.get(there..).unwrap_or_default();
        self.entries.extend(new.iter().map(|logged| hex(&codec::encode(&logged.entry))));
        self.head = hex(&header.state);
        Ok(new.len())
    }

    /// Writes it.
    pub fn save(&self, dir: &Path, id: ContainerId) -> Result<()> {
        files::make_folder(dir)?;
        let path = path_of(dir, id);
        let text = serde_json::to_vec_pretty(self).map_err(|error| damaged(&path, &error))?;
        files::replace(&path, &text, 0o600)
    }
}

/// Why a log is not taken over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TakeError {
    /// This entry does not follow from the one before it.
    Broken {
        /// Its number.
        seq: u64,
    },
    /// It does not go on from what is kept at this number.
    Fork {
        /// The number.
        seq: u64,
    },
    /// Entries between what is kept and its first are not there.
    Missing {
        /// The last that is kept.
        after: u64,
        /// The first that came.
        first: u64,
    },
}

impl From<TakeError> for Failure {
    fn from(error: TakeError) -> Self {
        match error {
            TakeError::Broken { seq } => ErrorCode::LogBroken.with(seq, 0),
            TakeError::Fork { seq } => ErrorCode::LogFork.with(seq, 0),
            TakeError::Missing { after, first } => ErrorCode::LogMissing.with(after, first),
        }
    }
}

fn path_of(dir: &Path, id: ContainerId) -> PathBuf {
    dir.join(format!("{id}.json"))
}

fn damaged(path: &Path, error: &dyn std::fmt::Display) -> Shown {
    let hint = "Put a copy of the vendor directory back.";
    Shown::conflict(format!("{} is damaged: {error}", path.display()), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::codec::Fixed;
    use protocol::ids::{EntryNumber, OpId, ProductCode};
    use protocol::objects::device::ClockClass;
    use protocol::objects::license::ItemRef;
    use protocol::objects::statement::TimeInfo;
    use protocol::objects::usage::{UsageEntry, UsageKind, UsageLeaf, chain};
    use protocol::signed::Kind;

    const FIRM: RootFp = RootFp::new([1; 16]);
    const CONTAINER: ContainerId = ContainerId::new([2; 16]);

    fn entries(count: u64) -> Vec<UsageEntry> {
        let leaf = |units| UsageLeaf {
            at_s: 1,
            kind: UsageKind::Taken,
            item: ItemRef { product: ProductCode(7), entry: EntryNumber(0) },
            units,
            left: 100,
            op: OpId::default(),
            subject: Fixed::default(),
        };
        (0..count).map(|n| UsageEntry { salt: Fixed([3; 16]), leaf: leaf(n) }).collect()
    }

    /// A log of all these entries of which those up to `acked` are gone.
    fn log(all: &[UsageEntry], acked: usize) -> (Header, UsageHeadBody, Vec<LoggedEntry>) {
        let logged = chain(genesis_head(FIRM, CONTAINER), 0, all);
        let at = |n: usize| match n.checked_sub(1) {
            None => genesis_head(FIRM, CONTAINER),
            Some(last) => logged[last].head,
        };
        let time = TimeInfo { floor_s: 0, now_s: 0, class: ClockClass::Rtc, certified_s: 0 };
        let (acked_seq, acked_head) = (acked as u64, Fixed(at(acked)));
        let body = UsageHeadBody { nonce: Fixed([0; 32]), acked_seq, acked_head, time, commits: 1 };
        let header = Header {
            seq: all.len() as u64,
            state: at(all.len()),
            ..Header::new(Kind::UsageHead, &[])
        };
        (header, body, logged[acked..].to_vec())
    }

    fn kept(all: &[UsageEntry]) -> UsageLog {
        let dir = tempfile::tempdir().unwrap();
        let mut kept = UsageLog::load(dir.path(), FIRM, CONTAINER, "S").unwrap();
        let (header, body, logged) = log(all, 0);
        kept.take(&header, &body, &logged).unwrap();
        kept
    }

    #[test]
    fn each_entry_is_taken_once_whatever_comes_again() {
        let all = entries(9);
        let mut known = kept(&all[..4]);
        for (upto, acked, new) in [(4, 0, 0), (4, 4, 0), (7, 2, 3), (9, 7, 2), (9, 0, 0)] {
            let (header, body, logged) = log(&all[..upto], acked);
            assert_eq!(known.take(&header, &body, &logged), Ok(new), "{upto} {acked}");
        }
        let kept: Vec<String> = all.iter().map(|entry| hex(&codec::encode(entry))).collect();
        assert_eq!(known.entries, kept);
    }

    #[test]
    fn another_story_is_a_fork_and_nothing_of_it_is_taken() {
        let all = entries(9);
        let mut known = kept(&all[..6]);
        let before = known.clone();
        let mut other = all.clone();
        other[4].leaf.units = 77;
        for (upto, acked) in [(9, 0), (6, 0), (9, 5)] {
            let (header, body, logged) = log(&other[..upto], acked);
            let seq = 6;
            assert_eq!(known.take(&header, &body, &logged), Err(TakeError::Fork { seq }));
        }
        let (header, body, logged) = log(&all[..5], 0);
        let rolled_back = known.take(&header, &body, &logged);
        assert_eq!(rolled_back, Err(TakeError::Fork { seq: 5 }));
        let (header, body, logged) = log(&all, 8);
        let missing = known.take(&header, &body, &logged);
        assert_eq!(missing, Err(TakeError::Missing { after: 6, first: 9 }));
        let (header, body, mut logged) = log(&all, 0);
        logged[2].entry.leaf.units += 1;
        let broken = known.take(&header, &body, &logged);
        assert_eq!(broken, Err(TakeError::Broken { seq: 3 }));
        assert_eq!(known, before);
    }
}
