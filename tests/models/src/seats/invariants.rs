//! What is promised about seats, and what must happen sometimes for that to mean anything.

use stateright::Property;

use super::client::Client;
use super::container::{Cause, Container, Seat};
use super::loans::{Borrower, Lender, Loan};
use super::{Ask, GRACE, LINGER, Op, Request, Seats, State, TERM, TIMEOUT};

/// Never more uses than seats, by the clocks of those who use them.
pub const F1: &str = "F1 uses and loans never exceed the quantity";
/// Numbers of heartbeats rise.
pub const F2: &str = "F2 a heartbeat counts only if its number rises";
/// A restart gives nothing away.
pub const F3: &str = "F3 after a restart only those who held a seat get one before all have ended";
/// Everything counts once.
pub const F4: &str = "F4 a seat, a request, a loan and its return count once";
/// The queue moves.
pub const F5: &str = "F5 who waits is served in turn, and nothing stays free meanwhile";
/// What is over is over.
pub const F6: &str = "F6 what was given up never revives";
/// Linger keeps its word.
pub const F7: &str = "F7 a lingering seat goes to its own user and station only";
/// Nothing is lost.
pub const F8: &str = "F8 left alone, every seat comes free";

/// All of them.
pub fn all() -> Vec<Property<Seats>> {
    let mut rows = vec![
        Property::always(F1, |model: &Seats, s: &State| {
            uses(s) <= usize::from(model.scene.quantity)
        }),
        Property::always(F2, |_: &Seats, s: &State| !s.container.witness.beat_fell),
        Property::always(F3, |_: &Seats, s: &State| restart_gave_nothing_away(s)),
        Property::always(F4, |model: &Seats, s: &State| everything_counts_once(model, s)),
        Property::always(F5, |model: &Seats, s: &State| queue_moves(model, &s.container)),
        Property::always(F6, |_: &Seats, s: &State| nothing_revived(&s.container)),
        Property::always(F7, |_: &Seats, s: &State| lingering_kept(&s.container)),
        Property::always(F8, |model: &Seats, s: &State| comes_free(model, &s.container)),
    ];
    rows.extend(sometimes());
    rows
}

/// Uses by those who use: a family counts once, also when its seat was continued.
fn uses(state: &State) -> usize {
    let used = state.clients.iter().filter(|client| client.uses());
    let mut origins: Vec<_> = used.filter_map(|client| client.lease).collect();
    origins.sort_by_key(|lease| lease.token.origin);
    origins.dedup_by_key(|lease| lease.token.origin);
    let borrowed = state.container.loans.all.iter().filter(|loan| loan.is_used()).count();
    origins.len() + borrowed
}

fn restart_gave_nothing_away(state: &State) -> bool {
    let container = &state.container;
    let witness = &container.witness;
    let uses_old = |client: &Client| {
        client.uses() && client.lease.is_some_and(|lease| lease.token.boot < container.boot)
    };
    let old_use = state.clients.iter().any(uses_old);
    let strangers = container.seats.iter().any(|seat| seat.cause != Cause::Continued);
    let held = witness.continued.iter().all(|token| witness.held.contains(token));
    !(old_use && strangers) && held && !has_twice(&witness.continued)
}

fn everything_counts_once(model: &Seats, state: &State) -> bool {
    let container = &state.container;
    let ops: Vec<Op> = container.seats.iter().map(|seat| seat.op).collect();
    let loans = &container.loans;
    let out = loans.all.iter().filter(|loan| loan.lender == Lender::Out).count();
    let made = loans.all.len();
    let taken = container.seats.len() + container.lingering.len() + out;
    !has_twice(&ops)
        && loans.out == out as i8
        && loans.out + loans.returned + loans.lapsed == made as i8
        && usize::from(container.counted(model, None)) == taken
}

/// What came free since somebody waits went to those who waited before, and nothing is kept back.
fn queue_moves(model: &Seats, container: &Container) -> bool {
    let in_turn = container.queue.iter().all(|waiter| waiter.served_since <= waiter.ahead);
    let full = container.counted(model, None) >= model.scene.quantity;
    in_turn && (container.queue.is_empty() || full || container.quarantine > 0)
}

fn nothing_revived(container: &Container) -> bool {
    let mut entries = container.seats.iter().flat_map(|seat| &seat.entries);
    let given_up = &container.witness.given_up;
    entries.all(|entry| entry.age >= TIMEOUT || !given_up.contains(&entry.handle))
}

