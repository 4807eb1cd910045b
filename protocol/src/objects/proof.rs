//! Proofs of use: what a container signs for a vendor's server while a license is in use.
//!
//! A program that only asked its own container could be changed not to ask. A server that asks for
//! a proof gives nothing to whoever has none.

use serde::{Deserialize, Serialize};

use crate::codec::Fixed;
use crate::objects::license::{ItemRef, Requirement};
use crate::objects::statement::TimeInfo;

/// The body of a proof. `seq` and `state` of the header are the firm's number and hash at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProofBody {
    /// Drawn by whoever asked, so that a proof is none for another time.
    pub challenge: Fixed<32>,
    /// What it is asked for; the vendor's own numbers.
    pub purpose: u8,
    /// Hash of the handshake of the session that asked: who is at its other end can tell that the
    /// proof did not come from somewhere else.
    pub session: Fixed<32>,
    /// The entry that is used.
    pub item: ItemRef,
    /// What held when the seat was taken, and holds.
    pub requirement: Requirement,
    /// First second in which the use ends by itself; 0 = no end.
    pub ends_s: u64,
    /// Units left; 0 where none are counted.
    pub units: u64,
    /// Seats of the entry that are taken, this one included where it counts.
    pub seats: u32,
    /// Time.
    pub time: TimeInfo,
    /// Commits that touched this firm.
    pub commits: u64,
    /// Version of the firmware, as in a context.
    pub firmware: u32,
}
