//! A scene for every route: what is there, and a request that does something with it.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use license_central::domain::firm::{Firm, Leaf, LocalSigner, Signer, Wanted};
use license_central::signer::caps::{self, CapsFile};
use license_central::signer::keeper::Keeper;
use protocol::crypto::mac::hmac_sha256;
use protocol::errors::Shown;
use protocol::ids::{ContainerId, KeyId, RootFp};
use protocol::objects::device::DeviceBody;
use serde_json::{Value, json};
use std::sync::Arc;
use strongroom_tests::enrollment::Applicant;
use tempfile::TempDir;
use vendor::ledger::Issued;
use vendor::{Passphrase, Vendor, files};

use super::Fixed;
use crate::dongle::Dongle;
use crate::enrollment::tpm::Maker;
use crate::seats;
use crate::server::{Got, Server};
use crate::shops::WOO_ORDER;
use crate::stage::NoSecrets;
use crate::table::{self, World};
use crate::time;

/// Where makers of TPMs are added.
const AUTHORITIES: &str = "/v1/tpm-authorities";

/// One request, and what it is answered if nothing fails.
pub(crate) struct Scene {
    pub(crate) name: String,
    pub(crate) route: (&'static str, &'static str, String),
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) body: String,
    pub(crate) status: u16,
}

impl Scene {
    pub(crate) fn send(&self, server: &Server) -> Got {
        let (face, method, path) = &self.route;
        let headers = self.headers.iter().map(|(name, value)| (*name, value.as_str()));
        server.ask((face, method, path), &headers.collect::<Vec<_>>(), &self.body)
    }
}

/// Signs from memory, so that records may be put back; only the time comes from a signer that
/// writes down what it certified.
struct Forgetful {
    local: LocalSigner,
    times: Keeper,
}

impl Signer for Forgetful {
    fn draft(&self, wanted: &Wanted<'_>) -> Result<(Leaf, Issued), Shown> {
        self.local.draft(wanted)
    }

    fn key_id(&self) -> Result<KeyId, Shown> {
        self.local.key_id()
    }

    fn sign(&self, leaves: &[Leaf]) -> Result<Vec<Vec<u8>>, Shown> {
        self.local.sign(leaves)
    }

    fn sign_leases(&self, leases: Vec<Leaf>) -> Result<Vec<Vec<u8>>, Shown> {
        self.local.sign_leases(leases)
    }

    fn certify(&self, id: ContainerId, body: &DeviceBody) -> Result<Vec<u8>, Shown> {
        self.times.certify(id, body)
    }

    fn time_token(&self, certificate: &[u8], nonce: [u8; 32]) -> Result<Vec<u8>, Shown> {
        self.times.time_token(certificate, nonce)
    }
}

/// The firm of `acme`, whose directory is made in `dir`, and its fingerprint.
pub(crate) fn firm(dir: &TempDir, clock: Fixed) -> (Arc<Firm>, RootFp) {
    let [path, caps, journal] = ["acme", "signer.toml", "acme.journal"].map(|n| dir.path().join(n));
    let mode = protocol::objects::root::Mode::Test;
    let made = Vendor::init(&path, "Acme", 1, mode, None, &Passphrase::empty()).expect("a vendor");
    files::replace(&caps, caps::FIRST.as_bytes(), 0o600).expect("room");
    let caps = CapsFile::read(&caps).expect("caps").of("acme");
    let local = || LocalSigner::new(made.trust.clone(), made.keys(&NoSecrets).expect("its keys"));
    let root_fp = made.root.root_fp;
    let times = Keeper::open(local(), root_fp, &journal, caps, Arc::new(clock)).expect("a journal");
    let signer = Box::new(Forgetful { local: local(), times });
    (Arc::new(Firm::new(made.trust, signer)), root_fp)
}

/// What the scenes act on, beside what the table of all routes needs.
struct Play {
    world: World,
    root_fp: RootFp,
    seeds: u64,
}

