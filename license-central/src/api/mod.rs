//! What is reached over HTTP, in three faces with a listener each: [`sales`] for shops and ERP
//! systems, [`gateway`] for customers' programs, [`admin`] for the vendor's people.

pub mod admin;
pub mod extract;
pub mod gateway;
pub mod problem;
pub mod sales;
pub mod seats;
pub mod serving;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use protocol::errors::ErrorCode;
use serde::Serialize;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;
use utoipa::openapi::OpenApi;

use crate::domain::central::{Central, Once, Reply};
use crate::domain::refusal::Outcome;
use extract::OnceKey;
use problem::Problem;

/// Bytes of the largest body.
pub const BODY_LEN_MAX: usize = 256 * 1024;

/// How long a request may take.
const TIMEOUT: Duration = Duration::from_secs(30);

/// What the routes share.
#[derive(Clone)]
pub struct App(Arc<Central>);

impl App {
    /// Over this Central.
    pub fn new(central: Arc<Central>) -> Self {
        App(central)
    }

    /// Central, for what does not wait for the store.
    pub fn central(&self) -> &Central {
        &self.0
    }

    /// Runs a step of the domain on a thread that may wait for the store.
    pub async fn run<T, F>(&self, step: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&Central) -> Outcome<T> + Send + 'static,
    {
        let central = self.0.clone();
        let done = tokio::task::spawn_blocking(move || step(&central)).await;
        done.map_err(|_| Problem::from(ErrorCode::ServerFailed))?.map_err(Problem::from)
    }
}

/// The key of a request that may be repeated, with what was asked.
pub fn once<'a>(key: &'a OnceKey, route: &'a str, body: &'a [u8]) -> Option<Once<'a>> {
    key.0.as_deref().map(|key| Once { key, route, body })
}

/// An answer with a body.
pub fn reply(status: StatusCode, body: &impl Serialize) -> Reply {
    Reply { status: status.as_u16(), body: serde_json::to_string(body).unwrap_or_default() }
}

impl IntoResponse for Reply {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let json = HeaderValue::from_static("application/json");
        let mut response = (status, self.body).into_response();
        response.headers_mut().insert(header::CONTENT_TYPE, json);
        response
    }
}

/// Puts around a face what all of them have.
fn wrap(router: Router<App>, document: OpenApi, app: App) -> Router {
    let text = document.to_json().unwrap_or_default();
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
        .layer(DefaultBodyLimit::max(BODY_LEN_MAX))
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, TIMEOUT))
        .layer(CatchPanicLayer::custom(|_| Problem::from(ErrorCode::ServerFailed).into_response()))
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
