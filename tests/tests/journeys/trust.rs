//! What a vendor does with its keys, and what becomes of who has a stolen one: typed by people.

use std::fs;

use crate::world::{Outcome, World};

/// Issues from the directory `from` by a fresh context, with these options.
fn issue(world: &World, from: &str, options: &str) -> Outcome {
    world.context("context");
    let _ = fs::remove_file(world.path("update"));
    let line = format!("vendor issue --vendor {from} --context context {options} -o update");
    world.cli(&line)
}

fn apply(world: &World) -> Outcome {
    world.cli("update apply update --yes")
}

/// Brings all roots and revocations of `acme`.
fn bring(world: &World) -> Outcome {
    let _ = fs::remove_file(world.path("trust"));
    world.cli("vendor key export --vendor acme -o trust").ok();
    world.cli("update apply trust --yes")
}

/// The id of a key that a JSON answer names.
fn key_id(outcome: &Outcome) -> String {
    let data = outcome.data();
    let id = data["key"].as_str().or(data["keys"][0].as_str());
    id.expect("the id of a key").to_owned()
}

/// Root version and revocation epoch that the dongle at `usb` tells.
fn trusted(world: &World) -> (u64, u64) {
    let firm = world.cli("container show --json").ok().data()["firms"][0].clone();
    let number = |name: &str| firm[name].as_u64().expect("a number");
    (number("root_version"), number("revocation_epoch"))
}

/// A copy of the vendor directory, as somebody takes it who may not.
fn steal(world: &World) {
    let copied = std::process::Command::new("/bin/cp")
        .arg("-a")
        .args([world.path("acme"), world.path("stolen")])
        .status();
    assert!(copied.expect("cp").success());
}

#[test]
fn after_a_theft_a_rotation_ends_the_thief_and_not_the_licenses() {
    let world = World::licensed("rtc", "--quantity 2");
    let protected = world.protect("/bin/echo".as_ref(), "");
    steal(&world);
    issue(&world, "stolen", "--product 7 --quantity 1000").ok();
    apply(&world).ok();
    world.cli("vendor key rotate --vendor acme --role licensing").refused(2, &["--yes"]);
    let state = world.vendor_state();
    world.cli("vendor key rotate --vendor acme --role licensing --dry-run").ok();
    assert_eq!(world.vendor_state(), state, "a dry run wrote something");
    world.cli("vendor key rotate --vendor acme --role licensing --yes").ok();
    bring(&world).ok();
    assert_eq!(trusted(&world), (2, 0));
    // The thief is out, whatever he made before or makes now.
    issue(&world, "stolen", "--product 7 --quantity 5000").ok();
    apply(&world).refused(6, &["S0401"]);
    // The vendor sees that the container is elsewhere than its records, and goes on from there.
    issue(&world, "acme", "--product 7 --quantity 3").refused(7, &["S0A06", "--adopt"]);
    issue(&world, "acme", "--product 7 --quantity 3 --adopt").ok();
    apply(&world).ok();
    assert!(world.state().contains("\"quantity\":3"));
    assert_eq!(world.run(&protected, &["still"], "").ok().stdout, "still\n");
}

