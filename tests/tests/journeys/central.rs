//! License Central: from an order to a license in a dongle, its renewal, and its way to another.

use std::fs;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::Value;

use crate::world::{NOBODY, Outcome, World};

/// A world with a Central that sells `ED-1`, a license of product 7 with these terms.
pub(crate) fn selling(terms: &str) -> World {
    let mut world = World::new();
    world.found_central();
    world.cli(&format!("central product add --code 7 --name Editor {terms}")).ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    world
}

fn ordered(world: &World, number: &str, quantity: u32) -> Value {
    let line =
        format!("central order add --number {number} --sku ED-1 --quantity {quantity} --json");
    world.cli(&line).ok().data()
}

/// A new ticket for so many devices.
pub(crate) fn ticket(world: &World, devices: u32) -> String {
    ordered(world, "4711", devices)["code"].as_str().expect("a ticket").to_owned()
}

pub(crate) fn on(world: &World, dongle: &str, line: &str) -> Outcome {
    world.cli(&format!("{line} --source sim:port/{dongle}"))
}

fn grants(world: &World) -> Vec<(String, String)> {
    let rows = world.cli("central grant list --json").ok().data();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let row = |row: &Value| (word(&row["place"]["state"]), word(&row["place"]["container"]));
    rows["rows"].as_array().expect("rows").iter().map(row).collect()
}

pub(crate) fn states(world: &World) -> Vec<String> {
    grants(world).into_iter().map(|(state, _)| state).collect()
}

/// A program that `/bin/true` became, protected for what Central sells.
pub(crate) fn protected(world: &World) -> std::path::PathBuf {
    let out = world.path("sealed/true");
    let vendor = "--vendor central/vendors/acme --product 7 --name Editor";
    world.cli("vendor product add 7 --name Editor --vendor central/vendors/acme").ok();
    world.cli(&format!("protect app /bin/true -o {} {vendor}", out.display())).ok();
    out
}

#[test]
pub(crate) fn a_ticket_becomes_a_license_that_moves_to_another_dongle() {
    let mut world = selling("--quantity 1");
    world.plug("one", "rtc");
    world.plug("two", "rtc");
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    on(&world, "one", &format!("activate {ticket} --yes")).ok();
    assert_eq!(states(&world), ["held"]);
    world.run(&program, &[], "").ok();
    on(&world, "two", &format!("activate {ticket} --yes")).refused(7, &["S0B03", "1 of 1"]);
    on(&world, "one", "release --yes").ok();
    assert_eq!(states(&world), ["pool"]);
    assert_eq!(world.run(&program, &[], "").code, 125, "the first dongle has it no more");
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    world.run(&program, &[], "").ok();
    let [first, second] = ["one", "two"].map(|name| on(&world, name, "license list").ok().stdout);
    assert!(!first.contains("product 7") && second.contains("product 7"), "{first}{second}");
}

#[test]
pub(crate) fn an_order_is_one_order_and_a_ticket_is_told_once() {
    let world = selling("--quantity 1");
    let first = ordered(&world, "4711", 2);
    let again = ordered(&world, "4711", 2);
    assert_eq!((&again["id"], &again["code"]), (&first["id"], &Value::Null));
    let other = "central order add --number 4711 --sku ED-1 --quantity 3";
    world.cli(other).refused(7, &["S0B07", "order 4711"]);
    let id = first["ticket"].as_str().expect("an id");
    let old = first["code"].as_str().expect("a ticket");
    let line = format!("central ticket replace {id} --yes --json");
    let new = world.cli(&line).ok().data()["code"].as_str().expect("a ticket").to_owned();
    assert_ne!(new, old);
    assert_eq!(states(&world), ["pool", "pool"]);
    let mut world = world;
    world.plug("usb", "rtc");
    world.cli(&format!("activate {old} --yes")).refused(3, &["S0B01"]);
    world.cli(&format!("activate {new} --yes")).ok();
    let kept = [world.files("central"), world.files("home")].concat();
    let codes = [old, new.as_str()].map(|code| code.replace('-', ""));
    for (path, bytes) in kept {
        for code in [old, &new, &codes[0], &codes[1]] {
            let holds = bytes.windows(code.len()).any(|window| window == code.as_bytes());
            assert!(!holds, "{} holds a ticket", path.display());
        }
    }
}

