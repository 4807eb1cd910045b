//! Certified time on the Gateway: a container's nonce goes up, and a token that answers it comes
//! back.

use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, PathOf};
use super::front::Client;
use super::gateway::decode;
use super::problem::Problem;
use super::{App, reply};
use crate::clock::running_ms;
use crate::domain::central::Reply;
use crate::domain::time::{self, TimeRequest};

/// Asks for the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TimeAsked {
    /// The container's request file, base64: `strongroom container time --ask`.
    pub request: String,
}

/// Tells the time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct TimeReply {
    /// The token file, base64. The container takes it within two minutes of asking, once.
    pub token: String,
}

/// Routes of the Gateway.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(tell))
}

/// Tells a container the time, by a token that answers the nonce that it drew.
#[utoipa::path(post, path = "/v1/{vendor}/time", request_body = TimeAsked, responses(
    (status = 200, body = TimeReply), (status = "4XX", body = Problem)))]
async fn tell(
    State(app): State<App>,
    Extension(client): Extension<Client>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<TimeAsked>,
) -> Result<Reply, Problem> {
    let bytes = decode(&value.request)?;
    let named = vendor.clone();
    let read = app.run(move |central| TimeRequest::read(&*central.firm(&named)?, &bytes));
    let request = read.await?;
    let waited = app.gatekeeper().takes_time(client, *request.device.id.bytes(), running_ms());
    waited.map_err(Problem::wait)?;
    let token = app.run(move |central| time::token(central, &vendor, &request)).await?;
    Ok(reply(StatusCode::OK, &TimeReply { token: BASE64.encode(token) }))
}
