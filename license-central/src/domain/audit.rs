//! The audit: what was done, when, by whom. Each writer chains its entries by hashes, so that one
//! that was changed, left out or moved is found.

use protocol::crypto::hash::Sha256;
use protocol::ids::parse_hex;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::anchors::Head;
use super::work::{Note, Record};
use crate::store::{Row, Table, Value, Write, tables};

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Which run of the server wrote it.
    pub writer: String,
    /// Its number there, from 1.
    pub number: u64,
    /// Hash of the entry before, hexadecimal; zeros before the first.
    pub before: String,
    /// When, milliseconds since 1970 UTC.
    pub at_ms: i64,
    /// Whose records: a vendor's id.
    pub tenant: String,
    /// By which key or person.
    pub actor: String,
    /// What was done.
    pub action: String,
    /// To which record.
    pub object: String,
    /// More of it.
    pub detail: String,
}

impl Record for Entry {
    const TABLE: &'static Table = &tables::AUDIT;

    fn id(&self) -> String {
        format!("{}-{:012}", self.writer, self.number)
    }

    fn columns(&self) -> Vec<Value> {
        vec![self.object.as_str().into(), self.writer.as_str().into()]
    }
}

impl Entry {
    /// Its hash, which the next one names.
    pub fn hash(&self) -> String {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/audit/v1\0");
        let number = self.number.to_string();
        let at = self.at_ms.to_string();
        let fields = [
            &self.writer,
            &number,
            &self.before,
            &at,
            &self.tenant,
            &self.actor,
            &self.action,
            &self.object,
            &self.detail,
        ];
        for field in fields {
            hash.update(&(field.len() as u64).to_be_bytes());
            hash.update(field.as_bytes());
        }
        hash.finish().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// The end of the chain of one run of the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    writer: String,
    number: u64,
    before: String,
}

impl Chain {
    /// A chain that begins. `writer` is not used again.
    pub fn begin(writer: String) -> Self {
        Chain { writer, number: 0, before: "0".repeat(64) }
    }

    /// Its last entry.
    pub fn head(&self) -> Head {
        Head { writer: self.writer.clone(), number: self.number, hash: self.before.clone() }
    }

    /// The entries of `notes` as rows, and the chain behind them. It counts once they are
    /// committed.
    pub fn extend(&self, notes: Vec<Note>, at_ms: i64, actor: &str) -> (Self, Vec<Write>) {
        let mut chain = self.clone();
        let mut rows = Vec::with_capacity(notes.len());
        for note in notes {
            let entry = Entry {
                writer: chain.writer.clone(),
                number: chain.number + 1,
                before: chain.before,
                at_ms,
                tenant: note.tenant,
                actor: actor.to_owned(),
                action: note.action.to_owned(),
                object: note.object,
                detail: note.detail,
            };
            chain = Chain { writer: chain.writer, number: entry.number, before: entry.hash() };
            let body = serde_json::to_string(&entry).unwrap_or_default();
            let row = Row { id: entry.id(), version: 1, columns: entry.columns(), body };
            rows.push(Write { tenant: entry.tenant, table: Entry::TABLE, row });
        }
        (chain, rows)
    }
}

/// The first entry that does not follow from the one before, in the order of their numbers.
pub fn first_break(entries: &[Entry]) -> Option<&Entry> {
    let mut before = "0".repeat(64);
    for (at, entry) in entries.iter().enumerate() {
        let follows = entry.number == at as u64 + 1 && entry.before == before;
        if !follows || parse_hex::<32>(&entry.before).is_none() {
            return Some(entry);
        }
        before = entry.hash();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note(object: &str) -> Note {
        Note { tenant: "t".into(), action: "x", object: object.into(), detail: "d".into() }
    }

    fn entries() -> Vec<Entry> {
        let notes = ["a", "b", "c", "d"].map(note).to_vec();
        let (_, rows) = Chain::begin("w".into()).extend(notes, 5, "me");
        rows.iter().map(|write| serde_json::from_str(&write.row.body).unwrap()).collect()
    }

    #[test]
    fn a_chain_holds_also_over_several_commits() {
        let all = entries();
        assert_eq!(first_break(&all), None);
        let mut chain = Chain::begin("w".into());
        let mut rows = Vec::new();
        for object in ["a", "b", "c", "d"] {
            let (next, more) = chain.extend(vec![note(object)], 5, "me");
            chain = next;
            rows.extend(more);
        }
        let again: Vec<Entry> =
            rows.iter().map(|write| serde_json::from_str(&write.row.body).unwrap()).collect();
        assert_eq!(again, all);
    }

    #[test]
    fn what_was_changed_left_out_or_moved_is_found() {
        let mut changed = entries();
        changed[1].detail = "other".into();
        assert_eq!(first_break(&changed).map(|entry| entry.number), Some(3));
        let mut missing = entries();
        missing.remove(1);
        assert_eq!(first_break(&missing).map(|entry| entry.number), Some(3));
        let mut moved = entries();
        moved.swap(1, 2);
        assert_eq!(first_break(&moved).map(|entry| entry.number), Some(3));
        let mut first = entries();
        first.remove(0);
        assert_eq!(first_break(&first).map(|entry| entry.number), Some(2));
    }
}
