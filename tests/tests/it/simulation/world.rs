//! The world of one seed: a dongle that loses its power, time, and a wire that loses messages.

use std::collections::BTreeMap;
use std::sync::Arc;

use firmware_sim::flash::{FlashConfig, FlashImage, SimFlash, TornMode};
use firmware_sim::keys::SimKeys;
use protocol::codec;
use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::crypto::hash::Sha256;
use protocol::errors::ErrorCode;
use protocol::ids::{OpId, ProductCode};
use protocol::objects::license;
use strongroom_tests::bench::{Bench, new_keys};
use strongroom_tests::dice::Dice;
use strongroom_tests::seen::Seen;
use strongroom_tests::trace::Trace;
use strongroom_tests::vendor::{NOW_S, Vendor};

use super::book::Claim;
use super::client::{Client, Need};
use super::event::Event;
use super::firm::Firm;

/// The dongle's chip.
const CHIP: FlashConfig = FlashConfig::nrf52840(64);
const BLOCKS_PER_SEGMENT: u32 = 2;

/// Clients of a world.
const CLIENTS: usize = 12;

/// Milliseconds that an answer may take: what the loader gives a question at most.
const ANSWER_MS: usize = 1000;

/// Writes to flash until the power goes away, at most: what commands of different kinds make.
const WRITES: [usize; 3] = [40, 150, 250];

/// True time when a world begins. Vendors sign nothing that is later than true time.
const START_S: u64 = NOW_S + 1000;

/// A dongle, its vendors, its users.
pub(super) struct World {
    pub(super) seed: u64,
    pub(super) dice: Dice,
    pub(super) bench: Bench,
    chip: SimFlash,
    /// True time since the world began.
    pub(super) now_ms: u64,
    pub(super) is_powered: bool,
    /// Whether the power went away in the middle of a command: it does so at the next start too.
    was_cut: bool,
    has_battery: bool,
    /// Number of the present power session.
    pub(super) session: u32,
    pub(super) firms: Vec<Firm>,
    /// Entries that this world is about, by firm and place: few, so that clients meet.
    pub(super) busy: Vec<(usize, usize)>,
    pub(super) clients: Vec<Client>,
    /// What was confirmed and must stand in a firm's log.
    pub(super) claims: Vec<(usize, Claim)>,
    /// Seats that were given back and linger: of whom, until when.
    pub(super) lingering: Vec<(Need, license::Client, u64)>,
    /// When a shared seat of a station was kept last, and in which power session.
    pub(super) stations: BTreeMap<(usize, ProductCode, [u8; 16]), (u32, u64)>,
    pub(super) seen: Seen<Event>,
    /// Whether messages are lost and power is cut in commands.
    pub(super) is_rough: bool,
    /// Whether nobody here says what became of reserved units.
    pub(super) is_careless: bool,
    /// Commands of all but those who look on, and how many were judged.
    commands: u64,
    judged: u64,
    channels: u32,
    ops: u64,
    trace: Trace,
}

/// What all worlds begin with, since keys take long to make: firms, and a chip that holds what they
/// sold.
pub(super) struct Parties {
    keys: Arc<SimKeys>,
    firms: Vec<Firm>,
    image: FlashImage,
}

impl Parties {
    pub(super) fn new() -> Self {
        let (mut dice, keys) = (Dice::of(1, 1), new_keys(1));
        let chip = SimFlash::in_memory(CHIP, 1);
        let mut bench = Bench::on(chip.clone(), BLOCKS_PER_SEGMENT, keys.clone(), 1);
        bench.power_up().expect("new flash can be used");
        let new = |(number, name)| {
            let vendor = Arc::new(Vendor::new(name, &mut dice));
            let mut firm = Firm::new(number, vendor, bench.id());
            firm.enter(&mut bench);
            firm
        };
        let firms = ["One", "Two", "Three"].into_iter().enumerate().map(new).collect();
        Parties { keys, firms, image: chip.snapshot() }
    }
}

/// What a client hears to a seat command.
pub(super) enum Heard {
    Reply(SeatReply),
    Refused(ErrorCode),
    /// No answer: nobody knows whether it was carried out.
    Nothing,
}

