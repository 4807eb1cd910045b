//! Soft licenses: a machine with a TPM is certified, gets a license and runs programs by it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::Value;

use strongroom_tests::tree::Part;

use crate::central::{protected, selling, states, ticket};
use crate::homes::{Home, SOFT};
use crate::seats::{echo, end, start};
use crate::world::{NOBODY, Outcome, World, built, run};

/// A world whose machine has a TPM, and a Central that sells what has to be renewed.
fn machine() -> World {
    let mut world = selling("--quantity 1 --checkpoint 30d");
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
fn a_machine_whose_tpm_was_cleared_is_known_again_and_has_its_license_again() {
    let world = machine();
    world.cli("tpm init --yes").ok();
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let old = serial(&world);
    world.cli("tpm stop").ok();
    world.tools("tpm2_clear -c p");
    // With its memory went the seed of its storage key.
    assert!(["S0C02", "S0C03"].contains(&&*state(&world)));
    world.cli("central soft set --same-machine 1").ok();
    let done = world.cli("tpm init --again --yes --json").ok().data();
    assert_eq!((&done["certified"], &done["waits"]), (&Value::Bool(true), &Value::Null));
    world.cli("collect --yes").ok();
    world.run(&program, &[], "").ok();
    assert_eq!(states(&world), ["held"]);
    let shown = world.cli(&format!("central device show {old}")).ok().stdout;
    assert!(shown.contains("blocked") && shown.contains("took its place"), "{shown}");
    // A second time within a year a person decides.
    let said = world.cli("tpm init --again --yes").ok().stdout;
    assert!(said.contains("S0C64") && said.contains("1 times"), "{said}");
    world.cli("collect --yes").refused(7, &["S0C64", "1 are allowed"]);
    assert_eq!(world.run(&program, &[], "").code, 125);
    let cases = world.cli("central case list --json").ok().data();
    let case = cases["rows"][0]["id"].as_str().expect("an id").to_owned();
    world.cli(&format!("central case decide {case} adopt --yes")).ok();
    world.cli("collect --yes").ok();
    world.run(&program, &[], "").ok();
}

#[test]
fn a_container_in_use_is_certified_anew() {
    let world = machine();
    world.cli("tpm init --yes").ok();
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.cli("license list").ok();
    world.cli("tpm init --yes").ok();
    assert_eq!(state(&world), "active");
    let listed = world.cli("license list").ok().stdout;
    assert!(listed.contains("product 7"), "{listed}");
    world.cli("collect --yes").ok();
}

#[test]
fn a_license_without_an_end_does_not_go_into_a_tpm_that_nobody_vouches_for() {
    let mut world = selling("--quantity 1");
    world.bring_tpm();
    world.cli("tpm init --yes").ok();
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).refused(5, &["S0C68", "checkpoint"]);
    world.cli("central soft set --physical-tpm off").ok();
    world.cli(&format!("activate {ticket} --yes")).ok();
    let shown =
        |world: &World| world.cli(&format!("central device show {}", serial(world))).ok().stdout;
    assert!(shown(&world).contains("not proved"), "{}", shown(&world));
    // The TPM does not keep what stands between its maker and its certificate.
    for (number, maker) in world.tpm_makers().into_iter().enumerate() {
        fs::write(world.path("maker"), maker).expect("room");
        world.cli(&format!("central authority add --name m{number} maker")).ok();
    }
    world.cli("tpm init --yes").ok();
    assert!(shown(&world).contains("in a TPM") || shown(&world).contains("in the TPM"));
    assert!(!shown(&world).contains("not proved"), "{}", shown(&world));
}

/// The serial of the one container.
fn serial(world: &World) -> String {
    let listed = world.cli("container list --json").ok().data();
    listed["containers"][0]["serial"].as_str().expect("a serial").to_owned()
}

