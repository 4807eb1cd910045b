//! The usage log: what a container books of units and first uses, entry by entry, chained.
//!
//! The head after entry *n* is SHA-256 over a label, the head before, *n* and the hash of the
//! entry. Each entry is salted, so that a log can be proven without showing what is in it.

use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::codec::{self, Fixed};
use crate::crypto::hash::Sha256;
use crate::ids::{ContainerId, OpId, RootFp};
use crate::objects::license::ItemRef;
use crate::objects::statement::TimeInfo;

/// One entry, with the salt that hides it where only its hash is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageEntry {
    /// Random.
    pub salt: Fixed<16>,
    /// What is booked.
    pub leaf: UsageLeaf,
}

/// What is booked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageLeaf {
    /// The firm's time in the container, Unix seconds UTC; 0 = not known.
    pub at_s: u64,
    /// What happened.
    pub kind: UsageKind,
    /// To which entry.
    pub item: ItemRef,
    /// Units that it is about.
    pub units: u64,
    /// Units left afterwards.
    pub left: u64,
    /// The command that did it; zero for what an update did.
    pub op: OpId,
    /// The user as this firm may tell users apart; zero where nobody was named.
    pub subject: Fixed<16>,
}

/// What happened. Numbers are the order here: append, never reorder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UsageKind {
    /// A usage period began.
    FirstUse,
    /// Units were used when a use began.
    Taken,
    /// Units were set aside for a use that goes on.
    Reserved,
    /// Of reserved units so many were used; the others are left again.
    Used,
    /// Reserved units that nobody accounted for count as used.
    Charged,
    /// Reserved units that nobody accounted for are left again.
    Released,
    /// The vendor added units.
    Added,
    /// The vendor took units away, or the entry that they belonged to.
    Removed,
    /// Somebody used the program: for metering, which is not built yet.
    Interval {
        /// Where it was observed.
        scope: UsageScope,
        /// How busy it was.
        state: UsageState,
        /// Seconds that it lasted.
        for_s: u32,
    },
}

/// Where use was observed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UsageScope {
    /// In one window of the program.
    Window,
    /// In the login session.
    Session,
    /// By the program's running alone.
    Program,
}

/// How busy use was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum UsageState {
    /// There was input.
    Active,
    /// There was none for a while.
    Inactive,
    /// There was none for so long that it counts as idle.
    Timeout,
}

/// The body of a log's signed head. `seq` and `state` of the header are the number of the last
/// entry and the head after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsageHeadBody {
    /// Drawn by whoever asked.
    pub nonce: Fixed<32>,
    /// Number of the last entry that the firm acknowledged; those up to it may be gone.
    pub acked_seq: u64,
    /// The head after that entry.
    pub acked_head: Fixed<32>,
    /// Time.
    pub time: TimeInfo,
    /// Commits that touched this firm.
    pub commits: u64,
}

/// The head of a log without entries.
pub fn genesis_head(root_fp: RootFp, container: ContainerId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"strongroom/usage-genesis/v1\0");
    hash.update(root_fp.bytes());
    hash.update(container.bytes());
    hash.finish()
}

/// The head after entry `seq`.
pub fn next_head(head: &[u8; 32], seq: u64, entry: &UsageEntry) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"strongroom/usage-chain/v1\0");
    hash.update(head);
    hash.update(&seq.to_be_bytes());
    hash.update(&entry.hash());
    hash.finish()
}

/// A user as a firm may tell users apart: nobody else finds the same value for the same user.
pub fn subject(root_fp: RootFp, user: Fixed<16>) -> Fixed<16> {
    if user == Fixed([0; 16]) {
        return user;
    }
    let mut hash = Sha256::new();
    hash.update(b"strongroom/usage-subject/v1\0");
    hash.update(root_fp.bytes());
    hash.update(&user.0);
    Fixed(hash.finish_16())
}

impl UsageEntry {
    /// SHA-256 over label, salt and encoded leaf.
    pub fn hash(&self) -> [u8; 32] {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/usage-leaf/v1\0");
        hash.update(&self.salt.0);
        hash.update(&codec::encode(&self.leaf));
        hash.finish()
    }
}

/// An entry as a file has it, with the head after it: where a chain is broken, these tell where.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoggedEntry {
    /// The entry.
    pub entry: UsageEntry,
    /// The head after it.
    pub head: [u8; 32],
}

/// Why entries do not lead from one head to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BrokenChain {
    /// Number of the first entry that does not follow from the one before; that behind the last
    /// where entries are missing at the end.
    pub seq: u64,
}

/// Puts the heads to entries that are numbered from `after + 1` on.
pub fn chain(mut head: [u8; 32], after: u64, entries: &[UsageEntry]) -> Vec<LoggedEntry> {
    let numbered = (after.saturating_add(1)..).zip(entries);
    let logged = numbered.map(|(seq, entry)| {
        head = next_head(&head, seq, entry);
        LoggedEntry { entry: *entry, head }
    });
    logged.collect()
}

/// Whether `entries`, numbered from `after + 1` on, lead from `head` to `wanted`, entry by entry.
///
/// # Errors
/// They do not: one was changed, left out, added or moved.
pub fn check_chain(
    mut head: [u8; 32],
    after: u64,
    entries: &[LoggedEntry],
    wanted: &[u8; 32],
) -> Result<(), BrokenChain> {
    let mut seq = after;
    for logged in entries {
        seq = seq.saturating_add(1);
        head = next_head(&head, seq, &logged.entry);
        if head != logged.head {
            return Err(BrokenChain { seq });
        }
    }
    let missing = BrokenChain { seq: seq.saturating_add(1) };
    if head == *wanted { Ok(()) } else { Err(missing) }
}

/// Writes entries for a file: each as it is encoded, behind its length (u16), then its head.
pub fn write_entries(entries: &[LoggedEntry]) -> Vec<u8> {
    let mut out = Vec::new();
    for logged in entries {
        let bytes = codec::encode(&logged.entry);
        // An entry has a bound of about a hundred bytes by its types.
        out.extend_from_slice(&(bytes.len() as u16).to_be_bytes());
        out.extend_from_slice(&bytes);
        out.extend_from_slice(&logged.head);
    }
    out
}

/// Reads what [`write_entries`] wrote; none where it was something else.
pub fn read_entries(mut bytes: &[u8]) -> Option<Vec<LoggedEntry>> {
    let mut entries = Vec::new();
    while !bytes.is_empty() {
        let (len, rest) = bytes.split_first_chunk::<2>()?;
        let (entry, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*len)))?;
        let entry = codec::decode(entry, ENTRY_LEN_MAX).ok()?;
        let (head, rest) = rest.split_first_chunk::<32>()?;
        entries.push(LoggedEntry { entry, head: *head });
        bytes = rest;
    }
    Some(entries)
}

/// Bytes of an encoded entry, at most.
pub const ENTRY_LEN_MAX: usize = 128;