/// Makes what they act on, on a server on which nothing was done yet; the scenes of all routes.
///
/// # Panics
/// A route that answers its owner by a refusal needs a scene of its own here.
pub(crate) fn all(server: Server, root_fp: RootFp) -> Vec<Scene> {
    let mut play = Play { world: World::on(server), root_fp, seeds: 0 };
    let own = play.own();
    let World { owner, ids, .. } = play.world;
    let scenes = table::rows().into_iter().map(|row| {
        let name = format!("{} {} {}", row.face, row.method, row.path);
        let by_hand = own.iter().find(|(route, ..)| *route == name);
        let [path, body] = [row.path, row.body].map(|text| table::fill(text, &ids, 7000));
        let (path, headers, body, status) = match by_hand {
            Some((_, path, headers, body)) => {
                let path =
                    if path.is_empty() { table::fill(row.path, &ids, 0) } else { path.clone() };
                let makes = row.path.ends_with("/served") || row.path == AUTHORITIES;
                let status = if makes { 201 } else { 200 };
                (path, headers.clone(), body.clone(), status)
            }
            None => (path, Vec::new(), body, row.statuses[1]),
        };
        assert!((200..300).contains(&status), "{name} has no scene in which it does something");
        let mut headers = headers;
        if !headers.iter().any(|(name, _)| *name == "authorization") {
            headers.push(("authorization", format!("Bearer {owner}")));
        }
        headers.push(("idempotency-key", "drawn for this request".into()));
        Scene { name, route: (row.face, row.method, path), headers, body, status }
    });
    scenes.collect()
}

