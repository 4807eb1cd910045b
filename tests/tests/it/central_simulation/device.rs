//! A container: the real engine on simulated flash, and what it must hold by the updates that it
//! applied.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::platform::Keys;
use firmware_sim::flash::{FlashConfig, SimFlash, TornMode};
use firmware_sim::keys::SimKeys;
use license_central::domain::time::{self, TimeRequest};
use protocol::codec::{Bytes, Fixed};
use protocol::command::{Command, Reply};
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerKind, RootFp, hex};
use protocol::limits::{STATEMENT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX};
use protocol::objects::device::ClockClass;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::ItemRef;
use protocol::objects::statement::genesis_hash;
use protocol::signed::UnverifiedObject;
use strongroom_tests::bench::Bench;
use strongroom_tests::dice::Dice;
use strongroom_tests::vendor::{commands, trust};
use vendor::Point;
use vendor::trust::Trust;

use super::book::update_of;
use super::event::Event;
use super::parties::{BASE, CLOCKS, FIRMS, Parties, REVOCABLE};
use super::world::{SKEW_MS, World};

/// The dongle's chip.
const CHIP: FlashConfig = FlashConfig::nrf52840(32);
const BLOCKS_PER_SEGMENT: u32 = 2;

/// Writes to flash until the power goes away, at most.
const WRITES: usize = 120;

/// How far its clock may be behind or ahead: what Central allows, with the skew of its own.
const SKEW_S: usize = 3600 - SKEW_MS / 1000;

/// When the answer to a nonce comes too late.
const TOKEN_MS: u64 = 121_000;

/// An entry as its update made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) grant: String,
    pub(super) epoch: u32,
    /// Units that came with updates.
    pub(super) units: u64,
    /// Units that were used, as it said last.
    pub(super) used: u64,
}

/// What a firm has in a container.
#[derive(Clone)]
pub(super) struct Drawer {
    /// The states that it went through.
    pub(super) path: Vec<Point>,
    pub(super) entries: BTreeMap<ItemRef, Entry>,
    /// Receipts that it gave, by number.
    receipts: BTreeMap<u64, Vec<u8>>,
    /// Whether somebody else issued to it.
    pub(super) is_elsewhere: bool,
}

/// A container.
pub(super) struct Device {
    pub(super) bench: Bench,
    chip: SimFlash,
    keys: Arc<SimKeys>,
    pub(super) id: String,
    pub(super) serial: String,
    pub(super) clock: ClockClass,
    pub(super) is_revocable: bool,
    /// How far its clock is off.
    skew_s: i64,
    pub(super) is_powered: bool,
    /// One for each firm.
    pub(super) drawers: Vec<Drawer>,
}

impl Device {
    pub(super) fn new(at: usize, seed: u64, parties: &Parties, dice: &mut Dice) -> Self {
        let chip = SimFlash::in_memory(CHIP, seed);
        let keys = parties.keys[at].clone();
        let mut bench =
            Bench::on(chip.clone(), BLOCKS_PER_SEGMENT, keys.clone(), seed ^ (at as u64) << 32);
        bench.clock = CLOCKS[at];
        let id = keys.id();
        let drawer = |firm: &super::parties::Party| Drawer {
            path: vec![Point { seq: 0, state: genesis_hash(firm.root_fp, id) }],
            entries: BTreeMap::new(),
            receipts: BTreeMap::new(),
            is_elsewhere: false,
        };
        let skew_s = match dice.below(3) {
            0 => -(SKEW_S as i64),
            1 => 0,
            _ => dice.below(2 * SKEW_S) as i64 - SKEW_S as i64,
        };
        Device {
            bench,
            chip,
            keys,
            id: hex(id.bytes()),
            serial: id.serial(ContainerKind::Dongle).to_string(),
            clock: CLOCKS[at],
            is_revocable: at == REVOCABLE,
            skew_s,
            is_powered: false,
            drawers: parties.firms.iter().map(drawer).collect(),
        }
    }

    /// True time passes, which a container without power or battery does not notice.
    pub(super) fn pass(&mut self, ms: u64, now_s: u64) {
        if self.is_powered {
            self.bench.ticks.pass_ms(ms);
        }
        if self.clock == ClockClass::Rtc {
            self.bench.ticks.set_battery_s(now_s.saturating_add_signed(self.skew_s));
        }
    }

    /// Its certificate.
    pub(super) fn certificate(&self) -> &[u8] {
        self.keys.certificate()
    }
}

impl Drawer {
    /// Where it is.
    pub(super) fn at(&self) -> Point {
        *self.path.last().expect("it begins with the first state")
    }
}

