//! Keys of the API, on the Admin interface: for owners.

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
use crate::domain::keys::{self, KeyView, Rights, SYSTEM};
use crate::domain::records::RoleName;
use crate::domain::refusal::Refusal;
use crate::domain::work::Work;
use crate::store::Page;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_keys, create_key)).routes(routes!(revoke_key))
}

/// A key as it is made.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewKey {
    /// What it is for, for people.
    name: String,
    /// What it may do; for a key of no user.
    role: Option<RoleName>,
    /// The user whose it is, and who may do with it what his role says.
    user: Option<String>,
}

/// A new key.
#[derive(Debug, Serialize, ToSchema)]
struct MadeKey {
    /// `key_…`
    id: String,
    /// What goes into `Authorization: Bearer`. It is told once.
    key: String,
}

/// The keys, without their secrets.
#[utoipa::path(get, path = "/v1/keys", params(ListQuery), responses(
    (status = 200, body = Listed<KeyView>), (status = "4XX", body = Problem)))]
async fn list_keys(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let rows = central.read(SYSTEM, |work| keys::list(work, &who.vendor, &one_more(page)))?;
        Ok(Listed::cut(rows, page, |key| key.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Makes a key.
#[utoipa::path(post, path = "/v1/keys", request_body = NewKey, responses(
    (status = 201, body = MadeKey), (status = "4XX", body = Problem)))]
async fn create_key(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewKey>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Key)?.of_installation();
    let rights = match (value.role, value.user) {
        (Some(role), None) => Rights::Role(role),
        (None, Some(user)) => Rights::User(user),
        _ => Err(Refusal::malformed("a key has a role, or a user"))?,
    };
    let central = app.central().clone();
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        let new = (caller.who.vendor.as_str(), value.name.as_str(), rights.clone());
        let (made, text) = keys::create(work, env, central.secret(), new)?;
        let made = MadeKey { id: made.id, key: text.to_string() };
        Ok(reply(StatusCode::CREATED, &made))
    };
    app.change(asked, create).await
}

/// Ends a key.
#[utoipa::path(post, path = "/v1/keys/{id}/revoke", responses(
    (status = 200, body = KeyView), (status = "4XX", body = Problem)))]
async fn revoke_key(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&[], Object::Key)?.of_installation();
    let revoke = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::OK, &keys::revoke(work, env, &caller.who, &id)?))
    };
    app.change(asked, revoke).await
}
