//! Runs a model and says what was found.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::hash::Hash;

use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::clock::timed;

/// What a check found.
pub struct Found {
    /// Different states that were looked at.
    pub unique: usize,
    /// Invariants that do not hold, with the actions that lead there.
    pub broken: BTreeMap<&'static str, Vec<String>>,
    /// Rows of the kind "this happens sometimes" that were reached.
    pub reached: Vec<&'static str>,
}

/// Looks at every state of a model, on two threads.
pub fn every_state<M>(name: &str, model: M) -> Found
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    run(name, model, 2, HasDiscoveries::All)
}

/// Looks for a state in which an invariant does not hold, nearest first, and stops there.
pub fn until_broken<M>(name: &str, model: M, invariant: &'static str) -> Found
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    run(name, model, 1, HasDiscoveries::AnyOf([invariant].into()))
}

/// From where a goal cannot be reached.
#[derive(Debug, PartialEq, Eq)]
pub struct Stuck {
    /// So many states.
    pub states: usize,
    /// The actions that lead to the nearest of them.
    pub nearest: Option<Vec<String>>,
}

/// A row of [`stuck`]: its name, and the actions by which the goal must be reached.
pub type By<M> = (&'static str, fn(&<M as Model>::Action) -> bool);

/// Looks from which states no goal can be reached by the actions that a row allows. All actions
/// lead to the states that are looked at; from the goals the search goes back.
pub fn stuck<M>(name: &str, model: &M, goal: fn(&M::State) -> bool, rows: &[By<M>]) -> Vec<Stuck>
where
    M: Model,
    M::State: Clone + Eq + Hash,
    M::Action: Clone + Debug,
{
    let (graph, seconds) = timed(|| Graph::of(model, goal, rows));
    let unique = graph.states.len();
    println!("figure: {name}: {unique} unique states, {seconds:.1} s");
    let look = |(row, by): (usize, &By<M>)| {
        let reaches = graph.reaching(row);
        let mut stuck = (0..unique).filter(|&at| !reaches[at]);
        let states = stuck.clone().count();
        let nearest = stuck.next().map(|at| graph.actions_to(model, at));
        println!("figure: {name}: {states} states stuck, {}", by.0);
        Stuck { states, nearest }
    };
    rows.iter().enumerate().map(look).collect()
}

/// The names of a model's invariants, or of what it reaches sometimes.
pub fn names<M: Model>(model: &M, kind: &Expectation) -> Vec<&'static str> {
    model.properties().iter().filter(|row| row.expectation == *kind).map(|row| row.name).collect()
}

/// Whether the long forms are asked for.
pub fn is_soak() -> bool {
    std::env::var_os("STRONGROOM_SOAK").is_some()
}

fn run<M>(name: &str, model: M, threads: usize, until: HasDiscoveries) -> Found
where
    M: Model + Clone + Send + Sync + 'static,
    M::State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static,
    M::Action: Clone + Debug + PartialEq + Send + Sync + 'static,
{
    let invariants = names(&model, &Expectation::Always);
    let (checker, seconds) =
        timed(|| model.checker().threads(threads).finish_when(until).spawn_bfs().join());
    let mut found = Found {
        unique: checker.unique_state_count(),
        broken: BTreeMap::new(),
        reached: Vec::new(),
    };
    for (row, path) in checker.discoveries() {
        if invariants.contains(&row) {
            let steps = path.into_actions().iter().map(|action| format!("{action:?}")).collect();
            found.broken.insert(row, steps);
        } else {
            found.reached.push(row);
        }
    }
    let (unique, depth) = (found.unique, checker.max_depth());
    println!("figure: {name}: {unique} unique states, depth {depth}, {seconds:.1} s");
    found
}

/// All states of a model, nearest first.
struct Graph<M: Model> {
    states: Vec<M::State>,
    /// Where each state was first reached from.
    parents: Vec<usize>,
    /// Each step: to which state, from which, and a bit for each row that allows it.
    steps: Vec<(usize, usize, u8)>,
    goals: Vec<usize>,
}

impl<M> Graph<M>
where
    M: Model,
    M::State: Clone + Eq + Hash,
    M::Action: Clone + Debug,
{
    fn of(model: &M, goal: fn(&M::State) -> bool, rows: &[By<M>]) -> Self {
        let (states, parents, steps, goals) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut graph: Self = Graph { states, parents, steps, goals };
        let mut numbers = HashMap::new();
        for state in model.init_states() {
            graph.number(&mut numbers, state, usize::MAX);
        }
        let mut at = 0;
        while at < graph.states.len() {
            let state = graph.states[at].clone();
            graph.goals.extend(goal(&state).then_some(at));
            let mut actions = Vec::new();
            model.actions(&state, &mut actions);
            for action in actions {
                let bits = rows.iter().enumerate();
                let allowed = bits.map(|(row, by)| u8::from(by.1(&action)) << row).sum();
                if let Some(next) = model.next_state(&state, action) {
                    let to = graph.number(&mut numbers, next, at);
                    graph.steps.push((to, at, allowed));
                }
            }
            at += 1;
        }
        graph.steps.sort_unstable();
        graph
    }

    fn number(
        &mut self,
        numbers: &mut HashMap<M::State, usize>,
        state: M::State,
        from: usize,
    ) -> usize {
        *numbers.entry(state).or_insert_with_key(|state| {
            self.states.push(state.clone());
            self.parents.push(from);
            self.states.len() - 1
        })
    }

    /// For each state whether a goal is reached from it by what a row allows.
    fn reaching(&self, row: usize) -> Vec<bool> {
        let mut reaches = vec![false; self.states.len()];
        let mut open = self.goals.clone();
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut reaches[at], true) {
                continue;
            }
            let first = self.steps.partition_point(|step| step.0 < at);
            let steps = self.steps[first..].iter().take_while(|step| step.0 == at);
            open.extend(steps.filter(|step| step.2 >> row & 1 == 1).map(|step| step.1));
        }
        reaches
    }

    fn actions_to(&self, model: &M, mut at: usize) -> Vec<String> {
        let mut taken = Vec::new();
        while let Some(from) = self.states.get(self.parents[at]) {
            let mut actions = Vec::new();
            model.actions(from, &mut actions);
            let leads = |action: &&M::Action| {
                model.next_state(from, (*action).clone()).as_ref() == Some(&self.states[at])
            };
            taken.extend(actions.iter().find(leads).map(|action| format!("{action:?}")));
            at = self.parents[at];
        }
        taken.reverse();
        taken
    }
}
