//! What was issued to a container: the chain as the vendor knows it.
//!
//! The *base* is the last state that the container proved. Behind it stand updates that have no
//! receipt yet. One number at a time may be superseded; which of the two was applied is only known
//! when the container names the branch, so nothing is issued behind it until then.

use std::path::{Path, PathBuf};

use protocol::errors::{ErrorCode, Failure};
use protocol::ids::{ContainerId, parse_hex};
use protocol::limits::UPDATES_OUTSTANDING_MAX;
use protocol::objects::statement::next_state_hash;
use protocol::signed::Header;
use serde::{Deserialize, Serialize};

use crate::files;
use crate::{Result, Shown};

/// The record of one container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The container's serial, for people.
    pub serial: String,
    /// The last state that the container proved.
    pub base: Point,
    /// Updates without a receipt, oldest first.
    #[serde(default)]
    pub outstanding: Vec<Issued>,
    /// When it was decommissioned, by its own clock; nothing follows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retired: Option<Retired>,
}

/// The end of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retired {
    /// By the container's own clock, Unix seconds; 0 = it knew no time.
    pub at_s: u64,
}

/// A place in the chain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Point {
    /// `firm_seq`.
    pub seq: u64,
    /// `firm_state_hash`.
    #[serde(with = "hex32")]
    pub state: [u8; 32],
}

/// An update without a receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Issued {
    /// State that it follows.
    pub before: Point,
    /// State that it leads to.
    pub after: Point,
    /// What it does, for people.
    pub what: String,
    /// Issued at, Unix seconds.
    pub issued_s: u64,
    /// Whether another update has taken its number. It may have been applied all the same.
    #[serde(default)]
    pub superseded: bool,
}

impl Issued {
    /// The update of this header.
    pub fn of(header: &Header, what: String) -> Self {
        Issued {
            before: Point { seq: header.seq.saturating_sub(1), state: header.state },
            after: Point { seq: header.seq, state: next_state_hash(&header.state, &header.hash()) },
            what,
            issued_s: header.issued_s,
            superseded: false,
        }
    }
}

impl Ledger {
    /// Reads the record of a container, or begins one at the state that it shows.
    pub fn load(dir: &Path, id: ContainerId, serial: String, shown: Point) -> Result<Self> {
        let path = path_of(dir, id);
        if path.is_file() { Self::read(&path) } else { Ok(Self::new(serial, shown)) }
    }

    /// Begins the record of a container at the state that it shows.
    pub fn new(serial: String, shown: Point) -> Self {
        Ledger { serial, base: shown, outstanding: Vec::new(), retired: None }
    }

    /// All records of a vendor.
    pub fn all(dir: &Path) -> Result<Vec<Self>> {
        paths(dir)?.iter().map(|path| Self::read(path)).collect()
    }

    /// All records of a vendor, with the containers that they are of.
    pub fn all_with_ids(dir: &Path) -> Result<Vec<(ContainerId, Self)>> {
        let mut all = Vec::new();
        for path in paths(dir)? {
            let stem = path.file_stem().and_then(std::ffi::OsStr::to_str);
            if let Some(id) = stem.and_then(ContainerId::from_hex) {
                all.push((id, Self::read(&path)?));
            }
        }
        Ok(all)
    }

    fn read(path: &Path) -> Result<Self> {
        Self::parse(&files::read(path)?).map_err(|error| error.about(path.display()))
    }

