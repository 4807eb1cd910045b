//! People who administer, on the Admin interface: for owners.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, OnceKey, PathOf, QueryOf};
use super::lists::{self, ListQuery, Listed, Wants, one_more};
use super::problem::Problem;
use super::{App, once, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::{Central, Reply};
use crate::domain::keys::SYSTEM;
use crate::domain::records::{RoleName, User};
use crate::domain::users::{self, Change};
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
    who: Principal,
    key: OnceKey,
    Body { bytes, value }: Body<NewUser>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    app.run(move |central| {
        let once = once(&key, "users", &bytes);
        central.write_once(SYSTEM, &who.id, once.as_ref(), |work, env| {
            let new = (who.vendor.as_str(), value.name.as_str(), value.role);
            Ok(reply(StatusCode::CREATED, &users::create(work, env, new)?))
        })
    })
    .await
}

/// Gives a user another role.
#[utoipa::path(post, path = "/v1/users/{id}/role", request_body = NewRole, responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn put_role(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
    Body { value, .. }: Body<NewRole>,
) -> Result<Reply, Problem> {
    change(app, who, (id, Change::Role(value.role))).await
}

/// Refuses all keys of a user from now on.
#[utoipa::path(post, path = "/v1/users/{id}/disable", responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn disable_user(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    change(app, who, (id, Change::Disabled(true))).await
}

/// Lets a user in again.
#[utoipa::path(post, path = "/v1/users/{id}/enable", responses(
    (status = 200, body = User), (status = "4XX", body = Problem)))]
async fn enable_user(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    change(app, who, (id, Change::Disabled(false))).await
}

async fn change(
    app: App,
    who: Principal,
    (id, change): (String, Change),
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    let write = move |central: &Central| {
        let actor = who.id.clone();
        central.write(SYSTEM, &actor, |work, env| users::change(work, env, &who, (&id, change)))
    };
    Ok(reply(StatusCode::OK, &app.run(write).await?))
}
