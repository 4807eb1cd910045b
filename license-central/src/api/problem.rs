//! Errors as HTTP has them: RFC 9457, with the number of the error table.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use protocol::errors::{ErrorCode, Exit, Failure, Shown, write_utc};
use serde::Serialize;
use utoipa::ToSchema;

use crate::domain::refusal::Refusal;
use crate::store::StoreError;

/// An answer that refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Problem {
    /// Where the error is explained, by its number.
    #[serde(rename = "type")]
    pub kind: String,
    /// What happened, with the values.
    pub title: String,
    /// The status of HTTP.
    pub status: u16,
    /// Number in the error table, such as `S0B01`.
    pub code: String,
    /// What to do next.
    pub hint: String,
    /// Names the request in the server's log.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Box<str>>,
    /// After how many seconds it may be tried again; zero where waiting is no help.
    #[serde(skip)]
    pub wait_s: u16,
}

impl Problem {
    /// Of an error.
    pub fn new(shown: &Shown) -> Self {
        let code = shown.code();
        Problem {
            kind: format!("urn:strongroom:error:{code}"),
            title: shown.title(&utc),
            status: status(shown).as_u16(),
            hint: shown.hint(&utc),
            request: None,
            wait_s: wait_s(shown),
            code,
        }
    }

    /// Of a client that has to wait.
    pub fn wait(wait_ms: u64) -> Self {
        let wait_s = u16::try_from(wait_ms.div_ceil(1000)).unwrap_or(u16::MAX).max(1);
        let problem = Problem::from(ErrorCode::TooManyRequests.with(wait_s.into(), 0));
        Problem { wait_s, ..problem }
    }

    /// The same answer, with the name of its request.
    pub fn named(mut self, id: &str, answer: Response) -> Response {
        self.request = Some(id.into());
        let (mut parts, _) = answer.into_parts();
        parts.headers.remove(header::CONTENT_LENGTH);
        let body = serde_json::to_vec(&self).unwrap_or_default();
        Response::from_parts(parts, body.into())
    }
}

impl From<Shown> for Problem {
    fn from(shown: Shown) -> Self {
        Problem::new(&shown)
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Shown::from(failure).into()
    }
}

impl From<ErrorCode> for Problem {
    fn from(code: ErrorCode) -> Self {
        code.failure().into()
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        if let Refusal::Store(error) = &refusal {
            tracing::error!(%error, "a transaction failed");
        }
        let is_damaged = matches!(refusal, Refusal::Store(StoreError::Damaged { .. }));
        let problem = Problem::from(refusal.shown());
        if is_damaged { Problem { wait_s: 0, ..problem } } else { problem }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(&self)).into_response();
        let kind = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(header::CONTENT_TYPE, kind);
        if status == StatusCode::UNAUTHORIZED {
            let challenge = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, challenge);
        }
        if self.wait_s > 0 {
            let wait_s = HeaderValue::from(self.wait_s);
            response.headers_mut().insert(header::RETRY_AFTER, wait_s);
        }
        // For those who count and log it.
        response.extensions_mut().insert(self);
        response
    }
}

/// Seconds until a database or a signer that was started again may answer.
const OUTAGE_S: u16 = 5;

/// After how many seconds waiting may have helped.
fn wait_s(shown: &Shown) -> u16 {
    match shown.failure().and_then(|failure| failure.known()) {
        Some(ErrorCode::StoreUnavailable | ErrorCode::SignerUnavailable) => OUTAGE_S,
        _ => 0,
    }
}

/// The status that goes with an error: its own where HTTP has one for it, else that of its exit
/// code.
fn status(shown: &Shown) -> StatusCode {
    let known = shown.failure().and_then(|failure| failure.known());
    match known {
        Some(ErrorCode::NotLoggedIn | ErrorCode::CredentialRefused) => StatusCode::UNAUTHORIZED,
        Some(ErrorCode::RecordChanged) => StatusCode::PRECONDITION_FAILED,
        Some(ErrorCode::KeyReused) => StatusCode::UNPROCESSABLE_ENTITY,
        Some(ErrorCode::BodyTooLarge) => StatusCode::PAYLOAD_TOO_LARGE,
        Some(ErrorCode::TooManyRequests) => StatusCode::TOO_MANY_REQUESTS,
        Some(ErrorCode::MediaTypeWrong) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Some(ErrorCode::HeadersTooLarge) => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        Some(ErrorCode::ServerFailed) => StatusCode::INTERNAL_SERVER_ERROR,
        known => match known.map(|code| code.row().exit) {
            Some(Exit::NotFound) => StatusCode::NOT_FOUND,
            Some(Exit::Permission) => StatusCode::FORBIDDEN,
            Some(Exit::Denied | Exit::Conflict) => StatusCode::CONFLICT,
            Some(Exit::Usage) => StatusCode::BAD_REQUEST,
            Some(Exit::Network) => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::UNPROCESSABLE_ENTITY,
        },
    }
}

fn utc(at_s: u64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(at_s, &mut text);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waiting_is_named_where_it_may_help_alone() {
        let damaged = StoreError::Damaged { table: "grant", why: "x".into() };
        for (refusal, wait_s) in [
            (Refusal::Store(StoreError::Unavailable("x".into())), OUTAGE_S),
            (Refusal::Store(StoreError::Conflict), OUTAGE_S),
            (Refusal::from(ErrorCode::SignerUnavailable), OUTAGE_S),
            (Refusal::Store(damaged), 0),
            (Refusal::from(ErrorCode::JournalAhead), 0),
            (Refusal::from(ErrorCode::RecordMissing), 0),
        ] {
            assert_eq!(Problem::from(refusal.clone()).wait_s, wait_s, "{refusal:?}");
        }
    }
}
