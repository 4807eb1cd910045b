//! Webhooks in the Admin interface: where messages go, and what became of them.

use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::admin::{ListQuery, Listed, PAGE_MAX};
use super::extract::{Body, OnceKey, PathOf, QueryOf};
use super::problem::Problem;
use super::{App, once, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::Reply;
use crate::domain::keys::SYSTEM;
use crate::domain::refusal::Outcome;
use crate::domain::webhooks::{self, Message, NewWebhook, Webhook, WebhookView};
use crate::domain::work::Stored;
use crate::store::{Filter, Page};

/// A webhook with its secret.
#[derive(Debug, Serialize, ToSchema)]
struct NewSecret {
    /// The webhook.
    #[serde(flatten)]
    webhook: WebhookView,
    /// Its secret. It is told once.
    secret: String,
}

/// The routes of webhooks.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_webhooks, create_webhook))
        .routes(routes!(remove_webhook))
        .routes(routes!(rotate_secret, end_rotation))
        .routes(routes!(list_messages))
        .routes(routes!(replay_message))
}

/// The webhooks.
#[utoipa::path(get, path = "/v1/webhooks", responses(
    (status = 200, body = Listed<WebhookView>), (status = "4XX", body = Problem)))]
async fn list_webhooks(State(app): State<App>, who: Principal) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let rows = app.run(move |central| central.read(&who.vendor, webhooks::all)).await?;
    let rows: Vec<_> = rows.into_iter().map(Webhook::view).collect();
    Ok(reply(StatusCode::OK, &Listed { rows, next: None }))
}

/// Adds a webhook.
#[utoipa::path(post, path = "/v1/webhooks", request_body = NewWebhook, responses(
    (status = 201, body = NewSecret), (status = "4XX", body = Problem)))]
async fn create_webhook(
    State(app): State<App>,
    who: Principal,
    key: OnceKey,
    Body { bytes, value }: Body<NewWebhook>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    app.carrier().reach().check(&value.url)?;
    app.run(move |central| {
        let once = once(&key, "webhooks", &bytes);
        central.write_once(&who.vendor, &who.id, once.as_ref(), |work, env| {
            let (webhook, text) = webhooks::create(work, env, central.secret(), &value)?;
            let body = NewSecret { webhook: webhook.view(), secret: text.to_string() };
            Ok(reply(StatusCode::CREATED, &body))
        })
    })
    .await
}

/// Removes a webhook: what waits for it is given up.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", responses(
    (status = 200, body = WebhookView), (status = "4XX", body = Problem)))]
async fn remove_webhook(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    let done = app.run(move |central| {
        central.write(&who.vendor, &who.id, |work, _| webhooks::remove(work, &id))
    });
    Ok(reply(StatusCode::OK, &done.await?.view()))
}

/// Draws a new secret. The one before counts beside it until it is ended.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret", responses(
    (status = 200, body = NewSecret), (status = "4XX", body = Problem)))]
async fn rotate_secret(
    State(app): State<App>,
    who: Principal,
    key: OnceKey,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    app.run(move |central| {
        let route = format!("webhooks/{id}/secret");
        let once = once(&key, &route, &[]);
        central.write_once(&who.vendor, &who.id, once.as_ref(), |work, env| {
            let (webhook, text) = webhooks::rotate(work, env, central.secret(), &id)?;
            let body = NewSecret { webhook: webhook.view(), secret: text.to_string() };
            Ok(reply(StatusCode::OK, &body))
        })
    })
    .await
}

/// Ends the secret before the present one.
#[utoipa::path(delete, path = "/v1/webhooks/{id}/secret", responses(
    (status = 200, body = WebhookView), (status = "4XX", body = Problem)))]
async fn end_rotation(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    let done = app.run(move |central| {
        central.write(&who.vendor, &who.id, |work, _| webhooks::end_rotation(work, &id))
    });
    Ok(reply(StatusCode::OK, &done.await?.view()))
}

/// The messages to webhooks.
#[utoipa::path(get, path = "/v1/webhook-messages", params(ListQuery), responses(
    (status = 200, body = Listed<Message>), (status = "4XX", body = Problem)))]
async fn list_messages(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let limit = query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let read = app.run(move |central| -> Outcome<Vec<Stored<Message>>> {
        let own = Filter::Is("vendor", who.vendor.as_str().into());
        let page = Page { after: query.after.as_deref(), limit: limit + 1 };
        central.read(SYSTEM, |work| work.list::<Message>(&own, &page))
    });
    Ok(reply(StatusCode::OK, &Listed::page(read.await?, limit)))
}

/// Sends a message again, whatever became of it.
#[utoipa::path(post, path = "/v1/webhook-messages/{id}/replay", responses(
    (status = 200, body = Message), (status = "4XX", body = Problem)))]
async fn replay_message(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Key)?;
    let done = app.run(move |central| {
        central.write(SYSTEM, &who.id, |work, env| webhooks::replay(work, env, &who.vendor, &id))
    });
    Ok(reply(StatusCode::OK, &done.await?))
}
