//! Shops: registered and mapped at the Admin interface, heard at the Sales interface.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use protocol::objects::root::Mode;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::columns::columns;
use super::extract::{Body, Caller, PathOf, QueryOf, Raw};
use super::lists::{self, ListQuery, Listed, Wants, records};
use super::problem::Problem;
use super::{App, reply};
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::{Central, Reply};
use crate::domain::env::Env;
use crate::domain::shops::{self, LineState, Mapping, NewShop, ShopKind, ShopLine, ShopView};
use crate::domain::work::Work;
use crate::store::Page;

/// Who acts, for the audit, where a shop sends a message.
const ACTOR: &str = "shop";

/// Characters of the longest topic.
const TOPIC_LEN_MAX: usize = 100;

columns!(ShopView, ["id", "name", "kind", "on_refund", "path", "mapped", "created_ms"]);
columns!(
    ShopLine,
    [
        "id",
        "shop",
        "shop_order",
        "shop_line",
        "line",
        "keys",
        "name",
        "quantity",
        "renews",
        "customer",
        "state",
        "why",
        "order",
        "undone",
        "created_ms",
    ]
);

/// A shop as it was registered.
#[derive(Debug, Serialize, ToSchema)]
struct MadeShop {
    /// The shop.
    #[serde(flatten)]
    shop: ShopView,
    /// The secret, if it was drawn here. It is told once.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

/// What became of a message of a shop.
#[derive(Debug, Serialize, ToSchema)]
struct Heard {
    /// The lines of orders that it is about.
    lines: Vec<HeardLine>,
}

/// What became of a line.
#[derive(Debug, Serialize, ToSchema)]
struct HeardLine {
    /// `spl_…`
    id: String,
    /// The line there.
    shop_line: String,
    /// What became of it.
    state: LineState,
    /// Why it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// The order here.
    #[serde(skip_serializing_if = "Option::is_none")]
    order: Option<String>,
}

impl Heard {
    fn of(lines: Vec<ShopLine>) -> Self {
        let line = |one: ShopLine| {
            let ShopLine { id, shop_line, state, why, order, .. } = one;
            HeardLine { id, shop_line, state, why, order }
        };
        Heard { lines: lines.into_iter().map(line).collect() }
    }
}

/// The routes of administrators.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_shops, create_shop))
        .routes(routes!(remove_shop))
        .routes(routes!(map_products))
        .routes(routes!(replay_lines))
        .routes(routes!(list_lines))
}

/// The route of shops.
pub(super) fn inbound() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(hear_shop))
}

/// The shops.
#[utoipa::path(get, path = "/v1/shops", params(ListQuery), responses(
    (status = 200, body = Listed<ShopView>), (status = "4XX", body = Problem)))]
async fn list_shops(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    allow(&who, Verb::Read, Object::Catalog)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let all = central.read(&who.vendor, shops::all)?;
        let behind = all.into_iter().filter(|own| page.after.is_none_or(|after| *own.id > *after));
        let rows = behind.map(|shop| shop.view(&who.vendor)).collect();
        Ok(Listed::cut(rows, page, |own: &ShopView| own.id.clone()))
    };
    lists::list(&app, (query, wants), read).await
}

/// Registers a shop.
#[utoipa::path(post, path = "/v1/shops", request_body = NewShop, responses(
    (status = 201, body = MadeShop), (status = "4XX", body = Problem)))]
async fn create_shop(
    State(app): State<App>,
    caller: Caller,
    Body { bytes, value }: Body<NewShop>,
) -> Result<Reply, Problem> {
    let (asked, central) = (caller.asks(&bytes, Object::Key)?, app.central().clone());
    let create = move |work: &mut Work<'_>, env: &Env<'_>| {
        let (shop, secret) = shops::create(work, env, central.secret(), &value)?;
        let secret = secret.map(|text| text.to_string());
        let made = MadeShop { shop: shop.view(&caller.who.vendor), secret };
        Ok(reply(StatusCode::CREATED, &made))
    };
    app.change(asked, create).await
}

/// Removes a shop: its messages are refused from now on. Its orders stay.
#[utoipa::path(delete, path = "/v1/shops/{id}", responses(
    (status = 200, body = ShopView), (status = "4XX", body = Problem)))]
