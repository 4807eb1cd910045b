//! The Admin interface: products, items, customers, tickets, grants, containers, the audit.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, OnceKey, PathOf, QueryOf};
use super::problem::Problem;
use super::{App, once, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::audit::Entry;
use crate::domain::catalog::{self, NewCustomer};
use crate::domain::central::Reply;
use crate::domain::orders::{self, TicketView};
use crate::domain::records::{Customer, Grant, Item, Order, Product, Ticket};
use crate::domain::work::{Record, Stored};
use crate::store::{Filter, Page};

/// What this face says of itself.
#[derive(OpenApi)]
#[openapi(info(title = "License Central: Admin"))]
struct Document;

/// Rows of a list that are sent at once.
const PAGE_MAX: usize = 200;

/// Which part of a list.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
struct ListQuery {
    /// The `next` of the page before.
    after: Option<String>,
    /// How many, at most 200.
    limit: Option<usize>,
}

/// A part of a list.
#[derive(Debug, Serialize, ToSchema)]
struct Listed<T> {
    /// The rows.
    rows: Vec<T>,
    /// Where the next part begins, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
}

/// All of this face.
pub fn router(app: App) -> Router {
    let routes = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(list_products, put_product))
        .routes(routes!(list_items, put_item))
        .routes(routes!(list_customers, create_customer))
        .routes(routes!(list_orders))
        .routes(routes!(list_tickets))
        .routes(routes!(show_ticket))
        .routes(routes!(replace_code))
        .routes(routes!(list_grants))
        .routes(routes!(list_audit))
        .merge(super::serving::routes());
    let (router, document) = routes.split_for_parts();
    super::wrap(router, document, app)
}

/// One page of a kind of record.
async fn list<R: Record + Send + 'static>(
    app: &App,
    who: Principal,
    object: Object,
    query: ListQuery,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, object)?;
    let limit = query.limit.unwrap_or(PAGE_MAX).clamp(1, PAGE_MAX);
    let mut rows = app
        .run(move |central| {
            let page = Page { after: query.after.as_deref(), limit: limit + 1 };
            central.read(&who.vendor, |work| work.list::<R>(&Filter::All, &page))
        })
        .await?;
    let more = rows.len() > limit;
    rows.truncate(limit);
    let next = rows.last().filter(|_| more).map(|row| row.record.id());
    let rows: Vec<R> = rows.into_iter().map(|row| row.record).collect();
    Ok(reply(StatusCode::OK, &Listed { rows, next }))
}

/// The products.
#[utoipa::path(get, path = "/v1/products", params(ListQuery), responses(
    (status = 200, body = Listed<Product>), (status = "4XX", body = Problem)))]
async fn list_products(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Product>(&app, who, Object::Catalog, query).await
}

/// Defines a product, or changes it with its version in `If-Match`.
#[utoipa::path(put, path = "/v1/products", request_body = Product, responses(
    (status = 200, body = Product), (status = "4XX", body = Problem)))]
async fn put_product(
    State(app): State<App>,
    who: Principal,
    headers: HeaderMap,
    body: Body<Product>,
) -> Result<Response, Problem> {
    allow(&who, Verb::Write, Object::Catalog)?;
    let version = if_match(&headers)?;
    let stored = app.run(move |central| {
        central
            .write(&who.vendor, &who.id, |work, _| catalog::put_product(work, &body.value, version))
    });
    Ok(with_version(stored.await?))
}

/// The items.
#[utoipa::path(get, path = "/v1/items", params(ListQuery), responses(
    (status = 200, body = Listed<Item>), (status = "4XX", body = Problem)))]
async fn list_items(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Item>(&app, who, Object::Catalog, query).await
}

/// Defines an item, or changes it with its version in `If-Match`.
#[utoipa::path(put, path = "/v1/items", request_body = Item, responses(
    (status = 200, body = Item), (status = "4XX", body = Problem)))]
async fn put_item(
    State(app): State<App>,
    who: Principal,
    headers: HeaderMap,
    body: Body<Item>,
) -> Result<Response, Problem> {
    allow(&who, Verb::Write, Object::Catalog)?;
    let version = if_match(&headers)?;
    let stored = app.run(move |central| {
        central.write(&who.vendor, &who.id, |work, _| catalog::put_item(work, &body.value, version))
    });
    Ok(with_version(stored.await?))
}

