//! License Central after the sale: what a vendor decides about licenses, and what moves them.

use serde_json::Value;

use crate::world::{Outcome, World};

/// A world with a Central that sells `ED-1`, a license of product 7 with these terms, and a dongle.
fn selling(terms: &str) -> World {
    let mut world = World::new();
    world.found_central();
    world.cli(&format!("central product add --code 7 --name Editor {terms}")).ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    world.plug("usb", "rtc");
    world
}

/// An order of so many, and its ticket.
fn order(world: &World, line: &str) -> Value {
    world.cli(&format!("central order add {line} --json")).ok().data()
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

fn on(world: &World, dongle: &str, line: &str) -> Outcome {
    world.cli(&format!("{line} --source sim:port/{dongle}"))
}

/// The rows of the grants: id, place, wanted, proven.
fn grants(world: &World) -> Vec<[String; 4]> {
    let rows = world.cli("central grant list --json").ok().data();
    let row = |row: &Value| {
        [&row["id"], &row["place"]["state"], &row["wanted"], &row["proven"]].map(text)
    };
    rows["rows"].as_array().expect("rows").iter().map(row).collect()
}

fn serial(world: &World, dongle: &str) -> String {
    let shown = on(world, dongle, "container list --json").ok().data();
    text(&shown["containers"][0]["serial"])
}

fn may_use(world: &World, dongle: &str) -> bool {
    on(world, dongle, "license why 7").code == 0
}

#[test]
pub(crate) fn a_move_takes_a_license_to_the_other_dongle_alone() {
    let mut world = selling("--quantity 1");
    world.plug("two", "rtc");
    world.plug("three", "rtc");
    let sold = order(&world, "--number 1 --sku ED-1");
    let ticket = text(&sold["code"]);
    on(&world, "usb", &format!("activate {ticket} --yes")).ok();
    let two = serial(&world, "two");
    let both = "--source sim:port/usb --source sim:port/two";
    let from = serial(&world, "usb");
    let nowhere = format!("move --to DONGLE-0000-0000-000 --container {from} --yes {both}");
    world.cli(&nowhere).refused(2, &["S0B08"]);
    assert!(may_use(&world, "usb"), "nothing was taken out");
    let moved = world.cli(&format!("move --to {two} --yes --json {both}")).ok().data();
    assert_eq!((&moved["out"]["applied"], &moved["into"]["applied"]), (&1.into(), &1.into()));
    assert!(may_use(&world, "two") && !may_use(&world, "usb"));
    // To one that is elsewhere: whoever holds the ticket cannot have it in between.
    let three = serial(&world, "three");
    on(&world, "two", &format!("move --to {three} --yes")).ok();
    on(&world, "usb", &format!("activate {ticket} --yes")).refused(7, &["S0B1D"]);
    assert!(!may_use(&world, "usb") && !may_use(&world, "two"));
    on(&world, "three", "collect --yes").ok();
    assert!(may_use(&world, "three"));
    assert_eq!(grants(&world).len(), 1);
}

#[test]
pub(crate) fn what_is_suspended_is_shown_as_done_when_the_container_proved_it() {
    let world = selling("--quantity 1");
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let id = grants(&world)[0][0].clone();
    world.cli(&format!("central grant suspend {id}")).refused(2, &["--yes"]);
    world.cli(&format!("central grant suspend {id} --dry-run")).ok();
    assert_eq!(grants(&world)[0][2], "active");
    let line = format!("central grant suspend {id} --reason unpaid --yes --json");
    let asked = world.cli(&line).ok().data();
    assert_eq!(asked["takes_effect"]["when"], "at-contact");
    assert_eq!(grants(&world)[0][1..], ["held", "suspended", "active"]);
    assert!(may_use(&world, "usb"), "the dongle has not heard of it");
    world.cli("collect --yes").ok();
    assert_eq!(grants(&world)[0][1..], ["held", "suspended", "suspended"]);
    on(&world, "usb", "license why 7").refused(5, &["uspended"]);
    world.cli(&format!("central grant reinstate {id} --yes")).ok();
    world.cli("renew --yes").ok();
    assert!(may_use(&world, "usb"));
    assert_eq!(grants(&world)[0][1..], ["held", "active", "active"]);
    let audit = world.cli("central audit list").ok().stdout;
    assert!(audit.contains("unpaid"), "{audit}");
}

#[test]
pub(crate) fn what_is_withdrawn_leaves_its_container_and_never_comes_back() {
    let world = selling("--quantity 1 --checkpoint 30d");
    let sold = order(&world, "--number 1 --sku ED-1 --quantity 2");
    let (ticket, id) = (text(&sold["code"]), text(&sold["ticket"]));
    world.cli(&format!("activate {ticket} --yes")).ok();
    let gone = world.cli(&format!("central ticket withdraw {id} --yes --json")).ok().data();
    let when = |at: usize| text(&gone[at]["takes_effect"]["when"]);
    assert_eq!([when(0), when(1)], ["at-contact-or-lapse", "now"]);
    world.cli(&format!("activate {ticket} --yes")).refused(5, &["S0B04"]);
    assert!(may_use(&world, "usb"));
    world.cli("renew --yes").ok();
    assert!(!may_use(&world, "usb"));
    let rows = grants(&world);
    assert_eq!(rows[0][1..], ["withdrawn"; 3]);
    assert_eq!(rows[1][1..], ["withdrawn"; 3]);
    let back = format!("central grant reinstate {} --yes", rows[0][0]);
    world.cli(&back).refused(7, &["S0B19"]);
}

#[test]
pub(crate) fn a_blocked_container_loses_what_it_has_and_gets_nothing() {
    let mut world = selling("--quantity 1");
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let lost = serial(&world, "usb");
    world.cli(&format!("central device block {lost} --reason stolen --yes")).ok();
    world.cli(&format!("activate {ticket} --yes")).refused(5, &["S0B0F"]);
    world.cli("collect --yes").ok();
    assert!(!may_use(&world, "usb"));
    world.cli("collect --yes").refused(5, &["S0B0F"]);
    assert_eq!(grants(&world)[0][1], "pool");
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    world.cli(&format!("central device unblock {lost} --yes")).ok();
    on(&world, "usb", &format!("activate {ticket} --yes")).refused(7, &["S0B03"]);
}

#[test]
pub(crate) fn an_assigned_license_comes_without_a_ticket() {
    let world = selling("--quantity 1");
    order(&world, "--number 1 --sku ED-1");
    let id = grants(&world)[0][0].clone();
    let one = serial(&world, "usb");
    world.cli("collect --yes").ok();
    assert!(!may_use(&world, "usb"));
    world.cli(&format!("central grant assign {id} --to {one}")).ok();
    world.cli("collect --yes").ok();
    assert!(may_use(&world, "usb"));
    world.cli(&format!("central grant assign {id} --to {one}")).refused(2, &["held"]);
}

#[test]
pub(crate) fn an_upgrade_replaces_a_license_by_one_update() {
    let mut world = selling("--quantity 1");
    world.cli("central product add --code 8 --name Studio --quantity 1").ok();
    world.cli("central item add --sku ST-1 --name Studio --product 8").ok();
    let sold = order(&world, "--number 1 --sku ED-1");
    let (old, old_id) = (text(&sold["code"]), text(&sold["ticket"]));
    world.cli(&format!("activate {old} --yes")).ok();
    let new = order(&world, &format!("--number 2 --sku ST-1 --replaces {old_id}"));
    let again = order(&world, &format!("--number 2 --sku ST-1 --replaces {old_id}"));
    assert_eq!(again["id"], new["id"]);
    world.plug("two", "rtc");
    let new = text(&new["code"]);
    // Not as long as the old one is in its dongle.
    on(&world, "two", &format!("activate {new} --yes")).refused(7, &["S0B03"]);
    let changed = on(&world, "usb", "collect --yes --json").ok().data();
    assert_eq!(changed["applied"], 1, "out and in by one update");
    assert!(!may_use(&world, "usb"));
    on(&world, "usb", "license why 8").ok();
    let states: Vec<String> = grants(&world).into_iter().map(|row| row[1].clone()).collect();
    assert_eq!(states, ["withdrawn", "held"]);
    on(&world, "usb", "release --yes").ok();
    on(&world, "two", &format!("activate {new} --yes")).ok();
}

#[test]
pub(crate) fn a_further_period_extends_the_license_once() {
    let world = selling("--quantity 1 --expires +30d");
    let sold = order(&world, "--number 1 --period 2027-01 --sku ED-1");
    let ticket = text(&sold["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let ends = |world: &World| {
        let rows = world.cli("central grant list --json").ok().data();
        rows["rows"][0]["max_lapse_s"].as_u64().expect("it ends")
    };
    let first = ends(&world);
    for _ in 0..2 {
        let next = order(&world, "--number 1 --period 2027-02 --sku ED-1");
        assert_eq!(next["ticket"], sold["ticket"]);
    }
    assert_eq!(ends(&world), first, "nothing of it is issued yet");
    world.cli("renew --yes").ok();
    assert_eq!(ends(&world), first + 30 * 86_400);
    world.fault("jump-clock 3456000");
    assert!(may_use(&world, "usb"), "40 days later");
    world.fault("jump-clock 3456000");
    assert!(!may_use(&world, "usb"), "80 days later");
}

#[test]
pub(crate) fn what_lapsed_in_a_dongle_with_a_clock_is_free_for_another() {
    let mut world = selling("--quantity 1 --expires 2020-01-01T00:00:00Z");
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    let audit = world.cli("central audit list").ok().stdout;
    assert!(audit.contains("grant.reclaim"), "{audit}");
}

#[test]
pub(crate) fn what_lapsed_in_a_dongle_that_may_sleep_waits_for_it() {
    let mut world = World::new();
    world.found_central();
    let terms = "--quantity 1 --expires 2020-01-01T00:00:00Z";
    world.cli(&format!("central product add --code 7 --name Editor {terms}")).ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    world.plug("usb", "plain");
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {ticket} --yes")).refused(7, &["S0B03"]);
}

#[test]
pub(crate) fn a_container_that_shows_what_nothing_leads_to_waits_for_a_person() {
    let mut world = selling("--quantity 1");
    world.make_case();
    let cases = world.cli("central case list --json").ok().data();
    assert_eq!(cases["rows"].as_array().expect("rows").len(), 1);
    let case = &cases["rows"][0];
    assert_eq!((&case["shown"], &case["known"]), (&1.into(), &0.into()));
    assert!(case["evidence"].as_str().expect("a file").len() > 200);
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    on(&world, "other", &format!("activate {ticket} --yes")).refused(7, &["S0B1A"]);
    let id = text(&case["id"]);
    world.cli(&format!("central case decide {id} adopt")).refused(2, &["--yes"]);
    world.cli(&format!("central case decide {id} adopt --yes")).ok();
    on(&world, "other", &format!("activate {ticket} --yes")).ok();
    assert!(may_use(&world, "other"));
    world.cli(&format!("central case decide {id} block --yes")).refused(7, &["S0B07"]);
}

#[test]
pub(crate) fn a_lost_dongle_is_blocked_and_its_licenses_come_back_by_the_rule() {
    let rule = "--quantity 1 --restore 1/365d --restore-wait 0s";
    let mut world = selling(rule);
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let lost = serial(&world, "usb");
    let say = format!("restore --ticket {ticket} --lost {lost}");
    world.cli(&say).refused(2, &["--yes"]);
    world.cli(&format!("{say} --dry-run")).ok();
    assert_eq!(grants(&world)[0][1], "held");
    world.cli(&format!("{say} --yes")).ok();
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {ticket} --yes")).ok();
    on(&world, "usb", "collect --yes").refused(5, &["S0B0F"]);
    let two = serial(&world, "two");
    let again = format!("restore --ticket {ticket} --lost {two} --yes");
    world.cli(&again).refused(5, &["S0B1F", "1 times"]);
    let rows = world.cli("central grant list --json").ok().data();
    assert_eq!(rows["rows"][0]["overlaps"], 1, "the lost one may still work");
}

#[test]
pub(crate) fn an_inventory_brings_licenses_to_another_dongle_after_a_while() {
    let mut world = selling("--quantity 1 --restore 1/365d --restore-wait 7d");
    let ticket = text(&order(&world, "--number 1 --sku ED-1")["code"]);
    world.cli(&format!("activate {ticket} --yes")).ok();
    let listed = world.cli("container inventory --out lists --json").ok().data();
    let file = text(&listed["vendors"][0]["file"]);
    world.plug("two", "rtc");
    let two = serial(&world, "two");
    let say = format!("restore --inventory {file} --to {two} --yes --json");
    let told = world.cli(&say).ok().data();
    let again = world.cli(&say).ok().data();
    assert_eq!(told, again, "said again it stays as it was");
    on(&world, "two", "collect --yes").ok();
    assert!(!may_use(&world, "two"), "seven days have not passed");
    // A person can decide that it need not wait.
    let id = grants(&world)[0][0].clone();
    world.cli(&format!("central grant write-off {id} --reason known --yes")).ok();
    on(&world, "two", "collect --yes").ok();
    assert!(may_use(&world, "two"));
    let plain = selling("--quantity 1");
    let ticket = text(&order(&plain, "--number 1 --sku ED-1")["code"]);
    plain.cli(&format!("activate {ticket} --yes")).ok();
    let lost = serial(&plain, "usb");
    let refused = plain.cli(&format!("restore --ticket {ticket} --lost {lost} --yes"));
    refused.refused(5, &["S0B1E", "product 7"]);
}

#[test]
pub(crate) fn what_was_there_before_is_brought_in_with_a_preview() {
    let mut world = selling("--quantity 1");
    world.unplug();
    world.plug("usb", "rtc");
    let one = serial(&world, "usb");
    // A license that the vendor issued by file, before there was a Central.
    let firm = "central/vendors/acme";
    world.cli(&format!("vendor product add 7 --name Editor --vendor {firm}")).ok();
    world.cli(&format!("container context --firm {firm} -o context")).ok();
    let line = "--context context --product 7 --quantity 1 -o update";
    world.cli(&format!("vendor issue --vendor {firm} {line}")).ok();
    world.cli("update apply update --yes").ok();
    let write = |name: &str, text: &str| std::fs::write(world.path(name), text).expect("room");
    write("customers.csv", "name,reference,email\nAnna,C1,a@example.com\nBob,C2,\n");
    let import = "central import customers customers.csv";
    let would = world.cli(&format!("{import} --dry-run --json")).ok().data();
    assert_eq!((&would["new"], &would["known"]), (&2.into(), &0.into()));
    world.cli(import).refused(2, &["--yes"]);
    world.cli(&format!("{import} --yes")).ok();
    let again = world.cli(&format!("{import} --yes --json")).ok().data();
    assert_eq!((&again["new"], &again["known"]), (&0.into(), &2.into()));
    let rows = format!(
        "number,sku,quantity,customer-reference,container,entry,terms.expires\n\
         A1,ED-1,1,C1,{one},0,\nA2,ED-1,2,C2,,,2027-01-01\nA3,NONE,1,,,,\n"
    );
    write("orders.csv", &rows);
    let import = "central import orders orders.csv --out tickets.csv";
    world.cli(&format!("{import} --yes")).refused(2, &["line 4", "NONE", "--skip-refused"]);
    assert_eq!(grants(&world).len(), 0, "a preview keeps nothing");
    let done = world.cli(&format!("{import} --skip-refused --yes --json")).ok().data();
    assert_eq!((&done["new"], &done["refused"]), (&2.into(), &1.into()));
    assert_eq!(grants(&world).len(), 3);
    world.cli("collect --yes").ok();
    let listed = world.cli("license list").ok().stdout;
    assert_eq!(listed.matches("product 7 entry").count(), 1, "the entry that it had: {listed}");
    let tickets = std::fs::read_to_string(world.path("tickets.csv")).expect("a list");
    let ticket = |number: &str| {
        let line = tickets.lines().find(|line| line.starts_with(number)).expect("a line");
        line.rsplit(',').next().expect("a ticket").to_owned()
    };
    world.plug("two", "rtc");
    on(&world, "two", &format!("activate {} --yes", ticket("A1"))).refused(7, &["S0B03"]);
    on(&world, "two", &format!("activate {} --yes", ticket("A2"))).ok();
}
