//! The Gateway: what customers' programs, the wizard and a portal talk to. Nobody logs in: a ticket
//! or a container's signature says who it is.

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::errors::{ErrorCode, Exit};
use serde::{Deserialize, Serialize};
use utoipa::{OpenApi, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::extract::{Body, OnceKey, PathOf};
use super::problem::Problem;
use super::{App, Asked, reply};
use crate::domain::activation::{self, Context, Due};
use crate::domain::central::{Delivered, Reply};
use crate::domain::denials::{Denied, Use};
use crate::domain::env::Env;
use crate::domain::firm::Firm;
use crate::domain::orders::{self, TicketView};
use crate::domain::records::Ticket;
use crate::domain::refusal::{Outcome, Refusal};
use crate::domain::restore::{self, Claim, Restored};
use crate::domain::work::{Stored, Work};

/// Who acts, for the audit: nobody logs in here.
pub(super) const ACTOR: &str = "gateway";

/// What this face says of itself.
#[derive(OpenApi)]
#[openapi(info(title = "License Central: Gateway"))]
struct Document;

/// A ticket as it was typed. In the body, since addresses are logged on the way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TicketRequest {
    /// The ticket.
    pub ticket: String,
}

/// A container's context file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContextRequest {
    /// The file, base64.
    pub context: String,
}

/// What leaves a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRequest {
    /// The container's context file, base64.
    pub context: String,
    /// Products that are meant; all if none is named.
    #[serde(default)]
    pub products: Vec<u32>,
}

/// What leaves a container for another one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct MoveRequest {
    /// The container's context file, base64.
    pub context: String,
    /// Products that are meant; all if none is named.
    #[serde(default)]
    pub products: Vec<u32>,
    /// Serial of the container that gets them.
    pub to: String,
}

/// A ticket, and the container that it goes into.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ActivationRequest {
    /// The ticket.
    pub ticket: String,
    /// The container's context file, base64.
    pub context: String,
    /// Products of the ticket; all if none is named.
    #[serde(default)]
    pub products: Vec<u32>,
}

/// What a container still has to apply, in order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdatesReply {
    /// Update files.
    pub updates: Vec<UpdateReply>,
    /// Where no update brings them: the roots and revocations that the container does not have yet,
    /// a file, base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<String>,
}

/// One update.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UpdateReply {
    /// The file, base64.
    pub file: String,
    /// What it does, for people.
    pub what: String,
}

/// A container's receipt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReceiptRequest {
    /// The file, base64.
    pub receipt: String,
}

/// What a receipt proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ReceiptReply {
    /// The number of the update.
    pub number: u64,
}

/// A firm, as its customers' programs need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FirmReply {
    /// Fingerprint of its root, by which containers know it, hexadecimal.
    pub root_fp: String,
    /// Its name.
    pub name: String,
}

/// All of this face.
pub fn router(app: App) -> Router {
    let routes = OpenApiRouter::with_openapi(Document::openapi())
        .routes(routes!(show_firm))
        .routes(routes!(show_ticket))
        .routes(routes!(activate))
        .routes(routes!(collect))
        .routes(routes!(release))
        .routes(routes!(relocate))
        .routes(routes!(report_loss))
        .routes(routes!(take_receipt))
        .merge(super::seats::routes())
        .merge(super::time::routes())
        .merge(super::enrollment::routes());
    let (router, document) = routes.split_for_parts();
    super::wrap("gateway", router, document, app)
}

/// Whose licenses these are.
#[utoipa::path(get, path = "/v1/{vendor}", responses(
    (status = 200, body = FirmReply), (status = "4XX", body = Problem)))]
async fn show_firm(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
) -> Result<Reply, Problem> {
    let firm = app.run(move |central| {
        let firm = central.firm(&vendor)?;
        let root = firm.trust.root.as_ref().ok_or(ErrorCode::RootRefused)?;
        Ok(FirmReply { root_fp: root.root_fp.to_string(), name: root.body.name.to_string() })
    });
    Ok(reply(StatusCode::OK, &firm.await?))
}

