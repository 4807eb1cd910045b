//! People who administer, on the Admin interface: for owners.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
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
use crate::domain::keys::SYSTEM;
use crate::domain::records::{RoleName, User};
use crate::domain::users::{self, Change};
use crate::domain::work::Work;
use crate::store::Page;

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_users, create_user))
        .routes(routes!(put_role))
        .routes(routes!(disable_user))
        .routes(routes!(enable_user))
}

/// A user as he is added.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewUser {
    /// The name, for people and the audit.
    name: String,
    /// What he or she may do.
    role: RoleName,
}

/// Another role.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewRole {
    /// What the user may do from now on, with every key.
    role: RoleName,
}

/// The users.
#[utoipa::path(get, path = "/v1/users", params(ListQuery), responses(
    (status = 200, body = Listed<User>), (status = "4XX", body = Problem)))]
async fn list_users(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let rows = central.read(SYSTEM, |work| users::list(work, &who.vendor, &one_more(page)))?;
        Ok(Listed::cut(rows, page, |user| user.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Adds a user.
#[utoipa::path(post, path = "/v1/users", request_body = NewUser, responses(
    (status = 201, body = User), (status = "4XX", body = Problem)))]
async fn create_user(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewUser>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Key)?.of_installation();
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        let new = (caller.who.vendor.as_str(), value.name.as_str(), value.role);
        Ok(reply(StatusCode::CREATED, &users::create(work, env, new)?))
    };
    app.change(asked, create).await
}

/// Gives a user another role.
#[utoipa::path(post, path = "/v1/users/{id}/role", request_body = NewRole, responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn put_role(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<NewRole>,
) -> Result<Reply, Problem> {
    change(app, (caller, &bytes), (id, Change::Role(value.role))).await
}

/// Refuses all keys of a user from now on.
#[utoipa::path(post, path = "/v1/users/{id}/disable", responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn disable_user(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    change(app, (caller, &[]), (id, Change::Disabled(true))).await
}

/// Lets a user in again.
#[utoipa::path(post, path = "/v1/users/{id}/enable", responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn enable_user(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    change(app, (caller, &[]), (id, Change::Disabled(false))).await
}

async fn change(
    app: App,
    (caller, body): (Caller, &[u8]),
    (id, change): (String, Change),
) -> Result<Reply, Problem> {
    let asked = caller.asks(body, Object::Key)?.of_installation();
    let write = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::OK, &users::change(work, env, &caller.who, (&id, change))?))
    };
    app.change(asked, write).await
}
