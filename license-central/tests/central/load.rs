//! Load on servers that may end at any moment, and what was answered: every wish may be repeated,
//! so one whose answer did not come is repeated until it does.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::ids::{RootFp, parse_hex};
use serde_json::{Value, json};
use strongroom_tests::dice::Dice;

use crate::dongle::Dongle;
use crate::process::Running;
use crate::raw::{Answer, HANG};
use crate::seats::session;

/// Seats of the license that all take.
const SEATS: usize = 40;

/// Units of one order of them, and orders of them that one client makes: a dongle has room for so
/// many licenses.
const UNITS: u64 = 10;
const FILLS_MAX: usize = 16;

/// What all clients of a vendor share.
#[derive(Clone)]
pub(crate) struct Shop {
    owner: String,
    credential: String,
    grant: String,
    root_fp: RootFp,
}

/// Where one instance listens.
#[derive(Clone, Copy)]
pub(crate) struct At {
    sales: SocketAddr,
    gateway: SocketAddr,
    admin: SocketAddr,
}

/// A request that may be repeated.
#[derive(Clone, Copy)]
enum Wish {
    /// The order of this number.
    Order(usize),
    /// A seat, by its place in the list.
    Take(usize),
    Keep(usize),
    Return(usize),
    /// The order of units of this number, into the dongle.
    Fill(usize),
    /// A license into the dongle.
    Activate,
    /// The same out of it.
    Release,
    /// What the dongle proved last.
    Receipt,
}

/// A seat as its client knows it.
struct Seat {
    session: String,
    /// Number of the last request.
    n: u32,
    held: bool,
}

/// One client, with all that it was answered.
pub(crate) struct Client {
    shop: Shop,
    id: usize,
    dice: Dice,
    /// Answers to its orders, by number.
    orders: Vec<Option<String>>,
    seats: Vec<Seat>,
    dongle: Dongle,
    ticket: String,
    license: String,
    receipt: Option<String>,
    /// Orders of units that were sent, and those whose units are in the dongle.
    fills: usize,
    filled: usize,
    /// Orders that were looked at again.
    known: usize,
    /// What was sent and not answered.
    doubt: Option<Wish>,
    pub(crate) answered: usize,
}

impl At {
    pub(crate) fn of(running: &Running) -> Self {
        let [sales, gateway, admin] = ["sales", "gateway", "admin"].map(|face| running.at(face));
        At { sales, gateway, admin }
    }

    /// One order under this number, whatever is answered.
    pub(crate) fn order(self, shop: &Shop, number: &str) -> Answer {
        let body = json!({ "number": number, "sku": "ED-1" });
        let sent = self.send("POST /v1/orders", &shop.owner, number, &body);
        sent.expect("an answer")
    }

    /// What it says of itself.
    pub(crate) fn health(self) -> Answer {
        self.send("GET /health", "", "", &Value::Null).expect("an answer")
    }

    /// One request; nothing where the server ends before it has answered all of it, or says that it
    /// cannot at the moment.
    fn ask(self, line: &str, key: &str, once: &str, body: &Value) -> Option<Answer> {
        self.send(line, key, once, body).filter(|answer| answer.status != 503)
    }

    fn send(self, line: &str, key: &str, once: &str, body: &Value) -> Option<Answer> {
        let to = match line {
            "POST /v1/orders" => self.sales,
            line if line.contains("/v1/acme") => self.gateway,
            _ => self.admin,
        };
        let mut stream = TcpStream::connect(to).ok()?;
        stream.set_read_timeout(Some(HANG)).ok()?;
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let once =
            if once.is_empty() { String::new() } else { format!("idempotency-key: {once}\r\n") };
        let head = [
            &format!("{line} HTTP/1.1\r\nhost: x\r\nconnection: close"),
            &format!("authorization: Bearer {key}\r\n{once}content-type: application/json"),
            &format!("content-length: {}\r\n\r\n{body}", body.len()),
        ];
        let text = head.map(String::as_str).join("\r\n");
        stream.write_all(text.as_bytes()).ok()?;
        let answer = Answer::read(&mut stream)?;
        let whole = answer.header("content-length")?.parse() == Ok(answer.body.len());
        whole.then_some(answer)
    }

