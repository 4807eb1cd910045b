//! The end of a world: nothing fails any more, and what is under way must come to its end.

use license_central::domain::records::{
    Case, Container, ContainerState, Decision, Grant, Place, Standing, UpdateState,
};
use zeroize::Zeroizing;

use super::device::Entry;
use super::event::Event;
use super::letters::Ask;
use super::office::FRESH;
use super::parties::FIRMS;
use super::world::World;

/// Rounds in which every container asks, until nothing is under way.
const ROUNDS: usize = 12;

/// Longer than any license lapses, with the margin, and the vendor's own delay.
const LONG_MS: u64 = 30 * 86_400_000;

impl World<'_> {
    /// Left alone, everything comes to its end; then everything comes back.
    pub(super) fn end(&mut self) {
        self.is_rough = false;
        self.line("from here on nothing is lost");
        self.raises_caps();
        for firm in 0..self.firms {
            self.repairs(firm);
            self.starts_signer(firm);
        }
        for at in 0..self.devices.len() {
            if !self.devices[at].is_powered {
                self.plug_in(at);
            }
        }
        self.judge();
        if self.dice.one_in(3) {
            self.all_lapse();
            self.all_seats_come_back();
            return self.all_agrees();
        }
        self.lets_in_who_differs();
        self.everybody_asks();
        self.all_is_settled();
        self.all_is_there();
        self.all_come_back();
        self.all_seats_come_back();
        self.all_agrees();
    }

    /// A container that differs, or is to be written anew, and was blocked is not emptied: a person
    /// lets it in again. So does one who looked at what a repair made differ: there is no case.
    fn lets_in_who_differs(&mut self) {
        for firm in 0..self.firms {
            for at in 0..self.devices.len() {
                let is_elsewhere = self.devices[at].drawers[firm].is_elsewhere;
                let is_blocked = is_elsewhere && self.is_blocked(firm, at);
                if is_blocked || self.differs_without_case(firm, at) {
                    self.sets_block(firm, at, false);
                }
            }
        }
    }

    fn differs_without_case(&self, firm: usize, at: usize) -> bool {
        let id = &self.devices[at].id;
        let differs = |known: &Container| known.state == ContainerState::Differs;
        let is_of = |(of, case): &(String, Case)| {
            of == FIRMS[firm] && case.container == *id && case.decision.is_none()
        };
        self.known(firm, at).is_some_and(differs) && !self.book.cases.values().any(is_of)
    }

    /// Whether nothing can be taken out of a container: nobody knows what it has, and it is
    /// revoked.
    fn is_stuck(&self, firm: usize, at: usize) -> bool {
        self.devices[at].drawers[firm].is_elsewhere && self.is_revoked(firm, at)
    }

    /// Old letters come, and every container asks and applies until there is nothing more.
    fn everybody_asks(&mut self) {
        for letter in std::mem::take(&mut self.letters) {
            let answers = self.deliver(&letter);
            self.letters.extend(answers);
            self.judge();
        }
        self.letters.clear();
        for _ in 0..ROUNDS {
            let mut is_quiet = true;
            for at in 0..self.devices.len() {
                for firm in 0..self.firms {
                    is_quiet &= !self.contact(at, firm, Ask::Collect);
                    // What is behind what is known is never gone back to.
                    let is_decided = self.decides_case(firm, Some(Decision::Adopt))
                        || self.decides_case(firm, Some(Decision::Dismiss));
                    is_quiet &= !is_decided;
                }
            }
            if is_quiet {
                return;
            }
        }
        self.broken("M9: containers ask, and it does not come to an end");
    }

    /// A container asks, applies what it gets, and loses the receipts half of the time: a context
    /// proves the same. Whether there was anything.
    fn contact(&mut self, at: usize, firm: usize, ask: Ask) -> bool {
        self.asks_for(at, firm, ask);
        let before = self.devices[at].drawers[firm].at();
        let letter = self.letters.pop().expect("what was asked");
        for answer in self.deliver(&letter) {
            let receipts = self.deliver(&answer);
            if self.dice.one_in(2) {
                receipts.iter().for_each(|receipt| drop(self.deliver(receipt)));
            } else if !receipts.is_empty() {
                self.note(Event::ReceiptMadeGood);
            }
        }
        self.judge();
        self.devices[at].drawers[firm].at() != before
    }

    /// Nothing is under way, and everything is as the vendor wants it.
    fn all_is_settled(&mut self) {
        for (id, update) in &self.book.updates {
            let firm = self.firm_of(&update.tenant);
            let at = self.device_of(&update.container).unwrap_or_default();
            let open = update.state == UpdateState::Outstanding && !self.is_stuck(firm, at);
            self.promise(!open, || format!("M9: update {id} is still under way"));
        }
        for firm in 0..self.firms {
            for grant in self.out(firm) {
                let at = grant.place.container().and_then(|id| self.device_of(id));
                let at = at.unwrap_or_default();
                if self.is_stuck(firm, at) {
                    continue;
                }
                let is_held = matches!(grant.place, Place::Held { .. });
                self.promise(is_held, || format!("M9: {grant:?} is still on its way out"));
                let is_blocked = self.is_blocked(firm, at);
                self.promise(!is_blocked, || format!("M9: {grant:?} in a blocked container"));
                let is_so = grant.proven == grant.wanted || self.is_revoked(firm, at);
                self.promise(is_so, || format!("M9: {grant:?} is not as it is wanted"));
                let is_over = grant.wanted == Standing::Withdrawn || grant.followed_by.is_some();
                self.promise(!is_over, || format!("M9: {grant:?} should be out"));
            }
        }
    }

    /// M9: what counts as in a container that answers is there.
    fn all_is_there(&self) {
        for firm in 0..self.firms {
            for grant in self.out(firm) {
                let Place::Held { container, .. } = &grant.place else { continue };
                let Some(at) = self.device_of(container) else { continue };
                if !self.is_welcome(firm, at) {
                    continue;
                }
                let mut entries = self.devices[at].drawers[firm].entries.values();
                let is_it = |entry: &Entry| (&entry.grant, entry.epoch) == (&grant.id, grant.epoch);
                let is_there = entries.any(is_it);
                self.promise(is_there, || format!("M9: container {at} does not have {grant:?}"));
            }
        }
    }

    /// M9: every license comes back, where containers answer.
    fn all_come_back(&mut self) {
        for firm in 0..self.firms {
            for grant in self.out(firm).iter().filter(|grant| grant.terms.units() > 0) {
                let at = grant.place.container().and_then(|id| self.device_of(id));
                match at.filter(|_| self.dice.one_in(2)) {
                    Some(at) => drop(self.sets_block(firm, at, true)),
                    None => drop(self.sets(firm, &grant.id, Standing::Withdrawn)),
                }
            }
        }
        for round in 0..3 {
            for at in 0..self.devices.len() {
                for firm in 0..self.firms {
                    // What has units stays, and goes by collecting.
                    let release = Ask::Release { products: Vec::new(), to: None };
                    let ask = if round == 1 { release } else { Ask::Collect };
                    self.contact(at, firm, ask);
                }
            }
        }
        for firm in 0..self.firms {
            let mut out = self.out(firm);
            let of = |grant: &Grant| grant.place.container().and_then(|id| self.device_of(id));
            out.retain(|grant| of(grant).is_none_or(|at| !self.is_stuck(firm, at)));
            self.promise(out.is_empty(), || format!("M9: does not come back: {out:?}"));
        }
        self.note(Event::AllCameBack);
        self.all_is_had_again();
    }

    /// What came back goes into containers again, and nothing goes there twice.
    fn all_is_had_again(&mut self) {
        for which in 0..self.bought.len() {
            let (firm, at) = (self.bought[which].firm, self.dice.below(self.devices.len()));
            let code = Zeroizing::new(self.bought[which].code.to_string());
            if code.is_empty() || !self.is_welcome(firm, at) {
                continue;
            }
            let redeemed = self.seen.times(Event::Redeemed);
            self.contact(at, firm, Ask::Activate { code, products: Vec::new() });
            if self.seen.times(Event::Redeemed) > redeemed {
                self.note(Event::HadAgain);
            }
        }
    }

    /// M10: no container answers any more. What ends by itself comes back by time alone, where the
    /// container cannot sleep.
    fn all_lapse(&mut self) {
        for firm in 0..self.firms {
            self.replaces(firm);
            for at in 0..self.devices.len() {
                self.asks_for(at, firm, Ask::Collect);
                let letter = self.letters.pop().expect("what was asked");
                self.deliver(&letter);
            }
        }
        self.pass_ms(LONG_MS);
        self.judge();
        for firm in 0..self.firms {
            self.sweeps(firm);
        }
        self.judge();
        for firm in 0..self.firms {
            for grant in self.out(firm) {
                let stays = grant.max_lapse_s.is_none() || self.may_sleep(firm, &grant);
                self.promise(stays, || format!("M10: {grant:?} does not come back"));
            }
        }
        self.note(Event::AllLapsed);
    }

    fn may_sleep(&self, firm: usize, grant: &Grant) -> bool {
        let id = grant.place.container().unwrap_or_default().to_owned();
        let known = self.book.containers.get(&(FIRMS[firm].to_owned(), id));
        let is_sure = |known: &Container| {
            known.home.has_clock || known.home.takes_time && grant.product == FRESH
        };
        !known.is_some_and(is_sure) && !matches!(grant.product, 5 | 6)
    }

    /// What lapsed is freed.
    pub(super) fn sweeps(&mut self, firm: usize) {
        let tenant = FIRMS[firm];
        let done = self.call(tenant, |central| central.sweep(tenant));
        self.line(&format!("{tenant}: sweeps: {}", done.is_ok()));
    }
}
