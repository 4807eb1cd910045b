//! A Central in memory behind its three faces on loopback, and requests to them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use license_central::api::{App, admin, gateway, sales};
use license_central::clock::SystemClock;
use license_central::domain::central::Central;
use license_central::domain::env::SystemRandom;
use license_central::domain::keys::{self, SYSTEM, Secret};
use license_central::domain::records::RoleName;
use license_central::store::MemoryStore;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use ureq::http::Method;

/// The server of one test. It ends with it.
pub(crate) struct Server {
    pub(crate) central: Arc<Central>,
    at: BTreeMap<&'static str, SocketAddr>,
    _runtime: Runtime,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Got {
    pub(crate) status: u16,
    pub(crate) kind: String,
    pub(crate) tag: Option<String>,
    pub(crate) body: Value,
}

impl Server {
    pub(crate) fn start() -> Self {
        let store = Arc::new(MemoryStore::default());
        let (clock, random) = (Arc::new(SystemClock), Arc::new(SystemRandom));
        let secret = Secret::new([7; 32]);
        Self::over(Arc::new(Central::new(store, clock, random, secret, BTreeMap::new())))
    }

    /// Of a Central that is there.
    pub(crate) fn over(central: Arc<Central>) -> Self {
        let runtime = Runtime::new().expect("threads");
        let app = App::new(central.clone());
        let faces = [
            ("sales", sales::router(app.clone())),
            ("gateway", gateway::router(app.clone())),
            ("admin", admin::router(app)),
        ];
        let mut at = BTreeMap::new();
        for (name, router) in faces {
            let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("a port");
            at.insert(name, listener.local_addr().expect("an address"));
            runtime.spawn(async move { axum::serve(listener, router).await });
        }
        Server { central, at, _runtime: runtime }
    }

    /// A key of this role for a vendor.
    pub(crate) fn key(&self, vendor: &str, role: RoleName) -> String {
        let made = self.central.write(SYSTEM, "test", |work, env| {
            keys::create(work, env, self.central.secret(), (vendor, "test", role))
        });
        made.expect("a key").1.to_string()
    }

    /// Sends a request; `headers` as they are.
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
