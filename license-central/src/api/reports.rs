//! Reports on the Admin interface: for all who may look at licenses.

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::columns::columns;
use super::extract::QueryOf;
use super::lists::{self, ListQuery, Listed, Wants};
use super::problem::Problem;
use super::table::Tabled;
use crate::domain::access::{Object, Principal, Verb, allow};
use crate::domain::central::Central;
use crate::domain::refusal::{Outcome, Refusal};
use crate::domain::reports::{self, Activated, Ending, Found, Overlap, Refused, Unreceipted};
use crate::domain::work::Work;
use crate::store::Page;

/// What `expiring` looks ahead if nothing is said: 30 days.
const WITHIN_S: u64 = 30 * 24 * 3600;

columns!(
    Ending,
    ["grant", "product", "ends_s", "by", "state", "container", "ticket", "order", "customer",]
);
columns!(
    Activated,
    [
        "issued_ms",
        "month",
        "grant",
        "product",
        "epoch",
        "container",
        "confirmed",
        "ticket",
        "order",
        "customer",
    ]
);
columns!(Unreceipted, ["update", "issued_ms", "container", "seq", "what", "seen_ms"]);
columns!(Refused, ["id", "day", "what", "code", "why", "object", "count", "first_ms", "last_ms",]);
columns!(
    Overlap,
    [
        "grant",
        "product",
        "overlaps",
        "booked_ms",
        "actor",
        "detail",
        "state",
        "container",
        "ticket",
        "order",
        "customer",
    ]
);

/// How far ahead, and which part of the report.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct AheadQuery {
    /// Seconds from now; 30 days if not said.
    #[param(maximum = 9223372036854775807_u64)]
    within_s: Option<u64>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many: at most 200 as JSON; as a table without it all there are.
    limit: Option<usize>,
}

/// Which time, and which part of the report.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct TimeQuery {
    /// First millisecond since 1970 UTC; the beginning if not said.
    since_ms: Option<i64>,
    /// First millisecond behind it; now if not said.
    until_ms: Option<i64>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many: at most 200 as JSON; as a table without it all there are.
    limit: Option<usize>,
}

/// The routes.
pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(report_expiring))
        .routes(routes!(report_activated))
        .routes(routes!(report_unreceipted))
        .routes(routes!(report_denied))
        .routes(routes!(report_lapsed))
        .routes(routes!(report_overlap))
}

async fn report<T, F>(
    app: &App,
    who: Principal,
    asked: (ListQuery, Wants),
    step: F,
) -> Result<Response, Problem>
where
    T: Tabled,
    F: Fn(&mut Work<'_>, i64, &Page<'_>) -> Outcome<Found<T>> + Send + Sync + 'static,
{
    allow(&who, Verb::Read, Object::License)?;
    let read = move |central: &Central, page: &Page<'_>| {
        let now_ms = central.now_ms();
        let found = central.read(&who.vendor, |work| step(work, now_ms, page))?;
        Ok(Listed { rows: found.rows, next: found.next })
    };
    lists::list(app, asked, read).await
}

/// Licenses whose checkpoint or end comes within some time.
#[utoipa::path(get, path = "/v1/reports/expiring", params(AheadQuery), responses(
    (status = 200, body = Listed<Ending>), (status = "4XX", body = Problem)))]
async fn report_expiring(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<AheadQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    let AheadQuery { within_s, after, limit } = query;
    let within_s = within_s.unwrap_or(WITHIN_S);
    if i64::try_from(within_s).is_err() {
        return Err(Refusal::malformed("within_s has more than 63 bits").into());
    }
    report(&app, who, (ListQuery { after, limit }, wants), move |work, now_ms, page| {
        reports::expiring(work, (now_ms, within_s), page)
    })
    .await
}

/// Licenses that were issued into containers in some time.
#[utoipa::path(get, path = "/v1/reports/activated", params(TimeQuery), responses(
    (status = 200, body = Listed<Activated>), (status = "4XX", body = Problem)))]
async fn report_activated(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<TimeQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    let TimeQuery { since_ms, until_ms, after, limit } = query;
    report(&app, who, (ListQuery { after, limit }, wants), move |work, now_ms, page| {
        let until_ms = until_ms.unwrap_or(now_ms.saturating_add(1));
        reports::activated(work, (since_ms.unwrap_or(0), until_ms), page)
    })
    .await
}

/// Updates that were issued and that no receipt has proved.
#[utoipa::path(get, path = "/v1/reports/unreceipted", params(ListQuery), responses(
    (status = 200, body = Listed<Unreceipted>), (status = "4XX", body = Problem)))]
async fn report_unreceipted(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    report(&app, who, (query, wants), |work, _, page| reports::unreceipted(work, page)).await
}

/// Which days, and which part of the report.
#[derive(Debug, Clone, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct SinceQuery {
    /// A millisecond, since 1970 UTC, of the first day; all days if not said.
    since_ms: Option<i64>,
    /// The `next` of the page before.
    after: Option<String>,
    /// How many: at most 200 as JSON; as a table without it all there are.
    limit: Option<usize>,
}

/// Activations and seats that were refused: how often, for each day, ticket or license, and
/// reason.
#[utoipa::path(get, path = "/v1/reports/denied", params(SinceQuery), responses(
    (status = 200, body = Listed<Refused>), (status = "4XX", body = Problem)))]
async fn report_denied(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<SinceQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    let SinceQuery { since_ms, after, limit } = query;
    report(&app, who, (ListQuery { after, limit }, wants), move |work, _, page| {
        reports::denied(work, since_ms.unwrap_or(0), page)
    })
    .await
}

/// Licenses that ended and are still counted where they were.
#[utoipa::path(get, path = "/v1/reports/lapsed", params(ListQuery), responses(
    (status = 200, body = Listed<Ending>), (status = "4XX", body = Problem)))]
async fn report_lapsed(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    report(&app, who, (query, wants), reports::lapsed).await
}

/// Licenses that were freed while a container may still have been using them.
#[utoipa::path(get, path = "/v1/reports/overlap", params(ListQuery), responses(
    (status = 200, body = Listed<Overlap>), (status = "4XX", body = Problem)))]
async fn report_overlap(
    State(app): State<App>,
    who: Principal,
    QueryOf(query): QueryOf<ListQuery>,
    wants: Wants,
) -> Result<Response, Problem> {
    report(&app, who, (query, wants), |work, _, page| reports::overlap(work, page)).await
}