#[test]
fn roots_take_their_turn_and_an_update_brings_what_is_missing() {
    let world = World::licensed("rtc", "--quantity 2");
    world.cli("vendor key rotate --vendor acme --role protect --yes").ok();
    let keep = |name: &str| {
        fs::copy(world.path("acme/roots/2.strgroom"), world.path(name)).expect("a root")
    };
    keep("two");
    fs::write(world.path("phrase"), "three people\n").expect("room");
    let out = "--keys 3 --threshold 2 --out offline --out-passphrase-file phrase --yes";
    world.cli(&format!("vendor key rotate --vendor acme --role root {out}")).ok();
    // The third root without the second: a file of trust without it is not even one.
    let whole = fs::read(world.path("acme/trust.strgroom")).expect("a file");
    let two = fs::read(world.path("two")).expect("a root");
    let at = whole.windows(two.len() - 10).position(|bytes| *bytes == two[10..]);
    let at = at.expect("the second root is in it");
    let skipping = [&whole[..at], &whole[at + two.len() - 10..]].concat();
    fs::write(world.path("skipping"), skipping).expect("room");
    world.cli("update apply skipping --yes").refused(6, &["S0412"]);
    // As the container itself sees it: only the third.
    let third = fs::read(world.path("acme/roots/3.strgroom")).expect("a root");
    let mut alone = whole[..10].to_vec();
    alone.extend_from_slice(&third[10..]);
    fs::write(world.path("alone"), alone).expect("room");
    world.cli("update apply alone --yes").refused(7, &["S0421", "version 1"]);
    assert_eq!(trusted(&world), (1, 0));
    // The next root needs two of the three keys, which are not in the directory any more.
    let rotate = "vendor key rotate --vendor acme --role recovery --keys 2 --threshold 2 --yes";
    world.cli(rotate).refused(3, &["root", "--key-file"]);
    let mut files: Vec<_> = fs::read_dir(world.path("offline"))
        .expect("a folder")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    files.sort();
    assert_eq!(files.len(), 3);
    let one = format!("{rotate} --key-file {}", files[0].display());
    world.cli(&one).refused(4, &["S0A02"]);
    let rotate = format!("{rotate} --key-passphrase-file phrase --key-passphrase-file phrase");
    let one = format!("{rotate} --key-file {}", files[0].display());
    world.cli(&one).refused(3, &["1 private keys", "2 must sign"]);
    // One file twice is one key.
    world.cli(&format!("{one} --key-file {}", files[0].display())).refused(3, &["1 private keys"]);
    world.cli(&format!("{one} --key-file {}", files[2].display())).ok();
    issue(&world, "acme", "--product 7 --quantity 4").ok();
    let shown = world.cli("update preview update").ok().stdout;
    assert!(shown.contains("version 1 -> 2") && shown.contains("version 3 -> 4"), "{shown}");
    apply(&world).ok();
    assert_eq!(trusted(&world), (4, 0));
    // What the new key protects opens, and so does what is new in another container.
    let protected = world.protect("/bin/echo".as_ref(), "");
    assert_eq!(world.run(&protected, &["hello"], "").ok().stdout, "hello\n");
}

#[test]
fn a_vendor_with_later_roots_comes_into_a_new_container() {
    let mut world = World::new();
    world.cli("vendor key rotate --vendor acme --role licensing --yes").ok();
    world.cli("vendor key revoke --vendor acme --key 0102030405060708 --yes").ok();
    world.plug("usb", "rtc");
    world.cli("container context --firm acme/root.strgroom -o context").ok();
    world.cli("vendor issue --vendor acme --context context --product 7 -o update").ok();
    let shown = world.cli("update preview update").ok().stdout;
    assert!(shown.contains("NEW VENDOR") && shown.contains("epoch 0 -> 1"), "{shown}");
    apply(&world).ok();
    assert_eq!(trusted(&world), (2, 1));
}

