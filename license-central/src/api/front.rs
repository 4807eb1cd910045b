//! What every request of a face passes before it reaches its route, and every answer after it:
//! bounds, rates, a number that names it in the log, and counts.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::hex;

use super::App;
use super::extract::bearer;
use super::limits::{Limiter, Rate, Rates, client_of};
use super::metrics::{Answered, Limited};
use super::problem::Problem;
use super::routes::{Route, Routes};
use crate::carrier::Reach;
use crate::clock::running_ms;
use crate::domain::env::{Random, SystemRandom};
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Refusal;

/// Bytes of address and headers together.
pub const HEADERS_LEN_MAX: usize = 16 * 1024;

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer(pub IpAddr);

/// Whom a request comes from, as rates count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Client(pub IpAddr);

/// What may be asked, and how long it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rates.
    pub rates: Rates,
    /// Header in which a proxy says for whom it asks.
    pub proxy_header: Option<HeaderName>,
    /// How long a request may take, its body included.
    pub timeout: Duration,
    /// Where messages to webhooks may go.
    pub reach: Reach,
    /// Rows of the longest table.
    pub export_rows_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        let timeout = Duration::from_secs(30);
        Settings {
            rates: Rates::default(),
            proxy_header: None,
            timeout,
            reach: Reach::World,
            export_rows_max: 1_000_000,
        }
    }
}

/// Decides who has to wait.
pub struct Gatekeeper {
    per_key: Limiter<[u8; 32]>,
    per_address: Limiter<IpAddr>,
    wrong: Limiter<IpAddr>,
    times: Limiter<(Client, [u8; 16])>,
    alarms: Limiter<IpAddr>,
    settings: Settings,
}

/// One face, as its requests meet it.
#[derive(Clone)]
pub struct Face(Arc<Shared>);

struct Shared {
    name: &'static str,
    routes: Routes,
    app: App,
    /// Names this run of the face in the numbers of its requests.
    run: [u8; 8],
    /// Requests so far.
    count: AtomicU32,
}

/// What is known of a request before it is answered.
struct Asked {
    client: IpAddr,
    /// Hash of the key that it was sent with.
    key: Option<[u8; 32]>,
    /// Template of its route.
    template: Option<MatchedPath>,
    route: Option<Arc<Route>>,
    method: &'static str,
    /// The vendor that its address names, at the Gateway.
    vendor: String,
    began_ms: u64,
}

impl Gatekeeper {
    /// With these settings.
    pub fn new(settings: Settings) -> Self {
        let rates = settings.rates;
        Gatekeeper {
            per_key: Limiter::new(rates.per_key),
            per_address: Limiter::new(rates.per_address),
            wrong: Limiter::new(rates.wrong),
            times: Limiter::new(rates.times),
            alarms: Limiter::new(Rate::once_an_hour()),
            settings,
        }
    }

    /// Counts a time token for a container, if this client may ask for it now: else after how many
    /// milliseconds.
    pub fn takes_time(&self, client: Client, container: [u8; 16], now_ms: u64) -> Result<(), u64> {
        self.times.take((client, container), now_ms)
    }

    /// Rows of the longest table.
    pub fn export_rows_max(&self) -> usize {
        self.settings.export_rows_max
    }

    /// Whom a request comes from: what the nearest proxy adds is the last of the list.
    fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let named = self.settings.proxy_header.as_ref().and_then(|name| {
            let line = headers.get_all(name).iter().next_back()?.to_str().ok()?;
            line.rsplit(',').next()?.trim().parse().ok()
        });
        client_of(named.unwrap_or(peer))
    }
}

impl Face {
    /// Of this name, with the routes that its description has.
    pub fn new(name: &'static str, routes: Routes, app: App) -> Self {
        let mut run = [0; 8];
        SystemRandom.fill(&mut run);
        Face(Arc::new(Shared { name, routes, app, run, count: AtomicU32::new(0) }))
    }

    /// Names a request in the log.
    fn id(&self) -> String {
        let count = self.0.count.fetch_add(1, Ordering::Relaxed);
        hex(&self.0.run) + &hex(&count.to_be_bytes())
    }

