//! Licenses whose seats License Central gives over the network: an administrator serves one, and
//! programs take its seats with a credential.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};
use uuid::Uuid;

use crate::central::{selling, states, ticket};
use crate::world::World;

/// What a program gets that asks the Gateway with a credential.
fn ask(world: &World, credential: &str, path: &str, body: &Value) -> (u16, Value) {
    let body = body.to_string();
    let face = world.face("gateway");
    let mut stream = TcpStream::connect(face.trim_start_matches("http://")).expect("it listens");
    let head = format!(
        "POST /v1/acme/{path} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\
         authorization: Bearer {credential}\r\ncontent-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        face.trim_start_matches("http://"),
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).expect("it reads");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
    (status.expect("a status"), serde_json::from_str(body).expect("JSON"))
}

/// A Central that sold a license with two seats, and the id of its grant.
fn sold() -> (World, String) {
    let world = selling("--quantity 2");
    ticket(&world, 1);
    let grants = world.cli("central grant list --json").ok().data();
    let id = grants["rows"][0]["id"].as_str().expect("an id").to_owned();
    (world, id)
}

#[test]
pub(crate) fn a_license_is_served_and_taken_back_when_its_seats_are_free() {
    let (world, id) = sold();
    world.cli(&format!("central seat show {id}")).refused(7, &["S0B40"]);
    world.cli(&format!("central credential add {id} --out key")).refused(7, &["S0B40"]);
    world
        .cli(&format!("central seat serve {id} --timeout 30s"))
        .refused(2, &["S0B08", "heartbeat_s"]);
    world.cli(&format!("central seat serve {id} --heartbeat 30s --timeout 2min")).ok();
    assert_eq!(states(&world), ["served"]);
    world.cli(&format!("central credential add {id} --out key")).ok();
    let mode = fs::metadata(world.path("key")).expect("a file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let credential = fs::read_to_string(world.path("key")).expect("a file");
    let credential = credential.trim();
    let session = Uuid::now_v7().to_string();
    let wanted = json!({ "product": 7, "session": session });
    let (status, taken) = ask(&world, credential, "seats", &wanted);
    assert_eq!((status, &taken["remaining"], &taken["heartbeat_s"]), (200, &1.into(), &30.into()));
    let shown = world.cli(&format!("central seat show {id}")).ok();
    assert!(shown.stdout.contains("1 of 2 seats are taken"), "{shown:?}");
    // Whoever has it keeps it from being taken back, and gives it back.
    world.cli(&format!("central seat unserve {id}")).refused(2, &["--yes"]);
    let asked = world.cli(&format!("central seat unserve {id} --yes")).ok();
    assert!(asked.stdout.contains("still taken"), "{asked:?}");
    let shown = world.cli(&format!("central seat show {id}")).ok();
    assert!(shown.stdout.contains("no more are given"), "{shown:?}");
    let back = format!("seats/{session}/return");
    assert_eq!(ask(&world, credential, &back, &json!({ "n": 1 })).0, 200);
    world.cli(&format!("central seat unserve {id} --yes")).ok();
    assert_eq!(states(&world), ["pool"]);
}

#[test]
pub(crate) fn a_credential_that_is_revoked_takes_no_seat() {
    let (world, id) = sold();
    world.cli(&format!("central seat serve {id}")).ok();
    let made = world.cli(&format!("central credential add {id} --out key --json")).ok().data();
    let own = made["id"].as_str().expect("an id");
    world.cli(&format!("central credential add {id} --out key")).refused(7, &["key"]);
    let credential = fs::read_to_string(world.path("key")).expect("a file");
    world.cli(&format!("central credential revoke {own}")).refused(2, &["--yes"]);
    world.cli(&format!("central credential revoke {own} --yes")).ok();
    let rows = world.cli(&format!("central credential list {id}")).ok();
    assert!(rows.stdout.contains(own) && rows.stdout.contains("revoked"), "{rows:?}");
    let wanted = json!({ "product": 7, "session": Uuid::now_v7().to_string() });
    assert_eq!(ask(&world, credential.trim(), "seats", &wanted).0, 401);
}
