//! A firm: what it sells into the dongle, its updates, its copy of the usage log, its time.

use std::sync::Arc;

use protocol::codec::{self, Bytes, Fixed, List};
use protocol::command::{Command, Reply};
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, EntryNumber, Generation, ProductCode};
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::license::{
    ItemOption, ItemRef, LostUnits, ProductItem, Status, TimeRule, UnitRule,
};
use protocol::objects::statement::{TimeInfo, TimeTokenBody};
use protocol::objects::update::{UnitsChange, UpdateOp};
use protocol::objects::usage::{UsageEntry, UsageHeadBody, chain, check_chain, genesis_head};
use protocol::signed::{Header, Kind, Role, UnverifiedObject, write_object};
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::{Place, Update, Vendor};

use super::book::Book;
use super::event::Event;
use super::world::World;

/// Units of an entry at first.
const UNITS: u64 = 60;

/// Most seats that an entry ever has.
const QUANTITY_MAX: u32 = 3;

/// A license entry as its firm wants it.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    pub(super) item: ItemRef,
    /// Seats; 0 = not counted. It only rises.
    pub(super) quantity: u32,
    /// The most that the container may go by: an update may have been applied unheard.
    pub(super) most: u32,
    pub(super) linger_s: u32,
    pub(super) rule: Option<UnitRule>,
    pub(super) period_s: Option<u32>,
    pub(super) needs_fresh_time: bool,
    pub(super) is_suspended: bool,
    is_removed: bool,
}

/// Something that an update changes.
#[derive(Debug, Clone, Copy)]
enum Change {
    Units(UnitsChange),
    Quantity(u32),
    Suspended(bool),
    Removed(bool),
}

/// An update that may have been applied.
#[derive(Clone)]
struct Sent {
    update: Update,
    at: usize,
    change: Change,
}

/// A firm, beside what its containers hold of it.
#[derive(Clone)]
pub(super) struct Firm {
    pub(super) vendor: Arc<Vendor>,
    container: ContainerId,
    place: Place,
    pub(super) entries: Vec<Entry>,
    sent: Option<Sent>,
    applied: Option<Update>,
    /// The log as it was written.
    pub(super) book: Book,
    /// What the firm took in, with the head after each entry.
    taken_in: Vec<(UsageEntry, [u8; 32])>,
    /// What it acknowledged: number and object, the highest last.
    acks: Vec<(u64, Vec<u8>)>,
    floor_s: u64,
    /// The power session in which it certified time last, as far as it knows.
    pub(super) fresh_session: u32,
}

fn entry(product: u32, number: u16, quantity: u32) -> Entry {
    Entry {
        item: ItemRef { product: ProductCode(product), entry: EntryNumber(number) },
        quantity,
        most: quantity,
        linger_s: 0,
        rule: None,
        period_s: None,
        needs_fresh_time: false,
        is_suspended: false,
        is_removed: false,
    }
}

/// What each of the firms sells.
fn entries(number: usize) -> Vec<Entry> {
    let charged = UnitRule { reserve_max: 9, lost: LostUnits::Charged };
    let held = UnitRule { reserve_max: 9, lost: LostUnits::Held };
    match number {
        0 => vec![
            entry(1, 0, 2),
            Entry { linger_s: 25, ..entry(2, 0, 1) },
            Entry { rule: Some(charged), ..entry(3, 0, 0) },
        ],
        1 => vec![
            Entry { rule: Some(held), ..entry(4, 0, 1) },
            Entry { period_s: Some(150), ..entry(5, 0, 2) },
            entry(6, 0, 1),
            entry(6, 1, 1),
        ],
        _ => vec![
            Entry { needs_fresh_time: true, ..entry(7, 0, 1) },
            Entry { rule: Some(charged), ..entry(8, 0, 2) },
        ],
    }
}

