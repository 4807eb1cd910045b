//! What is refused and how, who may what, and requests that come twice.

use license_central::domain::records::RoleName;
use license_central::domain::work::Work;
use license_central::store::{Filter, Page};
use serde_json::{Value, json};

use crate::server::{Got, Server};

pub(crate) const ORDERS: (&str, &str, &str) = ("sales", "POST", "/v1/orders");
pub(crate) const PRODUCTS: (&str, &str, &str) = ("admin", "PUT", "/v1/products");
pub(crate) const ITEMS: (&str, &str, &str) = ("admin", "PUT", "/v1/items");

/// A server of which `acme` sells an item.
pub(crate) fn selling() -> (Server, String) {
    let server = Server::start();
    let owner = selling_on(&server);
    (server, owner)
}

/// The key of its owner.
pub(crate) fn selling_on(server: &Server) -> String {
    let owner = server.key("acme", RoleName::Owner);
    server.with(&owner, PRODUCTS, &json!({ "code": 7, "name": "Editor" }).to_string()).ok(200);
    let item = json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] });
    server.with(&owner, ITEMS, &item.to_string()).ok(200);
    owner
}

pub(crate) fn order(number: &str) -> String {
    json!({ "number": number, "sku": "ED-1" }).to_string()
}

pub(crate) fn orders(server: &Server, owner: &str) -> usize {
    let got = server.with(owner, ("admin", "GET", "/v1/orders"), "").ok(200);
    got.body["rows"].as_array().expect("rows").len()
}

#[test]
fn what_cannot_be_understood_is_a_problem_and_changes_nothing() {
    let (server, owner) = selling();
    let bad = [
        "",
        "{",
        "[]",
        "null",
        "{\"number\":\"1\"}",
        "{\"number\":1,\"sku\":\"ED-1\"}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"quantity\":\"2\"}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"quantity\":1.0}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"quantity\":-1}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"quantity\":18446744073709551617}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"price\":1}",
        "{\"number\":\"1\",\"number\":\"2\",\"sku\":\"ED-1\"}",
        "{\"number\":\"\\ud800\",\"sku\":\"ED-1\"}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"terms\":{\"expire\":\"+1y\"}}",
        "{\"number\":\"1\",\"sku\":\"ED-1\",\"terms\":{\"quantity\":1,\"quantity\":2}}",
        "{\"number\":\"1\",\"sku\":\"ED-1\"} x",
    ];
    for body in bad {
        server.with(&owner, ORDERS, body).refused(400, "S0B08");
    }
    let deep = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
    server.with(&owner, ORDERS, &deep).refused(400, "S0B08");
    let large = format!("{{\"number\":\"{}\"}}", "1".repeat(300_000));
    server.with(&owner, ORDERS, &large).refused(413, "S0B12");
    server.with(&owner, ORDERS, &order("1").replace("ED-1", "NONE")).refused(404, "S0B05");
    assert_eq!(orders(&server, &owner), 0);
}

#[test]
fn routes_and_queries_that_are_none_are_problems() {
    let (server, owner) = selling();
    server.with(&owner, ("admin", "GET", "/v1/nothing"), "").refused(404, "S0B05");
    server.with(&owner, ("admin", "GET", "/../../etc/passwd"), "").refused(404, "S0B05");
    server.with(&owner, ("sales", "GET", "/v1/products"), "").refused(404, "S0B05");
    server.with(&owner, ("sales", "DELETE", "/v1/orders"), "").refused(405, "S0B08");
    let lists = ["?limit=x", "?limit=-1", "?other=1", "?limit=1&limit=2"];
    for query in lists {
        let path = format!("/v1/products{query}");
        server.with(&owner, ("admin", "GET", &path), "").refused(400, "S0B08");
    }
    server.with(&owner, ("gateway", "GET", "/v1/nobody"), "").refused(404, "S0B05");
    let health = server.ask(("gateway", "GET", "/health"), &[], "").ok(200);
    assert_eq!(health.body["status"], "ok");
}

#[test]
fn without_a_key_or_with_a_wrong_one_nobody_gets_in() {
    let (server, owner) = selling();
    let (id, secret) = owner.split_once('.').expect("a key");
    let other = if secret.starts_with('0') { "1" } else { "0" };
    let wrong = [
        String::new(),
        "Bearer".into(),
        format!("Basic {owner}"),
        format!("Bearer {id}"),
        format!("Bearer {id}."),
        format!("Bearer {id}.{other}{}", &secret[1..]),
        format!("Bearer key_0.{secret}"),
    ];
    for value in wrong {
        let headers = [("authorization", value.as_str())];
        server.ask(ORDERS, &headers, &order("1")).refused(401, "S0B09");
    }
    server.ask(ORDERS, &[], &order("1")).refused(401, "S0B09");
    assert_eq!(orders(&server, &owner), 0);
}

