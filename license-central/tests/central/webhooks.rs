//! Webhooks, from the effect to a receiver that checks what it gets.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver as Inbox, channel};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::carrier::{Carrier, Reach};
use license_central::domain::catalog::{self, NewCustomer};
use license_central::domain::central::{Central, Clock};
use license_central::domain::env::SystemRandom;
use license_central::domain::keys::{SYSTEM, Secret};
use license_central::domain::webhooks::{self, Message, MessageState, NewWebhook, TRIES_MAX};
use license_central::store::{Filter, MemoryStore};
use protocol::crypto::mac::hmac_sha256;
use serde_json::{Value, json};

use crate::api::{ORDERS, order};
use crate::server::{Server, Setup};

/// A clock that a test sets.
struct Set(AtomicI64);

impl Clock for Set {
    fn now_ms(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One request, as a receiver gets it.
#[derive(Clone)]
struct Post {
    id: String,
    timestamp_s: i64,
    signature: String,
    body: String,
}

/// A receiver as a vendor writes it: takes each message once, and none that is old or forged.
#[derive(Default)]
struct Sample {
    secrets: Vec<Vec<u8>>,
    seen: BTreeSet<String>,
}

impl Sample {
    fn take(&mut self, post: &Post, now_s: i64) -> Result<(), &'static str> {
        if (now_s - post.timestamp_s).abs() > 300 {
            return Err("old");
        }
        let signed = format!("{}.{}.{}", post.id, post.timestamp_s, post.body);
        let is_ours = |one: &str| {
            self.secrets.iter().any(|secret| {
                let tag = hmac_sha256(secret, &[signed.as_bytes()]);
                one.strip_prefix("v1,") == Some(&*BASE64.encode(tag))
            })
        };
        if !post.signature.split(' ').any(is_ours) {
            return Err("forged");
        }
        if self.seen.insert(post.id.clone()) { Ok(()) } else { Err("seen") }
    }
}

/// A server that answers with these lines, again the last one, and passes on what it gets.
fn receiver(answers: &'static [&'static str]) -> (SocketAddr, Inbox<Post>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let at = listener.local_addr().expect("an address");
    let (send, inbox) = channel();
    std::thread::spawn(move || {
        for (number, stream) in listener.incoming().enumerate() {
            let mut stream = BufReader::new(stream.expect("a connection"));
            let mut head = Vec::new();
            loop {
                let mut line = String::new();
                stream.read_line(&mut line).expect("a line");
                if line.trim().is_empty() {
                    break;
                }
                head.push(line.trim().to_owned());
            }
            let header = |name: &str| {
                let found = head.iter().find_map(|line| {
                    let (own, value) = line.split_once(':')?;
                    own.eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
                });
                found.unwrap_or_default()
            };
            let mut body = vec![0; header("content-length").parse().expect("a length")];
            stream.read_exact(&mut body).expect("a body");
            let post = Post {
                id: header("webhook-id"),
                timestamp_s: header("webhook-timestamp").parse().expect("a time"),
                signature: header("webhook-signature"),
                body: String::from_utf8(body).expect("text"),
            };
            let answer = answers[number.min(answers.len() - 1)];
            let text =
                format!("HTTP/1.1 {answer}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            stream.get_mut().write_all(text.as_bytes()).expect("sent");
            if send.send(post).is_err() {
                break;
            }
        }
    });
    (at, inbox)
}

/// A Central with a clock of its own, and a webhook of acme.
struct World {
    central: Central,
    clock: Arc<Set>,
    carrier: Carrier,
    webhook: String,
    secret: Vec<u8>,
}

impl World {
    fn new(url: &str, events: &[&str]) -> Self {
        let clock = Arc::new(Set(AtomicI64::new(1_800_000_000_000)));
        let (store, random) = (Arc::new(MemoryStore::default()), Arc::new(SystemRandom));
        let secret = Secret::new([7; 32]);
        let central = Central::new(store, clock.clone(), random, secret, Default::default());
        let events = events.iter().map(|event| (*event).to_owned()).collect();
        let new = NewWebhook { url: url.into(), events };
        let made = central
            .write("acme", "test", |work, env| webhooks::create(work, env, central.secret(), &new));
        let (webhook, text) = made.expect("a webhook");
        let carrier = Carrier::new(Reach::ThisMachine);
        World { central, clock, carrier, webhook: webhook.id, secret: bytes(&text) }
    }

    fn customer(&self, name: &str) {
        let new = NewCustomer { name: name.into(), reference: None, email: None };
        let made = self
            .central
            .write("acme", "test", |work, env| catalog::create_customer(work, env, &new));
        made.expect("a customer");
    }

    fn messages(&self) -> Vec<Message> {
        let rows = self.central.read(SYSTEM, |work| work.all::<Message>(&Filter::All));
        rows.expect("messages").into_iter().map(|row| row.record).collect()
    }

    fn round(&self) -> usize {
        self.carrier.round(&self.central).expect("a round")
    }

    fn now_s(&self) -> i64 {
        self.clock.now_ms() / 1000
    }
}

fn bytes(text: &str) -> Vec<u8> {
    BASE64.decode(text.strip_prefix("whsec_").expect("a secret")).expect("base64")
}

#[test]
fn sec_w17_a_receiver_tells_a_message_from_forged_old_and_repeated_ones() {
    let (at, inbox) = receiver(&["204 Fine"]);
    let world = World::new(&format!("http://{at}/x"), &[]);
    world.customer("one");
    assert_eq!(world.round(), 1);
    let post = inbox.recv().expect("a message");
    let body: Value = serde_json::from_str(&post.body).expect("JSON");
    assert_eq!(body["type"], "customer.created");
    assert_eq!(body["timestamp"], "2027-01-15T08:00:00Z");
    assert!(body["data"]["id"].as_str().is_some_and(|id| id.starts_with("cus_")));
    let now_s = world.now_s();
    let mut sample = Sample { secrets: vec![world.secret.clone()], ..Sample::default() };
    let mut forged = post.clone();
    forged.body = forged.body.replace("customer", "order");
    assert_eq!(sample.take(&forged, now_s), Err("forged"));
    let forged = Post { timestamp_s: post.timestamp_s + 1, ..post.clone() };
    assert_eq!(sample.take(&forged, now_s), Err("forged"));
    let forged = Post { id: "msg_0".into(), ..post.clone() };
    assert_eq!(sample.take(&forged, now_s), Err("forged"));
    assert_eq!(sample.take(&post, now_s + 301), Err("old"));
    assert_eq!(sample.take(&post, now_s), Ok(()));
    assert_eq!(sample.take(&post, now_s), Err("seen"));
    // While a secret is being changed, the old one and the new one both count.
    let rotated = world.central.write("acme", "test", |work, env| {
        webhooks::rotate(work, env, world.central.secret(), &world.webhook)
    });
    let new = bytes(&rotated.expect("a secret").1);
    world.customer("two");
    assert_eq!(world.round(), 1);
    let post = inbox.recv().expect("a message");
    for secret in [&world.secret, &new] {
        let mut sample = Sample { secrets: vec![secret.clone()], ..Sample::default() };
        assert_eq!(sample.take(&post, now_s), Ok(()));
    }
    world
        .central
        .write("acme", "test", |work, _| webhooks::end_rotation(work, &world.webhook))
        .expect("ended");
    world.customer("three");
    world.round();
    let post = inbox.recv().expect("a message");
    let mut sample = Sample { secrets: vec![world.secret.clone()], ..Sample::default() };
    assert_eq!(sample.take(&post, now_s), Err("forged"));
}

#[test]
fn a_message_is_repeated_until_it_is_taken_under_the_same_id() {
    let (at, inbox) =
        receiver(&["500 Bad", "302 Elsewhere\r\nlocation: http://127.0.0.1/", "200 OK"]);
    let world = World::new(&format!("http://{at}/"), &["customer.created"]);
    world.customer("one");
    let mut ids = BTreeSet::new();
    for pause_ms in [0, 6_000, 24_000] {
        assert_eq!(world.round(), usize::from(pause_ms == 0), "not before its time");
        world.clock.0.fetch_add(pause_ms, Ordering::Relaxed);
        if pause_ms > 0 {
            assert_eq!(world.round(), 1);
        }
        ids.insert(inbox.recv().expect("a message").id);
    }
    assert_eq!(ids.len(), 1);
    let message = &world.messages()[0];
    assert_eq!((message.state, message.tries, message.due_ms), (MessageState::Sent, 3, None));
    assert_eq!(world.round(), 0);
}

#[test]
fn what_nobody_takes_is_given_up_and_can_be_sent_again_by_hand() {
    let (at, inbox) = receiver(&["503 No"]);
    let world = World::new(&format!("http://{at}/"), &[]);
    world.customer("one");
    for _ in 0..TRIES_MAX {
        assert_eq!(world.round(), 1);
        inbox.recv().expect("a message");
        world.clock.0.fetch_add(12 * 3_600_000, Ordering::Relaxed);
    }
    assert_eq!(world.round(), 0);
    let message = world.messages().remove(0);
    assert_eq!((message.state, message.due_ms), (MessageState::Dead, None));
    assert_eq!(message.last.as_deref(), Some("status 503"));
    let replayed = |vendor: &str| {
        world
            .central
            .write(SYSTEM, "test", |work, env| webhooks::replay(work, env, vendor, &message.id))
    };
    assert!(replayed("bolt").is_err());
    replayed("acme").expect("replayed");
    assert_eq!(world.round(), 1);
    assert_eq!(inbox.recv().expect("a message").id, message.id);
}

/// The message stands in the same transaction as what it tells of: both are there, or neither.
#[test]
fn a_step_that_fails_tells_nobody() {
    let world = World::new("http://127.0.0.1:9/", &[]);
    let refused = world.central.write("acme", "test", |work, env| {
        let new = NewCustomer { name: "x".into(), reference: None, email: None };
        catalog::create_customer(work, env, &new)?;
        Err::<(), _>(license_central::domain::refusal::Refusal::malformed("no"))
    });
    assert!(refused.is_err());
    assert!(world.messages().is_empty());
}

/// Several carriers, as with several instances of the server: each message is claimed by one.
#[test]
fn two_carriers_do_not_send_the_same_try() {
    let (at, inbox) = receiver(&["200 OK"]);
    let world = World::new(&format!("http://{at}/"), &[]);
    (0..8).for_each(|number| world.customer(&number.to_string()));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| world.round());
        }
    });
    drop(world.carrier);
    let ids = Mutex::new(BTreeSet::new());
    let posts: Vec<Post> = inbox.try_iter().collect();
    assert!(posts.iter().all(|post| ids.lock().expect("no panic").insert(post.id.clone())));
    assert_eq!(posts.len(), 8);
}

