//! The promises of seats, units and log, looked at after every step.

use std::collections::BTreeSet;

use protocol::codec::Fixed;
use protocol::command::{Command, Reply};
use protocol::ids::{OpId, ProductCode};
use protocol::objects::license::AccessMode;

use super::client::{Need, Use};
use super::event::Event;
use super::world::World;

/// The channel of whoever looks on.
const OBSERVER: u32 = u32::MAX;

/// Longer than a container counts a seat that nobody keeps, linger time included.
const SHARED_MS: u64 = 60_000;

impl World {
    /// All promises, as far as they can be seen now.
    pub(super) fn judge(&mut self) {
        self.judge_seats();
        if !self.is_powered || !self.has_moved() {
            return;
        }
        for at in self.busy_firms() {
            self.judge_log(at);
        }
        for (at, which) in self.busy.clone() {
            self.judge_units(at, which);
        }
        for (firm, claim) in std::mem::take(&mut self.claims) {
            let told = self.firms[firm].book.has(&claim);
            self.promise(told, || format!("U3: {claim:?} was confirmed and is not in the log"));
        }
    }

    fn busy_firms(&self) -> BTreeSet<usize> {
        self.busy.iter().map(|(firm, _)| *firm).collect()
    }

    /// F1: no more uses than seats, by the clocks of those who use.
    fn judge_seats(&mut self) {
        for at in 0..self.firms.len() {
            let products: BTreeSet<ProductCode> =
                self.firms[at].entries.iter().map(|entry| entry.item.product).collect();
            for product in products {
                let used = self.used(at, product);
                let most = self.quantity(at, product);
                let keeps = most == 0 || used <= most;
                self.promise(keeps, || {
                    let holders = self.holders(at, product);
                    format!("F1: {used} uses of {product:?}, {most} seats: {holders:#?}")
                });
            }
        }
    }

    /// Seats of a product, 0 where they are not counted.
    pub(super) fn quantity(&self, firm: usize, product: ProductCode) -> usize {
        self.firms[firm].of(product).map(|entry| entry.most as usize).sum()
    }

    /// Seats of a product that clients believe to hold: a family has one, and so has a station that
    /// shares.
    pub(super) fn used(&self, firm: usize, product: ProductCode) -> usize {
        let mut families = BTreeSet::new();
        let mut stations = BTreeSet::new();
        for (at, held) in self.holders(firm, product) {
            match held.need.access {
                AccessMode::NoUserLimit => {}
                AccessMode::StationShare => {
                    stations.insert(self.clients[at].who.station.0);
                }
                _ => {
                    families.insert(held.family);
                }
            }
        }
        families.len() + stations.len()
    }

    /// Clients that believe to use a product.
    fn holders(&self, firm: usize, product: ProductCode) -> Vec<(usize, &Use)> {
        let mut holders = Vec::new();
        for (at, client) in self.clients.iter().enumerate() {
            let held = client.active(self.now_ms);
            let is_of = |held: &&Use| (held.need.firm, held.need.product) == (firm, product);
            holders.extend(held.filter(is_of).map(|held| (at, held)));
        }
        holders
    }

    fn is_counted(&self, need: Need) -> bool {
        need.access != AccessMode::NoUserLimit && self.quantity(need.firm, need.product) > 0
    }

    /// A seat was given to somebody new. F3: not while a use of an earlier power session may go on,
    /// but where it is one with a seat of this power session.
    pub(super) fn judge_new_seat(&mut self, at: usize, need: Need, op: OpId) {
        let station = self.clients[at].who.station;
        let shares = need.access == AccessMode::StationShare && self.is_shared(need, station);
        if shares {
            self.note(Event::SeatShared);
        }
        for other in &self.clients {
            let Some(held) = other.active(self.now_ms) else { continue };
            let same = (held.need.firm, held.need.product) == (need.firm, need.product);
            if !same || held.family == op {
                continue;
            }
            let is_old = held.session != self.session;
            if self.is_counted(need) && self.is_counted(held.need) && is_old && !shares {
                self.broken("F3: a new seat beside one of an earlier power session");
            }
            let both = held.need.access == AccessMode::Exclusive && held.need.access == need.access;
            // Of two entries of a product each allows one; and what is not counted is not waited
            // for after a power cut.
            let is_one = self.firms[need.firm].of(need.product).count() == 1;
            let is_kept = is_one && (self.is_counted(need) || !is_old);
            if both && is_kept && other.who.station == station {
                self.broken("F1: two exclusive uses on one station");
            }
        }
        self.judge_linger(at, need);
        self.note_station(at, need);
    }

