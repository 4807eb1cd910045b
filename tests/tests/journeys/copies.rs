//! Machines with a soft license that are copied, put back or moved, with all that they have.

use std::path::{Path, PathBuf};

use crate::central::{protected, selling, states, ticket};
use crate::world::World;

/// A machine with a TPM, a license and a program; nobody serves its container.
fn licensed() -> (World, PathBuf) {
    let mut world = selling("--quantity 1 --checkpoint 30d");
    world.bring_tpm();
    world.cli("tpm init --yes").ok();
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.cli("tpm stop").ok();
    (world, program)
}

/// Runs the program; the command before it starts the helper, as an installed one starts by itself.
fn runs(world: &World, program: &Path) {
    world.cli("license list").ok();
    world.run(program, &[], "").ok();
}

#[test]
fn two_machines_that_were_one_run_both_and_are_found_where_both_ask() {
    let (mut world, program) = licensed();
    let mut copy = world.copy_machine();
    runs(&world, &program);
    world.cli("collect --yes").ok();
    world.go_to(&mut copy);
    // Nothing on a machine can see it; and both had drawn the same request.
    runs(&world, &program);
    world.cli("collect --yes").ok();
    world.go_to(&mut copy);
    world.cli("collect --yes").ok();
    world.go_to(&mut copy);
    world.cli("collect --yes").refused(7, &["S0C70", "a copy", "tpm init --again"]);
    world.cli("renew --yes").refused(7, &["S0B1A"]);
    let cases = world.cli("central case list --json").ok().data();
    let case = &cases["rows"][0];
    assert_ne!(case["evidence"], case["copy"]["answered"], "{cases}");
    let id = case["id"].as_str().expect("an id").to_owned();
    world.cli(&format!("central case decide {id} adopt --yes")).refused(7, &["S0C71"]);
    world.cli(&format!("central case decide {id} dismiss --yes")).ok();
    // The one that asked first goes on.
    world.go_to(&mut copy);
    world.cli("collect --yes").ok();
    runs(&world, &program);
}

#[test]
fn a_machine_that_moved_with_its_tpm_goes_on() {
    let (mut world, program) = licensed();
    let mut elsewhere = world.copy_machine();
    world.go_to(&mut elsewhere);
    drop(elsewhere);
    runs(&world, &program);
    world.cli("collect --yes").ok();
    world.cli("release --yes").ok();
    assert_eq!(states(&world), ["pool"]);
}

#[test]
fn a_machine_that_was_put_back_is_taken_for_a_copy_and_gets_a_container_of_its_own() {
    let (mut world, program) = licensed();
    world.cli("central soft set --copies newest").ok();
    let mut backup = world.copy_machine();
    world.cli("collect --yes").ok();
    world.cli("collect --yes").ok();
    world.cli("tpm stop").ok();
    world.go_to(&mut backup);
    drop(backup);
    runs(&world, &program);
    // What it waited for when it was saved.
    world.cli("collect --yes").ok();
    world.cli("collect --yes").refused(7, &["S0C70"]);
    world.cli("tpm stop").ok();
    // On the machine that it was on, it gets its license back, counted.
    world.cli("tpm init --again --yes").ok();
    world.cli("collect --yes").ok();
    runs(&world, &program);
    assert_eq!(states(&world), ["held"]);
}
