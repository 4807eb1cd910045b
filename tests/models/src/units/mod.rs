//! Prepaid units and the usage log: uses that pay first, power cuts, a server that bills.
//!
//! What is promised is in `invariants.rs`. The rules are in `container.rs` and `server.rs`; this
//! file says what can happen. Everything that was sent may arrive at any later time, any number of
//! times.

pub mod bugs;
pub mod client;
pub mod container;
pub mod invariants;
pub mod scenes;
pub mod server;

use std::collections::BTreeSet;

use stateright::{Model, Property};

use self::bugs::Bug;
use self::client::Use;
use self::container::{Container, Standing};
use self::scenes::Scene;
use self::server::{Server, Update};

/// The id of a use; each use has its own.
pub type Op = usize;

/// What a log entry tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Body {
    /// So many units were used.
    Used(Op, i8),
    /// So many were charged for a lost session.
    Charged(Op, i8),
    /// So many are held for a lost session.
    Held(Op, i8),
    /// This update gave a unit.
    ToppedUp(usize),
    /// This update settled what was held.
    Settled(usize, Op),
}

/// A log entry. Its hash covers all entries before it, so the model lets the list of them stand for
/// the hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Entry {
    /// Its number.
    pub seq: u8,
    /// What it tells.
    pub body: Body,
}

/// Entries on their way to the server, under a head that the container signed for this.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Upload {
    /// The first entry that is sent itself.
    pub from: usize,
    /// What the signed head names.
    pub history: Vec<Entry>,
}

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// The container.
    pub container: Container,
    /// The uses.
    pub uses: Vec<Use>,
    /// The uses whose reservation was granted in an answer.
    pub granted: BTreeSet<Op>,
    /// The server.
    pub server: Server,
    /// All uploads that were ever sent.
    pub uploads: BTreeSet<Upload>,
    /// All acknowledgments that were ever sent.
    pub acks: BTreeSet<Vec<Entry>>,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A use asks for its reservation.
    Ask(Op),
    /// The request arrives, and is answered.
    Reserve(Op),
    /// The request arrives; power goes before the answer leaves.
    ReserveAndCut(Op),
    /// The answer arrives.
    Hear(Op),
    /// A unit is used.
    Spend(Op),
    /// A use ends.
    End(Op),
    /// Its commit arrives, with what the client says it had reserved.
    Commit(Op, i8),
    /// The container gives the session of a use up.
    Lose(Op),
    /// The vendor makes an update.
    Issue(Update),
    /// An update arrives.
    Apply(usize),
    /// The container sends its log from this entry on.
    Send(usize),
    /// An upload arrives.
    TakeIn(Upload),
    /// An acknowledgment arrives.
    Prune(Vec<Entry>),
    /// The container writes what it had in RAM only.
    Persist,
    /// The container loses power.
    Restart,
    /// The server writes what it had in RAM only.
    PersistServer,
    /// The server crashes.
    RestartServer,
    /// An attacker copies the container's memory.
    Copy,
    /// An attacker puts the copy back.
    Restore,
}

/// The model: a scene, played by the rules or by all rules but one.
#[derive(Debug, Clone)]
pub struct Units {
    /// What takes part.
    pub scene: Scene,
    /// The rule that is left out.
    pub bug: Option<Bug>,
}

impl Units {
    /// A scene, played by the rules.
    pub fn right(scene: Scene) -> Self {
        Units { scene, bug: None }
    }

    /// Whether this rule is left out.
    pub fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    /// More units than can rightly be there, where wrong ones stop growing.
    pub fn enough(&self) -> i8 {
        self.scene.units + self.scene.updates as i8 + 1
    }

    /// Whether the container sees that its memory is older than its anchor. Then it does nothing.
    fn is_locked(&self, container: &Container) -> bool {
        let older = container.durable.commits < container.anchor;
        self.scene.anchored && older && !self.is(Bug::AnchorIgnored)
    }

