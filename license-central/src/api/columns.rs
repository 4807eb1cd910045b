//! Which columns the lists have as tables: every field of their rows, the id first.

use super::serving::CredentialReply;
use crate::domain::audit::Entry;
use crate::domain::keys::KeyView;
use crate::domain::records::{
    Authority, Case, Container, Customer, Grant, Item, Order, Product, Ticket, User,
};
use crate::domain::webhooks::{Message, WebhookView};

/// Names the columns of a type.
macro_rules! columns {
    ($type:ty, [$($column:literal),* $(,)?]) => {
        impl $crate::api::table::Tabled for $type {
            const COLUMNS: &'static [&'static str] = &[$($column),*];
        }
    };
}
pub(super) use columns;

columns!(Product, ["code", "name", "terms", "generation", "reclaim", "restore", "physical_tpm"]);
columns!(Item, ["sku", "name", "counts", "parts"]);
columns!(Customer, ["id", "name", "reference", "email", "created_ms"]);
columns!(
    Order,
    [
        "id",
        "number",
        "line",
        "period",
        "sku",
        "quantity",
        "customer",
        "ticket",
        "replaces",
        "undone",
        "created_ms",
    ]
);
columns!(Ticket, ["id", "hint", "state", "order", "code_hash", "restored_ms", "created_ms"]);
columns!(
    Grant,
    [
        "id",
        "ticket",
        "product",
        "device",
        "place.state",
        "place.container",
        "place.entry",
        "place.counter",
        "place.heartbeat_s",
        "place.timeout_s",
        "place.linger_s",
        "place.ends",
        "wanted",
        "proven",
        "epoch",
        "max_lapse_s",
        "periods",
        "until_s",
        "assigned",
        "entry",
        "lost_until_ms",
        "overlaps",
        "risked_epoch",
        "seats_until_ms",
        "units_due",
        "rewrite",
        "followed_by",
        "follows",
        "terms",
        "options",
    ]
);
columns!(
    Container,
    [
        "id",
        "serial",
        "state",
        "home.kind",
        "home.has_clock",
        "home.takes_time",
        "customer",
        "adopted",
        "requests",
        "root_version",
        "revocation_epoch",
        "created_ms",
        "seen_ms",
        "origin",
        "chain",
        "certificate",
    ]
);
columns!(
    Case,
    [
        "id",
        "container",
        "shown",
        "state",
        "known",
        "decision",
        "claim.successor",
        "claim.why",
        "claim.times",
        "claim.allowed",
        "created_ms",
        "evidence",
        "copy.draw",
        "copy.answered",
    ]
);
columns!(Authority, ["id", "name", "certificate", "created_ms", "removed_ms"]);
columns!(
    Entry,
    ["writer", "number", "at_ms", "tenant", "actor", "action", "object", "detail", "before",]
);
columns!(KeyView, ["id", "name", "role", "user", "created_ms", "revoked_ms"]);
columns!(User, ["id", "vendor", "name", "role", "created_ms", "disabled_ms"]);
columns!(WebhookView, ["id", "url", "events", "rotating", "created_ms"]);
columns!(
    Message,
    ["id", "vendor", "webhook", "event", "state", "tries", "due_ms", "last", "body",]
);
columns!(CredentialReply, ["id", "grant", "product", "credential", "created_ms", "revoked_ms"]);
