//! Webhooks: a vendor's own servers hear of what was done. Messages are written in the transaction
//! of the effect and sent afterwards, at least once, until they are taken or given up.
//!
//! Headers and signature are those of Standard Webhooks: HMAC-SHA256 over `id.timestamp.body`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use protocol::crypto::mac::hmac_sha256;
use protocol::errors::write_utc;
use protocol::ids::hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use zeroize::Zeroizing;

use super::env::Env;
use super::keys::{SYSTEM, Secret};
use super::orders::unhex;
use super::refusal::{Outcome, Refusal};
use super::work::{Note, Record, Stored, Work};
use crate::store::{
    Filter, Page, Purpose, Row, Store, StoreError, Table, Transaction, Value, Write, tables,
};

/// Webhooks of one vendor.
const WEBHOOKS_MAX: usize = 16;

/// Messages that are looked at in one step to be deleted.
const FORGOTTEN_AT_ONCE: usize = 500;

/// How often a message is tried before it is given up.
pub const TRIES_MAX: u32 = 10;

/// How long one try may take, before another may begin.
const LEASE_MS: i64 = 60_000;

/// The first pause, and the longest one.
const PAUSE_MS: i64 = 5_000;
const PAUSE_MAX_MS: i64 = 8 * 3_600_000;

/// What is told: the word in the audit, and that of the message.
const EVENTS: [(&str, &str); 10] = [
    ("order.create", "order.created"),
    ("order.undone", "order.undone"),
    ("customer.create", "customer.created"),
    ("ticket.redeem", "ticket.redeemed"),
    ("ticket.replace-code", "ticket.replaced"),
    ("container.register", "container.registered"),
    ("update.issue", "update.issued"),
    ("update.settle", "update.confirmed"),
    ("grant.place", "grant.released"),
    ("guess.suspect", "guess.suspected"),
];

/// Where messages go.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Webhook {
    /// `whk_…`
    pub id: String,
    /// The address.
    pub url: String,
    /// Which events; all if none is named.
    pub events: Vec<String>,
    /// Its secret, sealed, hexadecimal.
    secret: String,
    /// The secret before, which still counts beside the new one.
    before: Option<String>,
    /// Whether it is gone.
    removed: bool,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// A webhook as it is shown: without its secrets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct WebhookView {
    /// `whk_…`
    pub id: String,
    /// The address.
    pub url: String,
    /// Which events; all if none is named.
    pub events: Vec<String>,
    /// Whether the secret before still counts beside the new one.
    pub rotating: bool,
    /// When it was made, milliseconds since 1970 UTC.
    pub created_ms: i64,
}

/// A webhook as it is added.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// The address: https.
    pub url: String,
    /// Which events; all if none is named.
    #[serde(default)]
    pub events: Vec<String>,
}

/// A message to a webhook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Message {
    /// `msg_…`, the same at each try: by it a receiver knows what it has already.
    pub id: String,
    /// Whose.
    pub vendor: String,
    /// Where it goes.
    pub webhook: String,
    /// What happened.
    pub event: String,
    /// What is sent, JSON.
    pub body: String,
    /// What became of it.
    pub state: MessageState,
    /// How often it was tried.
    pub tries: u32,
    /// When it is tried next, milliseconds since 1970 UTC.
    pub due_ms: Option<i64>,
    /// What the last try met. Nothing that the receiver wrote.
    pub last: Option<String>,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum MessageState {
    /// It is still to be sent.
    Waiting,
    /// It was taken.
    Sent,
    /// It was given up.
    Dead,
}

/// A message on its way, with the headers that go along.
pub struct Outgoing {
    /// The message, as it was claimed.
    pub message: Stored<Message>,
    /// The address.
    pub url: String,
    /// When it is sent, Unix seconds.
    pub timestamp_s: u64,
    /// Its signatures, one for each secret that counts.
    pub signature: String,
}

impl Record for Webhook {
    const TABLE: &'static Table = &tables::WEBHOOK;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Record for Message {
    const TABLE: &'static Table = &tables::WEBHOOK_MESSAGE;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.vendor.as_str().into(), self.due_ms.into()]
    }
}

impl Webhook {
    /// As it is shown.
    pub fn view(self) -> WebhookView {
        let Webhook { id, url, events, before, created_ms, .. } = self;
        WebhookView { id, url, events, rotating: before.is_some(), created_ms }
    }

