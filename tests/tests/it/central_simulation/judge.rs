//! What is promised, looked at after every step.
//!
//! What a container can use it says itself. What it must hold follows from the updates that it
//! applied.

use std::collections::{BTreeMap, BTreeSet};

use license_central::domain::records::{
    ContainerState, EffectKind, Grant, Place, Standing, UpdateState,
};
use license_central::store::Write;
use protocol::command::{Command, Reply};
use protocol::errors::ErrorCode;
use protocol::limits::UPDATES_OUTSTANDING_MAX;
use protocol::objects::device::ClockClass;
use protocol::objects::license::ItemRef;

use super::book::{Changes, Decided, Done};
use super::event::Event;
use super::parties::FIRMS;
use super::users::ELSEWHERE;
use super::world::World;

/// Refusals of a license that can be used otherwise.
const FOR_NOW: [ErrorCode; 6] = [
    ErrorCode::SeatQuarantine,
    ErrorCode::ReplugTooFast,
    ErrorCode::NoSeat,
    ErrorCode::StationBusy,
    ErrorCode::NoUnits,
    ErrorCode::UsageLogFull,
];

impl World<'_> {
    /// Takes in what Central committed for a tenant.
    pub(super) fn take_commits(&mut self, tenant: &str) {
        for commit in self.disk.take_commits() {
            self.is_of(&commit, tenant);
            match self.book.take(&commit) {
                Ok(changes) => self.weigh(&changes),
                Err(why) => self.broken(&why),
            }
        }
    }

    /// C4: a call for a tenant writes rows of that tenant.
    fn is_of(&self, commit: &[Write], tenant: &str) {
        let other = commit.iter().find(|write| write.tenant != tenant);
        self.promise(other.is_none(), || format!("C4: a row of {:?}", other.map(|w| &w.tenant)));
    }

    /// What one commit changed.
    fn weigh(&mut self, changes: &Changes) {
        for id in &changes.issued {
            let update = self.book.updates[id].clone();
            let has = |action: &str| changes.notes.iter().any(|note| note.action == action);
            match (has("journal.adopt"), has("update.reissue")) {
                (true, _) => {}
                // It does what was decided before.
                (_, true) => self.note(Event::MadeAnew),
                _ => self.weigh_issued(&update),
            }
        }
        for id in &changes.settled {
            let update = self.book.updates[id].clone();
            self.weigh_settled(&update);
        }
        for (before, after) in &changes.grants {
            if let Some(before) = before {
                self.weigh_grant(before, after);
            }
        }
        for note in &changes.notes {
            if note.action == "journal.adopt" {
                self.note(Event::Repaired);
            }
            if note.action == "grant.adopt" {
                self.note(Event::MadeAgain);
                self.adopted.insert(note.object.clone());
            }
            let line = format!("    {} {}", note.action, words(&note.detail));
            self.line(&line);
        }
    }

    /// M12: who gets nothing gets no install. M3: no more than the window.
    fn weigh_issued(&mut self, update: &Decided) {
        let firm = self.firm_of(&update.tenant);
        let Some(at) = self.device_of(&update.container) else { return };
        let may = self.is_welcome(firm, at) || update.only_removes();
        self.promise(may, || format!("M12: container {at} gets something: {update:?}"));
        let known = self.known(firm, at).expect("it was met").clone();
        let waiting = known.chain.live_from(known.chain.base).count() as u64;
        self.promise(waiting <= UPDATES_OUTSTANDING_MAX, || format!("M3: {waiting} under way"));
        for done in &update.done {
            let grant = self.book.grants[&done.effect.grant].clone();
            match done.effect.kind {
                EffectKind::Renew => self.note_of(Event::RenewalUnderWay, &grant),
                EffectKind::Release if grant.wanted == Standing::Suspended => {
                    self.note_of(Event::ReleaseWhileSuspended, &grant);
                }
                EffectKind::Install if grant.follows.is_some() => {
                    self.note_of(Event::ReplacementUnderWay, &grant);
                }
                _ => {}
            }
        }
        match waiting {
            0 | 1 => {}
            UPDATES_OUTSTANDING_MAX => self.note(Event::WindowFull),
            _ => self.note(Event::TwoUnderWay),
        }
    }

    /// M7: what counts as applied was applied, and what does not never was.
    fn weigh_settled(&mut self, update: &Decided) {
        let firm = self.firm_of(&update.tenant);
        let Some(at) = self.device_of(&update.container) else { return };
        let was_applied = self.devices[at].drawers[firm].path.contains(&update.after);
        let seq = update.after.seq;
        match update.state {
            UpdateState::Confirmed => {
                self.promise(was_applied, || format!("M7: {seq} is confirmed, and was not applied"))
            }
            UpdateState::Dead => {
                self.promise(!was_applied, || format!("M7: {seq} is dead, and was applied"));
            }
            _ => {}
        }
    }

    fn weigh_grant(&mut self, before: &Grant, after: &Grant) {
        self.promise(after.epoch >= before.epoch, || format!("M4: {before:?} {after:?}"));
        let Some(container) = before.place.container() else { return };
        if after.overlaps > before.overlaps {
            let booked = (after.id.clone(), before.epoch, container.to_owned());
            self.book.booked.insert(booked);
            self.note(Event::ReclaimedAtRisk);
        }
        if after.place.container().is_some() {
            return;
        }
        if after.overlaps == before.overlaps
            && before.max_lapse_s.is_some_and(|lapse_s| lapse_s < self.true_s())
            && matches!(before.place, Place::Held { .. })
        {
            let at = self.device_of(container);
            let is_told = at.is_some_and(|at| self.devices[at].clock == ClockClass::Signed);
            let event = Event::ReclaimedSurely;
            self.note(if is_told { Event::ReclaimedSurelyOfTold } else { event });
        }
        let firm = self.firm_of(&self.book.owners[&after.id]);
        let blocked = self.device_of(container).is_some_and(|at| !self.is_welcome(firm, at));
        if blocked && matches!(before.place, Place::Releasing { .. }) {
            self.note(Event::BlockedEmptied);
        }
    }

    /// All that must hold now.
    pub(super) fn judge(&mut self) {
        self.judge_grants();
        self.judge_seats();
        let mut used = BTreeSet::new();
        for at in 0..self.devices.len() {
            // C3: what is known of a firm's containers again when journal and records agree.
            let agree = |firm: &usize| !self.is_put_back[*firm];
            for firm in (0..self.firms).filter(agree).collect::<Vec<_>>() {
                self.judge_chain(at, firm);
                if self.devices[at].is_powered {
                    used.extend(self.judge_container(at, firm));
                }
            }
        }
        self.judge_replaced(&used);
    }

    /// M1: what was replaced and what took its place are not used together.
    fn judge_replaced(&self, used: &BTreeSet<String>) {
        for grant in used.iter().map(|id| &self.book.grants[id]) {
            let mut orders = self.book.orders.values();
            let order = orders.find(|order| order.ticket == grant.ticket);
            let Some(old) = order.and_then(|order| order.replaces.as_ref()) else { continue };
            let mut old = self.book.activation(old, grant.device);
            let both = old.find(|old| used.contains(&old.id));
            self.promise(both.is_none(), || format!("M1: {both:?} beside {grant:?}"));
        }
    }

    /// M6, U1, and that what follows something is free with it.
    fn judge_grants(&self) {
        for grant in self.book.grants.values() {
            let of_it = |done: &&Done| done.effect.grant == grant.id;
            let own = self.book.updates.values().flat_map(|update| &update.done).filter(of_it);
            // One that was made anew under another key is the same.
            let live = self.book.updates.values().filter(|one| one.state != UpdateState::Dead);
            let brought = live.flat_map(|one| {
                let place = (&one.container, one.after.seq);
                one.done.iter().filter(of_it).map(move |done| (place, done.units))
            });
            let units: u64 = BTreeMap::from_iter(brought).into_values().sum();
            let sold = grant.terms.units();
            self.promise(units <= sold, || format!("U1: {units} of {sold} units were issued"));
            let is_out = grant.place.container().is_some();
            let of_now = own.filter(|done| {
                done.effect.epoch == grant.epoch && done.effect.kind != EffectKind::Release
            });
            for done in of_now.filter(|_| is_out) {
                let waited = match (grant.max_lapse_s, done.lapse_s) {
                    (None, _) => true,
                    (Some(_), None) => false,
                    (Some(waited), Some(own)) => waited >= own,
                };
                self.promise(waited, || format!("M6: {grant:?} does not wait for {done:?}"));
            }
            let Some(old) = &grant.follows else { continue };
            let mut before = self.book.activation(old, grant.device);
            let is_waiting = before.any(|one| !one.is_gone());
            self.promise(is_waiting, || format!("M9: {grant:?} follows what is gone"));
        }
    }

    /// M3: a container is at what it proved, or within the window behind it.
    fn judge_chain(&self, at: usize, firm: usize) {
        let drawer = &self.devices[at].drawers[firm];
        let Some(known) = self.known(firm, at) else { return };
        let (base, now) = (known.chain.base, drawer.at());
        let is_proved = drawer.path.contains(&base);
        self.promise(is_proved, || format!("M3: {} is proved, and never was", base.seq));
        // Receipts may have been lost with the records.
        let most = UPDATES_OUTSTANDING_MAX.max(known.chain.outstanding.len() as u64);
        let fits = now.seq.saturating_sub(base.seq) <= most || drawer.is_elsewhere;
        self.promise(fits, || format!("M3: at {}, proved is {}", now.seq, base.seq));
    }

    /// M1, M2, M5: what can be used is counted there, or booked. What is counted, of that.
    fn judge_container(&mut self, at: usize, firm: usize) -> Vec<String> {
        let mut used = Vec::new();
        for item in self.items(at, firm) {
            if item.product.0 == ELSEWHERE {
                continue;
            }
            let entry = self.devices[at].drawers[firm].entries.get(&item).cloned();
            let Some(entry) = entry else {
                self.broken(&format!("M13: entry {item:?} of no update in container {at}"));
            };
            self.judge_units(at, firm, item);
            if !self.is_usable(at, firm, item) {
                continue;
            }
            let grant = self.book.grants[&entry.grant].clone();
            let id = self.devices[at].id.clone();
            let is_counted = grant.place.container() == Some(&id) && grant.epoch == entry.epoch;
            let booked = (entry.grant.clone(), entry.epoch, id);
            let is_booked = self.book.booked.contains(&booked);
            self.promise(is_counted || is_booked, || {
                format!("M1, M2, M5: container {at} uses {entry:?}, and Central has {grant:?}")
            });
            if is_booked && !is_counted {
                self.note_of(Event::InUseBesideOverlap, &grant);
            }
            let over = grant.max_lapse_s.is_some_and(|lapse_s| lapse_s + 3600 < self.true_s());
            if over && is_counted && self.devices[at].clock != ClockClass::Rtc {
                self.note_of(Event::StayedWithSleeper, &grant);
            }
            // What is written anew after a case is both what was replaced and what took its place.
            if is_counted && !self.devices[at].drawers[firm].is_elsewhere {
                used.push(grant.id);
            }
        }
        used
    }

    /// U1, U2, U3: what was granted is what updates brought, and is all there.
    fn judge_units(&mut self, at: usize, firm: usize, item: ItemRef) {
        if item.product.0 != 3 {
            return;
        }
        let command = Command::ItemState { firm: self.fp(firm), item };
        let Reply::ItemState(state) = self.devices[at].bench.command(command) else {
            self.broken("no state of an entry")
        };
        let units = state.units.expect("an entry that is paid for");
        let entry = self.devices[at].drawers[firm].entries.get_mut(&item).expect("it is there");
        let before = std::mem::replace(&mut entry.used, units.used);
        let granted = entry.units;
        let sum = units.left + units.reserved + units.used + units.removed;
        self.promise(units.granted == sum && sum == granted, || {
            format!("U1: {units:?} in container {at}, and {granted} were issued")
        });
        self.promise(units.used >= before, || format!("U2: {before} were used, now {units:?}"));
    }

    /// All entries of a firm.
    fn items(&mut self, at: usize, firm: usize) -> Vec<ItemRef> {
        let firm = self.fp(firm);
        let mut items: Vec<ItemRef> = Vec::new();
        loop {
            let command = Command::Items { firm, after: items.last().copied() };
            match self.devices[at].bench.command(command) {
                Reply::Items(page) if !page.is_empty() => {
                    items.extend(page.iter().map(|item| item.item));
                }
                _ => return items,
            }
        }
    }

    /// Whether a container lets an entry be used.
    fn is_usable(&mut self, at: usize, firm: usize, item: ItemRef) -> bool {
        let requirement = self.requirement(firm, item.product);
        let after = item.entry.0.checked_sub(1).map(protocol::ids::EntryNumber);
        let judged = self.devices[at].bench.command(Command::Judge { requirement, after });
        let Reply::Judged(Some(judged)) = judged else { self.broken("an entry is not judged") };
        self.promise(judged.entry == item.entry, || "another entry is judged".into());
        let refused = judged.refusal.map(|failure| failure.known());
        refused.is_none_or(|code| code.is_some_and(|code| FOR_NOW.contains(&code)))
    }

    /// Whether a container is emptied, where it gets nothing.
    pub(super) fn is_blocked(&self, firm: usize, at: usize) -> bool {
        self.known(firm, at).is_some_and(|known| known.state == ContainerState::Blocked)
    }

    /// Grants of a firm that are out.
    pub(super) fn out(&self, firm: usize) -> Vec<Grant> {
        let own = |grant: &&Grant| self.book.owners[&grant.id] == FIRMS[firm];
        let grants = self.book.grants.values().filter(own);
        grants.filter(|grant| grant.place.container().is_some()).cloned().collect()
    }
}

/// What of a text is the same in each run of a seed.
fn words(detail: &str) -> &str {
    if detail.contains('…') { "" } else { detail }
}
