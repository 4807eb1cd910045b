//! Who may call what: every route of every face against `routes.txt`.

use std::collections::BTreeSet;

use license_central::domain::records::{Case, Container, ContainerState, Home, HomeKind, RoleName};
use serde_json::{Value, json};
use vendor::Ledger;
use vendor::ledger::Point;

use crate::api::{ORDERS, order, selling_on};
use crate::enrollment::tpm::Maker;
use crate::server::Server;

const TABLE: &str = include_str!("routes.txt");

const ROLES: [RoleName; 7] = [
    RoleName::Owner,
    RoleName::Admin,
    RoleName::Issuer,
    RoleName::Support,
    RoleName::Auditor,
    RoleName::Billing,
    RoleName::Integration,
];

const LISTS: [&str; 13] = [
    "tpm-authorities",
    "shops",
    "shop-lines",
    "containers",
    "cases",
    "orders",
    "tickets",
    "grants",
    "customers",
    "products",
    "items",
    "webhooks",
    "webhook-messages",
];

/// A row of the table.
pub(crate) struct Row {
    pub(crate) face: &'static str,
    pub(crate) method: &'static str,
    pub(crate) path: &'static str,
    pub(crate) statuses: Vec<u16>,
    pub(crate) body: &'static str,
}

/// A server that sells, with an order, its ticket and a customer.
pub(crate) struct World {
    pub(crate) server: Server,
    pub(crate) owner: String,
    pub(crate) ids: Vec<(&'static str, String)>,
    number: u32,
}

pub(crate) fn rows() -> Vec<Row> {
    let lines = TABLE.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let row = |line: &'static str| {
        let mut parts = line.splitn(3, '|');
        let route: Vec<_> = parts.next().expect("a route").split_whitespace().collect();
        let statuses = parts.next().expect("statuses").split_whitespace();
        let statuses = statuses.map(|status| status.parse().expect("a status")).collect();
        let body = parts.next().unwrap_or_default().trim();
        Row { face: route[0], method: route[1], path: route[2], statuses, body }
    };
    lines.map(row).collect()
}

impl World {
    fn new() -> Self {
        World::on(Server::start())
    }

    /// Of a server on which nothing was done yet.
    pub(crate) fn on(server: Server) -> Self {
        let owner = selling_on(&server);
        let hooks = [1, 2].map(|number| {
            let body = json!({ "url": format!("https://example.org/{number}") }).to_string();
            let made = server.with(&owner, ("admin", "POST", "/v1/webhooks"), &body).ok(201).body;
            made["id"].as_str().expect("an id").to_owned()
        });
        let order = server.with(&owner, ORDERS, &order("1")).ok(201).body;
        let list = ("admin", "GET", "/v1/webhook-messages");
        let message = server.with(&owner, list, "").ok(200).body["rows"][0]["id"].clone();
        let message = message.as_str().expect("an id").to_owned();
        let [webhook, second] = hooks;
        let id = |name: &str| order[name].as_str().expect("an id").to_owned();
        let new = ("admin", "POST", "/v1/customers");
        server.with(&owner, new, &json!({ "name": "x" }).to_string()).ok(201);
        let grant = server.with(&owner, ("admin", "GET", "/v1/grants"), "").ok(200).body;
        let grant = grant["rows"][0]["id"].as_str().expect("an id").to_owned();
        let key = server.key("acme", RoleName::Support);
        let key = key.split('.').next().expect("an id").to_owned();
        let (container, case) = container(&server);
        let [free, served] = ["free", "served"].map(|number| {
            let body = json!({ "number": number, "sku": "ED-1", "terms": { "quantity": 5 } });
            let order = server.with(&owner, ORDERS, &body.to_string()).ok(201).body;
            let ticket = format!("/v1/tickets/{}", order["ticket"].as_str().expect("an id"));
            let shown = server.with(&owner, ("admin", "GET", &ticket), "").ok(200).body;
            shown["licenses"][0]["grant"].as_str().expect("an id").to_owned()
        });
        let serve = format!("/v1/grants/{served}/serve");
        server.with(&owner, ("admin", "POST", &serve), "{}").ok(200);
        let new = format!("/v1/grants/{served}/credentials");
        let credential = server.with(&owner, ("admin", "POST", &new), "").ok(201).body;
        let credential = credential["id"].as_str().expect("an id").to_owned();
        let [shop, second_shop] = ["one", "two"].map(|name| {
            let body = json!({ "name": name, "kind": "woocommerce" }).to_string();
            let made = server.with(&owner, ("admin", "POST", "/v1/shops"), &body).ok(201).body;
            made["id"].as_str().expect("an id").to_owned()
        });
        let user = json!({ "name": "Ada", "role": "support" }).to_string();
        let user = server.with(&owner, ("admin", "POST", "/v1/users"), &user).ok(201).body;
        let user = user["id"].as_str().expect("an id").to_owned();
        let new = json!({ "name": "A maker", "certificate": Maker::new().pem }).to_string();
        let made = server.with(&owner, ("admin", "POST", "/v1/tpm-authorities"), &new).ok(201);
        let authority = made.body["id"].as_str().expect("an id").to_owned();
        let ids = vec![
            ("{authority}", authority),
            ("{user}", user),
            ("{shop}", shop),
            ("{second-shop}", second_shop),
            ("{free}", free),
            ("{served}", served),
            ("{credential}", credential),
            ("{session}", "01900000-0000-7000-8000-000000000000".into()),
            ("{grant}", grant),
            ("{key}", key),
            ("{container}", container),
            ("{case}", case),
            ("{vendor}", "acme".into()),
            ("{order}", id("id")),
            ("{ticket}", id("ticket")),
            ("{webhook}", webhook),
            ("{second}", second),
            ("{message}", message),
        ];
        World { server, owner, ids, number: 100 }
    }

