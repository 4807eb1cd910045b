//! What keeps a container going between licenses: certified time, usage logs, the owner's PIN.

use std::fs;

use strongroom_tests::folders;

use crate::world::World;

const ISSUE: &str = "vendor issue --vendor acme --context now.context --product 7";

fn write(world: &World, name: &str, text: &str) {
    fs::write(world.path(name), text).expect("own file");
}

#[test]
fn certified_time_comes_by_file_within_two_minutes_of_being_asked_for() {
    let mut world = World::new();
    world.plug("usb", "plain");
    world.license("--time-rule fresh-token");
    world.cli("license why 7").refused(5, &["S0362", "after each power-up"]);
    world.cli("container time --firm acme --ask request").ok();
    world.cli("vendor time request --vendor acme -o token").ok();
    let told = world.cli("container time --apply token").ok().stdout;
    assert!(told.contains("knows certified time: 20"), "{told}");
    world.cli("license why 7").ok();
    world.cli("container time --apply token").refused(7, &["S0502", "120 seconds"]);
    // Another vendor's, another container's, a changed one.
    world.cli("vendor init bolt --name Bolt --test").ok();
    world.cli("vendor time request --vendor bolt -o other").refused(6, &["S0A04"]);
    world.cli("container time --firm acme --ask second").ok();
    world.cli("vendor time second --vendor acme -o good").ok();
    let mut bytes = fs::read(world.path("good")).expect("own file");
    *bytes.last_mut().expect("bytes") ^= 1;
    fs::write(world.path("bad"), bytes).expect("own file");
    world.cli("container time --apply bad").refused(6, &["S0503"]);
    world.cli("container time --apply good").ok();
    world.fault("stop");
    world.restart_as("plain");
    world.cli("license why 7").refused(5, &["S0362"]);
    world.cli("container time --firm acme --ask request").refused(7, &["exists already"]);
    let shown = world.cli("container time --json").ok().data();
    assert_eq!(shown["clock"]["class"], "session");
    assert!(shown["vendors"][0]["certified"].as_u64() > Some(1_700_000_000));
}

#[test]
fn a_usage_log_goes_to_the_vendor_and_is_forgotten_when_he_has_it() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.license("--units 10");
    let cat = world.protect("/bin/cat".as_ref(), "--units 2");
    world.run(&cat, &[], "").ok();
    world.cli("license log -o first.log").ok();
    let taken = world.cli("vendor log first.log --vendor acme -o first.ack").ok().stdout;
    assert!(taken.contains("2 new entries up to 2, 2 units used"), "{taken}");
    world.run(&cat, &[], "").ok();
    // The acknowledgement got lost; the next log has all, and each entry counts once.
    world.cli("license log -o second.log").ok();
    let taken = world.cli("vendor log second.log --vendor acme -o second.ack").ok().stdout;
    assert!(taken.contains("1 new entries up to 3, 2 units used"), "{taken}");
    world.cli("license log --acknowledge second.ack").ok();
    let shown = world.cli("license log").ok().stdout;
    assert!(shown.contains("3 entries, those up to 3 are with the vendor"), "{shown}");
    world.cli("license log --acknowledge first.ack").ok();
    // Changed on its way.
    world.run(&cat, &[], "").ok();
    world.cli("license log -o third.log").ok();
    let mut bytes = fs::read(world.path("third.log")).expect("own file");
    let at = bytes.len() - 40;
    bytes[at] ^= 1;
    fs::write(world.path("edited.log"), bytes).expect("own file");
    let edited = world.cli("vendor log edited.log --vendor acme -o no.ack");
    assert_eq!(edited.code, 6, "{edited:?}");
    assert!(!world.path("no.ack").exists());
    world.cli("license log --acknowledge third.log").refused(2, &["S0106"]);
}

#[test]
fn a_copied_container_is_found_by_its_log() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.license("--units 10");
    let cat = world.protect("/bin/cat".as_ref(), "--units 1");
    world.fault("stop");
    world.wait_for_end();
    let state = world.path("port/usb.state");
    let copy = world.path("port/copy.state");
    folders::copy(&state, &copy);
    world.plug("usb", "rtc");
    world.run(&cat, &[], "").ok();
    world.cli("license log -o one.log").ok();
    world.cli("vendor log one.log --vendor acme -o one.ack").ok();
    world.fault("stop");
    world.wait_for_end();
    world.plug("copy", "rtc");
    world.run(&cat, &[], "").ok();
    world.cli("license log -o two.log").ok();
    let refused = world.cli("vendor log two.log --vendor acme -o two.ack");
    refused.refused(7, &["S0A42", "differs from what is kept", "Acknowledge neither"]);
    world.cli("license log --acknowledge one.ack").refused(7, &["S0418"]);
}

#[test]
fn the_pin_keeps_new_vendors_and_the_owners_things_from_others() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    write(&world, "pin", "1234\n");
    write(&world, "wrong", "0000\n");
    let set = world.cli("container pin set --new-pin-file pin").ok().stdout;
    let code = set.lines().find_map(|line| line.strip_prefix("recovery code: "));
    write(&world, "code", code.expect("a recovery code"));
    world.cli("container rename Desk").refused(4, &["S0606", "--pin-file"]);
    world.cli("container rename Desk --pin-file wrong").refused(4, &["S0607", "7 more"]);
    world.cli("container rename Desk --pin-file pin").ok();
    world.context("now.context");
    world.cli(&format!("{ISSUE} --quantity 1 -o first.update")).ok();
    world.cli("update apply first.update --yes").refused(4, &["S0606"]);
    world.cli("license list").ok();
    world.cli("update apply first.update --yes --pin-file pin").ok();
    // The vendor that was let in goes on, and programs run, without it.
    world.license("--quantity 2");
    world.cli("license why 7").ok();
    for left in (1..8).rev() {
        let wrong = world.cli("container rename Shelf --pin-file wrong");
        wrong.refused(4, &["S0607", &format!("{left} more")]);
    }
    world.cli("container rename Shelf --pin-file wrong").refused(4, &["S0608"]);
    world.cli("container rename Shelf --pin-file pin").refused(4, &["S0608", "pin reset"]);
    world.cli("license why 7").ok();
    write(&world, "new", "5678");
    write(&world, "other", "0000-0000-0000-0000-0000-0000-0000-0000");
    let reset = "container pin reset --new-pin-file new --recovery-file";
    world.cli(&format!("{reset} other")).refused(4, &["S0609", "7 more"]);
    world.cli(&format!("{reset} code")).ok();
    world.cli("container rename Shelf --pin-file new").ok();
    world.cli("container pin remove --pin-file new").ok();
    world.cli("container rename Floor").ok();
    world.cli("container pin remove").refused(2, &["S060A"]);
}
