//! Reports, each over what really happened to licenses of a dongle or of seats.

use license_central::domain::records::RoleName;
use serde_json::{Value, json};

use crate::server::Got;
use crate::stage::Stage;

const DAY_S: u64 = 24 * 3600;

impl Stage {
    fn report(&self, path: &str) -> Vec<Value> {
        let path = format!("/v1/reports/{path}");
        let got = self.owner(("admin", "GET", &path), &Value::Null).ok(200).body;
        assert!(got["next"].is_null(), "{got}");
        got["rows"].as_array().expect("rows").clone()
    }

    /// Sells product 8 with these terms as `X-1`; a ticket.
    fn sold(&self, terms: Value) -> String {
        let product = json!({ "code": 8, "name": "Other", "terms": terms });
        self.owner(("admin", "PUT", "/v1/products"), &product).ok(200);
        let item = json!({ "sku": "X-1", "name": "Other", "parts": [{ "product": 8 }] });
        self.owner(("admin", "PUT", "/v1/items"), &item).ok(200);
        let order = json!({ "number": "X", "sku": "X-1" });
        let made = self.owner(("sales", "POST", "/v1/orders"), &order).ok(201).body;
        made["code"].as_str().expect("a ticket").to_owned()
    }
}

#[test]
fn what_ends_soon_is_told_with_what_ends_it() {
    let stage = Stage::new();
    let mut one = stage.dongle(1);
    let ticket = stage.sold(json!({ "expires": "+10d" }));
    stage.apply(&stage.activate(&ticket, &mut one).ok(200), &mut one, true);
    let endless = stage.ticket("1", 1);
    stage.apply(&stage.activate(&endless, &mut one).ok(200), &mut one, true);
    assert_eq!(stage.report(&format!("expiring?within_s={}", 9 * DAY_S)), [Value::Null; 0]);
    let rows = stage.report(&format!("expiring?within_s={}", 11 * DAY_S));
    assert_eq!(rows.len(), 1);
    let row = &rows[0];
    let words = ["by", "state", "order"].map(|name| row[name].as_str().expect("a word"));
    assert_eq!(words, ["expiration", "held", "X"]);
    assert!(row["container"].as_str().is_some_and(|serial| serial.starts_with("DONGLE-")));
    assert_eq!(stage.report("expiring"), rows, "30 days are looked ahead");
    assert_eq!(stage.report("lapsed"), [Value::Null; 0]);
    assert_eq!(stage.report(&format!("expiring?within_s={}", i64::MAX)), rows);
}

#[test]
fn a_checkpoint_and_the_end_of_a_served_license_are_told_too() {
    let stage = Stage::new();
    let mut one = stage.dongle(1);
    let ticket = stage.sold(json!({ "checkpoint": "5d", "expires": "+90d" }));
    stage.apply(&stage.activate(&ticket, &mut one).ok(200), &mut one, true);
    let order = json!({ "number": "S", "sku": "ED-1", "terms": { "expires": "+3d" } });
    let made = stage.owner(("sales", "POST", "/v1/orders"), &order).ok(201).body;
    let served = json!({ "ticket": made["code"] });
    stage.owner(("gateway", "POST", "/v1/acme/served"), &served).ok(201);
    let rows = stage.report(&format!("expiring?within_s={}", 6 * DAY_S));
    let mut told: Vec<_> =
        rows.iter().map(|row| (row["state"].as_str(), row["by"].as_str())).collect();
    told.sort();
    assert_eq!(told, [(Some("held"), Some("checkpoint")), (Some("served"), Some("expiration"))]);
}

#[test]
fn what_was_activated_and_what_is_without_a_receipt() {
    let stage = Stage::new();
    let [mut one, mut two] = [1, 2].map(|seed| stage.dongle(seed));
    let ticket = stage.ticket("4711", 2);
    let first = stage.activate(&ticket, &mut one).ok(200);
    stage.apply(&first, &mut one, true);
    stage.activate(&ticket, &mut two).ok(200);
    let rows = stage.report("activated");
    assert_eq!(rows.len(), 2);
    let mut proven: Vec<_> = rows.iter().map(|row| row["confirmed"].as_bool()).collect();
    proven.sort();
    assert_eq!(proven, [Some(false), Some(true)]);
    let at_ms = rows[0]["issued_ms"].as_i64().expect("a time");
    assert_eq!(rows[0]["month"].as_str().map(str::len), Some(7));
    assert_eq!(rows[0]["order"], "4711");
    for (query, count) in [
        (format!("since_ms={}", at_ms - 60_000), 2),
        (format!("since_ms={}", at_ms + 60_000), 0),
        (format!("until_ms={}", at_ms - 60_000), 0),
        (format!("since_ms={}&until_ms={}", at_ms - 60_000, at_ms + 60_000), 2),
    ] {
        assert_eq!(stage.report(&format!("activated?{query}")).len(), count, "{query}");
    }
    let open = stage.report("unreceipted");
    assert_eq!(open.len(), 1);
    assert_eq!(open[0]["seq"], 1);
    assert!(open[0]["issued_ms"].as_i64() >= Some(at_ms - 60_000));
    let got = stage.activate(&ticket, &mut two).ok(200);
    stage.apply(&got, &mut two, true);
    assert_eq!(stage.report("unreceipted"), [Value::Null; 0]);
}