    /// Calls a row's route; the status.
    fn call(&mut self, row: &Row, key: Option<&str>, ids: &[(&str, String)]) -> u16 {
        self.number += 1;
        let [path, body] = [row.path, row.body].map(|text| fill(text, ids, self.number));
        let bearer = key.map(|key| format!("Bearer {key}"));
        let headers: Vec<_> =
            bearer.as_deref().map(|bearer| ("authorization", bearer)).into_iter().collect();
        self.server.ask((row.face, row.method, &path), &headers, &body).status
    }
}

/// With ids in the place of their names, and this number.
pub(crate) fn fill(text: &str, ids: &[(&str, String)], number: u32) -> String {
    let all = ids.iter().fold(text.to_owned(), |text, (name, id)| text.replace(name, id));
    all.replace("{n}", &number.to_string())
}

/// A container of acme that is known, and a case of it.
fn container(server: &Server) -> (String, String) {
    let point = Point { seq: 0, state: [0; 32] };
    let made = server.central.write("acme", "test", |work, env| {
        let container = Container {
            id: "00".repeat(16),
            serial: "DONGLE-0000-0000-0000".into(),
            certificate: String::new(),
            state: ContainerState::Active,
            home: Home { kind: HomeKind::Dongle, has_clock: true, takes_time: false },
            origin: point,
            adopted: None,
            requests: None,
            customer: None,
            chain: Ledger::new(String::new(), point),
            root_version: 1,
            revocation_epoch: 0,
            created_ms: env.now_ms,
            seen_ms: env.now_ms,
        };
        let case = Case {
            id: env.id("cas"),
            container: container.id.clone(),
            shown: 2,
            state: "00".into(),
            known: 0,
            evidence: String::new(),
            copy: None,
            created_ms: env.now_ms,
            decision: None,
            claim: None,
        };
        work.insert(&container)?;
        work.insert(&case)?;
        Ok((container.id, case.id))
    });
    made.expect("a container")
}

/// Face, method and path of every route that is described, with the ids in it made alike.
fn described(server: &Server) -> BTreeSet<String> {
    let mut all = BTreeSet::from(["metrics GET /metrics".to_owned()]);
    for face in ["sales", "gateway", "admin"] {
        let document = server.ask((face, "GET", "/openapi.json"), &[], "").ok(200).body;
        all.insert(format!("{face} GET /health"));
        all.insert(format!("{face} GET /openapi.json"));
        for (path, methods) in document["paths"].as_object().expect("paths") {
            for method in methods.as_object().expect("methods").keys() {
                let method = method.to_uppercase();
                all.insert(format!("{face} {method} {}", anonymous(path)));
            }
        }
    }
    all
}

/// `/v1/orders/{order}` and `/v1/orders/{id}` are one route.
fn anonymous(path: &str) -> String {
    let parts = path.split('/').map(|part| if part.starts_with('{') { "{}" } else { part });
    parts.collect::<Vec<_>>().join("/")
}

