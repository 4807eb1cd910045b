//! Whom the vendor trusts, as server and signer know it: an administrator sees whether a root or a
//! revocation has arrived.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::problem::Problem;
use super::{App, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::Reply;
use crate::domain::trusted::TrustMark;

/// Roots and revocations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct TrustReply {
    /// As this server knows them, and gives them to containers.
    pub server: TrustMark,
    /// As the signer knows them, and signs by them; none where it does not say.
    pub signer: Option<TrustMark>,
    /// Whether both are the same.
    pub agree: bool,
}

/// Routes of Admin.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show_trust))
}

/// The root and the revocations that count, at the server and at the signer.
#[utoipa::path(get, path = "/v1/trust", responses(
    (status = 200, body = TrustReply), (status = "4XX", body = Problem)))]
async fn show_trust(State(app): State<App>, who: Principal) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::Audit)?;
    let shown = app.run(move |central| {
        let firm = central.firm(&who.vendor)?;
        let (server, signer) = (TrustMark::of(&firm.trust)?, firm.signer.trusted()?);
        let agree = signer.as_ref().is_none_or(|signer| *signer == server);
        Ok(TrustReply { server, signer, agree })
    });
    Ok(reply(StatusCode::OK, &shown.await?))
}
