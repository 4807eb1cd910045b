//! A database that is restarted, cut off, slow or full: requests fail clearly, the server goes on
//! by itself when it can, and nothing that was answered is gone.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use license_central::api::front::Settings;
use license_central::clock::SystemClock;
use license_central::domain::central::Central;
use license_central::domain::env::SystemRandom;
use license_central::domain::keys::Secret;
use license_central::store::SqlStore;
use strongroom_tests::postgres::Postgres;

use crate::api::{ORDERS, order, orders, selling_on};
use crate::load::{At, Client, Shop};
use crate::process::{Place, Running};
use crate::raw::Answer;
use crate::server::{Server, Setup};

/// Tries until something is so again, and those that a test makes to find it wrong.
const TRIES: usize = 20_000;

/// A server that sells, and a client that was answered some things.
struct World {
    at: At,
    shop: Shop,
    client: Client,
    /// Orders of others.
    others: usize,
}

impl World {
    fn new(place: &Place, server: &Running) -> Self {
        let at = At::of(server);
        let shop = Shop::open(at, &place.text("owner.key"));
        let mut world = World { client: Client::new(at, &shop, 800), at, shop, others: 1 };
        world.use_it();
        world
    }

    fn use_it(&mut self) {
        (0..40).for_each(|_| assert!(self.client.step(&[self.at]), "it answers"));
    }

    /// It comes back by itself, with all that was answered; also what was refused meanwhile is done
    /// once, if it is asked for again.
    fn comes_back(mut self, refused: &str) {
        let is_well = |_| self.at.health().status == 200;
        assert!((0..TRIES).any(is_well), "{:?}", self.at.health());
        for _ in 0..2 {
            let got = self.at.order(&self.shop, refused);
            assert_eq!(got.status, 201, "{got:?}");
        }
        self.others += 1;
        self.use_it();
        let mut client = self.client;
        client.settle_all(&[self.at]);
        assert_eq!(self.shop.orders(self.at), self.others + client.orders());
        self.shop.check(self.at, &[client]);
    }
}

/// It says that the database is not there.
#[track_caller]
fn is_refused(got: &Answer) {
    assert_eq!((got.status, &got.json()["code"]), (503, &"S0B0C".into()), "{got:?}");
    assert_eq!(got.header("retry-after"), Some("5"), "{got:?}");
    assert_eq!(got.header("content-type"), Some("application/problem+json"), "{got:?}");
}

#[test]
fn a_postgresql_that_is_stopped_is_said_and_its_start_is_noticed() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let place = Place::init_on(&["--database", &url]);
    let server = place.run(&["--database", &url]);
    let world = World::new(&place, &server);
    postgres.stop();
    is_refused(&world.at.health());
    is_refused(&world.at.order(&world.shop, "refused"));
    postgres.run_with("-c listen_addresses=");
    world.comes_back("refused");
}

#[test]
fn a_postgresql_that_is_cut_off_is_said_and_found_again() {
    let postgres = Postgres::start();
    let url = postgres.url();
    let place = Place::init_on(&["--database", &url]);
    let server = place.run(&["--database", &url]);
    let world = World::new(&place, &server);
    // Nobody finds its socket, but whoever ends the connections that there are.
    let door = postgres.dir().join("door");
    fs::create_dir(&door).expect("a folder");
    let [here, away] = [postgres.dir(), &door].map(|dir| dir.join(".s.PGSQL.5432"));
    fs::rename(&here, &away).expect("its socket");
    let mut cut = Command::new("psql");
    cut.args([
        "-h",
        door.to_str().expect("text"),
        "-U",
        "strongroom",
        "-d",
        "postgres",
        "-q",
        "-c",
    ]);
    cut.arg(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'",
    );
    let cut = cut.stdin(Stdio::null()).stdout(Stdio::null()).status();
    assert!(cut.expect("psql is installed").success());
    is_refused(&world.at.health());
    is_refused(&world.at.order(&world.shop, "refused"));
    fs::rename(&away, &here).expect("its socket");
    world.comes_back("refused");
}