/// What a ticket has, and where it is.
#[utoipa::path(post, path = "/v1/{vendor}/tickets/show", request_body = TicketRequest, responses(
    (status = 200, body = TicketView), (status = "4XX", body = Problem)))]
async fn show_ticket(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<TicketRequest>,
) -> Result<Reply, Problem> {
    let view = app.run(move |central| {
        central.firm(&vendor)?;
        central.read(&vendor, |work| {
            let ticket = orders::by_code(work, &value.ticket)?;
            orders::view(work, &ticket.record)
        })
    });
    Ok(reply(StatusCode::OK, &view.await?))
}

/// Redeems a ticket into a container.
#[utoipa::path(post, path = "/v1/{vendor}/activations", request_body = ActivationRequest,
    responses((status = 200, body = UpdatesReply), (status = "4XX", body = Problem)))]
async fn activate(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<ActivationRequest>,
) -> Result<Reply, Problem> {
    let ActivationRequest { ticket, context, products } = value;
    let (asked, shown) = ((app.clone(), vendor.clone()), ticket.clone());
    let done = deliver(app, vendor, context, move |work, env, firm, context| {
        activation::activate(work, env, firm, (&ticket, &products), context)
    });
    match done.await {
        Err(problem) => Err(denied(asked, shown, problem).await),
        done => done,
    }
}

/// Books that a ticket was refused, if there is such a ticket; the refusal.
pub(super) async fn denied(
    (app, vendor): (App, String),
    ticket: String,
    problem: Problem,
) -> Problem {
    let exit = ErrorCode::parse(&problem.code).map(|code| code.row().exit);
    if !matches!(exit, Some(Exit::Denied | Exit::Conflict)) {
        return problem;
    }
    let code = problem.code.clone();
    let booked = app.run(move |central| {
        let found = central.read(&vendor, |work| orders::by_code(work, &ticket));
        // A code that is none is no use of a license.
        let Ok(Stored { record: Ticket { id: object, .. }, .. }) = found else { return Ok(()) };
        central.denied(&vendor, Denied { what: Use::Activation, code, object });
        central.book_denials()
    });
    if let Err(refused) = booked.await {
        tracing::warn!(why = refused.title, "a refused activation is booked later");
    }
    problem
}

/// Auto-update Trigger: renews what is due, and collects whatever else waits for the container.
#[utoipa::path(post, path = "/v1/{vendor}/collections", request_body = ContextRequest,
    responses((status = 200, body = UpdatesReply), (status = "4XX", body = Problem)))]
async fn collect(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<ContextRequest>,
) -> Result<Reply, Problem> {
    deliver(app, vendor, value.context, activation::collect).await
}

/// Takes licenses out of a container: free once its receipt is here.
#[utoipa::path(post, path = "/v1/{vendor}/releases", request_body = ReleaseRequest,
    responses((status = 200, body = UpdatesReply), (status = "4XX", body = Problem)))]
async fn release(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<ReleaseRequest>,
) -> Result<Reply, Problem> {
    let ReleaseRequest { context, products } = value;
    deliver(app, vendor, context, move |work, env, firm, context| {
        activation::release(work, env, firm, (&products, None), context)
    })
    .await
}

/// Takes licenses out of a container for another one alone, which collects them.
#[utoipa::path(post, path = "/v1/{vendor}/moves", request_body = MoveRequest,
    responses((status = 200, body = UpdatesReply), (status = "4XX", body = Problem)))]
async fn relocate(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<MoveRequest>,
) -> Result<Reply, Problem> {
    let MoveRequest { context, products, to } = value;
    deliver(app, vendor, context, move |work, env, firm, context| {
        activation::release(work, env, firm, (&products, Some(&to)), context)
    })
    .await
}

