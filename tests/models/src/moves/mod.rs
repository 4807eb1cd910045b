//! Licenses that lapse unless they are renewed, and move from container to container.
//!
//! License Central holds grants and signs updates; containers apply them and sign receipts. Both
//! are durable before they leave, and stay on the network for ever. What is promised is in
//! `invariants.rs`. The rules are in `central.rs` and `container.rs`; this file says what can
//! happen.

pub mod bugs;
pub mod central;
pub mod chain;
pub mod container;
pub mod invariants;
pub mod reached;
pub mod scenes;

use stateright::{Model, Property};

use self::bugs::Bug;
use self::central::{Central, Order, Owner, Standing};
use self::chain::{Chain, Place, Receipt};
use self::container::Container;
use self::scenes::{Budget, Scene};

/// A container, by its number.
pub type ContainerId = usize;

/// A firm, by its number.
pub type FirmId = usize;

/// A grant, by its number.
pub type GrantId = usize;

/// Ticks from signing an update until what it installs lapses. Grace is its last part.
pub const PERIOD: i8 = 2;
/// Ticks that a trusted clock may be late, against that of Central.
pub const SKEW: i8 = 1;
/// The lapse of what has none.
pub const FOREVER: i8 = i8::MAX;

/// Everything.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct State {
    /// License Central.
    pub central: Central,
    /// The containers.
    pub containers: Vec<Container>,
    /// What was signed, for each container and each firm in it.
    pub chains: Vec<Vec<Chain>>,
    /// What may still be tried.
    pub left: Budget,
}

/// What can happen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Time passes, for all.
    Tick,
    /// A grant in the pool is split.
    Split(GrantId),
    /// Central signs an update, and it leaves.
    Sign(Order),
    /// Central signs an update, and crashes before it leaves.
    SignAndCrash(Order),
    /// Central sends an update that has no receipt.
    Resend(ContainerId, FirmId, Place),
    /// An update arrives.
    Arrive(ContainerId, FirmId, Place),
    /// An update arrives and is applied; power goes before the receipt leaves.
    ArriveAndCut(ContainerId, FirmId, Place),
    /// The container is asked for the receipt of a place that it passed. A context says the same.
    Repeat(ContainerId, FirmId, Place),
    /// A receipt reaches Central.
    Hear(ContainerId, FirmId, Receipt),
    /// Central takes back what lapsed.
    Reclaim(GrantId),
    /// The vendor gives a container no licenses any more.
    Revoke(ContainerId, FirmId),
    /// The owner ends a container.
    Decommission(ContainerId),
    /// The final statement of a container reaches Central.
    HearFinal(ContainerId, FirmId),
}

/// The model: a scene, played by the rules or by all rules but one.
#[derive(Debug, Clone)]
pub struct Moves {
    /// What takes part.
    pub scene: Scene,
    /// The rule that is left out.
    pub bug: Option<Bug>,
}

impl State {
    /// Whether every grant is in the pool.
    pub fn is_pooled(&self) -> bool {
        self.central.grants.iter().all(|grant| grant.owner == Owner::Pool)
    }

    /// Each chain, with its container and firm.
    pub fn all_chains(&self) -> impl Iterator<Item = (ContainerId, FirmId, &Chain)> {
        self.chains.iter().enumerate().flat_map(|(at, of_container)| {
            of_container.iter().enumerate().map(move |(firm, chain)| (at, firm, chain))
        })
    }
}

impl Moves {
    /// A scene, played by the rules.
    pub fn right(scene: Scene) -> Self {
        Moves { scene, bug: None }
    }

    /// Whether this rule is left out.
    pub fn is(&self, bug: Bug) -> bool {
        self.bug == Some(bug)
    }

    fn central_can(&self, state: &State, actions: &mut Vec<Action>) {
        let (central, left) = (&state.central, &state.left);
        for order in central.orders(self, &state.chains) {
            if left.allows(&order) {
                actions.push(Action::Sign(order));
                actions.extend((left.crashes > 0).then_some(Action::SignAndCrash(order)));
            }
        }
        for id in 0..central.grants.len() {
            if left.splits > 0 && central.can_split(self, id) {
                actions.push(Action::Split(id));
            }
            if central.can_reclaim(self, &state.chains, id) {
                actions.push(Action::Reclaim(id));
            }
        }
        for (at, firm, _) in state.all_chains() {
            if left.revocations > 0 && central.books[at][firm].standing == Standing::Active {
                actions.push(Action::Revoke(at, firm));
            }
        }
    }