    /// Reads a record's bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        serde_json::from_slice(bytes)
            .map_err(|error| Shown::usage(error, "Put a backup of it back."))
    }

    /// The record's bytes.
    pub fn to_json(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).unwrap_or_default()
    }

    /// Writes the record, before what it tells of goes out.
    pub fn save(&self, dir: &Path, id: ContainerId) -> Result<()> {
        files::replace(&path_of(dir, id), &self.to_json(), 0o600)
    }

    /// Takes in the state that a context shows, with `adopt` also one that was made elsewhere, and
    /// says where the next update follows.
    pub fn follow(&mut self, shown: Point, supersede: Option<u64>, adopt: bool) -> Result<Point> {
        self.check_alive()?;
        match self.settle(shown) {
            Err(_) if adopt => self.adopt(shown)?,
            settled => settled?,
        }
        self.next(supersede)
    }

    /// Takes in a state that the container signed. It settles everything up to its number.
    pub fn settle(&mut self, shown: Point) -> std::result::Result<(), Failure> {
        if shown == self.base {
            return Ok(());
        }
        let reached = self.outstanding.iter().position(|issued| issued.after == shown);
        if reached.is_none() {
            return Err(ErrorCode::ContextDiffers.with(shown.seq, self.base.seq));
        }
        self.base = shown;
        self.drop_dead();
        Ok(())
    }

    /// Goes on from a state that was not made here, never back.
    pub fn adopt(&mut self, shown: Point) -> std::result::Result<(), Failure> {
        // Nothing follows a final statement: whoever shows more is not that container.
        if shown.seq < self.base.seq || self.retired.is_some() {
            return Err(ErrorCode::ContextDiffers.with(shown.seq, self.base.seq));
        }
        self.base = shown;
        self.outstanding.clear();
        Ok(())
    }

    /// Takes in a final statement. It ends whatever was outstanding: updates that were not applied
    /// never will be, and how many is returned. A state that was made elsewhere counts too, never
    /// one that is behind what the container proved; what of this record led there is not known.
    pub fn retire(
        &mut self,
        shown: Point,
        at_s: u64,
    ) -> std::result::Result<Option<usize>, Failure> {
        let never_applied = match self.settle(shown) {
            Ok(()) => Some(std::mem::take(&mut self.outstanding).len()),
            Err(_) => self.adopt(shown).map(|()| None)?,
        };
        self.retired = Some(Retired { at_s });
        Ok(never_applied)
    }

    /// Refuses a container that ended.
    pub fn check_alive(&self) -> std::result::Result<(), Failure> {
        match self.retired {
            Some(_) => Err(ErrorCode::ContainerRetired.with(self.base.seq, 0)),
            None => Ok(()),
        }
    }

    /// Where the next update follows, or where it takes the place of number `supersede`. Never the
    /// last number that there is, so that one more can be counted.
    pub fn next(&self, supersede: Option<u64>) -> Result<Point> {
        self.check_alive()?;
        check_last(self.place(supersede)?)
    }

    /// Updates that follow from `from` on, each the one that was issued last of its number.
    pub fn live_from(&self, from: Point) -> impl Iterator<Item = &Issued> {
        let live = move |at: Point| {
            self.outstanding.iter().find(|issued| issued.before == at && !issued.superseded)
        };
        std::iter::successors(live(from), move |issued| live(issued.after))
    }

    /// Where the next update follows for an issuer that keeps what each one does, and so can go on
    /// though it is not known which of two was applied: behind those that were issued last.
    pub fn tip(&self) -> Result<Point> {
        self.check_alive()?;
        let live: Vec<&Issued> = self.live_from(self.base).collect();
        check_window(live.len())?;
        check_last(live.last().map_or(self.base, |issued| issued.after))
    }

    /// Lets updates count again that were superseded, where the container has shown that what took
    /// their place is none of its own.
    pub fn revive(&mut self) {
        let is_live = |issued: &&Issued| !issued.superseded;
        let live: Vec<u64> = self.outstanding.iter().filter(is_live).map(|i| i.after.seq).collect();
        for issued in &mut self.outstanding {
            issued.superseded &= live.contains(&issued.after.seq);
        }
    }

    fn place(&self, supersede: Option<u64>) -> Result<Point> {
        let unsettled = self.outstanding.iter().find(|issued| issued.superseded);
        if let Some(seq) = supersede {
            let target = self.outstanding.iter().rfind(|i| i.after.seq == seq && !i.superseded);
            let target = target.ok_or_else(|| {
                Shown::not_found(
                    format!("no update of number {seq} is without a receipt"),
                    "See which are: strongroom vendor show --vendor DIR",
                )
            })?;
            if let Some(other) = unsettled.filter(|other| other.after.seq != seq) {
                return Err(unsettled_error(other.after.seq));
            }
            return Ok(target.before);
        }
        if let Some(issued) = unsettled {
            return Err(unsettled_error(issued.after.seq));
        }
        check_window(self.outstanding.len())?;
        Ok(self.outstanding.last().map_or(self.base, |issued| issued.after))
    }

    /// Whether an update may be applied some day: it follows the base, or what is outstanding.
    pub fn may_follow(&self, issued: &Issued) -> bool {
        let mut states = self.outstanding.iter().map(|other| other.after);
        issued.before == self.base || states.any(|state| state == issued.before)
    }

    /// Notes an update that goes out.
    pub fn add(&mut self, issued: Issued) {
        let seq = issued.after.seq;
        for other in self.outstanding.iter_mut().filter(|other| other.after.seq >= seq) {
            other.superseded = true;
        }
        self.outstanding.push(issued);
    }

    /// Drops updates that follow from no state that is still possible.
    fn drop_dead(&mut self) {
        let mut possible = vec![self.base];
        self.outstanding.retain(|issued| {
            let lives = possible.contains(&issued.before);
            if lives {
                possible.push(issued.after);
            }
            lives
        });
    }
}

fn check_window(count: usize) -> Result<()> {
    let count = count as u64;
    if count < UPDATES_OUTSTANDING_MAX {
        return Ok(());
    }
    Err(ErrorCode::TooManyOutstanding.with(count, 0).into())
}

fn check_last(point: Point) -> Result<Point> {
    if point.seq < u64::MAX {
        return Ok(point);
    }
    Err(Shown::conflict(
        "no number is left for an update: the record or the container is damaged",
        "Put a backup of the record back, or ask the user for a new context file.",
    ))
}

fn unsettled_error(seq: u64) -> Shown {
    Shown::conflict(
        format!("update number {seq} was issued twice, and it is not known which one was applied"),
        "Ask the user for the receipt, or for a new context file.",
    )
}

/// The records' files, in order.
fn paths(dir: &Path) -> Result<Vec<PathBuf>> {
    let failed = |error: std::io::Error| Shown::io(dir, &error);
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(failed)? {
        paths.push(entry.map_err(failed)?.path());
    }
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    Ok(paths)
}