#[test]
pub(crate) fn a_license_is_renewed_at_its_checkpoint_and_lapses_without() {
    let mut world = selling("--quantity 1 --checkpoint 30d --renew-window 10d");
    world.plug("usb", "rtc");
    let program = protected(&world);
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let early = world.cli("renew --yes --json").ok().data();
    assert_eq!(early["applied"], 0, "it is not due yet");
    world.run(&program, &[], "").ok();
    world.fault("jump-clock 2678400");
    let refused = world.run(&program, &[], "");
    assert_eq!(refused.code, 125, "{refused:?}");
    assert!(refused.stderr.contains("S03"), "{refused:?}");
}

#[test]
pub(crate) fn what_is_due_is_renewed_whoever_asks_and_only_once() {
    let mut world = selling("--quantity 1 --checkpoint 30d --renew-window 30d");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let lapse = |world: &World| {
        let grants = world.cli("central grant list --json").ok().data();
        grants["rows"][0]["max_lapse_s"].as_u64().expect("it lapses")
    };
    let before = lapse(&world);
    let renewed = world.cli("renew --yes --json").ok().data();
    assert_eq!((&renewed["applied"], &renewed["receipts_sent"]), (&1.into(), &1.into()));
    assert!(lapse(&world) >= before);
}

#[test]
pub(crate) fn an_answer_that_was_lost_is_had_again_and_issues_nothing_anew() {
    let mut world = selling("--quantity 1");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    // Nobody confirms: Central has issued, the dongle knows nothing.
    world.cli(&format!("activate {ticket}")).refused(2, &["--yes"]);
    assert_eq!(states(&world), ["held"]);
    let applied = world.cli(&format!("activate {ticket} --yes --json")).ok().data();
    assert_eq!(applied["applied"], 1);
    let audit = world.cli("central audit list").ok().stdout;
    assert_eq!(audit.matches("update.issue").count(), 1, "{audit}");
    assert_eq!(audit.matches("confirmed").count(), 1, "{audit}");
}

#[test]
pub(crate) fn a_server_that_starts_again_knows_all() {
    let mut world = selling("--quantity 1");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let before = grants(&world);
    let gone = world.face("gateway");
    let log = world.stop_central();
    assert!(!log.contains("panicked"), "{log}");
    world.cli(&format!("renew --yes --gateway {gone}/v1/acme")).refused(8, &["S0B14"]);
    world.start_central();
    assert_eq!(grants(&world), before);
    let again = world.cli(&format!("activate {ticket} --yes --json")).ok().data();
    assert_eq!(again["applied"], 0);
}

#[test]
pub(crate) fn what_is_no_ticket_or_no_key_is_refused_with_the_reason() {
    let mut world = selling("--quantity 1");
    world.plug("usb", "rtc");
    world.cli("activate 00000-00000 --yes").refused(2, &["S0B02", "10 characters"]);
    // Of all last characters one fits at most, and then there is no such ticket. Not all of them:
    // whoever tries too many has to wait.
    let tried = "0123456789ABCDEFGHJK".chars().map(|check| {
        let refused = world.cli(&format!("activate 00000-00000-00000-00000-00000-{check} --yes"));
        (refused.code, refused.stderr.contains("S0B01"))
    });
    let tried: Vec<_> = tried.collect();
    let mistyped = tried.iter().filter(|one| **one == (2, false)).count();
    let unknown = tried.iter().filter(|one| **one == (3, true)).count();
    assert!(mistyped + unknown == 20 && unknown <= 1, "{tried:?}");
    world.cli("activate 0 --yes --gateway http://127.0.0.1:1/v1/acme").refused(8, &["S0B14"]);
    world.cli("activate 0 --yes --gateway http://192.0.2.1/v1/acme").refused(2, &["https://HOST"]);
    let gateway = world.face("gateway");
    world.cli(&format!("activate 0 --yes --gateway {gateway}/v1/bolt")).refused(3, &["bolt"]);
    fs::write(world.path("wrong.key"), "key_0.0000\n").expect("own folder");
    let (admin, sales) = (world.face("admin"), world.face("sales"));
    let login = format!("central login --admin {admin} --sales {sales} --key-file wrong.key");
    world.cli(&login).refused(4, &["S0B09"]);
    assert_eq!(grants(&world), []);
}

