//! What belongs to an entry beside its options: data fields, units, modules.

use std::fs;

use protocol::objects::data::DataKind;
use serde_json::json;

use crate::homes::Home;
use crate::world::World;

const DATA: &str = "protected = \"open to all\"\n[extended]\n3 = { hex = \"00ff\" }\n[hidden.1]\n\
    access_code = 4711\ncontent = \"with a code\"\n[secret]\n31 = { file = \"secret.bin\" }\n";

/// A world whose license has one field of each kind that a vendor writes.
fn with_data() -> World {
    let mut world = World::new();
    world.plug("usb", "rtc");
    fs::write(world.path("fields.toml"), DATA).expect("own file");
    fs::write(world.path("secret.bin"), "only for keys").expect("own file");
    world.license("--quantity 1 --data fields.toml");
    world
}

fn code(world: &World, code: &str) {
    fs::write(world.path("code"), code).expect("own file");
}

/// How a kind of field is read, and how it is refused. A kind without a row does not compile.
fn try_field(world: &World, kind: DataKind) {
    let read = |field: &str| world.cli(&format!("license data 7 {field}"));
    match kind {
        DataKind::User => {
            read("user").refused(3, &["S0326", "no data"]);
            fs::write(world.path("note"), "mine").expect("own file");
            world.cli("license data 7 user --write note --dry-run").ok();
            read("user").refused(3, &["S0326"]);
            world.cli("license data 7 user --write note").ok();
            assert_eq!(read("user").ok().stdout, "mine\n");
            fs::write(world.path("long"), "x".repeat(257)).expect("own file");
            let long = world.cli("license data 7 user --write long");
            long.refused(6, &["S0102", "257 bytes", "256"]);
            assert_eq!(read("user").ok().stdout, "mine\n");
        }
        DataKind::Protected => {
            assert_eq!(read("protected").ok().stdout, "open to all\n");
            let written = world.cli("license data 7 protected --write note");
            written.refused(2, &["written by the vendor alone"]);
        }
        DataKind::ExtendedProtected => {
            assert_eq!(read("extended:3").ok().stdout, "00ff\n");
            read("extended:4").refused(3, &["S0326", "6"]);
        }
        DataKind::Hidden => {
            code(world, "4712");
            let hidden = "license data 7 hidden:1 --access-code-file code";
            world.cli(hidden).refused(4, &["S0325", "7 more may be tried"]);
            code(world, "4711\n");
            assert_eq!(world.cli(hidden).ok().stdout, "with a code\n");
            read("hidden:1").refused(2, &["--access-code-file"]);
        }
        DataKind::Secret => {
            read("secret:31").refused(4, &["S0327", "may not be read"]);
        }
    }
}

#[test]
fn every_kind_of_data_is_read_by_whom_it_is_for() {
    let world = with_data();
    for kind in DataKind::ALL {
        try_field(&world, kind);
    }
    let shown = world.cli("license show 7 --json").ok().data();
    let fields = &shown["licenses"][0]["items"][0]["state"]["data"];
    assert_eq!(*fields, json!(["user", "protected", "extended:3", "hidden:1", "secret:31"]));
}

#[test]
fn data_stays_with_a_renewal_is_shown_in_the_preview_and_goes_with_the_entry() {
    let mut world = with_data();
    world.license("--quantity 2");
    assert_eq!(world.cli("license data 7 protected").ok().stdout, "open to all\n");
    world.fault("stop");
    world.restart();
    assert_eq!(world.cli("license data 7 protected").ok().stdout, "open to all\n");
    fs::write(world.path("fields.toml"), "protected = \"\"\n[secret]\n0 = \"key\"\n").expect("own");
    world.context("next.context");
    let issue = "vendor issue --vendor acme --context next.context --product 7 --quantity 2";
    world.cli(&format!("{issue} --data fields.toml -o next.update")).ok();
    let preview = world.cli("update preview next.update").ok().stdout;
    assert!(preview.contains("- data protected of product 7 entry 0"), "{preview}");
    assert!(preview.contains("+ data secret:0 of product 7 entry 0, sealed"), "{preview}");
    world.cli("update apply next.update --yes").ok();
    world.cli("license data 7 protected").refused(3, &["S0326"]);
    world.license("--remove");
    world.license("--quantity 1");
    for field in ["extended:3", "secret:31", "secret:0"] {
        let refused = world.cli(&format!("license data 7 {field}"));
        assert_ne!(refused.code, 0, "{field} outlived its entry");
    }
    let shown = world.cli("license show 7 --json").ok().data();
    assert_eq!(shown["licenses"][0]["items"][0]["state"]["data"], json!([]));
}

#[test]
fn eight_wrong_access_codes_shut_hidden_data_until_the_power_comes_anew() {
    let mut world = with_data();
    let hidden = "license data 7 hidden:1 --access-code-file code";
    code(&world, "1");
    for left in (0..8).rev() {
        world.cli(hidden).refused(4, &["S0325", &format!("{left} more may be tried")]);
    }
    code(&world, "4711");
    world.cli(hidden).refused(4, &["S0325", "0 more"]);
    world.fault("stop");
    world.restart();
    world.cli(hidden).ok();
}

