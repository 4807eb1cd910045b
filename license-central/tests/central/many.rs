//! Many connections, slow ones, and many requests: who has to wait, and who has not.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::process::Command;
use std::time::Duration;

use license_central::api::front::Settings;
use license_central::api::limits::{Rate, Rates};
use license_central::domain::records::RoleName;
use license_central::listen::Bounds;
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::api::{ORDERS, order, selling_on};
use crate::raw::{self, Answer};
use crate::server::{Server, Setup};

/// Another address of this machine.
fn other(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 0, last))
}

fn rates(rates: Rates) -> Setup {
    let settings = Settings { rates, ..Settings::default() };
    Setup { settings, ..Setup::default() }
}

fn behind_a_proxy(wanted: Rates) -> Server {
    let mut setup = rates(wanted);
    setup.settings.proxy_header = Some("x-forwarded-for".parse().expect("a name"));
    Server::with_setup(setup)
}

/// Whether a connection that sent nothing is still open.
fn is_open(stream: &mut TcpStream) -> bool {
    stream.set_nonblocking(true).expect("it can");
    matches!(stream.read(&mut [0]), Err(error) if error.kind() == std::io::ErrorKind::WouldBlock)
}

fn resident_kib() -> u64 {
    let text = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("a line");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

/// Whether this is the process that runs the test of this name alone. Where it is not, it is run in
/// one of its own: what it measures, and its bounds, are those of a whole process.
fn is_alone(test: &str) -> bool {
    const ALONE: &str = "STRONGROOM_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let this = std::env::current_exe().expect("a running test");
    let done = Command::new(this).args(["--exact", test, "--nocapture"]).env(ALONE, "1").output();
    let done = done.expect("a program");
    let said = String::from_utf8_lossy(&done.stdout);
    let ran = said.contains("1 passed");
    assert!(done.status.success() && ran, "{said}{}", String::from_utf8_lossy(&done.stderr));
    for (_, figure) in said.lines().filter_map(|line| line.split_once("figure: ")) {
        println!("figure: {figure}");
    }
    false
}

#[test]
fn sec_p10_two_thousand_idle_and_two_hundred_slow_connections_hinder_nobody_else() {
    let own = "many::sec_p10_two_thousand_idle_and_two_hundred_slow_connections_hinder_nobody_else";
    if !is_alone(own) {
        return;
    }
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.map(|most| most.min(65_536));
    setrlimit(Resource::Nofile, files).expect("more files");
    // Long, so that whoever was there before is not ended by a busy machine.
    let headers = Duration::from_secs(100);
    let bounds = Bounds { per_address: 256, headers, ..Bounds::default() };
    let server = Server::with_setup(Setup { bounds, ..Setup::default() });
    let to = server.at("admin");
    let mut known = raw::connect_from(other(9), to);
    let before_kib = resident_kib();
    let mut idle: Vec<TcpStream> = (0..2_000).map(|_| raw::connect_from(other(9), to)).collect();
    let mut slow: Vec<TcpStream> = (0..200).map(|_| raw::connect_from(other(9), to)).collect();
    for stream in &mut slow {
        // Those beyond the bound are closed by now, or will be.
        let _ = stream.write_all(b"GET /health HT");
    }
    // Others go on, and so does whoever was there before, from the same address.
    for _ in 0..20 {
        server.ask(("admin", "GET", "/health"), &[], "").ok(200);
    }
    known.write_all(b"GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").expect("sent");
    assert_eq!(Answer::read(&mut known).expect("an answer").status, 200);
    let open = idle.iter_mut().chain(&mut slow).map(is_open).filter(|open| *open).count();
    assert!(open <= 256, "{open} of one address are open");
    let grown_kib = resident_kib().saturating_sub(before_kib);
    println!(
        "figure: 2,200 connections from one address: {open} open, {grown_kib} KiB more memory"
    );
    assert!(grown_kib < 64 * 1024, "{grown_kib} KiB");
    let refused = server.metric("strongroom_central_connections_refused_total{face=\"admin\"}");
    assert!((1_900..=2_200).contains(&refused), "{refused}");
    assert_eq!(server.metric("strongroom_central_connections_per_address_max"), 256);
    drop((idle, slow));
}

/// Who says nothing, or not all, is not waited for.
#[test]
fn sec_p10_a_connection_that_does_not_say_what_it_wants_is_closed() {
    let bounds = Bounds { headers: Duration::from_secs(1), ..Bounds::default() };
    let server = Server::with_setup(Setup { bounds, ..Setup::default() });
    let mut silent = raw::connect(server.at("gateway"));
    let mut slow = raw::connect(server.at("gateway"));
    slow.write_all(b"GET /health HTTP/1.1\r\nx: ").expect("sent");
    let mut said = Vec::new();
    silent.read_to_end(&mut said).expect("it is closed");
    slow.read_to_end(&mut said).expect("it is closed");
    server.ask(("gateway", "GET", "/health"), &[], "").ok(200);
}

fn show(server: &Server, from: &str, ticket: &str) -> (u16, Value, Option<u64>) {
    let body = json!({ "ticket": ticket }).to_string();
    let from = format!("x-forwarded-for: 10.0.0.1, {from}");
    let length = format!("content-length: {}", body.len());
    let kind = "content-type: application/json";
    let head = ["POST /v1/acme/tickets/show HTTP/1.1", &from, &length, kind];
    let got = raw::send(server.at("gateway"), &head, body.as_bytes()).expect("an answer");
    let wait = got.header("retry-after").map(|wait| wait.parse().expect("seconds"));
    (got.status, got.json()["code"].clone(), wait)
}

/// Ten thousand tickets that are none: most of them never reach the store.
#[test]
fn sec_s17_who_guesses_tickets_has_to_wait_and_is_named() {
    let server = behind_a_proxy(Rates::default());
    let owner = selling_on(&server);
    let code = server.with(&owner, ORDERS, &order("1")).ok(201).body["code"].clone();
    let code = code.as_str().expect("a ticket");
    let guess = |number: u32| format!("{number:025}0");
    let mut looked_up = 0;
    for number in 0..10_000 {
        let (status, said, wait) = show(&server, "203.0.113.7", &guess(number));
        match status {
            429 => assert!(said == "S0B50" && wait.is_some_and(|wait| (1..=60).contains(&wait))),
            status => {
                assert!(status == 404 || said == "S0B02", "{status} {said}");
                looked_up += 1;
            }
        }
    }
    println!("figure: 10,000 guessed tickets: {looked_up} were looked up");
    assert!(looked_up < 100, "{looked_up} guesses were answered");
    // Not even the right one is told from there; elsewhere nobody notices.
    assert_eq!(show(&server, "203.0.113.7", code).0, 429);
    assert_eq!(show(&server, "203.0.113.8", code).0, 200);
    let wrong = server.metric("strongroom_central_wrong_tickets_or_keys_total{face=\"gateway\"}");
    assert_eq!(wrong, looked_up);
    assert_eq!(server.metric("strongroom_central_guessing_alarms_total"), 1);
    let audit = server.with(&owner, ("admin", "GET", "/v1/audit"), "").ok(200).body;
    let rows = audit["rows"].as_array().expect("rows");
    let named: Vec<_> = rows.iter().filter(|row| row["action"] == "guess.suspect").collect();
    assert_eq!(named.len(), 1);
    assert_eq!(named[0]["object"], "203.0.113.7");
}

#[test]
fn sec_w18_a_ticket_of_another_vendor_and_one_that_is_none_are_told_alike() {
    let server = Server::start();
    let owner = selling_on(&server);
    // The same words and number, whichever it is: only a name of the request differs.
    let mut unlike = Vec::new();
    let code = server.with(&owner, ORDERS, &order("1")).ok(201).body["code"].clone();
    let ticket = server.with(&owner, ("admin", "GET", "/v1/tickets"), "").ok(200).body;
    let id = ticket["rows"][0]["id"].as_str().expect("an id").to_owned();
    // Replaced: it was one, and is none any more.
    server.with(&owner, ("admin", "POST", &format!("/v1/tickets/{id}/code")), "").ok(200);
    let random = license_central::domain::ticket_code::TicketCode::new(&[9; 16]).text();
    for code in [code.as_str().expect("a ticket"), &random] {
        let body = json!({ "ticket": code }).to_string();
        let mut got = server.ask(("gateway", "POST", "/v1/acme/tickets/show"), &[], &body);
        got.refused(404, "S0B01");
        got.body["request"] = Value::Null;
        unlike.push(got);
    }
    assert_eq!(unlike[0], unlike[1]);
}

#[test]
fn sec_w18_who_guesses_keys_has_to_wait() {
    let server = behind_a_proxy(Rates { wrong: Rate::per_minute(1, 5), ..Rates::default() });
    let owner = selling_on(&server);
    let ask = |from: &str, key: &str| {
        let headers = [("authorization", key), ("x-forwarded-for", from)];
        server.ask(("admin", "GET", "/v1/products"), &headers, "")
    };
    let right = format!("Bearer {owner}");
    for number in 0..5 {
        ask("203.0.113.7", &format!("Bearer key_{number}.0")).refused(401, "S0B09");
    }
    ask("203.0.113.7", "Bearer key_6.0").refused(429, "S0B50");
    ask("203.0.113.7", &right).refused(429, "S0B50");
    ask("203.0.113.8", &right).ok(200);
    // Who asks without a key guesses none.
    for _ in 0..10 {
        let from = [("x-forwarded-for", "203.0.113.9")];
        server.ask(("admin", "GET", "/v1/products"), &from, "").refused(401, "S0B09");
    }
    ask("203.0.113.9", &right).ok(200);
}

#[test]
fn a_key_and_an_address_have_rates_of_their_own() {
    let wanted = Rates {
        per_key: Rate::per_minute(1, 3),
        per_address: Rate::per_minute(1, 2),
        ..Rates::default()
    };
    let server = behind_a_proxy(wanted);
    let [one, two] = [RoleName::Owner, RoleName::Auditor].map(|role| server.key("acme", role));
    let products = ("admin", "GET", "/v1/products");
    (0..3).for_each(|_| drop(server.with(&one, products, "").ok(200)));
    let got = server.with(&one, products, "");
    got.refused(429, "S0B50");
    server.with(&two, products, "").ok(200);
    let ask =
        |from: &str| server.ask(("gateway", "GET", "/v1/acme"), &[("x-forwarded-for", from)], "");
    (0..2).for_each(|_| drop(ask("2001:db8::1").ok(200)));
    ask("2001:db8::2").refused(429, "S0B50");
    ask("2001:db8:1::2").ok(200);
    // Requests from this machine are not counted by address.
    (0..10).for_each(|_| drop(ask("127.0.0.1").ok(200)));
    for (why, face) in [("key", "admin"), ("address", "gateway")] {
        let name = format!("strongroom_central_limited_total{{face=\"{face}\",why=\"{why}\"}}");
        assert_eq!(server.metric(&name), 1, "{name}");
    }
}

/// Without a proxy that was named, nobody is whom he says he is.
#[test]
fn sec_w18_a_header_that_no_proxy_was_named_for_counts_for_nothing() {
    let server =
        Server::with_setup(rates(Rates { wrong: Rate::per_minute(1, 5), ..Rates::default() }));
    selling_on(&server);
    let codes: Vec<u16> =
        (0..8).map(|last| show(&server, &format!("203.0.113.{last}"), "0").0).collect();
    assert_eq!(codes, [400, 400, 400, 400, 400, 429, 429, 429]);
}