fn lingering_kept(container: &Container) -> bool {
    let kept = |cause: Cause, station: u8| !matches!(cause, Cause::Linger(of) if of != station);
    container.seats.iter().all(|seat| kept(seat.cause, seat.station))
}

fn comes_free(model: &Seats, container: &Container) -> bool {
    let is_free = |container: &Container| {
        let counted = container.counted(model, None);
        counted == 0 && container.queue.is_empty() && !container.mark
    };
    if is_free(container) {
        return true;
    }
    let mut later = container.clone();
    let turns = later.queue.len() as u8 + 1;
    (0..turns * (TIMEOUT + GRACE + LINGER) + TERM + GRACE).any(|_| {
        later.tick(model);
        is_free(&later)
    })
}

/// Two entries for one client, on two of its connections.
fn is_repeated(seat: &Seat) -> bool {
    matches!(seat.entries[..], [one, two] if one.who == two.who && one.link != two.link)
}

fn has_twice<T: PartialEq>(all: &[T]) -> bool {
    all.iter().enumerate().any(|(at, one)| all[..at].contains(one))
}

fn sometimes() -> Vec<Property<Seats>> {
    vec![
        Property::sometimes("two clients share a seat", |_: &Seats, s: &State| {
            let used = s.clients.iter().filter(|client| client.uses()).count();
            used > uses(s) && s.container.seats.len() == 1
        }),
        Property::sometimes("a repeated request gave the same seat", |_: &Seats, s: &State| {
            s.clients.iter().any(|client| client.uses())
                && s.container.seats.iter().any(is_repeated)
        }),
        Property::sometimes("silence made the container give up a seat", |_: &Seats, s: &State| {
            s.container.seats.iter().any(|seat| !seat.is_alive())
        }),
        Property::sometimes("a crash freed a seat for another", |_: &Seats, s: &State| {
            s.clients.iter().any(|client| client.crashed && client.had_seat)
                && s.clients.iter().any(|client| client.uses())
        }),
        Property::sometimes("a seat was kept over a restart", |_: &Seats, s: &State| {
            let mut leases = s.clients.iter().filter_map(|client| client.lease);
            leases.any(|lease| lease.token.boot > lease.token.origin.0)
        }),
        Property::sometimes("a stranger asked during quarantine", |_: &Seats, s: &State| {
            let fresh = |request: &Request| {
                request.boot == s.container.boot && matches!(request.ask, Ask::Open(Op::Drawn(..)))
            };
            s.container.quarantine > 0 && s.requests.keys().any(fresh)
        }),
        Property::sometimes("a seat was granted after quarantine", |_: &Seats, s: &State| {
            !s.container.witness.held.is_empty()
                && s.container.seats.iter().any(|seat| seat.cause == Cause::Request)
        }),
        Property::sometimes("the container was used on another host", |_: &Seats, s: &State| {
            s.container.host > 0 && s.clients.iter().any(|client| client.uses())
        }),
        Property::sometimes("a seat lingered and was retaken", |_: &Seats, s: &State| {
            s.container.seats.iter().any(|seat| matches!(seat.cause, Cause::Linger(_)))
        }),
        Property::sometimes(
            "a lingering seat went to others in the end",
            |_: &Seats, s: &State| {
                let ended =
                    s.clients.iter().any(|client| client.had_seat && client.lease.is_none());
                s.container.lingering.is_empty() && ended && s.clients.iter().any(|c| c.uses())
            },
        ),
        Property::sometimes("the queue served somebody", |_: &Seats, s: &State| {
            let served = s.container.seats.iter().any(|seat| seat.cause == Cause::Queue);
            served && s.clients.iter().any(|client| client.uses())
        }),
        Property::sometimes("two waited at a time", |_: &Seats, s: &State| {
            s.container.queue.len() == 2
        }),
        Property::sometimes("a borrowed seat was used", |_: &Seats, s: &State| {
            s.container.loans.all.iter().any(|loan| loan.is_used())
        }),
        Property::sometimes("a loan was returned by receipt", |_: &Seats, s: &State| {
            s.container.loans.returned > 0
        }),
        Property::sometimes("a loan lapsed, then its receipt came", |_: &Seats, s: &State| {
            let loans = &s.container.loans.all;
            let late =
                |loan: &Loan| loan.lender == Lender::Lapsed && loan.borrower == Borrower::GaveBack;
            loans.iter().any(late)
        }),
    ]
}