    fn must(self, line: &str, key: &str, body: &Value) -> Value {
        let answer = self.ask(line, key, "", body).unwrap_or_else(|| panic!("{line}: no answer"));
        assert!(answer.status < 300, "{line}: {answer:?}");
        answer.json()
    }
}

impl Shop {
    /// Sells something at a server on which nothing was done yet.
    pub(crate) fn open(at: At, owner: &str) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        at.must("PUT /v1/products", owner, &json!({ "code": 7, "name": "Editor" }));
        let item = json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] });
        at.must("PUT /v1/items", owner, &item);
        at.must("PUT /v1/products", owner, &json!({ "code": 8, "name": "Credits" }));
        let terms = json!({ "units": UNITS });
        let part = json!({ "product": 8, "terms": terms });
        at.must(
            "PUT /v1/items",
            owner,
            &json!({ "sku": "UN-1", "name": "Credits", "parts": [part] }),
        );
        let order = json!({ "number": "seats", "sku": "ED-1", "terms": { "quantity": SEATS } });
        let ticket = at.must("POST /v1/orders", owner, &order);
        let shown = format!("GET /v1/tickets/{}", text(&ticket["ticket"]));
        let grant = text(&at.must(&shown, owner, &Value::Null)["licenses"][0]["grant"]);
        let long = json!({ "heartbeat_s": 3600, "timeout_s": 36_000 });
        at.must(&format!("POST /v1/grants/{grant}/serve"), owner, &long);
        let made = at.must(&format!("POST /v1/grants/{grant}/credentials"), owner, &Value::Null);
        let firm = at.must("GET /v1/acme", owner, &Value::Null);
        let root_fp = parse_hex(&text(&firm["root_fp"])).map(RootFp::new).expect("a fingerprint");
        Shop { owner: owner.into(), credential: text(&made["credential"]), grant, root_fp }
    }

    /// Nothing that was answered is gone, and nothing is there twice: orders by their numbers, and
    /// the seats that all clients hold.
    pub(crate) fn check(&self, at: At, clients: &[Client]) {
        let seats =
            at.must(&format!("GET /v1/grants/{}/seats", self.grant), &self.owner, &Value::Null);
        let held: usize = clients.iter().map(Client::held).sum();
        assert_eq!(seats["in_use"], held, "seats that are taken, and that clients hold");
    }

    /// How many orders there are.
    pub(crate) fn orders(&self, at: At) -> usize {
        let (mut count, mut after) = (0, String::new());
        loop {
            let page = at.must(&format!("GET /v1/orders{after}"), &self.owner, &Value::Null);
            count += page["rows"].as_array().expect("rows").len();
            match page["next"].as_str() {
                Some(next) => after = format!("?after={next}"),
                None => return count,
            }
        }
    }
}

impl Client {
    pub(crate) fn new(at: At, shop: &Shop, id: usize) -> Self {
        let text = |value: &Value| value.as_str().expect("text").to_owned();
        let order = json!({ "number": format!("of {id}"), "sku": "ED-1" });
        let made = at.must("POST /v1/orders", &shop.owner, &order);
        let shown = format!("GET /v1/tickets/{}", text(&made["ticket"]));
        let shown = at.must(&shown, &shop.owner, &Value::Null);
        Client {
            shop: shop.clone(),
            id,
            dice: Dice::new(id as u64),
            orders: Vec::new(),
            seats: Vec::new(),
            dongle: Dongle::new(id as u64, shop.root_fp),
            ticket: text(&made["code"]),
            license: text(&shown["licenses"][0]["grant"]),
            receipt: None,
            fills: 0,
            filled: 0,
            known: 0,
            doubt: None,
            answered: 0,
        }
    }