#[test]
fn what_lapsed_waits_in_its_report_and_a_risk_is_told_with_its_reason() {
    let stage = Stage::new();
    let mut one = stage.dongle(1);
    let ticket = stage.sold(json!({ "expires": "2020-01-01T00:00:00Z" }));
    stage.apply(&stage.activate(&ticket, &mut one).ok(200), &mut one, true);
    let rows = stage.report("lapsed");
    assert_eq!((rows.len(), rows[0]["ends_s"].as_u64()), (1, Some(1_577_836_800)));
    assert_eq!(stage.report(&format!("expiring?within_s={}", i64::MAX)), [Value::Null; 0]);
    assert_eq!(stage.report("overlap"), [Value::Null; 0]);
    let grant = rows[0]["grant"].as_str().expect("a grant");
    let path = format!("/v1/grants/{grant}/write-off");
    stage.owner(("admin", "POST", &path), &json!({ "reason": "burned" })).ok(200);
    let risks = stage.report("overlap");
    assert_eq!(risks.len(), 1);
    assert_eq!((&risks[0]["overlaps"], &risks[0]["state"]), (&json!(1), &json!("pool")));
    assert_eq!(risks[0]["detail"], "grant.write-off: burned");
    assert!(risks[0]["actor"].as_str().is_some_and(|actor| actor.starts_with("key_")));
    assert!(risks[0]["booked_ms"].is_i64());
    assert_eq!(stage.report("lapsed"), [Value::Null; 0]);
}

#[test]
fn a_refused_activation_is_booked_before_it_is_answered() {
    let stage = Stage::new();
    let [mut one, mut two] = [1, 2].map(|seed| stage.dongle(seed));
    let ticket = stage.ticket("1", 1);
    stage.activate(&ticket, &mut one).ok(200);
    assert_eq!(stage.report("denied"), [Value::Null; 0]);
    for count in 1..4 {
        stage.activate(&ticket, &mut two).refused(409, "S0B03");
        let rows = stage.report("denied");
        assert_eq!((rows.len(), &rows[0]["count"]), (1, &json!(count)), "{rows:?}");
    }
    let row = &stage.report("denied")[0];
    assert_eq!((&row["what"], &row["code"]), (&json!("activation"), &json!("S0B03")));
    assert!(row["object"].as_str().is_some_and(|id| id.starts_with("tic_")));
    assert!(row["why"].as_str().is_some_and(|why| why.contains("redeemed before")));
    // What is no ticket, or no request, is no use of a license.
    stage.activate("0", &mut two).refused(400, "S0B02");
    let wrong = json!({ "ticket": ticket, "context": "?" });
    stage.owner(("gateway", "POST", "/v1/acme/activations"), &wrong).refused(400, "S0B08");
    assert_eq!(stage.report("denied").len(), 1);
    let later = row["last_ms"].as_i64().expect("a time") + 2 * 24 * 3_600_000;
    assert_eq!(stage.report(&format!("denied?since_ms={later}")), [Value::Null; 0]);
    assert_eq!(stage.report(&format!("denied?since_ms={}", later - 3 * 24 * 3_600_000)).len(), 1);
}

#[test]
fn refused_seats_are_counted_and_written_together() {
    let stage = Stage::new();
    let ticket = stage.ticket("1", 1);
    let served = stage.owner(("gateway", "POST", "/v1/acme/served"), &json!({ "ticket": ticket }));
    let credential = served.ok(201).body["credential"].as_str().expect("it").to_owned();
    let take = || -> Got {
        let session = uuid::Uuid::now_v7().to_string();
        let body = json!({ "product": 7, "session": session }).to_string();
        stage.server().with(&credential, ("gateway", "POST", "/v1/acme/seats"), &body)
    };
    take().ok(200);
    for _ in 0..5 {
        take().refused(409, "S0B42");
    }
    // The server does so each second.
    stage.server().central.book_denials().expect("room");
    let rows = stage.report("denied");
    assert_eq!((rows.len(), &rows[0]["count"], &rows[0]["what"]), (1, &json!(5), &json!("seats")));
    assert!(rows[0]["object"].as_str().is_some_and(|id| id.starts_with("gra_")));
    take().refused(409, "S0B42");
    stage.server().central.book_denials().expect("room");
    stage.server().central.book_denials().expect("room");
    assert_eq!(stage.report("denied")[0]["count"], 6);
    let audit = stage.owner(("admin", "GET", "/v1/audit"), &Value::Null).ok(200).body;
    assert!(!audit.to_string().contains("S0B42"), "it is a count, not an entry for each");
}

#[test]
fn a_report_comes_in_pages_and_a_key_of_a_shop_sees_none() {
    let stage = Stage::new();
    for seed in 1..6 {
        let (ticket, mut dongle) = (stage.ticket(&seed.to_string(), 1), stage.dongle(seed));
        stage.activate(&ticket, &mut dongle).ok(200);
    }
    let mut seen = Vec::new();
    let mut path = "/v1/reports/unreceipted?limit=2".to_owned();
    for pages in 1.. {
        let page = stage.owner(("admin", "GET", &path), &Value::Null).ok(200).body;
        seen.extend(page["rows"].as_array().expect("rows").iter().map(|row| row["update"].clone()));
        let Some(next) = page["next"].as_str() else {
            assert_eq!(pages, 3);
            break;
        };
        path = format!("/v1/reports/unreceipted?limit=2&after={next}");
    }
    let mut all = seen.clone();
    all.dedup();
    assert_eq!((all.len(), seen.len()), (5, 5));
    let shop = stage.server().key("acme", RoleName::Integration);
    let got = stage.server().with(&shop, ("admin", "GET", "/v1/reports/denied"), "");
    got.refused(403, "S0B0A");
}
