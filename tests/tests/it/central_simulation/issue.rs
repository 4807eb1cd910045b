//! C6: what the signers wrote into their issue journals, held against what was decided and sold.

use std::collections::{BTreeMap, BTreeSet};

use license_central::domain::journal::{Claim, Entry};
use license_central::domain::records::EffectKind;
use protocol::signed::{HEADER_LEN, Header};

use super::book::{Decided, unhex};
use super::parties::FIRMS;
use super::world::World;

/// Seconds of a day.
const DAY_S: u64 = 86_400;

/// What a journal has.
#[derive(Default)]
pub(super) struct Journaled {
    pub(super) number: u64,
    pub(super) headers: BTreeSet<Vec<u8>>,
    /// By container, number, and the state before: which update has that place.
    places: BTreeMap<([u8; 16], u64, [u8; 32]), Header>,
    /// By grant and epoch: which container got it.
    installs: BTreeMap<(String, u32), [u8; 16]>,
    /// Updates of each day.
    days: BTreeMap<u64, u64>,
}

impl World<'_> {
    /// Takes in what a signer wrote down.
    pub(super) fn reads_journal(&mut self, firm: usize) {
        loop {
            let entries = self.signers.entries(firm, self.journals[firm].number);
            if entries.is_empty() {
                return;
            }
            for entry in &entries {
                self.weigh_entry(firm, entry);
            }
        }
    }

    fn weigh_entry(&mut self, firm: usize, entry: &Entry) {
        let bytes = unhex(&entry.header).unwrap_or_default();
        let Ok(header) = Header::from_bytes(&bytes) else { self.broken("C6: no header") };
        let agrees = !self.is_put_back[firm];
        self.promise(agrees, || "C3: issued before journal and records agree".into());
        let update = self.decided(firm, &bytes).cloned();
        let Some(update) = update else {
            self.broken(&format!("C6: number {} was signed and never decided", entry.number));
        };
        self.is_explained(firm, entry, &update);
        let cap = self.cap;
        let own = &mut self.journals[firm];
        let follows = entry.number == own.number + 1;
        own.number = entry.number;
        let is_new = own.headers.insert(bytes.clone());
        let place = (header.target, header.seq, header.state);
        // One that was made anew under another key is the same.
        let first = *own.places.entry(place).or_insert(header);
        let is_same = Header { key_id: header.key_id, ..first } == header;
        let count = own.days.entry(entry.at_s / DAY_S).or_default();
        *count += 1;
        let is_capped = cap.is_none_or(|most| *count <= most);
        self.promise(follows, || "C6: the journal's numbers have a gap".into());
        self.promise(is_new, || format!("C6: number {} was written twice", entry.number));
        self.promise(is_same, || format!("M7: two updates of number {}", header.seq));
        self.promise(is_capped, || "S16: more was signed than the cap of a day".into());
        let mut written = BTreeSet::new();
        for claim in &entry.claims {
            self.goes_to_one(firm, header.target, claim);
            let is_first = written.insert((claim.product, claim.entry));
            self.promise(is_first, || format!("C6: an update writes an entry twice: {claim:?}"));
        }
    }

    /// An order explains each entry that an update writes.
    fn is_explained(&self, firm: usize, entry: &Entry, update: &Decided) {
        let told = |claim: &Claim| (claim.grant.clone(), claim.epoch, claim.kind, claim.product);
        let done: Vec<_> = update
            .done
            .iter()
            .map(|done| (&done.effect, done.item.product.0))
            .map(|(effect, product)| (effect.grant.clone(), effect.epoch, effect.kind, product))
            .collect();
        let claims: Vec<_> = entry.claims.iter().map(told).collect();
        self.promise(claims == done, || format!("C6: {claims:?} do not explain {done:?}"));
        for claim in &entry.claims {
            let order = self.book.orders.get(&claim.order);
            let grant = &self.book.grants[&claim.grant];
            let is_sold = order.is_some_and(|order| order.ticket == claim.ticket)
                && grant.ticket == claim.ticket
                && self.book.owners[&claim.grant] == FIRMS[firm];
            let is_sold = is_sold || self.adopted.contains(&claim.grant);
            self.promise(is_sold, || format!("C6: no order explains {claim:?}"));
        }
    }

    /// C3: a grant goes into one container in each epoch.
    fn goes_to_one(&mut self, firm: usize, container: [u8; 16], claim: &Claim) {
        if claim.kind != EffectKind::Install {
            return;
        }
        let key = (claim.grant.clone(), claim.epoch);
        let first = *self.journals[firm].installs.entry(key).or_insert(container);
        self.promise(first == container, || format!("C3: {claim:?} went into two containers"));
    }

    /// C6: what leaves is in the journal.
    pub(super) fn is_journaled(&self, firm: usize, file: &[u8]) {
        let journal = &self.journals[firm];
        let is_there = file.windows(HEADER_LEN).any(|bytes| journal.headers.contains(bytes));
        self.promise(is_there, || "C6: an update left that is not in the journal".into());
    }
}