    fn asked(&self, request: &Request) -> Asked {
        let template = request.extensions().get::<MatchedPath>().cloned();
        let path = template.as_ref().map_or("", MatchedPath::as_str);
        let peer = request.extensions().get::<Peer>();
        let peer = peer.map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |peer| peer.0);
        let vendor = if path.starts_with("/v1/{vendor}") {
            request.uri().path().split('/').nth(2).unwrap_or_default().to_owned()
        } else {
            SYSTEM.to_owned()
        };
        Asked {
            client: self.0.app.gatekeeper().client(peer, request.headers()),
            key: bearer(request.headers()).map(|key| sha256(key.as_bytes())),
            route: self.0.routes.find(path, request.method().as_str()).cloned(),
            method: word(request.method()),
            vendor,
            template,
            began_ms: running_ms(),
        }
    }

    /// Refuses a client that asks too much.
    fn limit(&self, asked: &Asked) -> Result<(), Problem> {
        let keeper = self.0.app.gatekeeper();
        let now_ms = asked.began_ms;
        let limited = |why| {
            move |wait_ms: u64| {
                self.0.app.metrics().limited(self.0.name, why);
                Problem::wait(wait_ms)
            }
        };
        if asked.guesses() {
            keeper.wrong.look(&asked.client, now_ms).map_err(limited(Limited::Wrong))?;
        }
        match asked.key {
            Some(key) => keeper.per_key.take(key, now_ms).map_err(limited(Limited::Key)),
            None if asked.client.is_loopback() => Ok(()),
            None => {
                keeper.per_address.take(asked.client, now_ms).map_err(limited(Limited::Address))
            }
        }
    }

    /// Counts a wrong ticket or key. Whoever sends too many is named in the audit.
    async fn wrong(&self, asked: &Asked) {
        let keeper = self.0.app.gatekeeper();
        self.0.app.metrics().wrong(self.0.name);
        // Where many come at once, there is nothing left to take from.
        let _ = keeper.wrong.take(asked.client, asked.began_ms);
        let guesses = keeper.wrong.look(&asked.client, asked.began_ms).is_err();
        if !guesses || keeper.alarms.take(asked.client, asked.began_ms).is_err() {
            return;
        }
        self.0.app.metrics().alarm();
        let (face, client, vendor) = (self.0.name, asked.client, asked.vendor.clone());
        tracing::warn!(face, %client, "tickets or keys are being guessed");
        let noted = self.0.app.run(move |central| {
            let vendor = if central.firm(&vendor).is_ok() { &*vendor } else { SYSTEM };
            central.write(vendor, face, |work, _| {
                work.note("guess.suspect", client.to_string(), format!("at {face}"));
                Ok(())
            })
        });
        // The answer does not depend on it; what the store says of it is logged.
        let _ = noted.await;
    }

    fn told(&self, asked: &Asked, id: &str, mut response: Response) -> Response {
        let problem = response.extensions_mut().remove::<Problem>();
        let status = response.status().as_u16();
        let took_ms = running_ms().saturating_sub(asked.began_ms);
        let code = problem.as_ref().map(|problem| problem.code.as_str());
        let route = asked.template.as_ref().map_or("", MatchedPath::as_str);
        let (face, method) = (self.0.name, asked.method);
        self.0.app.metrics().answered(&Answered { face, route, method, status, code, took_ms });
        let client = asked.client;
        tracing::info!(id, face, method, route, status, code, took_ms, %client, "answered");
        if let Some(problem) = problem {
            response = problem.named(id, response);
        }
        if let Ok(id) = HeaderValue::from_str(id) {
            response.headers_mut().insert("x-request-id", id);
        }
        let nosniff = HeaderValue::from_static("nosniff");
        response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        let no_store = HeaderValue::from_static("no-store");
        response.headers_mut().insert(header::CACHE_CONTROL, no_store);
        response
    }
}

impl Asked {
    /// Whether its answer would say if a ticket or key is right.
    fn guesses(&self) -> bool {
        let is = |what: fn(&Route) -> bool| self.route.as_deref().is_some_and(what);
        let takes_key = self.key.is_some() && !is(|route| route.takes_signed);
        takes_key || is(|route| route.takes_ticket)
    }
}

/// Leads a request through.
pub async fn pass(State(face): State<Face>, mut request: Request, next: Next) -> Response {
    let id = face.id();
    let asked = face.asked(&request);
    request.extensions_mut().insert(Client(asked.client));
    let response = match check(&face, &asked, &request) {
        Err(problem) => problem.into_response(),
        Ok(()) => answer(&face, request, next).await,
    };
    if asked.guesses() && is_wrong(&response) {
        face.wrong(&asked).await;
    }
    face.told(&asked, &id, response)
}

async fn answer(face: &Face, request: Request, next: Next) -> Response {
    let timeout = face.0.app.gatekeeper().settings.timeout;
    tokio::time::timeout(timeout, next.run(request)).await.unwrap_or_else(|_| {
        Problem::from(ErrorCode::RequestTooSlow.with(timeout.as_secs(), 0)).into_response()
    })
}

fn check(face: &Face, asked: &Asked, request: &Request) -> Result<(), Problem> {
    if len(request.uri(), request.headers()) > HEADERS_LEN_MAX {
        let bound = ErrorCode::HeadersTooLarge.with(0, HEADERS_LEN_MAX as u64);
        return Err(bound.into());
    }
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    // What is a little too large is read as far as the bound, so that the client hears the answer.
    if length.is_some_and(|length| length > 4 * super::BODY_LEN_MAX as u64) {
        let bound = ErrorCode::BodyTooLarge.with(0, super::BODY_LEN_MAX as u64);
        return Err(bound.into());
    }
    face.limit(asked)?;
    let unknown = asked.route.as_ref().zip(request.uri().query());
    match unknown.and_then(|(route, query)| route.unknown(query)) {
        Some(name) => {
            let why = format!("this address has no query {name:?}");
            Err(Refusal::malformed(why).into())
        }
        None => Ok(()),
    }
}

/// Whether an answer says that a ticket or key is none.
fn is_wrong(response: &Response) -> bool {
    let wrong = [ErrorCode::TicketUnknown, ErrorCode::TicketMistyped, ErrorCode::NotLoggedIn];
    let problem = response.extensions().get::<Problem>();
    problem.is_some_and(|told| wrong.iter().any(|code| code.failure().shown_code() == told.code))
}

fn len(uri: &Uri, headers: &HeaderMap) -> usize {
    let uri = uri.path_and_query().map_or(0, |path| path.as_str().len());
    // A line has a colon, a space and two characters at its end.
    uri + headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum::<usize>()
}

/// A method as counts name it: anybody may make up others.
fn word(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "HEAD" => "HEAD",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}
