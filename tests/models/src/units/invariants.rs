//! What is promised about units and their log, and what must happen sometimes for that to mean
//! anything.

use stateright::Property;

use super::client::Use;
use super::container::{Reservation, Standing, Store};
use super::server::Update;
use super::{Body, Entry, State, Units};

/// No unit appears or is lost.
pub const U1: &str = "U1 issued = free + reserved + held + used + written off + on the way";
/// What is used stays used.
pub const U2: &str = "U2 used never falls, the balance is never negative";
/// Pay, then use.
pub const U3: &str = "U3 what is granted for use is paid durably";
/// Repeating changes nothing.
pub const U4: &str = "U4 a repeated request has one effect";
/// Nothing comes back that was not reserved.
pub const U5: &str = "U5 no more is refunded than was reserved and not used";
/// One history.
pub const L1: &str = "L1 what the server takes in extends what it took in, or a fork is reported";
/// Nothing is left out.
pub const L2: &str = "L2 the log has no gap and tells all that happened";
/// Nothing is deleted early.
pub const L3: &str = "L3 what is deleted was acknowledged and is durable at the server";
/// Each entry is billed once.
pub const L4: &str = "L4 what is billed is what was acknowledged, once";

/// All of them. An image that was put back breaks what is promised about units: for a container
/// without an anchor the promise is then that the fork is reported.
pub fn all() -> Vec<Property<Units>> {
    let mut rows = vec![
        Property::always(U1, |model: &Units, s: &State| cloned(model, s) || units_add_up(model, s)),
        Property::always(U2, |model: &Units, s: &State| {
            let durable = &s.container.durable;
            cloned(model, s) || (durable.used() >= s.container.most_used && durable.balance >= 0)
        }),
        Property::always(U3, |model: &Units, s: &State| cloned(model, s) || uses_are_paid(s)),
        Property::always(U4, |_: &Units, s: &State| one_effect(&s.container.ram)),
        Property::always(U5, |_: &Units, s: &State| {
            s.container.ram.reservations.iter().all(refund_is_covered)
        }),
        Property::always(L1, |_: &Units, s: &State| one_history(s)),
        Property::always(L2, |_: &Units, s: &State| tells_all(&s.container.ram)),
        Property::always(L3, |_: &Units, s: &State| {
            let store = &s.container.ram;
            s.server.durable.log.starts_with(&store.log[..store.pruned])
        }),
        Property::always(L4, |_: &Units, s: &State| {
            let books = &s.server.ram;
            books.billed.len() == books.log.len() && books.billed.iter().all(|&times| times == 1)
        }),
    ];
    rows.extend(sometimes());
    rows
}

/// Whether the memory is an old image: either it is used as if nothing had been, or an anchor has
/// locked it.
fn cloned(model: &Units, state: &State) -> bool {
    let container = &state.container;
    container.restored && (!model.scene.anchored || model.is_locked(container))
}

fn units_add_up(model: &Units, state: &State) -> bool {
    let top_up = |update: &&Update| **update == Update::TopUp;
    let issued = state.server.updates.iter().filter(top_up).count();
    let store = &state.container.ram;
    let coming = state.server.updates.iter().skip(store.applied).filter(top_up).count();
    let booked = store.used() + store.that(Standing::Open) + store.that(Standing::Held);
    let here = store.balance + booked + store.written_off();
    model.scene.units + issued as i8 == here + coming as i8
}

/// Nothing is used but what a durable reservation covers.
fn uses_are_paid(state: &State) -> bool {
    let reservations = &state.container.durable.reservations;
    let is_paid = |op: usize, stage: &Use| {
        let known = reservations.iter().find(|known| known.op == op);
        let paid = known.map(|known| match known.standing {
            Standing::Used(used) => used,
            _ => known.units,
        });
        !stage.is_granted() || paid.is_some_and(|paid| stage.used() <= paid)
    };
    state.uses.iter().enumerate().all(|(op, stage)| is_paid(op, stage))
}

fn one_effect(store: &Store) -> bool {
    let ops: Vec<_> = store.reservations.iter().map(|known| known.op).collect();
    let told: Vec<_> = store.log.iter().map(|entry| what(entry.body)).collect();
    !has_twice(&ops) && !has_twice(&told)
}

/// What may happen once only: a use ends, a session is lost, or an update is applied.
fn what(body: Body) -> (u8, usize) {
    match body {
        Body::Used(op, _) | Body::Charged(op, _) | Body::Held(op, _) => (0, op),
        Body::ToppedUp(number) | Body::Settled(number, _) => (1, number),
    }
}

