//! Compares the journal with the database, both ways: what was signed is known and explained by an
//! order, what was delivered was signed here, and grants are where the journal says.

use std::collections::{BTreeMap, BTreeSet};

use protocol::objects::update::UpdateOp;
use serde::Serialize;

use super::Source;
use crate::domain::agreement::{is_known, mark};
use crate::domain::central::Central;
use crate::domain::chain::update_id;
use crate::domain::journal::{Claim, Entry, Head, Told};
use crate::domain::records::{
    Container, EffectKind, Grant, IssuedUpdate, Order, Place, Ticket, UpdateState,
};
use crate::domain::refusal::{Outcome, Refusal};
use crate::domain::terms::Options;
use crate::domain::work::Work;
use crate::store::{Filter, Page};

/// Updates that are read at a time.
const PAGE: usize = 500;

/// What was found for one vendor.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// The vendor.
    pub vendor: String,
    /// Entries of its journal.
    pub entries: u64,
    /// What does not agree.
    pub findings: Vec<Finding>,
    /// Updates that were decided and not signed yet: nobody has them.
    pub unsigned: Vec<String>,
}

/// One thing that does not agree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What kind.
    pub kind: Kind,
    /// Number of the entry in the journal, where there is one.
    pub entry: Option<u64>,
    /// The update or grant.
    pub object: String,
    /// In words.
    pub what: String,
}

/// What does not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// The database does not know what was signed.
    Lost,
    /// No order explains what was signed.
    Unexplained,
    /// It was delivered, and the journal does not have it.
    NotJournaled,
    /// A grant is elsewhere than the journal says.
    Misplaced,
    /// The database knows more of the journal, or another one.
    JournalBehind,
}

impl Kind {
    /// What to do.
    pub fn hint(self) -> &'static str {
        match self {
            Kind::Lost => "Stop the server, and run: license-central check --repair.",
            Kind::Unexplained => {
                "Ask who ordered it. If nobody did, a key of the API or the server was stolen: \
                 make new keys, and revoke the container."
            }
            Kind::NotJournaled => {
                "Somebody signed it with the vendor's keys elsewhere, or the journal is not the \
                 newest: look who has the keys."
            }
            Kind::Misplaced => {
                "It may be in two containers. Block the container that should not have it."
            }
            Kind::JournalBehind => {
                "Put the newest journal back. If it is lost: license-central check \
                 --accept-journal."
            }
        }
    }
}

/// The last that the journal says of a grant.
struct Last {
    number: u64,
    container: String,
    /// It, and those that it was made anew as, under other keys.
    updates: Vec<String>,
    /// All of its epoch that put it there, also made anew.
    sets: Vec<String>,
    epoch: u32,
    seq: u64,
    is_set: bool,
    /// Last second of use of all that was signed in this epoch; none where one has no end.
    lapse_s: Option<u64>,
}

/// One run.
#[derive(Default)]
struct Run {
    report: Report,
    journaled: BTreeSet<String>,
    /// By container, number and body: the first update that does this.
    first: BTreeMap<([u8; 16], u64, [u8; 32]), String>,
    last: BTreeMap<String, Last>,
}

/// Compares for one vendor. The server may run meanwhile.
pub fn check(central: &Central, vendor: &str, source: &Source) -> Outcome<Report> {
    // What is in the journal now was decided before, so the database knows it from here on.
    let sure = source.each(|_, _| Ok::<_, Refusal>(()))?.number;
    central.read(vendor, |work| {
        let report = Report { vendor: vendor.to_owned(), ..Report::default() };
        let mut run = Run { report, ..Run::default() };
        run.journal(work, source, sure)?;
        run.updates(work)?;
        run.places(work, u64::try_from(central.now_ms() / 1000).unwrap_or(0))?;
        Ok(run.report)
    })
}

impl Run {
    fn find(&mut self, kind: Kind, entry: Option<u64>, object: &str, what: impl Into<String>) {
        let (object, what) = (object.to_owned(), what.into());
        self.report.findings.push(Finding { kind, entry, object, what });
    }

    fn journal(&mut self, work: &mut Work<'_>, source: &Source, sure: u64) -> Outcome<()> {
        let known = mark(work)?;
        let mut met = known == Head::BEGIN;
        let head = source.each(|entry, head| {
            met |= head == known;
            let told = entry.told()?;
            let update = update_id(&told.container(), &told.issued());
            if entry.number <= sure {
                self.entry(work, entry, &told, &update)?;
            }
            self.journaled.insert(update);
            Ok::<_, Refusal>(())
        })?;
        if !met {
            let what = format!("it is at {}, and the database knows {}", head.number, known.number);
            self.find(Kind::JournalBehind, None, "journal", what);
        }
        self.report.entries = head.number;
        Ok(())
    }

