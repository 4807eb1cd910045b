//! Webhooks of shops, as they send them: from a paid order to a ticket, its further periods, and
//! its refund. The examples under `recorded` have the fields that the systems document.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::domain::records::RoleName;
use protocol::crypto::mac::hmac_sha256;
use serde_json::{Value, json};

use crate::api::{ITEMS, PRODUCTS};
use crate::server::{Got, Server};

pub(crate) const WOO_ORDER: &str = include_str!("recorded/woocommerce-order.json");
const WOO_SUBSCRIPTION: &str = include_str!("recorded/woocommerce-subscription.json");
const WOO_RENEWAL: &str = include_str!("recorded/woocommerce-renewal.json");
const SHOPIFY_ORDER: &str = include_str!("recorded/shopify-order.json");
const SHOPIFY_CONTRACT: &str = include_str!("recorded/shopify-contract.json");
const SHOPIFY_BILLING: &str = include_str!("recorded/shopify-billing.json");
const SHOPIFY_REFUND: &str = include_str!("recorded/shopify-refund.json");

/// A vendor that sells `ED-1` by the year, and its shop.
struct World {
    server: Server,
    owner: String,
    kind: &'static str,
    id: String,
    secret: String,
}

impl World {
    fn new(kind: &'static str, on_refund: &str) -> Self {
        let server = Server::start();
        let owner = server.key("acme", RoleName::Owner);
        let product = json!({ "code": 7, "name": "Editor", "terms": { "expires": "+1y" } });
        server.with(&owner, PRODUCTS, &product.to_string()).ok(200);
        let item = json!({ "sku": "ED-1", "name": "Editor", "parts": [{ "product": 7 }] });
        server.with(&owner, ITEMS, &item.to_string()).ok(200);
        let new = json!({ "name": "store", "kind": kind, "on_refund": on_refund });
        let made = server.with(&owner, ("admin", "POST", "/v1/shops"), &new.to_string()).ok(201);
        let text = |name: &str| made.body[name].as_str().expect("text").to_owned();
        World { id: text("id"), secret: text("secret"), server, owner, kind }
    }

    fn tell(&self, topic: &str, body: &str) -> Got {
        let tag = BASE64.encode(hmac_sha256(self.secret.as_bytes(), &[body.as_bytes()]));
        self.tell_signed(topic, body, &tag)
    }

    fn tell_signed(&self, topic: &str, body: &str, signature: &str) -> Got {
        let path = format!("/v1/acme/shops/{}", self.id);
        let headers = match self.kind {
            "woocommerce" => ["x-wc-webhook-topic", "x-wc-webhook-signature"],
            _ => ["x-shopify-topic", "x-shopify-hmac-sha256"],
        };
        let headers = [(headers[0], topic), (headers[1], signature)];
        self.server.ask(("sales", "POST", &path), &headers, body)
    }

    fn list(&self, what: &str) -> Vec<Value> {
        let path = format!("/v1/{what}");
        let got = self.server.with(&self.owner, ("admin", "GET", &path), "").ok(200).body;
        got["rows"].as_array().expect("rows").clone()
    }

    fn map(&self, product: &str, item: Value) -> Got {
        let path = format!("/v1/shops/{}/map", self.id);
        let body = json!({ "mapped": [{ "product": product, "item": item }] });
        self.server.with(&self.owner, ("admin", "POST", &path), &body.to_string())
    }

    fn replay(&self) -> Value {
        let path = format!("/v1/shops/{}/replay", self.id);
        self.server.with(&self.owner, ("admin", "POST", &path), "").ok(200).body
    }
}

fn states(got: &Got) -> Vec<String> {
    assert_eq!(got.status, 200, "{got:?}");
    let lines = got.body["lines"].as_array().expect("lines");
    lines.iter().map(|line| line["state"].as_str().expect("a state").to_owned()).collect()
}

