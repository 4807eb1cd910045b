//! Many customers or orders at once: each row stands for itself, and says what became of it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::catalog::{self, NewCustomer};
use super::env::Env;
use super::objects;
use super::orders::{self, NewOrder};
use super::records::{Customer, Order};
use super::refusal::{Outcome, Refusal};
use super::work::Work;

/// Rows of one request.
pub const ROWS_MAX: usize = 200;

/// Rows, and whether they shall only be looked at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, bound(deserialize = "T: serde::de::DeserializeOwned"))]
pub struct Rows<T> {
    /// The rows, at most 200.
    #[serde(deserialize_with = "objects::many")]
    pub rows: Vec<T>,
    /// Whether nothing is kept: what would become of them.
    #[serde(default)]
    pub preview: bool,
}

/// What became of a row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case", tag = "result")]
pub enum RowResult {
    /// It is there now.
    Created {
        /// Its id.
        id: String,
        /// The ticket of an order. It is told once.
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<String>,
    },
    /// It was there before.
    Known {
        /// Its id.
        id: String,
    },
    /// It cannot be, and nothing of it was kept.
    Refused {
        /// Number in the error table.
        code: String,
        /// Why, with the values.
        title: String,
    },
}

/// Adds customers. One whose reference is there already stays as it is.
pub fn customers(
    work: &mut Work<'_>,
    env: &Env<'_>,
    rows: &[NewCustomer],
) -> Outcome<Vec<RowResult>> {
    each(work, rows, |work, new| {
        if let Some(reference) = &new.reference
            && let Some(known) = work.by::<Customer>("reference", reference.as_str().into())?
        {
            return Ok(RowResult::Known { id: known.record.id });
        }
        let made = catalog::create_customer(work, env, new)?;
        Ok(RowResult::Created { id: made.id, ticket: None })
    })
}

/// Takes orders in. One that is there already stays as it is.
pub fn orders(work: &mut Work<'_>, env: &Env<'_>, rows: &[NewOrder]) -> Outcome<Vec<RowResult>> {
    each(work, rows, |work, new| {
        let key = Order::key_of(&new.number, new.line, &new.period);
        let is_known = work.by::<Order>("order_key", key.into())?.is_some();
        let made = orders::order(work, env, new)?;
        let id = made.order.id;
        if is_known {
            return Ok(RowResult::Known { id });
        }
        Ok(RowResult::Created { id, ticket: made.code.map(|code| code.to_string()) })
    })
}

fn each<T>(
    work: &mut Work<'_>,
    rows: &[T],
    mut step: impl FnMut(&mut Work<'_>, &T) -> Outcome<RowResult>,
) -> Outcome<Vec<RowResult>> {
    if rows.is_empty() || rows.len() > ROWS_MAX {
        let why = format!("{} rows: at least 1, at most {ROWS_MAX}", rows.len());
        return Err(Refusal::malformed(why));
    }
    let mut results = Vec::new();
    for row in rows {
        let mark = work.mark();
        match step(work, row) {
            Ok(done) => results.push(done),
            Err(Refusal::Told(shown)) => {
                work.back_to(mark);
                let utc = |at_s| format!("second {at_s} after 1970 UTC");
                results.push(RowResult::Refused { code: shown.code(), title: shown.title(&utc) });
            }
            Err(failed) => return Err(failed),
        }
    }
    Ok(results)
}