#[test]
pub(crate) fn terms_that_no_license_can_have_are_refused_before_they_are_sold() {
    let world = selling("--quantity 1");
    let add = "central product add --code 8 --name Other";
    let twice = "--expires 2026-01-01T00:00:00Z --activates 2027-01-01T00:00:00Z";
    world.cli(&format!("{add} {twice}")).refused(2, &["S0B08", "expire before"]);
    world.cli("central product add --code 7 --name Other").refused(7, &["S0B07"]);
    world.cli("central item add --sku X --name X --product 99").refused(3, &["S0B05"]);
    world.cli("central order add --number 1 --sku NONE").refused(3, &["S0B05"]);
    let many = "central order add --number 1 --sku ED-1 --quantity 1001";
    world.cli(many).refused(2, &["S0B08", "1000"]);
}

#[test]
pub(crate) fn a_container_whose_firmware_is_revoked_gets_nothing_and_may_give_back() {
    let mut world = selling("--quantity 1 --checkpoint 30d --renew-window 30d");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 2);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let range = "--firmware 0.0.0..255.255.255";
    world.cli(&format!("vendor key revoke --vendor central/vendors/acme {range} --yes")).ok();
    world.stop_central();
    world.start_central();
    let code = world.cli("renew --yes").code;
    world.cli(&format!("activate {ticket} --yes")).refused(code, &["irmware", "revoked"]);
    world.cli("renew --yes").refused(code, &["irmware", "revoked"]);
    assert_ne!(code, 0);
    world.cli("release --yes").ok();
    assert_eq!(states(&world), ["pool", "pool"]);
}

#[test]
pub(crate) fn a_key_for_a_shop_may_order_and_nothing_else_until_it_is_revoked() {
    let world = selling("--quantity 1");
    let add = "central key add --name Shop --role integration --out shop.key";
    let made = world.cli(&format!("{add} --json")).ok().data();
    let id = made["id"].as_str().expect("an id").to_owned();
    world.cli(add).refused(7, &["is there already"]);
    let key = fs::read_to_string(world.path("shop.key")).expect("a key");
    let as_shop = |line: &str| {
        let program = crate::world::built("strongroom");
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = world.command(&program, &args);
        command.env("STRONGROOM_HOME", world.path("shop"));
        command.env("STRONGROOM_CENTRAL_KEY", key.trim());
        crate::world::run(&mut command, "")
    };
    let (admin, sales) = (world.face("admin"), world.face("sales"));
    as_shop(&format!("central login --admin {admin} --sales {sales}")).ok();
    as_shop("central order add --number 1 --sku ED-1").ok();
    as_shop("central grant list").refused(4, &["S0B0A"]);
    as_shop("central key list").refused(4, &["S0B0A"]);
    let own = fs::read_to_string(world.path("central/owner.key")).expect("a key");
    let own = own.split('.').next().expect("an id");
    world.cli(&format!("central key revoke {own} --yes")).refused(2, &["with another"]);
    world.cli(&format!("central key revoke {id} --yes")).ok();
    as_shop("central order add --number 2 --sku ED-1").refused(4, &["S0B09"]);
    let listed = world.cli("central key list").ok().stdout;
    assert!(listed.contains("revoked") && !listed.contains(key.trim()), "{listed}");
    let audit = world.cli("central audit list").ok().stdout;
    for action in ["key.create", "key.revoke"] {
        assert!(audit.contains(&format!("{action}  {id}  Shop")), "{audit}");
    }
}

