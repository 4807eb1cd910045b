//! Every storage call of every route fails, on the real stores: the answer says so, nothing is half
//! done, and the same request repeated does it once.

mod disk;
mod rows;
mod scenes;

use std::collections::BTreeMap;
use std::sync::Arc;

use license_central::api::front::Settings;
use license_central::api::limits::{Rate, Rates};
use license_central::clock::SystemClock;
use license_central::domain::central::{Central, Clock};
use license_central::domain::env::SystemRandom;
use license_central::domain::firm::Firm;
use license_central::domain::keys::Secret;
use license_central::store::{SqlStore, StoreError};
use serde_json::Value;
use strongroom_tests::postgres::Postgres;
use tempfile::TempDir;

use crate::server::{Got, Server, Setup};
use disk::Disk;
use rows::{Known, Rows};
use scenes::Scene;

/// The time at which the test began, so that nothing lapses meanwhile.
#[derive(Clone, Copy)]
pub(crate) struct Fixed(i64);

impl Clock for Fixed {
    fn now_ms(&self) -> i64 {
        self.0
    }
}

/// A database with what all scenes act on.
struct Theater {
    server: Server,
    rows: Rows,
    before: Vec<String>,
    /// As they were looked at last.
    now: Vec<String>,
    known: Known,
    firm: Arc<Firm>,
    clock: Fixed,
    scenes: Vec<Scene>,
    /// Its threads must not end on those of the server, which goes before.
    disk: Arc<Disk>,
    _vendors: TempDir,
}

/// What was counted.
#[derive(Default)]
struct Tally {
    scenes: usize,
    faults: usize,
    conflicts: usize,
}

impl Theater {
    fn new(store: SqlStore, mut rows: Rows) -> Self {
        store.migrate().expect("tables");
        let vendors = tempfile::tempdir().expect("a folder");
        let clock = Fixed(SystemClock.now_ms());
        let (firm, root_fp) = scenes::firm(&vendors, clock);
        let disk = Disk::over(Arc::new(store));
        let scenes = scenes::all(server(&disk, &firm, clock), root_fp);
        let server = server(&disk, &firm, clock);
        let before = rows.lines();
        rows.keep();
        let known = Known::of(&before);
        let before = known.alike(before);
        Theater {
            rows,
            now: before.clone(),
            before,
            known,
            disk,
            firm,
            clock,
            server,
            scenes,
            _vendors: vendors,
        }
    }
}

/// A server that has just been started.
fn server(disk: &Arc<Disk>, firm: &Arc<Firm>, clock: Fixed) -> Server {
    let firms = BTreeMap::from([("acme".to_owned(), firm.clone())]);
    let (clock, secret) = (Arc::new(clock), Secret::new([7; 32]));
    let central = Central::new(disk.clone(), clock, Arc::new(SystemRandom), secret, firms);
    let fast = Rate::per_minute(60_000_000, 1_000_000);
    let rates = Rates { per_key: fast, per_address: fast, wrong: fast, times: fast };
    let settings = Settings { rates, ..Settings::default() };
    Server::set_up(Arc::new(central), Setup { settings, ..Setup::default() })
}

impl Theater {
    /// Without the routes that only look.
    fn writing(mut self) -> Self {
        self.scenes.retain(|scene| scene.route.1 != "GET");
        self
    }

    /// Plays every scene with every fault.
    fn play(mut self) -> Tally {
        let mut tally = Tally::default();
        let mut wrong = Vec::new();
        for scene in std::mem::take(&mut self.scenes) {
            let expected = self.without(&scene, &mut wrong);
            tally.scenes += 1;
            tally.faults += self.gone(&scene, &expected, &mut wrong);
            tally.conflicts += self.conflicts(&scene, &expected, &mut wrong);
        }
        assert!(wrong.is_empty(), "{} were wrong:\n{}", wrong.len(), wrong.join("\n"));
        tally
    }

    /// Puts all back to what was there before. The server stays, but where it remembers something.
    fn begin(&mut self, scene: &Scene) {
        let changed = |line: &&String| self.before.binary_search(line).is_err();
        let new = self.now.iter().filter(changed);
        let gone = self.before.iter().filter(|line| self.now.binary_search(line).is_err());
        let doubled = self.now.windows(2).filter(|two| two[0] == two[1]).map(|two| &two[0]);
        let tables = new.chain(gone).chain(doubled).map(|line| rows::table_of(line));
        self.rows.put_back(&tables.collect());
        if scene.route.2.contains("/seats") {
            self.server = server(&self.disk, &self.firm, self.clock);
        }
    }

    fn lines(&mut self) -> Vec<String> {
        self.now = self.known.alike(self.rows.lines());
        self.now.clone()
    }

    /// What a scene does if nothing fails.
    fn without(&mut self, scene: &Scene, wrong: &mut Vec<String>) -> Done {
        self.begin(scene);
        let got = scene.send(&self.server);
        if got.status != scene.status {
            wrong.push(format!("{}: {got:?}", scene.name));
        }
        Done::of(&got, self.lines())
    }