    fn entry(
        &mut self,
        work: &mut Work<'_>,
        entry: &Entry,
        told: &Told,
        update: &str,
    ) -> Outcome<()> {
        let number = Some(entry.number);
        if !is_known(work, entry)? {
            self.find(Kind::Lost, number, update, "the database does not have this update");
        }
        for op in &told.ops {
            let UpdateOp::SetItem(item) = op else { continue };
            let item = item.item;
            let is_claimed =
                |claim: &Claim| (claim.product, claim.entry) == (item.product.0, item.entry.0);
            if !entry.claims.iter().any(is_claimed) {
                let what = format!("product {} entry {}: no grant", item.product, item.entry);
                self.find(Kind::Unexplained, number, update, what);
            }
        }
        for claim in &entry.claims {
            if let Some(why) = unexplained(work, claim)? {
                self.find(Kind::Unexplained, number, update, why);
            }
        }
        let header = &told.leaf.header;
        let first = self.first.entry((header.target, header.seq, header.body_hash));
        let first = first.or_insert_with(|| update.to_owned()).clone();
        for claim in &entry.claims {
            let last = self.last.get(&claim.grant);
            // What is behind the last of a grant is new, whatever it has in common with one before.
            let is_behind = last.is_some_and(|last| {
                (&last.container, last.epoch) == (&told.container(), claim.epoch)
                    && last.seq < header.seq
            });
            if first == *update || is_behind {
                self.note(entry.number, told, claim, update)?;
            } else if let Some(last) = self.last.get_mut(&claim.grant) {
                // Under another key, and at its place among the others.
                for own in [&mut last.updates, &mut last.sets] {
                    if own.contains(&first) {
                        own.push(update.to_owned());
                    }
                }
            }
        }
        Ok(())
    }

    fn note(&mut self, number: u64, told: &Told, claim: &Claim, update: &str) -> Outcome<()> {
        let options = options_of(&told.ops, claim);
        let (is_set, epoch) = (options.is_some(), claim.epoch);
        let lapse_s = options.map(|options| options.lapse_s()).transpose()?;
        let before = self.last.get(&claim.grant).filter(|last| last.epoch == epoch);
        let lapse_s = match (before, lapse_s) {
            (Some(before), Some(now)) => before.lapse_s.zip(now).map(|(a, b)| a.max(b)),
            (Some(before), None) => before.lapse_s,
            (None, now) => now.flatten(),
        };
        let mut sets = before.map(|before| before.sets.clone()).unwrap_or_default();
        sets.extend(is_set.then(|| update.to_owned()));
        let (container, updates) = (told.container(), vec![update.to_owned()]);
        let seq = told.leaf.header.seq;
        let last = Last { number, container, updates, sets, epoch, seq, is_set, lapse_s };
        self.last.insert(claim.grant.clone(), last);
        Ok(())
    }

    fn updates(&mut self, work: &mut Work<'_>) -> Outcome<()> {
        let mut after: Option<String> = None;
        loop {
            let page = Page { after: after.as_deref(), limit: PAGE };
            let updates = work.list::<IssuedUpdate>(&Filter::All, &page)?;
            for update in &updates {
                let (id, state) = (&update.record.id, update.record.state);
                match state {
                    _ if self.journaled.contains(id) => {}
                    UpdateState::Outstanding => self.report.unsigned.push(id.clone()),
                    UpdateState::Confirmed => {
                        self.find(Kind::NotJournaled, None, id, "a container has applied it");
                    }
                    // The container proved that it never applies it.
                    UpdateState::Dead | UpdateState::Unknown => {}
                }
            }
            match updates.last() {
                Some(last) if updates.len() == PAGE => after = Some(last.record.id.clone()),
                _ => return Ok(()),
            }
        }
    }

    fn places(&mut self, work: &mut Work<'_>, now_s: u64) -> Outcome<()> {
        for (id, last) in std::mem::take(&mut self.last) {
            let Some(grant) = work.find::<Grant>(&id)? else { continue };
            if let Some(what) = misplaced(work, &grant.record, &last, now_s)? {
                self.find(Kind::Misplaced, Some(last.number), &id, what);
            }
        }
        Ok(())
    }
}

