//! The end of a world: messages arrive again, and what waited must be served. And logs that are
//! full.

use protocol::command::{Command, Reply, SeatCommand, SeatReply};
use protocol::ids::ArtifactId;
use protocol::limits::LOG_ENTRIES_MAX;
use protocol::objects::license::AccessMode;

use super::client::{Need, State};
use super::event::Event;
use super::world::World;

/// Longer than any quarantine, time-out or linger time.
const LONG_MS: u64 = 100_000;

/// Clients that wait for seats of one entry.
const WAITING: usize = 6;

impl World {
    /// Left alone, everything comes free, whoever waits is served in turn, and the log is taken in
    /// to its end.
    pub(super) fn end(&mut self) {
        self.is_rough = false;
        self.line("from here on nothing is lost".into());
        while !self.is_powered {
            self.plug_in();
        }
        self.everything_is_enabled();
        self.judge();
        for at in 0..self.clients.len() {
            self.clients[at].disconnect();
            self.clients[at].state = State::Idle;
        }
        self.pass_ms(LONG_MS);
        self.serves_in_turn(self.busy[0].0);
        self.pass_ms(LONG_MS);
        for at in 0..self.firms.len() {
            self.log_is_taken_in(at);
        }
        self.judge();
        self.leaves_no_mark();
    }

    /// F5: with as many waiting as there may be, each is served when as many seats came free as
    /// others were before it.
    fn serves_in_turn(&mut self, firm: usize) {
        let counted = |entry: &&super::firm::Entry| {
            entry.quantity > 0 && entry.rule.is_none() && entry.period_s.is_none()
        };
        let entry = self.firms[firm].entries.iter().find(counted);
        let product = entry.expect("each firm has one").item.product;
        let need = Need { firm, product, access: AccessMode::UserLimit, units: 0 };
        for at in 0..WAITING {
            self.clients[at].state = State::Waiting(self.new_want(need));
        }
        let mut first_waiting = 0;
        while first_waiting < WAITING {
            let before = first_waiting;
            for at in before..WAITING {
                self.act(at);
                let is_served = matches!(self.clients[at].state, State::Using(_));
                self.promise(!is_served || at == first_waiting, || {
                    format!("F5: client {at} is served before client {first_waiting}")
                });
                first_waiting += usize::from(is_served);
            }
            self.judge();
            self.promise(first_waiting > before, || "F5: a seat came free and is not given".into());
            self.note(Event::Waited);
            self.one_comes_free(firm, first_waiting);
        }
        self.note(Event::ServedInTurn);
    }

    /// The first of those who hold a seat gives it back.
    fn one_comes_free(&mut self, firm: usize, served: usize) {
        for at in 0..served {
            let state = std::mem::replace(&mut self.clients[at].state, State::Idle);
            if let State::Using(held) = state {
                self.clients[at].state = self.gives_back(at, &held);
                self.promise(held.need.firm == firm, || "a seat of another firm".into());
                return;
            }
        }
    }

    fn everything_is_enabled(&mut self) {
        for at in 0..self.firms.len() {
            self.firm_sets_right(at);
        }
    }

    fn log_is_taken_in(&mut self, at: usize) {
        self.judge_log(at);
        self.firm_pulls(at);
        let all = self.firms[at].has_taken_in_all();
        self.promise(all, || "L4: what was taken in is not what was written, once each".into());
        while self.firms[at].acked() < self.firms[at].book.entries.len() as u64 {
            self.firm_acknowledges(at);
        }
    }

    /// F8: with the last seat the mark is gone: a power cut costs nobody a wait.
    fn leaves_no_mark(&mut self) {
        for at in 0..self.clients.len() {
            self.clients[at].disconnect();
            self.clients[at].state = State::Idle;
        }
        self.pass_ms(LONG_MS);
        self.judge();
        self.unplug();
        self.plug_in();
        for firm in 0..self.firms.len() {
            for entry in self.firms[firm].entries.clone() {
                let requirement = self.firms[firm].vendor.requirement(entry.item.product);
                let reply = self.tell(1, "why", Command::Why(requirement));
                let waits = matches!(reply, Reply::Failed(failure)
                    if failure.known() == Some(protocol::errors::ErrorCode::SeatQuarantine));
                self.promise(!waits, || "F8: nobody holds a seat, and somebody waits".into());
            }
        }
    }

    /// Uses units until the log takes no more.
    pub(super) fn fill_log(&mut self) {
        let (firm, _) = self.busy[0];
        let paid = self.firms[firm].entries.iter().find(|entry| entry.rule.is_some());
        let product = paid.expect("one that is paid").item.product;
        self.firm_adds_units(firm, 2 * LOG_ENTRIES_MAX);
        let channel = self.new_channel();
        loop {
            let made = self.firms[firm].vendor.requirement(product);
            let requirement = protocol::objects::license::Requirement { units: 1, ..made };
            let (op, artifact) = (self.new_op(), ArtifactId::default());
            let open = SeatCommand::Open { op, requirement, artifact };
            match self.tell(channel, "fills", Command::Seat(open)) {
                Reply::Seat(SeatReply::Opened(grant)) => {
                    let close = SeatCommand::Close { handle: grant.handle };
                    self.tell(channel, "", Command::Seat(close));
                }
                _ => break,
            }
        }
        self.note(Event::LogFull);
        self.judge();
    }
}
