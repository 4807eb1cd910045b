//! An honest client: asks, renews, repeats under its id what was not answered, and stops by its own
//! clock, as the loader does. Some die, freeze, or fork.

use protocol::codec::Fixed;
use protocol::command::{Command, SeatCommand, SeatGrant, SeatReply};
use protocol::errors::ErrorCode;
use protocol::ids::{ArtifactId, OpId, ProductCode, SeatHandle, SeatToken};
use protocol::limits::UNIT_OPS_KEPT;
use protocol::objects::license::{self, AccessMode, ItemRef, Requirement, user_id};
use protocol::objects::usage::UsageKind;
use strongroom_tests::dice::Dice;
use strongroom_tests::samples;

use super::book::Claim;
use super::event::Event;
use super::world::{Heard, World};

/// Millionths by which a client's clock goes wrong, at most, each way.
const DRIFT_PPM: i64 = 30_000;

/// A process, and what it believes.
pub(super) struct Client {
    pub(super) who: license::Client,
    drift_ppm: i64,
    pub(super) state: State,
    channel: Option<u32>,
    /// One that lost an answer; the dongle may not know that it is dead.
    dead_channel: Option<u32>,
}

/// What a process is doing.
#[derive(Debug, Clone)]
pub(super) enum State {
    Idle,
    /// It asks for a seat.
    Waiting(Want),
    /// It was forked from a user and has not joined yet: it does not run.
    Joining(Use),
    /// It runs.
    Using(Use),
    /// It is stopped, or has just been continued and asks before it goes on.
    Frozen(Use),
}

/// What a program needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Need {
    pub(super) firm: usize,
    pub(super) product: ProductCode,
    pub(super) access: AccessMode,
    pub(super) units: u32,
}

/// A seat that is asked for.
#[derive(Debug, Clone)]
pub(super) struct Want {
    op: OpId,
    pub(super) need: Need,
    /// Whether an answer was lost.
    is_unheard: bool,
    /// Entries of the log when it was asked for first.
    since: usize,
}

/// A seat that is held.
#[derive(Debug, Clone)]
pub(super) struct Use {
    pub(super) need: Need,
    /// The command that began it: processes of one family share a seat.
    pub(super) family: OpId,
    token: SeatToken,
    handle: SeatHandle,
    beats: u64,
    /// When it was kept last, by the client's clock.
    kept_ms: u64,
    timeout_ms: u64,
    /// The power session in which it was kept last.
    pub(super) session: u32,
    task: Option<Task>,
}

/// Units that a program set aside, or tries to.
#[derive(Debug, Clone, Copy)]
struct Task {
    op: OpId,
    units: u32,
    used: Option<u32>,
    is_reserved: bool,
    is_unheard: bool,
    since: usize,
}

impl Client {
    pub(super) fn new(number: usize, dice: &mut Dice) -> Self {
        let who = license::Client {
            station: Fixed([1 + (number % 4) as u8; 16]),
            user: user_id(["anna", "ben"][number % 2]),
            ..samples::client()
        };
        let drift_ppm = dice.below(2 * DRIFT_PPM as usize + 1) as i64 - DRIFT_PPM;
        Client { who, drift_ppm, state: State::Idle, channel: None, dead_channel: None }
    }

    /// What its clock shows.
    fn clock_ms(&self, now_ms: u64) -> u64 {
        now_ms
            .saturating_add_signed(now_ms as i64 / 1_000_000 * self.drift_ppm)
            .saturating_add_signed(now_ms as i64 % 1_000_000 * self.drift_ppm / 1_000_000)
    }

    /// The use that it believes in now.
    pub(super) fn active(&self, now_ms: u64) -> Option<&Use> {
        match &self.state {
            State::Using(held) if !self.is_over(held, now_ms) => Some(held),
            _ => None,
        }
    }

    fn is_over(&self, held: &Use, now_ms: u64) -> bool {
        self.clock_ms(now_ms) >= held.kept_ms + held.timeout_ms
    }

    /// Its connections are gone.
    pub(super) fn disconnect(&mut self) {
        (self.channel, self.dead_channel) = (None, None);
    }
}

