//! What Shopify's webhooks say: orders (`orders/paid`, `orders/updated`, `orders/cancelled`),
//! refunds (`refunds/create`), and which order belongs to which subscription
//! (`subscription_contracts/create`, `subscription_billing_attempts/success`).
//!
//! The order that a subscription's billing made says only that it is one (`source_name`); which
//! subscription it is comes in the message of the billing, before or after it.

use serde::Deserialize;

use super::told::{Buyer, Renews, Sale, Sold, Told, Undoing, UndoneKind};

/// What the order of a subscription's billing says of where it comes from.
const BILLED: &str = "subscription_contract";

/// An order, as far as it is looked at.
#[derive(Deserialize)]
struct Order {
    id: u64,
    #[serde(default)]
    financial_status: Option<String>,
    #[serde(default)]
    cancelled_at: Option<String>,
    #[serde(default)]
    cancel_reason: Option<String>,
    #[serde(default)]
    source_name: Option<String>,
    #[serde(default)]
    test: bool,
    #[serde(default)]
    email: Option<String>,
    #[serde(default)]
    customer: Option<Customer>,
    #[serde(default)]
    line_items: Vec<Line>,
}

#[derive(Default, Deserialize)]
struct Customer {
    #[serde(default)]
    id: u64,
    #[serde(default)]
    first_name: Option<String>,
    #[serde(default)]
    last_name: Option<String>,
    #[serde(default)]
    email: Option<String>,
}

#[derive(Deserialize)]
struct Line {
    id: u64,
    #[serde(default)]
    variant_id: Option<u64>,
    #[serde(default)]
    product_id: Option<u64>,
    #[serde(default)]
    sku: Option<String>,
    #[serde(default)]
    name: Option<String>,
    quantity: u32,
}

#[derive(Deserialize)]
struct Refund {
    order_id: u64,
    #[serde(default)]
    note: Option<String>,
    #[serde(default)]
    refund_line_items: Vec<RefundLine>,
}

#[derive(Deserialize)]
struct RefundLine {
    line_item_id: u64,
    quantity: u32,
}

#[derive(Deserialize)]
struct Contract {
    id: u64,
    #[serde(default)]
    origin_order_id: Option<u64>,
}

#[derive(Deserialize)]
struct Billing {
    #[serde(default)]
    order_id: Option<u64>,
    subscription_contract_id: u64,
}

/// Reads a message whose signature held.
pub(super) fn read(topic: &str, body: &[u8]) -> Result<Vec<Told>, serde_json::Error> {
    match topic {
        "orders/create" | "orders/paid" | "orders/updated" | "orders/cancelled" => {
            Ok(order(serde_json::from_slice(body)?).into_iter().collect())
        }
        "refunds/create" => Ok(refund(serde_json::from_slice(body)?)),
        "subscription_contracts/create" => {
            let Contract { id, origin_order_id } = serde_json::from_slice(body)?;
            let told = origin_order_id.map(|first| Told::Subscribed {
                subscription: id.to_string(),
                first_order: first.to_string(),
            });
            Ok(told.into_iter().collect())
        }
        "subscription_billing_attempts/success" => {
            let Billing { order_id, subscription_contract_id } = serde_json::from_slice(body)?;
            let told = order_id.map(|order| Told::Renewed {
                order: order.to_string(),
                subscription: subscription_contract_id.to_string(),
            });
            Ok(told.into_iter().collect())
        }
        _ => Ok(Vec::new()),
    }
}

fn order(order: Order) -> Option<Told> {
    let paid = order.financial_status.as_deref().unwrap_or_default();
    let undone = |kind, note: Option<String>| {
        let was_paid = matches!(paid, "paid" | "partially_refunded" | "refunded");
        let (order, note) = (order.id.to_string(), note.unwrap_or_default());
        Some(Told::Undone(Undoing { order, kind, lines: Vec::new(), note, was_paid }))
    };
    if order.cancelled_at.is_some() {
        return undone(UndoneKind::Canceled, order.cancel_reason);
    }
    match paid {
        "refunded" => undone(UndoneKind::Refunded, None),
        // Which lines were refunded is told by the message of the refund.
        "paid" | "partially_refunded" => Some(sale(order)),
        _ => None,
    }
}

fn sale(order: Order) -> Told {
    let billed = order.source_name.as_deref() == Some(BILLED);
    let Customer { id, first_name, last_name, email } = order.customer.unwrap_or_default();
    let [first, last] = [first_name, last_name].map(Option::unwrap_or_default);
    let buyer = Buyer::new(id, format!("{first} {last}"), email.or(order.email));
    let text = |id: Option<u64>| id.unwrap_or(0).to_string();
    let lines = order.line_items.into_iter().map(|line| Sold {
        id: line.id.to_string(),
        keys: super::told::keys([
            ("variant", text(line.variant_id)),
            ("product", text(line.product_id)),
            ("sku", line.sku.unwrap_or_default()),
        ]),
        name: line.name.unwrap_or_default(),
        quantity: line.quantity,
    });
    Told::Paid(Sale {
        order: order.id.to_string(),
        renews: if billed { Renews::Unnamed } else { Renews::Nothing },
        buyer,
        lines: lines.collect(),
        is_test: order.test,
    })
}

fn refund(refund: Refund) -> Vec<Told> {
    let lines = refund.refund_line_items.iter();
    let lines: Vec<_> = lines.map(|line| (line.line_item_id.to_string(), line.quantity)).collect();
    // A refund of an amount, with no line: nobody can tell of what.
    let kind = if lines.is_empty() { UndoneKind::PartlyRefunded } else { UndoneKind::Refunded };
    let (order, note) = (refund.order_id.to_string(), refund.note.unwrap_or_default());
    vec![Told::Undone(Undoing { order, kind, lines, note, was_paid: true })]
}
