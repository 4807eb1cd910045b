//! The statements for seats. PostgreSQL, which is asked over a connection, gets a whole set of rows
//! with each, as the table `k` of numbers whose columns are arrays: a batch costs few round trips
//! whatever its size. SQLite, which is called, gets one row after the other with a statement that
//! stays prepared: a set would only be copied once more.

use std::borrow::Cow;

use super::seats::{Counter, Seat, SeatChanges, SeatEvent, SeatKey, SeatState};
use super::sql::{Open, Param, Session};
use super::{Purpose, StoreError, Value};

/// A statement over a set of rows.
struct Statement {
    table: &'static str,
    /// Columns of the set.
    columns: &'static [&'static str],
    what: What,
}

enum What {
    /// The rows are new.
    Insert,
    /// Anything else.
    Other {
        /// For one row, whose columns are `?1` and so on.
        one: &'static str,
        /// For the set `k`.
        set: &'static str,
        /// What PostgreSQL needs behind that: SQLite locks everything anyway.
        lock: &'static str,
    },
}

const COUNTERS: Statement = Statement {
    table: "seat_counter",
    columns: &["id"],
    what: What::Other {
        one: "SELECT id, seats, in_use, from_ms, until_ms, timeout_ms, linger_ms, open \
              FROM seat_counter WHERE id = ?1",
        set: "SELECT id, seats, in_use, from_ms, until_ms, timeout_ms, linger_ms, open \
              FROM seat_counter WHERE id IN (SELECT id FROM k) ORDER BY id",
        lock: " FOR UPDATE",
    },
};

const SEATS: Statement = Statement {
    table: "seat",
    columns: &["high", "low", "counter"],
    what: What::Other {
        one: "SELECT high, low, counter, seats, n, state, until_ms, free_ms, seats_left FROM seat \
              WHERE high = ?1 AND low = ?2 AND counter = ?3",
        set: "SELECT high, low, counter, seats, n, state, until_ms, free_ms, seats_left FROM seat \
              WHERE (high, low, counter) IN (SELECT high, low, counter FROM k) \
              ORDER BY high, low, counter",
        lock: " FOR UPDATE",
    },
};

/// What another instance frees at this moment is left to it.
const DUE: Statement = Statement {
    table: "seat",
    columns: &["now_ms", "rows_max"],
    what: What::Other {
        one: "SELECT high, low, counter, seats, n, state, until_ms, free_ms, seats_left FROM seat \
              WHERE free_ms > 0 AND free_ms <= ?1 ORDER BY free_ms LIMIT ?2 + 0",
        set: "SELECT high, low, counter, seats, n, state, until_ms, free_ms, seats_left FROM seat \
              WHERE free_ms > 0 AND free_ms <= (SELECT now_ms FROM k) \
              ORDER BY free_ms LIMIT (SELECT rows_max FROM k)",
        lock: " FOR UPDATE SKIP LOCKED",
    },
};

const OPEN_COUNTERS: Statement = Statement {
    table: "seat_counter",
    columns: &["id", "seats", "in_use", "from_ms", "until_ms", "timeout_ms", "linger_ms", "open"],
    what: What::Insert,
};

const CLOSE_COUNTERS: Statement = Statement {
    table: "seat_counter",
    columns: &["id"],
    what: What::Other {
        one: "UPDATE seat_counter SET open = 0 WHERE id = ?1",
        set: "UPDATE seat_counter SET open = 0 WHERE id IN (SELECT id FROM k)",
        lock: "",
    },
};

const HOLD_COUNTERS: Statement = Statement {
    table: "seat_counter",
    columns: &["id", "from_ms"],
    what: What::Other {
        one: "UPDATE seat_counter SET from_ms = ?2 WHERE id = ?1",
        set: "UPDATE seat_counter SET from_ms = k.from_ms FROM k WHERE seat_counter.id = k.id",
        lock: "",
    },
};

const MOVE_COUNTERS: Statement = Statement {
    table: "seat_counter",
    columns: &["id", "more"],
    what: What::Other {
        one: "UPDATE seat_counter SET in_use = in_use + ?2 WHERE id = ?1 \
              AND in_use + ?2 >= 0 AND (?2 <= 0 OR in_use + ?2 <= seats)",
        set: "UPDATE seat_counter SET in_use = seat_counter.in_use + k.more FROM k \
              WHERE seat_counter.id = k.id AND seat_counter.in_use + k.more >= 0 \
              AND (k.more <= 0 OR seat_counter.in_use + k.more <= seat_counter.seats)",
        lock: "",
    },
};

const ADD_SEATS: Statement = Statement {
    table: "seat",
    columns: &[
        "high",
        "low",
        "counter",
        "seats",
        "n",
        "state",
        "until_ms",
        "free_ms",
        "seats_left",
    ],
    what: What::Insert,
};