    /// Notes that the container counts a seat that a station shares, or may do so: its answer was
    /// lost.
    pub(super) fn note_station(&mut self, at: usize, need: Need) {
        if need.access == AccessMode::StationShare {
            let place = (need.firm, need.product, self.clients[at].who.station.0);
            self.stations.insert(place, (self.session, self.now_ms));
        }
    }

    /// Whether the container may count such a seat: nobody kept it for longer than it would.
    fn is_shared(&self, need: Need, station: Fixed<16>) -> bool {
        let noted = self.stations.get(&(need.firm, need.product, station.0));
        noted.is_some_and(|(session, kept_ms)| {
            *session == self.session && self.now_ms < kept_ms + SHARED_MS
        })
    }

    /// A seat that lingered, taken again by its own user while nobody else would have had it.
    fn judge_linger(&mut self, at: usize, need: Need) {
        let who = self.clients[at].who;
        let left = self.lingering.iter().position(|(left, other, until_ms)| {
            let same = (left.firm, left.product) == (need.firm, need.product);
            same && *until_ms > self.now_ms
                && (other.user, other.station) == (who.user, who.station)
        });
        if let Some(left) = left {
            self.lingering.remove(left);
            self.note(Event::LingerRetaken);
        }
    }

    pub(super) fn is_lingering(&self, need: Need) -> bool {
        self.used(need.firm, need.product) < self.quantity(need.firm, need.product)
            && self.lingering.iter().any(|(left, _, until_ms)| {
                (left.firm, left.product) == (need.firm, need.product) && *until_ms > self.now_ms
            })
    }

    /// What an entry asks for beside seats and units: it is enabled, fresh, and not over.
    pub(super) fn judge_entry(&mut self, need: Need) {
        let (session, true_s) = (self.session, self.true_s());
        let firm = &self.firms[need.firm];
        let refuses = |entry: &&super::firm::Entry| {
            let stale = entry.needs_fresh_time && firm.fresh_session != session;
            let begun_s = firm.book.first_uses.get(&entry.item).copied();
            let end_s =
                entry.period_s.zip(begun_s).map(|(period_s, at_s)| at_s + u64::from(period_s));
            firm.is_surely_suspended(entry)
                || stale
                || end_s.is_some_and(|end_s| self.is_exact() && true_s > end_s)
        };
        if let Some(entry) = firm.of(need.product).find(refuses) {
            let item = entry.item;
            if firm.of(need.product).count() == 1 {
                self.broken(&format!("a use of {item:?}, which refuses all"));
            }
        }
    }

    /// L2, L3: the log grows at its end, by whole entries, and keeps what was not acknowledged.
    pub(super) fn judge_log(&mut self, at: usize) {
        loop {
            let after = self.firms[at].book.entries.len() as u64;
            let page = self.log_page(at, after);
            let Some(page) = page else {
                self.broken("L3: an entry was pruned before it was seen")
            };
            let is_last = page.len() < protocol::limits::LOG_ENTRIES_PER_REPLY;
            for entry in page {
                match self.firms[at].book.enter(entry) {
                    Ok(event) => event.into_iter().for_each(|event| self.note(event)),
                    Err(why) => self.broken(&why),
                }
            }
            if is_last {
                break;
            }
        }
        if self.dice.one_in(8) {
            let after = self.firms[at].acked();
            let page = self.log_page(at, after);
            let book = &self.firms[at].book.entries;
            let kept = page.is_some_and(|page| book[after as usize..].starts_with(&page));
            self.promise(kept, || format!("L3: the log behind {after} is not what it was"));
        }
    }

    fn log_page(
        &mut self,
        at: usize,
        after: u64,
    ) -> Option<Vec<protocol::objects::usage::UsageEntry>> {
        let firm = self.firms[at].vendor.fp();
        match self.tell(OBSERVER, "", Command::UsageEntries { firm, after }) {
            Reply::UsageEntries(page) => Some(page.into_vec()),
            _ => None,
        }
    }

    /// U1, U2: the account is what the log makes of it.
    fn judge_units(&mut self, at: usize, which: usize) {
        let (firm, entry) = (self.firms[at].vendor.fp(), &self.firms[at].entries[which]);
        if entry.rule.is_none() {
            return;
        }
        let item = entry.item;
        let shown = match self.tell(OBSERVER, "", Command::ItemState { firm, item }) {
            Reply::ItemState(state) => state.units.unwrap_or_default(),
            _ => Default::default(),
        };
        let account = self.firms[at].book.accounts.entry(item).or_default();
        match account.compare(shown) {
            Ok(event) => event.into_iter().for_each(|event| self.note(event)),
            Err(why) => self.broken(&why),
        }
    }
}