impl Entry {
    fn as_item(&self) -> ProductItem {
        let mut options = Vec::new();
        if self.quantity > 0 {
            options.push(ItemOption::LicenseQuantity(self.quantity));
        }
        options.extend(self.period_s.map(ItemOption::UsagePeriod));
        if self.is_suspended {
            options.push(ItemOption::Status(Status::Suspended));
        }
        if self.linger_s > 0 {
            options.push(ItemOption::LingerTime(self.linger_s));
        }
        options.extend(self.rule.map(ItemOption::UnitCounter));
        if self.needs_fresh_time {
            options.push(ItemOption::TimeRule(TimeRule::FreshToken));
        }
        ProductItem { item: self.item, options: List::new(options).expect("few options") }
    }

    fn draw_change(&self, dice: &mut Dice) -> Change {
        if self.is_removed {
            return Change::Removed(false);
        }
        let rarely = dice.below(8);
        if self.is_suspended || rarely == 0 {
            return Change::Suspended(!self.is_suspended);
        }
        if rarely == 1 {
            return Change::Removed(true);
        }
        if self.rule.is_none() {
            return Change::Quantity((self.quantity + 1).min(QUANTITY_MAX));
        }
        Change::Units(match dice.below(8) {
            0..=2 => UnitsChange::Add(1 + dice.below(40) as u64),
            3 => UnitsChange::Remove(1 + dice.below(30) as u64),
            4 | 5 => UnitsChange::ChargeReserved,
            _ => UnitsChange::ReleaseReserved,
        })
    }

    fn op_of(&self, change: Change) -> UpdateOp {
        let mut after = self.clone();
        after.apply(change);
        match change {
            Change::Units(change) => UpdateOp::Units { item: self.item, change },
            Change::Removed(true) => UpdateOp::RemoveItem(self.item),
            _ => UpdateOp::SetItem(after.as_item()),
        }
    }

    fn apply(&mut self, change: Change) {
        match change {
            Change::Units(_) => {}
            Change::Quantity(quantity) => self.quantity = quantity,
            Change::Suspended(is_suspended) => self.is_suspended = is_suspended,
            Change::Removed(is_removed) => self.is_removed = is_removed,
        }
    }
}

impl Firm {
    pub(super) fn new(number: usize, vendor: Arc<Vendor>, container: ContainerId) -> Self {
        Firm {
            container,
            place: vendor.first_place(container),
            entries: entries(number),
            vendor,
            sent: None,
            applied: None,
            book: Book::default(),
            taken_in: Vec::new(),
            acks: Vec::new(),
            floor_s: 0,
            fresh_session: 0,
        }
    }

    /// The first update: entries, keys, and units.
    pub(super) fn enter(&mut self, bench: &mut Bench) {
        let mut ops = Vec::new();
        for entry in &self.entries {
            let key = (entry.item.product, Generation(0));
            ops.push(UpdateOp::SetItem(entry.as_item()));
            ops.push(self.vendor.set_key(&bench.sealing_key(), &self.place, key));
            if entry.rule.is_some() {
                let change = UnitsChange::Add(UNITS);
                ops.push(UpdateOp::Units { item: entry.item, change });
            }
        }
        let update = self.vendor.update(&self.place, &ops);
        assert!(matches!(bench.apply(&update), Reply::Receipt(_)), "a firm enters");
        self.place = update.after();
    }

