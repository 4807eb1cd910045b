//! What a container states under its own key: contexts before an update, receipts after it, and
//! final statements when it is retired.

use serde::{Deserialize, Serialize};

use crate::codec::Fixed;
use crate::crypto::hash::Sha256;
use crate::ids::{ContainerId, RootFp};
use crate::objects::device::ClockClass;
use crate::objects::request::Request;

/// What a container knows of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeInfo {
    /// No earlier than this, Unix seconds UTC; never falls.
    pub floor_s: u64,
    /// Best estimate, at least the floor.
    pub now_s: u64,
    /// Where it comes from.
    pub class: ClockClass,
    /// Last time that somebody trusted certified; 0 = never.
    pub certified_s: u64,
}

/// The body of a context. `seq` and `state` of the header are the firm's number and hash at
/// present. Nothing of another firm is in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ContextBody {
    /// Drawn by whoever asked, so that a context proves to be fresh.
    pub nonce: Fixed<32>,
    /// Hash of the firm's configuration ([`crate::objects::license`] entries and keys present).
    pub config_hash: Fixed<32>,
    /// Version of the firm's root that the container holds; 0 = the firm is not in it.
    pub root_version: u32,
    /// Epoch of the firm's revocations.
    pub revocation_epoch: u32,
    /// Time.
    pub time: TimeInfo,
    /// Commits that touched this firm.
    pub commits: u64,
    /// Entries of this firm.
    pub entries: u32,
    /// Firmware, major << 16 | minor << 8 | patch.
    pub firmware: u32,
    /// What it asks by, where its home can be copied.
    pub request: Option<Request>,
}

/// The body of a receipt. `seq` and `state` of the header are the firm's number and hash after the
/// update. It proves every earlier number of the same chain too, but results only of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptBody {
    /// Hash of the update's preimage.
    pub update_hash: Fixed<32>,
    /// Hash of the firm's configuration afterwards.
    pub config_hash: Fixed<32>,
    /// Operations applied.
    pub ops: u16,
    /// Time of application.
    pub time: TimeInfo,
    /// Commits that touched this firm, this one included.
    pub commits: u64,
}

/// The body of a final statement: what a container that is decommissioned leaves to a firm. `seq`
/// and `state` of the header are the firm's number and hash at the end; nothing follows them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FinalBody {
    /// Hash of the firm's configuration, all of which is erased.
    pub config_hash: Fixed<32>,
    /// Entries that were erased.
    pub entries: u32,
    /// Time of the end.
    pub time: TimeInfo,
    /// Commits that touched this firm, this one included.
    pub commits: u64,
    /// Number of the last entry of the firm's usage log.
    pub log_seq: u64,
    /// The head after it.
    pub log_head: Fixed<32>,
}

/// The body of a time token. `target` of the header is the container that asked, `state` its nonce,
/// which was drawn for this answer alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeTokenBody {
    /// The time when the token was made, Unix seconds UTC.
    pub time_s: u64,
    /// Seconds by which it may be wrong, either way.
    pub radius_s: u32,
}

/// `firm_state_hash` of a firm that has not been in the container.
pub fn genesis_hash(root_fp: RootFp, container: ContainerId) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"strongroom/genesis/v1\0");
    hash.update(root_fp.bytes());
    hash.update(container.bytes());
    hash.finish()
}

/// `firm_state_hash(n+1) = SHA-256(label || firm_state_hash(n) || update_hash)`: both ends compute
/// it, and nothing that only the container knows enters it.
pub fn next_state_hash(state: &[u8; 32], update_hash: &[u8; 32]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(b"strongroom/state/v1\0");
    hash.update(state);
    hash.update(update_hash);
    hash.finish()
}