#[test]
fn an_order_of_woocommerce_is_one_order_however_often_it_is_told() {
    let world = World::new("woocommerce", "show");
    world.map("variation:95", json!("ED-1")).ok(200);
    world.map("sku:MUG", Value::Null).ok(200);
    for _ in 0..10 {
        let told = world.tell("order.updated", WOO_ORDER);
        assert_eq!(states(&told), ["ordered", "foreign"]);
        assert!(!told.body.to_string().contains("code"), "a ticket is told to no shop");
    }
    let orders = world.list("orders");
    assert_eq!(orders.len(), 1);
    let fields = ["number", "sku", "period"].map(|name| orders[0][name].as_str().expect("text"));
    assert_eq!((fields, &orders[0]["quantity"]), (["store:727", "ED-1", ""], &json!(2)));
    assert_eq!((world.list("tickets").len(), world.list("grants").len()), (1, 2));
    let customers = world.list("customers");
    assert_eq!(customers.len(), 1);
    let who = ["name", "reference", "email"].map(|name| customers[0][name].as_str().expect("text"));
    assert_eq!(who, ["Anna Muster", "store:26", "anna@example.com"]);
    assert_eq!(orders[0]["customer"], customers[0]["id"]);
    let pending = WOO_ORDER.replace("processing", "on-hold").replace("727", "729");
    assert_eq!(states(&world.tell("order.created", &pending)), [""; 0], "it is not paid");
    assert_eq!(states(&world.tell("coupon.created", "{}")), [""; 0]);
    assert_eq!(world.list("orders").len(), 1);
}

#[test]
fn nothing_is_read_before_its_signature_holds() {
    let world = World::new("woocommerce", "show");
    world.map("variation:95", json!("ED-1")).ok(200);
    let sign = |secret: &str, body: &str| {
        BASE64.encode(hmac_sha256(secret.as_bytes(), &[body.as_bytes()]))
    };
    let right = sign(&world.secret, WOO_ORDER);
    let hex: String = hmac_sha256(world.secret.as_bytes(), &[WOO_ORDER.as_bytes()])
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    let wrong = [
        String::new(),
        "AAAA".into(),
        BASE64.encode([0; 32]),
        sign("", WOO_ORDER),
        sign("another secret, of another shop", WOO_ORDER),
        sign(&world.secret, &WOO_ORDER.replace("\"quantity\": 2", "\"quantity\": 3")),
        right[..right.len() - 4].to_owned(),
        hex,
    ];
    for signature in &wrong {
        world.tell_signed("order.updated", WOO_ORDER, signature).refused(401, "S0B09");
    }
    let path = format!("/v1/acme/shops/{}", world.id);
    world.server.ask(("sales", "POST", &path), &[], WOO_ORDER).refused(401, "S0B09");
    // Another shop, another vendor: nobody learns which of them there are.
    for path in ["/v1/acme/shops/shp_0".to_owned(), format!("/v1/bolt/shops/{}", world.id)] {
        let headers = [("x-wc-webhook-signature", right.as_str())];
        let got = world.server.ask(("sales", "POST", &path), &headers, WOO_ORDER);
        let known = world.tell_signed("order.updated", WOO_ORDER, &wrong[1]);
        assert_eq!((got.status, &got.body["title"]), (known.status, &known.body["title"]));
    }
    assert_eq!((world.list("orders").len(), world.list("shop-lines").len()), (0, 0));
    // What is signed and cannot be understood is said, and changes nothing.
    for body in ["", "{", "[]", "{\"id\":\"x\"}", "{\"id\":1,\"id\":2}"] {
        world.tell("order.updated", body).refused(400, "S0B08");
    }
    assert_eq!(states(&world.tell_signed("order.updated", WOO_ORDER, &right)).len(), 2);
    // The first message of WooCommerce has no signature; nothing follows from it.
    let ping = world.server.ask(("sales", "POST", &path), &[], "webhook_id=12");
    assert_eq!(states(&ping), [""; 0]);
    let no_ping = world.server.ask(("sales", "POST", &path), &[], "webhook_id=12&x=1");
    no_ping.refused(401, "S0B09");
    // Neither a list nor the records have the secret.
    for list in ["shops", "audit", "shop-lines"] {
        assert!(!format!("{:?}", world.list(list)).contains(&world.secret), "{list}");
    }
    let kept = world.server.central.read("acme", license_central::domain::shops::all);
    assert!(!serde_json::to_string(&kept.expect("shops")).expect("JSON").contains(&world.secret));
    let gone = format!("/v1/shops/{}", world.id);
    world.server.with(&world.owner, ("admin", "DELETE", &gone), "").ok(200);
    world.tell("order.updated", WOO_ORDER).refused(401, "S0B09");
}

