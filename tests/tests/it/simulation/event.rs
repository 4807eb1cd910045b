//! What must have happened sometimes: a simulation in which nothing happens keeps every promise.

use std::collections::BTreeMap;

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Event {
            $($(#[$doc])* $name,)*
        }

        impl Event {
            /// All that a run must reach.
            const ALL: &'static [Event] = &[$(Event::$name),*];
        }
    };
}

events! {
    RequestLost,
    AnswerLost,
    CutInCommand,
    CutAtStart,
    Unplugged,
    SeatGranted,
    SeatShared,
    SeatDenied,
    StationBusy,
    Quarantined,
    Unsettled,
    LingerDenied,
    LingerRetaken,
    OpenRepeated,
    Rejoined,
    TakenUpAgain,
    NotTakenUpAgain,
    Forked,
    SeatKept,
    EndedBySilence,
    Died,
    Froze,
    Thawed,
    StrayBeat,
    BeatAfterClose,
    Suspended,
    NoUnits,
    UnitsTaken,
    UnitsReserved,
    ReserveRepeated,
    UnitsAccounted,
    AccountRepeated,
    Overstated,
    ReservationGone,
    UnitsLostToCut,
    ReservationCharged,
    Settled,
    AccountClosed,
    LogFull,
    Pulled,
    Pruned,
    AckRepeated,
    UpdateApplied,
    UpdateRefused,
    UpdateInDoubt,
    UpdateRepeated,
    TokenTaken,
    TokenLate,
    TimeNotFresh,
    PeriodBegun,
    PeriodOver,
    Waited,
    ServedInTurn,
}

/// How often what happened.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<Event, u64>);

impl Seen {
    pub(super) fn note(&mut self, event: Event) {
        *self.0.entry(event).or_default() += 1;
    }

    pub(super) fn add(&mut self, other: Seen) {
        for (event, times) in other.0 {
            *self.0.entry(event).or_default() += times;
        }
    }

    pub(super) fn times(&self, event: Event) -> u64 {
        self.0.get(&event).copied().unwrap_or_default()
    }

    /// What a run should have reached and did not.
    pub(super) fn missing(&self) -> Vec<Event> {
        Event::ALL.iter().copied().filter(|event| !self.0.contains_key(event)).collect()
    }

    pub(super) fn print(&self) {
        let line: Vec<String> = self.0.iter().map(|(event, n)| format!("{event:?} {n}")).collect();
        println!("figure: events: {}", line.join(", "));
    }
}