#[test]
pub(crate) fn a_user_may_with_every_key_what_the_role_says_until_disabled() {
    let world = selling("--quantity 1");
    let made = world.cli("central user add --name Ada --role owner --json").ok().data();
    let id = made["id"].as_str().expect("an id").to_owned();
    world.cli(&format!("central key add --name laptop --user {id} --out ada.key")).ok();
    world.cli("central key add --name both --role admin --user usr_1 --out no.key").refused(2, &[]);
    world.cli("central key add --name none --out no.key").refused(2, &["--role"]);
    let unknown = "central key add --name none --user usr_none --out no.key";
    world.cli(unknown).refused(3, &["usr_none"]);
    let key = fs::read_to_string(world.path("ada.key")).expect("a key");
    let as_ada = |line: &str| {
        let program = crate::world::built("strongroom");
        let args: Vec<&str> = line.split(' ').collect();
        let mut command = world.command(&program, &args);
        command.env("STRONGROOM_HOME", world.path("ada"));
        command.env("STRONGROOM_CENTRAL_KEY", key.trim());
        crate::world::run(&mut command, "")
    };
    let (admin, sales) = (world.face("admin"), world.face("sales"));
    as_ada(&format!("central login --admin {admin} --sales {sales}")).ok();
    as_ada("central key list").ok();
    // Nobody changes himself: the last owner would be locked out.
    as_ada(&format!("central user disable {id} --yes")).refused(2, &["another owner"]);
    as_ada(&format!("central user role {id} auditor")).refused(2, &["another owner"]);
    world.cli(&format!("central user role {id} auditor")).ok();
    as_ada("central key list").refused(4, &["S0B0A"]);
    as_ada("central audit list").ok();
    world.cli(&format!("central user disable {id}")).refused(2, &["--yes"]);
    world.cli(&format!("central user disable {id} --yes")).ok();
    as_ada("central audit list").refused(4, &["S0B09"]);
    world.cli(&format!("central user enable {id}")).ok();
    as_ada("central audit list").ok();
    let listed = world.cli("central user list").ok().stdout;
    assert!(listed.contains("Ada") && listed.contains("auditor"), "{listed}");
    let keys = world.cli("central key list").ok().stdout;
    assert!(keys.contains(&id) && keys.contains("laptop"), "{keys}");
    let audit = world.cli("central audit list").ok().stdout;
    for (action, detail) in [
        ("create", "Ada"),
        ("role", "Ada, auditor"),
        ("disable", "Ada, auditor"),
        ("enable", "Ada, auditor"),
    ] {
        assert!(audit.contains(&format!("user.{action}  {id}  {detail}")), "{audit}");
    }
}

#[test]
fn a_password_is_no_argument() {
    let world = World::new();
    for url in ["postgres://me:pass@localhost/x", "postgres://localhost/x?password=pass"] {
        let args = ["migrate", "--data", "central", "--database", url];
        let server = crate::world::built("license-central");
        world.run(&server, &args, "").refused(2, &["PGPASSWORD"]);
    }
}

/// Another user of the machine reads neither secrets nor the database.
#[test]
fn what_central_keeps_is_for_its_owner_only() {
    let world = selling("--quantity 1");
    ticket(&world, 1);
    for name in ["secret.key", "owner.key", "central.db", "signer.toml", "journal/acme.journal"] {
        let path = world.path("central").join(name);
        let mut cat = world.command(Path::new("/usr/bin/cat"), &[path.to_str().expect("UTF-8")]);
        let read = crate::world::run(cat.uid(NOBODY).gid(NOBODY), "");
        assert_eq!((read.code, read.stdout.as_str()), (1, ""), "{name}");
    }
}