    /// The store fails at call 1, 2, 3, … until none is left; how many there were.
    fn gone(&mut self, scene: &Scene, expected: &Done, wrong: &mut Vec<String>) -> usize {
        for number in 1.. {
            self.begin(scene);
            self.disk.arm(number, StoreError::Unavailable("it is gone".into()));
            let got = scene.send(&self.server);
            if !self.disk.disarm() {
                self.lines();
                return number as usize - 1;
            }
            let mut say = |why: &str| wrong.push(format!("{}, call {number}: {why}", scene.name));
            if (got.status, got.body["code"].as_str()) != (503, Some("S0B0C")) {
                say(&format!("answered {got:?}"));
            }
            let lines = self.lines();
            if lines != self.before && lines != expected.lines {
                say(&format!("half done: {}", differ(&lines, &expected.lines)));
            }
            let got = scene.send(&self.server);
            if let Some(why) = Done::of(&got, self.lines()).differs(expected) {
                say(&format!("repeated: {why}"));
            }
        }
        unreachable!("there is no end of numbers")
    }

    /// Another transaction comes between at call 1, 2, 3, …: nobody notices.
    fn conflicts(&mut self, scene: &Scene, expected: &Done, wrong: &mut Vec<String>) -> usize {
        for number in 1.. {
            self.begin(scene);
            self.disk.arm(number, StoreError::Conflict);
            let got = scene.send(&self.server);
            if !self.disk.disarm() {
                self.lines();
                return number as usize - 1;
            }
            if let Some(why) = Done::of(&got, self.lines()).differs(expected) {
                wrong.push(format!("{}, conflict at call {number}: {why}", scene.name));
            }
        }
        unreachable!("there is no end of numbers")
    }
}

/// What a request did.
struct Done {
    status: u16,
    tag: Option<String>,
    told: Value,
    lines: Vec<String>,
}

impl Done {
    fn of(got: &Got, lines: Vec<String>) -> Self {
        Done { status: got.status, tag: got.tag.clone(), told: told(got), lines }
    }

    fn differs(&self, expected: &Done) -> Option<String> {
        let answer = |done: &Done| format!("{} {:?} {}", done.status, done.tag, done.told);
        let (found, wanted) = (answer(self), answer(expected));
        if found != wanted {
            return Some(format!("{found} not {wanted}"));
        }
        (self.lines != expected.lines).then(|| differ(&self.lines, &expected.lines))
    }
}

/// An answer without what is drawn or signed anew each time.
fn told(got: &Got) -> Value {
    let mut body = got.body.clone();
    mask(&mut body);
    body
}

fn mask(value: &mut Value) {
    const DRAWN: [&str; 14] = [
        "id",
        "code",
        "hint",
        "key",
        "secret",
        "credential",
        "lease",
        "token",
        "certificate",
        "challenge",
        "file",
        "request",
        "ticket",
        "counter",
    ];
    match value {
        Value::Object(fields) => fields.iter_mut().for_each(|(name, value)| {
            if DRAWN.contains(&name.as_str()) && value.is_string() {
                *value = Value::Null;
            }
            mask(value);
        }),
        Value::Array(rows) => rows.iter_mut().for_each(mask),
        Value::String(text) if text.len() > 24 && text.contains('_') => *value = Value::Null,
        _ => {}
    }
}

/// Lines that are in one and not in the other.
fn differ(found: &[String], expected: &[String]) -> String {
    let only = |of: &[String], other: &[String]| {
        let mut other = other.to_vec();
        let mut only = of.to_vec();
        only.retain(|line| match other.iter().position(|own| own == line) {
            Some(at) => {
                other.swap_remove(at);
                false
            }
            None => true,
        });
        only.join("\n    ")
    };
    format!("more\n    {}\nless\n    {}", only(found, expected), only(expected, found))
}

fn report(on: &str, tally: &Tally) {
    let Tally { scenes, faults, conflicts } = tally;
    println!("figure: {scenes} routes on {on}: {faults} calls failed, {conflicts} met another");
}

#[test]
fn on_sqlite_a_store_that_fails_at_any_call_does_nothing_by_halves() {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("central.db");
    let store = SqlStore::sqlite(&path).expect("a database");
    let rows = Rows::sqlite(&path);
    report("SQLite", &Theater::new(store, rows).play());
}

#[test]
fn on_postgresql_a_store_that_fails_at_any_call_does_nothing_by_halves() {
    let postgres = Postgres::init();
    postgres.run_with("-c listen_addresses= -c fsync=off");
    let store = SqlStore::postgres(&postgres.url()).expect("a database");
    let rows = Rows::postgres(&postgres.url());
    report("PostgreSQL", &Theater::new(store, rows).writing().play());
}