/// Route as `routes.txt` has it, its address if another than the table's, headers, body.
type ByHand = (String, String, Vec<(&'static str, String)>, String);

impl Play {
    fn owner(&self, route: (&str, &str, &str), body: &Value) -> Got {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        self.world.server.with(&self.world.owner, route, &body)
    }

    fn gateway(&self, what: &str, body: &Value) -> Got {
        let path = format!("/v1/acme/{what}");
        self.world.server.ask(("gateway", "POST", &path), &[], &body.to_string())
    }

    /// A new ticket for one device, and its first license.
    fn ticket(&mut self) -> (String, String) {
        self.ticket_with(json!({}))
    }

    fn ticket_with(&mut self, terms: Value) -> (String, String) {
        self.seeds += 1;
        let number = format!("play{}", self.seeds);
        let order = json!({ "number": number, "sku": "ED-1", "terms": terms });
        let made = self.owner(("sales", "POST", "/v1/orders"), &order).ok(201).body;
        let shown = format!("/v1/tickets/{}", text(&made["ticket"]));
        let shown = self.owner(("admin", "GET", &shown), &Value::Null).ok(200).body;
        (text(&made["code"]), text(&shown["licenses"][0]["grant"]))
    }

    /// A dongle with a license: its ticket, its grant, and its receipt, which was not sent.
    fn licensed(&mut self) -> (Dongle, String, String, String) {
        let (ticket, grant) = self.ticket();
        let mut dongle = Dongle::new(self.seeds, self.root_fp);
        let body = json!({ "ticket": ticket, "context": context(&mut dongle) });
        let got = self.gateway("activations", &body).ok(200).body;
        let update = BASE64.decode(text(&got["updates"][0]["file"])).expect("base64");
        let receipt = dongle.apply(&update).expect("a receipt");
        (dongle, ticket, grant, BASE64.encode(receipt))
    }

    /// The same, and Central knows.
    fn held(&mut self) -> (Dongle, String, String) {
        let (dongle, ticket, grant, receipt) = self.licensed();
        self.gateway("receipts", &json!({ "receipt": receipt })).ok(200);
        (dongle, ticket, grant)
    }

    fn grant(&self, grant: &str, what: &str, body: &Value) -> Value {
        let path = format!("/v1/grants/{grant}/{what}");
        let got = self.owner(("admin", "POST", &path), body);
        assert!(got.status < 300, "{got:?}");
        got.body
    }

    /// Routes where the row of `routes.txt` is refused, or would change nothing.
    fn own(&mut self) -> Vec<ByHand> {
        let mut all = self.of_containers();
        all.extend(self.of_seats());
        all.extend(self.of_shops());
        let (_, suspended) = self.ticket();
        self.grant(&suspended, "suspend", &json!({}));
        all.push(by_hand(
            "admin POST /v1/grants/{grant}/reinstate",
            format!("/v1/grants/{suspended}/reinstate"),
            json!({}),
        ));
        let (dongle, ..) = self.held();
        let blocked = format!("/v1/containers/{}", dongle.id());
        self.owner(("admin", "POST", &format!("{blocked}/block")), &json!({})).ok(200);
        let unblock = format!("{blocked}/unblock");
        all.push(by_hand("admin POST /v1/containers/{container}/unblock", unblock, json!({})));
        let user = json!({ "name": "Eve", "role": "support" });
        let user = text(&self.owner(("admin", "POST", "/v1/users"), &user).ok(201).body["id"]);
        let user = format!("/v1/users/{user}");
        self.owner(("admin", "POST", &format!("{user}/disable")), &Value::Null).ok(200);
        let enable = format!("{user}/enable");
        all.push(by_hand("admin POST /v1/users/{user}/enable", enable, Value::Null));
        let (_, _, written_off) = self.held();
        all.push(by_hand(
            &format!("admin POST {AUTHORITIES}"),
            String::new(),
            json!({ "name": "Another", "certificate": Maker::new().pem }),
        ));
        all.push(by_hand(
            "admin POST /v1/grants/{grant}/write-off",
            format!("/v1/grants/{written_off}/write-off"),
            json!({}),
        ));
        all
    }

    fn of_containers(&mut self) -> Vec<ByHand> {
        let rule = json!({ "times": 3, "period_s": 3600, "wait_s": 60 });
        let product = json!({ "code": 7, "name": "Editor", "restore": rule }).to_string();
        let bearer = format!("Bearer {}", self.world.owner);
        let headers = [("authorization", bearer.as_str()), ("if-match", "\"1\"")];
        self.world.server.ask(("admin", "PUT", "/v1/products"), &headers, &product).ok(200);
        let route = |what: &str| format!("gateway POST /v1/{{vendor}}/{what}");
        let (ticket, _) = self.ticket();
        let mut fresh = Dongle::new(1000, self.root_fp);
        let (mut one, _, _) = self.held();
        let (lost, of_lost, _) = self.held();
        let (_, _, _, receipt) = self.licensed();
        let (mut collects, _, suspended) = self.held();
        self.grant(&suspended, "suspend", &json!({}));
        let (shown, _) = self.ticket();
        let lost =
            self.owner(("admin", "GET", &format!("/v1/containers/{}", lost.id())), &Value::Null);
        let lost = text(&lost.ok(200).body["container"]["serial"]);
        let asked = time::written(&fresh, self.root_fp, &[5; 32]);
        let [first, second] = [9, 10].map(|number| Applicant::new(number, self.root_fp));
        let request = json!({ "request": BASE64.encode(second.request()) }).to_string();
        let path = "/v1/acme/enrollments";
        let begun = self.world.server.ask(("gateway", "POST", path), &[], &request).ok(200);
        let challenge = BASE64.decode(text(&begun.body["challenge"])).expect("base64");
        let (one, fresh) = (context(&mut one), context(&mut fresh));
        [
            ("tickets/show", json!({ "ticket": shown })),
            ("activations", json!({ "ticket": ticket, "context": fresh })),
            ("collections", json!({ "context": context(&mut collects) })),
            ("moves", json!({ "context": one, "to": "DONGLE-0000-0000-0001" })),
            ("losses", json!({ "ticket": of_lost, "container": lost })),
            ("releases", json!({ "context": one })),
            ("time", json!({ "request": BASE64.encode(asked) })),
            ("enrollments", json!({ "request": BASE64.encode(first.request()) })),
            (
                "enrollments/proofs",
                json!({ "proof": BASE64.encode(second.proof(&challenge, None)) }),
            ),
            ("receipts", json!({ "receipt": receipt })),
        ]
        .into_iter()
        .map(|(what, body)| by_hand(&route(what), String::new(), body))
        .collect()
    }

    fn of_seats(&mut self) -> Vec<ByHand> {
        let served = self.world.ids.iter().find(|(name, _)| *name == "{served}");
        let served = served.expect("a license that is served").1.clone();
        let credential = text(&self.grant(&served, "credentials", &Value::Null)["credential"]);
        let (seats, session) = ("/v1/acme/seats", seats::session());
        let key = |key: &str| vec![("authorization", format!("Bearer {key}"))];
        let take = |session: &str| json!({ "product": 7, "session": session }).to_string();
        let got = self.world.server.with(&credential, ("gateway", "POST", seats), &take(&session));
        got.ok(200);
        let turn = |what: &str| format!("{seats}/{session}/{what}");
        let (body, other) = (json!({ "n": 1 }).to_string(), seats::session());
        let (ticket, _) = self.ticket_with(json!({ "quantity": 5 }));
        vec![
            (
                "gateway POST /v1/{vendor}/seats".to_owned(),
                String::new(),
                key(&credential),
                take(&other),
            ),
            (
                "gateway POST /v1/{vendor}/seats/{session}/heartbeat".to_owned(),
                turn("heartbeat"),
                key(&credential),
                body.clone(),
            ),
            (
                "gateway POST /v1/{vendor}/seats/{session}/return".to_owned(),
                turn("return"),
                key(&credential),
                body,
            ),
            by_hand(
                "gateway POST /v1/{vendor}/served",
                String::new(),
                json!({ "ticket": ticket, "product": 7 }),
            ),
        ]
    }

    fn of_shops(&mut self) -> Vec<ByHand> {
        let new = json!({ "name": "store", "kind": "woocommerce" });
        let shop = self.owner(("admin", "POST", "/v1/shops"), &new).ok(201).body;
        let (id, secret) = (text(&shop["id"]), text(&shop["secret"]));
        let path = format!("/v1/acme/shops/{id}");
        let signed = |order: &str| {
            let tag = hmac_sha256(secret.as_bytes(), &[order.as_bytes()]);
            let topic = ("x-wc-webhook-topic", "order.updated".to_owned());
            vec![topic, ("x-wc-webhook-signature", BASE64.encode(tag))]
        };
        let headers = signed(WOO_ORDER);
        let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        self.world.server.ask(("sales", "POST", &path), &headers, WOO_ORDER).ok(200);
        let map = json!({ "mapped": [{ "product": "variation:95", "item": "ED-1" }] });
        self.owner(("admin", "POST", &format!("/v1/shops/{id}/map")), &map).ok(200);
        let next =
            WOO_ORDER.replace("727", "731").replace("\"customer_id\": 26", "\"customer_id\": 27");
        let message = "sales POST /v1/{vendor}/shops/{shop}".to_owned();
        let replay = format!("/v1/shops/{id}/replay");
        vec![
            (message, path, signed(&next), next),
            by_hand("admin POST /v1/shops/{shop}/replay", replay, Value::Null),
        ]
    }
}

fn by_hand(route: &str, path: String, body: Value) -> ByHand {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    (route.to_owned(), path, Vec::new(), body)
}

fn context(dongle: &mut Dongle) -> String {
    BASE64.encode(dongle.context())
}

#[track_caller]
fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("no text: {value}")).to_owned()
}