#[test]
fn sec_w11_a_webhook_does_not_reach_what_is_inside() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    listener.set_nonblocking(true).expect("it can");
    let server = Server::start();
    let owner = server.key("acme", license_central::domain::records::RoleName::Owner);
    let route = ("admin", "POST", "/v1/webhooks");
    for url in [
        format!("http://127.0.0.1:{port}/"),
        format!("https://127.0.0.1:{port}/"),
        format!("https://localhost:{port}/"),
        format!("https://[::ffff:127.0.0.1]:{port}/"),
        "https://169.254.169.254/latest/meta-data".into(),
        "https://0.0.0.0/".into(),
        "https://example.org@127.0.0.1/".into(),
    ] {
        let body = json!({ "url": url }).to_string();
        server.with(&owner, route, &body).refused(400, "S0B54");
    }
    // One that got in all the same, or whose name leads inside by now: refused when it is sent.
    let mut world = World::new(&format!("https://127.0.0.1:{port}/"), &[]);
    world.carrier = Carrier::new(Reach::World);
    world.customer("one");
    assert_eq!(world.round(), 1);
    let message = world.messages().remove(0);
    assert_eq!(message.last.as_deref(), Some("the address is not allowed"));
    assert!(listener.accept().is_err(), "somebody connected");
}

