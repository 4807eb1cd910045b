//! The issue journal, as the domain sees it: what the signer wrote down before it signed.

use protocol::crypto::hash::Sha256;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::{hex, parse_hex};
use protocol::objects::update::{UpdateOp, read_ops};
use protocol::signed::Header;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use vendor::ledger::Issued;

use super::firm::{Grounds, Leaf};
use super::orders::unhex;
use super::records::{EffectKind, Standing};
use super::work::Record;
use crate::store::{Table, Value, tables};

/// What explains an entry that an update writes or removes. The signer notes it, and relies on none
/// of it: the server says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Claim {
    /// The grant.
    pub grant: String,
    /// Its epoch then.
    pub epoch: u32,
    /// What is done to it.
    pub kind: EffectKind,
    /// How it stands afterwards; of one that goes out, what the vendor wants of it.
    pub standing: Standing,
    /// Product Code of the entry.
    pub product: u32,
    /// Its number in the container.
    pub entry: u16,
    /// The ticket that the grant came with.
    pub ticket: String,
    /// The order that the ticket came with.
    pub order: String,
}

/// One update, as it was written down before it was signed for the first time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// Its number in the journal, from 1.
    pub number: u64,
    /// When, by the signer's clock, Unix seconds.
    pub at_s: u64,
    /// The header that is signed, hexadecimal.
    pub header: String,
    /// Its body, hexadecimal.
    pub body: String,
    /// What explains it.
    pub claims: Vec<Claim>,
}

/// How far a journal is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// Number of the last entry; 0 = none.
    pub number: u64,
    /// Hash over all of them.
    pub hash: [u8; 32],
}

/// A part of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Hash over what stands before it.
    pub before: [u8; 32],
    /// Its entries.
    pub entries: Vec<Entry>,
}

/// How much of the journal the database knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalMark {
    /// Number of the last entry that it knows, with all before.
    pub number: u64,
    /// Hash over them, hexadecimal.
    pub hash: String,
}

impl Record for JournalMark {
    const TABLE: &'static Table = &tables::JOURNAL_MARK;

    fn id(&self) -> String {
        Self::ID.to_owned()
    }

    fn columns(&self) -> Vec<Value> {
        Vec::new()
    }
}

impl JournalMark {
    /// There is one for each vendor.
    pub const ID: &'static str = "mark";

    /// At this head.
    pub fn at(head: Head) -> Self {
        JournalMark { number: head.number, hash: hex(&head.hash) }
    }

    /// What it says; the beginning where there is none yet.
    pub fn head(mark: Option<&Self>) -> Head {
        let hash = |mark: &Self| parse_hex(&mark.hash).unwrap_or_default();
        mark.map_or(Head::BEGIN, |mark| Head { number: mark.number, hash: hash(mark) })
    }
}

impl Head {
    /// Of a journal without entries.
    pub const BEGIN: Head = Head { number: 0, hash: [0; 32] };

    /// Behind one more entry, of these bytes.
    pub fn next(self, payload: &[u8]) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"strongroom/issue-journal/v1\0");
        hash.update(&self.hash);
        hash.update(payload);
        Head { number: self.number + 1, hash: hash.finish() }
    }
}

/// What an entry says, taken apart.
pub struct Told {
    /// The update, with what explains it.
    pub leaf: Leaf,
    /// Its operations.
    pub ops: Vec<UpdateOp>,
}

impl Entry {
    /// Of a leaf.
    pub fn new(number: u64, at_s: u64, leaf: &Leaf) -> Self {
        let header = hex(&leaf.header.to_bytes());
        Entry { number, at_s, header, body: hex(&leaf.body), claims: leaf.claims.clone() }
    }

    /// Takes it apart.
    pub fn told(&self) -> Result<Told, Shown> {
        let damaged = |why: &dyn std::fmt::Display| {
            let failure = Shown::from(ErrorCode::JournalDamaged.failure());
            failure.about(format!("number {}", self.number)).detailed(why)
        };
        let [header, body] = [&self.header, &self.body].map(|text| unhex(text));
        let (Some(header), Some(body)) = (header, body) else {
            return Err(damaged(&"no hexadecimal digits"));
        };
        let header = Header::from_bytes(&header).map_err(|error| damaged(&error))?;
        let ops = read_ops(&body).map_err(|error| damaged(&error))?;
        let claims = self.claims.clone();
        Ok(Told { leaf: Leaf { header, body, claims, grounds: Grounds::default() }, ops })
    }
}

impl Told {
    /// The container, as records name it.
    pub fn container(&self) -> String {
        hex(&self.leaf.header.target)
    }

    /// What a container's chain says of it.
    pub fn issued(&self) -> Issued {
        let what: Vec<String> = self.ops.iter().filter_map(what).collect();
        Issued::of(&self.leaf.header, what.join(", "))
    }
}

/// An operation in words, where it does something by itself.
fn what(op: &UpdateOp) -> Option<String> {
    Some(match op {
        UpdateOp::Nop => "cancel".into(),
        UpdateOp::SetItem(item) => {
            format!("set product {} entry {}", item.item.product, item.item.entry)
        }
        UpdateOp::RemoveItem(item) => {
            format!("remove product {} entry {}", item.product, item.entry)
        }
        UpdateOp::Unlock => "unlock".into(),
        UpdateOp::Answer(_) => "answer".into(),
        UpdateOp::Perpetuate(range) => {
            format!("make products {} to {} perpetual", range.first, range.last)
        }
        _ => return None,
    })
}
