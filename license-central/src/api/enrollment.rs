//! Certificates for containers of soft licenses, on the Gateway: a request goes up and a challenge
//! comes back, then a proof and a certificate.

use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, PathOf};
use super::gateway::{ACTOR, decode};
use super::problem::Problem;
use super::{App, reply};
use crate::domain::central::Reply;
use crate::domain::enrollment;

/// Asks for a certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentAsked {
    /// The container's request file, base64.
    pub request: String,
}

/// What it has to prove.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ChallengeReply {
    /// The challenge file, base64.
    pub challenge: String,
}

/// Proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct EnrollmentProved {
    /// The container's proof file, base64.
    pub proof: String,
}

/// The certificate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CertificateReply {
    /// The certificate file, base64.
    pub certificate: String,
    /// Why what the lost container held, whose place it takes, waits for a person, if it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
}

/// Why something waits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Waits {
    /// What happened, with the values.
    pub title: String,
    /// Number in the error table, such as `S0C64`.
    pub code: String,
    /// What to do next.
    pub hint: String,
}

/// Routes of the Gateway.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(begin)).routes(routes!(finish))
}

/// Begins the certification of a container of soft licenses. Asked again it answers the same.
#[utoipa::path(post, path = "/v1/{vendor}/enrollments", request_body = EnrollmentAsked,
    responses((status = 200, body = ChallengeReply), (status = "4XX", body = Problem)))]
async fn begin(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<EnrollmentAsked>,
) -> Result<Reply, Problem> {
    let bytes = decode(&value.request)?;
    let challenge = app.run(move |central| {
        let firm = central.firm(&vendor)?;
        central.write(&vendor, ACTOR, |work, env| enrollment::begin(work, env, &firm, &bytes))
    });
    let challenge = BASE64.encode(challenge.await?);
    Ok(reply(StatusCode::OK, &ChallengeReply { challenge }))
}

/// Certifies a container that proved where it is. Asked again it answers the same.
#[utoipa::path(post, path = "/v1/{vendor}/enrollments/proofs", request_body = EnrollmentProved,
    responses((status = 200, body = CertificateReply), (status = "4XX", body = Problem)))]
async fn finish(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<EnrollmentProved>,
) -> Result<Reply, Problem> {
    let bytes = decode(&value.proof)?;
    let done = app.run(move |central| enrollment::finish(central, &vendor, ACTOR, &bytes));
    let (certificate, waits) = done.await?;
    let waits = waits.map(|why| {
        let Problem { title, code, hint, .. } = why.into();
        Waits { title, code, hint }
    });
    let certificate = BASE64.encode(certificate);
    Ok(reply(StatusCode::OK, &CertificateReply { certificate, waits }))
}