#[test]
fn a_reseller_issues_what_it_was_given_until_it_is_revoked() {
    let world = World::licensed("rtc", "--quantity 2");
    world.cli("vendor product add 8 --name Viewer --vendor acme").ok();
    let grant = "--product 7..7 --quantity 5 --expires +30d";
    let delegate = "vendor key delegate --vendor acme --name Reseller";
    let state = world.vendor_state();
    world.cli(&format!("{delegate} {grant} -o reseller --dry-run")).ok();
    assert!(!world.path("reseller").exists() && world.vendor_state() == state);
    let made = world.cli(&format!("{delegate} {grant} -o reseller --json")).ok();
    let id = key_id(&made);
    let listed = world.cli("vendor key list --vendor acme").ok().stdout;
    assert!(listed.contains(&id) && listed.contains("Reseller"), "{listed}");
    // Out of range: refused where it is made.
    issue(&world, "reseller", "--product 8").refused(3, &["S0A03"]);
    issue(&world, "reseller", "--product 7 --quantity 6").refused(5, &["S042B", "6", "5"]);
    issue(&world, "reseller", "--product 7 --quantity 5").ok();
    let shown = world.cli("update preview update").ok().stdout;
    assert!(shown.contains("issued by Reseller"), "{shown}");
    apply(&world).ok();
    assert!(world.state().contains("\"quantity\":5"));
    // It has no firm key, signs no root, revokes nothing and protects nothing.
    for line in [
        "vendor key rotate --vendor reseller --role licensing --yes",
        "vendor key revoke --vendor reseller --key 0102030405060708 --yes",
    ] {
        world.cli(line).refused(2, &["handed on"]);
    }
    world.cli("protect file context -o sealed/x --vendor reseller --product 7").refused(3, &[]);
    // It hands on less than it has, and no more than once.
    world
        .cli("vendor key delegate --vendor reseller --name Sub --product 7 --quantity 1 -o sub")
        .refused(2, &["more would be handed on"]);
    // Revoked, its next update is refused.
    issue(&world, "reseller", "--product 7 --quantity 4").ok();
    world.cli(&format!("vendor key revoke --vendor acme --key {id} --yes")).ok();
    bring(&world).ok();
    assert_eq!(trusted(&world), (1, 1));
    apply(&world).refused(5, &["S0427"]);
    let listed = world.cli("vendor key list --vendor acme").ok().stdout;
    assert!(listed.contains(&format!("{id} (revoked)")), "{listed}");
    // And back, under the next number: the older revocations do not come again.
    fs::copy(world.path("trust"), world.path("older")).expect("a file");
    world.cli(&format!("vendor key revoke --vendor acme --restore {id} --yes")).ok();
    bring(&world).ok();
    assert_eq!(trusted(&world), (1, 2));
    apply(&world).ok();
    world.cli("update apply older --yes").ok();
    assert_eq!(trusted(&world), (1, 2));
}

#[test]
fn a_right_that_is_handed_on_twice_narrows() {
    let world = World::licensed("rtc", "--quantity 2");
    let line = "--product 7..9 --quantity 5 --depth 1 -o distributor --name Distributor";
    world.cli(&format!("vendor key delegate --vendor acme {line}")).ok();
    let line = "--product 7 --quantity 2 -o reseller --name Reseller";
    world.cli(&format!("vendor key delegate --vendor distributor {line}")).ok();
    issue(&world, "reseller", "--product 7 --quantity 3").refused(5, &["S042B"]);
    issue(&world, "reseller", "--product 7 --quantity 1").ok();
    apply(&world).ok();
    // A rotation of the licensing key ends all that hangs on it.
    issue(&world, "distributor", "--product 7 --quantity 4 --adopt").ok();
    world.cli("vendor key rotate --vendor acme --role licensing --yes").ok();
    bring(&world).ok();
    apply(&world).refused(6, &["S0428"]);
}

#[test]
fn recovery_turns_checkpoint_licenses_perpetual() {
    let world = World::licensed("rtc", "--quantity 2 --checkpoint +30d");
    let perpetuate = "vendor perpetuate --vendor acme --context context --product 7 -o recovery";
    world.context("context");
    world.cli(perpetuate).refused(3, &["recovery"]);
    let rotate = "vendor key rotate --vendor acme --role recovery --keys 2 --threshold 2";
    world.cli(&format!("{rotate} --out escrow --yes")).ok();
    world.cli(perpetuate).refused(3, &["0 private keys", "2 must sign"]);
    let mut all = perpetuate.to_owned();
    for entry in fs::read_dir(world.path("escrow")).expect("a folder") {
        all.push_str(&format!(" --key-file {}", entry.expect("an entry").path().display()));
    }
    world.cli(&all).ok();
    let shown = world.cli("update preview recovery").ok().stdout;
    assert!(
        shown.contains("lapse no more") && shown.contains("checkpoint of product 7"),
        "{shown}"
    );
    assert!(world.state().contains("lapses"));
    world.cli("update apply recovery --yes").ok();
    assert!(!world.state().contains("lapses"));
}

