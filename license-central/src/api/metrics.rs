//! What a server counts of itself, in the text format of Prometheus. On a listener of its own.

use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};

use axum::Router;
use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::App;

/// What the text is.
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Bounds of the classes of time, milliseconds.
const CLASSES_MS: [f64; 8] = [1.0, 5.0, 20.0, 100.0, 500.0, 2_000.0, 10_000.0, 30_000.0];

/// Why a client had to wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Too many requests with its key.
    Key,
    /// Too many from its address.
    Address,
    /// Too many wrong tickets or keys from its address.
    Wrong,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    face: &'static str,
    route: String,
    method: &'static str,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    face: &'static str,
    code: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LimitedLabels {
    face: &'static str,
    why: Limited,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct FaceLabels {
    face: &'static str,
}

/// All counts of a server.
pub struct Metrics {
    registry: Mutex<Registry>,
    requests: Family<RequestLabels, Counter>,
    durations: Family<FaceLabels, Histogram, fn() -> Histogram>,
    refusals: Family<RefusalLabels, Counter>,
    limited: Family<LimitedLabels, Counter>,
    wrong: Family<FaceLabels, Counter>,
    alarms: Counter,
    connections: Family<FaceLabels, Gauge>,
    closed: Family<FaceLabels, Counter>,
    cap: Gauge,
    transactions: Counter,
    retries: Counter,
}

/// One request that was answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answered<'a> {
    /// Where.
    pub face: &'static str,
    /// The route's template; empty where there is none.
    pub route: &'a str,
    /// The method.
    pub method: &'static str,
    /// How.
    pub status: u16,
    /// Number in the error table, if it was refused.
    pub code: Option<&'a str>,
    /// How long it took.
    pub took_ms: u64,
}

impl Default for Metrics {
    /// All zero.
    fn default() -> Self {
        let classes: fn() -> Histogram = || Histogram::new(CLASSES_MS);
        let own = Metrics {
            registry: Mutex::default(),
            requests: Family::default(),
            durations: Family::new_with_constructor(classes),
            refusals: Family::default(),
            limited: Family::default(),
            wrong: Family::default(),
            alarms: Counter::default(),
            connections: Family::default(),
            closed: Family::default(),
            cap: Gauge::default(),
            transactions: Counter::default(),
            retries: Counter::default(),
        };
        own.register();
        own
    }
}

impl Metrics {
    fn register(&self) {
        let mut all = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let all = all.sub_registry_with_prefix("strongroom_central");
        all.register("requests", "Requests answered", self.requests.clone());
        all.register("request_ms", "Time that answers took", self.durations.clone());
        all.register("refusals", "Requests refused, by error", self.refusals.clone());
        all.register("limited", "Requests of clients that had to wait", self.limited.clone());
        all.register("wrong_tickets_or_keys", "Tickets and keys that are none", self.wrong.clone());
        let text = "Addresses that began to be suspected of guessing";
        all.register("guessing_alarms", text, self.alarms.clone());
        all.register("connections", "Open connections", self.connections.clone());
        let text = "Connections closed at once, since there were too many";
        all.register("connections_refused", text, self.closed.clone());
        let text = "Connections that one address may have open at a listener";
        all.register("connections_per_address_max", text, self.cap.clone());
        all.register("transactions", "Steps that were committed", self.transactions.clone());
        all.register("transaction_retries", "Steps that began anew", self.retries.clone());
    }

    /// Counts an answer.
    pub fn answered(&self, answered: &Answered<'_>) {
        let &Answered { face, route, method, status, code, took_ms } = answered;
        let labels = RequestLabels { face, route: route.to_owned(), method, status };
        self.requests.get_or_create(&labels).inc();
        self.durations.get_or_create(&FaceLabels { face }).observe(took_ms as f64);
        if let Some(code) = code {
            self.refusals.get_or_create(&RefusalLabels { face, code: code.to_owned() }).inc();
        }
    }

    /// Counts a client that has to wait.
    pub fn limited(&self, face: &'static str, why: Limited) {
        self.limited.get_or_create(&LimitedLabels { face, why }).inc();
    }

    /// Counts a ticket or key that is none.
    pub fn wrong(&self, face: &'static str) {
        self.wrong.get_or_create(&FaceLabels { face }).inc();
    }

    /// Counts an address that tries too many of them.
    pub fn alarm(&self) {
        self.alarms.inc();
    }

    /// Counts a connection that begins, or ends.
    pub fn connection(&self, face: &'static str, begins: bool) {
        let open = self.connections.get_or_create(&FaceLabels { face });
        if begins {
            open.inc()
        } else {
            open.dec()
        };
    }

    /// Counts a connection that was not taken.
    pub fn connection_refused(&self, face: &'static str) {
        self.closed.get_or_create(&FaceLabels { face }).inc();
    }

    /// Says how many connections one address may have.
    pub fn cap(&self, connections: usize) {
        self.cap.set(i64::try_from(connections).unwrap_or(i64::MAX));
    }

    /// As Prometheus reads it.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let all = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        // Writing to a string cannot fail.
        let _ = encode(&mut text, &all);
        text
    }
}

impl EncodeLabelValue for Limited {
    fn encode(&self, out: &mut LabelValueEncoder<'_>) -> Result<(), std::fmt::Error> {
        let word = match self {
            Limited::Key => "key",
            Limited::Address => "address",
            Limited::Wrong => "wrong",
        };
        EncodeLabelValue::encode(&word, out)
    }
}

/// The listener's one route.
pub fn router(app: App) -> Router {
    Router::new().route("/metrics", get(show)).with_state(app)
}

async fn show(State(app): State<App>) -> Response {
    let metrics = app.metrics();
    let (done, again) = app.central().tally();
    metrics.transactions.inner().store(done, Ordering::Relaxed);
    metrics.retries.inner().store(again, Ordering::Relaxed);
    ([(header::CONTENT_TYPE, KIND)], metrics.text()).into_response()
}
