//! Seats over the network: taken with a credential, kept, given back, and refused to all others.

use license_central::domain::records::RoleName;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::server::{Got, Server};

const ORDERS: (&str, &str, &str) = ("sales", "POST", "/v1/orders");
const PRODUCTS: (&str, &str, &str) = ("admin", "PUT", "/v1/products");
const ITEMS: (&str, &str, &str) = ("admin", "PUT", "/v1/items");
const SEATS: (&str, &str, &str) = ("gateway", "POST", "/v1/acme/seats");

/// A vendor with one license.
struct World {
    server: Server,
    owner: String,
    ticket: String,
    grant: String,
}

impl World {
    fn selling(terms: Value) -> Self {
        let server = Server::start();
        let owner = server.key("acme", RoleName::Owner);
        let product = json!({ "code": 7, "name": "Editor", "terms": terms });
        server.with(&owner, PRODUCTS, &product.to_string()).ok(200);
        let item = json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] });
        server.with(&owner, ITEMS, &item.to_string()).ok(200);
        let order = json!({ "number": "1", "sku": "ED-1" }).to_string();
        let ticket = server.with(&owner, ORDERS, &order).ok(201).body["code"].clone();
        let grants = server.with(&owner, ("admin", "GET", "/v1/grants"), "").ok(200).body;
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        World { ticket: text(&ticket), grant: text(&grants["rows"][0]["id"]), server, owner }
    }

    fn admin(&self, path: &str, body: Value) -> Got {
        let path = format!("/v1/grants/{}/{path}", self.grant);
        self.server.with(&self.owner, ("admin", "POST", &path), &body.to_string())
    }

    /// Serves it, and makes a credential.
    fn served(&self, terms: Value) -> String {
        let grant = self.admin("serve", terms).ok(200).body;
        assert_eq!(grant["place"]["state"], "served");
        self.credential()
    }

    fn credential(&self) -> String {
        let made = self.admin("credentials", Value::Null).ok(201).body;
        made["credential"].as_str().expect("a credential").to_owned()
    }

    fn take(&self, credential: &str, session: &str) -> Got {
        self.server.with(
            credential,
            SEATS,
            &json!({ "product": 7, "session": session }).to_string(),
        )
    }

    fn turn(&self, credential: &str, session: &str, what: &str, n: u32) -> Got {
        let path = format!("/v1/acme/seats/{session}/{what}");
        self.server.with(credential, ("gateway", "POST", &path), &json!({ "n": n }).to_string())
    }

    fn in_use(&self) -> Value {
        let path = format!("/v1/grants/{}/seats", self.grant);
        self.server.with(&self.owner, ("admin", "GET", &path), "").ok(200).body["in_use"].clone()
    }
}

/// An answer without its lease: that is signed anew, and a signature is never the same.
fn told(got: &Got) -> Value {
    let mut body = got.body.clone();
    body.as_object_mut().expect("an object").remove("lease").expect("a lease");
    body
}

pub(crate) fn session() -> String {
    Uuid::now_v7().to_string()
}

#[test]
fn a_seat_is_taken_kept_and_given_back() {
    let world = World::selling(json!({ "quantity": 2 }));
    let credential = world.served(json!({ "heartbeat_s": 5, "timeout_s": 60 }));
    let (one, two) = (session(), session());
    let first = world.take(&credential, &one).ok(200);
    assert_eq!((&first.body["remaining"], &first.body["heartbeat_s"]), (&json!(1), &json!(5)));
    assert_eq!((&first.body["session"], &first.body["n"]), (&json!(one), &json!(0)));
    let again = world.take(&credential, &one);
    assert_eq!(told(&again), told(&first), "asked again, answered again");
    world.take(&credential, &two).ok(200);
    world.take(&credential, &session()).refused(409, "S0B42");
    let kept = world.turn(&credential, &one, "heartbeat", 1).ok(200);
    assert!(kept.body["not_after_ms"].as_i64() >= first.body["not_after_ms"].as_i64());
    assert_eq!(told(&world.turn(&credential, &one, "heartbeat", 1)), told(&kept));
    world.turn(&credential, &one, "heartbeat", 0).refused(409, "S0B44");
    let back = world.turn(&credential, &one, "return", 2).ok(200);
    assert_eq!(world.turn(&credential, &one, "return", 2), back);
    world.turn(&credential, &one, "heartbeat", 3).refused(409, "S0B43");
    world.take(&credential, &one).refused(409, "S0B43");
    assert_eq!(world.in_use(), 1);
    world.take(&credential, &session()).ok(200);
}

