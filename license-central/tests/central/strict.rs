//! Requests that readers could differ about, that are too large, or that are no requests.

use std::io::Write;
use std::time::Duration;

use license_central::api::front::Settings;
use license_central::domain::records::RoleName;
use serde_json::json;

use crate::api::{ITEMS, ORDERS, PRODUCTS, order, orders, selling};
use crate::raw::{self, Answer};
use crate::server::{Server, Setup};

/// Sends `body` byte by byte as the order of a shop.
fn post(server: &Server, owner: &str, kind: &str, body: &[u8]) -> Answer {
    let length = format!("content-length: {}", body.len());
    let key = format!("authorization: Bearer {owner}");
    let kind = format!("content-type: {kind}");
    raw::send(server.at("sales"), &["POST /v1/orders HTTP/1.1", &key, &kind, &length], body)
        .expect("an answer")
}

#[test]
fn sec_p07_what_two_readers_could_read_differently_is_refused_and_changes_nothing() {
    let (server, owner) = selling();
    let texts = [
        r#"{"number":"1","number":"1","sku":"ED-1"}"#,
        r#"{"number":"1","sku":"ED-1","terms":{"text":"a","text":"b"}}"#,
        r#"{"number":"1","sku":"ED-1","terms":{"text":"a","te\u0078t":"b"}}"#,
        r#"{"number":"1","sku":"ED-1","unknown":null}"#,
        r#"{"number":"1","sku":"ED-1","terms":{"unknown":1}}"#,
        r#"{"number":"1","sku":"ED-1","quantity":"1"}"#,
        r#"{"number":"1","sku":"ED-1","quantity":1.0}"#,
        r#"{"number":"1","sku":"ED-1","quantity":1e0}"#,
        r#"{"number":"1","sku":"ED-1","quantity":true}"#,
        r#"{"number":"1","sku":"ED-1","quantity":null}"#,
        r#"{"number":"1","sku":"ED-1","quantity":9223372036854775808}"#,
        r#"{"number":"1","sku":"ED-1","quantity":-9223372036854775809}"#,
        r#"{"number":"1","sku":"ED-1","quantity":0x1}"#,
        r#"{"number":"1","sku":"ED-1","quantity":01}"#,
        r#"{"number":"\ud800","sku":"ED-1"}"#,
        r#"{"number":"\udc00\ud800","sku":"ED-1"}"#,
        r#"{"number":"\u0000","sku":"ED-1"}"#,
        r#"{"number":"1","sku":"ED-1",}"#,
        r#"{"number":"1","sku":"ED-1"}{}"#,
        r#"{"number":"1","sku":"ED-1"} // so"#,
        r#"{'number':'1','sku':'ED-1'}"#,
        r#"{"number":NaN,"sku":"ED-1"}"#,
        r#"["1",1,"","ED-1"]"#,
        r#"{"number":"1","sku":"ED-1","terms":["+1y"]}"#,
    ];
    let bytes = [
        &b"{\"number\":\"\xff\",\"sku\":\"ED-1\"}"[..],
        b"{\"number\":\"\xed\xa0\x80\",\"sku\":\"ED-1\"}",
        b"{\"number\":\"\xc0\x80\",\"sku\":\"ED-1\"}",
        b"\xef\xbb\xbf{\"number\":\"1\",\"sku\":\"ED-1\"}",
        b"\xff\xfe{\0}\0",
    ];
    let all = texts.iter().map(|text| text.as_bytes()).chain(bytes);
    for body in all {
        let got = post(&server, &owner, "application/json", body);
        let shown = String::from_utf8_lossy(body);
        assert_eq!((got.status, &got.json()["code"]), (400, &json!("S0B08")), "{shown}: {got:?}");
    }
    let deep = format!(
        r#"{{"number":"1","sku":"ED-1","terms":{{"module":{}1{}}}}}"#,
        "[".repeat(40),
        "]".repeat(40)
    );
    let got = post(&server, &owner, "application/json", deep.as_bytes());
    assert!(got.status == 400 && got.body.contains("deeper than"), "{got:?}");
    assert_eq!(orders(&server, &owner), 0);
    assert_eq!(post(&server, &owner, "application/json", order("1").as_bytes()).status, 201);
}

