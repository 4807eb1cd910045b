//! Seats on the Gateway: taken, kept and given back by customers' programs, with the credential of
//! a license that Central serves.

use std::sync::Arc;

use axum::extract::{FromRequestParts, RawPathParams, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::{ErrorCode, Exit};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, OnceKey, PathOf, bearer};
use super::problem::Problem;
use super::serving::CredentialReply;
use super::{App, Asked, reply};
use crate::domain::agreement;
use crate::domain::central::Reply;
use crate::domain::credentials::{self, Caller};
use crate::domain::denials::{Denied, Use};
use crate::domain::desk;
use crate::domain::env::Env;
use crate::domain::lease::Lease;
use crate::domain::records::SeatCredential;
use crate::domain::refusal::Refusal;
use crate::domain::seats::{self, Request, Wish};
use crate::domain::serving;
use crate::domain::work::Work;
use crate::store::seats::SeatKey;

/// Who acts, for the audit.
const ACTOR: &str = "gateway";

/// A ticket, and which of its products.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ServedRequest {
    /// The ticket.
    pub ticket: String,
    /// The product, where the ticket has several.
    #[serde(default)]
    pub product: Option<u32>,
}

/// Takes seats.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatRequest {
    /// The product.
    pub product: u32,
    /// Drawn by the client for this use: a UUID of version 7.
    pub session: String,
    /// Number of the request: 0.
    #[serde(default)]
    pub n: u32,
    /// How many.
    #[serde(default = "one")]
    pub seats: u32,
}

fn one() -> u32 {
    1
}

/// A further request of a seat.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SeatTurn {
    /// Its number: higher than that of the last. The same again gets the same answer.
    pub n: u32,
}

/// A seat as it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeatReply {
    /// The session that holds it.
    pub session: String,
    /// The product.
    pub product: u32,
    /// How many seats.
    pub seats: i64,
    /// Number of the request that is answered.
    pub n: i64,
    /// First millisecond since 1970 UTC in which it is not held any more, by the server's clock.
    pub not_after_ms: i64,
    /// How often to say that it is still used, seconds.
    pub heartbeat_s: u32,
    /// Seats of the license that were left with this.
    pub remaining: i64,
    /// The signed lease, base64, while it is held.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lease: Option<String>,
}

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(serve_by_ticket))
        .routes(routes!(take))
        .routes(routes!(keep))
        .routes(routes!(give_back))
}

/// Serves a license of a ticket from here, if it is nowhere else, and tells a credential for it.
#[utoipa::path(post, path = "/v1/{vendor}/served", request_body = ServedRequest, responses(
    (status = 201, body = CredentialReply), (status = "4XX", body = Problem)))]
async fn serve_by_ticket(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    key: OnceKey,
    Body { bytes, value }: Body<ServedRequest>,
) -> Result<Reply, Problem> {
    let once = key.of(&value.ticket).with(&bytes);
    let (asked, ticket) = ((app.clone(), vendor.clone()), value.ticket.clone());
    let central = app.central().clone();
    let firm = central.firm(&vendor).ok();
    let serve = move |work: &mut Work<'_>, env: &Env<'_>| {
        let asked = (value.ticket.as_str(), value.product);
        let known = (central.secret(), firm.as_deref());
        let (_, credential, text) = serving::by_ticket(work, env, known, asked)?;
        let made = CredentialReply::new(&credential, Some(text.to_string()));
        Ok(reply(StatusCode::CREATED, &made))
    };
    match app.change(Asked { tenant: vendor, actor: ACTOR.to_owned(), once }, serve).await {
        Err(problem) => Err(super::gateway::denied(asked, ticket, problem).await),
        made => made,
    }
}

/// Takes seats. The same request again is answered again.
#[utoipa::path(post, path = "/v1/{vendor}/seats", request_body = SeatRequest, responses(
    (status = 200, body = SeatReply), (status = "4XX", body = Problem)))]