#[test]
fn what_is_no_request_of_a_seat_is_a_problem_and_takes_none() {
    let world = World::selling(json!({ "quantity": 2 }));
    let credential = world.served(json!({}));
    let old = Uuid::from_u64_pair(0x0180_0000_0000_7000, 0x8000_0000_0000_0001).to_string();
    world.take(&credential, &old).refused(400, "S0B45");
    world.take(&credential, "x").refused(400, "S0B08");
    world.take(&credential, "0d9c6f3e-3c1b-4c57-9a46-7f2c66a1b0de").refused(400, "S0B08");
    for body in [
        json!({ "product": 8, "session": session() }),
        json!({ "product": 7, "session": session(), "seats": 0 }),
        json!({ "product": 7, "session": session(), "seats": -1 }),
        json!({ "product": 7, "session": session(), "n": 1 }),
        json!({ "product": 7, "session": session(), "user": "me" }),
        json!({ "product": 7 }),
    ] {
        let got = world.server.with(&credential, SEATS, &body.to_string());
        assert!(matches!(got.status, 400 | 404), "{body}: {got:?}");
    }
    world.turn(&credential, &session(), "heartbeat", 1).refused(409, "S0B43");
    world.turn(&credential, "..", "heartbeat", 1).refused(400, "S0B08");
    world.turn(&credential, "%00", "return", 1).refused(400, "S0B08");
    assert_eq!(world.in_use(), 0);
}

#[test]
fn sec_w18_seats_need_a_credential_that_counts_and_is_this_vendors() {
    let world = World::selling(json!({ "quantity": 2 }));
    let credential = world.served(json!({}));
    let one = session();
    world.take(&credential, &one).ok(200);
    let (id, secret) = credential.split_once('.').expect("a credential");
    let other = if secret.starts_with('0') { "1" } else { "0" };
    let wrong = [
        world.owner.clone(),
        id.to_owned(),
        format!("{id}."),
        format!("{id}.{other}{}", &secret[1..]),
        format!("crd_0.{secret}"),
    ];
    for wrong in &wrong {
        world.take(wrong, &session()).refused(401, "S0B47");
        world.turn(wrong, &one, "return", 1).refused(401, "S0B47");
    }
    let body = json!({ "product": 7, "session": session() }).to_string();
    world.server.ask(SEATS, &[], &body).refused(401, "S0B47");
    let bolt = ("gateway", "POST", "/v1/bolt/seats");
    world.server.with(&credential, bolt, &body).refused(401, "S0B47");
    let path = format!("/v1/credentials/{id}/revoke");
    let bolt = world.server.key("bolt", RoleName::Owner);
    world.server.with(&bolt, ("admin", "POST", &path), "").refused(404, "S0B05");
    world.turn(&credential, &one, "heartbeat", 1).ok(200);
    world.server.with(&world.owner, ("admin", "POST", &path), "").ok(200);
    world.turn(&credential, &one, "heartbeat", 2).refused(401, "S0B47");
    world.take(&credential, &session()).refused(401, "S0B47");
    assert_eq!(world.in_use(), 1);
    let listed = format!("/v1/grants/{}/credentials", world.grant);
    let all = world.server.with(&world.owner, ("admin", "GET", &listed), "").ok(200).body;
    let all = &all["rows"];
    assert!(all[0]["revoked_ms"].is_i64() && all[0]["credential"].is_null());
}