impl World {
    pub(super) fn new(seed: u64, parties: &Parties) -> Self {
        let mut dice = Dice::of(seed, 0);
        let chip = SimFlash::in_memory(CHIP, seed);
        chip.restore(&parties.image).expect("an image of an equal chip");
        let bench = Bench::on(chip.clone(), BLOCKS_PER_SEGMENT, parties.keys.clone(), seed);
        let firms = parties.firms.clone();
        let mut world = World {
            seed,
            bench,
            chip,
            now_ms: 0,
            is_powered: false,
            was_cut: false,
            has_battery: dice.one_in(2),
            session: 0,
            clients: (0..CLIENTS).map(|at| Client::new(at, &mut dice)).collect(),
            busy: draw_busy(&firms, &mut dice),
            firms,
            claims: Vec::new(),
            lingering: Vec::new(),
            stations: BTreeMap::new(),
            seen: Seen::default(),
            is_rough: false,
            is_careless: dice.one_in(4),
            commands: 0,
            judged: u64::MAX,
            channels: 0,
            ops: 0,
            trace: Trace::default(),
            dice,
        };
        world.pass_ms(0);
        world.plug_in();
        world.is_rough = true;
        world
    }

    pub(super) fn note(&mut self, event: Event) {
        self.seen.note(event);
    }

    /// True time, Unix seconds UTC.
    pub(super) fn true_s(&self) -> u64 {
        START_S + self.now_ms / 1000
    }

    /// Whether the dongle has a clock that goes on without power.
    pub(super) fn is_exact(&self) -> bool {
        self.has_battery
    }

    /// Lets true time pass, which a dongle without power does not notice.
    pub(super) fn pass_ms(&mut self, ms: u64) {
        self.now_ms += ms;
        if self.is_powered {
            self.bench.ticks.pass_ms(ms);
        }
        if self.has_battery {
            self.bench.ticks.set_battery_s(self.true_s());
        }
    }

    /// A number that no other command has.
    pub(super) fn new_op(&mut self) -> OpId {
        self.ops += 1;
        let mut hash = Sha256::new();
        hash.update(&self.ops.to_be_bytes());
        OpId::new(hash.finish_16())
    }

    pub(super) fn new_channel(&mut self) -> u32 {
        self.channels += 1;
        self.channels
    }

    /// Sends a command that may be lost, or whose answer may be, or in which the power goes away.
    pub(super) fn ask(&mut self, channel: u32, what: &str, command: Command) -> Option<Reply> {
        if !self.is_powered {
            return None;
        }
        let books = matches!(
            command,
            Command::Seat(SeatCommand::Reserve { .. } | SeatCommand::Account { .. })
        );
        let cuts = self.is_rough && self.dice.one_in(if books { 8 } else { 30 });
        if self.is_rough && self.dice.one_in(25) {
            self.note(Event::RequestLost);
            return None;
        }
        if cuts {
            let torn = [TornMode::Before, TornMode::During, TornMode::After][self.dice.below(3)];
            let most = WRITES[self.dice.below(WRITES.len())];
            self.chip.cut_power_after(self.dice.below(most) as u64, torn);
        }
        let reply = self.tell(channel, what, command);
        if cuts && !self.chip.is_powered() {
            self.note(Event::CutInCommand);
            self.was_cut = true;
            self.line("power cut in it".into());
            self.lose_power();
            return None;
        }
        self.chip.power_up();
        let most_ms = if self.dice.one_in(8) { ANSWER_MS } else { ANSWER_MS / 20 };
        let ms = self.dice.below(most_ms) as u64;
        self.pass_ms(ms);
        if self.is_rough && self.dice.one_in(9) {
            self.note(Event::AnswerLost);
            self.line("answer lost".into());
            return None;
        }
        Some(reply)
    }

    /// Sends a command over a wire that loses nothing.
    pub(super) fn tell(&mut self, channel: u32, what: &str, command: Command) -> Reply {
        self.trace.bytes(&codec::encode(&command));
        let reply = self.bench.engine().carry_out(channel, command);
        self.trace.bytes(&codec::encode(&reply));
        if !what.is_empty() {
            self.commands += 1;
            let answer = answer_of(&reply);
            self.line(format!("channel {channel}: {what}: {answer}"));
        }
        reply
    }

