//! Refused uses: activations and seats that were asked for and not given, as a count for each day,
//! ticket or license, and reason. What customers lack, a vendor reads here.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use protocol::errors::write_utc;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::refusal::Outcome;
use super::work::{Record, Stored, Work};
use crate::store::{Table, Value, tables};

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// A ticket, into a container or as a credential.
    Activation,
    /// Seats over the network.
    Seats,
}

/// How often a use was refused on one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Denial {
    /// Day, reason, and what was asked for.
    pub id: String,
    /// The day, UTC: `2027-03-01`.
    pub day: String,
    /// What was refused.
    pub what: Use,
    /// Why: number in the error table.
    pub code: String,
    /// The ticket or the grant.
    pub object: String,
    /// How often.
    pub count: u64,
    /// When first that day, milliseconds since 1970 UTC.
    pub first_ms: i64,
    /// When last.
    pub last_ms: i64,
}

/// One use that was refused.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Denied {
    /// What was refused.
    pub what: Use,
    /// Why: number in the error table.
    pub code: String,
    /// The ticket or the grant.
    pub object: String,
}

/// Refusals that are not written yet, by tenant, day, and what it was: how often, and when first
/// and last. Clients that ask for a seat again and again cost one write each second.
#[derive(Default)]
pub struct Tally(Mutex<Counts>);

/// Counts by tenant, day, and what was refused.
pub type Counts = BTreeMap<(String, String, Denied), Count>;

/// How often, and when first and last, milliseconds since 1970 UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count {
    count: u64,
    first_ms: i64,
    last_ms: i64,
}

impl Record for Denial {
    const TABLE: &'static Table = &tables::DENIAL;

    fn id(&self) -> String {
        self.id.clone()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl Count {
    fn add(&mut self, more: Count) {
        self.count = self.count.saturating_add(more.count);
        self.first_ms = self.first_ms.min(more.first_ms);
        self.last_ms = self.last_ms.max(more.last_ms);
    }
}

impl Tally {
    /// Counts one.
    pub fn note(&self, tenant: &str, denied: Denied, now_ms: i64) {
        let one = Count { count: 1, first_ms: now_ms, last_ms: now_ms };
        self.put([((tenant.to_owned(), day(now_ms), denied), one)]);
    }

    /// Takes out what is to be written.
    pub fn take(&self) -> Counts {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts these too.
    pub fn put(&self, counts: impl IntoIterator<Item = ((String, String, Denied), Count)>) {
        let mut own = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, more) in counts {
            own.entry(key).and_modify(|count| count.add(more)).or_insert(more);
        }
    }
}

/// Adds a count to that of its day.
pub fn book(work: &mut Work<'_>, (day, denied): (&str, &Denied), more: Count) -> Outcome<()> {
    let Denied { what, code, object } = denied;
    let id = format!("{day}.{code}.{object}");
    let Some(Stored { version, record }) = work.find::<Denial>(&id)? else {
        return work.insert(&Denial {
            id,
            day: day.to_owned(),
            what: *what,
            code: code.clone(),
            object: object.clone(),
            count: more.count,
            first_ms: more.first_ms,
            last_ms: more.last_ms,
        });
    };
    let mut all = Count { count: record.count, first_ms: record.first_ms, last_ms: record.last_ms };
    all.add(more);
    let Count { count, first_ms, last_ms } = all;
    work.update(&Stored { version, record: Denial { count, first_ms, last_ms, ..record } })
}

/// The day of a time, UTC.
pub fn day(at_ms: i64) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_utc(u64::try_from(at_ms / 1000).unwrap_or(0), &mut text);
    text.truncate("2027-03-01".len());
    text
}
