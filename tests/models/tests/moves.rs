//! The model of moves and checkpoints: every state of each scene, and every bug.

use std::collections::BTreeSet;

use models::check::{self, By, Stuck};
use models::moves::invariants::{M9, M10, by_receipts, by_time};
use models::moves::{Moves, State, bugs, scenes};
use stateright::Expectation;

/// What a search back from the goal shows.
const RETURNS: [By<Moves>; 2] = [(M9, by_receipts), (M10, by_time)];

#[test]
fn all_promises_about_moves_hold_in_every_state() {
    let mut played = scenes::short();
    if check::is_soak() {
        played.extend(scenes::long());
    }
    let (mut reached, mut unique, mut largest) = (BTreeSet::new(), 0, 0);
    for scene in played {
        let found = check::every_state(&format!("moves, {}", scene.name), Moves::right(scene));
        assert!(found.broken.is_empty(), "{:#?}", found.broken);
        reached.extend(found.reached);
        unique += found.unique;
        largest = largest.max(found.unique);
    }
    let model = Moves::right(scenes::moves());
    assert_eq!(reached, check::names(&model, &Expectation::Sometimes).into_iter().collect());
    println!("figure: moves: {unique} states in all");
    assert!(!check::is_soak() || largest >= 1_000_000, "{largest}");
}

#[test]
fn everything_comes_back_from_every_state() {
    for scene in scenes::returning() {
        let model = Moves::right(scene);
        let name = format!("moves, {}", model.scene.name);
        for stuck in check::stuck(&name, &model, State::is_pooled, &RETURNS) {
            assert_eq!(stuck, Stuck { states: 0, nearest: None });
        }
    }
}

#[test]
fn each_rule_of_the_moves_is_needed() {
    for (at, &(bug, scene, breaks)) in bugs::ALL.iter().enumerate() {
        assert_eq!(bug as usize, at, "each bug has its row, in order");
        let model = Moves { bug: Some(bug), ..Moves::right(scene()) };
        let name = format!("moves, {bug:?}");
        let steps = match RETURNS.iter().find(|row| row.0 == breaks) {
            Some(row) => check::stuck(&name, &model, State::is_pooled, &[*row]).remove(0).nearest,
            None => check::until_broken(&name, model, breaks).broken.remove(breaks),
        };
        let steps = steps.unwrap_or_else(|| panic!("{bug:?} does not break {breaks}"));
        println!("figure: {name}: {} steps break {breaks}", steps.len());
    }
    assert_eq!(bugs::ALL.len(), bugs::Bug::AnswerBeforePersist as usize + 1);
}

#[test]
fn the_guide_lists_each_rule_of_the_moves_with_what_breaks() {
    let guide = include_str!("../../../docs/guide/models.md");
    for &(bug, _, breaks) in bugs::ALL {
        let promise = breaks.split(' ').next().unwrap();
        let row = format!("| `{bug:?}` | {promise} |");
        assert!(guide.contains(&row), "{row}");
    }
}

/// A rule that makes the accounts simpler, and no promise needs.
#[test]
fn superseding_two_numbers_at_a_time_breaks_nothing() {
    let mut scene = scenes::tangled();
    scene.budget.renewals = u8::from(check::is_soak());
    let model = Moves::right(scene);
    let found = check::every_state("moves, tangled", model.clone());
    assert!(found.broken.is_empty(), "{:#?}", found.broken);
    for stuck in check::stuck("moves, tangled", &model, State::is_pooled, &RETURNS) {
        assert_eq!(stuck, Stuck { states: 0, nearest: None });
    }
}