impl World<'_> {
    pub(super) fn plug_in(&mut self, at: usize) {
        let device = &mut self.devices[at];
        device.chip.power_up();
        if let Err(error) = device.bench.power_up() {
            self.broken(&format!("container {at} does not start: {error:?}"));
        }
        device.is_powered = true;
        self.look_at(at);
        for firm in 0..self.firms {
            if self.dice.one_in(2) {
                self.asks_time(at, firm);
            }
        }
    }

    /// A container of class signed asks what time it is, and is told, or not.
    pub(super) fn asks_time(&mut self, at: usize, firm: usize) {
        if self.devices[at].clock != ClockClass::Signed {
            return;
        }
        let command = Command::TimeNonce { firm: self.fp(firm) };
        // A firm that was never there is told nothing.
        let Reply::Nonce(nonce) = self.devices[at].bench.command(command) else { return };
        let (certificate, fp) = (self.devices[at].keys.certificate(), self.fp(firm));
        let request = file::write(FileKind::TimeRequest, &[certificate, fp.bytes(), &nonce.0]);
        let tenant = FIRMS[firm];
        let done = self.call(tenant, |central| {
            let request = TimeRequest::read(&*central.firm(tenant)?, &request)?;
            time::token(central, tenant, &request)
        });
        self.line(&format!("container {at}, {tenant}: asks the time: {}", done.is_ok()));
        let Ok(token) = done else { return };
        let token = file::expect(&token, FileKind::TimeToken).expect("a token").to_vec();
        // Its nonce dies after two minutes.
        let is_late = self.is_rough && self.dice.one_in(4);
        if is_late {
            self.pass_ms(TOKEN_MS);
        }
        let token = Bytes::new(token).expect("room");
        let reply = self.devices[at].bench.command(Command::TimeToken(token));
        let refused = match reply {
            Reply::Time(_) => None,
            Reply::Failed(failure) => failure.known(),
            _ => self.broken("an answer to something else"),
        };
        let fits = match refused {
            None => !is_late,
            Some(ErrorCode::NonceUnknown) => is_late,
            // Another machine of the vendor, whose clock is ahead, told it the time before.
            Some(ErrorCode::TokenEarlier) => !is_late,
            Some(_) => false,
        };
        self.promise(fits, || format!("a token that is late: {is_late}, is refused: {refused:?}"));
        self.note(if refused.is_none() { Event::TimeTold } else { Event::TimeNotTold });
    }

    pub(super) fn unplug(&mut self, at: usize) {
        self.devices[at].is_powered = false;
        self.note(Event::Unplugged);
        self.line(&format!("container {at} unplugged"));
    }

    pub(super) fn fp(&self, firm: usize) -> RootFp {
        self.parties.firms[firm].root_fp
    }

    /// A context, as a file.
    pub(super) fn context(&mut self, at: usize, firm: usize) -> Vec<u8> {
        let (firm, nonce) = (self.fp(firm), Fixed(self.dice.bytes()));
        let device = &mut self.devices[at];
        match device.bench.command(Command::Context { firm, nonce }) {
            Reply::Context(object) => {
                file::write(FileKind::Context, &[device.keys.certificate(), &object])
            }
            _ => self.broken("no context"),
        }
    }

    /// A receipt that it kept, as a file. M8: it never says anything else.
    pub(super) fn receipt(&mut self, at: usize, firm: usize, seq: u64) -> Option<Vec<u8>> {
        let command = Command::Receipt { firm: self.fp(firm), seq };
        match self.devices[at].bench.command(command) {
            Reply::Receipt(object) => Some(self.keep_receipt(at, firm, &object)),
            _ => None,
        }
    }

    fn keep_receipt(&mut self, at: usize, firm: usize, object: &[u8]) -> Vec<u8> {
        let (read, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("a receipt");
        let (seq, drawer) = (read.header().seq, &mut self.devices[at].drawers[firm]);
        let kept = drawer.receipts.entry(seq).or_insert_with(|| object.to_vec()).clone();
        self.promise(kept == object, || format!("M8: another receipt of number {seq}"));
        file::write(FileKind::Receipt, &[self.devices[at].keys.certificate(), object])
    }

    /// Gives a container an update file; receipts that it answers with are sent.
    pub(super) fn apply(&mut self, at: usize, firm: usize, bytes: &[u8]) -> Option<Vec<u8>> {
        let objects = file::expect(bytes, FileKind::Update).expect("an update file");
        let (brought, object) = Trust::take(objects).expect("objects of an update file");
        let (_, body) = UnverifiedObject::read(object, UPDATE_BODY_LEN_MAX)
            .map(|(read, _)| (read.header().seq, read.header().body_len as usize))
            .map(|(seq, len)| (seq, object.len() - len))
            .expect("an update");
        let root_fp = self.fp(firm);
        let known = match self.devices[at].bench.command(Command::Firms { from: 0 }) {
            Reply::Firms(firms) => {
                firms.into_vec().into_iter().find(|known| known.root_fp == root_fp)
            }
            _ => None,
        };
        let mut wanted = Vec::new();
        let mut root: &[u8] = &[];
        match brought.roots.first() {
            Some(first) if brought.is_first_root_alone() => root = &first.bytes,
            _ => {
                let new = brought.objects().filter(|part| brought.is_new(part, known.as_ref()));
                wanted.extend(new.map(|part| trust(&part.bytes)));
            }
        }
        wanted.extend(commands(root, &object[..body], &object[body..]));
        let cuts = self.is_rough && self.dice.one_in(12);
        if cuts {
            let torn = [TornMode::Before, TornMode::During, TornMode::After][self.dice.below(3)];
            let writes = self.dice.below(WRITES) as u64;
            self.devices[at].chip.cut_power_after(writes, torn);
        }
        let mut reply = Reply::Done;
        for command in wanted {
            reply = self.devices[at].bench.command(command);
            if !matches!(reply, Reply::Done) {
                break;
            }
        }
        if cuts && !self.devices[at].chip.is_powered() {
            self.note(Event::CutInUpdate);
            self.line(&format!("container {at}: power cut in an update"));
            self.devices[at].is_powered = false;
            return None;
        }
        self.devices[at].chip.power_up();
        self.look_at(at);
        self.heard(at, firm, reply)
    }

    /// What a container says to an update.
    fn heard(&mut self, at: usize, firm: usize, reply: Reply) -> Option<Vec<u8>> {
        let (failure, receipt): (_, Bytes<_>) = match reply {
            Reply::Receipt(receipt) => {
                self.note(Event::UpdateApplied);
                return Some(self.keep_receipt(at, firm, &receipt));
            }
            Reply::UpdateRefused { failure, receipt } => (failure, receipt),
            Reply::Failed(failure) => (failure, Bytes::default()),
            _ => self.broken("an answer to something else"),
        };
        let event = match failure.known() {
            Some(ErrorCode::UpdateOld) => Event::UpdateOld,
            Some(ErrorCode::UpdateAhead) => Event::UpdateAhead,
            Some(ErrorCode::UpdateOtherState) => Event::UpdateOfOtherState,
            // What was made anew came first, with the root that ended this key.
            Some(ErrorCode::UpdateSignature) if self.stages[firm] > BASE => Event::UpdateOfOldKey,
            // Another file of the same answer brought the firm, and this one came first.
            Some(ErrorCode::RootNeeded) => Event::UpdateAhead,
            refused => {
                self.broken(&format!("M9: what was issued can never be applied: {refused:?}"))
            }
        };
        self.note(event);
        self.line(&format!("container {at}: {event:?}"));
        (!receipt.is_empty()).then(|| self.keep_receipt(at, firm, &receipt))
    }

    /// Looks where a container is, and notes what it holds by that.
    pub(super) fn look_at(&mut self, at: usize) {
        let known = match self.devices[at].bench.command(Command::Firms { from: 0 }) {
            Reply::Firms(firms) => firms.into_vec(),
            _ => self.broken("no list of firms"),
        };
        for firm in 0..self.firms {
            let root_fp = self.fp(firm);
            let seq = known.iter().find(|one| one.root_fp == root_fp).map_or(0, |one| one.seq);
            let last = self.devices[at].drawers[firm].at();
            self.promise(seq == last.seq || seq == last.seq + 1, || {
                format!("container {at} went from number {} to {seq}", last.seq)
            });
            if seq > last.seq {
                self.follow(at, firm, seq);
            }
        }
    }

    /// It applied one more update.
    fn follow(&mut self, at: usize, firm: usize, seq: u64) {
        let receipt = self.receipt(at, firm, seq);
        self.promise(receipt.is_some(), || "an update without a receipt".into());
        let object = &self.devices[at].drawers[firm].receipts[&seq];
        let (read, _) = UnverifiedObject::read(object, STATEMENT_BODY_LEN_MAX).expect("a receipt");
        let after = Point { seq, state: read.header().state };
        let device = &mut self.devices[at];
        let drawer = &mut device.drawers[firm];
        drawer.path.push(after);
        let lost = || update_of(&self.lost, (FIRMS[firm], &device.id), after);
        let update = self.book.update_to(FIRMS[firm], &device.id, after).or_else(lost);
        let Some(update) = update else {
            drawer.is_elsewhere = true;
            return self.line(&format!("container {at}: number {seq}, made elsewhere"));
        };
        for done in &update.done {
            drawer.apply(done);
        }
        self.line(&format!("container {at}: number {seq} of {}", FIRMS[firm]));
    }
}

impl Drawer {
    fn apply(&mut self, done: &super::book::Done) {
        use license_central::domain::records::EffectKind;
        if done.effect.kind == EffectKind::Release {
            self.entries.remove(&done.item);
            return;
        }
        let (grant, epoch) = (done.effect.grant.clone(), done.effect.epoch);
        let new = Entry { grant: String::new(), epoch: 0, units: 0, used: 0 };
        let entry = self.entries.entry(done.item).or_insert(new);
        *entry = Entry { grant, epoch, units: entry.units + done.units, used: entry.used };
    }
}
