//! Processes of the vendor: they are called, fail, end anywhere, and begin anew.

use license_central::domain::central::Central;
use license_central::domain::refusal::{Outcome, Refusal};

use super::disk::Fault;
use super::event::Event;
use super::machine::instance;
use super::parties::{FIRMS, REVOKED, ROTATED_AGAIN};
use super::signer::{Accident, caps};
use super::world::World;

impl World<'_> {
    /// Calls Central, with whatever goes wrong, and takes in what it committed and what was signed.
    pub(super) fn call<T>(
        &mut self,
        tenant: &str,
        ask: impl Fn(&Central) -> Outcome<T>,
    ) -> Outcome<T> {
        let firm = self.firm_of(tenant);
        let (fault, accident) = self.draw_faults();
        let which = self.dice.below(self.centrals.len());
        self.disk.arm(fault);
        self.signers.arm(firm, accident);
        let done = ask(&self.centrals[which]);
        self.disk.arm(Fault::None);
        self.notes_accident(firm, accident);
        self.take_commits(tenant);
        // What was made anew as it was is lost no more.
        self.is_put_back[firm] = self.is_put_back[firm] && self.has_lost(firm);
        self.reads_journal(firm);
        let failed = matches!(done, Err(Refusal::Store(_)));
        match fault {
            Fault::Gone(_) if failed => self.note(Event::StoreFailed),
            Fault::Conflict(_) => self.note(Event::StoreConflict),
            Fault::AfterCommit if failed => self.note(Event::CommitUnheard),
            _ => {}
        }
        let other = failed && fault == Fault::None;
        self.promise(!other, || "the store refuses, and nothing failed".into());
        if self.is_rough && (failed || self.dice.one_in(60)) && self.dice.one_in(2) {
            self.crash(which);
        }
        self.looks_after_signer(firm);
        done
    }

    fn draw_faults(&mut self) -> (Fault, Accident) {
        let fault = match self.dice.below(if self.is_rough { 24 } else { 1 }) {
            1 => Fault::Gone(self.dice.below(30) as u32),
            2 => Fault::Conflict(self.dice.below(30) as u32),
            3 => Fault::AfterCommit,
            _ => Fault::None,
        };
        let which = self.dice.below(4) as u32;
        let accident = match self.dice.below(if self.is_rough { 30 } else { 1 }) {
            1 => Accident::Gone(which),
            2 => Accident::Unheard(which),
            3 => Accident::Cut(which / 2),
            4 => Accident::Medium(which / 2, 1 + self.dice.below(2) as u32),
            _ => Accident::None,
        };
        (fault, accident)
    }

    fn notes_accident(&mut self, firm: usize, accident: Accident) {
        if self.signers.has_happened(firm) {
            self.line(&format!("{}: its signer: {accident:?}", FIRMS[firm]));
            self.note(match accident {
                Accident::Unheard(_) => Event::SignerUnheard,
                Accident::Cut(_) => Event::JournalCut,
                Accident::Medium(..) => Event::JournalFailed,
                Accident::None | Accident::Gone(_) => Event::SignerDied,
            });
        }
        self.signers.arm(firm, Accident::None);
    }

    /// A signer that ended is started again, sooner or later. Now and then one is for no reason.
    fn looks_after_signer(&mut self, firm: usize) {
        let is_up = self.signers.is_up(firm);
        let starts = if is_up { self.dice.one_in(40) } else { self.dice.one_in(3) };
        // Where nothing is rough any more, one that is down is up again, and no other is touched.
        let wanted = if self.is_rough { starts } else { !is_up };
        if wanted {
            self.starts_signer(firm);
        }
    }

    /// Starts a signer on what its medium has kept.
    pub(super) fn starts_signer(&mut self, firm: usize) {
        let dice = &mut self.dice;
        if self.signers.lose(firm, |most| dice.below(most as usize) as u64) {
            self.note(Event::JournalTorn);
        }
        let (_, signer) = &self.parties.firms[firm].stages[self.stages[firm]];
        let started = self.signers.start(firm, (signer, caps(self.cap)));
        self.promise(started.is_ok(), || format!("the signer does not start: {started:?}"));
        self.note(Event::SignerRestarted);
        self.line(&format!("{}: its signer starts", FIRMS[firm]));
        self.reads_journal(firm);
    }

    /// Somebody looks at the caps, and takes them up.
    pub(super) fn raises_caps(&mut self) {
        if self.cap.take().is_none() {
            return;
        }
        self.note(Event::CapRaised);
        self.line("the caps are raised");
        (0..self.firms).for_each(|firm| self.signers.set_caps(firm, caps(None)));
    }

    /// A firm rotates its licensing key, or revokes a container: with its new trust, its instances
    /// and its signer start again.
    pub(super) fn goes_on_with_keys(&mut self, firm: usize) {
        let next = self.stages[firm] + 1;
        if next > ROTATED_AGAIN {
            return;
        }
        self.stages[firm] = next;
        let is_met = self.devices.iter().any(|device| device.is_revocable);
        match next {
            REVOKED if is_met => self.note(Event::ContainerRevoked),
            REVOKED => {}
            _ => self.note(Event::KeyRotated),
        }
        self.line(&format!("{}: stage {next}", FIRMS[firm]));
        self.starts_signer(firm);
        (0..self.centrals.len()).for_each(|which| self.restarts(which));
    }

    /// An instance ends, wherever it was, and another one begins over the same store.
    fn crash(&mut self, which: usize) {
        self.note(Event::CentralCrashed);
        self.line("Central crashed");
        self.restarts(which);
    }

    pub(super) fn restarts(&mut self, which: usize) {
        self.disk.arm(Fault::None);
        let (on, at) = ((&self.disk, &self.signers), (&self.machine, self.skews_ms[which]));
        self.centrals[which] = instance(self.parties, on, at, &self.stages);
    }
}
