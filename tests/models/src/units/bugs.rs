//! Rules of units and their log that can be left out, one at a time, and what breaks then.

use super::invariants::{L1, L2, L3, L4, U1, U2, U3, U4, U5};
use super::scenes::{self, Scene};

/// A mistake, named by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The answer leaves before the debit is durable.
    DebitAfterUse,
    /// More is reserved than there is.
    BalanceUnchecked,
    /// A repeated request reserves again.
    OpTwice,
    /// What was reserved is known in RAM only, its debit is durable.
    OpForgottenAtCrash,
    /// A repeated commit refunds again.
    RefundTwice,
    /// The refund is figured from what the client says it had reserved.
    RefundMoreThanOpen,
    /// A commit counts though its reservation is over.
    CommitWithoutReserve,
    /// A lost session's reservation is undone.
    LossIsFree,
    /// What is held for the vendor's decision is known in RAM only.
    HoldForgottenAtCrash,
    /// The vendor's decision counts once more for what was settled before.
    SettleTwice,
    /// An update is applied again.
    TopUpTwice,
    /// An effect and its log entry are made durable one after the other.
    EntryApart,
    /// The log's next number and its entry are made durable one after the other.
    GapInLog,
    /// Entries are deleted once they were sent.
    PruneUnacked,
    /// An acknowledgment counts by its number, whatever history it names.
    AckOfOtherFork,
    /// The server acknowledges before what it took in is durable.
    AckBeforeStored,
    /// The server bills each copy of an upload.
    BillTwice,
    /// The server takes entries though some before them are missing.
    ServerTakesGap,
    /// The server compares the numbers of entries, not their hashes.
    ForkUnseen,
    /// A container with an anchor does not look at it.
    AnchorIgnored,
}

/// A bug, a scene in which it shows, and the promise that it breaks there.
pub type Row = (Bug, fn() -> Scene, &'static str);

/// Every bug.
pub const ALL: &[Row] = &[
    (Bug::DebitAfterUse, scenes::charge, U3),
    (Bug::BalanceUnchecked, scenes::charge, U2),
    (Bug::OpTwice, scenes::charge, U4),
    (Bug::OpForgottenAtCrash, scenes::charge, U1),
    (Bug::RefundTwice, scenes::charge, U5),
    (Bug::RefundMoreThanOpen, scenes::charge, U5),
    (Bug::CommitWithoutReserve, scenes::charge, U2),
    (Bug::LossIsFree, scenes::charge, U3),
    (Bug::HoldForgottenAtCrash, scenes::hold, U1),
    (Bug::SettleTwice, scenes::hold, U5),
    (Bug::TopUpTwice, scenes::charge, U1),
    (Bug::EntryApart, scenes::charge, L2),
    (Bug::GapInLog, scenes::charge, L2),
    (Bug::PruneUnacked, scenes::log, L3),
    (Bug::AckOfOtherFork, scenes::rollback, L3),
    (Bug::AckBeforeStored, scenes::log, L3),
    (Bug::BillTwice, scenes::log, L4),
    (Bug::ServerTakesGap, scenes::log, L4),
    (Bug::ForkUnseen, scenes::rollback, L1),
    (Bug::AnchorIgnored, scenes::anchored, U2),
];