/// The options that an update gives the entry of a claim; none where it takes it away, also if
/// another license gets its number by the same update.
pub(super) fn options_of(ops: &[UpdateOp], claim: &Claim) -> Option<Options> {
    if claim.kind == EffectKind::Release {
        return None;
    }
    ops.iter().find_map(|op| match op {
        UpdateOp::SetItem(item) if item.item.product.0 == claim.product => {
            (item.item.entry.0 == claim.entry).then(|| Options::of(item))
        }
        _ => None,
    })
}

/// Why no order explains it.
fn unexplained(work: &mut Work<'_>, claim: &Claim) -> Outcome<Option<String>> {
    let Some(grant) = work.find::<Grant>(&claim.grant)? else {
        return Ok(Some(format!("there is no grant {}", claim.grant)));
    };
    let Grant { ticket, product, .. } = grant.record;
    if product != claim.product || ticket != claim.ticket {
        return Ok(Some(format!("grant {} is another one", claim.grant)));
    }
    let Some(found) = work.find::<Ticket>(&ticket)? else {
        return Ok(Some(format!("there is no ticket {ticket} (grant {})", claim.grant)));
    };
    let order = found.record.order;
    let is_there = work.find::<Order>(&order)?.is_some();
    Ok((!is_there).then(|| format!("there is no order {order} (grant {})", claim.grant)))
}

/// Why a grant cannot be where the database has it.
fn misplaced(
    work: &mut Work<'_>,
    grant: &Grant,
    last: &Last,
    now_s: u64,
) -> Outcome<Option<String>> {
    if grant.epoch != last.epoch {
        let (own, theirs) = (grant.epoch, last.epoch);
        // One that is ahead was decided and is not signed yet.
        return Ok((own < theirs).then(|| format!("epoch {own}, and {theirs} was signed")));
    }
    let is_there = grant.place.container() == Some(&last.container);
    match &grant.place {
        Place::Held { .. } | Place::Releasing { .. } if is_there => return Ok(None),
        Place::Withdrawn => return Ok(None),
        Place::Held { container, .. } | Place::Releasing { container, .. } => {
            let what = format!("in {container}, and it was signed for {}", last.container);
            return Ok(Some(what));
        }
        Place::Pool | Place::Served { .. } => {}
    }
    let never_came = !last.sets.is_empty()
        && states(work, &last.sets)?.iter().all(|state| *state == Some(UpdateState::Dead));
    let left = !last.is_set && states(work, &last.updates)?.contains(&Some(UpdateState::Confirmed));
    let container = work.find::<Container>(&last.container)?;
    let is_retired = container.is_some_and(|found| found.record.chain.retired.is_some());
    let is_over = last.lapse_s.is_some_and(|lapse_s| lapse_s < now_s);
    // Somebody took that risk, and it is booked.
    let is_risked = grant.risked_epoch == Some(grant.epoch);
    if never_came || left || is_retired || is_over || is_risked {
        return Ok(None);
    }
    Ok(Some(format!("it is free, and container {} may have it", last.container)))
}

/// How updates stand; none where the database does not have one.
fn states(work: &mut Work<'_>, updates: &[String]) -> Outcome<Vec<Option<UpdateState>>> {
    let state = |id: &String| Ok(work.find::<IssuedUpdate>(id)?.map(|update| update.record.state));
    updates.iter().map(state).collect()
}

/// A report in words.
pub fn text(report: &Report) -> String {
    let Report { vendor, entries, findings, unsigned } = report;
    let mut text = format!("{vendor}: {entries} updates were signed");
    if !unsigned.is_empty() {
        text += &format!(", {} more were decided and are not signed yet", unsigned.len());
    }
    if findings.is_empty() {
        return text + ": journal and database agree";
    }
    for finding in findings {
        let number = finding.entry.map_or(String::new(), |number| format!("number {number}, "));
        let kind = serde_json::to_value(finding.kind).unwrap_or_default();
        let kind = kind.as_str().unwrap_or_default();
        text += &format!("\n  {kind}: {number}{}: {}", finding.object, finding.what);
    }
    let kinds: Vec<Kind> = findings.iter().map(|finding| finding.kind).collect();
    for (at, kind) in kinds.iter().enumerate() {
        if !kinds[..at].contains(kind) {
            text += &format!("\n  {}", kind.hint());
        }
    }
    text
}
