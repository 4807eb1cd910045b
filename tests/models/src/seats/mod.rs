//! Floating seats: one container, a few clients, a network, and restarts.
//!
//! What is promised is in `invariants.rs`. The rules are in `container.rs` and `client.rs`; this
//! file says what can happen.

pub mod bugs;
pub mod client;
pub mod container;
pub mod invariants;
pub mod loans;
pub mod scenes;

use std::collections::{BTreeMap, BTreeSet};

use stateright::{Model, Property};

use self::bugs::Bug;
use self::client::Client;
use self::container::{Container, Grant};
use self::scenes::Scene;

/// Ticks after which the container gives up an entry without heartbeat, and a client its use.
pub const TIMEOUT: u8 = 2;
/// By how much a client's clock may be wrong in such a time.
pub const DRIFT: u8 = 1;
/// For how long the container goes on counting what it gave up.
pub const GRACE: u8 = 1;
/// For how long a seat stays taken for others after its last entry.
pub const LINGER: u8 = 2;
/// For how long a seat is borrowed.
pub const TERM: u8 = 2;

/// Which client.
pub type Who = u8;

/// A seat's secret. The container's message authentication code over it is what makes it impossible
/// to invent; so the model invents none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Token {
    /// The power session that made it.
    pub boot: u8,
    /// Which of that session.
    pub index: u8,
    /// The number of the mark at that time, in scenes where marks are numbered.
    pub mark: u8,
    /// Seen by the checker only: the first seat of which this one is the continuation.
    pub origin: (u8, u8),
}

/// The id of a request for a seat.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Drawn by a client.
    Drawn(Who, u8),
    /// The token of a seat that the container forgot when it was without power.
    Shown(Token),
}

/// What a client asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Ask {
    /// A seat. Asked again under the same id until there is an answer.
    Open(Op),
    /// An entry in a seat that is held.
    Join(Token),
    /// Heartbeat of an entry, with its number.
    Beat(u8, u8),
    /// Gives an entry back.
    Close(u8),
}

/// A message to the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Request {
    /// By whom.
    pub who: Who,
    /// On which of the client's connections. They count up.
    pub link: u8,
    /// The power session that this connection is with: its keys are gone with the power.
    pub boot: u8,
    /// What is asked.
    pub ask: Ask,
}

/// A message to a client. The secure channel makes it the answer to one question and no other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Answer {
    /// To whom.
    pub who: Who,
    /// On which connection.
    pub link: u8,
    /// To what.
    pub ask: Ask,
    /// What is granted. A refusal says nothing that silence would not say.
    pub grant: Grant,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The container.
    pub container: Container,
    /// Its clients.
    pub clients: Vec<Client>,
    /// What was asked and may arrive, and whether it arrived already.
    pub requests: BTreeMap<Request, bool>,
    /// What was answered and may arrive.
    pub answers: BTreeSet<Answer>,
    /// How often the network may still deliver what arrived before, or what its sender gave up.
    pub strays_left: u8,
    /// How often the container may still lose its power.
    pub restarts_left: u8,
    /// How often a client may still crash.
    pub crashes_left: u8,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Time passes, for all.
    Tick,
    /// A client asks.
    Ask(Who, Ask),
    /// A request arrives, now or again.
    Arrive(Request),
    /// An answer arrives.
    Hear(Answer),
    /// The first client makes the second one, a child that shares its seat.
    Fork(Who, Who),
    /// A client ends its use and says so.
    End(Who),
    /// A client is gone.
    Crash(Who),
    /// The container notices that a connection is gone.
    HangUp(Who, u8),
    /// The container loses its power and gets it again, perhaps on another host.
    Restart(u8),
    /// A seat is lent.
    Lend,
    /// Something happens to a loan.
    Loan(usize, loans::Step),
}

/// The model: a scene, played by the rules or by all rules but one.
#[derive(Debug, Clone)]
pub struct Seats {
    /// Who and how much takes part.
    pub scene: Scene,
    /// The rule that is left out.
    pub bug: Option<Bug>,
}

impl Seats {
    /// A scene, played by the rules.
    pub fn right(scene: Scene) -> Self {
        Seats { scene, bug: None }
    }

    /// Whether this rule is left out.
    pub fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// The state after those whom the scene names got their seats, one after the other.
    fn seated(&self, mut state: State) -> State {
        for &who in &self.scene.seated {
            if let Some(parent) = self.scene.people[usize::from(who)].parent {
                state = self.next_state(&state, Action::Fork(parent, who)).unwrap_or(state);
            }
            while !state.clients[usize::from(who)].uses() {
                let mut actions = Vec::new();
                self.actions(&state, &mut actions);
                let helps = |action: &Action| match action {
                    Action::Ask(of, _) => *of == who && state.requests.is_empty(),
                    Action::Arrive(_) => state.answers.is_empty(),
                    Action::Hear(_) => true,
                    _ => false,
                };
                let next = actions.into_iter().rfind(helps);
                state =
                    next.and_then(|action| self.next_state(&state, action)).expect("a free seat");
            }
        }
        state
    }

