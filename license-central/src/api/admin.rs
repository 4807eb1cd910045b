//! The Admin interface: products, items, customers, tickets, grants, containers, the audit.

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, Caller, PathOf, QueryOf};
use super::lists::{ListQuery, Listed, Wants, records};
use super::problem::Problem;
use super::{App, reply};
use crate::domain::access::{Object, Principal};
use crate::domain::audit::Entry;
use crate::domain::cases;
use crate::domain::catalog::{self, NewCustomer};
use crate::domain::central::Reply;
use crate::domain::env::Env;
use crate::domain::orders::{self, TicketView};
use crate::domain::records::{
    Case, Container, Customer, Decision, Grant, Item, Order, Product, Standing, Ticket,
};
use crate::domain::standing::{self, ContainerView, Decided, Reason};
use crate::domain::work::{Stored, Work};

/// What this face says of itself.
#[derive(OpenApi)]
#[openapi(info(title = "License Central: Admin"))]
struct Document;

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
        .routes(routes!(withdraw_ticket))
        .routes(routes!(list_grants))
        .routes(routes!(show_grant))
        .routes(routes!(suspend))
        .routes(routes!(reinstate))
        .routes(routes!(withdraw))
        .routes(routes!(write_off))
        .routes(routes!(assign))
        .routes(routes!(list_containers))
        .routes(routes!(show_container))
        .routes(routes!(block))
        .routes(routes!(unblock))
        .routes(routes!(list_cases))
        .routes(routes!(decide))
        .routes(routes!(list_audit))
        .merge(super::keys::routes())
        .merge(super::users::routes())
        .merge(super::reports::routes())
        .merge(super::trust::routes())
        .merge(super::webhooks::routes())
        .merge(super::serving::routes())
        .merge(super::soft::routes())
        .merge(super::shops::routes());
    let (router, document) = routes.split_for_parts();
    super::wrap("admin", router, document, app)
}

/// The products.
#[utoipa::path(get, path = "/v1/products", params(ListQuery), responses(
    (status = 200, body = Listed<Product>), (status = "4XX", body = Problem)))]
async fn list_products(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Product>(&app, who, Object::Catalog, (query, wants)).await
}

/// Defines a product, or changes it with its version in `If-Match`.
#[utoipa::path(put, path = "/v1/products", request_body = Product, responses(
    (status = 200, body = Product), (status = "4XX", body = Problem)))]
async fn put_product(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body { bytes, value }: Body<Product>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Catalog)?;
    let version = if_match(&headers)?;
    let put = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(with_version(&catalog::put_product(work, env, &value, version)?))
    };
    app.change(asked, put).await
}

/// The items.
#[utoipa::path(get, path = "/v1/items", params(ListQuery), responses(
    (status = 200, body = Listed<Item>), (status = "4XX", body = Problem)))]
async fn list_items(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Item>(&app, who, Object::Catalog, (query, wants)).await
}

/// Defines an item, or changes it with its version in `If-Match`.
#[utoipa::path(put, path = "/v1/items", request_body = Item, responses(
    (status = 200, body = Item), (status = "4XX", body = Problem)))]
async fn put_item(
    State(app): State<App>,
    caller: Caller,
    headers: HeaderMap,
    Body { bytes, value }: Body<Item>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Catalog)?;
    let version = if_match(&headers)?;
    let put = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(with_version(&catalog::put_item(work, env, &value, version)?))
    };
    app.change(asked, put).await
}

/// The customers.
#[utoipa::path(get, path = "/v1/customers", params(ListQuery), responses(
    (status = 200, body = Listed<Customer>), (status = "4XX", body = Problem)))]
async fn list_customers(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Customer>(&app, who, Object::Customer, (query, wants)).await
}

/// Adds a customer.
#[utoipa::path(post, path = "/v1/customers", request_body = NewCustomer, responses(
    (status = 201, body = Customer), (status = "4XX", body = Problem)))]
async fn create_customer(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewCustomer>,
) -> Result<Reply, Problem> {
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::CREATED, &catalog::create_customer(work, env, &value)?))
    };
    app.change(caller.asks(&bytes, Object::Customer)?, create).await
}

