//! Rules of seats, at each bound.

use super::*;

const NOW_MS: i64 = 1_800_000_000_000;
const TIMEOUT_MS: i64 = 30_000;
const END_MS: i64 = NOW_MS + 3_600_000;

fn counter(seats: i64, linger_ms: i64) -> Counter {
    Counter {
        id: 1,
        seats,
        in_use: 0,
        from_ms: NOW_MS - 10,
        until_ms: END_MS,
        timeout_ms: TIMEOUT_MS,
        linger_ms,
        open: 1,
    }
}

fn key(number: i64) -> SeatKey {
    SeatKey { high: NOW_MS << 16 | 0x7000 | number, low: i64::MIN, counter: 1 }
}

/// Rows as a store has them.
struct Rows {
    counter: Counter,
    seats: BTreeMap<SeatKey, Seat>,
    log: SeatLog,
    events: Vec<SeatEvent>,
}

impl Rows {
    fn new(counter: Counter) -> Self {
        let (seats, events) = (BTreeMap::new(), Vec::new());
        Rows { counter, seats, log: SeatLog::begin(7), events }
    }

    /// One request at a time, in a commit of its own; `taken` are those that count then.
    fn ask(&mut self, now_ms: i64, number: i64, n: i64, what: Wish) -> Outcome<Held> {
        self.batch(now_ms, &[Request { key: key(number), n, what }]).remove(0)
    }

    fn batch(&mut self, now_ms: i64, requests: &[Request]) -> Vec<Outcome<Held>> {
        let seats: Vec<Seat> = self.seats.values().copied().collect();
        let mut book = Book::open(now_ms, &[self.counter], &seats);
        let held = requests.iter().map(|request| book.ask(request)).collect();
        let (changes, log) = book.close(&self.log);
        for (id, more) in &changes.moved {
            assert_eq!(*id, self.counter.id);
            self.counter.in_use += more;
            assert!((0..=self.counter.seats).contains(&self.counter.in_use), "{changes:?}");
        }
        for seat in &changes.added {
            assert!(self.seats.insert(seat.key, *seat).is_none());
        }
        for seat in &changes.changed {
            assert!(self.seats.insert(seat.key, *seat).is_some());
        }
        self.log = log;
        self.events.extend(changes.log);
        held
    }

    fn take(&mut self, now_ms: i64, number: i64) -> Outcome<Held> {
        self.ask(now_ms, number, 0, Wish::Take(1))
    }
}

#[track_caller]
fn refused<T: std::fmt::Debug>(done: Outcome<T>, code: ErrorCode) {
    let Err(Refusal::Told(shown)) = done else { panic!("{done:?}") };
    assert_eq!(shown.failure().and_then(|failure| failure.known()), Some(code));
}

#[test]
fn sec_f1_no_more_seats_are_held_than_there_are_also_within_a_commit() {
    let mut rows = Rows::new(counter(3, 0));
    let take = |number, seats| Request { key: key(number), n: 0, what: Wish::Take(seats) };
    let done = rows.batch(NOW_MS, &[take(1, 2), take(2, 2), take(3, 1), take(4, 1)]);
    let held: Vec<bool> = done.iter().map(Result::is_ok).collect();
    assert_eq!(held, [true, false, true, false]);
    refused(done[1].clone(), ErrorCode::SeatsTaken);
    assert_eq!((rows.counter.in_use, done[2].clone().unwrap().seat.left), (3, 0));
    // What was refused has left nothing, and may be asked for again.
    rows.ask(NOW_MS, 1, 1, Wish::Return).unwrap();
    assert_eq!(rows.ask(NOW_MS, 2, 0, Wish::Take(2)).unwrap().seat.left, 0);
}

