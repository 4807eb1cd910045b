//! The Sales interface: orders become tickets.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use serde::Serialize;
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, PathOf};
use super::problem::Problem;
use super::{App, Asked, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::bulk::{self, RowResult, Rows};
use crate::domain::catalog::NewCustomer;
use crate::domain::central::Reply;
use crate::domain::env::Env;
use crate::domain::orders::{self, NewOrder, Ordered};
use crate::domain::records::Order;
use crate::domain::refusal::Outcome;
use crate::domain::work::Work;

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
        .routes(routes!(create_orders))
        .routes(routes!(create_customers))
        .routes(routes!(show_order))
        .merge(super::shops::inbound());
    let (router, document) = routes.split_for_parts();
    super::wrap("sales", router, document, app)
}

/// Takes an order in. The same order (number, line, period) sent again is the same order.
#[utoipa::path(post, path = "/v1/orders", request_body = NewOrder, responses(
    (status = 201, body = OrderReply), (status = "4XX", body = Problem)))]
async fn create_order(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewOrder>,
) -> Result<Reply, Problem> {
    let take = move |work: &mut Work<'_>, env: &Env<'_>| {
        let Ordered { order, ticket, code } = orders::order(work, env, &value)?;
        let status = if code.is_some() { StatusCode::CREATED } else { StatusCode::OK };
        let code = code.map(|code| code.to_string());
        Ok(reply(status, &OrderReply { order, hint: ticket.hint, code }))
    };
    app.change(caller.asks(&bytes, Object::Order)?, take).await
}

/// What became of each row, in the order of the rows.
#[derive(Debug, Serialize, ToSchema)]
struct Results {
    /// One for each row.
    results: Vec<RowResult>,
}

/// Takes many orders in, each for itself; or says what would become of them.
#[utoipa::path(post, path = "/v1/orders/bulk", request_body = Rows<NewOrder>, responses(
    (status = 200, body = Results), (status = "4XX", body = Problem)))]
async fn create_orders(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<Rows<NewOrder>>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Order)?;
    let Rows { preview, rows } = value;
    in_bulk(app, (asked, preview), move |work, env| bulk::orders(work, env, &rows)).await
}

/// Adds many customers, each for itself; or says what would become of them.
#[utoipa::path(post, path = "/v1/customers/bulk", request_body = Rows<NewCustomer>, responses(
    (status = 200, body = Results), (status = "4XX", body = Problem)))]
async fn create_customers(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<Rows<NewCustomer>>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Customer)?;
    let Rows { preview, rows } = value;
    in_bulk(app, (asked, preview), move |work, env| bulk::customers(work, env, &rows)).await
}

async fn in_bulk<F>(app: App, (asked, preview): (Asked, bool), step: F) -> Result<Reply, Problem>
where
    F: Fn(&mut Work<'_>, &Env<'_>) -> Outcome<Vec<RowResult>> + Send + 'static,
{
    let answer = move |work: &mut Work<'_>, env: &Env<'_>| {
        let results = step(work, env)?;
        Ok(reply(StatusCode::OK, &Results { results }))
    };
    if preview {
        let Asked { tenant, actor, .. } = asked;
        return app.run(move |central| central.preview(&tenant, &actor, answer)).await;
    }
    app.change(asked, answer).await
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
