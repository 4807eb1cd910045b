//! The model of units and their log: every state of each scene, and every bug.

use std::collections::BTreeSet;

use models::check;
use models::units::{Units, bugs, scenes};
use stateright::Expectation;

#[test]
fn all_promises_about_units_hold_in_every_state() {
    let mut played = scenes::short();
    if check::is_soak() {
        played.extend(scenes::long());
    }
    let (mut reached, mut unique, mut largest) = (BTreeSet::new(), 0, 0);
    for scene in played {
        let found = check::every_state(&format!("units, {}", scene.name), Units::right(scene));
        assert!(found.broken.is_empty(), "{:#?}", found.broken);
        reached.extend(found.reached);
        unique += found.unique;
        largest = largest.max(found.unique);
    }
    let model = Units::right(scenes::log());
    assert_eq!(reached, check::names(&model, &Expectation::Sometimes).into_iter().collect());
    println!("figure: units: {unique} states in all");
    assert!(!check::is_soak() || largest >= 1_000_000, "{largest}");
}

#[test]
fn each_rule_of_the_units_is_needed() {
    for (at, &(bug, scene, breaks)) in bugs::ALL.iter().enumerate() {
        assert_eq!(bug as usize, at, "each bug has its row, in order");
        let model = Units { bug: Some(bug), ..Units::right(scene()) };
        let found = check::until_broken(&format!("units, {bug:?}"), model, breaks);
        assert!(found.broken.contains_key(breaks), "{bug:?} breaks {:?}", found.broken.keys());
    }
    assert_eq!(bugs::ALL.len(), bugs::Bug::AnchorIgnored as usize + 1);
}

#[test]
fn the_guide_lists_each_rule_of_the_units_with_what_breaks() {
    let guide = include_str!("../../../docs/guide/models.md");
    for &(bug, _, breaks) in bugs::ALL {
        let promise = breaks.split(' ').next().unwrap();
        let row = format!("| `{bug:?}` | {promise} |");
        assert!(guide.contains(&row), "{row}");
    }
}