    fn network_can(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, firm, chain) in state.all_chains() {
            let container = &state.containers[at];
            for (place, update) in chain.places().zip(&chain.updates) {
                if update.sent {
                    actions.push(Action::Arrive(at, firm, place));
                    let cut = state.left.cuts > 0;
                    actions.extend(cut.then_some(Action::ArriveAndCut(at, firm, place)));
                } else if update.booked && !self.is(Bug::NoResend) {
                    actions.push(Action::Resend(at, firm, place));
                }
                if container.repeats(self, chain, firm, place) {
                    actions.push(Action::Repeat(at, firm, place));
                }
            }
            let heard = chain.receipts.iter().cloned();
            actions.extend(heard.map(|receipt| Action::Hear(at, firm, receipt)));
            if container.drawers[firm].ended.is_some() {
                actions.push(Action::HearFinal(at, firm));
            }
        }
    }

    fn owners_can(&self, state: &State, actions: &mut Vec<Action>) {
        for (at, container) in state.containers.iter().enumerate() {
            if state.left.ends > 0 && container.drawers.iter().all(|drawer| drawer.ended.is_none())
            {
                actions.push(Action::Decommission(at));
            }
        }
    }

    /// Central signs. What is signed is durable before it leaves.
    fn sign(&self, state: &mut State, order: Order, crashes: bool) {
        let before = state.central.clone();
        let lens = |state: &State| -> Vec<usize> {
            state.all_chains().map(|(_, _, chain)| chain.updates.len()).collect()
        };
        let had = lens(state);
        state.central.sign(self, &mut state.chains, order);
        state.left.spend(&order);
        let forgotten = crashes && self.is(Bug::SendBeforePersist);
        for (chain, had) in state.chains.iter_mut().flatten().zip(had) {
            for update in &mut chain.updates[had..] {
                update.sent = !crashes || forgotten;
                update.booked = !forgotten;
            }
        }
        if crashes {
            state.left.crashes -= 1;
        }
        if forgotten {
            state.central = before;
        }
    }

    /// An update arrives. Applied or refused, it is answered with the receipt of the present state.
    fn arrive(&self, state: &mut State, at: ContainerId, firm: FirmId, place: Place, cut: bool) {
        let before = state.containers[at].clone();
        let applied = state.containers[at].arrive(self, &state.chains[at], firm, place);
        let chain = &mut state.chains[at][firm];
        let container = &state.containers[at];
        let answers = applied || !self.is(Bug::ReceiptOnce);
        let early = cut && applied && self.is(Bug::AnswerBeforePersist);
        let now = container.drawers[firm].at;
        if answers && (!cut || early) && now > 0 {
            chain.receipts.insert(container.receipt(self, chain, firm, now));
        }
        if cut && applied {
            state.left.cuts -= 1;
        }
        if early {
            state.containers[at] = before;
        }
    }

    /// A receipt arrives, under the firm and the container that signed it.
    fn hear(&self, state: &mut State, at: ContainerId, firm: FirmId, receipt: &Receipt) {
        state.central.hear(self, &state.chains[at][firm], at, firm, receipt);
        if self.is(Bug::ReceiptOfOtherFirm) {
            let number = state.chains[at][firm].number(receipt.place);
            for (other, chain) in state.chains[at].iter().enumerate().filter(|row| row.0 != firm) {
                let place = chain.places().rfind(|&place| chain.number(place) == number);
                let taken = place.map(|place| Receipt { place, holds: Vec::new() });
                taken.iter().for_each(|receipt| {
                    state.central.hear(self, chain, at, other, receipt);
                });
            }
        }
    }
}

impl Model for Moves {
    type State = State;
    type Action = Action;

    /// The clocks of the containers go as the scene allows, in all combinations.
    fn init_states(&self) -> Vec<State> {
        let Scene { clocks, lates, .. } = &self.scene;
        let mut sets = vec![Vec::new()];
        for &clock in clocks {
            let with = |set: Vec<Container>| {
                lates.iter().map(move |&late| {
                    let firms = self.scene.firms();
                    let one = Container::new(clock, late, firms);
                    set.iter().cloned().chain([one]).collect()
                })
            };
            sets = sets.into_iter().flat_map(with).collect();
        }
        let chains = vec![vec![Chain::default(); self.scene.firms()]; clocks.len()];
        let start = |containers| State {
            central: Central::new(&self.scene),
            containers,
            chains: chains.clone(),
            left: self.scene.budget,
        };
        sets.into_iter().map(start).collect()
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        actions.push(Action::Tick);
        self.central_can(state, actions);
        self.network_can(state, actions);
        self.owners_can(state, actions);
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Tick => state.chains.iter_mut().flatten().for_each(Chain::tick),
            Action::Split(id) => {
                state.left.splits -= 1;
                state.central.split(self, id);
            }
            Action::Sign(order) => self.sign(&mut state, order, false),
            Action::SignAndCrash(order) => self.sign(&mut state, order, true),
            Action::Resend(at, firm, place) => {
                state.chains[at][firm].updates[place - 1].sent = true;
            }
            Action::Arrive(at, firm, place) => self.arrive(&mut state, at, firm, place, false),
            Action::ArriveAndCut(at, firm, place) => self.arrive(&mut state, at, firm, place, true),
            Action::Repeat(at, firm, place) => {
                let chain = &mut state.chains[at][firm];
                let receipt = state.containers[at].receipt(self, chain, firm, place);
                chain.receipts.insert(receipt);
            }
            Action::Hear(at, firm, receipt) => self.hear(&mut state, at, firm, &receipt),
            Action::Reclaim(id) => state.central.reclaim(self, id),
            Action::Revoke(at, firm) => {
                state.left.revocations -= 1;
                state.central.books[at][firm].standing = Standing::Revoked;
            }
            Action::Decommission(at) => {
                state.left.ends -= 1;
                state.containers[at].decommission();
            }
            Action::HearFinal(at, firm) => {
                if let Some(place) = state.containers[at].drawers[firm].ended {
                    state.central.hear_final(at, firm, place);
                }
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        invariants::all()
    }
}