impl World {
    /// A client does something.
    pub(super) fn client_acts(&mut self) {
        let at = self.dice.below(self.clients.len());
        self.act(at);
    }

    pub(super) fn act(&mut self, at: usize) {
        let state = std::mem::replace(&mut self.clients[at].state, State::Idle);
        let state = match state {
            State::Idle if self.dice.one_in(2) => State::Waiting(self.draw_want()),
            State::Idle => State::Idle,
            State::Waiting(want) if self.is_rough && self.dice.one_in(25) => {
                self.gives_up(at, &want)
            }
            State::Waiting(want) => self.asks(at, want),
            State::Joining(held) => self.joins(at, held),
            State::Frozen(held) if self.dice.one_in(2) => State::Frozen(held),
            State::Frozen(held) => self.thaws(at, held),
            State::Using(held) if self.clients[at].is_over(&held, self.now_ms) => {
                self.note(Event::EndedBySilence);
                self.line(format!("client {at} ends by its clock"));
                self.ends(at)
            }
            State::Using(held) => self.uses(at, held),
        };
        self.clients[at].state = state;
    }

    /// Whoever uses something sends a heartbeat.
    pub(super) fn renews(&mut self, at: usize) {
        if self.clients[at].active(self.now_ms).is_none() {
            return;
        }
        if let State::Using(held) = std::mem::replace(&mut self.clients[at].state, State::Idle) {
            self.clients[at].state = self.beats(at, held);
        }
    }

    fn draw_want(&mut self) -> Want {
        let (firm, which) = self.busy[self.dice.below(self.busy.len())];
        let entry = &self.firms[firm].entries[which];
        let (product, is_paid) = (entry.item.product, entry.rule.is_some());
        let access = match self.dice.below(10) {
            0..=4 => AccessMode::UserLimit,
            5 | 6 => AccessMode::StationShare,
            7 | 8 => AccessMode::Exclusive,
            _ => AccessMode::NoUserLimit,
        };
        let units = if is_paid { self.dice.below(4) as u32 } else { 0 };
        let need = Need { firm, product, access, units };
        let since = self.firms[firm].book.entries.len();
        Want { op: self.new_op(), need, is_unheard: false, since }
    }

    /// A wait as it is at the end of a run: for one more seat.
    pub(super) fn new_want(&mut self, need: Need) -> Want {
        let since = self.firms[need.firm].book.entries.len();
        Want { op: self.new_op(), need, is_unheard: false, since }
    }

    fn requirement(&self, need: Need) -> Requirement {
        let made = self.firms[need.firm].vendor.requirement(need.product);
        Requirement { units: need.units, access: need.access, ..made }
    }

    /// The client's channel, on which it has said who it is.
    fn channel(&mut self, at: usize) -> Option<u32> {
        if !self.is_powered {
            return None;
        }
        if let Some(channel) = self.clients[at].channel {
            return Some(channel);
        }
        let (channel, who) = (self.new_channel(), self.clients[at].who);
        self.tell(channel, "", Command::Seat(SeatCommand::Introduce(who)));
        self.clients[at].channel = Some(channel);
        Some(channel)
    }

    /// An answer was lost: the channel is dead. A relay in between may keep it open.
    fn drop_channel(&mut self, at: usize) {
        if let Some(channel) = self.clients[at].channel.take() {
            self.clients[at].dead_channel = Some(channel);
        }
    }

    /// What came before the channel that works now.
    fn close_dead_channel(&mut self, at: usize) {
        if let Some(channel) = self.clients[at].dead_channel.take()
            && self.dice.one_in(2)
        {
            self.close_channel(channel);
        }
    }

    /// The process is gone, and its connections with it, where nothing keeps them open.
    fn ends(&mut self, at: usize) -> State {
        self.close_dead_channel(at);
        if let Some(channel) = self.clients[at].channel.take()
            && self.dice.one_in(2)
        {
            self.close_channel(channel);
        }
        State::Idle
    }

