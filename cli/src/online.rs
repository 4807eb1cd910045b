//! License Central over HTTP, as its clients see it.

use std::time::Duration;

use protocol::errors::{ErrorCode, Shown};
use protocol::ids::RootFp;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use ureq::Agent;
use ureq::http::{Response, StatusCode};
use vendor::Result;
use zeroize::Zeroizing;

/// How long one call may take.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the longest answer.
const ANSWER_LEN_MAX: u64 = 16 * 1024 * 1024;

/// One face of a Central.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    key: Option<Zeroizing<String>>,
}

/// Whose Gateway it is.
#[derive(Deserialize)]
pub(crate) struct Firm {
    root_fp: String,
    pub(crate) name: String,
}

/// A refusal, as the server sends it.
#[derive(Deserialize)]
struct Problem {
    title: String,
    code: String,
    hint: String,
}

impl Client {
    /// For this address; `key` is sent along, if there is one.
    pub(crate) fn new(base: &str, key: Option<Zeroizing<String>>) -> Result<Self> {
        let base = base.trim_end_matches('/');
        let is_here = ["http://127.0.0.1", "http://[::1]", "http://localhost"]
            .iter()
            .any(|own| base.strip_prefix(own).is_some_and(|rest| rest.starts_with([':', '/'])));
        if !is_here {
            let title = format!("{base:?} is no address that can be used");
            let hint = "Over a network License Central is reached through a tunnel or proxy on \
                this machine: http://127.0.0.1:PORT.";
            return Err(Shown::usage(title, hint));
        }
        let config = Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .max_redirects(0)
            .build();
        Ok(Client { agent: config.new_agent(), base: base.to_owned(), key })
    }

    /// Gets what is at `path`.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T> {
        let mut request = self.agent.get(format!("{}{path}", self.base));
        if let Some(key) = self.bearer() {
            request = request.header("authorization", key.as_str());
        }
        answer(request.call())
    }

    /// Sends `body`. A request with `once` may be repeated: it has one effect.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        once: Option<&str>,
        body: &Value,
    ) -> Result<T> {
        let mut request = self.agent.post(format!("{}{path}", self.base));
        if let Some(key) = self.bearer() {
            request = request.header("authorization", key.as_str());
        }
        if let Some(once) = once {
            request = request.header("idempotency-key", once);
        }
        answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    /// Puts `body` where it belongs.
    pub(crate) fn put<T: DeserializeOwned>(&self, path: &str, body: &Value) -> Result<T> {
        let mut request = self.agent.put(format!("{}{path}", self.base));
        if let Some(key) = self.bearer() {
            request = request.header("authorization", key.as_str());
        }
        answer(request.header("content-type", "application/json").send(body.to_string()))
    }

    fn bearer(&self) -> Option<Zeroizing<String>> {
        self.key.as_ref().map(|key| Zeroizing::new(format!("Bearer {}", key.as_str())))
    }
}

impl Firm {
    /// The firm behind this Gateway.
    pub(crate) fn of(client: &Client) -> Result<Self> {
        client.get("")
    }

    /// How containers know it.
    pub(crate) fn root_fp(&self) -> Result<RootFp> {
        RootFp::from_hex(&self.root_fp).ok_or_else(|| {
            Shown::usage("the Gateway names no vendor", "Check its address: it ends in the vendor.")
        })
    }
}

fn answer<T: DeserializeOwned>(
    sent: std::result::Result<Response<ureq::Body>, ureq::Error>,
) -> Result<T> {
    let unreachable =
        |error: ureq::Error| Shown::from(ErrorCode::ServerUnreachable.failure()).detailed(error);
    let mut response = sent.map_err(unreachable)?;
    let body = response.body_mut().with_config().limit(ANSWER_LEN_MAX).read_to_vec();
    let body = body.map_err(unreachable)?;
    if !response.status().is_success() {
        return Err(refused(response.status(), &body));
    }
    serde_json::from_slice(&body).map_err(|error| {
        Shown::from(ErrorCode::ServerFailed.failure())
            .detailed(format!("its answer cannot be read: {error}"))
    })
}

/// What the server says, under the number that it gives.
fn refused(status: StatusCode, body: &[u8]) -> Shown {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let failure = Shown::from(ErrorCode::ServerFailed.failure());
        return failure.detailed(format!("it answered with status {}", status.as_u16()));
    };
    match ErrorCode::parse(&problem.code) {
        Some(code) => Shown::told(code.failure(), problem.title).hinting(problem.hint),
        None => Shown::conflict(problem.title, problem.hint),
    }
}