    /// Entries of a product.
    pub(super) fn of(&self, product: ProductCode) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(move |entry| entry.item.product == product)
    }

    /// Whether an entry is suspended, and no update that may be applied says otherwise.
    pub(super) fn is_surely_suspended(&self, entry: &Entry) -> bool {
        let in_doubt = self.sent.as_ref().map(|sent| self.entries[sent.at].item);
        entry.is_suspended && in_doubt != Some(entry.item)
    }

    /// The highest number that it acknowledged.
    pub(super) fn acked(&self) -> u64 {
        self.acks.iter().map(|(seq, _)| *seq).max().unwrap_or_default()
    }

    fn head_after(&self, seq: u64) -> [u8; 32] {
        match seq.checked_sub(1).and_then(|at| self.taken_in.get(at as usize)) {
            Some((_, head)) => *head,
            None => genesis_head(self.vendor.fp(), self.container),
        }
    }

    fn signed(&self, kind: Kind, role: Role, seq: u64, state: [u8; 32], body: &[u8]) -> Vec<u8> {
        let target = *self.container.bytes();
        let new = Header::new(kind, body);
        let header = Header { root_fp: self.vendor.fp(), target, seq, state, ..new };
        let (header, proof) = self.vendor.sign(header, role);
        write_object(&header, &proof, body)
    }

    /// L4: the firm took in what was written, all of it, once, in its order.
    pub(super) fn has_taken_in_all(&self) -> bool {
        self.taken_in.iter().map(|(entry, _)| entry).eq(self.book.entries.iter())
    }
}

impl World {
    /// A firm does something.
    pub(super) fn firm_acts(&mut self) {
        let (at, _) = self.busy[self.dice.below(self.busy.len())];
        match self.dice.below(10) {
            0..=3 => self.firm_updates(at),
            4 => self.firm_repeats_update(at),
            5 | 6 => self.firm_pulls(at),
            7 => self.firm_acknowledges(at),
            _ => self.firm_certifies_time(at),
        }
    }

    fn firm_updates(&mut self, at: usize) {
        if self.firms[at].sent.is_some() {
            return self.firm_asks_for_receipt(at);
        }
        let busy: Vec<usize> =
            self.busy.iter().filter(|(firm, _)| *firm == at).map(|(_, which)| *which).collect();
        let which = busy[self.dice.below(busy.len())];
        let change = self.firms[at].entries[which].draw_change(&mut self.dice);
        self.firm_changes(at, which, change);
    }

    fn firm_sends_update(&mut self, at: usize) {
        let Some(sent) = self.firms[at].sent.clone() else { return };
        let (channel, what) = (self.new_channel(), format!("firm {at}: {:?}", sent.change));
        for command in sent.update.commands() {
            match self.ask(channel, &what, command) {
                Some(Reply::Done) => {}
                Some(Reply::Receipt(_)) => self.firm_has_receipt(at),
                Some(_) => {
                    self.note(Event::UpdateRefused);
                    self.firms[at].sent = None;
                    break;
                }
                None => {
                    self.note(Event::UpdateInDoubt);
                    break;
                }
            }
        }
        self.close_channel(channel);
    }

    /// Everything that it sells can be used again, with certified time.
    pub(super) fn firm_sets_right(&mut self, at: usize) {
        while self.firms[at].sent.is_some() {
            self.firm_asks_for_receipt(at);
        }
        for which in 0..self.firms[at].entries.len() {
            let entry = self.firms[at].entries[which].clone();
            if entry.is_removed {
                self.firm_changes(at, which, Change::Removed(false));
            }
            if entry.is_suspended {
                self.firm_changes(at, which, Change::Suspended(false));
            }
        }
        // Whether the last token was taken may not be known.
        self.firms[at].fresh_session = 0;
        while self.firms[at].fresh_session == 0 {
            self.firm_certifies_time(at);
        }
    }

    /// Withdraws an entry or gives it back, if no update is under way.
    pub(super) fn firm_suspends(&mut self, at: usize, which: usize, is_suspended: bool) {
        let firm = &self.firms[at];
        if firm.sent.is_none() && !firm.entries[which].is_removed {
            self.firm_changes(at, which, Change::Suspended(is_suspended));
        }
    }

    /// Adds units to the first entry that is paid for.
    pub(super) fn firm_adds_units(&mut self, at: usize, units: u64) {
        let which = self.firms[at].entries.iter().position(|entry| entry.rule.is_some());
        self.firm_changes(at, which.expect("one"), Change::Units(UnitsChange::Add(units)));
    }