#[test]
fn sec_f2_numbers_rise_and_the_last_one_is_answered_again() {
    let mut rows = Rows::new(counter(2, 0));
    let first = rows.take(NOW_MS, 1).unwrap();
    assert_eq!(rows.take(NOW_MS + 5, 1), Ok(first));
    refused(rows.ask(NOW_MS, 1, 0, Wish::Take(2)), ErrorCode::SeatOutOfTurn);
    refused(rows.ask(NOW_MS, 1, 0, Wish::Keep), ErrorCode::SeatOutOfTurn);
    let third = rows.ask(NOW_MS + 10, 1, 3, Wish::Keep).unwrap();
    assert_eq!(third.seat.until_ms, NOW_MS + 10 + TIMEOUT_MS);
    // Others came and went: the answer is the same.
    rows.take(NOW_MS + 11, 2).unwrap();
    assert_eq!(rows.ask(NOW_MS + 20, 1, 3, Wish::Keep), Ok(third));
    for n in [-1, 0, 1, 2] {
        refused(rows.ask(NOW_MS + 20, 1, n, Wish::Keep), ErrorCode::SeatOutOfTurn);
        refused(rows.ask(NOW_MS + 20, 1, n, Wish::Return), ErrorCode::SeatOutOfTurn);
    }
    refused(rows.ask(NOW_MS + 20, 1, 3, Wish::Return), ErrorCode::SeatOutOfTurn);
    refused(rows.take(NOW_MS + 20, 1), ErrorCode::SeatOutOfTurn);
    let back = rows.ask(NOW_MS + 20, 1, 4, Wish::Return).unwrap();
    assert_eq!(rows.ask(NOW_MS + 90_000, 1, 4, Wish::Return), Ok(back));
    assert_eq!(rows.counter.in_use, 0);
}

#[test]
fn sec_f6_a_seat_that_is_over_does_not_come_back() {
    let mut rows = Rows::new(counter(1, 0));
    rows.take(NOW_MS, 1).unwrap();
    rows.ask(NOW_MS, 1, 1, Wish::Return).unwrap();
    for what in [Wish::Keep, Wish::Take(1)] {
        refused(rows.ask(NOW_MS, 1, 2, what), ErrorCode::SeatOver);
        refused(rows.ask(NOW_MS, 1, 1, what), ErrorCode::SeatOver);
    }
    refused(rows.ask(NOW_MS, 1, 2, Wish::Return), ErrorCode::SeatOver);
    rows.take(NOW_MS, 2).unwrap();
    // In the last millisecond it is held; in the next it is over, whoever has it then.
    let end_ms = NOW_MS + TIMEOUT_MS;
    refused(rows.take(end_ms - 1, 3), ErrorCode::SeatsTaken);
    refused(rows.ask(end_ms, 2, 1, Wish::Keep), ErrorCode::SeatOver);
    refused(rows.ask(end_ms, 2, 1, Wish::Return), ErrorCode::SeatOver);
    refused(rows.take(end_ms, 2), ErrorCode::SeatOver);
    // Its holder's clock may be slower.
    refused(rows.take(end_ms + GRACE_MS - 1, 3), ErrorCode::SeatsTaken);
    rows.take(end_ms + GRACE_MS, 3).unwrap();
    refused(rows.ask(end_ms, 9, 1, Wish::Keep), ErrorCode::SeatOver);
    assert_eq!(rows.counter.in_use, 1);
}

#[test]
fn a_heartbeat_in_the_last_millisecond_keeps_it() {
    let mut rows = Rows::new(counter(1, 0));
    rows.take(NOW_MS, 1).unwrap();
    let late_ms = NOW_MS + TIMEOUT_MS - 1;
    let held = rows.ask(late_ms, 1, 1, Wish::Keep).unwrap();
    assert_eq!(held.seat.until_ms, late_ms + TIMEOUT_MS);
    refused(rows.take(NOW_MS + TIMEOUT_MS + GRACE_MS, 2), ErrorCode::SeatsTaken);
}