/// What is left of the units of the one entry, and used.
fn units(world: &World) -> (u64, u64) {
    let shown = world.cli("license show 7 --json").ok().data();
    let units = &shown["licenses"][0]["items"][0]["state"]["units"];
    (units["left"].as_u64().expect("a number"), units["used"].as_u64().expect("a number"))
}

#[test]
fn units_are_taken_by_each_start_topped_up_and_taken_back() {
    Home::each(units_are_taken);
}

fn units_are_taken(home: Home) {
    let mut world = World::licensed_at(home, "--units 5");
    let cat = world.protect("/bin/cat".as_ref(), "--units 2");
    world.run(&cat, &[], "").ok();
    world.cli("license why 7 --units 2").ok();
    world.run(&cat, &[], "").ok();
    assert_eq!(units(&world), (1, 4));
    let refused = world.run(&cat, &[], "").refused(125, &["S03D0", "2 units", "1 are left"]);
    assert_eq!(refused.stdout, "");
    assert_eq!(units(&world), (1, 4), "a refused start took units");
    world.license("--units 10 --take-units 3");
    assert_eq!(units(&world), (8, 4));
    world.run(&cat, &[], "").ok();
    assert_eq!(units(&world), (6, 6));
    world.put_away();
    assert_eq!(units(&world), (6, 6));
    // A license that goes on without units ends the account; units without a counter are refused.
    world.context("last.context");
    let issue = "vendor issue --vendor acme --context last.context --product 7 -o last.update";
    world.cli(&format!("{issue} --take-units 1")).refused(2, &["--units 0"]);
    world.cli(&format!("{issue} --units 0 --take-units 7")).ok();
    world.cli("update apply last.update --yes").refused(5, &["S03D0", "7 units", "6 are left"]);
    assert_eq!(units(&world), (6, 6));
}

#[test]
fn a_module_takes_over_what_it_does_not_say_and_goes_with_its_parent() {
    Home::each(a_module_goes_with_its_parent);
}

fn a_module_goes_with_its_parent(home: Home) {
    let world = World::at(home);
    world.license("--entry 1 --expires 2100-01-01 --region AT --features 1");
    world.license("--entry 2 --module-of 7:1 --features 6 --region DE");
    let shown = world.cli("license show 7").ok().stdout;
    assert!(shown.contains("expires     2100-01-01 00:00:00 +00:00 (from product 7)"), "{shown}");
    let data = world.cli("license show 7 --json").ok().data();
    let module = &data["licenses"][0]["items"][1];
    assert_eq!(module["options"]["expires"], json!(null));
    assert_eq!(module["effective"]["expires"], json!(4_102_444_800_u64));
    assert_eq!(module["effective"]["region"], json!(["DE"]));
    assert_eq!(module["effective"]["features"], json!(6));
    // Its parent's end is its own, also while a program runs.
    world.license("--entry 1 --expires 2020-01-01 --region AT --features 1");
    let refused = world.cli("license why 7 --features 2");
    refused.refused(5, &["S0350"]);
    world.license("--entry 2 --module-of 7:1 --features 6");
    world.cli("license why 7 --features 2").refused(5, &["S0350", "AT"]);
    world.license("--entry 1 --expires 2020-01-01 --features 1");
    world.cli("license why 7 --features 2").refused(5, &["S0380", "2020-01-01"]);
    world.license("--entry 1 --remove");
    world.cli("license show 7").refused(5, &["S0320"]);
    world.context("orphan.context");
    let orphan = "vendor issue --vendor acme --context orphan.context --product 7 --entry 3";
    world.cli(&format!("{orphan} --module-of 7:1 -o orphan.update")).ok();
    world.cli("update apply orphan.update --yes").refused(1, &["S0414", "module of product 7"]);
    world.cli(&format!("{orphan} --module-of 7:3 -o other.update")).refused(2, &["of itself"]);
}

#[test]
fn a_user_key_opens_on_every_channel_and_a_copied_proof_on_none() {
    Home::each(a_user_key_opens);
}

fn a_user_key_opens(home: Home) {
    let world = World::at(home);
    let public = world.cli("user new user.key").ok().stdout.trim().to_owned();
    assert_eq!(world.cli("user show user.key").ok().stdout.trim(), public);
    world.cli("user new user.key").refused(7, &["there already"]);
    world.license(&format!("--user-key {public}"));
    world.cli("license why 7").refused(5, &["S03C1"]);
    let cat = world.protect("/bin/cat".as_ref(), "");
    let mut with_key = world.command(&cat, &[] as &[&str]);
    with_key.env("STRONGROOM_USER_KEY", world.path("user.key"));
    assert_eq!(crate::world::run(&mut with_key, "text").ok().stdout, "text");
    let mut readable = world.command(&cat, &[] as &[&str]);
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o644);
    fs::set_permissions(world.path("user.key"), open).expect("own file");
    readable.env("STRONGROOM_USER_KEY", world.path("user.key"));
    crate::world::run(&mut readable, "").refused(125, &["S0808", "chmod 600"]);
    let both = format!("--user root --user-key {public}");
    world.context("both.context");
    let issue = "vendor issue --vendor acme --context both.context --product 7 -o both.update";
    world.cli(&format!("{issue} {both}")).refused(2, &["named twice"]);
}
