//! Rules of the seats that can be left out, one at a time, and what breaks then.

use super::invariants::{F1, F2, F3, F4, F5, F6, F7, F8};
use super::scenes::{self, Scene};

/// A mistake, named by what it does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// After a restart seats are granted at once.
    NoQuarantine,
    /// The mark is cleared at power-up instead of when nothing is counted any more.
    QuarantineForgetsMark,
    /// The first seat is answered before the mark is durable.
    MarkAfterAnswer,
    /// Once written, the mark stays.
    MarkForever,
    /// During quarantine tokens of any earlier power session are taken.
    TokenOfAnySession,
    /// During quarantine one token opens a seat again after its first was closed.
    TokenTwice,
    /// A client shows its token when its own time is over.
    StaleTokenShown,
    /// A child shows its parent's token though it has not joined the seat.
    OrphanShowsToken,
    /// A heartbeat is taken from an entry that was given up.
    HeartbeatRevives,
    /// A heartbeat with an old number counts.
    BeatTwice,
    /// What is given up is free at once.
    GraceZero,
    /// A client counts from the answer of its heartbeat instead of from sending it.
    MeasuredFromAnswer,
    /// A client takes an answer that comes on a connection it has given up.
    AnswerOfDeadLink,
    /// A client takes a late answer to an earlier request for one to its last.
    AnswerToAnother,
    /// A client gives its seat back before it ends its use.
    CloseBeforeEnd,
    /// What was said in an earlier power session closes a seat of this one.
    CloseByOldSession,
    /// A repeated request moves the entry to its connection instead of making another one.
    RepeatMovesEntry,
    /// A client leaves its old connection before it has joined on the new one.
    HangsUpBeforeJoin,
    /// A lost connection frees the seat though its client may be well.
    LinkLossFreesSeat,
    /// A lingering seat goes to anybody.
    LingerForAnybody,
    /// Each entry counts, not each seat.
    JoinCountsTwice,
    /// A repeated request opens another seat.
    OpTwice,
    /// Each copy of a loan's receipt frees a seat.
    BorrowReturnedTwice,
    /// A loan that was given back is installed once more from a copy of its update.
    LoanInstalledTwice,
    /// The lender takes the wish to give back for the receipt.
    ReturnedOnRequest,
    /// A loan lapses at its end, without regard to the borrower's clock.
    LoanLapsesEarly,
    /// Loans are lost with the power.
    LoanForgottenAtRestart,
    /// What is free goes to the last in the queue.
    UnfairQueue,
    /// What is free goes to whoever asks first, also where others wait.
    QueuePassedOver,
    /// What becomes free by time is offered to nobody who waits.
    LostWakeUp,
}

/// A bug, a scene in which it shows, and the promise that it breaks there.
pub type Row = (Bug, fn() -> Scene, &'static str);

/// Every bug.
pub const ALL: &[Row] = &[
    (Bug::NoQuarantine, scenes::replug, F3),
    (Bug::QuarantineForgetsMark, scenes::restarts, F3),
    (Bug::MarkAfterAnswer, scenes::restarts, F3),
    (Bug::MarkForever, scenes::network, F8),
    (Bug::TokenOfAnySession, scenes::restarts, F3),
    (Bug::TokenTwice, scenes::family, F3),
    (Bug::StaleTokenShown, scenes::restarts, F3),
    (Bug::OrphanShowsToken, scenes::orphan, F3),
    (Bug::HeartbeatRevives, scenes::beats, F6),
    (Bug::BeatTwice, scenes::beats, F2),
    (Bug::GraceZero, scenes::network, F1),
    (Bug::MeasuredFromAnswer, scenes::network, F1),
    (Bug::AnswerOfDeadLink, scenes::network, F1),
    (Bug::AnswerToAnother, scenes::again, F1),
    (Bug::CloseBeforeEnd, scenes::network, F1),
    (Bug::CloseByOldSession, scenes::reopen, F1),
    (Bug::RepeatMovesEntry, scenes::family, F1),
    (Bug::HangsUpBeforeJoin, scenes::beats, F1),
    (Bug::LinkLossFreesSeat, scenes::network, F1),
    (Bug::LingerForAnybody, scenes::linger, F7),
    (Bug::JoinCountsTwice, scenes::family, F4),
    (Bug::OpTwice, scenes::borrow, F4),
    (Bug::BorrowReturnedTwice, scenes::borrow, F4),
    (Bug::LoanInstalledTwice, scenes::borrow, F1),
    (Bug::ReturnedOnRequest, scenes::borrow, F1),
    (Bug::LoanLapsesEarly, scenes::borrow, F1),
    (Bug::LoanForgottenAtRestart, scenes::borrow, F1),
    (Bug::UnfairQueue, scenes::queue, F5),
    (Bug::QueuePassedOver, scenes::queue, F5),
    (Bug::LostWakeUp, scenes::queue, F5),
];