const CHANGE_SEATS: Statement = Statement {
    table: "seat",
    columns: ADD_SEATS.columns,
    what: What::Other {
        one: "UPDATE seat SET n = ?5, state = ?6, until_ms = ?7, free_ms = ?8, seats_left = ?9 \
              WHERE high = ?1 AND low = ?2 AND counter = ?3",
        set: "UPDATE seat SET n = k.n, state = k.state, until_ms = k.until_ms, \
              free_ms = k.free_ms, seats_left = k.seats_left FROM k \
              WHERE seat.high = k.high AND seat.low = k.low AND seat.counter = k.counter",
        lock: "",
    },
};

const LOG: Statement = Statement {
    table: "seat_log",
    columns: &[
        "writer", "number", "at_ms", "what", "high", "low", "counter", "n", "seats", "hash_1",
        "hash_2", "hash_3", "hash_4",
    ],
    what: What::Insert,
};

const FORGET: Statement = Statement {
    table: "seat",
    columns: &["below"],
    what: What::Other {
        one: "DELETE FROM seat WHERE free_ms = 0 AND high < ?1",
        set: "DELETE FROM seat WHERE free_ms = 0 AND high < (SELECT below FROM k)",
        lock: "",
    },
};

impl Session {
    pub(super) fn read_counters(&mut self, ids: &[i64]) -> Result<Vec<Counter>, StoreError> {
        let rows = self.rows(&COUNTERS, ids)?;
        let counter = |row: [i64; 8]| {
            let [id, seats, in_use, from_ms, until_ms, timeout_ms, linger_ms, open] = row;
            Counter { id, seats, in_use, from_ms, until_ms, timeout_ms, linger_ms, open }
        };
        Ok(rows.into_iter().map(counter).collect())
    }

    pub(super) fn read_seats(&mut self, keys: &[SeatKey]) -> Result<Vec<Seat>, StoreError> {
        let set: Vec<i64> = keys.iter().flat_map(|key| [key.high, key.low, key.counter]).collect();
        self.rows(&SEATS, &set)?.into_iter().map(seat).collect()
    }

    pub(super) fn read_due(&mut self, now_ms: i64, limit: i64) -> Result<Vec<Seat>, StoreError> {
        self.rows(&DUE, &[now_ms, limit])?.into_iter().map(seat).collect()
    }

    pub(super) fn write_seats(&mut self, changes: &SeatChanges) -> Result<(), StoreError> {
        let opened: Vec<i64> = changes.opened.iter().flat_map(counter_row).collect();
        let held: Vec<i64> = changes.held.iter().flat_map(|(id, from)| [*id, *from]).collect();
        let moved: Vec<i64> = changes.moved.iter().flat_map(|(id, add)| [*id, *add]).collect();
        let added: Vec<i64> = changes.added.iter().flat_map(seat_row).collect();
        let changed: Vec<i64> = changes.changed.iter().flat_map(seat_row).collect();
        let log: Vec<i64> = changes.log.iter().flat_map(log_row).collect();
        self.all(&[(&OPEN_COUNTERS, &opened)])?;
        self.all(&[(&CLOSE_COUNTERS, &changes.closed)])?;
        self.all(&[(&HOLD_COUNTERS, &held)])?;
        self.all(&[
            (&MOVE_COUNTERS, &moved),
            (&ADD_SEATS, &added),
            (&CHANGE_SEATS, &changed),
            (&LOG, &log),
        ])?;
        if let Some(below) = changes.forgotten {
            self.run(&FORGET, &[below])?;
        }
        Ok(())
    }

    /// Statements that change each row once: each row of a set must change one. PostgreSQL gets all
    /// of them as one.
    fn all(&mut self, statements: &[(&Statement, &[i64])]) -> Result<(), StoreError> {
        let rows = |(statement, set): &(&Statement, &[i64])| set.len() / statement.columns.len();
        let wanted: Vec<_> = statements.iter().filter(|one| rows(one) > 0).copied().collect();
        let done: Vec<u64> = match (&mut self.open, &wanted[..]) {
            (Open::Postgres(open), [(first, _), _, ..]) => {
                let (text, params) = in_one(&wanted);
                let found = open.query(first.table, &text, &params)?;
                let counts = found.first().map(Vec::as_slice).unwrap_or_default();
                counts.iter().map(count).collect()
            }
            _ => wanted
                .iter()
                .map(|(statement, set)| self.run(statement, set))
                .collect::<Result<_, _>>()?,
        };
        let is_whole = done.into_iter().eq(wanted.iter().map(|one| rows(one) as u64));
        if is_whole { Ok(()) } else { Err(StoreError::Conflict) }
    }

    fn run(&mut self, statement: &Statement, set: &[i64]) -> Result<u64, StoreError> {
        let (table, width) = (statement.table, statement.columns.len());
        match &mut self.open {
            Open::Sqlite(open) => open.execute_each(table, &statement.one(), set, width),
            Open::Postgres(open) => {
                open.execute(table, &statement.set(1, true), &columns(set, width))
            }
        }
    }

