//! The Sales interface: orders become tickets.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, OnceKey, PathOf};
use super::problem::Problem;
use super::{App, once, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::Reply;
use crate::domain::orders::{self, NewOrder, Ordered};
use crate::domain::records::Order;

/// What this face says of itself.
#[derive(OpenApi)]
#[openapi(info(title = "License Central: Sales"))]
struct Document;

/// An order, and the ticket that it became.
#[derive(Debug, Serialize, ToSchema)]
pub struct OrderReply {
    /// The order.
    #[serde(flatten)]
    order: Order,
    /// First characters of the ticket.
    hint: String,
    /// The ticket. It is told once, in the answer to the call that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<String>,
}

/// All of this face.
pub fn router(app: App) -> Router {
    let routes = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(create_order))
        .routes(routes!(show_order));
    let (router, document) = routes.split_for_parts();
    super::wrap("sales", router, document, app)
}

/// Takes an order in. The same order (number, line, period) sent again is the same order.
#[utoipa::path(post, path = "/v1/orders", request_body = NewOrder, responses(
    (status = 201, body = OrderReply), (status = "4XX", body = Problem)))]
async fn create_order(
    State(app): State<App>,
    who: Principal,
    key: OnceKey,
    Body { bytes, value }: Body<NewOrder>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Order)?;
    app.run(move |central| {
        let once = once(&key, "orders", &bytes);
        central.write_once(&who.vendor, &who.id, once.as_ref(), |work, env| {
            let Ordered { order, ticket, code } = orders::order(work, env, &value)?;
            let status = if code.is_some() { StatusCode::CREATED } else { StatusCode::OK };
            let code = code.map(|code| code.to_string());
            Ok(reply(status, &OrderReply { order, hint: ticket.hint, code }))
        })
    })
    .await
}

/// An order.
#[utoipa::path(get, path = "/v1/orders/{id}", responses(
    (status = 200, body = Order), (status = "4XX", body = Problem)))]
async fn show_order(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::Order)?;
    let order = app.run(move |central| central.read(&who.vendor, |work| work.get::<Order>(&id)));
    Ok(reply(StatusCode::OK, &order.await?.record))
}