    fn gives_up(&mut self, at: usize, want: &Want) -> State {
        self.line(format!("client {at} gives up"));
        let book = &self.firms[want.need.firm].book;
        let entries: Vec<ItemRef> =
            self.firms[want.need.firm].of(want.need.product).map(|entry| entry.item).collect();
        if entries.iter().any(|item| book.took(*item, want.op)) {
            self.note(Event::UnitsLostToCut);
        }
        self.ends(at)
    }

    fn asks(&mut self, at: usize, mut want: Want) -> State {
        // A container remembers so many commands; nobody repeats what it may have forgotten.
        if want.is_unheard && self.is_forgotten(want.need, want.since) {
            return self.gives_up(at, &want);
        }
        let Some(channel) = self.channel(at) else { return State::Waiting(want) };
        let (op, requirement) = (want.op, self.requirement(want.need));
        let open = SeatCommand::Open { op, requirement, artifact: ArtifactId::default() };
        let what = format!("client {at} opens {:?}", want.need);
        match self.ask_seat(channel, &what, open) {
            Heard::Reply(SeatReply::Opened(grant)) => {
                // A command that was done is not judged again; the next heartbeat is.
                match want.is_unheard {
                    true => self.note(Event::OpenRepeated),
                    false => self.judge_entry(want.need),
                }
                self.begins(at, &want, grant)
            }
            Heard::Reply(_) => self.broken("an answer to something else"),
            Heard::Refused(code) => self.is_refused(at, want, code),
            Heard::Nothing => {
                want.is_unheard = true;
                self.note_station(at, want.need);
                self.drop_channel(at);
                State::Waiting(want)
            }
        }
    }

    fn is_forgotten(&self, need: Need, since: usize) -> bool {
        let firm = &self.firms[need.firm];
        let mut items = firm.of(need.product).map(|entry| entry.item);
        items.any(|item| firm.book.done_since(item, since) + 4 > UNIT_OPS_KEPT)
    }

    fn is_refused(&mut self, at: usize, want: Want, code: ErrorCode) -> State {
        self.note_refusal(&want, code);
        match code {
            ErrorCode::NoSeat
            | ErrorCode::StationBusy
            | ErrorCode::SeatQuarantine
            | ErrorCode::ReplugTooFast
            | ErrorCode::TimeNotFresh
            | ErrorCode::UsageLogFull => State::Waiting(want),
            _ => self.gives_up(at, &want),
        }
    }

    fn note_refusal(&mut self, want: &Want, code: ErrorCode) {
        let event = match code {
            ErrorCode::NoSeat => Event::SeatDenied,
            ErrorCode::StationBusy => Event::StationBusy,
            ErrorCode::SeatQuarantine => Event::Quarantined,
            ErrorCode::ReplugTooFast => Event::Unsettled,
            ErrorCode::TimeNotFresh => Event::TimeNotFresh,
            ErrorCode::UsageLogFull => Event::LogFull,
            ErrorCode::NoUnits => Event::NoUnits,
            ErrorCode::Suspended => Event::Suspended,
            ErrorCode::UsageOver => Event::PeriodOver,
            _ => return,
        };
        self.note(event);
        if code == ErrorCode::NoSeat && self.is_lingering(want.need) {
            self.note(Event::LingerDenied);
        }
    }

    fn begins(&mut self, at: usize, want: &Want, grant: SeatGrant) -> State {
        self.note(Event::SeatGranted);
        self.judge_new_seat(at, want.need, want.op);
        self.close_dead_channel(at);
        if want.need.units > 0 {
            self.note(Event::UnitsTaken);
            self.claim(want.need, UsageKind::Taken, want.op, want.need.units);
        }
        let held = Use {
            need: want.need,
            family: want.op,
            token: grant.token,
            handle: grant.handle,
            beats: 0,
            kept_ms: self.clients[at].clock_ms(self.now_ms),
            timeout_ms: u64::from(grant.timeout_s) * 1000,
            session: self.session,
            task: None,
        };
        State::Using(held)
    }

    fn kept(&mut self, at: usize, held: Use, grant: SeatGrant) -> State {
        self.note_station(at, held.need);
        let kept_ms = self.clients[at].clock_ms(self.now_ms);
        let (token, handle) = (grant.token, grant.handle);
        State::Using(Use { token, handle, beats: 0, kept_ms, session: self.session, ..held })
    }