    fn hears(&self, event: &str) -> bool {
        !self.removed && (self.events.is_empty() || self.events.iter().any(|own| own == event))
    }

    /// `v1,…` for each secret that counts.
    fn sign(&self, secret: &Secret, message: &Message, timestamp_s: u64) -> Outcome<String> {
        let sealed = [Some(&self.secret), self.before.as_ref()];
        let signatures = sealed.into_iter().flatten().map(|sealed| {
            let open = unhex(sealed).and_then(|sealed| secret.open(&sealed)).map(Zeroizing::new);
            let damaged = StoreError::Damaged { table: "webhook", why: "its secret".into() };
            let key = open.ok_or(Refusal::Store(damaged))?;
            let head = format!("{}.{timestamp_s}.", message.id);
            let tag = hmac_sha256(&key, &[head.as_bytes(), message.body.as_bytes()]);
            Ok(format!("v1,{}", BASE64.encode(tag)))
        });
        Ok(signatures.collect::<Outcome<Vec<_>>>()?.join(" "))
    }
}

/// Adds a webhook; its secret is told once. Whether its address may be one is asked before.
pub fn create(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    new: &NewWebhook,
) -> Outcome<(Webhook, Zeroizing<String>)> {
    for event in &new.events {
        if !EVENTS.iter().any(|(_, known)| known == event) {
            let known: Vec<&str> = EVENTS.iter().map(|(_, known)| *known).collect();
            let why = format!("there is no event {event:?}; there are {}", known.join(", "));
            return Err(Refusal::malformed(why));
        }
    }
    if all(work)?.len() >= WEBHOOKS_MAX {
        return Err(Refusal::malformed(format!("a vendor has at most {WEBHOOKS_MAX} webhooks")));
    }
    let (sealed, text) = draw(env, secret);
    let webhook = Webhook {
        id: env.id("whk"),
        url: new.url.clone(),
        events: new.events.clone(),
        secret: sealed,
        before: None,
        removed: false,
        created_ms: env.now_ms,
    };
    work.insert(&webhook)?;
    work.note("webhook.create", &webhook.id, &webhook.url);
    Ok((webhook, text))
}

/// Gives a webhook a new secret. The one before counts beside it until the next time.
pub fn rotate(
    work: &mut Work<'_>,
    env: &Env<'_>,
    secret: &Secret,
    id: &str,
) -> Outcome<(Webhook, Zeroizing<String>)> {
    let mut webhook = find(work, id)?;
    let (sealed, text) = draw(env, secret);
    webhook.record.before = Some(std::mem::replace(&mut webhook.record.secret, sealed));
    work.update(&webhook)?;
    work.note("webhook.rotate", id, "");
    Ok((webhook.record, text))
}

/// Removes a webhook. Its row stays, for the audit of what was sent; it hears nothing.
pub fn remove(work: &mut Work<'_>, id: &str) -> Outcome<Webhook> {
    let mut webhook = find(work, id)?;
    webhook.record.removed = true;
    work.update(&webhook)?;
    work.note("webhook.remove", id, "");
    Ok(webhook.record)
}

/// The webhooks that there are.
pub fn all(work: &mut Work<'_>) -> Outcome<Vec<Webhook>> {
    let rows = work.all::<Webhook>(&Filter::All)?;
    Ok(rows.into_iter().map(|row| row.record).filter(|webhook| !webhook.removed).collect())
}

/// Ends the secret before the present one.
pub fn end_rotation(work: &mut Work<'_>, id: &str) -> Outcome<Webhook> {
    let mut webhook = find(work, id)?;
    webhook.record.before = None;
    work.update(&webhook)?;
    work.note("webhook.end-rotation", id, "");
    Ok(webhook.record)
}