#[test]
fn a_key_may_what_its_role_says() {
    let (server, _) = selling();
    let shop = server.key("acme", RoleName::Integration);
    let auditor = server.key("acme", RoleName::Auditor);
    server.with(&shop, ORDERS, &order("1")).ok(201);
    server.with(&shop, ("admin", "GET", "/v1/grants"), "").refused(403, "S0B0A");
    server.with(&shop, ("admin", "GET", "/v1/audit"), "").refused(403, "S0B0A");
    server.with(&auditor, ORDERS, &order("2")).refused(403, "S0B0A");
    server.with(&auditor, ("admin", "GET", "/v1/audit"), "").ok(200);
    let product = json!({ "code": 8, "name": "Other" }).to_string();
    server.with(&auditor, PRODUCTS, &product).refused(403, "S0B0A");
}

#[test]
fn sec_w15_a_vendor_sees_nothing_of_another() {
    let (server, owner) = selling();
    let made = server.with(&owner, ORDERS, &order("1")).ok(201).body;
    let bolt = server.key("bolt", RoleName::Owner);
    assert_eq!(noted(&server, &bolt), ["key.create"], "its own alone");
    for list in ["products", "items", "orders", "tickets", "grants", "customers"] {
        let got = server.with(&bolt, ("admin", "GET", &format!("/v1/{list}")), "").ok(200);
        assert_eq!(got.body["rows"], json!([]), "{list}");
    }
    let id = |name: &str| made[name].as_str().expect("an id").to_owned();
    let order = format!("/v1/orders/{}", id("id"));
    let ticket = format!("/v1/tickets/{}", id("ticket"));
    server.with(&bolt, ("sales", "GET", &order), "").refused(404, "S0B05");
    server.with(&bolt, ("admin", "GET", &ticket), "").refused(404, "S0B05");
    server.with(&bolt, ("admin", "POST", &format!("{ticket}/code")), "").refused(404, "S0B05");
    server.with(&bolt, ORDERS, &self::order("1")).refused(404, "S0B05");
    server.with(&owner, ("sales", "GET", &order), "").ok(200);
}

fn once(server: &Server, key: &str, once: &str, body: &str) -> Got {
    let bearer = format!("Bearer {key}");
    server.ask(ORDERS, &[("authorization", &bearer), ("idempotency-key", once)], body)
}

#[test]
fn sec_w16_a_hundred_times_the_same_request_is_one_order_and_one_answer() {
    let (server, owner) = selling();
    let answers: Vec<Got> = std::thread::scope(|scope| {
        let send = || once(&server, &owner, "one", &order("1"));
        let threads: Vec<_> = (0..100).map(|_| scope.spawn(send)).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).collect()
    });
    let first = answers[0].clone().ok(201);
    assert!(first.body["code"].is_string());
    assert!(answers.iter().all(|answer| *answer == first));
    assert_eq!(orders(&server, &owner), 1);
    once(&server, &owner, "one", &order("2")).refused(422, "S0B0B");
    once(&server, &owner, "two", &order("2")).ok(201);
    once(&server, &owner, "", &order("3")).refused(400, "S0B08");
    once(&server, &owner, &"x".repeat(256), &order("3")).refused(400, "S0B08");
    assert_eq!(orders(&server, &owner), 2);
    // The same order under another key is the same order, and its ticket is not told again.
    let again = once(&server, &owner, "three", &order("1")).ok(200);
    assert_eq!((&again.body["id"], &again.body["code"]), (&first.body["id"], &Value::Null));
}

/// Actions in the audit, first things first.
fn noted(server: &Server, owner: &str) -> Vec<String> {
    let rows = server.with(owner, ("admin", "GET", "/v1/audit"), "").ok(200).body;
    let rows = rows["rows"].as_array().expect("rows").clone();
    rows.iter().map(|row| row["action"].as_str().expect("an action").to_owned()).collect()
}

#[test]
fn a_change_that_is_asked_for_twice_is_made_and_noted_once() {
    let (server, owner) = selling();
    let bearer = format!("Bearer {owner}");
    let put = |once: &str, tag: &str, name: &str| {
        let headers = [("authorization", &*bearer), ("idempotency-key", once), ("if-match", tag)];
        server.ask(PRODUCTS, &headers, &json!({ "code": 7, "name": name }).to_string())
    };
    // What was refused is not kept.
    put("one", "\"2\"", "Writer").refused(412, "S0B06");
    let first = put("one", "\"1\"", "Writer").ok(200);
    assert_eq!(first.tag.as_deref(), Some("\"2\""));
    assert_eq!(put("one", "\"1\"", "Writer"), first);
    // Another version, body or route is another request.
    put("one", "\"2\"", "Writer").refused(422, "S0B0B");
    put("one", "\"1\"", "Other").refused(422, "S0B0B");
    once(&server, &owner, "one", &order("1")).refused(422, "S0B0B");
    // What would answer differently, if it was done again.
    let shop = json!({ "name": "one", "kind": "shopify" }).to_string();
    let shop = server.with(&owner, ("admin", "POST", "/v1/shops"), &shop).ok(201).body;
    let shop = format!("/v1/shops/{}", shop["id"].as_str().expect("an id"));
    let remove = || {
        let headers = [("authorization", &*bearer), ("idempotency-key", "two")];
        server.ask(("admin", "DELETE", &shop), &headers, "")
    };
    let removed = remove().ok(200);
    assert_eq!(remove(), removed);
    server.with(&owner, ("admin", "DELETE", &shop), "").refused(404, "S0B05");
    let actions = ["product.put", "item.put", "product.put", "shop.create", "shop.remove"];
    assert_eq!(noted(&server, &owner)[1..], actions);
}

