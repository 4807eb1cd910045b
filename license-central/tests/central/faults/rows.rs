//! All rows of a database, read past the store, as whoever opens it later finds them; and how they
//! are put back.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::time::Duration;

use license_central::store::tables;
use serde_json::Value;
use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, raw_sql};
use tokio::runtime::Runtime;

/// Tables of numbers, with what is alike however often something was tried.
const SEATS: [(&str, &[&str]); 3] = [
    ("seat_counter", &["id", "seats", "in_use", "timeout_ms", "linger_ms", "open"]),
    ("seat", &["high", "low", "counter", "seats", "n", "state", "until_ms", "free_ms"]),
    ("seat_log", &["what", "high", "low", "counter", "n", "seats"]),
];

/// A connection of its own.
pub(crate) enum Rows {
    Sqlite(rusqlite::Connection),
    Postgres(Runtime, Box<PgConnection>),
}

impl Rows {
    /// Of the embedded database in this file.
    pub(crate) fn sqlite(path: &Path) -> Self {
        let open = rusqlite::Connection::open(path).expect("a database");
        // What it writes need not survive this machine.
        open.pragma_update(None, "synchronous", "OFF").expect("SQL");
        open.busy_timeout(Duration::from_secs(5)).expect("SQL");
        Rows::Sqlite(open)
    }

    /// Of the PostgreSQL at this URL.
    pub(crate) fn postgres(url: &str) -> Self {
        let runtime = Runtime::new().expect("threads");
        let open = runtime.block_on(PgConnection::connect(url)).expect("a database");
        Rows::Postgres(runtime, Box::new(open))
    }

    /// Keeps a copy of all.
    pub(crate) fn keep(&mut self) {
        let copy =
            |name: &str| format!("CREATE TEMPORARY TABLE kept_{name} AS SELECT * FROM {name};");
        self.run(names().map(copy).collect());
    }

    /// Puts these tables back as they were kept.
    pub(crate) fn put_back(&mut self, tables: &BTreeSet<&str>) {
        let back = |name: &&str| {
            format!("DELETE FROM {name}; INSERT INTO {name} SELECT * FROM kept_{name};")
        };
        if !tables.is_empty() {
            self.run(format!("BEGIN; {} COMMIT;", tables.iter().map(back).collect::<String>()));
        }
    }

    fn run(&mut self, text: String) {
        match self {
            Rows::Sqlite(open) => open.execute_batch(&text).expect("SQL"),
            Rows::Postgres(runtime, open) => {
                let ran = runtime.block_on(raw_sql(AssertSqlSafe(text)).execute(&mut **open));
                ran.map(drop).expect("SQL");
            }
        }
    }

    /// One line for each row, in an order that is the same for the same rows.
    pub(crate) fn lines(&mut self) -> Vec<String> {
        let text = everything();
        let mut lines: Vec<String> = match self {
            Rows::Sqlite(open) => {
                let mut found = open.prepare(&text).expect("SQL");
                let lines = found.query_map([], |row| row.get(0)).expect("rows");
                lines.collect::<Result<_, _>>().expect("rows")
            }
            Rows::Postgres(runtime, open) => {
                let text = AssertSqlSafe(text);
                let read = sqlx::query_scalar::<_, String>(text).fetch_all(&mut **open);
                runtime.block_on(read).expect("rows")
            }
        };
        lines.iter_mut().filter(|line| line.starts_with("audit ")).for_each(unchain);
        lines.sort_unstable();
        lines
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let records = tables::ALL.iter().map(|table| table.name);
    records.chain(SEATS.iter().map(|(name, _)| *name))
}

fn everything() -> String {
    let of = |(name, columns): (&str, Vec<&str>)| {
        let text = |column: &&str| format!("COALESCE(CAST({column} AS TEXT), '-')");
        let columns: Vec<String> = columns.iter().map(text).collect();
        format!("SELECT '{name} ' || {} FROM {name}", columns.join(" || ' ' || "))
    };
    let records = tables::ALL.iter().map(|table| match table.name {
        // Where it stands in which chain follows from how often something was tried.
        "audit" => (table.name, vec!["tenant", "body"]),
        name => {
            let own = table.columns.iter().map(|column| column.name);
            // A container is written anew whenever it shows itself, be it as it was.
            let version = (name != "container").then_some("version");
            (name, ["tenant", "id", "body"].into_iter().chain(version).chain(own).collect())
        }
    });
    let seats = SEATS.iter().map(|(name, columns)| (*name, columns.to_vec()));
    records.chain(seats).map(of).collect::<Vec<_>>().join(" UNION ALL ")
}

fn unchain(line: &mut String) {
    let at = line.find('{').expect("JSON");
    let mut entry: Value = serde_json::from_str(&line[at..]).expect("JSON");
    for field in ["writer", "number", "before"] {
        entry.as_object_mut().expect("an entry").remove(field).expect("a field");
    }
    line.replace_range(at.., &entry.to_string());
}

/// The table of a line.
pub(crate) fn table_of(line: &str) -> &str {
    line.split(' ').next().expect("a table")
}

/// What is drawn at random, made alike but for what was there before: ids, hashes, secrets.
pub(crate) struct Known {
    words: HashSet<String>,
    /// Lines that were there, which stay as they are.
    lines: HashSet<String>,
}

/// Digits of what is drawn.
const DRAWN: usize = 16;

/// Characters of a ticket that are shown.
const HINT: usize = 5;

impl Known {
    /// What these lines name.
    pub(crate) fn of(lines: &[String]) -> Self {
        let words = lines.iter().flat_map(|line| line.split(|c: char| !c.is_ascii_hexdigit()));
        let words = words.filter(|word| word.len() >= DRAWN).map(str::to_owned).collect();
        Known { words, lines: lines.iter().cloned().collect() }
    }

    pub(crate) fn alike(&self, mut lines: Vec<String>) -> Vec<String> {
        for line in lines.iter_mut().filter(|line| !self.lines.contains(*line)) {
            *line = self.line(line);
        }
        lines.sort_unstable();
        lines
    }

    fn line(&self, line: &str) -> String {
        let mut out = String::with_capacity(line.len());
        for part in line.split_inclusive(|c: char| !c.is_ascii_hexdigit()) {
            let run = part.trim_end_matches(|c: char| !c.is_ascii_hexdigit());
            let is_new = run.len() >= DRAWN && !self.words.contains(run);
            out.push_str(if is_new { "#" } else { run });
            out.push_str(&part[run.len()..]);
        }
        // The first characters of a ticket: in its row, and where they stand for it.
        let places = [out.find("\"hint\":\"").map(|at| at + 8), out.find('…').map(|at| at - HINT)];
        for at in places.into_iter().flatten() {
            out.replace_range(at..at + HINT, "#####");
        }
        out
    }
}