#[test]
fn nothing_is_issued_for_revoked_containers_and_firmware() {
    let world = World::licensed("rtc", "--quantity 2");
    let serial = world.cli("container show --json").ok().data()["container"]["serial"].clone();
    let serial = serial.as_str().expect("a serial").to_owned();
    let revoke = "vendor key revoke --vendor acme --yes";
    world.cli(&format!("{revoke} --serial DONGLE-0000-0000-0000")).refused(3, &[]);
    // What would be a version is no key that was mistyped.
    world.cli(&format!("{revoke} --key 01")).refused(3, &["no key id", "16 hexadecimal"]);
    world.cli(&format!("{revoke} --firmware {serial}")).refused(3, &["no version"]);
    world.cli(&format!("{revoke} --serial 0.0.1")).refused(3, &["no serial"]);
    world.cli(&format!("{revoke} --serial {serial}")).ok();
    issue(&world, "acme", "--product 7").refused(5, &["S042D"]);
    world.cli(&format!("{revoke} --restore {serial} --firmware 0.0.1..0.9.0")).ok();
    issue(&world, "acme", "--product 7").refused(5, &["S042E"]);
    world.cli(&format!("{revoke} --restore 0.0.1..0.9.0 --expires 2020-01-01")).ok();
    issue(&world, "acme", "--product 7").refused(5, &["S042F"]);
    world.cli(&format!("{revoke} --expires +30d")).ok();
    issue(&world, "acme", "--product 7").ok();
}

/// Revocations that are over: one is warned, and refuses them if one says so.
#[test]
fn sec_s09_stale_revocations_are_warned_of_and_refused_if_asked() {
    let world = World::licensed("rtc", "--quantity 2");
    let revoke = "vendor key revoke --vendor acme --yes --expires";
    world.cli(&format!("{revoke} 2020-01-01")).ok();
    world.cli("vendor key export --vendor acme -o stale").ok();
    let warned = world.cli("update preview stale").ok();
    assert!(warned.stderr.contains("are over since 2020-01-01"), "{}", warned.stderr);
    world.cli("update apply stale --yes --refuse-stale 30").refused(5, &["S042F", "2020-01-01"]);
    assert_eq!(trusted(&world), (1, 0));
    let warned = world.cli("update apply stale --yes").ok();
    assert!(warned.stderr.contains("are over since 2020-01-01"), "{}", warned.stderr);
    assert_eq!(trusted(&world), (1, 1));
    world.cli(&format!("{revoke} +30d")).ok();
    world.cli("vendor key export --vendor acme -o fresh").ok();
    let fresh = world.cli("update apply fresh --yes --refuse-stale 0").ok();
    assert!(!fresh.stderr.contains("over since"), "{}", fresh.stderr);
    assert_eq!(trusted(&world), (1, 2));
}

/// Whatever is read stops at its bound, though the file has no end.
#[test]
fn sec_s13_a_file_without_end_is_given_up() {
    let world = World::licensed("rtc", "--quantity 2");
    world.context("context");
    for line in [
        "update preview /dev/zero",
        "update apply /dev/zero --yes",
        "inspect /dev/zero",
        "vendor receipt /dev/zero --vendor acme",
        "vendor issue --vendor acme --context /dev/zero --product 7 -o out",
        "vendor issue --vendor acme --context context --product 7 --template /dev/zero -o out",
        "vendor key rotate --vendor acme --role protect --key-file /dev/zero --yes",
        "container context --firm /dev/zero -o out",
    ] {
        let got = world.cli(line);
        assert!([2, 3, 6].contains(&got.code), "{line}: {got:?}");
    }
    assert!(!world.path("out").exists());
    // A file of trust that goes on behind its last object.
    world.cli("vendor key export --vendor acme -o trust").ok();
    let mut endless = fs::read(world.path("trust")).expect("a file");
    endless.resize(300 * 1024, 0);
    fs::write(world.path("endless"), &endless).expect("room");
    world.cli("update apply endless --yes").refused(6, &["S0102"]);
    fs::write(world.path("longer"), &endless[..200 * 1024]).expect("room");
    let got = world.cli("update apply longer --yes");
    assert!([1, 6].contains(&got.code), "{got:?}");
}