/// Nobody logs in at the Gateway: two customers who draw the same key are not told of each other.
#[test]
fn a_key_of_a_stranger_counts_with_what_he_has_to_show() {
    let (server, owner) = selling();
    let [one, two] = ["1", "2"].map(|number| {
        let body = json!({ "number": number, "sku": "ED-1", "terms": { "quantity": 5 } });
        let made = server.with(&owner, ORDERS, &body.to_string()).ok(201).body;
        made["code"].as_str().expect("a ticket").to_owned()
    });
    let serve = |ticket: &str, product: &Value| {
        let body = json!({ "ticket": ticket, "product": product }).to_string();
        server.ask(("gateway", "POST", "/v1/acme/served"), &[("idempotency-key", "1")], &body)
    };
    let first = serve(&one, &Value::Null).ok(201);
    assert!(first.body["credential"].is_string());
    assert_eq!(serve(&one, &Value::Null), first);
    serve(&one, &json!(7)).refused(422, "S0B0B");
    let other = serve(&two, &Value::Null).ok(201);
    assert_ne!(other.body["credential"], first.body["credential"]);
}

#[test]
fn a_change_needs_the_version_that_it_was_made_for() {
    let (server, owner) = selling();
    let product = |name: &str| json!({ "code": 7, "name": name }).to_string();
    let put = |tag: &str, name: &str| {
        let bearer = format!("Bearer {owner}");
        server.ask(PRODUCTS, &[("authorization", &bearer), ("if-match", tag)], &product(name))
    };
    server.with(&owner, PRODUCTS, &product("Writer")).refused(409, "S0B07");
    let second = put("\"1\"", "Writer").ok(200);
    assert_eq!(second.tag.as_deref(), Some("\"2\""));
    put("\"1\"", "Other").refused(412, "S0B06");
    put("new", "Other").refused(400, "S0B08");
    put("\"2\"", "").refused(400, "S0B08");
    let rows = server.with(&owner, ("admin", "GET", "/v1/products"), "").ok(200).body;
    assert_eq!(rows["rows"][0]["name"], "Writer");
}

#[test]
fn a_list_comes_in_pages_and_none_is_missing_or_twice() {
    let (server, owner) = selling();
    for number in 0..7 {
        server.with(&owner, ORDERS, &order(&number.to_string())).ok(201);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/orders?limit=3".to_owned();
    loop {
        let page = server.with(&owner, ("admin", "GET", &path), "").ok(200).body;
        let rows = page["rows"].as_array().expect("rows").clone();
        seen.extend(rows.iter().map(|row| row["number"].as_str().expect("a number").to_owned()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/orders?limit=3&after={next}");
    }
    // Those of one millisecond come in any order.
    seen.sort();
    assert_eq!(seen, ["0", "1", "2", "3", "4", "5", "6"]);
}

/// Each effect has its entry, by whom, and none has a ticket or a key in it.
#[test]
fn the_audit_has_an_entry_for_each_effect() {
    let (server, owner) = selling();
    let code = server.with(&owner, ORDERS, &order("1")).ok(201).body["code"].clone();
    let rows = server.with(&owner, ("admin", "GET", "/v1/audit"), "").ok(200).body;
    assert_eq!(noted(&server, &owner), ["key.create", "product.put", "item.put", "order.create"]);
    let text = rows.to_string();
    assert!(!text.contains(code.as_str().expect("a code")));
    let secret = owner.split_once('.').expect("a key").1;
    assert!(!text.contains(secret));
    let stored = server.central.read("acme", |work: &mut Work<'_>| {
        let page = Page { after: None, limit: 100 };
        work.list::<license_central::domain::audit::Entry>(&Filter::All, &page)
    });
    let entries: Vec<_> = stored.expect("entries").into_iter().map(|one| one.record).collect();
    assert_eq!(entries.len(), 4);
    assert!(entries.windows(2).all(|pair| pair[1].before == pair[0].hash()));
}

#[test]
fn each_face_describes_itself() {
    let server = Server::start();
    for (face, path) in [
        ("sales", "/v1/orders"),
        ("gateway", "/v1/{vendor}/activations"),
        ("admin", "/v1/products"),
    ] {
        let document = server.ask((face, "GET", "/openapi.json"), &[], "").ok(200).body;
        assert!(document["openapi"].as_str().is_some_and(|v| v.starts_with("3.1")), "{face}");
        assert!(document["paths"][path].is_object(), "{face}: {path}");
    }
}