#[test]
fn sec_p07_products_items_and_their_parts_have_no_fields_but_their_own() {
    let (server, owner) = selling();
    let products = [
        json!({ "code": 8, "name": "x", "price": 1 }),
        json!({ "code": 8, "name": "x", "terms": { "price": 1 } }),
        json!({ "code": "8", "name": "x" }),
        json!({ "code": 8.0, "name": "x" }),
        json!({ "code": -1, "name": "x" }),
        json!({ "code": 8, "name": "x", "restore": [1, 1, 1] }),
        json!({ "code": 4_294_967_296_u64, "name": "x" }),
    ];
    for body in products {
        server.with(&owner, PRODUCTS, &body.to_string()).refused(400, "S0B08");
    }
    let items = [
        json!({ "sku": "S", "name": "x", "parts": [{ "product": 7 }], "price": 1 }),
        json!({ "sku": "S", "name": "x", "parts": [{ "product": 7, "price": 1 }] }),
        json!({ "sku": "S", "name": "x", "parts": [{ "product": 7, "terms": { "price": 1 } }] }),
        json!({ "sku": "S", "name": "x", "parts": [{ "product": 7 }], "counts": "floats" }),
        json!({ "sku": "S", "name": "x", "parts": [[7]] }),
    ];
    for body in items {
        server.with(&owner, ITEMS, &body.to_string()).refused(400, "S0B08");
    }
    for list in ["products", "items"] {
        let rows = server.with(&owner, ("admin", "GET", &format!("/v1/{list}")), "").ok(200).body;
        assert_eq!(rows["rows"].as_array().map(Vec::len), Some(1), "{list}");
    }
}

#[test]
fn sec_p07_a_query_that_a_route_does_not_know_is_refused() {
    let (server, owner) = selling();
    let made = server.with(&owner, ORDERS, &order("1")).ok(201).body;
    let [id, ticket] = ["id", "ticket"].map(|name| made[name].as_str().expect("an id").to_owned());
    let paths = [
        ("sales", "GET", format!("/v1/orders/{id}?debug=1")),
        ("admin", "GET", format!("/v1/tickets/{ticket}?x")),
        ("admin", "POST", format!("/v1/tickets/{ticket}/code?vendor=bolt")),
        ("admin", "GET", "/v1/orders?limit=1&li%6dit=2".into()),
        ("admin", "GET", "/v1/orders?limit=1.0".into()),
        ("admin", "GET", "/v1/orders?after=a%00b".into()),
        ("admin", "GET", "/v1/tickets/a%00b".into()),
        ("gateway", "GET", "/v1/acme?vendor=bolt".into()),
    ];
    for (face, method, path) in &paths {
        server.with(&owner, (face, method, path), "").refused(400, "S0B08");
    }
    let before = server.with(&owner, ("admin", "GET", &format!("/v1/tickets/{ticket}")), "");
    assert_eq!(before.ok(200).body["id"], json!(ticket));
}

#[test]
fn a_body_that_is_not_said_to_be_json_is_refused() {
    let (server, owner) = selling();
    for kind in ["text/plain", "application/x-www-form-urlencoded", "application/jsonx", ""] {
        let got = post(&server, &owner, kind, order("1").as_bytes());
        assert_eq!((got.status, &got.json()["code"]), (415, &json!("S0B52")), "{kind}");
    }
    assert_eq!(orders(&server, &owner), 0);
    let said = ["application/json", "Application/JSON; charset=utf-8"];
    for (number, kind) in said.into_iter().enumerate() {
        let got = post(&server, &owner, kind, order(&number.to_string()).as_bytes());
        assert_eq!(got.status, 201, "{got:?}");
    }
}

/// The length is said, and nothing of it is sent: what is answered was not read first.
#[test]
fn sec_p11_a_body_that_is_too_large_is_refused_before_it_comes() {
    let (server, owner) = selling();
    let key = format!("authorization: Bearer {owner}");
    let kind = "content-type: application/json";
    for length in ["1048577", "1000000000000", "9223372036854775807"] {
        let length = format!("content-length: {length}");
        let head = ["POST /v1/orders HTTP/1.1", &key, kind, &length];
        let got = raw::send(server.at("sales"), &head, b"").expect("an answer");
        assert_eq!((got.status, &got.json()["code"]), (413, &json!("S0B12")), "{length}");
    }
    // Without a length, the part that is too much is not waited for.
    let head = ["POST /v1/orders HTTP/1.1", &key, kind, "transfer-encoding: chunked"];
    let mut chunks = Vec::new();
    for _ in 0..5 {
        chunks.extend_from_slice(b"10000\r\n");
        chunks.extend_from_slice(&[b' '; 0x10000]);
        chunks.extend_from_slice(b"\r\n");
    }
    let got = raw::send(server.at("sales"), &head, &chunks).expect("an answer");
    assert_eq!((got.status, &got.json()["code"]), (413, &json!("S0B12")));
    assert_eq!(orders(&server, &owner), 0);
}