#[test]
fn a_seat_lingers_when_it_was_given_back_or_lost_and_is_counted_once() {
    let mut rows = Rows::new(counter(2, 5000));
    rows.take(NOW_MS, 1).unwrap();
    rows.take(NOW_MS, 2).unwrap();
    rows.ask(NOW_MS + 1000, 1, 1, Wish::Return).unwrap();
    refused(rows.take(NOW_MS + 5999, 3), ErrorCode::SeatsTaken);
    rows.take(NOW_MS + 6000, 3).unwrap();
    let lost_ms = NOW_MS + TIMEOUT_MS;
    refused(rows.ask(lost_ms, 2, 1, Wish::Keep), ErrorCode::SeatOver);
    refused(rows.ask(lost_ms, 2, 1, Wish::Return), ErrorCode::SeatOver);
    refused(rows.take(lost_ms + GRACE_MS + 4999, 4), ErrorCode::SeatsTaken);
    rows.take(lost_ms + GRACE_MS + 5000, 4).unwrap();
    let done: Vec<(SeatEventKind, SeatKey)> =
        rows.events.iter().map(|event| (event.what, event.key)).collect();
    use SeatEventKind::{Lapse, Return, Take};
    let expected = [(Take, 1), (Take, 2), (Return, 1), (Take, 3), (Lapse, 2), (Take, 4)];
    assert_eq!(done, expected.map(|(what, number)| (what, key(number))));
    assert_eq!(first_break(&rows.events), None);
}

#[test]
fn seats_are_given_from_the_start_to_the_end_of_the_license_and_none_is_held_past_it() {
    let mut rows = Rows::new(counter(3, 0));
    refused(rows.take(NOW_MS - 11, 1), ErrorCode::SeatsWait);
    rows.take(NOW_MS - 10, 1).unwrap();
    let held = rows.take(END_MS - 1, 2).unwrap();
    assert_eq!(held.seat.until_ms, END_MS);
    refused(rows.take(END_MS, 3), ErrorCode::ServingEnds);
    refused(rows.ask(END_MS, 2, 1, Wish::Keep), ErrorCode::SeatOver);
    rows.counter.open = 0;
    rows.seats.clear();
    rows.counter.in_use = 0;
    refused(rows.take(NOW_MS, 4), ErrorCode::ServingEnds);
}

#[test]
fn no_heartbeat_counts_when_serving_ends() {
    let mut rows = Rows::new(counter(1, 0));
    rows.take(NOW_MS, 1).unwrap();
    rows.counter.open = 0;
    refused(rows.ask(NOW_MS + 1, 1, 1, Wish::Keep), ErrorCode::ServingEnds);
    rows.ask(NOW_MS + 2, 1, 1, Wish::Return).unwrap();
    assert_eq!(rows.counter.in_use, 0);
}

#[test]
fn a_session_is_of_today_so_that_no_forgotten_one_comes_back() {
    let mut rows = Rows::new(Counter { from_ms: 0, until_ms: i64::MAX, ..counter(9, 0) });
    let day_ms = 24 * 3600 * 1000;
    refused(rows.take(NOW_MS - 3_600_001, 1), ErrorCode::SessionRefused);
    rows.take(NOW_MS - 3_600_000, 2).unwrap();
    rows.take(NOW_MS + day_ms, 3).unwrap();
    refused(rows.take(NOW_MS + day_ms + 1, 4), ErrorCode::SessionRefused);
    // It is forgotten only when it is refused for its age.
    let below = forgotten_below(NOW_MS + day_ms);
    assert!(key(1).high >= below);
    assert!(key(1).high < forgotten_below(NOW_MS + 2 * day_ms + 1));
}

#[test]
fn sessions_are_version_7_and_nothing_else() {
    let (high, low) = session("019a0000-0000-7000-8000-000000000001").unwrap();
    let key = SeatKey { high, low, counter: 1 };
    assert_eq!(session_text(&key), "019a0000-0000-7000-8000-000000000001");
    assert_eq!(drawn_ms(&key), 0x019a_0000_0000);
    for bad in ["", "x", "019a0000-0000-4000-8000-000000000001", "019a0000"] {
        refused(session(bad), ErrorCode::RequestMalformed);
    }
}