/// The messages that an effect brings, as rows in its own transaction.
pub fn messages(
    open: &mut dyn Transaction,
    tenant: &str,
    notes: &[Note],
    env: &Env<'_>,
) -> Result<Vec<Write>, StoreError> {
    let told: Vec<(&Note, &str)> =
        notes.iter().filter_map(|note| Some((note, event_of(note)?))).collect();
    if told.is_empty() || tenant == SYSTEM {
        return Ok(Vec::new());
    }
    let page = Page { after: None, limit: usize::MAX };
    let mut writes = Vec::new();
    for row in open.find(tenant, Webhook::TABLE, &Filter::All, &page)? {
        let webhook: Webhook = serde_json::from_str(&row.body).map_err(damaged)?;
        for (note, event) in told.iter().filter(|(_, event)| webhook.hears(event)) {
            let message = Message {
                id: env.id("msg"),
                vendor: tenant.to_owned(),
                webhook: webhook.id.clone(),
                event: (*event).to_owned(),
                body: body(event, &note.object, env),
                state: MessageState::Waiting,
                tries: 0,
                due_ms: Some(env.now_ms),
                last: None,
            };
            let body = serde_json::to_string(&message).map_err(damaged)?;
            let columns = message.columns();
            let row = Row { id: message.id, version: 1, columns, body };
            // Of no tenant: who sends them looks at those of all.
            writes.push(Write { tenant: SYSTEM.to_owned(), table: Message::TABLE, row });
        }
    }
    Ok(writes)
}

/// Messages that are due now. `work` is that of [`SYSTEM`].
pub fn due(work: &mut Work<'_>, now_ms: i64, limit: usize) -> Outcome<Vec<Stored<Message>>> {
    let bound = Filter::Below("due_ms", now_ms.saturating_add(1));
    work.list(&bound, &Page { after: None, limit })
}

/// Takes a message for one try: whoever else looks for messages does not see it for a while. None
/// where another took it first.
pub fn claim(
    work: &mut Work<'_>,
    env: &Env<'_>,
    seen: &Stored<Message>,
) -> Outcome<Option<Stored<Message>>> {
    let mut now = work.get::<Message>(&seen.record.id)?;
    if now.version != seen.version {
        return Ok(None);
    }
    now.record.tries += 1;
    now.record.due_ms = Some(env.now_ms.saturating_add(LEASE_MS));
    work.update(&now)?;
    Ok(Some(Stored { version: now.version + 1, ..now }))
}

/// What is sent of a claimed message; none where its webhook is gone. `work` is that of its vendor.
pub fn outgoing(
    work: &mut Work<'_>,
    secret: &Secret,
    message: Stored<Message>,
    now_ms: i64,
) -> Outcome<Option<Outgoing>> {
    let found = work.find::<Webhook>(&message.record.webhook)?;
    let Some(webhook) = found.filter(|found| !found.record.removed) else { return Ok(None) };
    let timestamp_s = u64::try_from(now_ms / 1000).unwrap_or(0);
    let signature = webhook.record.sign(secret, &message.record, timestamp_s)?;
    Ok(Some(Outgoing { message, url: webhook.record.url, timestamp_s, signature }))
}

/// Books what a try met. `work` is that of [`SYSTEM`].
pub fn settle(
    work: &mut Work<'_>,
    env: &Env<'_>,
    claimed: &Stored<Message>,
    met: Result<(), String>,
) -> Outcome<()> {
    let mut now = work.get::<Message>(&claimed.record.id)?;
    if now.version != claimed.version {
        // It was replayed, or taken by another after all this time: theirs counts.
        return Ok(());
    }
    let message = &mut now.record;
    message.last = met.as_ref().err().cloned();
    (message.state, message.due_ms) = match met {
        Ok(()) => (MessageState::Sent, None),
        Err(_) if message.tries >= TRIES_MAX => (MessageState::Dead, None),
        Err(_) => {
            let pause_ms = pause(message.tries, env.bytes());
            (MessageState::Waiting, Some(env.now_ms.saturating_add(pause_ms)))
        }
    };
    work.update(&now)
}

/// Gives a message up whose webhook was removed. `work` is that of [`SYSTEM`].
pub fn give_up(work: &mut Work<'_>, claimed: &Stored<Message>) -> Outcome<()> {
    let mut now = work.get::<Message>(&claimed.record.id)?;
    if now.version != claimed.version {
        return Ok(());
    }
    now.record.last = Some("the webhook was removed".into());
    (now.record.state, now.record.due_ms) = (MessageState::Dead, None);
    work.update(&now)
}