/// Somebody else holds a lock: those who need it are told that it takes too long, others go on.
#[test]
fn a_postgresql_that_is_slow_is_said_and_nothing_is_done_twice() {
    let postgres = Postgres::start();
    let store = Arc::new(SqlStore::postgres(&postgres.url()).expect("a database"));
    store.migrate().expect("tables");
    let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
    let secret = Secret::new([7; 32]);
    let central = Central::new(store.clone(), clock, random, secret, BTreeMap::new());
    let timeout = Duration::from_secs(1);
    let settings = Settings { timeout, ..Settings::default() };
    let server = Server::set_up(Arc::new(central), Setup { settings, ..Setup::default() });
    let owner = selling_on(&server);
    let key = format!("Bearer {owner}");
    let headers = [("authorization", key.as_str()), ("idempotency-key", "once")];
    let mut holder = Command::new("psql");
    holder.args([&postgres.url(), "-q", "-At"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut holder = holder.spawn().expect("psql is installed");
    let mut input = holder.stdin.take().expect("a pipe");
    writeln!(input, "BEGIN; LOCK TABLE sales_order; SELECT 'held';").expect("sent");
    let mut said = String::new();
    BufReader::new(holder.stdout.take().expect("a pipe")).read_line(&mut said).expect("text");
    assert_eq!(said.trim(), "held");
    server.ask(ORDERS, &headers, &order("1")).refused(503, "S0B51");
    server.with(&owner, ("admin", "GET", "/v1/products"), "").ok(200);
    server.ask(("admin", "GET", "/health"), &[], "").ok(200);
    drop(input);
    holder.wait().expect("its end");
    let done = (0..TRIES).any(|_| server.ask(ORDERS, &headers, &order("1")).status == 201);
    assert!(done, "it is done when the lock is gone");
    assert_eq!(orders(&server, &owner), 1);
    drop(server);
    drop(store);
}

/// A small disk, mounted for the test.
struct Disk(tempfile::TempDir);

impl Disk {
    fn mount() -> Self {
        let disk = Disk(tempfile::tempdir().expect("a folder"));
        // More than the log is let grow to before it is moved, for what is done with room.
        let options = ["-t", "tmpfs", "-o", "size=64m,mode=700", "strongroom-test"];
        let status = Command::new("/bin/mount").args(options).arg(disk.0.path()).status();
        assert!(status.expect("mount").success(), "root may mount");
        disk
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("/bin/umount").arg(self.0.path()).status();
    }
}

fn fill(filler: &Path) {
    let mut file = File::options().append(true).create(true).open(filler).expect("a file");
    while file.write_all(&[1; 512]).is_ok() {}
}

#[test]
fn a_disk_that_is_full_is_said_and_room_is_noticed() {
    let disk = Disk::mount();
    let dir = tempfile::tempdir_in(disk.0.path()).expect("a folder");
    let place = Place::init_in(dir, &[]);
    let server = place.run(&[]);
    let mut world = World::new(&place, &server);
    let filler = disk.0.path().join("filler");
    let mut refused = None;
    // There may be room in the database itself for some.
    for number in 0..TRIES {
        fill(&filler);
        let name = format!("full {number}");
        let got = world.at.order(&world.shop, &name);
        if got.status != 201 {
            refused = Some((name, got));
            break;
        }
        world.others += 1;
    }
    let (name, got) = refused.expect("a full disk is noticed");
    is_refused(&got);
    // What is there is told.
    assert_eq!(world.at.health().status, 200);
    assert_eq!(world.shop.orders(world.at), world.others + world.client.orders());
    fs::remove_file(&filler).expect("own file");
    world.comes_back(&name);
    assert_eq!(server.end().code, Some(0));
}
