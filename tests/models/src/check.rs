//! Runs a model and says what was found.

use std::collections::BTreeMap;
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