async fn take(
    State(app): State<App>,
    who: SeatHolder,
    Body { value, .. }: Body<SeatRequest>,
) -> Result<Reply, Problem> {
    if value.product != who.credential.product {
        return Err(Refusal::missing(format!("product {} here", value.product)).into());
    }
    ask(&app, &who, &value.session, (value.n, Wish::Take(value.seats.into()))).await
}

/// Says that a seat is still used.
#[utoipa::path(post, path = "/v1/{vendor}/seats/{session}/heartbeat", request_body = SeatTurn,
    responses((status = 200, body = SeatReply), (status = "4XX", body = Problem)))]
async fn keep(
    State(app): State<App>,
    who: SeatHolder,
    PathOf(path): PathOf<(String, String)>,
    Body { value, .. }: Body<SeatTurn>,
) -> Result<Reply, Problem> {
    ask(&app, &who, &path.1, (value.n, Wish::Keep)).await
}

/// Gives a seat back.
#[utoipa::path(post, path = "/v1/{vendor}/seats/{session}/return", request_body = SeatTurn,
    responses((status = 200, body = SeatReply), (status = "4XX", body = Problem)))]
async fn give_back(
    State(app): State<App>,
    who: SeatHolder,
    PathOf(path): PathOf<(String, String)>,
    Body { value, .. }: Body<SeatTurn>,
) -> Result<Reply, Problem> {
    ask(&app, &who, &path.1, (value.n, Wish::Return)).await
}

/// Whose credential came with a request.
struct SeatHolder {
    vendor: Arc<str>,
    credential: Arc<SeatCredential>,
}

impl FromRequestParts<App> for SeatHolder {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let named = RawPathParams::from_request_parts(parts, app).await;
        let named = named.map_err(|refused| Refusal::malformed(refused.body_text()))?;
        let vendor = named.iter().find(|(name, _)| *name == "vendor");
        let (_, vendor) = vendor.ok_or(ErrorCode::CredentialRefused)?;
        let text = bearer(&parts.headers).ok_or(ErrorCode::CredentialRefused)?;
        let credential = match credentials::recall(app.central(), vendor, text)? {
            Caller::Known(credential) => credential,
            Caller::Unread => {
                let (vendor, text) = (vendor.to_owned(), text.to_owned());
                app.run(move |central| credentials::read(central, &vendor, &text)).await?
            }
        };
        Ok(SeatHolder { vendor: vendor.into(), credential })
    }
}

/// Asks the desk: no thread waits meanwhile.
async fn ask(
    app: &App,
    who: &SeatHolder,
    session: &str,
    (n, what): (u32, Wish),
) -> Result<Reply, Problem> {
    let (high, low) = seats::session(session)?;
    let SeatCredential { product, heartbeat_s, ref grant, counter, .. } = *who.credential;
    let key = SeatKey { high, low, counter: counter.0 };
    let lease = Lease { tenant: who.vendor.clone(), grant: serving::grant_bytes(grant), product };
    let asked = desk::Asked { request: Request { key, n: n.into(), what }, lease };
    let mut answered = app.central().desk().ask(asked.clone()).await;
    if let Err(Refusal::Told(shown)) = &answered
        && agreement::is_unshown(shown)
    {
        // The signer was started anew. What was committed is answered again.
        let vendor = who.vendor.clone();
        app.run(move |central| central.agree(&vendor)).await?;
        answered = app.central().desk().ask(asked).await;
    }
    let answered = answered.inspect_err(|refused| {
        if let (Wish::Take(_), Refusal::Told(shown)) = (what, refused)
            && shown.exit() == Exit::Denied as u8
        {
            let denied = Denied { what: Use::Seats, code: shown.code(), object: grant.clone() };
            app.central().denied(&who.vendor, denied);
        }
    });
    let desk::Answer { held, lease } = answered?;
    let seat = held.seat;
    Ok(reply(
        StatusCode::OK,
        &SeatReply {
            session: seats::session_text(&seat.key),
            product,
            seats: seat.seats,
            n: seat.n,
            not_after_ms: seat.until_ms,
            heartbeat_s,
            remaining: seat.left,
            lease: lease.map(|lease| BASE64.encode(lease)),
        },
    ))
}
