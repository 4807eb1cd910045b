//! What WooCommerce's webhooks say: orders (`order.created`, `order.updated`, …) and, with its
//! subscriptions, which order a subscription began with (`subscription.created`).
//!
//! An order comes whole each time, as it is when it is sent: nothing depends on the order of
//! messages. A renewal names its subscription in the field `_subscription_renewal` of its data.

use serde::Deserialize;
use serde_json::Value;

use super::told::{Buyer, Renews, Sale, Sold, Told, Undoing, UndoneKind, id_of};

/// An order, as far as it is looked at.
#[derive(Deserialize)]
struct Order {
    id: u64,
    #[serde(default)]
    status: String,
    #[serde(default)]
    date_paid: Option<String>,
    #[serde(default)]
    customer_id: u64,
    #[serde(default)]
    billing: Billing,
    #[serde(default)]
    line_items: Vec<Line>,
    #[serde(default)]
    meta_data: Vec<Meta>,
    #[serde(default)]
    refunds: Vec<Refund>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Billing {
    first_name: String,
    last_name: String,
    company: String,
    email: String,
}

#[derive(Deserialize)]
struct Line {
    id: u64,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    product_id: u64,
    #[serde(default)]
    variation_id: u64,
    quantity: u32,
    #[serde(default)]
    sku: Option<String>,
}

#[derive(Deserialize)]
struct Meta {
    #[serde(default)]
    key: Value,
    #[serde(default)]
    value: Value,
}

#[derive(Deserialize)]
struct Refund {
    #[serde(default)]
    reason: Option<String>,
}

#[derive(Deserialize)]
struct Subscription {
    id: u64,
    #[serde(default)]
    parent_id: u64,
}

#[derive(Deserialize)]
struct Deleted {
    id: u64,
}

/// Reads a message whose signature held.
pub(super) fn read(topic: &str, body: &[u8]) -> Result<Vec<Told>, serde_json::Error> {
    match topic {
        "order.created" | "order.updated" | "order.restored" => {
            Ok(order(serde_json::from_slice(body)?))
        }
        "order.deleted" => {
            let Deleted { id } = serde_json::from_slice(body)?;
            Ok(vec![undone((id, false), UndoneKind::Canceled, "deleted in the shop".into())])
        }
        "subscription.created" | "subscription.updated" => {
            let Subscription { id, parent_id } = serde_json::from_slice(body)?;
            let began = Told::Subscribed {
                subscription: id.to_string(),
                first_order: parent_id.to_string(),
            };
            Ok(if parent_id > 0 { vec![began] } else { Vec::new() })
        }
        _ => Ok(Vec::new()),
    }
}

fn order(order: Order) -> Vec<Told> {
    let reasons: Vec<&str> =
        order.refunds.iter().filter_map(|refund| refund.reason.as_deref()).collect();
    let note = reasons.join("; ");
    // What was never paid is canceled often, and nobody has to know. What was paid may still be
    // told as it was before.
    let own = (order.id, order.date_paid.is_some());
    match order.status.as_str() {
        "processing" | "completed" => {
            let partly =
                (!order.refunds.is_empty()).then(|| undone(own, UndoneKind::PartlyRefunded, note));
            [sale(order)].into_iter().chain(partly).collect()
        }
        "refunded" => vec![undone(own, UndoneKind::Refunded, note)],
        "cancelled" | "failed" => vec![undone(own, UndoneKind::Canceled, note)],
        // It is not paid yet, or waits for a person there.
        _ => Vec::new(),
    }
}

fn undone((order, was_paid): (u64, bool), kind: UndoneKind, note: String) -> Told {
    let lines = Vec::new();
    Told::Undone(Undoing { order: order.to_string(), kind, lines, note, was_paid })
}

fn sale(order: Order) -> Told {
    let renewal = order.meta_data.iter().find(|meta| meta.key == "_subscription_renewal");
    let renews = renewal.and_then(|meta| id_of(&meta.value)).map(Renews::Subscription);
    let Billing { first_name, last_name, company, email } = order.billing;
    let own = format!("{first_name} {last_name}");
    let name = if company.trim().is_empty() { own } else { company };
    let buyer = Buyer::new(order.customer_id, name, Some(email));
    let lines = order.line_items.into_iter().map(|line| Sold {
        id: line.id.to_string(),
        keys: super::told::keys([
            ("variation", line.variation_id.to_string()),
            ("product", line.product_id.to_string()),
            ("sku", line.sku.unwrap_or_default()),
        ]),
        name: line.name.unwrap_or_default(),
        quantity: line.quantity,
    });
    Told::Paid(Sale {
        order: order.id.to_string(),
        renews: renews.unwrap_or(Renews::Nothing),
        buyer,
        lines: lines.collect(),
        is_test: false,
    })
}
