//! What a request is taken apart into: who asks, its body, its Idempotency-Key, its version.

use axum::body::Bytes;
use axum::extract::{FromRequest, FromRequestParts, Path, Query, Request};
use axum::http::{HeaderMap, header, request::Parts};
use protocol::errors::ErrorCode;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{App, strict};
use crate::domain::access::Principal;
use crate::domain::central::Once;
use crate::domain::keys::{self, SYSTEM};
use crate::domain::refusal::Refusal;

/// Bytes of the longest Idempotency-Key.
pub const KEY_LEN_MAX: usize = 255;

/// The body of a request: JSON that is said to be JSON and that all readers read alike, with no
/// field that the type does not know. The bytes stay, for the Idempotency-Key.
pub struct Body<T> {
    /// As it came.
    pub bytes: Bytes,
    /// What it says.
    pub value: T,
}

/// The body of a request as it came, whatever it is: for what is verified before it is read.
pub struct Raw(pub Bytes);

/// What an address names.
pub struct PathOf<T>(pub T);

/// What stands behind the `?` of an address.
pub struct QueryOf<T>(pub T);

/// The key under which a request may be repeated, if the client drew one.
pub struct OnceKey {
    key: Option<String>,
    /// What is asked for: the method, the address, and the version that a change was made for.
    route: String,
}

/// Who asks for a change, and under which key he may ask for it again.
pub struct Caller {
    /// Who.
    pub who: Principal,
    /// The key.
    pub once: OnceKey,
}

impl OnceKey {
    /// The request with this body, if it may be repeated.
    pub fn with(&self, body: &[u8]) -> Option<Once> {
        self.key.as_deref().map(|key| Once::new(key, &self.route, body))
    }

    /// The same key where nobody logs in: it counts together with what the client has to show, as
    /// strangers may draw the same one.
    pub fn of(self, shown: &str) -> Self {
        OnceKey { key: self.key.map(|key| format!("{shown}\0{key}")), ..self }
    }
}

impl FromRequestParts<App> for Principal {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let text = bearer(&parts.headers).ok_or(ErrorCode::NotLoggedIn)?.to_owned();
        app.run(move |central| {
            central.read(SYSTEM, |work| keys::authenticate(work, central.secret(), &text))
        })
        .await
    }
}

/// What a client says that its body is.
fn is_json(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("application/json")
}

/// The key that a request was sent with.
pub fn bearer(headers: &HeaderMap) -> Option<&str> {
    let value = headers.get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, key) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
}

impl FromRequest<App> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        let bytes = Bytes::from_request(request, app).await.map_err(|refused| {
            if refused.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                return ErrorCode::BodyTooLarge.with(0, super::BODY_LEN_MAX as u64).into();
            }
            Problem::from(Refusal::malformed("the body ended early"))
        })?;
        Ok(Raw(bytes))
    }
}

impl<T: DeserializeOwned> FromRequest<App> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, app: &App) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(ErrorCode::MediaTypeWrong.into());
        }
        let Raw(bytes) = Raw::from_request(request, app).await?;
        strict::check(&bytes).map_err(Refusal::malformed)?;
        // serde would take a list for a structure, field by field in their order.
        if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) != Some(&b'{') {
            return Err(Refusal::malformed("the body is an object").into());
        }
        let value = serde_json::from_slice(&bytes).map_err(Refusal::malformed)?;
        Ok(Body { bytes, value })
    }
}

impl<T: DeserializeOwned + Send> FromRequestParts<App> for PathOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.uri.path().contains("%00") {
            return Err(Refusal::malformed("an address with the character U+0000").into());
        }
        let found = Path::from_request_parts(parts, app).await;
        let Path(value) = found.map_err(|refused| Refusal::malformed(refused.body_text()))?;
        Ok(PathOf(value))
    }
}

impl<T: DeserializeOwned> FromRequestParts<App> for QueryOf<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            return Err(Refusal::malformed("a query with the character U+0000").into());
        }
        let found = Query::from_request_parts(parts, app).await;
        let Query(value) = found.map_err(|refused| Refusal::malformed(refused.body_text()))?;
        Ok(QueryOf(value))
    }
}

impl FromRequestParts<App> for OnceKey {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        let version = parts.headers.get(header::IF_MATCH).and_then(|value| value.to_str().ok());
        let version = version.unwrap_or_default();
        let route = format!("{} {} {version}", parts.method, parts.uri.path());
        let Some(value) = parts.headers.get("idempotency-key") else {
            return Ok(OnceKey { key: None, route });
        };
        let key = value.to_str().ok().filter(|key| (1..=KEY_LEN_MAX).contains(&key.len()));
        let why = format!("an Idempotency-Key has 1 to {KEY_LEN_MAX} characters of ASCII");
        let key = key.ok_or_else(|| Refusal::malformed(why))?.to_owned();
        Ok(OnceKey { key: Some(key), route })
    }
}

impl FromRequestParts<App> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let who = Principal::from_request_parts(parts, app).await?;
        Ok(Caller { who, once: OnceKey::from_request_parts(parts, app).await? })
    }
}
