//! Soft licenses in the Admin interface: what the vendor allows, and whose TPMs count.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admin::{if_match, with_version};
use super::extract::{Body, Caller, PathOf, QueryOf};
use super::lists::{self, ListQuery, Listed, Wants};
use super::problem::Problem;
use super::{App, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::{Central, Reply};
use crate::domain::env::Env;
use crate::domain::records::{Authority, SoftRules};
use crate::domain::soft::{self, NewAuthority, NewRules};
use crate::domain::work::Work;
use crate::store::Page;

/// The routes of soft licenses.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_rules, set_rules))
        .routes(routes!(list_authorities, add_authority))
        .routes(routes!(remove_authority))
}

/// What the vendor allows of soft licenses.
#[utoipa::path(get, path = "/v1/soft-rules", responses(
    (status = 200, body = SoftRules), (status = "4XX", body = Problem)))]
async fn show_rules(State(app): State<App>, who: Principal) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::Catalog)?;
    app.run(move |central| Ok(with_version(&central.read(&who.vendor, soft::rules)?))).await
}

/// Changes what the vendor allows; what is not named stays. With `If-Match`, only where it is still
/// of that version.
#[utoipa::path(post, path = "/v1/soft-rules", request_body = NewRules, responses(
    (status = 200, body = SoftRules), (status = "4XX", body = Problem)))]
async fn set_rules(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body { bytes, value }: Body<NewRules>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Catalog)?;
    let version = if_match(&headers)?;
    let set = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(with_version(&soft::set_rules(work, &value, version)?))
    };
    app.change(asked, set).await
}

/// Makers of TPMs that are believed.
#[utoipa::path(get, path = "/v1/tpm-authorities", params(ListQuery), responses(
    (status = 200, body = Listed<Authority>), (status = "4XX", body = Problem)))]
async fn list_authorities(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Catalog)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let all = central.read(&who.vendor, soft::authorities)?;
        let behind = all.into_iter().filter(|own| page.after.is_none_or(|after| *own.id > *after));
        Ok(Listed::cut(behind.collect(), page, |own: &Authority| own.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Adds a maker of TPMs that is believed. Added again it is as it was.
#[utoipa::path(post, path = "/v1/tpm-authorities", request_body = NewAuthority, responses(
    (status = 201, body = Authority), (status = "4XX", body = Problem)))]
async fn add_authority(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewAuthority>,
) -> Result<Reply, Problem> {
    let add = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::CREATED, &soft::add_authority(work, env, &value)?))
    };
    app.change(caller.asks(&bytes, Object::Catalog)?, add).await
}

/// Removes one. What was certified by its word stays what it was.
#[utoipa::path(delete, path = "/v1/tpm-authorities/{id}", responses(
    (status = 200, body = Authority), (status = "4XX", body = Problem)))]
async fn remove_authority(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let remove = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::OK, &soft::remove_authority(work, env, &id)?))
    };
    app.change(caller.asks(&[], Object::Catalog)?, remove).await
}
