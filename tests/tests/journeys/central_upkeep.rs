//! License Central over the years: time that it certifies, keys and revocations that it takes over
//! while it runs.

use std::fs;

use rustix::process::Signal;
use serde_json::Value;
use strongroom_tests::folders;

use crate::central::{on, selling, ticket};
use crate::world::{Outcome, World, run, until};

const DIRECTORY: &str = "central/vendors/acme";

fn gateway(world: &World) -> String {
    format!("{}/v1/acme", world.face("gateway"))
}

/// The dongle loses power, and with it what it was told of time.
fn power_cut(world: &mut World) {
    world.fault("stop");
    world.restart_as("plain");
    world.cli("license why 7").refused(5, &["S0362"]);
}

fn log(world: &World) -> String {
    fs::read_to_string(world.path("central.log")).expect("a log")
}

/// Sends the server SIGHUP, and waits until it says this once more.
fn hang_up(world: &World, says: &str) {
    let count = || log(world).matches(says).count();
    let before = count();
    world.signal_central(Signal::HUP);
    until(says, || count() > before);
}

fn device(world: &World) -> Value {
    world.cli("central device list --json").ok().data()["rows"][0].clone()
}

fn word<'a>(row: &'a Value, name: &str) -> &'a str {
    row[name].as_str().expect("a text")
}

#[test]
pub(crate) fn certified_time_comes_from_the_gateway_in_one_step_by_files_and_with_each_renewal() {
    let mut world = selling("--quantity 1 --time-rule fresh-token");
    world.plug("usb", "plain");
    let (ticket, gateway) = (ticket(&world, 1), gateway(&world));
    let done = world.cli(&format!("activate {ticket} --yes --json")).ok().data();
    assert_eq!(done["certified"], true);
    world.cli("license why 7").ok();
    power_cut(&mut world);
    let told = world.cli(&format!("container time --gateway {gateway}")).ok().stdout;
    assert!(told.contains("knows certified time: 20"), "{told}");
    world.cli("license why 7").ok();
    power_cut(&mut world);
    world.cli(&format!("container time --firm {DIRECTORY} --ask request")).ok();
    let line = format!("container time --gateway {gateway} --request request --response answer");
    world.cli(&format!("{line} --dry-run")).ok();
    assert!(!world.path("answer").exists());
    world.cli(&line).ok();
    world.cli("container time --apply answer").ok();
    world.cli("license why 7").ok();
    world.cli("container time --apply answer").refused(7, &["S0502"]);
    power_cut(&mut world);
    assert_eq!(world.cli("renew --yes --json").ok().data()["certified"], true);
    world.cli("license why 7").ok();
    // What never was a request, a server that is not there, a container that gets nothing more.
    let line = format!("container time --gateway {gateway} --request answer --response other");
    world.cli(&line).refused(2, &["S0106"]);
    let gone = "container time --gateway http://127.0.0.1:1/v1/acme";
    world.cli(gone).refused(8, &["S0B14"]);
    let serial = device(&world);
    world.cli(&format!("central device block {} --yes", word(&serial, "serial"))).ok();
    world.cli(&format!("container time --gateway {gateway}")).refused(5, &["S0B0F"]);
}

#[test]
pub(crate) fn a_container_with_a_clock_is_told_the_time_when_it_heard_nothing_for_a_day() {
    let mut world = selling("--quantity 1");
    world.plug("usb", "rtc");
    let ticket = ticket(&world, 1);
    let done = world.cli(&format!("activate {ticket} --yes --json")).ok().data();
    assert_eq!(done["certified"], false, "the update said it");
    assert_eq!(world.cli("renew --yes --json").ok().data()["certified"], false);
}

#[test]
pub(crate) fn a_key_that_was_rotated_is_taken_over_by_a_central_that_runs() {
    let mut world = selling("--quantity 1");
    ["one", "two"].iter().for_each(|name| world.plug(name, "rtc"));
    let ticket = ticket(&world, 2);
    on(&world, "one", &format!("activate {ticket} --yes")).ok();
    let old = world.path("old");
    folders::copy(&world.path(DIRECTORY), &old);
    let line = format!("vendor key rotate --vendor {DIRECTORY} --role licensing --yes");
    world.cli(&line).ok();
    hang_up(&world, "roots were read again");
    // Nothing waits for the first one but the root, which comes alone, and once.
    let got = on(&world, "one", "collect --yes --json").ok().data();
    assert_eq!((&got["trust"]["changes"][0]["op"], &got["applied"]), (&"root".into(), &0.into()));
    assert_eq!(on(&world, "one", "collect --yes --json").ok().data()["trust"], Value::Null);
    // What is issued from now on is signed by the new key, and both take it.
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    on(&world, "one", "release --yes").ok();
    on(&world, "one", &format!("activate {ticket} --yes")).ok();
    let audit = world.cli("central audit list --json").ok().data();
    let rows = audit["rows"].as_array().expect("rows").iter();
    let told: Vec<&str> =
        rows.filter(|row| row["action"] == "vendor.trust").map(|row| word(row, "detail")).collect();
    assert!(told.contains(&"root version 2, revocations of epoch 0"), "{told:?}");
    // An old copy of the directory is not taken, neither by the one that runs nor by the next.
    let (now, place) = (world.path("now"), world.path(DIRECTORY));
    fs::rename(&place, &now).expect("the same disk");
    folders::copy(&old, &place);
    hang_up(&world, "S0B91");
    on(&world, "one", "release --yes").ok();
    world.stop_central();
    serve(&world).refused(7, &["S0B91", "version 1", "version 2"]);
    fs::remove_dir_all(&place).expect("own folder");
    fs::rename(&now, &place).expect("the same disk");
    world.start_central();
    on(&world, "one", &format!("activate {ticket} --yes")).ok();
}

/// Starts a server that refuses to.
fn serve(world: &World) -> Outcome {
    let faces = ["--sales", "--gateway", "--admin"];
    let listen = faces.iter().flat_map(|face| [*face, "127.0.0.1:0"]);
    run(world.server().args(["serve", "--data", "central"]).args(listen), "")
}

#[test]
pub(crate) fn a_container_that_was_revoked_gets_nothing_more_and_others_hear_of_it() {
    let mut world = selling("--quantity 1");
    world.plug("one", "rtc");
    let ticket = ticket(&world, 3);
    on(&world, "one", &format!("activate {ticket} --yes")).ok();
    let first = device(&world);
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    let shown = world.cli(&format!("central device show {}", word(&first, "serial"))).ok().stdout;
    assert!(shown.contains(word(&first, "id")), "{shown}");
    let id = word(&first, "id");
    world.cli(&format!("vendor key revoke --vendor {DIRECTORY} --serial {id} --yes")).ok();
    // By files, for a dongle elsewhere.
    let root = format!("{DIRECTORY}/root.strgroom");
    on(&world, "two", &format!("container context --firm {root} -o request")).ok();
    hang_up(&world, "roots were read again");
    on(&world, "one", &format!("activate {ticket} --yes")).refused(5, &["S042D"]);
    world.cli("collect --request request --response response").ok();
    let applied = on(&world, "two", "update apply response --yes --json").ok().data();
    assert_eq!(applied["changes"]["changes"][0]["op"], "revocation");
    let got = on(&world, "two", "collect --yes --json").ok().data();
    assert_eq!((&got["trust"], &got["applied"]), (&Value::Null, &0.into()));
    let time = format!("container time --gateway {}", gateway(&world));
    on(&world, "one", &time).refused(5, &["S042D"]);
    on(&world, "two", &time).ok();
}
