//! What customers do with their containers.

use license_central::domain::firm::{Signer, Wanted};
use protocol::codec::List;
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::ids::{ArtifactId, EntryNumber, Generation, OpId, ProductCode};
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{AccessMode, ItemRef, ProductItem, Requirement};
use vendor::{Change, Issuer, Setting};
use zeroize::Zeroizing;

use super::event::Event;
use super::letters::{Ask, Letter};
use super::world::World;

/// A product that is made elsewhere only: Central knows nothing of it.
pub(super) const ELSEWHERE: u32 = 99;

impl World<'_> {
    /// A customer does something with a container.
    pub(super) fn customer_acts(&mut self) {
        let (at, firm) = (self.dice.below(self.devices.len()), self.dice.below(self.firms));
        if !self.devices[at].is_powered {
            return self.plug_in(at);
        }
        match self.dice.below(21) {
            20 => self.asks_time(at, firm),
            0..=4 => self.redeems(at, firm),
            5..=10 => self.asks_for(at, firm, Ask::Collect),
            11 | 12 => self.releases(at, firm),
            13 => self.moves(at, firm),
            14 => self.sends_receipts(at, firm),
            15..=18 => self.uses(at, firm),
            _ if self.dice.one_in(2) => self.unplug(at),
            _ => {}
        }
    }

    fn redeems(&mut self, at: usize, firm: usize) {
        // Now and then somebody shows a ticket to a vendor that did not sell it.
        let of = if self.dice.one_in(8) { self.dice.below(self.firms) } else { firm };
        let Some(which) = self.draw_ticket(of) else { return };
        let code = Zeroizing::new(self.bought[which].code.to_string());
        if code.is_empty() {
            return;
        }
        let products = if self.dice.one_in(5) { vec![1] } else { Vec::new() };
        self.asks_for(at, firm, Ask::Activate { code, products });
    }

    fn releases(&mut self, at: usize, firm: usize) {
        let products = self.draw_products();
        self.asks_for(at, firm, Ask::Release { products, to: None });
    }

    fn moves(&mut self, at: usize, firm: usize) {
        let to = self.dice.below(self.devices.len());
        let to = Some(self.devices[to].serial.clone());
        let products = self.draw_products();
        self.asks_for(at, firm, Ask::Release { products, to });
    }

    fn draw_products(&mut self) -> Vec<u32> {
        if self.dice.one_in(3) { Vec::new() } else { vec![1 + self.dice.below(6) as u32] }
    }

    /// Sends a context with a question.
    pub(super) fn asks_for(&mut self, at: usize, firm: usize, ask: Ask) {
        let context = self.context(at, firm);
        self.line(&format!("container {at} asks: {}", ask.name()));
        self.letters.push(Letter::Asks { firm, at, ask, context });
    }

    /// Receipts are repeated for ever.
    fn sends_receipts(&mut self, at: usize, firm: usize) {
        self.note(Event::SentAgain);
        let last = self.devices[at].drawers[firm].at().seq;
        for seq in last.saturating_sub(2).max(1)..=last {
            if let Some(receipt) = self.receipt(at, firm, seq) {
                self.letters.push(Letter::Proves { firm, at, receipt });
            }
        }
    }

    fn uses(&mut self, at: usize, firm: usize) {
        let items: Vec<ItemRef> = self.devices[at].drawers[firm].entries.keys().copied().collect();
        if items.is_empty() {
            return;
        }
        let item = items[self.dice.below(items.len())];
        let is_paid = item.product == ProductCode(3);
        let requirement =
            Requirement { units: u32::from(is_paid), ..self.requirement(firm, item.product) };
        let op = OpId::new(self.dice.bytes());
        let open = SeatCommand::Open { op, requirement, artifact: ArtifactId::default() };
        match self.devices[at].bench.command(Command::Seat(open)) {
            Reply::Seat(SeatReply::Opened(grant)) => {
                self.note(if is_paid { Event::UsedUnits } else { Event::Used });
                let close = SeatCommand::Close { handle: grant.handle };
                self.devices[at].bench.command(Command::Seat(close));
            }
            _ => self.note(Event::NotUsable),
        }
    }

    /// The least that a program can require of a product.
    pub(super) fn requirement(&self, firm: usize, product: ProductCode) -> Requirement {
        Requirement {
            root_fp: self.fp(firm),
            product,
            features: 0,
            units: 0,
            release_s: 0,
            access: AccessMode::UserLimit,
            certified_age_s: 0,
            generation: Generation(0),
        }
    }

    /// Somebody else with the vendor's keys issues to a container of which Central knows.
    pub(super) fn issues_elsewhere(&mut self, at: usize, firm: usize) {
        let is_known = self.known(firm, at).is_some() && self.devices[at].is_powered;
        if !is_known || self.dice.one_in(2) {
            return;
        }
        let (trust, signer) = &self.parties.firms[firm].stages[self.stages[firm]];
        let item = ItemRef { product: ProductCode(ELSEWHERE), entry: EntryNumber(0) };
        let item = ProductItem { item, options: List::default() };
        let setting =
            Setting { item, generation: Generation(0), units: Vec::new(), data: Vec::new() };
        let wanted = Wanted {
            certificate: self.devices[at].certificate(),
            before: self.devices[at].drawers[firm].at(),
            changes: &[Change::Set(Box::new(setting))],
            issued_s: self.true_s(),
        };
        let (leaf, _) = signer.draft(&wanted).expect("its own update");
        let objects = signer.sign(&[leaf]).expect("its own keys");
        let new = protocol::objects::statement::ContextBody {
            nonce: Default::default(),
            config_hash: Default::default(),
            root_version: 0,
            revocation_epoch: 0,
            time: protocol::objects::statement::TimeInfo {
                floor_s: 0,
                now_s: 0,
                class: protocol::objects::device::ClockClass::Session,
                certified_s: 0,
            },
            commits: 0,
            entries: 0,
            firmware: 0,
            request: None,
        };
        let lacking = Issuer::of(trust).expect("a root").lacking(&new);
        let bytes = file::write(FileKind::Update, &[&lacking, &objects[0]]);
        self.note(Event::MadeElsewhere);
        self.line(&format!("container {at}: an update from elsewhere"));
        self.apply(at, firm, &bytes);
    }
}