    /// Joins its seat on a channel of its own, or takes it up again where the dongle forgot it.
    fn joins(&mut self, at: usize, held: Use) -> State {
        let is_new = matches!(held.beats, u64::MAX);
        let asleep = |held| if is_new { State::Joining(held) } else { State::Using(held) };
        let Some(channel) = self.channel(at) else { return asleep(held) };
        let join = SeatCommand::Join { op: self.new_op(), token: held.token };
        match self.ask_seat(channel, &format!("client {at} joins"), join) {
            Heard::Reply(SeatReply::Opened(grant)) => {
                self.note(if is_new { Event::Forked } else { Event::Rejoined });
                self.close_dead_channel(at);
                self.kept(at, held, grant)
            }
            // Its parent may have closed the seat: it shows the token no more.
            Heard::Refused(ErrorCode::SeatUnknown) if is_new => self.ends(at),
            Heard::Refused(ErrorCode::SeatUnknown) => self.takes_up_again(at, held),
            Heard::Refused(_) => self.ends(at),
            Heard::Reply(_) => self.broken("an answer to something else"),
            Heard::Nothing => {
                self.note_station(at, held.need);
                self.drop_channel(at);
                asleep(held)
            }
        }
    }

    fn takes_up_again(&mut self, at: usize, held: Use) -> State {
        // A client whose own time is over shows its token no more.
        if self.clients[at].is_over(&held, self.now_ms) {
            return self.ends(at);
        }
        let Some(channel) = self.channel(at) else { return State::Using(held) };
        let (op, requirement) = (OpId::new(*held.token.bytes()), self.requirement(held.need));
        let open = SeatCommand::Open { op, requirement, artifact: ArtifactId::default() };
        let what = format!("client {at} takes {:?} up again", held.need);
        match self.ask_seat(channel, &what, open) {
            Heard::Reply(SeatReply::Opened(grant)) => {
                self.note(Event::TakenUpAgain);
                self.close_dead_channel(at);
                self.kept(at, held, grant)
            }
            Heard::Reply(_) => self.broken("an answer to something else"),
            Heard::Refused(_) => {
                self.note(Event::NotTakenUpAgain);
                self.ends(at)
            }
            Heard::Nothing => {
                self.note_station(at, held.need);
                self.drop_channel(at);
                State::Using(held)
            }
        }
    }

    /// It asks before it goes on.
    fn thaws(&mut self, at: usize, held: Use) -> State {
        self.note(Event::Thawed);
        self.line(format!("client {at} is continued"));
        if self.clients[at].is_over(&held, self.now_ms) {
            return self.ends(at);
        }
        match self.joins(at, held) {
            State::Using(held) if self.clients[at].channel.is_none() => State::Frozen(held),
            state => state,
        }
    }

    fn uses(&mut self, at: usize, held: Use) -> State {
        if self.clients[at].channel.is_none() {
            return self.joins(at, held);
        }
        let last_to_work = if self.is_careless { 30 } else { 18 };
        match self.dice.below(40) {
            0 | 1 => self.closes(at, &held),
            2 => {
                self.note(Event::Died);
                self.line(format!("client {at} dies silently"));
                (self.clients[at].channel, self.clients[at].dead_channel) = (None, None);
                State::Idle
            }
            3 => {
                self.note(Event::Froze);
                self.line(format!("client {at} is stopped"));
                State::Frozen(held)
            }
            4 | 5 => self.forks(at, held),
            6 => {
                self.drop_channel(at);
                self.joins(at, held)
            }
            7 | 8 => self.beats_again(at, held),
            n @ 9.. if n <= last_to_work && self.is_paid(held.need) => self.works(at, held),
            _ => self.beats(at, held),
        }
    }