/// Deletes messages that were sent or given up, and are older than `kept_ms`; how many. Those that
/// wait stay. No audit: what they told of has its own.
pub fn forget(store: &dyn Store, now_ms: i64, kept_ms: i64) -> Result<usize, StoreError> {
    let first_kept = Env::first_id(now_ms.saturating_sub(kept_ms), "msg");
    let mut after: Option<String> = None;
    let mut count = 0;
    loop {
        let (mut next, mut gone) = (None, 0);
        store.transact(Purpose::Write, &mut |open| {
            let page = Page { after: after.as_deref(), limit: FORGOTTEN_AT_ONCE };
            let rows = open.find(SYSTEM, Message::TABLE, &Filter::All, &page)?;
            let is_full = rows.len() == FORGOTTEN_AT_ONCE;
            let old: Vec<&Row> = rows.iter().filter(|row| row.id < first_kept).collect();
            next = old.last().filter(|_| is_full && old.len() == rows.len()).map(|r| r.id.clone());
            let mut done = Vec::new();
            for row in old {
                let message: Message = serde_json::from_str(&row.body).map_err(damaged)?;
                if message.state != MessageState::Waiting {
                    done.push(message.id);
                }
            }
            gone = done.len();
            if done.is_empty() { Ok(()) } else { open.remove(SYSTEM, Message::TABLE, &done) }
        })?;
        count += gone;
        after = next;
        if after.is_none() {
            return Ok(count);
        }
    }
}

/// Sends a message again from the beginning, whatever became of it. `work` is that of [`SYSTEM`].
pub fn replay(work: &mut Work<'_>, env: &Env<'_>, vendor: &str, id: &str) -> Outcome<Message> {
    let found = work.find::<Message>(id)?.filter(|found| found.record.vendor == vendor);
    let mut message = found.ok_or_else(|| Refusal::missing(format!("webhook message {id:?}")))?;
    message.record.state = MessageState::Waiting;
    message.record.tries = 0;
    message.record.due_ms = Some(env.now_ms);
    work.update(&message)?;
    work.note_of(vendor, "webhook.replay", id, "");
    Ok(message.record)
}

fn find(work: &mut Work<'_>, id: &str) -> Outcome<Stored<Webhook>> {
    let found = work.find::<Webhook>(id)?.filter(|found| !found.record.removed);
    found.ok_or_else(|| Refusal::missing(format!("webhook {id:?}")))
}

/// What a note is called in a message, if it is told at all.
fn event_of(note: &Note) -> Option<&'static str> {
    let (_, event) = EVENTS.iter().find(|(action, _)| *action == note.action)?;
    let is_so = match *event {
        "update.confirmed" => note.detail == "confirmed",
        "grant.released" => note.detail == "pool",
        _ => true,
    };
    is_so.then_some(event)
}

fn body(event: &str, object: &str, env: &Env<'_>) -> String {
    let mut at = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(env.now_s(), &mut at);
    let at = at.replacen(' ', "T", 1).replace(" UTC", "Z");
    serde_json::json!({ "type": event, "timestamp": at, "data": { "id": object } }).to_string()
}

/// The pause after a try: four times as long each time, and up to a fifth more, so that many do
/// not come back at once.
fn pause(tries: u32, random: [u8; 2]) -> i64 {
    let times = 4_i64.saturating_pow(tries.saturating_sub(1));
    let plain = PAUSE_MS.saturating_mul(times).min(PAUSE_MAX_MS);
    plain + plain / 5 * i64::from(u16::from_be_bytes(random)) / i64::from(u16::MAX)
}

/// A new secret: sealed, and as text.
fn draw(env: &Env<'_>, secret: &Secret) -> (String, Zeroizing<String>) {
    let bytes = Zeroizing::new(env.bytes::<32>());
    let text = Zeroizing::new(format!("whsec_{}", BASE64.encode(bytes.as_slice())));
    (hex(&secret.seal(bytes.as_slice(), &env.bytes())), text)
}

fn damaged(error: serde_json::Error) -> StoreError {
    StoreError::Damaged { table: Webhook::TABLE.name, why: error.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_fourfold_to_a_bound_and_differ() {
        let shortest: Vec<i64> = (1..=9).map(|tries| pause(tries, [0; 2]) / 1000).collect();
        assert_eq!(shortest, [5, 20, 80, 320, 1_280, 5_120, 20_480, 28_800, 28_800]);
        assert_eq!(pause(1, [255; 2]), 6_000);
        assert!(pause(u32::MAX, [255; 2]) <= PAUSE_MAX_MS / 5 * 6);
    }
}
