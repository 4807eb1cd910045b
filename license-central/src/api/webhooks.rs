//! Webhooks in the Admin interface: where messages go, and what became of them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
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
use crate::domain::webhooks::{self, Message, NewWebhook, Webhook, WebhookView};
use crate::domain::work::Work;
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
#[utoipa::path(get, path = "/v1/webhooks", params(ListQuery), responses(
    (status = 200, body = Listed<WebhookView>), (status = "4XX", body = Problem)))]
async fn list_webhooks(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let all = central.read(&who.vendor, webhooks::all)?;
        let behind = all.into_iter().filter(|own| page.after.is_none_or(|after| *own.id > *after));
        Ok(Listed::cut(behind.map(Webhook::view).collect(), page, |own| own.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Adds a webhook.
#[utoipa::path(post, path = "/v1/webhooks", request_body = NewWebhook, responses(
    (status = 201, body = NewSecret), (status = "4XX", body = Problem)))]
async fn create_webhook(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewWebhook>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Key)?;
    app.carrier().reach().check(&value.url)?;
    let central = app.central().clone();
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        let (webhook, text) = webhooks::create(work, env, central.secret(), &value)?;
        let made = NewSecret { webhook: webhook.view(), secret: text.to_string() };
        Ok(reply(StatusCode::CREATED, &made))
    };
    app.change(asked, create).await
}

/// Removes a webhook: what waits for it is given up.
#[utoipa::path(delete, path = "/v1/webhooks/{id}", responses(
    (status = 200, body = WebhookView), (status = "4XX", body = Problem)))]
async fn remove_webhook(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let remove = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &webhooks::remove(work, &id)?.view()))
    };
    app.change(caller.asks(&[], Object::Key)?, remove).await
}

/// Draws a new secret. The one before counts beside it until it is ended.
#[utoipa::path(post, path = "/v1/webhooks/{id}/secret", responses(
    (status = 200, body = NewSecret), (status = "4XX", body = Problem)))]
async fn rotate_secret(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let central = app.central().clone();
    let rotate = move |work: &mut Work<'_>, env: &Env<'_>| {
        let (webhook, text) = webhooks::rotate(work, env, central.secret(), &id)?;
        let new = NewSecret { webhook: webhook.view(), secret: text.to_string() };
        Ok(reply(StatusCode::OK, &new))
    };
    app.change(caller.asks(&[], Object::Key)?, rotate).await
}

/// Ends the secret before the present one.
#[utoipa::path(delete, path = "/v1/webhooks/{id}/secret", responses(
    (status = 200, body = WebhookView), (status = "4XX", body = Problem)))]
async fn end_rotation(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let end = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &webhooks::end_rotation(work, &id)?.view()))
    };
    app.change(caller.asks(&[], Object::Key)?, end).await
}

/// The messages to webhooks.
#[utoipa::path(get, path = "/v1/webhook-messages", params(ListQuery), responses(
    (status = 200, body = Listed<Message>), (status = "4XX", body = Problem)))]
async fn list_messages(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Key)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let own = Filter::Is("vendor", who.vendor.as_str().into());
        let rows = central.read(SYSTEM, |work| work.list::<Message>(&own, &one_more(page)))?;
        Ok(Listed::of(rows, page))
    };
    lists::list(&app, (query, wants), read).await
}

/// Sends a message again, whatever became of it.
#[utoipa::path(post, path = "/v1/webhook-messages/{id}/replay", responses(
    (status = 200, body = Message), (status = "4XX", body = Problem)))]
async fn replay_message(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&[], Object::Key)?.of_installation();
    let replay = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::OK, &webhooks::replay(work, env, &caller.who.vendor, &id)?))
    };
    app.change(asked, replay).await
}
