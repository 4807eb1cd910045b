//! The tables. `migrations/` makes them; a test compares the two.

use super::{Column, ColumnKind, Table};

const fn text(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Text, unique: false }
}

const fn unique(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Text, unique: true }
}

const fn number(name: &'static str) -> Column {
    Column { name, kind: ColumnKind::Number, unique: false }
}

/// Firms that this Central issues for. Of no tenant.
pub static VENDOR: Table = Table { name: "vendor", columns: &[unique("name")] };

/// Keys of the API and whose they are. Of no tenant, since they say which tenant it is.
pub static API_KEY: Table = Table { name: "api_key", columns: &[text("vendor")] };

/// People who administer. Of no tenant, like their keys.
pub static USER: Table = Table { name: "api_user", columns: &[text("vendor")] };

/// Products.
pub static PRODUCT: Table = Table { name: "product", columns: &[] };

/// What is sold: one product or several.
pub static ITEM: Table = Table { name: "item", columns: &[] };

/// Customers.
pub static CUSTOMER: Table =
    Table { name: "customer", columns: &[unique("reference"), text("email")] };

/// Orders, one for each line and period.
pub static ORDER: Table =
    Table { name: "sales_order", columns: &[unique("order_key"), text("customer"), text("line")] };

/// Tickets.
pub static TICKET: Table =
    Table { name: "ticket", columns: &[unique("code_hash"), text("sales_order")] };

/// Grants.
pub static GRANT: Table = Table {
    name: "license_grant",
    columns: &[
        text("ticket"),
        text("container"),
        text("state"),
        number("lapse_ms"),
        text("assigned"),
    ],
};

/// Containers.
pub static CONTAINER: Table =
    Table { name: "container", columns: &[unique("serial"), text("customer"), text("state")] };

/// Updates that were issued.
pub static UPDATE: Table =
    Table { name: "container_update", columns: &[text("container"), text("state")] };

/// Containers that showed what nothing leads to.
pub static CASE: Table =
    Table { name: "container_case", columns: &[text("container"), text("state")] };

/// Containers that asked to be certified.
pub static ENROLLED: Table = Table { name: "enrolled", columns: &[number("waits_ms")] };

/// What a vendor allows of soft licenses: one row.
pub static SOFT_RULES: Table = Table { name: "soft_rules", columns: &[] };

/// Makers of TPMs that a vendor believes.
pub static TPM_AUTHORITY: Table = Table { name: "tpm_authority", columns: &[] };

/// Lost containers whose place another one took.
pub static TAKE_OVER: Table =
    Table { name: "take_over", columns: &[text("successor"), text("counted")] };

/// Requests that were answered, by the key that the client drew.
pub static ANSWER: Table = Table { name: "answer", columns: &[number("until_ms")] };

/// What was done, by whom: a chain of hashes for each writer.
pub static AUDIT: Table = Table { name: "audit", columns: &[text("object"), text("writer")] };

/// What the database knows of the signer, in a row each for every vendor: how much of its journal,
/// and whom it trusts.
pub static JOURNAL_MARK: Table = Table { name: "journal_mark", columns: &[] };
/// Where a vendor's own servers hear of what was done.
pub static WEBHOOK: Table = Table { name: "webhook", columns: &[] };

/// Messages to them. Of no tenant, since whoever sends them looks at those of all.
pub static WEBHOOK_MESSAGE: Table =
    Table { name: "webhook_message", columns: &[text("vendor"), number("due_ms")] };

/// Credentials that seats are taken with.
pub static SEAT_CREDENTIAL: Table =
    Table { name: "seat_credential", columns: &[text("license_grant")] };

/// Credentials that were revoked, in the order of time.
pub static SEAT_REVOCATION: Table = Table { name: "seat_revocation", columns: &[] };

/// Refused uses, counted.
pub static DENIAL: Table = Table { name: "denial", columns: &[] };

/// Shops whose webhooks are taken.
pub static SHOP: Table = Table { name: "shop", columns: &[unique("name")] };

/// Lines of their orders.
pub static SHOP_LINE: Table = Table {
    name: "shop_line",
    columns: &[unique("line_key"), text("shop_order"), text("shop_state")],
};

/// What belongs to what in a shop: subscriptions to their first orders, renewals to subscriptions.
pub static SHOP_LINK: Table = Table { name: "shop_link", columns: &[] };

/// All tables whose rows are records. Those of seats are in `seats`.
pub static ALL: &[&Table] = &[
    &VENDOR,
    &API_KEY,
    &USER,
    &PRODUCT,
    &ITEM,
    &CUSTOMER,
    &ORDER,
    &TICKET,
    &GRANT,
    &CONTAINER,
    &UPDATE,
    &CASE,
    &ENROLLED,
    &SOFT_RULES,
    &TPM_AUTHORITY,
    &TAKE_OVER,
    &ANSWER,
    &AUDIT,
    &JOURNAL_MARK,
    &WEBHOOK,
    &WEBHOOK_MESSAGE,
    &SEAT_CREDENTIAL,
    &SEAT_REVOCATION,
    &DENIAL,
    &SHOP,
    &SHOP_LINE,
    &SHOP_LINK,
];