    fn rows<const N: usize>(
        &mut self,
        statement: &Statement,
        set: &[i64],
    ) -> Result<Vec<[i64; N]>, StoreError> {
        if set.is_empty() {
            return Ok(Vec::new());
        }
        let (table, width) = (statement.table, statement.columns.len());
        match &mut self.open {
            Open::Sqlite(open) => open.query_each(table, &statement.one(), set, width),
            Open::Postgres(open) => {
                // What only reads sees one state anyway.
                let text = statement.set(1, self.purpose != Purpose::Read);
                let rows = open.query(table, &text, &columns(set, width))?;
                rows.iter().map(|row| numbers(table, row)).collect()
            }
        }
    }
}

impl Statement {
    /// As SQLite gets it, for each row.
    fn one(&self) -> Cow<'static, str> {
        match self.what {
            What::Other { one, .. } => one.into(),
            What::Insert => {
                let places: Vec<String> =
                    (1..=self.columns.len()).map(|at| format!("?{at}")).collect();
                let names = self.columns.join(", ");
                format!("INSERT INTO {} ({names}) VALUES ({})", self.table, places.join(", "))
                    .into()
            }
        }
    }

    /// As PostgreSQL gets it, whose parameters begin with number `first`, with a lock on what it
    /// finds if it `locks`.
    fn set(&self, first: usize, locks: bool) -> String {
        let arrays = first..first + self.columns.len();
        let arrays: Vec<String> = arrays.map(|at| format!("${at}::bigint[]")).collect();
        let (names, arrays) = (self.columns.join(", "), arrays.join(", "));
        let k = format!("WITH k ({names}) AS (SELECT * FROM unnest({arrays}))");
        match self.what {
            What::Insert => {
                format!("{k} INSERT INTO {} ({names}) SELECT {names} FROM k", self.table)
            }
            What::Other { set, lock, .. } => format!("{k} {set}{}", if locks { lock } else { "" }),
        }
    }
}

/// Statements as one that says how many rows each changed, with its parameters. They see the same
/// rows, so no two may change one.
fn in_one(statements: &[(&Statement, &[i64])]) -> (String, Vec<Param<'static>>) {
    let (mut steps, mut counts, mut params) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (statement, set)) in statements.iter().enumerate() {
        let text = statement.set(params.len() + 1, false);
        steps.push(format!("step_{at} AS ({text} RETURNING 1)"));
        counts.push(format!("(SELECT count(*) FROM step_{at})"));
        params.extend(columns(set, statement.columns.len()));
    }
    (format!("WITH {} SELECT {}", steps.join(", "), counts.join(", ")), params)
}

fn count(value: &Value) -> u64 {
    match value {
        Value::Number(count) => count.cast_unsigned(),
        _ => 0,
    }
}

/// The set by columns.
fn columns(set: &[i64], width: usize) -> Vec<Param<'static>> {
    let column = |at| Param::Numbers(set.iter().skip(at).step_by(width).copied().collect());
    (0..width).map(column).collect()
}

fn numbers<const N: usize>(table: &'static str, row: &[Value]) -> Result<[i64; N], StoreError> {
    let number = |value: &Value| match value {
        Value::Number(number) => Some(*number),
        _ => None,
    };
    let numbers: Option<Vec<i64>> = row.iter().map(number).collect();
    let damaged = || StoreError::Damaged { table, why: "a column without its number".into() };
    numbers.and_then(|numbers| numbers.try_into().ok()).ok_or_else(damaged)
}

fn seat(row: [i64; 9]) -> Result<Seat, StoreError> {
    let [high, low, counter, seats, n, state, until_ms, free_ms, left] = row;
    let key = SeatKey { high, low, counter };
    Ok(Seat { key, seats, n, state: SeatState::of(state)?, until_ms, free_ms, left })
}

fn seat_row(seat: &Seat) -> [i64; 9] {
    let SeatKey { high, low, counter } = seat.key;
    let state = seat.state as i64;
    [high, low, counter, seat.seats, seat.n, state, seat.until_ms, seat.free_ms, seat.left]
}

fn counter_row(own: &Counter) -> [i64; 8] {
    let times = [own.from_ms, own.until_ms, own.timeout_ms, own.linger_ms];
    let [from_ms, until_ms, timeout_ms, linger_ms] = times;
    [own.id, own.seats, own.in_use, from_ms, until_ms, timeout_ms, linger_ms, own.open]
}

fn log_row(event: &SeatEvent) -> [i64; 13] {
    let SeatKey { high, low, counter } = event.key;
    let what = event.what as i64;
    let mut hash = [0; 4];
    for (number, bytes) in hash.iter_mut().zip(event.hash.chunks_exact(8)) {
        *number = bytes.iter().fold(0, |number, byte| number << 8 | i64::from(*byte));
    }
    let [a, b, c, d] = hash;
    let SeatEvent { writer, number, at_ms, n, seats, .. } = *event;
    [writer, number, at_ms, what, high, low, counter, n, seats, a, b, c, d]
}