/// The orders.
#[utoipa::path(get, path = "/v1/orders", params(ListQuery), responses(
    (status = 200, body = Listed<Order>), (status = "4XX", body = Problem)))]
async fn list_orders(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Order>(&app, who, Object::Order, (query, wants)).await
}

/// The tickets.
#[utoipa::path(get, path = "/v1/tickets", params(ListQuery), responses(
    (status = 200, body = Listed<Ticket>), (status = "4XX", body = Problem)))]
async fn list_tickets(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Ticket>(&app, who, Object::License, (query, wants)).await
}

/// A ticket with its licenses.
#[utoipa::path(get, path = "/v1/tickets/{id}", responses(
    (status = 200, body = TicketView), (status = "4XX", body = Problem)))]
async fn show_ticket(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let show = move |work: &mut Work<'_>| {
        let ticket = work.get::<Ticket>(&id)?;
        orders::view(work, &ticket.record)
    };
    app.look(who, Object::License, show).await
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
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let replace = move |work: &mut Work<'_>, env: &Env<'_>| {
        let (ticket, code) = orders::replace_code(work, env, &id)?;
        let new = NewCode { id: ticket.id, code: code.to_string() };
        Ok(reply(StatusCode::OK, &new))
    };
    app.change(caller.asks(&[], Object::License)?, replace).await
}

/// The grants.
#[utoipa::path(get, path = "/v1/grants", params(ListQuery), responses(
    (status = 200, body = Listed<Grant>), (status = "4XX", body = Problem)))]
async fn list_grants(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Grant>(&app, who, Object::License, (query, wants)).await
}

/// A grant, and when what was decided of it is so.
#[utoipa::path(get, path = "/v1/grants/{id}", responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn show_grant(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    app.look(who, Object::License, move |work| standing::show(work, &id)).await
}

/// Suspends a license: its container gets that when it next asks.
#[utoipa::path(post, path = "/v1/grants/{id}/suspend", request_body = Reason, responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn suspend(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    body: Body<Reason>,
) -> Result<Reply, Problem> {
    decide_grant(app, caller, id, (Standing::Suspended, body)).await
}

/// Takes a suspension back.
#[utoipa::path(post, path = "/v1/grants/{id}/reinstate", request_body = Reason, responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn reinstate(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    body: Body<Reason>,
) -> Result<Reply, Problem> {
    decide_grant(app, caller, id, (Standing::Active, body)).await
}

/// Revokes a license for good: it is taken out of its container when that next asks.
#[utoipa::path(post, path = "/v1/grants/{id}/withdraw", request_body = Reason, responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn withdraw(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    body: Body<Reason>,
) -> Result<Reply, Problem> {
    decide_grant(app, caller, id, (Standing::Withdrawn, body)).await
}

/// Frees a license that its container will never give back, on a person's word.
#[utoipa::path(post, path = "/v1/grants/{id}/write-off", request_body = Reason, responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn write_off(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<Reason>,
) -> Result<Reply, Problem> {
    let write = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &standing::write_off(work, &id, &value)?))
    };
    app.change(caller.asks(&bytes, Object::License)?, write).await
}

async fn decide_grant(
    app: App,
    caller: Caller,
    id: String,
    (wanted, why): (Standing, Body<Reason>),
) -> Result<Reply, Problem> {
    let set = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &standing::set(work, &id, wanted, &why.value)?))
    };
    app.change(caller.asks(&why.bytes, Object::License)?, set).await
}

/// The container that a license is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Assignment {
    /// Its serial; none takes an assignment back.
    container: Option<String>,
}

/// Hands a free license to a container, which gets it when it next asks, without a ticket.
#[utoipa::path(post, path = "/v1/grants/{id}/assign", request_body = Assignment, responses(
    (status = 200, body = Decided), (status = "4XX", body = Problem)))]
async fn assign(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<Assignment>,
) -> Result<Reply, Problem> {
    let assign = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &standing::assign(work, &id, value.container.as_deref())?))
    };
    app.change(caller.asks(&bytes, Object::License)?, assign).await
}

/// Withdraws a ticket, with every license that came of it.
#[utoipa::path(post, path = "/v1/tickets/{id}/withdraw", request_body = Reason, responses(
    (status = 200, body = Vec<Decided>), (status = "4XX", body = Problem)))]