async fn remove_shop(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&[], Object::Key)?;
    let remove = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &shops::remove(work, &id)?.view(&caller.who.vendor)))
    };
    app.change(asked, remove).await
}

/// Says which items the products of a shop are.
#[utoipa::path(post, path = "/v1/shops/{id}/map", request_body = Mapping, responses(
    (status = 200, body = ShopView), (status = "4XX", body = Problem)))]
async fn map_products(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
    Body { bytes, value }: Body<Mapping>,
) -> Result<Reply, Problem> {
    let asked = caller.asks(&bytes, Object::Catalog)?;
    let map = move |work: &mut Work<'_>, _: &Env<'_>| {
        Ok(reply(StatusCode::OK, &shops::map(work, &id, &value)?.view(&caller.who.vendor)))
    };
    app.change(asked, map).await
}

/// Tries the lines of a shop again that wait.
#[utoipa::path(post, path = "/v1/shops/{id}/replay", responses(
    (status = 200, body = Heard), (status = "4XX", body = Problem)))]
async fn replay_lines(
    State(app): State<App>,
    caller: Caller,
    PathOf(id): PathOf<String>,
) -> Result<Reply, Problem> {
    let replay = move |work: &mut Work<'_>, env: &Env<'_>| {
        let shop = shops::find(work, &id)?.record;
        Ok(reply(StatusCode::OK, &Heard::of(shops::replay(work, env, &shop)?)))
    };
    app.change(caller.asks(&[], Object::Order)?, replay).await
}

/// The lines of orders in shops, and what became of them.
#[utoipa::path(get, path = "/v1/shop-lines", params(ListQuery), responses(
    (status = 200, body = Listed<ShopLine>), (status = "4XX", body = Problem)))]
async fn list_lines(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    records::<ShopLine>(&app, who, Object::Order, (query, wants)).await
}

/// Hears a webhook of a shop: WooCommerce or Shopify. Its signature is verified before anything of
/// it is read. A line that cannot become an order is kept and waits: the shop need not repeat it.
#[utoipa::path(post, path = "/v1/{vendor}/shops/{shop}",
    request_body(content = String, content_type = "application/json"),
    responses((status = 200, body = Heard), (status = "4XX", body = Problem)))]
async fn hear_shop(
    State(app): State<App>,
    PathOf((vendor, shop)): PathOf<(String, String)>,
    headers: HeaderMap,
    Raw(body): Raw,
) -> Result<Reply, Problem> {
    let signature = header(&headers, &["x-wc-webhook-signature", "x-shopify-hmac-sha256"]);
    if signature.is_none() && is_ping(&body) {
        return Ok(reply(StatusCode::OK, &Heard { lines: Vec::new() }));
    }
    let woo = header(&headers, &["x-wc-webhook-topic"]);
    let shopify = header(&headers, &["x-shopify-topic"]);
    app.run(move |central| {
        let signed = (signature.as_deref(), &body[..]);
        let shop = central
            .read(&vendor, |work| shops::signed_by(work, central.secret(), &shop, signed))?;
        let topic = match shop.kind {
            ShopKind::Woocommerce => woo,
            ShopKind::Shopify => shopify,
        };
        let told = shop.read(&topic.unwrap_or_default(), &body)?;
        let is_live = matches!(central.firm(&vendor)?.identity()?.1, Mode::Live);
        let lines = central
            .write(&vendor, ACTOR, |work, env| shops::take(work, env, &shop, (&told, is_live)))?;
        Ok(reply(StatusCode::OK, &Heard::of(lines)))
    })
    .await
}

/// Whether this is what WooCommerce sends when a webhook is made, without a signature: it wants to
/// hear that somebody is there, and nothing follows from it.
fn is_ping(body: &[u8]) -> bool {
    let number = body.strip_prefix(b"webhook_id=");
    number.is_some_and(|number| number.len() <= 20 && number.iter().all(u8::is_ascii_digit))
}

/// The first of these headers.
fn header(headers: &HeaderMap, names: &[&str]) -> Option<String> {
    let mut found = names.iter().filter_map(|name| headers.get(*name)?.to_str().ok());
    found.find(|value| value.len() <= TOPIC_LEN_MAX).map(str::to_owned)
}