fn path_of(dir: &Path, id: ContainerId) -> PathBuf {
    dir.join(format!("{id}.json"))
}

mod hex32 {
    //! 32 bytes as hexadecimal text.

    use super::parse_hex;
    use serde::de::Error;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8; 32], s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&format_args!("{:?}", protocol::codec::Fixed(*bytes)))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(d: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(d)?;
        parse_hex(&text).ok_or_else(|| D::Error::custom("64 hexadecimal digits are needed"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(seq: u64, branch: u8) -> Point {
        Point { seq, state: [branch; 32] }
    }

    fn issued(before: Point, after: Point) -> Issued {
        Issued { before, after, what: String::new(), issued_s: 0, superseded: false }
    }

    fn ledger() -> Ledger {
        Ledger { serial: String::new(), base: point(0, 0), outstanding: Vec::new(), retired: None }
    }

    #[test]
    fn eight_updates_may_be_outstanding_and_one_receipt_settles_all_before_it() {
        let mut ledger = ledger();
        for seq in 1..=8u8 {
            let before = ledger.next(None).unwrap();
            ledger.add(issued(before, point(seq.into(), seq)));
        }
        assert_eq!(ledger.next(None).unwrap_err().exit(), 7);
        ledger.settle(point(5, 5)).unwrap();
        assert_eq!((ledger.outstanding.len(), ledger.next(None).unwrap()), (3, point(8, 8)));
    }

    #[test]
    fn behind_a_superseded_number_nothing_is_issued_until_the_branch_is_known() {
        let mut ledger = ledger();
        ledger.add(issued(point(0, 0), point(1, 1)));
        ledger.add(issued(point(1, 1), point(2, 2)));
        let before = ledger.next(Some(1)).unwrap();
        assert_eq!(before, point(0, 0));
        ledger.add(issued(before, point(1, 9)));
        assert_eq!(ledger.next(None).unwrap_err().exit(), 7);
        assert_eq!(ledger.next(Some(2)).unwrap_err().exit(), 3);
        let mut first = ledger.clone();
        first.settle(point(1, 1)).unwrap();
        assert_eq!(first.outstanding.len(), 1);
        ledger.settle(point(1, 9)).unwrap();
        assert_eq!((ledger.outstanding.len(), ledger.next(None).unwrap()), (0, point(1, 9)));
    }

    #[test]
    fn behind_the_last_number_nothing_is_issued() {
        let mut ledger = Ledger { base: point(u64::MAX, 0), ..ledger() };
        assert_eq!(ledger.next(None).unwrap_err().exit(), 7);
        ledger.base = point(u64::MAX - 1, 0);
        assert_eq!(ledger.next(None).unwrap(), ledger.base);
        ledger.outstanding = vec![issued(point(u64::MAX, 1), point(1, 1))];
        assert_eq!(ledger.next(Some(1)).unwrap_err().exit(), 7);
    }

    #[test]
    fn a_state_that_was_made_elsewhere_is_adopted_but_never_an_older_one() {
        let mut ledger = ledger();
        ledger.add(issued(point(0, 0), point(1, 1)));
        ledger.settle(point(1, 1)).unwrap();
        ledger.add(issued(point(1, 1), point(2, 2)));
        assert!(ledger.adopt(point(0, 0)).is_err());
        ledger.adopt(point(4, 9)).unwrap();
        assert_eq!((ledger.outstanding.len(), ledger.next(None).unwrap()), (0, point(4, 9)));
    }

    #[test]
    fn behind_a_final_statement_nothing_is_issued_whatever_is_shown() {
        let mut ledger = ledger();
        ledger.add(issued(point(0, 0), point(1, 1)));
        ledger.add(issued(point(1, 1), point(2, 2)));
        let mut elsewhere = ledger.clone();
        assert_eq!(ledger.retire(point(1, 1), 9).unwrap(), Some(1));
        assert_eq!(ledger.next(None).unwrap_err().exit(), 7);
        assert_eq!(ledger.next(Some(2)).unwrap_err().exit(), 7);
        assert!(ledger.adopt(point(5, 5)).is_err() && ledger.settle(point(2, 2)).is_err());
        assert_eq!(ledger.retire(point(1, 1), 9).unwrap(), Some(0), "it is taken in again");
        assert!(ledger.retire(point(0, 0), 9).is_err());
        assert_eq!(elsewhere.retire(point(7, 7), 9).unwrap(), None);
        assert_eq!(Ledger::parse(&elsewhere.to_json()).unwrap(), elsewhere);
    }

    #[test]
    fn a_state_that_was_never_issued_is_refused() {
        let mut ledger = ledger();
        ledger.add(issued(point(0, 0), point(1, 1)));
        ledger.settle(point(1, 1)).unwrap();
        for unknown in [point(0, 0), point(1, 7), point(2, 2)] {
            let refused = ledger.settle(unknown).unwrap_err();
            assert_eq!(refused.known(), Some(ErrorCode::ContextDiffers));
        }
    }
}
