//! The model of the seats: every state of each scene, and every bug.

use std::collections::BTreeSet;

use models::check;
use models::seats::Seats;
use models::seats::bugs::{self, Bug};
use models::seats::invariants::F3;
use models::seats::scenes::{self, Scene};
use stateright::Expectation;

#[test]
fn all_promises_about_seats_hold_in_every_state() {
    let mut played = scenes::short();
    if check::is_soak() {
        played.extend(scenes::long());
    }
    let (mut reached, mut unique, mut largest) = (BTreeSet::new(), 0, 0);
    for scene in played {
        let found = check::every_state(&format!("seats, {}", scene.name), Seats::right(scene));
        assert!(found.broken.is_empty(), "{:#?}", found.broken);
        reached.extend(found.reached);
        unique += found.unique;
        largest = largest.max(found.unique);
    }
    let model = Seats::right(scenes::network());
    assert_eq!(reached, check::names(&model, &Expectation::Sometimes).into_iter().collect());
    println!("figure: seats: {unique} states in all");
    assert!(!check::is_soak() || largest >= 1_000_000, "{largest}");
}

#[test]
fn each_rule_of_the_seats_is_needed() {
    for (at, &(bug, scene, breaks)) in bugs::ALL.iter().enumerate() {
        assert_eq!(bug as usize, at, "each bug has its row, in order");
        let model = Seats { bug: Some(bug), ..Seats::right(scene()) };
        let found = check::until_broken(&format!("seats, {bug:?}"), model, breaks);
        assert!(found.broken.contains_key(breaks), "{bug:?} breaks {:?}", found.broken.keys());
    }
    assert_eq!(bugs::ALL.len(), bugs::Bug::LostWakeUp as usize + 1);
}

/// A rule that the product could have: then clients need not be trusted to forget their tokens.
#[test]
fn a_numbered_mark_makes_old_tokens_worthless_where_one_seat_was_sold() {
    let played = [
        (Bug::OrphanShowsToken, scenes::orphan()),
        (Bug::StaleTokenShown, scenes::orphan()),
        (Bug::StaleTokenShown, scenes::restarts()),
    ];
    for (bug, scene) in played {
        let model = Seats { bug: Some(bug), ..Seats::right(scene.clone()) };
        let found = check::until_broken(&format!("seats, {bug:?}, plain mark"), model, F3);
        assert!(found.broken.contains_key(F3), "{bug:?}");
        let numbered = Scene { marks_numbered: true, ..scene };
        let model = Seats { bug: Some(bug), ..Seats::right(numbered) };
        let found = check::every_state(&format!("seats, {bug:?}, numbered mark"), model);
        assert!(found.broken.is_empty(), "{:#?}", found.broken);
    }
    // With more seats another one may have kept the mark meanwhile.
    let two = Scene { quantity: 2, marks_numbered: true, ..scenes::orphan() };
    let model = Seats { bug: Some(Bug::OrphanShowsToken), ..Seats::right(two) };
    let found = check::until_broken("seats, two seats and a numbered mark", model, F3);
    assert!(found.broken.contains_key(F3));
}

#[test]
fn the_guide_lists_each_rule_of_the_seats_with_what_breaks() {
    let guide = include_str!("../../../docs/guide/models.md");
    for &(bug, _, breaks) in bugs::ALL {
        let promise = breaks.split(' ').next().unwrap();
        let row = format!("| `{bug:?}` | {promise} |");
        assert!(guide.contains(&row), "{row}");
    }
}
