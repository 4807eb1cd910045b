//! What of the journal the signer has in memory: the last updates of each container, and the sums
//! of the day.

use std::collections::HashMap;

use protocol::errors::{ErrorCode, Shown};
use protocol::objects::statement::next_state_hash;
use protocol::signed::Header;

use super::caps::Sums;
use crate::domain::firm::Leaf;

/// Numbers behind the last one of a container that are remembered. Central waits for a receipt
/// after eight.
const WINDOW: u64 = 16;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// The last updates of each container, and the sums of the day.
#[derive(Default)]
pub struct Index {
    containers: HashMap<[u8; 16], Vec<Known>>,
    /// Days since 1970.
    day: u64,
    sums: Sums,
}

/// An update that is in the journal.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Known {
    seq: u64,
    before: [u8; 32],
    after: [u8; 32],
}

impl Known {
    fn of(header: &Header) -> Self {
        let after = next_state_hash(&header.state, &header.hash());
        Known { seq: header.seq, before: header.state, after }
    }
}

impl Index {
    /// Adds an update that was written down at `at_s`.
    pub fn add(&mut self, header: &Header, at_s: u64, sums: Sums) {
        let known = self.containers.entry(header.target).or_default();
        known.push(Known::of(header));
        let last = known.iter().map(|one| one.seq).max().unwrap_or(0);
        known.retain(|one| one.seq + WINDOW > last);
        self.sums = self.today(at_s).plus(sums);
        self.day = self.day.max(at_s / DAY_S);
    }

    /// What was signed on this day. A clock that was put back does not begin a day anew.
    pub fn today(&self, at_s: u64) -> Sums {
        if at_s / DAY_S > self.day { Sums::default() } else { self.sums }
    }

    /// Whether this update is in the journal already. One that is not must follow what is there, or
    /// in `earlier` of the same request, or what the container `shown`: another of the same number
    /// only where it takes the place of all that the same state led to (its grounds name what they
    /// lead to), or where it is on the branch that was taken.
    ///
    /// # Errors
    /// It does not follow.
    pub fn has<'a>(
        &self,
        leaf: &Leaf,
        shown: bool,
        earlier: impl Iterator<Item = &'a Header>,
    ) -> Result<bool, Shown> {
        let header = &leaf.header;
        let mut known = self.containers.get(&header.target).cloned().unwrap_or_default();
        let own = Known::of(header);
        if known.contains(&own) {
            return Ok(true);
        }
        known.extend(earlier.filter(|other| other.target == header.target).map(Known::of));
        let last = known.iter().map(|one| one.seq).max().unwrap_or(0);
        let mut same = known.iter().filter(|one| one.seq == own.seq);
        let mut before = known.iter().filter(|one| one.seq + 1 == own.seq);
        let is_old = own.seq + WINDOW <= last;
        let is_new = own.seq > last;
        // What follows nothing that is known was led to by another's update, or by a thief's.
        let follows = shown || before.any(|one| one.after == own.before) || is_first(&known, &own);
        let beside = &leaf.grounds.beside;
        let takes_place = same.all(|one| one.before != own.before || beside.contains(&one.after));
        if is_new || (!is_old && follows && takes_place) {
            return Ok(false);
        }
        Err(Shown::from(ErrorCode::LeafDiffers.with(own.seq, last)))
    }
}

/// Whether it stands where the container's first known update does.
fn is_first(known: &[Known], own: &Known) -> bool {
    let first = known.iter().map(|one| one.seq).min();
    let mut same = known.iter().filter(|one| one.seq == own.seq);
    first == Some(own.seq) && same.any(|one| one.before == own.before)
}