#[test]
fn how_many_may_be_taken_at_once_has_bounds() {
    let mut rows = Rows::new(counter(i64::from(u32::MAX), 0));
    for seats in [-1, 0, 10_001, i64::MAX] {
        let asked = rows.ask(NOW_MS, 1, 0, Wish::Take(seats));
        refused(asked, ErrorCode::RequestMalformed);
    }
    refused(rows.ask(NOW_MS, 1, 1, Wish::Take(1)), ErrorCode::RequestMalformed);
    rows.ask(NOW_MS, 1, 0, Wish::Take(10_000)).unwrap();
}

#[test]
fn a_row_of_the_log_that_was_changed_or_left_out_is_found() {
    let mut rows = Rows::new(counter(9, 0));
    for number in 1..=4 {
        rows.take(NOW_MS, number).unwrap();
    }
    assert_eq!((first_break(&rows.events), rows.events.len()), (None, 4));
    let mut changed = rows.events.clone();
    changed[1].seats = 2;
    assert_eq!(first_break(&changed).map(|event| event.number), Some(2));
    let mut missing = rows.events.clone();
    missing.remove(1);
    assert_eq!(first_break(&missing).map(|event| event.number), Some(3));
}

/// Any order of requests in any batches: the counter says what is held, and never too much.
#[test]
fn whatever_comes_the_counter_is_the_sum_of_what_counts() {
    use proptest::prelude::*;
    let what = prop_oneof![(1..4_i64).prop_map(Wish::Take), Just(Wish::Keep), Just(Wish::Return),];
    let request = (0..6_i64, 0..5_i64, what).prop_map(|(number, n, what)| Request {
        key: key(number),
        n,
        what,
    });
    let batch = (0..20_000_i64, prop::collection::vec(request, 1..6));
    let linger = prop_oneof![Just(0_i64), Just(7_000)];
    proptest!(|(batches in prop::collection::vec(batch, 1..40), linger_ms in linger)| {
        let mut rows = Rows::new(counter(5, linger_ms));
        let mut now_ms = NOW_MS;
        for (more_ms, requests) in batches {
            now_ms += more_ms;
            rows.batch(now_ms, &requests);
            let counted = rows.seats.values().filter(|seat| seat.free_ms > 0);
            prop_assert_eq!(counted.map(|seat| seat.seats).sum::<i64>(), rows.counter.in_use);
            let held = rows.seats.values().filter(|seat| {
                seat.state == SeatState::Held && now_ms < seat.until_ms
            });
            prop_assert!(held.map(|seat| seat.seats).sum::<i64>() <= 5);
        }
        prop_assert!(first_break(&rows.events).is_none());
    });
}

#[test]
fn sec_f3_before_lost_seats_are_over_none_is_given_nor_said_to_be_over() {
    let mut rows = Rows::new(counter(2, 0));
    rows.take(NOW_MS, 1).unwrap();
    let over_ms = NOW_MS + 5001;
    rows.counter.from_ms = over_ms;

    for (number, (n, what)) in [
        (2, (0, Wish::Take(1))),
        // Nobody knows these any more.
        (3, (4, Wish::Keep)),
        (3, (4, Wish::Return)),
        // An old state of the records has this one, and others took it since, perhaps.
        (1, (0, Wish::Take(1))),
        (1, (1, Wish::Keep)),
    ] {
        refused(rows.ask(over_ms - 1, number, n, what), ErrorCode::SeatsWait);
    }
    let until_s = u64::try_from(over_ms / 1000 + 1).unwrap();
    let Err(Refusal::Told(shown)) = rows.take(over_ms - 1, 2) else { panic!("it is given") };
    assert_eq!(shown.failure(), Some(ErrorCode::SeatsWait.with(until_s, 0)));
    rows.counter.open = 0;
    refused(rows.take(over_ms - 1, 2), ErrorCode::ServingEnds);
    refused(rows.ask(over_ms - 1, 3, 4, Wish::Keep), ErrorCode::ServingEnds);
    rows.counter.open = 1;
    rows.take(over_ms, 2).unwrap();
    refused(rows.ask(over_ms, 3, 4, Wish::Keep), ErrorCode::SeatOver);
}