/// A container that was lost.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LossRequest {
    /// A ticket of which licenses are in it: with `container`.
    #[serde(default)]
    pub ticket: Option<String>,
    /// Its serial.
    #[serde(default)]
    pub container: Option<String>,
    /// Instead of both, the inventory that it signed while it was there, base64.
    #[serde(default)]
    pub inventory: Option<String>,
    /// Serial of the container that gets them instead.
    #[serde(default)]
    pub to: Option<String>,
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct LossReply {
    /// Licenses, and when they are free.
    pub restored: Vec<Restored>,
}

/// Books a container as lost: it is blocked, and its licenses come back by the vendor's rules.
#[utoipa::path(post, path = "/v1/{vendor}/losses", request_body = LossRequest,
    responses((status = 200, body = LossReply), (status = "4XX", body = Problem)))]
async fn report_loss(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    key: OnceKey,
    Body { bytes, value }: Body<LossRequest>,
) -> Result<Reply, Problem> {
    let shown = [&value.ticket, &value.inventory].map(|shown| shown.as_deref().unwrap_or_default());
    let once = key.of(&shown.concat()).with(&bytes);
    let claim = match (value.ticket, value.container, value.inventory) {
        (Some(ticket), Some(container), None) => Claim::Ticket { ticket, container },
        (None, None, Some(inventory)) => Claim::Inventory(decode(&inventory)?),
        _ => return Err(Refusal::malformed("a ticket and a container, or an inventory").into()),
    };
    let (to, firm) = (value.to, app.central().firm(&vendor)?);
    let restore = move |work: &mut Work<'_>, env: &Env<'_>| {
        let restored = restore::restore(work, env, &firm, (&claim, to.as_deref()))?;
        Ok(reply(StatusCode::OK, &LossReply { restored }))
    };
    app.change(Asked { tenant: vendor, actor: ACTOR.to_owned(), once }, restore).await
}

/// Takes a container's receipt in. Any number of times.
#[utoipa::path(post, path = "/v1/{vendor}/receipts", request_body = ReceiptRequest,
    responses((status = 200, body = ReceiptReply), (status = "4XX", body = Problem)))]
async fn take_receipt(
    State(app): State<App>,
    PathOf(vendor): PathOf<String>,
    Body { value, .. }: Body<ReceiptRequest>,
) -> Result<Reply, Problem> {
    let bytes = decode(&value.receipt)?;
    let number = app.run(move |central| {
        let firm = central.firm(&vendor)?;
        central.write(&vendor, ACTOR, |work, env| activation::receipt(work, env, &firm, &bytes))
    });
    Ok(reply(StatusCode::OK, &ReceiptReply { number: number.await? }))
}

/// Verifies the context before anything is read, and runs a step for its container.
async fn deliver<F>(app: App, vendor: String, context: String, step: F) -> Result<Reply, Problem>
where
    F: Fn(&mut Work<'_>, &Env<'_>, &Firm, &Context) -> Outcome<Due> + Send + 'static,
{
    let bytes = decode(&context)?;
    let delivered = app.run(move |central| {
        let context = Context::read(&*central.firm(&vendor)?, &bytes)?;
        let updates = central
            .deliver(&vendor, ACTOR, &context, |work, env, firm| step(work, env, firm, &context))?;
        let trust = if updates.is_empty() { central.news(&vendor, &context)? } else { None };
        Ok((updates, trust))
    });
    let (updates, trust) = delivered.await?;
    let update = |one: Delivered| UpdateReply { file: BASE64.encode(one.file), what: one.what };
    let updates = updates.into_iter().map(update).collect();
    let trust = trust.map(|file| BASE64.encode(file));
    Ok(reply(StatusCode::OK, &UpdatesReply { updates, trust }))
}

/// A file in base64.
pub(super) fn decode(text: &str) -> Result<Vec<u8>, Problem> {
    let decoded = BASE64.decode(text);
    decoded.map_err(|error| Refusal::malformed(format!("a file in base64: {error}")).into())
}
