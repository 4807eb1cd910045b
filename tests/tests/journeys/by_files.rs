//! License Central where there is no network: by files both ways, and with the wizard.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::world::{Outcome, World};

const TALK: &str = include_str!("talk.py");

/// A world that sells a license of product 7, with a dongle and a ticket.
fn selling(terms: &str) -> (World, String) {
    let mut world = World::new();
    world.found_central();
    world.cli(&format!("central product add --code 7 --name Editor {terms}")).ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    world.plug("usb", "rtc");
    let line = "central order add --number 1 --sku ED-1 --json";
    let ticket = world.cli(line).ok().data()["code"].as_str().expect("a ticket").to_owned();
    (world, ticket)
}

/// A command of the machine that reaches the vendor, and no container.
fn elsewhere(world: &World, line: &str) -> Outcome {
    world.cli(&format!("{line} --source sim:port/none"))
}

fn states(world: &World) -> Vec<String> {
    let rows = world.cli("central grant list --json").ok().data();
    let state = |row: &Value| row["place"]["state"].as_str().expect("a state").to_owned();
    rows["rows"].as_array().expect("rows").iter().map(state).collect()
}

/// The wizard at a terminal: each question, and what is answered.
fn wizard(world: &World, gateway: &str, talk: &[(&str, &str)]) -> Outcome {
    let program = crate::world::built("strongroom");
    let program = program.to_str().expect("UTF-8").to_owned();
    let mut args = vec!["-c", TALK, &program, "wizard", "--gateway", gateway, "--"];
    args.extend(talk.iter().flat_map(|(question, answer)| [*question, *answer]));
    world.run(Path::new("/usr/bin/python3.11"), &args, "")
}

#[test]
pub(crate) fn three_files_activate_a_container_without_network() {
    let (world, ticket) = selling("--quantity 1");
    let firm = "central/vendors/acme";
    world.cli(&format!("container context --firm {firm} -o request")).ok();
    let ask = format!("activate {ticket} --request request --response response");
    elsewhere(&world, &format!("{ask} --dry-run")).ok();
    assert_eq!(states(&world), ["pool"]);
    elsewhere(&world, &ask).ok();
    elsewhere(&world, &ask).refused(7, &["is there already"]);
    assert_eq!(states(&world), ["held"]);
    world.cli("update preview response").ok();
    world.cli("update apply response --receipt receipt --yes").ok();
    world.cli("license why 7").ok();
    elsewhere(&world, "collect --receipt receipt").ok();
    elsewhere(&world, "collect --receipt request").refused(2, &["S0106"]);
    let audit = world.cli("central audit list").ok().stdout;
    assert_eq!(audit.matches("confirmed").count(), 1, "{audit}");
    // The same request once more is an old one now, and nothing to worry about.
    fs::remove_file(world.path("response")).expect("own file");
    elsewhere(&world, &ask).refused(7, &["S0B1B"]);
    assert_eq!(world.cli("central case list --json").ok().data()["rows"], serde_json::json!([]));
}

#[test]
pub(crate) fn several_updates_travel_in_one_file_and_are_applied_as_far_as_they_are_new() {
    let (world, ticket) = selling("--quantity 1");
    let firm = "central/vendors/acme";
    world.cli(&format!("container context --firm {firm} -o request")).ok();
    let ask = |line: &str, response: &str| {
        let line = format!("{line} --request request --response {response}");
        elsewhere(&world, &line).ok()
    };
    ask(&format!("activate {ticket}"), "first");
    let rows = world.cli("central grant list --json").ok().data();
    let id = rows["rows"][0]["id"].as_str().expect("an id").to_owned();
    world.cli(&format!("central grant suspend {id} --yes")).ok();
    let both = ask("collect --json", "both").data();
    assert_eq!(both["updates"].as_array().expect("a list").len(), 2);
    world.cli("update apply first --yes").ok();
    world.cli("license why 7").ok();
    let applied = world.cli("update apply both --receipt receipt --yes --json").ok().data();
    assert_eq!(applied["number"], 2);
    world.cli("license why 7").refused(5, &["uspended"]);
    world.cli("update apply both --yes").refused(7, &["2"]);
    elsewhere(&world, "collect --receipt receipt").ok();
    let audit = world.cli("central audit list").ok().stdout;
    assert_eq!(audit.matches("confirmed").count(), 2, "one receipt proves both: {audit}");
    let shown = world.cli("inspect both --json").ok().data();
    assert_eq!(shown["kind"], "updates");
}

#[test]
pub(crate) fn the_wizard_redeems_a_ticket_step_by_step() {
    let (world, ticket) = selling("--quantity 1");
    let gateway = format!("{}/v1/acme", world.face("gateway"));
    let mistyped = format!("{ticket}X");
    let talk = [
        ("Ticket: ", mistyped.as_str()),
        ("Ticket: ", ticket.as_str()),
        ("redeem one activation", "y"),
    ];
    let said = wizard(&world, &gateway, &talk).ok().stdout;
    for word in ["S0B02", "activation 1: product 7 Editor, free", "1 update is applied"] {
        assert!(said.contains(word), "{word}: {said}");
    }
    world.cli("license why 7").ok();
    // Who does not agree gets nothing, and the ticket stays as it is.
    let (world, ticket) = selling("--quantity 1");
    let gateway = format!("{}/v1/acme", world.face("gateway"));
    let talk = [("Ticket: ", ticket.as_str()), ("redeem one activation", "n")];
    let refused = wizard(&world, &gateway, &talk);
    assert_eq!((refused.code, states(&world)), (7, vec!["pool".to_owned()]));
    world.cli("wizard").refused(2, &["terminal", "strongroom activate"]);
}

#[test]
pub(crate) fn the_wizard_falls_back_to_files() {
    let (world, ticket) = selling("--quantity 1");
    let [firm, request] =
        ["central/vendors/acme", "request"].map(|name| world.path(name).display().to_string());
    let talk = [
        ("Ticket: ", ticket.as_str()),
        ("The vendor: ", firm.as_str()),
        ("File for the request", request.as_str()),
    ];
    let said = wizard(&world, "http://127.0.0.1:1/v1/acme", &talk).ok().stdout;
    assert!(said.contains("S0B14") && said.contains("--response activation.response"), "{said}");
    let ask = "--request request --response response";
    elsewhere(&world, &format!("activate {ticket} {ask}")).ok();
    world.cli("update apply response --yes").ok();
    world.cli("license why 7").ok();
}