async fn withdraw_ticket(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<Reason>,
) -> Result<Reply, Problem> {
    let withdraw = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &standing::withdraw_ticket(work, &id, &value)?))
    };
    app.change(caller.asks(&bytes, Object::License)?, withdraw).await
}

/// The containers.
#[utoipa::path(get, path = "/v1/containers", params(ListQuery), responses(
    (status = 200, body = Listed<Container>), (status = "4XX", body = Problem)))]
async fn list_containers(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Container>(&app, who, Object::Container, (query, wants)).await
}

/// A container with what it has.
#[utoipa::path(get, path = "/v1/containers/{id}", responses(
    (status = 200, body = ContainerView), (status = "4XX", body = Problem)))]
async fn show_container(
    State(app): State<App>,
    who: Principal,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    app.look(who, Object::Container, move |work| standing::show_container(work, &id)).await
}

/// Blocks a container: it gets nothing more, and what it has is taken out when it next asks.
#[utoipa::path(post, path = "/v1/containers/{id}/block", request_body = Reason, responses(
    (status = 200, body = Container), (status = "4XX", body = Problem)))]
async fn block(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    body: Body<Reason>,
) -> Result<Reply, Problem> {
    set_blocked(app, caller, id, (true, body)).await
}

/// Lets a blocked container in again.
#[utoipa::path(post, path = "/v1/containers/{id}/unblock", request_body = Reason, responses(
    (status = 200, body = Container), (status = "4XX", body = Problem)))]
async fn unblock(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    body: Body<Reason>,
) -> Result<Reply, Problem> {
    set_blocked(app, caller, id, (false, body)).await
}

async fn set_blocked(
    app: App,
    caller: Caller,
    id: String,
    (blocked, why): (bool, Body<Reason>),
) -> Result<Reply, Problem> {
    let block = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &standing::block(work, &id, blocked, &why.value)?.record))
    };
    app.change(caller.asks(&why.bytes, Object::Container)?, block).await
}

/// Containers that showed what nothing leads to, or whose place another one asks to take.
#[utoipa::path(get, path = "/v1/cases", params(ListQuery), responses(
    (status = 200, body = Listed<Case>), (status = "4XX", body = Problem)))]
async fn list_cases(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Case>(&app, who, Object::Container, (query, wants)).await
}

/// A decision on a case.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct CaseDecision {
    /// What becomes of the container.
    decision: Decision,
    /// Why, for people.
    #[serde(default)]
    reason: String,
}

/// Decides what becomes of a container that showed what nothing leads to, or of what it held.
#[utoipa::path(post, path = "/v1/cases/{id}/decide", request_body = CaseDecision, responses(
    (status = 200, body = Case), (status = "4XX", body = Problem)))]
async fn decide(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<CaseDecision>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Container)?;
    let firm = app.central().firm(&caller.who.vendor)?;
    let CaseDecision { decision, reason } = value;
    let why = Reason { reason };
    let decide = move |work: &mut Work<'_>, env: &Env<'_>| {
        Ok(reply(StatusCode::OK, &cases::decide(work, env, &firm, (&id, decision, &why))?))
    };
    app.change(asked, decide).await
}

/// The audit.
#[utoipa::path(get, path = "/v1/audit", params(ListQuery), responses(
    (status = 200, body = Listed<Entry>), (status = "4XX", body = Problem)))]
async fn list_audit(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<Entry>(&app, who, Object::Audit, (query, wants)).await
}

/// The version that a change was made for: `If-Match: "3"`.
pub(super) fn if_match(headers: &HeaderMap) -> Result<Option<i64>, Problem> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let number = value.to_str().ok().and_then(|text| text.trim_matches('"').parse().ok());
    let why = "If-Match is the ETag of the record as it was read";
    number.map(Some).ok_or_else(|| crate::domain::refusal::Refusal::malformed(why).into())
}

/// A record with its version.
pub(super) fn with_version<R: Serialize>(stored: &Stored<R>) -> Reply {
    Reply { version: Some(stored.version), ..reply(StatusCode::OK, &stored.record) }
}