    /// Orders that it sent, its own first one included.
    pub(crate) fn orders(&self) -> usize {
        self.orders.len() + self.fills + 1
    }

    /// Units that are in its dongle.
    pub(crate) fn units(&self) -> u64 {
        UNITS * self.filled as u64
    }

    fn held(&self) -> usize {
        self.seats.iter().filter(|seat| seat.held).count()
    }

    /// Goes on until nobody answers; counts what was answered.
    pub(crate) fn run(&mut self, at: &[At], answers: &AtomicUsize) {
        while self.step(at) {
            answers.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// One wish, at one of the instances and, if that is gone, at another: whether one answered.
    pub(crate) fn step(&mut self, at: &[At]) -> bool {
        let wish = self.doubt.take().unwrap_or_else(|| self.draw());
        let first = self.dice.below(at.len());
        // One that says that it cannot at the moment may be able soon.
        let done = (0..4 * at.len()).any(|more| self.grant(at[(first + more) % at.len()], wish));
        self.answered += usize::from(done);
        self.doubt = (!done).then_some(wish);
        done
    }

    fn draw(&mut self) -> Wish {
        let held = |own: &&Self| own.seats.iter().position(|seat| seat.held);
        let some = |own: &mut Self| {
            let all: Vec<usize> = (0..own.seats.len()).filter(|at| own.seats[*at].held).collect();
            all[own.dice.below(all.len())]
        };
        match self.dice.below(9) {
            0 | 1 => {
                self.orders.push(None);
                Wish::Order(self.orders.len() - 1)
            }
            2 | 3 if held(&&*self).is_some() => Wish::Keep(some(self)),
            4 if held(&&*self).is_some() => Wish::Return(some(self)),
            5 | 6 => self.of_license(),
            7 if self.receipt.is_none() && self.fills < FILLS_MAX => {
                self.fills += 1;
                Wish::Fill(self.fills)
            }
            _ => {
                self.seats.push(Seat { session: session(), n: 0, held: false });
                Wish::Take(self.seats.len() - 1)
            }
        }
    }

    fn of_license(&mut self) -> Wish {
        match (self.receipt.is_some(), self.dongle.holds(7)) {
            (true, _) => Wish::Receipt,
            (false, true) => Wish::Release,
            (false, false) => Wish::Activate,
        }
    }

    /// Whether it was answered; what the answer says is kept.
    fn grant(&mut self, at: At, wish: Wish) -> bool {
        match wish {
            Wish::Order(number) => self.order(at, number),
            Wish::Take(place) => self.take(at, place),
            Wish::Keep(place) => self.turn(at, place, "heartbeat"),
            Wish::Return(place) => self.turn(at, place, "return"),
            Wish::Fill(number) => self.fill(at, number),
            Wish::Activate => self.deliver(at, "activations", json!({ "ticket": self.ticket })),
            Wish::Release => self.deliver(at, "releases", json!({ "products": [7] })),
            Wish::Receipt => self.prove(at),
        }
    }

    fn order(&mut self, at: At, number: usize) -> bool {
        let (own, id) = (format!("{}-{number}", self.id), &self.shop.owner);
        let body = json!({ "number": own, "sku": "ED-1" });
        let Some(got) = at.ask("POST /v1/orders", id, &own, &body) else { return false };
        assert_eq!(got.status, 201, "{got:?}");
        let known = self.orders[number].get_or_insert_with(|| got.body.clone());
        assert_eq!(*known, got.body, "what was answered before is answered again");
        true
    }

    fn take(&mut self, at: At, place: usize) -> bool {
        let seat = &mut self.seats[place];
        let body = json!({ "product": 7, "session": seat.session });
        let got = at.ask("POST /v1/acme/seats", &self.shop.credential, "", &body);
        let Some(got) = got else { return false };
        assert!(got.status == 200 || got.json()["code"] == "S0B42", "{got:?}");
        seat.held = got.status == 200;
        true
    }

    fn turn(&mut self, at: At, place: usize, what: &str) -> bool {
        let seat = &mut self.seats[place];
        let line = format!("POST /v1/acme/seats/{}/{what}", seat.session);
        let got = at.ask(&line, &self.shop.credential, "", &json!({ "n": seat.n + 1 }));
        let Some(got) = got else { return false };
        assert_eq!(got.status, 200, "a seat that is held is lost: {got:?}");
        seat.n += 1;
        seat.held = what == "heartbeat";
        true
    }

    /// Orders units and has them put into the dongle.
    fn fill(&mut self, at: At, number: usize) -> bool {
        let own = format!("{} units {number}", self.id);
        let order = json!({ "number": own, "sku": "UN-1" });
        let Some(got) = at.ask("POST /v1/orders", &self.shop.owner, &own, &order) else {
            return false;
        };
        assert_eq!(got.status, 201, "{got:?}");
        let done = self.deliver(at, "activations", json!({ "ticket": got.json()["code"] }));
        self.filled += usize::from(done);
        done
    }

    fn deliver(&mut self, at: At, what: &str, mut body: Value) -> bool {
        body["context"] = BASE64.encode(self.dongle.context()).into();
        let line = format!("POST /v1/acme/{what}");
        let Some(got) = at.ask(&line, &self.shop.owner, "", &body) else { return false };
        assert_eq!(got.status, 200, "{got:?}");
        let updates = got.json()["updates"].as_array().cloned().unwrap_or_default();
        assert_eq!(updates.len(), 1, "one update that waits: {got:?}");
        let file = BASE64.decode(updates[0]["file"].as_str().expect("a file")).expect("base64");
        let receipt = self.dongle.apply(&file).expect("an update that follows");
        self.receipt = Some(BASE64.encode(receipt));
        true
    }

    fn prove(&mut self, at: At) -> bool {
        let body = json!({ "receipt": self.receipt });
        let got = at.ask("POST /v1/acme/receipts", &self.shop.owner, "", &body);
        let Some(got) = got else { return false };
        assert_eq!(got.status, 200, "{got:?}");
        self.receipt = None;
        true
    }

    /// What was in doubt is decided, and all is as it was answered: the orders since the last time,
    /// the seats, the license.
    pub(crate) fn settle(&mut self, at: &[At]) {
        while self.doubt.is_some() {
            assert!(self.step(at), "a server that was started again answers");
        }
        let known = std::mem::replace(&mut self.known, self.orders.len());
        (known..self.known).for_each(|number| assert!(self.order(at[0], number)));
        for place in 0..self.seats.len() {
            if self.seats[place].held {
                assert!(self.turn(at[0], place, "heartbeat"));
            }
        }
        if self.receipt.is_some() {
            assert!(self.prove(at[0]));
        }
        let units = self.units();
        assert_eq!(self.dongle.units(8), units, "units lost, or there twice");
        let path = format!("GET /v1/containers/{}", self.dongle.id());
        let container = at[0].ask(&path, &self.shop.owner, "", &Value::Null).expect("an answer");
        let licenses = container.json()["licenses"].as_array().cloned().unwrap_or_default();
        let is_filled = |own: &&Value| {
            (&own["grant"]["product"], &own["grant"]["place"]["state"])
                == (&8.into(), &"held".into())
        };
        assert_eq!(licenses.iter().filter(is_filled).count(), self.filled, "{container:?}");
        let path = format!("GET /v1/grants/{}", self.license);
        let place = at[0].must(&path, &self.shop.owner, &Value::Null);
        let expected = if self.dongle.holds(7) { "held" } else { "pool" };
        assert_eq!(place["grant"]["place"]["state"], expected, "{place}");
    }

    /// The same with all orders.
    pub(crate) fn settle_all(&mut self, at: &[At]) {
        self.known = 0;
        self.settle(at);
    }
}