#[test]
fn a_machine_without_a_tpm_is_bound_by_its_traits_and_says_what_was_replaced() {
    let mut world = selling("--quantity 1 --checkpoint 30d");
    world.bring_machine();
    world.cli("tpm init --yes --without-tpm --tolerance off").refused(5, &["S0C10"]);
    world.cli("tpm init --yes --without-tpm").ok();
    let seen = world.cli("tpm status --json").ok().data();
    let machine = &seen["containers"][0]["machine"];
    assert_eq!((&machine["tpm"], &machine["tolerance"]), (&false.into(), &"medium".into()));
    let replace = |part, number| {
        world.cli("tpm stop").ok();
        world.machine().replace(part, number);
        // A program finds the helper where it runs.
        world.cli("tpm status").ok();
    };
    replace(Part::Card, 2);
    let said = world.cli("tpm status").ok().stdout;
    assert!(said.contains("address of a network card on the board (counts 2): changed"), "{said}");
    let would = world.cli("tpm rebind --dry-run").ok().stdout;
    assert!(would.contains("it is not bound anew: no checkpoint was passed"), "{would}");
    world.cli("tpm rebind --yes").refused(5, &["S0C0E", "strongroom renew"]);
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.run(&program, &[], "").ok();
    // An activation is a checkpoint, too soon after the container was made.
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

#[test]
fn a_soft_license_has_nothing_that_shows_itself() {
    let world = World::at(Home::Tpm);
    let refused = world.cli("container identify").refused(2, &["nothing that shows itself"]);
    assert!(refused.stderr.contains("strongroom tpm status"), "{}", refused.stderr);
}

/// A program that another user of the machine runs.
fn run_by_another(world: &World, program: &Path) -> Outcome {
    run(world.command(program, &[] as &[&str]).uid(NOBODY).gid(NOBODY), "text")
}

fn mode(world: &World, name: &str) -> u32 {
    let file = fs::metadata(world.path(SOFT).join(name)).expect("a file");
    file.permissions().mode() & 0o7777
}

#[test]
fn other_users_get_to_a_container_that_is_shared_and_to_no_other() {
    let world = World::licensed_at(Home::Tpm, "--quantity 1");
    let cat = world.protect("/bin/cat".as_ref(), "");
    run_by_another(&world, &cat).refused(125, &["S0"]);
    assert_eq!((mode(&world, ""), mode(&world, "socket")), (0o700, 0o600));
    // A folder that lets them through is not enough.
    let passable = fs::Permissions::from_mode(0o711);
    fs::set_permissions(world.path(SOFT), passable).expect("own folder");
    let mut why = world.command(&built("strongroom"), &["license", "why", "7"]);
    run(why.uid(NOBODY).gid(NOBODY), "").refused(4, &["S0C42", "--shared"]);
    run_by_another(&world, &cat).refused(125, &["Permission denied"]);
    fs::set_permissions(world.path(SOFT), fs::Permissions::from_mode(0o700)).expect("own folder");
    world.cli("tpm stop --dir port/soft").ok();
    world.start_soft("--shared");
    assert_eq!(run_by_another(&world, &cat).ok().stdout, "text");
    assert_eq!((mode(&world, ""), mode(&world, "socket")), (0o711, 0o666));
    for (path, _) in world.files(SOFT) {
        let mode = fs::metadata(&path).expect("a file").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{}", path.display());
    }
    // Who may connect has no more to say than that.
    world.cli("tpm stop --dir port/soft").ok();
    let alone = run_by_another(&world, &cat);
    assert_eq!(alone.code, 125, "nobody but the owner starts a helper: {alone:?}");
}

#[test]
fn a_machine_that_moves_with_its_tpm_keeps_its_license() {
    let mut world = World::licensed_at(Home::Tpm, "--quantity 1");
    let cat = world.protect("/bin/cat".as_ref(), "");
    assert_eq!(world.run(&cat, &[], "here").ok().stdout, "here");
    world.cli("tpm stop --dir port/soft").ok();
    let moved = world.tpm.as_ref().expect("a TPM").clone_elsewhere();
    world.tpm = Some(moved);
    world.start_soft("");
    let mut first = start(&world, &cat, &[]);
    echo(&mut first);
    world.run(&cat, &[], "").refused(125, &["S03E0", "1 in use"]);
    end(first);
    world.wait_for_seats(0);
    world.license("--quantity 2");
    assert_eq!(world.run(&cat, &[], "there").ok().stdout, "there");
}