    pub(super) fn beats(&mut self, at: usize, mut held: Use) -> State {
        let Some(channel) = self.channel(at) else { return State::Using(held) };
        held.beats += 1 + self.dice.below(2) as u64;
        let beat = SeatCommand::Heartbeat { handle: held.handle, n: held.beats };
        match self.ask_seat(channel, &format!("client {at} beats"), beat) {
            Heard::Reply(_) => {
                self.note(Event::SeatKept);
                held.kept_ms = self.clients[at].clock_ms(self.now_ms);
                self.judge_entry(held.need);
                self.note_station(at, held.need);
                State::Using(held)
            }
            Heard::Refused(ErrorCode::SeatUnknown) => self.joins(at, held),
            Heard::Refused(code) => {
                self.line(format!("client {at} loses its seat: {code:?}"));
                self.ends(at)
            }
            Heard::Nothing => {
                self.note_station(at, held.need);
                self.drop_channel(at);
                State::Using(held)
            }
        }
    }

    /// F2: a heartbeat whose number does not rise keeps nothing.
    fn beats_again(&mut self, at: usize, held: Use) -> State {
        let Some(channel) = self.channel(at).filter(|_| held.beats > 0) else {
            return State::Using(held);
        };
        self.note(Event::StrayBeat);
        let beat = SeatCommand::Heartbeat { handle: held.handle, n: held.beats };
        match self.ask_seat(channel, "an old heartbeat", beat) {
            Heard::Refused(ErrorCode::SeatUnknown) => State::Using(held),
            Heard::Refused(_) => self.ends(at),
            Heard::Reply(_) => self.broken("F2: a heartbeat counts twice"),
            Heard::Nothing => {
                self.drop_channel(at);
                State::Using(held)
            }
        }
    }

    /// F6: what was closed is not revived by a late heartbeat.
    fn closes(&mut self, at: usize, held: &Use) -> State {
        let Some(channel) = self.channel(at) else { return State::Idle };
        let close = SeatCommand::Close { handle: held.handle };
        if let Heard::Reply(_) = self.ask_seat(channel, &format!("client {at} closes"), close)
            && self.is_powered
        {
            self.lingers(at, held);
            self.note(Event::BeatAfterClose);
            let late = SeatCommand::Heartbeat { handle: held.handle, n: held.beats + 9 };
            let late = self.ask_seat(channel, "a late heartbeat", late);
            let is_unknown = !matches!(late, Heard::Reply(_));
            self.promise(is_unknown, || "F6: a closed seat is kept".into());
        }
        self.ends(at)
    }

    /// Ends its use and says so.
    pub(super) fn gives_back(&mut self, at: usize, held: &Use) -> State {
        self.closes(at, held)
    }

    fn lingers(&mut self, at: usize, held: &Use) {
        let mut linger_s = self.firms[held.need.firm].of(held.need.product).map(|e| e.linger_s);
        let linger_s = linger_s.next().unwrap_or_default();
        if linger_s > 0 && held.need.access != AccessMode::NoUserLimit {
            let until_ms = self.now_ms + u64::from(linger_s) * 1000 - 1000;
            self.lingering.push((held.need, self.clients[at].who, until_ms));
        }
    }

    fn forks(&mut self, at: usize, held: Use) -> State {
        let idle = |(_, client): &(usize, &Client)| {
            matches!(client.state, State::Idle | State::Waiting(_))
        };
        let child = self.clients.iter().enumerate().filter(|(other, _)| *other != at).find(idle);
        if let Some((child, _)) = child {
            self.line(format!("client {at} forks client {child}"));
            let born = Use { beats: u64::MAX, task: None, ..held.clone() };
            let who = self.clients[at].who;
            let child = &mut self.clients[child];
            child.disconnect();
            (child.who, child.state) = (who, State::Joining(born));
        }
        State::Using(held)
    }

    fn is_paid(&self, need: Need) -> bool {
        self.firms[need.firm].of(need.product).any(|entry| entry.rule.is_some())
    }

    /// Sets units aside, or says how many of them it used.
    fn works(&mut self, at: usize, mut held: Use) -> State {
        let Some(channel) = self.channel(at) else { return State::Using(held) };
        let since = self.firms[held.need.firm].book.entries.len();
        let task = match held.task {
            // Now and then nobody says what became of the units.
            Some(task) if !(task.is_reserved && self.forgets_units()) => task,
            _ => Task {
                op: self.new_op(),
                units: if self.is_careless { 1 } else { 1 + self.dice.below(10) as u32 },
                used: None,
                is_reserved: false,
                is_unheard: false,
                since,
            },
        };
        if task.is_unheard && self.is_forgotten(held.need, task.since) {
            return State::Using(Use { task: None, ..held });
        }
        held.task = Some(task);
        if task.is_reserved && task.used.is_none() && self.dice.one_in(6) {
            self.overstates(at, channel, held, task)
        } else if task.is_reserved {
            self.accounts(at, channel, held, task)
        } else {
            self.reserves(at, channel, held, task)
        }
    }

