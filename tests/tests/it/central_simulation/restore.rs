//! C3: the records are put back to an old backup, the server goes on over them, and is told by the
//! journal what they lost.

use std::collections::BTreeMap;
use std::path::PathBuf;

use license_central::domain::keys::SYSTEM;
use license_central::recovery::check::{self, Kind, Report};
use license_central::recovery::{backup, repair, restore};

use super::book::Book;
use super::disk::Disk;
use super::event::Event;
use super::parties::FIRMS;
use super::world::World;

/// A backup, and what was known of Central when it was made.
pub(super) struct Saved {
    path: PathBuf,
    book: Book,
}

impl World<'_> {
    /// Makes a backup of the records. The signers' journals are not in it, nor seats.
    pub(super) fn backs_up(&mut self) {
        let path = self.signers.folder().join(format!("backup-{}", self.now_ms));
        if path.exists() {
            return;
        }
        let tenants: Vec<String> = FIRMS.iter().chain([&SYSTEM]).map(ToString::to_string).collect();
        let made = backup::make(&*self.disk, &tenants, &path, self.now_ms as i64);
        self.promise(made.is_ok(), || format!("no backup: {made:?}"));
        self.note(Event::BackedUp);
        self.line("a backup");
        self.saved = Some(Saved { path, book: self.book.clone() });
    }

    /// Puts the records back, and starts everything over them.
    pub(super) fn puts_back(&mut self) {
        let Some(saved) = self.saved.take() else { return };
        // What a signer wrote down and nobody heard of was decided before.
        (0..self.firms).for_each(|firm| self.starts_signer(firm));
        let disk = Disk::new();
        let held = restore::preview(&saved.path).expect("our own backup");
        let leased_s = self.leased_s();
        let done = restore::run(&*disk, &saved.path, &held, (self.centrals[0].now_ms(), &leased_s));
        self.promise(done.is_ok(), || format!("no restore: {done:?}"));
        self.note(Event::PutBack);
        self.line("the records are put back");
        let lost = std::mem::replace(&mut self.book, saved.book);
        // Risks that were taken are not forgotten by those who use what they have.
        self.book.booked.extend(lost.booked);
        self.lost.extend(lost.updates);
        self.bought.retain(|bought| self.book.tickets.contains_key(&bought.id));
        self.disk = disk;
        for commit in self.disk.take_commits() {
            let taken = self.book.take(&commit);
            self.promise(taken.is_ok(), || format!("what is held by seats: {:?}", taken.err()));
        }
        self.seats_are_lost();
        (0..self.centrals.len()).for_each(|which| self.restarts(which));
        for firm in 0..self.firms {
            self.starts_signer(firm);
            self.is_put_back[firm] = self.has_lost(firm);
        }
    }

    /// Until when each firm has signed leases.
    fn leased_s(&self) -> BTreeMap<String, u64> {
        let of = |firm: usize| {
            let leased_s = self.signers.source(firm).leased_s();
            let leased_s = leased_s.unwrap_or_else(|error| self.broken(&format!("{error:?}")));
            leased_s.map(|until_s| (FIRMS[firm].to_owned(), until_s))
        };
        (0..self.firms).filter_map(of).collect()
    }

    /// Whether the records do not know all that was signed.
    pub(super) fn has_lost(&self, firm: usize) -> bool {
        let known = |header: &Vec<u8>| self.decided(firm, header).is_some();
        !self.journals[firm].headers.iter().all(known)
    }

    /// Takes in what was lost, from the journal. Until that is done, it is done again.
    pub(super) fn repairs(&mut self, firm: usize) {
        if !self.is_put_back[firm] {
            return;
        }
        let tenant = FIRMS[firm];
        let report = self.check(firm);
        let is_seen = report.findings.iter().any(|finding| finding.kind == Kind::Lost);
        self.promise(is_seen, || format!("C3: what was lost is not seen: {report:?}"));
        let source = self.signers.source(firm);
        self.signers.stop(firm);
        let done = self.call(tenant, |central| repair::repair(central, tenant, &source));
        let told = done.as_ref().map_or(0, |done| done.updates.len());
        self.line(&format!("{tenant}: repairs: {}, {told} updates", done.is_ok()));
        // Done it may be where nobody heard of it.
        self.is_put_back[firm] = self.has_lost(firm);
        let lost = self.is_put_back[firm];
        let is_whole = done.is_err() || !lost;
        self.promise(is_whole, || "C3: a repair leaves what was lost".into());
    }

    /// Compares journal and records. The signer has to run no more.
    fn check(&mut self, firm: usize) -> Report {
        let source = self.signers.source(firm);
        let report = check::check(&self.centrals[0], FIRMS[firm], &source);
        report.unwrap_or_else(|error| self.broken(&format!("cannot check: {error:?}")))
    }

    /// C6: journal and records agree, but for what no order explains any more.
    pub(super) fn all_agrees(&mut self) {
        for firm in 0..self.firms {
            let report = self.check(firm);
            let is_known = |finding: &&check::Finding| {
                finding.kind == Kind::Unexplained
                    && self.adopted.iter().any(|grant| finding.what.contains(grant.as_str()))
            };
            let other = report.findings.iter().find(|finding| !is_known(finding));
            self.promise(other.is_none(), || format!("C6: {other:?}"));
        }
    }
}