#[test]
fn what_is_not_mapped_waits_with_its_reason_and_is_not_lost() {
    let world = World::new("woocommerce", "show");
    let told = world.tell("order.updated", WOO_ORDER);
    assert_eq!(states(&told), ["waiting", "waiting"]);
    let lines = world.list("shop-lines");
    let why = lines[0]["why"].as_str().expect("a reason");
    assert!(why.contains("variation:95") && why.contains("product:93"), "{why}");
    assert_eq!(world.list("orders").len(), 0);
    world.map("product:93", json!("NONE")).refused(404, "S0B05");
    world.map("93", json!("ED-1")).refused(400, "S0B08");
    world.map("product:93", json!("ED-1")).ok(200);
    assert_eq!(world.list("orders").len(), 0, "a person says when");
    let done = world.replay();
    assert_eq!(done["lines"].as_array().map(Vec::len), Some(2));
    assert_eq!(world.list("orders").len(), 1);
    assert_eq!(states(&world.tell("order.updated", WOO_ORDER)), ["ordered", "waiting"]);
    world.replay();
    assert_eq!(world.list("orders").len(), 1);
    // Edited in the shop, it stays what it was here, and says so.
    let edited = WOO_ORDER.replace("\"quantity\": 2", "\"quantity\": 5");
    let told = world.tell("order.updated", &edited);
    assert_eq!(told.body["lines"][0]["why"], "the shop says quantity 5 now");
    assert_eq!((world.list("orders").len(), world.list("grants").len()), (1, 2));
}

#[test]
fn a_renewal_is_a_further_period_of_the_same_license() {
    let world = World::new("woocommerce", "show");
    world.map("variation:95", json!("ED-1")).ok(200);
    world.map("sku:MUG", Value::Null).ok(200);
    world.tell("order.updated", WOO_ORDER).clone().ok(200);
    // Which order the subscription began with is not known yet: it waits.
    assert_eq!(states(&world.tell("order.updated", WOO_RENEWAL)), ["waiting"]);
    assert_eq!(states(&world.tell("subscription.created", WOO_SUBSCRIPTION)), ["ordered"]);
    for _ in 0..10 {
        assert_eq!(states(&world.tell("order.updated", WOO_RENEWAL)), ["ordered"]);
        assert_eq!(states(&world.tell("subscription.updated", WOO_SUBSCRIPTION)), [""; 0]);
    }
    let next = WOO_RENEWAL.replace("912", "1044").replace("402", "460");
    assert_eq!(states(&world.tell("order.updated", &next)), ["ordered"]);
    let orders = world.list("orders");
    let mut told: Vec<_> = orders.iter().map(|one| (&one["number"], &one["period"])).collect();
    // Two that came within a millisecond are in no order.
    told.sort_by_key(|(_, period)| period.as_str());
    let number = json!("store:727");
    let periods = ["", "1044", "912"].map(|period| json!(period));
    assert_eq!(told, [0, 1, 2].map(|at| (&number, &periods[at])));
    assert_eq!(world.list("tickets").len(), 1, "no second license");
    let periods: Vec<_> = world.list("grants").iter().map(|one| one["periods"].clone()).collect();
    assert_eq!(periods, [3, 3]);
}

#[test]
fn an_order_of_shopify_its_renewal_and_its_refund() {
    let world = World::new("shopify", "show");
    // Its SKU is that of the item here: nothing has to be mapped.
    for topic in ["orders/paid", "orders/updated", "orders/paid"] {
        assert_eq!(states(&world.tell(topic, SHOPIFY_ORDER)), ["ordered"]);
    }
    let open = SHOPIFY_ORDER.replace("\"paid\"", "\"pending\"").replace("154508", "154509");
    assert_eq!(states(&world.tell("orders/updated", &open)), [""; 0]);
    assert_eq!(world.list("orders").len(), 1);
    let billed = SHOPIFY_ORDER
        .replace("154508", "154999")
        .replace("439020", "439021")
        .replace("\"web\"", "\"subscription_contract\"");
    assert_eq!(states(&world.tell("orders/paid", &billed)), ["waiting"]);
    let contract = world.tell("subscription_contracts/create", SHOPIFY_CONTRACT);
    assert_eq!(states(&contract), [""; 0]);
    let attempt = world.tell("subscription_billing_attempts/success", SHOPIFY_BILLING);
    assert_eq!(states(&attempt), ["ordered"]);
    assert_eq!(states(&world.tell("orders/paid", &billed)), ["ordered"]);
    let orders = world.list("orders");
    assert_eq!((orders.len(), world.list("tickets").len()), (2, 1));
    assert_eq!(orders[1]["period"], "820982911946154999");
    assert_eq!(states(&world.tell("refunds/create", SHOPIFY_REFUND)), ["ordered"]);
    let undone = &world.list("orders")[0]["undone"];
    assert_eq!((&undone["kind"], &undone["note"]), (&json!("refunded"), &json!("did not fit")));
    assert_eq!(world.list("grants")[0]["wanted"], "active", "a person decides");
    let path = format!("/v1/orders/{}", orders[0]["id"].as_str().expect("an id"));
    let shown = world.server.with(&world.owner, ("sales", "GET", &path), "").ok(200).body;
    assert_eq!(&shown["undone"], undone);
}