#[test]
fn a_ticket_opens_the_seats_of_its_license() {
    let world = World::selling(json!({ "quantity": 1 }));
    let served = ("gateway", "POST", "/v1/acme/served");
    let body = json!({ "ticket": world.ticket }).to_string();
    let made = world.server.ask(served, &[], &body).ok(201).body;
    let credential = made["credential"].as_str().expect("a credential").to_owned();
    world.take(&credential, &session()).ok(200);
    // Asked again it tells another credential, for the same seats.
    let again = world.server.ask(served, &[], &body).ok(201).body;
    assert_ne!(again["id"], made["id"]);
    let other = again["credential"].as_str().expect("a credential");
    world.take(other, &session()).refused(409, "S0B42");
    let wrong = json!({ "ticket": "00000-00000-00000-00000-00000-0" }).to_string();
    world.server.ask(served, &[], &wrong).refused(400, "S0B02");
    let no_product = json!({ "ticket": world.ticket, "product": 8 }).to_string();
    world.server.ask(served, &[], &no_product).refused(404, "S0B05");
}

#[test]
fn what_only_a_container_can_judge_is_not_served() {
    for terms in [
        json!({}),
        json!({ "quantity": 0 }),
        json!({ "quantity": 1, "checkpoint": "30d" }),
        json!({ "quantity": 1, "units": 5 }),
        json!({ "quantity": 1, "features": "0x1" }),
    ] {
        let world = World::selling(terms.clone());
        let got = world.admin("serve", json!({}));
        assert_eq!((got.status, &got.body["code"]), (409, &json!("S0B41")), "{terms}: {got:?}");
    }
    let world = World::selling(json!({ "quantity": 1, "expires": "+1y", "text": "Hello" }));
    world.admin("unserve", Value::Null).refused(409, "S0B40");
    for terms in [json!({ "heartbeat_s": 0 }), json!({ "heartbeat_s": 9, "timeout_s": 8 })] {
        world.admin("serve", terms).refused(400, "S0B08");
    }
    world.served(json!({}));
    world.admin("serve", json!({})).refused(409, "S0B40");
}

#[test]
fn a_license_is_taken_back_when_no_seat_of_it_is_taken() {
    let world = World::selling(json!({ "quantity": 2 }));
    let credential = world.served(json!({}));
    let one = session();
    world.take(&credential, &one).ok(200);
    let grant = world.admin("unserve", Value::Null).ok(200).body;
    assert_eq!(
        (&grant["place"]["state"], &grant["place"]["ends"]),
        (&json!("served"), &json!(true))
    );
    world.take(&credential, &session()).refused(409, "S0B46");
    world.turn(&credential, &one, "heartbeat", 1).refused(409, "S0B46");
    world.admin("credentials", Value::Null).refused(409, "S0B40");
    let grant = world.admin("unserve", Value::Null).ok(200).body;
    assert_eq!(grant["place"]["state"], "served");
    world.turn(&credential, &one, "return", 2).ok(200);
    let grant = world.admin("unserve", Value::Null).ok(200).body;
    assert_eq!(grant["place"]["state"], "pool");
    world.take(&credential, &session()).refused(409, "S0B46");
    // Served again, it has seats of its own, and an old credential is none for them.
    let new = world.served(json!({}));
    world.take(&credential, &session()).refused(409, "S0B46");
    world.take(&new, &session()).ok(200);
}

#[test]
fn sixty_four_at_once_take_what_there_is_and_no_more() {
    let world = World::selling(json!({ "quantity": 40 }));
    let credential = world.served(json!({}));
    let statuses: Vec<u16> = std::thread::scope(|scope| {
        let take = || world.take(&credential, &session()).status;
        let threads: Vec<_> = (0..64).map(|_| scope.spawn(take)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let count = |status| statuses.iter().filter(|got| **got == status).count();
    assert_eq!((count(200), count(409)), (40, 24));
    assert_eq!(world.in_use(), 40);
}
