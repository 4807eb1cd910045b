//! What is reached over HTTP, in three faces with a listener each: [`sales`] for shops and ERP
//! systems, [`gateway`] for customers' programs, [`admin`] for the vendor's people.

pub mod admin;
mod columns;
pub mod enrollment;
pub mod extract;
pub mod front;
pub mod gateway;
pub mod keys;
pub mod limits;
mod lists;
pub mod metrics;
pub mod problem;
mod reports;
pub mod routes;
pub mod sales;
pub mod seats;
pub mod serving;
mod shops;
mod soft;
pub mod strict;
mod table;
pub mod time;
pub mod trust;
mod users;
mod webhooks;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::errors::ErrorCode;
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use utoipa::openapi::OpenApi;

use crate::carrier::Carrier;
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::{Central, Once, Reply};
use crate::domain::env::Env;
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Outcome;
use crate::domain::work::Work;
use extract::Caller;
use front::{Face, Gatekeeper, Settings};
use metrics::Metrics;
use problem::Problem;
use routes::Routes;

/// Bytes of the largest body.
pub const BODY_LEN_MAX: usize = 256 * 1024;

/// Bytes that most answers have place in.
const REPLY_LEN: usize = 2048;

/// What the routes share.
#[derive(Clone)]
pub struct App(Arc<Shared>);

struct Shared {
    central: Arc<Central>,
    gatekeeper: Gatekeeper,
    metrics: Arc<Metrics>,
    carrier: Arc<Carrier>,
}

impl App {
    /// Over this Central, as a server is if nothing else is said.
    pub fn new(central: Arc<Central>) -> Self {
        App::with(central, Settings::default())
    }

    /// With these settings.
    pub fn with(central: Arc<Central>, settings: Settings) -> Self {
        let carrier = Arc::new(Carrier::new(settings.reach));
        let gatekeeper = Gatekeeper::new(settings);
        App(Arc::new(Shared { central, gatekeeper, metrics: Arc::default(), carrier }))
    }

    /// What it serves.
    pub fn central(&self) -> &Arc<Central> {
        &self.0.central
    }

    /// Who carries messages to webhooks.
    pub fn carrier(&self) -> &Arc<Carrier> {
        &self.0.carrier
    }

    /// What it counts.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.0.metrics
    }

    /// Who has to wait.
    pub fn gatekeeper(&self) -> &Gatekeeper {
        &self.0.gatekeeper
    }

    /// Changes records, and answers with what came of it. Asked for again under its key, it answers
    /// the same and changes nothing.
    async fn change<F>(&self, asked: Asked, step: F) -> Result<Reply, Problem>
    where
        F: FnMut(&mut Work<'_>, &Env<'_>) -> Outcome<Reply> + Send + 'static,
    {
        let Asked { tenant, actor, once } = asked;
        self.run(move |central| central.write_once(&tenant, &actor, once.as_ref(), step)).await
    }

    /// Looks at records, if `who` may, and answers with what was found.
    async fn look<T, F>(&self, who: Principal, what: Object, step: F) -> Result<Reply, Problem>
    where
        T: Serialize + Send + 'static,
        F: FnMut(&mut Work<'_>) -> Outcome<T> + Send + 'static,
    {
        allow(&who, Verb::Read, what)?;
        let read = self.run(move |central| central.read(&who.vendor, step));
        Ok(reply(StatusCode::OK, &read.await?))
    }

    /// Runs a step of the domain on a thread that may wait for the store.
    pub async fn run<T, F>(&self, step: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Central) -> Outcome<T> + Send + 'static,
    {
        let central = self.central().clone();
        let done = tokio::task::spawn_blocking(move || step(&central)).await;
        done.map_err(|_| Problem::from(ErrorCode::ServerFailed))?.map_err(Problem::from)
    }
}

/// A change that whoever asks for it may make.
struct Asked {
    /// Whose records are changed.
    tenant: String,
    /// Who acts, for the audit.
    actor: String,
    /// How it is known when it is asked for again.
    once: Option<Once>,
}

impl Caller {
    /// A change of `what` by this body, if the caller may make it.
    fn asks(&self, body: &[u8], what: Object) -> Result<Asked, Problem> {
        allow(&self.who, Verb::Write, what)?;
        let (tenant, actor) = (self.who.vendor.clone(), self.who.id.clone());
        Ok(Asked { tenant, actor, once: self.once.with(body) })
    }
}

impl Asked {
    /// The same, of records that the installation has for all vendors.
    fn of_installation(self) -> Self {
        Asked { tenant: SYSTEM.to_owned(), ..self }
    }
}

/// An answer with a body.
pub fn reply(status: StatusCode, body: &impl Serialize) -> Reply {
    let mut text = Vec::with_capacity(REPLY_LEN);
    // What is kept can be written as JSON.
    let _ = serde_json::to_writer(&mut text, body);
    let body = String::from_utf8(text).unwrap_or_default();
    Reply { status: status.as_u16(), body, version: None }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let json = HeaderValue::from_static("application/json");
        let tag = self.version.map(|version| HeaderValue::from_str(&format!("\"{version}\"")));
        let mut response = (status, self.body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        if let Some(Ok(tag)) = tag {
            response.headers_mut().insert(header::ETAG, tag);
        }
        response
    }
}

/// Puts around a face what all of them have.
fn wrap(name: &'static str, router: Router<App>, document: OpenApi, app: App) -> Router {
    let mut document = serde_json::to_value(&document).unwrap_or_default();
    routes::complete(&mut document);
    let (routes, text) = (Routes::of(&document), document.to_string());
    let face = Face::new(name, routes, app.clone());
    let document = move || async move {
        ([(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))], text)
    };
    router
        .route("/health", get(health))
        .route("/openapi.json", get(document))
        .fallback(|| async { Problem::from(ErrorCode::RecordMissing) })
        .method_not_allowed_fallback(|| async {
            let mut problem = Problem::from(ErrorCode::RequestMalformed);
            problem.status = StatusCode::METHOD_NOT_ALLOWED.as_u16();
            problem
        })
        .layer((
            from_fn_with_state(face, front::pass),
            CatchPanicLayer::custom(|_| Problem::from(ErrorCode::ServerFailed).into_response()),
            DefaultBodyLimit::max(BODY_LEN_MAX),
        ))
        .with_state(app)
}

/// Whether the server can use its store.
async fn health(axum::extract::State(app): axum::extract::State<App>) -> Result<Reply, Problem> {
    app.run(|central| {
        central.read("", |work| work.find::<crate::domain::records::ApiKey>("none").map(drop))
    })
    .await?;
    Ok(reply(StatusCode::OK, &serde_json::json!({ "status": "ok" })))
}