    fn forgets_units(&mut self) -> bool {
        self.is_careless || self.dice.one_in(3)
    }

    fn reserves(&mut self, at: usize, channel: u32, mut held: Use, mut task: Task) -> State {
        let (op, units) = (task.op, task.units);
        let reserve = SeatCommand::Reserve { op, handle: held.handle, units };
        match self.ask_seat(channel, &format!("client {at} reserves {units}"), reserve) {
            Heard::Reply(_) => {
                if task.is_unheard {
                    self.note(Event::ReserveRepeated);
                }
                self.note(Event::UnitsReserved);
                self.claim(held.need, UsageKind::Reserved, op, units);
                task = Task { is_reserved: true, is_unheard: false, ..task };
                held.task = Some(task);
                State::Using(held)
            }
            Heard::Refused(code) => self.is_refused_units(at, held, code),
            Heard::Nothing => self.repeats_later(at, held, task),
        }
    }

    /// U5: nobody accounts for more than was reserved.
    fn overstates(&mut self, at: usize, channel: u32, held: Use, task: Task) -> State {
        let used = task.units + 1;
        let account = SeatCommand::Account { op: task.op, handle: held.handle, used };
        match self.ask_seat(channel, &format!("client {at} used {used}, more than"), account) {
            Heard::Refused(ErrorCode::ReservationLess) => {
                self.note(Event::Overstated);
                State::Using(held)
            }
            Heard::Refused(code) => self.is_refused_units(at, held, code),
            Heard::Reply(_) => self.broken("U5: more is used than was reserved"),
            Heard::Nothing => {
                self.drop_channel(at);
                State::Using(held)
            }
        }
    }

    fn accounts(&mut self, at: usize, channel: u32, held: Use, mut task: Task) -> State {
        let drawn = self.dice.below(task.units as usize + 1) as u32;
        let used = *task.used.get_or_insert(drawn);
        let account = SeatCommand::Account { op: task.op, handle: held.handle, used };
        let what = format!("client {at} used {used} of {}", task.units);
        match self.ask_seat(channel, &what, account) {
            Heard::Reply(_) => {
                if task.is_unheard {
                    self.note(Event::AccountRepeated);
                }
                self.note(Event::UnitsAccounted);
                self.claim(held.need, UsageKind::Used, task.op, used);
                State::Using(Use { task: None, ..held })
            }
            Heard::Refused(code) => self.is_refused_units(at, held, code),
            Heard::Nothing => self.repeats_later(at, held, task),
        }
    }

    fn repeats_later(&mut self, at: usize, held: Use, task: Task) -> State {
        self.drop_channel(at);
        let task = Some(Task { is_unheard: true, ..task });
        State::Using(Use { task, ..held })
    }

    fn is_refused_units(&mut self, at: usize, held: Use, code: ErrorCode) -> State {
        match code {
            ErrorCode::SeatUnknown => return self.joins(at, held),
            ErrorCode::ReservationUnknown => self.note(Event::ReservationGone),
            ErrorCode::UsageLogFull => self.note(Event::LogFull),
            ErrorCode::NoUnits => self.note(Event::NoUnits),
            ErrorCode::ReservationLarge | ErrorCode::TooManyReservations => {}
            // The license allows nothing any more.
            _ => return self.ends(at),
        }
        State::Using(Use { task: None, ..held })
    }

    /// U3: what was confirmed must stand in the log.
    fn claim(&mut self, need: Need, kind: UsageKind, op: OpId, units: u32) {
        let item = self.firms[need.firm].of(need.product).next().expect("an entry").item;
        self.claims.push((need.firm, Claim { item, kind, op, units: units.into() }));
    }
}