    fn firm_changes(&mut self, at: usize, which: usize, change: Change) {
        let firm = &mut self.firms[at];
        let update = firm.vendor.update(&firm.place, &[firm.entries[which].op_of(change)]);
        if let Change::Quantity(quantity) = change {
            firm.entries[which].most = firm.entries[which].most.max(quantity);
        }
        firm.sent = Some(Sent { update, at: which, change });
        self.firm_sends_update(at);
    }

    fn firm_has_receipt(&mut self, at: usize) {
        self.note(Event::UpdateApplied);
        let firm = &mut self.firms[at];
        let Some(sent) = firm.sent.take() else { return };
        let entry = &mut firm.entries[sent.at];
        entry.apply(sent.change);
        if matches!(sent.change, Change::Removed(_)) {
            firm.book.first_uses.remove(&entry.item);
        }
        firm.place = sent.update.after();
        firm.applied = Some(sent.update);
    }

    /// M7, M8: the receipt tells whether an update was applied; one that was not is sent again.
    fn firm_asks_for_receipt(&mut self, at: usize) {
        let (channel, firm) = (self.new_channel(), self.firms[at].vendor.fp());
        let receipt = self.ask(channel, "receipt", Command::Receipt { firm, seq: 0 });
        let Some(Reply::Receipt(receipt)) = receipt else { return };
        let (object, _) =
            UnverifiedObject::read(&receipt, STATEMENT_BODY_LEN_MAX).expect("its own receipt");
        let (seq, state) = (object.header().seq, object.header().state);
        let firm = &self.firms[at];
        let after = firm.sent.as_ref().map_or(firm.place, |sent| sent.update.after());
        if (seq + 1, state) == (after.seq, after.state) {
            return self.firm_has_receipt(at);
        }
        let is_old = (seq + 1, state) == (firm.place.seq, firm.place.state);
        self.promise(is_old, || format!("M8: a receipt of a third state, number {seq}"));
        self.firm_sends_update(at);
    }

    fn firm_repeats_update(&mut self, at: usize) {
        let Some(update) = self.firms[at].applied.clone() else { return };
        let (channel, command) = (self.new_channel(), update.commands().swap_remove(0));
        match self.ask(channel, "update again", command) {
            Some(Reply::UpdateRefused { failure, .. }) => {
                let is_old = failure.known() == Some(ErrorCode::UpdateOld);
                self.promise(is_old, || format!("an old update is answered by {failure:?}"));
                self.note(Event::UpdateRepeated);
            }
            Some(Reply::Failed(_)) | None => {}
            Some(_) => self.broken("an old update is taken again"),
        }
        self.close_channel(channel);
    }