fn refund_is_covered(known: &Reservation) -> bool {
    let used = match known.standing {
        Standing::Used(used) => used,
        Standing::Charged => known.units,
        Standing::Open | Standing::Held | Standing::Settled(_) => 0,
    };
    known.refunded + used <= known.units
}

/// All that was ever acknowledged is one history, and what contradicted it was reported.
fn one_history(state: &State) -> bool {
    let mut acks: Vec<&Vec<Entry>> = state.acks.iter().collect();
    acks.sort_by_key(|history| history.len());
    let one = acks.windows(2).all(|pair| pair[1].starts_with(pair[0]));
    one && (!state.server.contradicted || state.server.ram.fork_reported)
}

fn tells_all(store: &Store) -> bool {
    let in_order = store.log.iter().enumerate().all(|(at, entry)| usize::from(entry.seq) == at);
    let told = |wanted: (u8, usize)| store.log.iter().any(|entry| what(entry.body) == wanted);
    let mut over = store.reservations.iter().filter(|known| known.standing != Standing::Open);
    in_order && over.all(|known| told((0, known.op))) && (1..=store.applied).all(|n| told((1, n)))
}

fn has_twice<T: PartialEq>(all: &[T]) -> bool {
    all.iter().enumerate().any(|(at, one)| all[..at].contains(one))
}

fn any_stands(state: &State, so: impl Fn(&Reservation) -> bool) -> bool {
    state.container.durable.reservations.iter().any(so)
}

fn sometimes() -> Vec<Property<Units>> {
    vec![
        Property::sometimes("a use was paid and used in full", |model: &Units, s: &State| {
            s.uses.iter().zip(&model.scene.uses).any(|(stage, units)| stage.used() == *units)
        }),
        Property::sometimes("what was not used came back", |_: &Units, s: &State| {
            any_stands(s, |known| known.refunded > 0 && matches!(known.standing, Standing::Used(_)))
        }),
        Property::sometimes(
            "a reservation was made and its answer lost",
            |_: &Units, s: &State| {
                any_stands(s, |known| {
                    s.uses[known.op] == Use::Asked && !s.granted.contains(&known.op)
                })
            },
        ),
        Property::sometimes("a lost session was charged", |_: &Units, s: &State| {
            any_stands(s, |known| known.standing == Standing::Charged)
        }),
        Property::sometimes("a use went on when its session was lost", |_: &Units, s: &State| {
            let spends = |op: usize| matches!(s.uses[op], Use::Granted(used) if used > 0);
            any_stands(s, |known| known.standing == Standing::Charged && spends(known.op))
        }),
        Property::sometimes("a lost session was held", |_: &Units, s: &State| {
            any_stands(s, |known| known.standing == Standing::Held)
        }),
        Property::sometimes("the vendor gave back what was held", |_: &Units, s: &State| {
            any_stands(s, |known| matches!(known.standing, Standing::Settled(back) if back > 0))
        }),
        Property::sometimes("the vendor wrote off what was held", |_: &Units, s: &State| {
            s.container.durable.written_off() > 0
        }),
        Property::sometimes("a top-up paid for a use", |model: &Units, s: &State| {
            s.container.durable.used() > model.scene.units
        }),
        Property::sometimes(
            "an update was decided for what came back otherwise",
            |_: &Units, s: &State| {
                let settled = |update: &Update| matches!(update, Update::Settle(..));
                s.server.updates.iter().filter(|update| settled(update)).count() == 2
            },
        ),
        Property::sometimes("all of the log was deleted", |_: &Units, s: &State| {
            let store = &s.container.durable;
            store.pruned > 1 && store.pruned == store.log.len()
        }),
        Property::sometimes(
            "entries came before those that precede them",
            |_: &Units, s: &State| {
                s.uploads.iter().any(|upload| upload.from > s.server.durable.log.len())
            },
        ),
        Property::sometimes("a log was taken in, in pieces", |_: &Units, s: &State| {
            s.acks.len() > 1 && s.uploads.iter().any(|upload| upload.from > 0)
        }),
        Property::sometimes("an anchor locked an old image", |model: &Units, s: &State| {
            model.scene.anchored && s.container.durable.commits < s.container.anchor
        }),
        Property::sometimes("an old image was reported as a fork", |_: &Units, s: &State| {
            s.container.restored && s.server.durable.fork_reported
        }),
    ]
}