    fn clients_can(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, client) in state.clients.iter().enumerate() {
            let who = at as Who;
            let reaches = self.scene.people[at].host == state.container.host;
            if let Some(ask) = client.next_ask(self, who, state.container.boot)
                && reaches
            {
                actions.push(Action::Ask(who, ask));
            }
            if reaches && client.can_end(state.container.boot) {
                actions.push(Action::End(who));
            }
            if state.crashes_left > 0 && !client.is_idle() {
                actions.push(Action::Crash(who));
            }
            if let Some(parent) = self.scene.people[at].parent
                && client.is_new()
                && state.clients[usize::from(parent)].uses()
            {
                actions.push(Action::Fork(parent, who));
            }
        }
    }

    fn network_can(&self, state: &State, actions: &mut Vec<Action>) {
        for request in state.requests.keys() {
            let reaches = self.scene.people[usize::from(request.who)].host == state.container.host;
            if reaches {
                actions.push(Action::Arrive(*request));
            }
        }
        for answer in &state.answers {
            actions.push(Action::Hear(*answer));
        }
        for (who, link) in state.container.links() {
            if state.clients[usize::from(who)].has_left(self, link) {
                actions.push(Action::HangUp(who, link));
            }
        }
    }

    /// Whether the container reads a request. A connection from before a restart has no keys.
    fn is_read(&self, container: &Container, request: &Request) -> bool {
        let keyless = self.is(Bug::CloseByOldSession) && matches!(request.ask, Ask::Close(_));
        request.boot == container.boot || keyless
    }

    fn arrive(&self, state: &mut State, request: Request) {
        let arrived = state.requests.insert(request, true) == Some(true);
        if arrived || !state.clients[usize::from(request.who)].awaits(&request) {
            state.strays_left -= 1;
        }
        if let Some(grant) = state.container.answer(self, request) {
            let Request { who, link, ask, .. } = request;
            state.answers.insert(Answer { who, link, ask, grant });
        }
    }

    /// Forgets messages that nobody would read any more, so that states which differ in nothing
    /// else are one.
    fn forget(&self, state: &mut State) {
        let State { container, clients, requests, answers, strays_left, .. } = state;
        requests.retain(|request, arrived| {
            let awaited = !*arrived && clients[usize::from(request.who)].awaits(request);
            self.is_read(container, request) && (awaited || *strays_left > 0)
        });
        answers.retain(|answer| clients[usize::from(answer.who)].expects(self, answer));
    }
}

impl Model for Seats {
    type State = State;
    type Action = Action;

    /// The clocks of the clients go as the scene allows, in all combinations.
    fn init_states(&self) -> Vec<State> {
        let mut states = vec![State {
            container: Container::default(),
            clients: self.scene.people.iter().map(Client::new).collect(),
            requests: BTreeMap::new(),
            answers: BTreeSet::new(),
            strays_left: self.scene.strays,
            restarts_left: self.scene.restarts,
            crashes_left: self.scene.crashes,
        }];
        for at in 0..self.scene.people.len() {
            let before = std::mem::take(&mut states);
            for &error in &self.scene.clock_errors {
                let mut so = before.clone();
                so.iter_mut().for_each(|state| state.clients[at].error = error);
                states.extend(so);
            }
        }
        states.into_iter().map(|state| self.seated(state)).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        self.clients_can(state, actions);
        self.network_can(state, actions);
        if state.restarts_left > 0 {
            actions.extend(self.scene.hosts().map(Action::Restart));
        }
        if state.container.can_lend(self) {
            actions.push(Action::Lend);
        }
        for (at, loan) in state.container.loans.all.iter().enumerate() {
            actions.extend(loan.steps(self).map(|step| Action::Loan(at, step)));
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Tick => {
                state.container.tick(self);
                state.clients.iter_mut().for_each(|client| client.tick(self));
            }
            Action::Ask(who, ask) => {
                let boot = state.container.boot;
                let request = state.clients[usize::from(who)].ask(who, ask, boot);
                state.requests.insert(request, false);
            }
            Action::Arrive(request) => self.arrive(&mut state, request),
            Action::Hear(answer) => state.clients[usize::from(answer.who)].hear(self, answer),
            Action::Fork(parent, child) => {
                let lease = state.clients[usize::from(parent)].lease;
                state.clients[usize::from(child)].is_forked_with(lease);
            }
            Action::End(who) => {
                let said = state.clients[usize::from(who)].end(self, who);
                state.requests.extend(said.map(|request| (request, false)));
            }
            Action::Crash(who) => {
                state.crashes_left -= 1;
                state.clients[usize::from(who)].crash();
            }
            Action::HangUp(who, link) => state.container.hang_up(self, who, link),
            Action::Restart(host) => {
                state.restarts_left -= 1;
                state.container.restart(self, host);
            }
            Action::Lend => state.container.loans.lend(),
            Action::Loan(at, step) => {
                state.container.loans.step(self, at, step);
                state.container.serve(self);
            }
        }
        self.forget(&mut state);
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::all()
    }
}
