//! Rules of moves and checkpoints that can be left out, one at a time, and what breaks then.

use super::invariants::{M1, M2, M3, M4, M5, M6, M7, M8, M9, M10, M12, M13};
use super::scenes::{self, Scene};

/// A mistake, named by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The lapse counts from the renewal that has a receipt, not from the one that was issued.
    LapseOfAcked,
    /// What lapsed is taken back at once.
    NoSkewMargin,
    /// A grant is issued elsewhere when its release is signed.
    InstallBeforeReceipt,
    /// A container applies updates of any number.
    NumberIgnored,
    /// What was cancelled is taken for not applied.
    CancelWithoutReceipt,
    /// A container says once only what it applied.
    ReceiptOnce,
    /// What was not sent when Central crashed is never sent.
    NoResend,
    /// A container compares the number of an update, not the state that it follows.
    StateIgnored,
    /// The lapse counts on the newest branch only.
    OtherBranchForgotten,
    /// What follows a superseded number counts as under way whichever branch was taken.
    SuccessorsKept,
    /// A receipt of a number counts for whatever was signed last under it.
    ReceiptByNumber,
    /// A receipt counts for what was signed behind its number, too.
    ReceiptSettlesWindow,
    /// A receipt counts for its own update only.
    EarlierNumbersForgotten,
    /// A receipt counts though a later one was heard.
    OldReceiptSetsBack,
    /// A release that is proved frees its grant, wherever that is by now.
    LateReceiptFrees,
    /// A receipt of an install makes its grant held, also where a release is under way.
    InstallMeansHeld,
    /// Updates are signed behind a number that was signed twice, before its branch is known.
    BuiltOnUnsettled,
    /// What followed the update that was not applied is not looked at.
    DeadSuccessorsHeld,
    /// A repeated receipt tells of the present state.
    ReceiptMadeAnew,
    /// More updates are under way than the window allows.
    WindowForgotten,
    /// What was split off is not taken from the rest.
    SplitKeepsWhole,
    /// A grant is split while it is in a container.
    SplitWhileHeld,
    /// The part that a container gives back is free when that is signed.
    PartFreeAtOnce,
    /// The rest is taken back when it lapsed, the part that was to come back is not.
    PartsLeftBehind,
    /// A receipt of one firm counts for another in that container.
    ReceiptOfOtherFirm,
    /// All firms in a container share one number.
    FirmsShareNumber,
    /// An entry is found by its product alone, whosever it is.
    FirmsShareEntries,
    /// What lapsed is taken back from a container whose clock may stand still.
    UntrustedReclaimed,
    /// What has no receipt by the time until which it could be applied is taken for not applied.
    ApplyBeforeFrees,
    /// What lapsed is taken back only where nothing is without a receipt.
    LapseWaitsForReceipt,
    /// A revoked container gets licenses.
    EndedGetsInstall,
    /// A container applies updates after its final statement.
    EndedApplies,
    /// An update leaves before Central has made it durable.
    SendBeforePersist,
    /// A receipt leaves before the container has made durable what it tells.
    AnswerBeforePersist,
}

/// A bug, a scene in which it shows, and the promise that it breaks there.
pub type Row = (Bug, fn() -> Scene, &'static str);

/// Every bug.
pub const ALL: &[Row] = &[
    (Bug::LapseOfAcked, scenes::moves, M1),
    (Bug::NoSkewMargin, scenes::moves, M1),
    (Bug::InstallBeforeReceipt, scenes::moves, M1),
    (Bug::NumberIgnored, scenes::moves, M4),
    (Bug::CancelWithoutReceipt, scenes::branches, M5),
    (Bug::ReceiptOnce, scenes::mixed, M9),
    (Bug::NoResend, scenes::mixed, M9),
    (Bug::StateIgnored, scenes::inner, M5),
    (Bug::OtherBranchForgotten, scenes::branches, M6),
    (Bug::SuccessorsKept, scenes::mixed, M9),
    (Bug::ReceiptByNumber, scenes::branches, M7),
    (Bug::ReceiptSettlesWindow, scenes::window, M5),
    (Bug::EarlierNumbersForgotten, scenes::mixed, M9),
    (Bug::OldReceiptSetsBack, scenes::window, M3),
    (Bug::LateReceiptFrees, scenes::moves, M2),
    (Bug::InstallMeansHeld, scenes::window, M5),
    (Bug::BuiltOnUnsettled, scenes::again, M9),
    (Bug::DeadSuccessorsHeld, scenes::inner, M9),
    (Bug::ReceiptMadeAnew, scenes::window, M8),
    (Bug::WindowForgotten, scenes::window, M3),
    (Bug::SplitKeepsWhole, scenes::split, M1),
    (Bug::SplitWhileHeld, scenes::split, M1),
    (Bug::PartFreeAtOnce, scenes::shrink, M1),
    (Bug::PartsLeftBehind, scenes::regret, M9),
    (Bug::ReceiptOfOtherFirm, scenes::firms, M3),
    (Bug::FirmsShareNumber, scenes::firms, M9),
    (Bug::FirmsShareEntries, scenes::firms, M13),
    (Bug::UntrustedReclaimed, scenes::asleep, M1),
    (Bug::ApplyBeforeFrees, scenes::moves, M5),
    (Bug::LapseWaitsForReceipt, scenes::mixed, M10),
    (Bug::EndedGetsInstall, scenes::revoked, M12),
    (Bug::EndedApplies, scenes::ended, M12),
    (Bug::SendBeforePersist, scenes::crashes, M2),
    (Bug::AnswerBeforePersist, scenes::crashes, M5),
];