#[test]
fn sec_p11_headers_that_are_too_large_are_refused() {
    let server = Server::start();
    let ask = |headers: &[String]| {
        let mut head = vec!["GET /health HTTP/1.1"];
        head.extend(headers.iter().map(String::as_str));
        raw::send(server.at("admin"), &head, b"").expect("an answer")
    };
    assert_eq!(ask(&[format!("x: {}", "1".repeat(16_000))]).status, 200);
    let got = ask(&[format!("x: {}", "1".repeat(16_400))]);
    assert_eq!((got.status, &got.json()["code"]), (431, &json!("S0B53")));
    let many: Vec<String> = (0..90).map(|at| format!("x{at}: {}", "1".repeat(200))).collect();
    assert_eq!(ask(&many).json()["code"], json!("S0B53"));
    // Beyond twice the bound, or 100 lines, the status is all there is.
    assert_eq!(ask(&[format!("x: {}", "1".repeat(1_000_000))]).status, 431);
    let lines: Vec<String> = (0..101).map(|at| format!("x{at}: 1")).collect();
    assert_eq!(ask(&lines).status, 431);
    let path = format!("GET /{} HTTP/1.1", "a".repeat(17_000));
    let got = raw::send(server.at("admin"), &[&path], b"").expect("an answer");
    assert_eq!((got.status, &got.json()["code"]), (431, &json!("S0B53")));
}

#[test]
fn what_is_refused_says_which_request_it_was_and_what_is_allowed() {
    let server = Server::start();
    let got = raw::send(server.at("admin"), &["DELETE /v1/orders HTTP/1.1"], b"").expect("it");
    assert_eq!((got.status, &got.json()["code"]), (405, &json!("S0B08")));
    assert_eq!(got.header("allow"), Some("GET,HEAD"));
    let id = got.header("x-request-id").expect("a name").to_owned();
    assert_eq!((id.len(), &got.json()["request"]), (24, &json!(id)));
    let other = raw::send(server.at("admin"), &["GET /v1/none HTTP/1.1"], b"").expect("it");
    assert_ne!(other.header("x-request-id"), Some(&*id));
    for (name, value) in [("cache-control", "no-store"), ("x-content-type-options", "nosniff")] {
        assert_eq!(other.header(name), Some(value));
    }
    let wrong = ["GET / HTTP/9.9", "GET", "\u{16}\u{3}\u{1}", "GET / HTTP/1.1\r\nx y: 1"];
    for line in wrong {
        let got = raw::send(server.at("admin"), &[line], b"");
        assert!(got.as_ref().is_none_or(|got| got.status == 400), "{line:?}: {got:?}");
    }
    // Two lengths, or a length and chunks: readers differ about where the next request begins.
    let odd = [
        ["content-length: 1", "content-length: 2"],
        ["content-length: 1", "transfer-encoding: chunked"],
    ];
    for [one, two] in odd {
        let mut stream = raw::connect(server.at("sales"));
        let text =
            format!("POST /v1/orders HTTP/1.1\r\nhost: x\r\n{one}\r\n{two}\r\n\r\n0\r\n\r\n");
        let rest = "GET /health HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n";
        stream.write_all((text + rest).as_bytes()).expect("sent");
        let got = Answer::read(&mut stream).expect("an answer");
        assert!(got.status == 400 || got.status == 401, "{got:?}");
    }
}

#[test]
fn a_body_that_comes_too_slowly_is_a_problem() {
    let settings = Settings { timeout: Duration::from_secs(1), ..Settings::default() };
    let server = Server::with_setup(Setup { settings, ..Setup::default() });
    let key = format!("authorization: Bearer {}", server.key("acme", RoleName::Owner));
    let head = ["POST /v1/orders HTTP/1.1", &key, "content-type: application/json"];
    let head = [&head[..], &["content-length: 100"]].concat();
    let got = raw::send(server.at("sales"), &head, b"{").expect("an answer");
    assert_eq!((got.status, &got.json()["code"]), (503, &json!("S0B51")));
}
