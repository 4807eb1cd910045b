//! Soft licenses: a machine with a TPM is certified, gets a license and runs programs by it.

use std::fs;

use strongroom_tests::tree::Part;

use crate::central::{protected, selling, states, ticket};
use crate::world::World;

/// A world whose machine has a TPM, and a Central that sells.
fn machine() -> World {
    let mut world = selling("--quantity 1");
    world.bring_tpm();
    world
}

fn state(world: &World) -> String {
    let seen = world.cli("tpm status --json").ok().data();
    let rows = seen["containers"].as_array().expect("rows");
    let [row] = &rows[..] else { panic!("one container: {seen}") };
    let shown = if row["state"] == "active" { &row["state"] } else { &row["code"] };
    shown.as_str().expect("a word").to_owned()
}

#[test]
fn a_machine_with_a_tpm_gets_a_license_runs_a_program_and_gives_it_back() {
    let world = machine();
    let seen = world.cli("tpm probe --json").ok().data();
    assert_eq!(seen["tpm"]["is_certified"], true, "{seen}");
    world.cli("tpm init").refused(2, &["--yes"]);
    world.cli("tpm init --yes").ok();
    assert_eq!(state(&world), "active");
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    assert_eq!(world.run(&program, &[], "").code, 125);
    world.cli(&format!("activate {ticket} --yes")).ok();
    assert_eq!(states(&world), ["held"]);
    world.run(&program, &[], "").ok();
    // The helper ends and is started again by whoever needs it; the license is still there.
    assert_eq!(
        world.cli("tpm stop --json").ok().data()["stopped"].as_array().map(Vec::len),
        Some(1)
    );
    let listed = world.cli("license list").ok().stdout;
    assert!(listed.contains("product 7"), "{listed}");
    world.run(&program, &[], "").ok();
    world.cli("release --yes").ok();
    assert_eq!(states(&world), ["pool"]);
    assert_eq!(world.run(&program, &[], "").code, 125);
}

#[test]
fn a_machine_without_a_way_to_the_vendor_is_certified_by_files() {
    let world = machine();
    let gateway = format!("--gateway {}/v1/acme", world.face("gateway"));
    let firm = "--firm central/vendors/acme";
    let away = |line: &str| world.without_gateway(line);
    away(&format!("tpm init {firm} --request 1 --yes")).ok();
    assert_eq!(state(&world), "S0C0B", "not certified yet");
    world.cli(&format!("tpm init {gateway} --request 1 --response 2")).ok();
    // The same request is answered by the same challenge.
    world.cli(&format!("tpm init {gateway} --request 1 --response again")).ok();
    let [first, again] = ["2", "again"].map(|name| fs::read(world.path(name)).expect("a file"));
    assert_eq!(first, again);
    away("tpm init --response 2 --request 3").ok();
    for (file, word) in [("1", "by the key that it names"), ("2", "for its TPM"), ("3", "quote")] {
        let shown = away(&format!("inspect {file}")).ok().stdout;
        assert!(shown.contains(word), "{shown}");
    }
    world.cli(&format!("tpm init {gateway} --request 3 --response 4")).ok();
    away("tpm init --response 4").ok();
    let shown = away("inspect 4").ok().stdout;
    assert!(shown.contains("the vendor whose licenses it holds"), "{shown}");
    assert_eq!(state(&world), "active");
}

#[test]
fn a_folder_that_was_copied_to_another_machine_is_of_no_use_there() {
    let mut world = machine();
    world.cli("tpm init --yes").ok();
    world.cli("tpm stop").ok();
    world.bring_another_tpm();
    assert_eq!(state(&world), "S0C02");
    world.cli("tpm init --yes").refused(5, &["S0C02"]);
    world.cli("container list").refused(5, &["S0C02", "another TPM"]);
    // The old one is kept, and a new one takes its place.
    world.cli("tpm init --again --yes").ok();
    assert_eq!(state(&world), "active");
}

#[test]
fn a_machine_without_a_tpm_is_bound_by_its_traits_and_says_what_was_replaced() {
    let mut world = selling("--quantity 1");
    world.bring_machine();
    world.cli("tpm init --yes --without-tpm --tolerance off").refused(5, &["S0C10"]);
    world.cli("tpm init --yes --without-tpm").ok();
    let seen = world.cli("tpm status --json").ok().data();
    let machine = &seen["containers"][0]["machine"];
    assert_eq!((&machine["tpm"], &machine["tolerance"]), (&false.into(), &"medium".into()));
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.run(&program, &[], "").ok();
    let replace = |part, number| {
        world.cli("tpm stop").ok();
        world.machine().replace(part, number);
        // A program finds the helper where it runs.
        world.cli("tpm status").ok();
    };
    replace(Part::Card, 2);
    world.run(&program, &[], "").ok();
    let said = world.cli("tpm status").ok().stdout;
    assert!(said.contains("address of a network card on the board (counts 2): changed"), "{said}");
    let would = world.cli("tpm rebind --dry-run").ok().stdout;
    assert!(would.contains("it is not bound anew: no checkpoint was passed"), "{would}");
    world.cli("tpm rebind --yes").refused(5, &["S0C0E", "strongroom renew"]);
    replace(Part::Card, 1);
    world.cli("tpm rebind --yes --tolerance strict").ok();
    assert_eq!(state(&world), "active");
    world.run(&program, &[], "").ok();
    replace(Part::Disk, 2);
    assert_eq!(state(&world), "S0C07");
    assert_eq!(world.run(&program, &[], "").code, 125);
    replace(Part::Disk, 1);
    world.run(&program, &[], "").ok();
}

#[test]
fn the_tpm_is_tested_and_nothing_of_that_stays() {
    let world = machine();
    let indices = || world.tools("tpm2_getcap handles-nv-index");
    world.cli("tpm selftest").ok();
    let before = indices();
    let seen = world.cli("tpm selftest --json").ok().data();
    assert!(seen["commit_ms"][1].is_u64(), "{seen}");
    assert_eq!(indices(), before);
}