#[test]
fn a_refund_suspends_once_where_the_shop_is_registered_so() {
    let world = World::new("woocommerce", "suspend");
    world.map("variation:95", json!("ED-1")).ok(200);
    world.tell("order.updated", WOO_ORDER).clone().ok(200);
    let wanted = || -> Vec<String> {
        let grants = world.list("grants");
        grants.iter().map(|one| one["wanted"].as_str().expect("a word").to_owned()).collect()
    };
    let partly = WOO_ORDER.replace(
        "\"refunds\": []",
        "\"refunds\": [{\"id\": 9, \"reason\": \"late\", \"total\": \"-5.00\"}]",
    );
    world.tell("order.updated", &partly).clone().ok(200);
    assert_eq!(world.list("orders")[0]["undone"]["kind"], "partly-refunded");
    assert_eq!(wanted(), ["active", "active"]);
    let refunded = partly.replace("processing", "refunded");
    world.tell("order.updated", &refunded).clone().ok(200);
    assert_eq!(wanted(), ["suspended", "suspended"]);
    assert_eq!(world.list("orders")[0]["undone"]["kind"], "refunded");
    // A person reinstates one; the message that comes again does not take that back.
    let id = world.list("grants")[0]["id"].as_str().expect("an id").to_owned();
    let path = format!("/v1/grants/{id}/reinstate");
    world.server.with(&world.owner, ("admin", "POST", &path), "{}").ok(200);
    world.tell("order.updated", &refunded).clone().ok(200);
    assert_eq!(wanted(), ["active", "suspended"]);
    assert_eq!((world.list("orders").len(), world.list("tickets").len()), (1, 1));
}

/// Messages may come in another order than they were sent in.
#[test]
fn an_order_of_woocommerce_that_was_undone_first_becomes_none() {
    let world = World::new("woocommerce", "show");
    world.map("variation:95", json!("ED-1")).ok(200);
    for (number, status) in [("727", "refunded"), ("728", "cancelled")] {
        let paid = WOO_ORDER.replace("\"id\": 727", &format!("\"id\": {number}"));
        world.tell("order.updated", &paid.replace("processing", status)).clone().ok(200);
        assert_eq!(states(&world.tell("order.updated", &paid)), ["undone", "undone"], "{status}");
    }
    // One that nobody paid for leaves nothing behind.
    let before = world.list("shop-lines").len();
    let unpaid = WOO_ORDER
        .replace("\"id\": 727", "\"id\": 729")
        .replace("\"date_paid\": \"2027-03-01T10:16:02\"", "\"date_paid\": null");
    world.tell("order.updated", &unpaid.replace("processing", "cancelled")).clone().ok(200);
    assert_eq!((world.list("orders").len(), world.list("shop-lines").len()), (0, before));
}

#[test]
fn what_is_undone_before_it_is_heard_of_becomes_no_order() {
    let world = World::new("shopify", "show");
    world.tell("refunds/create", SHOPIFY_REFUND).clone().ok(200);
    assert_eq!(states(&world.tell("orders/paid", SHOPIFY_ORDER)), ["undone"]);
    let gone = SHOPIFY_ORDER
        .replace("154508", "154777")
        .replace("\"cancelled_at\": null", "\"cancelled_at\": \"2027-03-02T00:00:00Z\"");
    world.tell("orders/cancelled", &gone).clone().ok(200);
    let paid = SHOPIFY_ORDER.replace("154508", "154777");
    assert_eq!(states(&world.tell("orders/paid", &paid)), ["undone"]);
    assert_eq!(world.list("orders").len(), 0);
    let states: Vec<_> =
        world.list("shop-lines").iter().map(|line| line["state"].clone()).collect();
    assert!(states.iter().all(|state| state == "undone") && states.len() == 3, "{states:?}");
}