    fn uses_can(&self, state: &State, actions: &mut Vec<Action>) {
        for (op, (&stage, &units)) in state.uses.iter().zip(&self.scene.uses).enumerate() {
            match stage {
                Use::Idle => actions.push(Action::Ask(op)),
                Use::Asked if state.granted.contains(&op) => actions.push(Action::Hear(op)),
                Use::Granted(used) => {
                    if used < units {
                        actions.push(Action::Spend(op));
                    }
                    actions.push(Action::End(op));
                }
                Use::Asked => {}
                Use::Ended(_) => {
                    actions.extend([units, units + 1].map(|claims| Action::Commit(op, claims)));
                }
            }
            if stage != Use::Idle {
                actions.extend([Action::Reserve(op), Action::ReserveAndCut(op)]);
            }
        }
        let reservations = &state.container.ram.reservations;
        let open = reservations.iter().filter(|known| known.standing == Standing::Open);
        actions.extend(open.map(|known| Action::Lose(known.op)));
    }

    fn vendor_can(&self, state: &State, actions: &mut Vec<Action>) {
        let server = &state.server;
        if server.updates.len() < usize::from(self.scene.updates) {
            actions.push(Action::Issue(Update::TopUp));
            for (op, units) in server.held() {
                actions.extend([0, units].map(|back| Action::Issue(Update::Settle(op, back))));
            }
        }
        actions.extend((1..=server.updates.len()).map(Action::Apply));
        if state.uploads.len() < usize::from(self.scene.uploads) {
            actions.extend(state.container.uploads().map(Action::Send));
        }
        actions.extend(state.uploads.iter().cloned().map(Action::TakeIn));
        actions.extend(state.acks.iter().cloned().map(Action::Prune));
    }

    fn faults_can(&self, state: &State, actions: &mut Vec<Action>) {
        // Where all is durable already, both change nothing.
        if state.container.ram != state.container.durable {
            actions.extend([Action::Persist, Action::Restart]);
        }
        if state.server.ram != state.server.durable {
            actions.extend([Action::PersistServer, Action::RestartServer]);
        }
        if self.scene.rollback && !state.container.restored {
            match state.container.image {
                None => actions.push(Action::Copy),
                Some(_) => actions.push(Action::Restore),
            }
        }
    }

    fn send(&self, state: &mut State, from: usize) {
        let history = state.container.ram.log.clone();
        if self.is(Bug::PruneUnacked) {
            state.container.prune(self, &history);
        }
        state.uploads.insert(Upload { from, history });
    }

    /// The actions that reach the container while it is in use.
    fn container_does(&self, state: &mut State, action: Action) {
        let container = &mut state.container;
        match action {
            Action::Reserve(op) => {
                let granted = container.reserve(self, op, self.scene.uses[op]);
                state.granted.extend(granted.then_some(op));
            }
            Action::ReserveAndCut(op) => {
                container.reserve(self, op, self.scene.uses[op]);
                container.restart();
            }
            Action::Commit(op, claims) => {
                container.commit(self, op, state.uses[op].used(), claims);
            }
            Action::Lose(op) => container.lose(self, op),
            Action::Apply(number) => {
                container.apply(self, number, state.server.updates[number - 1]);
            }
            Action::Send(from) => self.send(state, from),
            Action::Prune(history) => container.prune(self, &history),
            Action::Persist => container.persist(),
            Action::Restart => container.restart(),
            Action::Copy => container.image = Some(container.durable.clone()),
            Action::Restore => container.is_restored(),
            _ => {}
        }
        state.container.count_used();
    }
}

impl Model for Units {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State {
            container: Container::new(self.scene.units),
            uses: vec![Use::Idle; self.scene.uses.len()],
            granted: BTreeSet::new(),
            server: Server::default(),
            uploads: BTreeSet::new(),
            acks: BTreeSet::new(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        if self.is_locked(&state.container) {
            return;
        }
        self.uses_can(state, actions);
        self.vendor_can(state, actions);
        self.faults_can(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Ask(op) => state.uses[op] = Use::Asked,
            Action::Hear(op) => state.uses[op] = Use::Granted(0),
            Action::Spend(op) => state.uses[op] = Use::Granted(state.uses[op].used() + 1),
            Action::End(op) => state.uses[op] = Use::Ended(state.uses[op].used()),
            Action::Issue(update) => state.server.updates.push(update),
            Action::TakeIn(upload) => state.acks.extend(state.server.take_in(self, &upload)),
            Action::PersistServer => state.server.persist(),
            Action::RestartServer => state.server.restart(),
            other => self.container_does(&mut state, other),
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::all()
    }
}