/// The customers.
#[utoipa::path(get, path = "/v1/customers", params(ListQuery), responses(
    (status = 200, body = Listed<Customer>), (status = "4XX", body = Problem)))]
async fn list_customers(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Customer>(&app, who, Object::Customer, query).await
}

/// Adds a customer.
#[utoipa::path(post, path = "/v1/customers", request_body = NewCustomer, responses(
    (status = 201, body = Customer), (status = "4XX", body = Problem)))]
async fn create_customer(
    State(app): State<App>,
    who: Principal,
    key: OnceKey,
    Body { bytes, value }: Body<NewCustomer>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::Customer)?;
    app.run(move |central| {
        let once = once(&key, "customers", &bytes);
        central.write_once(&who.vendor, &who.id, once.as_ref(), |work, env| {
            let customer = catalog::create_customer(work, env, &value)?;
            Ok(reply(StatusCode::CREATED, &customer))
        })
    })
    .await
}

/// The orders.
#[utoipa::path(get, path = "/v1/orders", params(ListQuery), responses(
    (status = 200, body = Listed<Order>), (status = "4XX", body = Problem)))]
async fn list_orders(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Order>(&app, who, Object::Order, query).await
}

/// The tickets.
#[utoipa::path(get, path = "/v1/tickets", params(ListQuery), responses(
    (status = 200, body = Listed<Ticket>), (status = "4XX", body = Problem)))]
async fn list_tickets(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Ticket>(&app, who, Object::License, query).await
}

/// A ticket with its licenses.
#[utoipa::path(get, path = "/v1/tickets/{id}", responses(
    (status = 200, body = TicketView), (status = "4XX", body = Problem)))]
async fn show_ticket(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Read, Object::License)?;
    let view = app.run(move |central| {
        central.read(&who.vendor, |work| {
            let ticket = work.get::<Ticket>(&id)?;
            orders::view(work, &ticket.record)
        })
    });
    Ok(reply(StatusCode::OK, &view.await?))
}

/// A ticket's new code. The one before is worth nothing from then on.
#[derive(Debug, Serialize, ToSchema)]
struct NewCode {
    /// The ticket's id.
    id: String,
    /// The code. It is told once.
    code: String,
}

/// Gives a ticket a new code, where the old one was lost or fell into wrong hands.
#[utoipa::path(post, path = "/v1/tickets/{id}/code", responses(
    (status = 200, body = NewCode), (status = "4XX", body = Problem)))]
async fn replace_code(
    State(app): State<App>,
    who: Principal,
    key: OnceKey,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    allow(&who, Verb::Write, Object::License)?;
    app.run(move |central| {
        let route = format!("tickets/{id}/code");
        let once = once(&key, &route, &[]);
        central.write_once(&who.vendor, &who.id, once.as_ref(), |work, env| {
            let (ticket, code) = orders::replace_code(work, env, &id)?;
            let body = NewCode { id: ticket.id, code: code.to_string() };
            Ok(reply(StatusCode::OK, &body))
        })
    })
    .await
}

/// The grants.
#[utoipa::path(get, path = "/v1/grants", params(ListQuery), responses(
    (status = 200, body = Listed<Grant>), (status = "4XX", body = Problem)))]
async fn list_grants(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Grant>(&app, who, Object::License, query).await
}

/// The audit.
#[utoipa::path(get, path = "/v1/audit", params(ListQuery), responses(
    (status = 200, body = Listed<Entry>), (status = "4XX", body = Problem)))]
async fn list_audit(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
) -> Result<Reply, Problem> {
    list::<Entry>(&app, who, Object::Audit, query).await
}

/// The version that a change was made for: `If-Match: "3"`.
fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim_matches('"').parse().ok());
    let why = "If-Match is the ETag of the record as it was read";
    number.map(Some).ok_or_else(|| crate::domain::refusal::Refusal::malformed(why).into())
}

/// A record with its version as ETag.
fn with_version<R: Serialize>(stored: Stored<R>) -> Response {
    let mut response = reply(StatusCode::OK, &stored.record).into_response();
    if let Ok(tag) = HeaderValue::from_str(&format!("\"{}\"", stored.version)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}
