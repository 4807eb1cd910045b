//! Licenses whose seats Central gives, as administrators reach them: serve, take back, credentials.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, PathOf, QueryOf};
use super::lists::{self, ListQuery, Listed, Wants, one_more};
use super::problem::Problem;
use super::{App, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::{Central, Reply};
use crate::domain::env::Env;
use crate::domain::records::{Grant, Place, SeatCredential};
use crate::domain::serving::{self, SeatTerms};
use crate::domain::work::Work;
use crate::store::{Filter, Page};

/// A credential with which seats are taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct CredentialReply {
    /// Its id.
    pub id: String,
    /// The grant.
    pub grant: String,
    /// The product.
    pub product: u32,
    /// The credential. It is told once, in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
    /// When it ended, if it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub revoked_ms: Option<i64>,
}

impl CredentialReply {
    /// Of this one; with its text where it was made now.
    pub fn new(credential: &SeatCredential, text: Option<String>) -> Self {
        CredentialReply {
            id: credential.id.clone(),
            grant: credential.grant.clone(),
            product: credential.product,
            credential: text,
            created_ms: credential.created_ms,
            revoked_ms: credential.revoked_ms,
        }
    }
}

/// Seats of a grant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeatsReply {
    /// How many there are.
    pub seats: i64,
    /// How many are taken, those included that are not free yet.
    pub in_use: i64,
    /// Whether seats are given.
    pub open: bool,
}

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(serve))
        .routes(routes!(unserve))
        .routes(routes!(show_seats))
        .routes(routes!(list_credentials, create_credential))
        .routes(routes!(revoke_credential))
}

/// Serves a license from here: its seats are taken over the network.
#[utoipa::path(post, path = "/v1/grants/{id}/serve", request_body = SeatTerms, responses(
    (status = 200, body = Grant), (status = "4XX", body = Problem)))]
async fn serve(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<SeatTerms>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::License)?;
    let firm = app.central().firm(&asked.tenant).ok();
    let serve = move |work: &mut Work<'_>, env: &Env<'_>| {
        let served = serving::serve(work, env, firm.as_deref(), (&id, &value))?;
        Ok(reply(StatusCode::OK, &served.record))
    };
    app.change(asked, serve).await
}

/// Takes a license back: at once where no seat is taken, else none is given any more, and asked
/// again, under another key, it is taken back when all are free.
#[utoipa::path(post, path = "/v1/grants/{id}/unserve", responses(
    (status = 200, body = Grant), (status = "4XX", body = Problem)))]
async fn unserve(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&[], Object::License)?;
    // What is over already does not keep it.
    app.run(|central| central.desk().sweep(false)).await?;
    let unserve = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &serving::unserve(work, &id)?.record))
    };
    app.change(asked, unserve).await
}

/// How many seats of a license are taken.
#[utoipa::path(get, path = "/v1/grants/{id}/seats", responses(
    (status = 200, body = SeatsReply), (status = "4XX", body = Problem)))]
async fn show_seats(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::License)?;
    let seats = app.run(move |central| {
        central.read(&who.vendor, |work| {
            let grant = work.get::<Grant>(&id)?.record;
            let Place::Served { counter, .. } = grant.place else { return Ok(None) };
            work.counter(counter.0)
        })
    });
    let own = seats.await?.ok_or(protocol::errors::ErrorCode::LicenseNotServed)?;
    let seats = SeatsReply { seats: own.seats, in_use: own.in_use, open: own.open != 0 };
    Ok(reply(StatusCode::OK, &seats))
}

/// The credentials of a license.
#[utoipa::path(get, path = "/v1/grants/{id}/credentials", params(ListQuery), responses(
    (status = 200, body = Listed<CredentialReply>), (status = "4XX", body = Problem)))]
async fn list_credentials(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::License)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let rows = central.read(&who.vendor, |work| {
            work.get::<Grant>(&id)?;
            let own = Filter::Is("license_grant", id.as_str().into());
            work.list::<SeatCredential>(&own, &one_more(page))
        })?;
        let rows = rows.iter().map(|own| CredentialReply::new(&own.record, None)).collect();
        Ok(Listed::cut(rows, page, |own| own.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Makes one more credential for a license that is served.
#[utoipa::path(post, path = "/v1/grants/{id}/credentials", responses(
    (status = 201, body = CredentialReply), (status = "4XX", body = Problem)))]
async fn create_credential(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let central = app.central().clone();
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        let grant = work.get::<Grant>(&id)?.record;
        let (made, text) = serving::credential(work, env, central.secret(), &grant)?;
        Ok(reply(StatusCode::CREATED, &CredentialReply::new(&made, Some(text.to_string()))))
    };
    app.change(caller.asks(&[], Object::License)?, create).await
}

/// Ends a credential: here at once, on other instances within a second.
#[utoipa::path(post, path = "/v1/credentials/{id}/revoke", responses(
    (status = 200, body = CredentialReply), (status = "4XX", body = Problem)))]
async fn revoke_credential(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let (asked, named) = (caller.asks(&[], Object::License)?, id.clone());
    let revoke = move |work: &mut Work<'_>, env: &Env<'_>| {
        let revoked = serving::revoke(work, env, &named)?;
        Ok(reply(StatusCode::OK, &CredentialReply::new(&revoked, None)))
    };
    let done = app.change(asked, revoke).await?;
    // Read back: a request that was answered before says no more than its answer.
    app.run(move |central| {
        let vendor = &caller.who.vendor;
        let revoked = central.read(vendor, |work| work.get::<SeatCredential>(&id))?.record;
        central.credentials().revoked(vendor, revoked);
        Ok(())
    })
    .await?;
    Ok(done)
}
