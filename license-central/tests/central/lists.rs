//! Lists as tables: whole, in parts, with all their fields, and never shorter than they say.

use std::collections::BTreeSet;

use license_central::api::front::Settings;
use license_central::domain::records::RoleName;
use serde_json::{Value, json};

use crate::api::{ORDERS, order, selling, selling_on};
use crate::raw;
use crate::server::{Got, Server, Setup};

const CUSTOMERS: (&str, &str, &str) = ("sales", "POST", "/v1/customers/bulk");

fn table(server: &Server, key: &str, path: &str) -> Got {
    let bearer = format!("Bearer {key}");
    let headers = [("authorization", bearer.as_str()), ("accept", "text/csv")];
    server.ask(("admin", "GET", path), &headers, "")
}

/// Lines of a table, cell by cell.
fn lines(got: &Got) -> Vec<Vec<String>> {
    assert_eq!((got.status, &*got.kind), (200, "text/csv; charset=utf-8; header=present"));
    let text = got.body.as_str().expect("text");
    let mut reader = csv::ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
    let records = reader.records().map(|record| record.expect("a line"));
    records.map(|record| record.iter().map(str::to_owned).collect()).collect()
}

fn add_customers(server: &Server, owner: &str, names: &[String]) {
    for part in names.chunks(200) {
        let rows: Vec<Value> = part.iter().map(|name| json!({ "name": name })).collect();
        server.with(owner, CUSTOMERS, &json!({ "rows": rows }).to_string()).ok(200);
    }
}

#[test]
fn a_table_is_whole_where_json_comes_in_pages() {
    let (server, owner) = selling();
    let names: Vec<String> = (0..450).map(|number| format!("customer {number:03}")).collect();
    add_customers(&server, &owner, &names);
    let page = server.with(&owner, ("admin", "GET", "/v1/customers"), "").ok(200).body;
    assert_eq!(page["rows"].as_array().map(Vec::len), Some(200));
    let all = lines(&table(&server, &owner, "/v1/customers"));
    assert_eq!(all[0], ["id", "name", "reference", "email", "created_ms"]);
    assert_eq!(all.len(), 451);
    let mut told: Vec<&String> = all[1..].iter().map(|line| &line[1]).collect();
    told.sort();
    assert!(told.into_iter().eq(&names), "each of them once");
    // A part of it, from where another ended.
    let part = lines(&table(&server, &owner, "/v1/customers?limit=300"));
    assert_eq!(part, all[..301]);
    let rest = format!("/v1/customers?after={}", part[300][0]);
    assert_eq!(lines(&table(&server, &owner, &rest))[1..], all[301..]);
}

#[test]
fn a_cell_that_a_spreadsheet_would_compute_is_text() {
    let (server, owner) = selling();
    let evil = ["=HYPERLINK(\"http://x\")", "+1", "-2+3", "@SUM(A1)", "a;=1+1"];
    add_customers(&server, &owner, &evil.map(str::to_owned));
    let mut names: Vec<String> =
        lines(&table(&server, &owner, "/v1/customers"))[1..].iter().map(|l| l[1].clone()).collect();
    names.sort();
    assert_eq!(names, ["'+1", "'-2+3", "'=HYPERLINK(\"http://x\")", "'@SUM(A1)", "a;'=1+1"]);
    let rows = server.with(&owner, ("admin", "GET", "/v1/customers"), "").ok(200).body;
    assert_eq!(rows["rows"][0]["name"], evil[0], "JSON has it as it is");
}

/// The names of the fields of a schema, those of its parts included.
fn fields(document: &Value, schema: &Value) -> BTreeSet<String> {
    let named = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#'));
    let schema = named.and_then(|place| document.pointer(place)).unwrap_or(schema);
    let own = schema["properties"].as_object().into_iter().flatten().map(|(name, _)| name.clone());
    let parts = schema["allOf"].as_array().into_iter().flatten();
    own.chain(parts.flat_map(|part| fields(document, part))).collect()
}

/// What is described as a table is one, and it has each field that is described.
#[test]
fn every_list_is_a_table_with_all_its_fields() {
    let (server, owner) = selling();
    server.with(&owner, ORDERS, &order("1")).ok(201);
    let document = server.ask(("admin", "GET", "/openapi.json"), &[], "").ok(200).body;
    let mut seen = 0;
    for (path, methods) in document["paths"].as_object().expect("paths") {
        let content = &methods["get"]["responses"]["200"]["content"];
        let schema = content["application/json"]["schema"]["$ref"].as_str().unwrap_or_default();
        let listed = document.pointer(schema.trim_start_matches('#'));
        let is_list = listed.is_some_and(|listed| listed["properties"]["rows"].is_object());
        assert_eq!(content["text/csv"].is_object(), is_list, "{path}");
        if !is_list || path.contains('{') {
            continue;
        }
        seen += 1;
        let told = lines(&table(&server, &owner, path));
        let columns: BTreeSet<String> =
            told[0].iter().map(|name| name.split('.').next().expect("it").to_owned()).collect();
        let row = &listed.expect("a list")["properties"]["rows"]["items"];
        assert_eq!(columns, fields(&document, row), "{path}");
        let rows = server.with(&owner, ("admin", "GET", path), "").ok(200).body;
        assert_eq!(rows["rows"].as_array().map(Vec::len), Some(told.len() - 1), "{path}");
    }
    assert!(seen >= 17, "{seen} lists");
}

#[test]
fn a_table_that_is_too_long_breaks_off_and_does_not_look_whole() {
    let settings = Settings { export_rows_max: 250, ..Settings::default() };
    let server = Server::with_setup(Setup { settings, ..Setup::default() });
    let owner = selling_on(&server);
    let names: Vec<String> = (0..251).map(|number| format!("{number}")).collect();
    add_customers(&server, &owner, &names[..250]);
    let key = format!("authorization: Bearer {owner}");
    let read = |path: &str| {
        let head = [&*format!("GET {path} HTTP/1.1"), &key, "accept: text/csv"];
        let body = raw::send(server.at("admin"), &head, b"").expect("an answer").body;
        (body.matches("cus_").count(), body.ends_with("0\r\n\r\n"))
    };
    assert_eq!(read("/v1/customers"), (250, true));
    add_customers(&server, &owner, &names[250..]);
    let (rows, is_whole) = read("/v1/customers");
    assert!(rows <= 250 && !is_whole, "{rows} {is_whole}");
    assert_eq!(read("/v1/customers?limit=250"), (250, true), "a part that was asked for");
    let (rows, is_whole) = read("/v1/customers?limit=9999");
    assert!((rows, is_whole) == (250, true), "no part is longer than the bound: {rows}");
}

#[test]
fn who_may_not_see_a_list_gets_no_table() {
    let (server, _) = selling();
    let shop = server.key("acme", RoleName::Integration);
    table(&server, &shop, "/v1/grants").refused(403, "S0B0A");
    table(&server, "key_0.0", "/v1/grants").refused(401, "S0B09");
    let bolt = server.key("bolt", RoleName::Owner);
    assert_eq!(lines(&table(&server, &bolt, "/v1/products")).len(), 1);
    table(&server, &bolt, "/v1/products?x=1").refused(400, "S0B08");
}
