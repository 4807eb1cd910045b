//! A Central in memory behind its three faces on loopback, and requests to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use license_central::api::front::Settings;
use license_central::api::{App, admin, gateway, metrics, sales};
use license_central::clock::SystemClock;
use license_central::domain::central::Central;
use license_central::domain::env::SystemRandom;
use license_central::domain::firm::{Firm, LocalSigner};
use license_central::domain::keys::{self, Rights, SYSTEM, Secret};
use license_central::domain::records::RoleName;
use license_central::listen::{Bounds, Face, Gate};
use license_central::store::MemoryStore;
use protocol::objects::root::Mode;
use serde_json::Value;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use ureq::http::Method;
use vendor::{Passphrase, Secrets, Vendor};

/// The server of one test. It ends with it.
pub(crate) struct Server {
    pub(crate) central: Arc<Central>,
    at: BTreeMap<&'static str, SocketAddr>,
    _runtime: Runtime,
    _end: watch::Sender<bool>,
    _vendors: Option<TempDir>,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

/// How a server is, where a test wants it otherwise.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) settings: Settings,
    pub(crate) bounds: Bounds,
}

impl Server {
    pub(crate) fn start() -> Self {
        Server::with_setup(Setup::default())
    }

    pub(crate) fn with_setup(setup: Setup) -> Self {
        let store = Arc::new(MemoryStore::default());
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let secret = Secret::new([7; 32]);
        let vendors = tempfile::tempdir().expect("a folder");
        let firms = BTreeMap::from([("acme".to_owned(), Arc::new(firm(&vendors)))]);
        let central = Arc::new(Central::new(store, clock, random, secret, firms));
        Server { _vendors: Some(vendors), ..Self::set_up(central, setup) }
    }

    /// Of a Central that is there.
    pub(crate) fn over(central: Arc<Central>) -> Self {
        Self::set_up(central, Setup::default())
    }

    /// The same, set up otherwise.
    pub(crate) fn set_up(central: Arc<Central>, setup: Setup) -> Self {
        let runtime = Runtime::new().expect("threads");
        let app = App::with(central.clone(), setup.settings);
        let faces = [
            ("sales", sales::router(app.clone())),
            ("gateway", gateway::router(app.clone())),
            ("admin", admin::router(app.clone())),
            ("metrics", metrics::router(app.clone())),
        ];
        let (end, ended) = watch::channel(false);
        let mut at = BTreeMap::new();
        for (name, router) in faces {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
            at.insert(name, listener.local_addr().expect("an address"));
            let gate = Gate::new(name, setup.bounds, app.metrics().clone());
            let face = Face { listener, tls: None, router, gate };
            runtime.spawn(face.serve(ended.clone()));
        }
        Server { central, at, _runtime: runtime, _end: end, _vendors: None }
    }

    /// Where a face listens.
    pub(crate) fn at(&self, face: &str) -> SocketAddr {
        self.at[face]
    }

    /// What it counts.
    pub(crate) fn metrics(&self) -> String {
        let Value::String(text) = self.ask(("metrics", "GET", "/metrics"), &[], "").ok(200).body
        else {
            panic!("text")
        };
        text
    }

    /// A count, zero if there is none yet. `name` with its labels, as it is shown.
    pub(crate) fn metric(&self, name: &str) -> u64 {
        let text = self.metrics();
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        line.map_or(0, |number| number.parse().expect("a number"))
    }

    /// A key of this role for a vendor.
    pub(crate) fn key(&self, vendor: &str, role: RoleName) -> String {
        let made = self.central.write(SYSTEM, "test", |work, env| {
            keys::create(work, env, self.central.secret(), (vendor, "test", Rights::Role(role)))
        });
        made.expect("a key").1.to_string()
    }

    /// Sends a request; `headers` as they are, and that the body is JSON if they do not say what it
    /// is.
    pub(crate) fn ask(
        &self,
        (face, method, path): (&str, &str, &str),
        headers: &[(&str, &str)],
        body: &str,
    ) -> Got {
        let url = format!("http://{}{path}", self.at[face]);
        let method: Method = method.parse().expect("a method");
        let mut request = ureq::http::Request::builder().method(method).uri(url);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !headers.iter().any(|(name, _)| *name == "content-type") {
            request = request.header("content-type", "application/json");
        }
        let request = request.body(body.to_owned()).expect("a request");
        let config = ureq::Agent::config_builder().http_status_as_error(false);
        let agent: ureq::Agent = config.allow_non_standard_methods(true).build().into();
        let mut response = agent.run(request).expect("an answer");
        let header = |name: &str| {
            let value = response.headers().get(name);
            value.map(|value| value.to_str().expect("ASCII").to_owned())
        };
        let (kind, tag) = (header("content-type").unwrap_or_default(), header("etag"));
        let text = response.body_mut().read_to_string().expect("a body");
        let body = serde_json::from_str(&text).unwrap_or(Value::String(text));
        Got { status: response.status().as_u16(), kind, tag, body }
    }

    /// The same with a key.
    pub(crate) fn with(&self, key: &str, route: (&str, &str, &str), body: &str) -> Got {
        self.ask(route, &[("authorization", &format!("Bearer {key}"))], body)
    }
}

impl Got {
    /// It refuses as a problem, with this status and number.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!((self.status, &self.body["code"]), (status, &code.into()), "{self:?}");
        assert_eq!(self.kind, "application/problem+json", "{self:?}");
        assert_eq!(self.body["status"], status, "{self:?}");
        for field in ["title", "hint", "type"] {
            assert!(self.body[field].as_str().is_some_and(|text| !text.is_empty()), "{self:?}");
        }
        self
    }

    #[track_caller]
    pub(crate) fn ok(self, status: u16) -> Self {
        assert_eq!(self.status, status, "{self:?}");
        self
    }
}

/// A firm with keys of its own.
fn firm(dir: &TempDir) -> Firm {
    struct Nothing;
    impl Secrets for Nothing {
        fn passphrase(&self, _: Mode) -> vendor::Result<Passphrase> {
            Ok(Passphrase::empty())
        }

        fn pin(&self, _: &str) -> vendor::Result<Passphrase> {
            Ok(Passphrase::empty())
        }
    }
    let path = dir.path().join("acme");
    Vendor::init(&path, "Acme", 1, Mode::Test, None, &Passphrase::empty()).expect("a vendor");
    let made = Vendor::open(&path).expect("a vendor");
    let keys = made.keys(&Nothing).expect("its keys");
    let signer = Box::new(LocalSigner::new(made.trust.clone(), keys));
    Firm::new(made.trust, signer)
}