    /// A seat command, and what its sender hears.
    pub(super) fn ask_seat(&mut self, channel: u32, what: &str, command: SeatCommand) -> Heard {
        match self.ask(channel, what, Command::Seat(command)) {
            Some(Reply::Seat(reply)) => Heard::Reply(reply),
            Some(Reply::Failed(failure)) => {
                Heard::Refused(failure.known().expect("a number of the table"))
            }
            Some(_) => self.broken("an answer to something else"),
            None => Heard::Nothing,
        }
    }

    /// The connection behind a channel ends, and the dongle hears of it.
    pub(super) fn close_channel(&mut self, channel: u32) {
        if self.is_powered {
            self.line(format!("channel {channel} closed"));
            self.bench.engine().closed(channel);
        }
    }

    /// The power goes away: every connection is gone.
    pub(super) fn lose_power(&mut self) {
        self.is_powered = false;
        self.clients.iter_mut().for_each(Client::disconnect);
    }

    pub(super) fn unplug(&mut self) {
        self.note(Event::Unplugged);
        self.line("unplugged".into());
        self.lose_power();
    }

    /// Gives the power back, which may go away again at once.
    pub(super) fn plug_in(&mut self) {
        self.chip.power_up();
        let cuts = self.is_rough && std::mem::take(&mut self.was_cut);
        if cuts {
            self.chip.cut_power_after(0, TornMode::During);
        }
        let started = self.bench.power_up();
        if cuts && !self.chip.is_powered() {
            self.note(Event::CutAtStart);
            self.line("power cut at start".into());
            return;
        }
        self.chip.power_up();
        if let Err(error) = started {
            self.broken(&format!("does not start: {error:?}"));
        }
        self.is_powered = true;
        self.session += 1;
        self.line(format!("power session {}", self.session));
    }

    /// Whether a command was carried out since this was asked last.
    pub(super) fn has_moved(&mut self) -> bool {
        std::mem::replace(&mut self.judged, self.commands) != self.commands
    }

    /// Adds to the trace.
    pub(super) fn line(&mut self, line: String) {
        self.trace.line(self.now_ms, &line);
    }

    /// Everything that was said so far, as one number.
    pub(super) fn trace_hash(self) -> [u8; 32] {
        self.trace.hash()
    }

    /// A promise is broken: says how it came, and ends the test.
    pub(super) fn broken(&self, what: &str) -> ! {
        panic!("{}\nSTRONGROOM_SEED={} repeats this: {what}", self.trace.text(), self.seed);
    }

    /// A promise: `holds`, or the test ends.
    pub(super) fn promise(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.broken(&what());
        }
    }
}

/// What a world is about: something that is paid for, something that is counted, and one more.
fn draw_busy(firms: &[Firm], dice: &mut Dice) -> Vec<(usize, usize)> {
    let places = |(at, firm): (usize, &Firm)| (0..firm.entries.len()).map(move |n| (at, n));
    let all: Vec<(usize, usize)> = firms.iter().enumerate().flat_map(places).collect();
    let is_paid = |(at, which): &(usize, usize)| firms[*at].entries[*which].rule.is_some();
    let (paid, counted): (Vec<_>, Vec<_>) = all.iter().copied().partition(is_paid);
    [&paid, &counted, &all].map(|among| among[dice.below(among.len())]).into()
}

fn answer_of(reply: &Reply) -> String {
    match reply {
        Reply::Seat(SeatReply::Opened(grant)) => format!("entry {}", grant.handle.0),
        Reply::Seat(SeatReply::Units { left }) => format!("{left} units left"),
        Reply::Seat(_) | Reply::Done => "done".into(),
        Reply::Failed(failure) | Reply::UpdateRefused { failure, .. } => match failure.known() {
            Some(code) => format!("{code:?} {:?}", (failure.a, failure.b)),
            None => format!("refused with {}", failure.code),
        },
        Reply::Receipt(_) => "receipt".into(),
        _ => "answered".into(),
    }
}
