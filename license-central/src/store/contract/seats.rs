//! Seats: the statements of each store leave and find the same rows as the tables in memory.

use super::super::seats::{
    Counter, Seat, SeatChanges, SeatEvent, SeatEventKind, SeatKey, SeatState, SeatTables,
};
use super::*;

fn counter(id: i64, seats: i64) -> Counter {
    let (from_ms, until_ms) = (-id, i64::MAX - id);
    Counter { id, seats, in_use: 0, from_ms, until_ms, timeout_ms: 30, linger_ms: id, open: 1 }
}

fn seat(number: i64, counter: i64) -> Seat {
    let key = SeatKey { high: number, low: i64::MIN + number, counter };
    let state = SeatState::Held;
    Seat { key, seats: 1, n: 0, state, until_ms: 50 + number, free_ms: 60 + number, left: number }
}

fn event(number: i64, what: SeatEventKind) -> SeatEvent {
    let mut hash = [0xff; 32];
    hash[..8].copy_from_slice(&number.to_be_bytes());
    let SeatKey { high, low, counter } = seat(number, 1).key;
    let key = SeatKey { high, low, counter };
    SeatEvent { writer: 1 << 60, number, at_ms: 5, what, key, n: 1, seats: 2, hash }
}

/// Counters, seats, and seats that are due.
type Found = (Vec<Counter>, Vec<Seat>, Vec<Seat>);

/// What can be asked for.
fn look(open: &mut dyn Transaction) -> Result<Found, StoreError> {
    let keys: Vec<SeatKey> =
        (0..400).flat_map(|number| [seat(number, 1).key, seat(number, 2).key]).collect();
    let mut seats = open.seats(&keys)?;
    seats.sort_by_key(|seat| seat.key);
    let mut counters = open.counters(&[1, 2, 3, 4, 5])?;
    counters.sort_by_key(|counter| counter.id);
    let mut due = open.due_seats(200, 1000)?;
    due.sort_by_key(|seat| (seat.free_ms, seat.key));
    Ok((counters, seats, due))
}

/// Each change is made in both; what is refused is refused by both, and leaves nothing.
pub(super) fn seats_are_as_in_memory(store: &dyn Store) {
    let memory = MemoryStore::default();
    let both = |changes: &SeatChanges| {
        let change = |store: &dyn Store| {
            store.transact(Purpose::Seats, &mut |open| open.change_seats(changes))
        };
        let done = change(store);
        assert_eq!(done, change(&memory));
        for purpose in [Purpose::Read, Purpose::Seats] {
            let mut found = Vec::new();
            for store in [store, &memory as &dyn Store] {
                let read = store.transact(purpose, &mut |open| {
                    found.push(look(open)?);
                    Ok(())
                });
                read.unwrap();
            }
            assert!(found[0] == found[1], "other rows, seen to {purpose:?}");
        }
        done
    };
    let none = SeatChanges::default;
    let opened = (1..=5).map(|id| counter(id, 300)).collect();
    both(&SeatChanges { opened, ..none() }).unwrap();
    let again = vec![counter(6, 1), counter(3, 1)];
    let taken = |table| Err(StoreError::Taken { table });
    assert_eq!(both(&SeatChanges { opened: again, ..none() }), taken("seat_counter"));
    // More than one statement of SQLite takes at once.
    let added: Vec<Seat> = (0..150).flat_map(|number| [seat(number, 1), seat(number, 2)]).collect();
    let moved = vec![(1, 150), (2, 150)];
    let log = (1..=300).map(|number| event(number, SeatEventKind::Take)).collect();
    both(&SeatChanges { added, moved, log, ..none() }).unwrap();
    let twice = vec![seat(200, 1), seat(149, 2)];
    assert_eq!(both(&SeatChanges { added: twice, ..none() }), taken("seat"));
    let conflict = Err(StoreError::Conflict);
    for moved in [vec![(1, 151)], vec![(3, 1), (1, -151)], vec![(9, 0)], vec![(3, 0), (9, 1)]] {
        assert_eq!(both(&SeatChanges { moved, ..none() }), conflict);
    }
    let moved = vec![(1, 150), (2, -150), (3, 300), (4, 0)];
    both(&SeatChanges { moved, closed: vec![2, 5], ..none() }).unwrap();
    assert_eq!(both(&SeatChanges { closed: vec![4, 9], ..none() }), conflict);
    both(&SeatChanges { held: vec![(2, 77), (5, i64::MAX)], ..none() }).unwrap();
    assert_eq!(both(&SeatChanges { held: vec![(4, 1), (9, 1)], ..none() }), conflict);
    let changed: Vec<Seat> = (0..130)
        .map(|number| {
            let state = [SeatState::Held, SeatState::Returned, SeatState::Lapsed];
            let state = state[number as usize % 3];
            let free_ms = if number % 2 == 0 { 0 } else { 90 };
            Seat { n: number, state, until_ms: 7, free_ms, left: -1, ..seat(number, 1) }
        })
        .collect();
    let log = vec![event(301, SeatEventKind::Return), event(302, SeatEventKind::Lapse)];
    both(&SeatChanges { changed, log: log.clone(), ..none() }).unwrap();
    assert_eq!(both(&SeatChanges { log, ..none() }), taken("seat_log"), "a number is used once");
    assert_eq!(both(&SeatChanges { changed: vec![seat(390, 1)], ..none() }), conflict);
    both(&SeatChanges { forgotten: Some(100), ..none() }).unwrap();
    both(&none()).unwrap();
}

#[test]
fn what_is_due_comes_in_order_and_not_all_at_once() {
    let mut tables = SeatTables::default();
    let added = [3, 1, 2].map(|number| seat(number, 1)).to_vec();
    tables.change(&SeatChanges { added, ..SeatChanges::default() }).unwrap();
    assert_eq!(tables.due(62, 9), [seat(1, 1), seat(2, 1)]);
    assert_eq!(tables.due(90, 2), [seat(1, 1), seat(2, 1)]);
    assert_eq!(tables.due(60, 9), []);
}