#[test]
fn sec_w06_every_route_answers_each_role_as_the_table_says() {
    let mut world = World::new();
    let rows = rows();
    let named: BTreeSet<String> = rows
        .iter()
        .map(|row| format!("{} {} {}", row.face, row.method, anonymous(row.path)))
        .collect();
    assert_eq!(named.len(), rows.len(), "a route stands twice in routes.txt");
    assert_eq!(named, described(&world.server), "routes.txt, and the routes that there are");
    let keys: Vec<String> = ROLES.iter().map(|role| world.server.key("acme", *role)).collect();
    let other = world.server.key("bolt", RoleName::Owner);
    let ids = world.ids.clone();
    let mut wrong = Vec::new();
    for row in &rows {
        let who = [None].into_iter().chain(keys.iter().map(|key| Some(&**key)));
        let who: Vec<_> = who.chain([Some(&*other)]).collect();
        assert_eq!(row.statuses.len(), who.len(), "{} {}", row.method, row.path);
        let got: Vec<u16> = who.iter().map(|key| world.call(row, *key, &ids)).collect();
        if got != row.statuses {
            wrong.push(format!("{} {} {} | {got:?}", row.face, row.method, row.path));
        }
    }
    assert!(wrong.is_empty(), "answers that are not as routes.txt says:\n{}", wrong.join("\n"));
}

/// Where an Idempotency-Key is described, one that is none is refused; elsewhere nobody reads it.
#[test]
fn an_idempotency_key_is_read_where_it_is_described() {
    let world = World::new();
    let bearer = format!("Bearer {}", world.owner);
    let headers = [("authorization", bearer), ("idempotency-key", "x".repeat(256))];
    let headers = headers.each_ref().map(|(name, value)| (*name, value.as_str()));
    let mut count = 0;
    for row in rows().iter().filter(|row| row.path.starts_with("/v1/")) {
        let document = world.server.ask((row.face, "GET", "/openapi.json"), &[], "").ok(200).body;
        let mut paths = document["paths"].as_object().expect("paths").iter();
        let (_, methods) = paths
            .find(|(path, methods)| {
                anonymous(path) == anonymous(row.path)
                    && methods.get(row.method.to_lowercase()).is_some()
            })
            .expect("it is described");
        let said = &methods[&*row.method.to_lowercase()]["parameters"];
        let is_key = |one: &Value| one["in"] == "header" && one["name"] == "Idempotency-Key";
        let is_described = said.as_array().expect("parameters").iter().any(is_key);
        let [path, body] = [row.path, row.body].map(|text| fill(text, &world.ids, 1));
        let got = world.server.ask((row.face, row.method, &path), &headers, &body);
        let is_read = got.status == 400 && got.body.to_string().contains("Idempotency-Key");
        assert_eq!(is_read, is_described, "{} {}: {got:?}", row.method, row.path);
        count += usize::from(is_read);
    }
    println!("figure: {count} routes that take an Idempotency-Key");
}

/// Every id of one vendor, wherever an id may stand, with keys of another: it is not there.
#[test]
fn sec_w15_no_id_of_another_vendor_is_good_for_anything() {
    let mut world = World::new();
    for number in 2..12 {
        world.server.with(&world.owner, ORDERS, &order(&number.to_string())).ok(201);
    }
    let mut foreign: Vec<String> = Vec::new();
    for list in LISTS {
        let path = format!("/v1/{list}");
        let got = world.server.with(&world.owner, ("admin", "GET", &path), "").ok(200).body;
        let id = |row: &Value| row["id"].as_str().or(row["sku"].as_str()).map(str::to_owned);
        foreign.extend(got["rows"].as_array().expect("rows").iter().filter_map(id));
    }
    assert!(foreign.len() > 30);
    let keys: Vec<String> = ROLES.iter().map(|role| world.server.key("bolt", *role)).collect();
    let with_ids = rows().into_iter().filter(|row| {
        // At the Gateway, and where shops are heard, no key says who asks.
        row.face != "gateway" && !row.path.contains("{vendor}") && row.path.contains('{')
    });
    let mut calls = 0;
    for row in with_ids {
        for id in &foreign {
            let names = world.ids.iter().map(|(name, _)| (*name, id.clone()));
            let names: Vec<_> = names.collect();
            for (role, key) in ROLES.iter().zip(&keys) {
                let status = world.call(&row, Some(key), &names);
                let may = row.statuses[1 + ROLES.iter().position(|own| own == role).expect("it")];
                let expected = if may == 403 { 403 } else { 404 };
                assert_eq!(status, expected, "{} {} {id} {role:?}", row.method, row.path);
                calls += 1;
            }
        }
    }
    println!("figure: {calls} calls with ids of another vendor, none of them answered");
}
