//! What a shop tells, whichever system it is.

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// Characters of the longest text of a shop that is kept.
const TEXT_LEN_MAX: usize = 200;

/// One thing that a message says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Told {
    /// An order is paid.
    Paid(Sale),
    /// An order, or a part of it, is to be undone.
    Undone(Undoing),
    /// A subscription began with an order.
    Subscribed {
        /// The subscription.
        subscription: String,
        /// The order.
        first_order: String,
    },
    /// An order is a further period of a subscription.
    Renewed {
        /// The order.
        order: String,
        /// The subscription.
        subscription: String,
    },
}

/// A paid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sale {
    /// Its id in the shop.
    pub order: String,
    /// What it renews.
    pub renews: Renews,
    /// Who bought, as far as the shop says.
    pub buyer: Option<Buyer>,
    /// What was bought.
    pub lines: Vec<Sold>,
    /// Whether no money was paid.
    pub is_test: bool,
}

/// Whether an order is a further period.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renews {
    /// It is a first one.
    Nothing,
    /// Of this subscription.
    Subscription(String),
    /// It is, and another message says of which.
    Unnamed,
}

/// A line of a paid order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sold {
    /// Its id in the shop.
    pub id: String,
    /// What the shop calls the product, the most exact first: `variant:12`, `product:3`, `sku:X`.
    pub keys: Vec<String>,
    /// Its name there.
    pub name: String,
    /// How many.
    pub quantity: u32,
}

/// Who bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Buyer {
    /// The number there, or the address where there is none.
    pub reference: String,
    /// Name.
    pub name: String,
    /// Address.
    pub email: Option<String>,
}

/// What is to be undone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undoing {
    /// The order.
    pub order: String,
    /// How.
    pub kind: UndoneKind,
    /// Lines and how many of each; all where none is named.
    pub lines: Vec<(String, u32)>,
    /// Why, as people of the shop wrote it.
    pub note: String,
    /// Whether it is known that it had been paid.
    pub was_paid: bool,
}

/// How an order was undone in the shop.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum UndoneKind {
    /// A part of the money, or of the quantity, was paid back.
    PartlyRefunded,
    /// It was canceled.
    Canceled,
    /// The money was paid back.
    Refunded,
}

/// An order that was undone in its shop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct UndoneOrder {
    /// How.
    pub kind: UndoneKind,
    /// When it was heard of, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// What people of the shop wrote.
    pub note: String,
}

impl Buyer {
    /// Whom a shop names; none where it names nobody.
    pub(super) fn new(number: u64, name: String, email: Option<String>) -> Option<Self> {
        let email = email.map(|email| plain(&email)).filter(|email| !email.is_empty());
        let reference = match number {
            0 => email.clone()?,
            number => number.to_string(),
        };
        let name = Some(plain(&name)).filter(|name| !name.is_empty());
        let name = name.or(email.clone()).unwrap_or_else(|| format!("customer {number}"));
        Some(Buyer { reference, name, email })
    }
}

/// Keys of those names that a product has.
pub(super) fn keys<const N: usize>(named: [(&str, String); N]) -> Vec<String> {
    let own = named.into_iter().map(|(kind, name)| (kind, plain(&name)));
    let own = own.filter(|(_, name)| !name.is_empty() && name != "0");
    own.map(|(kind, name)| format!("{kind}:{name}")).collect()
}

/// A text of a shop as it is kept: without characters of control, and not too long.
pub(super) fn plain(text: &str) -> String {
    let letters = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let text: String = letters.collect();
    text.trim().chars().take(TEXT_LEN_MAX).collect::<String>().trim_end().to_owned()
}

/// An id, which is a number or text there.
pub(super) fn id_of(value: &Value) -> Option<String> {
    match value {
        Value::Number(number) => number.as_u64().map(|number| number.to_string()),
        Value::String(text) => Some(plain(text)).filter(|text| !text.is_empty()),
        _ => None,
    }
}