    /// L1: what is taken in goes on from what was, or there is a fork.
    pub(super) fn firm_pulls(&mut self, at: usize) {
        let (channel, firm) = (self.new_channel(), self.firms[at].vendor.fp());
        let ask = Command::UsageHead { firm, nonce: Fixed([1; 32]) };
        let Some(Reply::UsageHead(object)) = self.ask(channel, "head", ask) else { return };
        let (object, _) =
            UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).expect("its own head");
        let body = object.body_if_intact().expect("its own body");
        let body: UsageHeadBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).expect("a head");
        let (seq, state) = (object.header().seq, object.header().state);
        self.see_time(at, &body.time);
        let known = self.firms[at].taken_in.len() as u64;
        let Some(mut new) = self.firm_reads_log(at, channel, known, seq) else { return };
        new.truncate(seq.saturating_sub(known) as usize);
        let firm = &mut self.firms[at];
        let head = firm.head_after(known);
        let logged = chain(head, known, &new);
        let follows = check_chain(head, known, &logged, &state);
        firm.taken_in.extend(logged.iter().map(|logged| (logged.entry, logged.head)));
        self.promise(follows.is_ok(), || format!("L1: a fork at {follows:?}"));
        self.note(Event::Pulled);
    }

    fn firm_reads_log(
        &mut self,
        at: usize,
        channel: u32,
        known: u64,
        seq: u64,
    ) -> Option<Vec<UsageEntry>> {
        let firm = self.firms[at].vendor.fp();
        let mut new: Vec<UsageEntry> = Vec::new();
        while known + (new.len() as u64) < seq {
            let after = known + new.len() as u64;
            let page = self.ask(channel, "entries", Command::UsageEntries { firm, after })?;
            let Reply::UsageEntries(page) = page else {
                self.broken("L3: entries that were not acknowledged are gone")
            };
            self.promise(!page.is_empty(), || format!("L2: no entry {}", after + 1));
            new.extend(page.into_vec());
        }
        Some(new)
    }

    /// Acknowledges what was taken in, or says again what was said before.
    pub(super) fn firm_acknowledges(&mut self, at: usize) {
        let firm = &mut self.firms[at];
        let known = firm.taken_in.len() as u64;
        let again = self.dice.one_in(4) && !firm.acks.is_empty();
        let ack = if again {
            let which = self.dice.below(firm.acks.len());
            firm.acks[which].clone()
        } else {
            let less = if self.dice.one_in(2) { self.dice.below(4) as u64 } else { 0 };
            let seq = known.saturating_sub(less);
            let object = firm.signed(Kind::UsageAck, Role::Log, seq, firm.head_after(seq), &[]);
            (seq, object)
        };
        let before = firm.acked();
        if !again {
            firm.acks.push(ack.clone());
        }
        let command = Command::UsageAck(Bytes::new(ack.1).expect("a small object"));
        let channel = self.new_channel();
        match self.ask(channel, &format!("ack {}", ack.0), command) {
            Some(Reply::Done) if again => self.note(Event::AckRepeated),
            Some(Reply::Done) if ack.0 > before => self.note(Event::Pruned),
            Some(Reply::Done) | None => {}
            Some(_) => self.broken("an acknowledgement is refused"),
        }
    }

    fn firm_certifies_time(&mut self, at: usize) {
        let (channel, firm) = (self.new_channel(), self.firms[at].vendor.fp());
        let Some(Reply::Nonce(nonce)) = self.ask(channel, "nonce", Command::TimeNonce { firm })
        else {
            return;
        };
        let body = codec::encode(&TimeTokenBody { time_s: self.true_s(), radius_s: 1 });
        let token = self.firms[at].signed(Kind::TimeToken, Role::Time, 0, nonce.0, &body);
        let delay_s = if self.dice.one_in(8) { 121 } else { self.dice.below(4) };
        self.pass_ms(delay_s as u64 * 1000);
        let command = Command::TimeToken(Bytes::new(token).expect("a small object"));
        let session = self.session;
        match self.ask(channel, "time token", command) {
            Some(Reply::Time(time)) => {
                self.promise(delay_s <= 120, || "a late token is taken".into());
                self.firms[at].fresh_session = session;
                self.see_time(at, &time);
                self.note(Event::TokenTaken);
            }
            Some(Reply::Failed(failure)) => {
                let is_late = failure.known() == Some(ErrorCode::NonceUnknown) && delay_s > 120;
                self.promise(is_late, || format!("a token is refused: {failure:?}"));
                self.note(Event::TokenLate);
            }
            Some(_) => self.broken("no time"),
            None => self.firms[at].fresh_session = session,
        }
    }

    /// T1: the floor never falls. T2: it is not later than true time.
    fn see_time(&mut self, at: usize, time: &TimeInfo) {
        let (before_s, true_s) = (self.firms[at].floor_s, self.true_s());
        self.firms[at].floor_s = time.floor_s;
        let what = || format!("T1, T2: {time:?} after a floor of {before_s}, at {true_s}");
        self.promise(time.floor_s >= before_s && time.now_s <= true_s + 1, what);
    }
}