/// Over HTTP, from adding one to its messages; its secret is told once.
#[test]
fn a_webhook_is_added_listed_and_removed() {
    let mut setup = Setup::default();
    setup.settings.reach = Reach::ThisMachine;
    let server = Server::with_setup(setup);
    let owner = crate::api::selling_on(&server);
    let body = json!({ "url": "http://127.0.0.1:9/", "events": ["order.created"] }).to_string();
    let made = server.with(&owner, ("admin", "POST", "/v1/webhooks"), &body).ok(201).body;
    assert!(made["secret"].as_str().is_some_and(|secret| secret.starts_with("whsec_")));
    let wrong = json!({ "url": "https://example.org/", "events": ["all"] }).to_string();
    server.with(&owner, ("admin", "POST", "/v1/webhooks"), &wrong).refused(400, "S0B08");
    let list = server.with(&owner, ("admin", "GET", "/v1/webhooks"), "").ok(200).body;
    assert_eq!(list["rows"][0]["url"], "http://127.0.0.1:9/");
    assert!(!list.to_string().contains("secret"));
    server.with(&owner, ORDERS, &order("1")).ok(201);
    let messages = ("admin", "GET", "/v1/webhook-messages");
    let told = server.with(&owner, messages, "").ok(200).body;
    assert_eq!(
        (&told["rows"][0]["event"], told["rows"].as_array().map(Vec::len)),
        (&json!("order.created"), Some(1))
    );
    let path = format!("/v1/webhooks/{}", made["id"].as_str().expect("an id"));
    server.with(&owner, ("admin", "DELETE", &path), "").ok(200);
    server.with(&owner, ("admin", "DELETE", &path), "").refused(404, "S0B05");
    server.with(&owner, ORDERS, &order("2")).ok(201);
    let told = server.with(&owner, messages, "").ok(200).body;
    assert_eq!(told["rows"].as_array().map(Vec::len), Some(1));
}

#[test]
fn sent_messages_are_kept_for_some_days_and_those_that_wait_stay() {
    let (at, _inbox) = receiver(&["204 Fine"]);
    let world = World::new(&format!("http://{at}/x"), &[]);
    const DAY_MS: i64 = 24 * 3_600_000;
    let forget = || {
        let now_ms = world.clock.now_ms();
        webhooks::forget(world.central.store(), now_ms, 30 * DAY_MS).expect("room")
    };
    for number in 0..3 {
        world.customer(&number.to_string());
    }
    while world.round() > 0 {}
    // One that nobody took yet, as old as they are.
    world.customer("waits");
    world.clock.0.fetch_add(30 * DAY_MS, Ordering::Relaxed);
    assert_eq!((forget(), world.messages().len()), (0, 4), "the bound itself is kept");
    world.clock.0.fetch_add(1, Ordering::Relaxed);
    assert_eq!((forget(), world.messages().len()), (3, 1));
    assert_eq!(world.messages()[0].state, MessageState::Waiting);
    assert_eq!(forget(), 0);
    while world.round() > 0 {}
    assert_eq!((forget(), world.messages().len()), (1, 0));
}
