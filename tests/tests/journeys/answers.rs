//! What only a license in use can answer: blocks, proofs, and the traps of those who try all keys.

use std::fs;

use crate::world::{Outcome, World};

const CHALLENGE: &str = "0102030405060708091011121314151617181920212223242526272829303132";

fn write(world: &World, name: &str, bytes: impl AsRef<[u8]>) {
    fs::write(world.path(name), bytes).expect("own file");
}

fn read(world: &World, name: &str) -> Vec<u8> {
    fs::read(world.path(name)).expect("own file")
}

/// The same with its last byte changed.
fn change(world: &World, name: &str, changed: &str) {
    let mut bytes = read(world, name);
    *bytes.last_mut().expect("bytes") ^= 1;
    write(world, changed, bytes);
}

/// A license with secret and hidden data, and what is encrypted.
fn world(options: &str) -> World {
    let mut world = World::new();
    world.plug("usb", "rtc");
    let data = "[secret]\n1 = \"a secret\"\n[hidden.2]\naccess_code = 9\ncontent = \"hid\"\n";
    write(&world, "data", data);
    write(&world, "plain", "a constant");
    world.license(&format!("--data data {options}"));
    world
}

#[test]
fn blocks_go_both_ways_between_a_vendor_and_who_has_the_license() {
    let world = world("--features 0x3");
    for (n, (key, data)) in
        [("item-key", ""), ("secret:1", "--data data"), ("hidden:2", "--data data")]
            .into_iter()
            .enumerate()
    {
        let issued = format!("plain -o {n}.block --vendor acme --product 7 --features 1");
        world.cli(&format!("vendor encrypt {issued} --key {key} {data}")).ok();
        let shown = world.cli(&format!("inspect {n}.block")).ok().stdout;
        assert!(shown.contains(key) && shown.contains("features 0x1"), "{shown}");
        world.cli(&format!("license decrypt {n}.block -o {n}.out")).ok();
        assert_eq!(read(&world, &format!("{n}.out")), b"a constant");
        let back = format!("7 plain -o {n}.back --features 2 --key {key}");
        world.cli(&format!("license encrypt {back}")).ok();
        let opened = format!("{n}.back -o {n}.opened --vendor acme {data}");
        world.cli(&format!("vendor decrypt {opened}")).ok();
        assert_eq!(read(&world, &format!("{n}.opened")), b"a constant");
        change(&world, &format!("{n}.block"), "changed");
        world.cli("license decrypt changed -o no").refused(6, &["S03F2"]);
        world
            .cli(&format!("vendor decrypt changed -o no --vendor acme {data}"))
            .refused(6, &["S03F2"]);
    }
    assert!(!world.path("no").exists());
}

#[test]
fn what_is_no_block_or_no_source_of_keys_is_refused() {
    let world = world("--features 0x1");
    let vendor = "-o no --vendor acme --product 7";
    world.cli("license encrypt 7 plain -o no --key protected").refused(2, &["no source of keys"]);
    world.cli("license encrypt 7 plain -o no --key secret:2").refused(3, &["S0326"]);
    world.cli("license encrypt 7 plain -o no --features 2").refused(5, &["S0321"]);
    world.cli("license encrypt 9 plain -o no --firm acme").refused(5, &["S0320"]);
    let missing = ["secret:1", "--data"];
    world.cli(&format!("vendor encrypt plain {vendor} --key secret:1")).refused(2, &missing);
    let other = format!("vendor encrypt plain {vendor} --key secret:3 --data data");
    world.cli(&other).refused(2, &["secret:3"]);
    write(&world, "long", [1; 2049]);
    world.cli("license encrypt 7 long -o no").refused(6, &["S0102", "2049", "2048"]);
    world.cli(&format!("vendor encrypt long {vendor}")).refused(6, &["S0102"]);
    write(&world, "most", [1; 2048]);
    world.cli("license encrypt 7 most -o most.block").ok();
    world.cli("license decrypt most.block -o most.out").ok();
    assert_eq!(read(&world, "most.out"), [1; 2048]);
    world.cli("license decrypt plain -o no").refused(6, &["S0105"]);
    world.cli("license decrypt most.block -o most.out").refused(7, &["is there already"]);
    world.cli("vendor init bolt --name Bolt --test").ok();
    world.cli("vendor decrypt most.block -o no --vendor bolt").refused(6, &["S03F2"]);
    let cut = read(&world, "most.block");
    write(&world, "cut", &cut[..cut.len() - 1]);
    world.cli("license decrypt cut -o no").refused(6, &["S0101"]);
    world.license("--expires 2026-01-01");
    world.cli("license decrypt most.block -o no").refused(5, &["S0380"]);
    assert!(!world.path("no").exists());
}

#[test]
fn a_proof_convinces_who_asked_and_nobody_else() {
    let world = world("--features 0x3 --expires +90d");
    let prove = format!("license prove 7 --features 1 --challenge {CHALLENGE}");
    world.cli(&format!("{prove} --purpose 4 -o proof")).ok();
    let check = |world: &World, rest: &str| -> Outcome {
        world.cli(&format!("vendor proof proof --vendor acme {rest}"))
    };
    let asked = format!("--challenge {CHALLENGE} --purpose 4 --product 7 --features 1");
    let proved = check(&world, &asked).ok().stdout;
    assert!(proved.contains("proves that this is in use: product 7"), "{proved}");
    let data = check(&world, &format!("{asked} --json")).ok().data();
    assert!(data["ends"].as_u64() > data["at"].as_u64(), "{data}");
    let shown = world.cli("inspect proof").ok().stdout;
    assert!(shown.contains(CHALLENGE) && shown.contains("certificate"), "{shown}");
    let other = [
        asked.replace("01020", "11020"),
        asked.replace("purpose 4", "purpose 5"),
        asked.replace("features 1", "features 2"),
    ];
    for other in &other {
        check(&world, other).refused(7, &["S0A31"]);
    }
    check(&world, &asked.replace("01020", "x")).refused(2, &["64 hexadecimal digits"]);
    world.cli("vendor init bolt --name Bolt --test").ok();
    world.cli("vendor product add 7 --name Nut --vendor bolt").ok();
    world.cli(&format!("vendor proof proof --vendor bolt {asked}")).refused(6, &["S0A30"]);
    change(&world, "proof", "changed");
    world.cli(&format!("vendor proof changed --vendor acme {asked}")).refused(6, &["S0A30"]);
    world.license("--features 0x3 --expires 2026-01-01");
    world.cli(&format!("{prove} -o no")).refused(5, &["S0380"]);
    assert!(!world.path("no").exists());
}

/// A license of another firm beside, of product 5.
fn bolt(world: &World) {
    world.cli("vendor init bolt --name Bolt --test").ok();
    world.cli("vendor product add 5 --name Nut --vendor bolt").ok();
    world.cli("container context --firm bolt -o bolt.context").ok();
    world.cli("vendor issue --vendor bolt --context bolt.context --product 5 -o bolt.update").ok();
    world.cli("update apply bolt.update --yes").ok();
}

#[test]
fn a_trap_locks_a_vendors_licenses_until_the_vendor_unlocks_them() {
    let mut world = world("");
    bolt(&world);
    world.cli("protect file plain -o real --vendor acme --product 7").ok();
    world.cli("protect file plain -o trap --vendor acme --product 7 --trap").ok();
    // Nobody sees which is which.
    world.cli("protect verify trap --firm acme").ok();
    let words = |file: &str| {
        let shown = world.cli(&format!("inspect {file} --json")).ok().data();
        let object = shown["objects"].as_array().and_then(|all| all.last()).cloned();
        object.expect("an artifact").as_object().expect("fields").keys().cloned().collect()
    };
    let (real, trap): (Vec<String>, Vec<String>) = (words("real"), words("trap"));
    assert_eq!(real, trap);
    world.cli("license open real -o out").ok();
    world.cli("license open trap -o no --dry-run").ok();
    world.cli("license why 7").ok();
    world.cli("license open trap -o no").refused(5, &["S0311", "product 7"]);
    assert!(!world.path("no").exists());
    world.fault("stop");
    world.restart();
    world.cli("license why 7").refused(5, &["S0311", "the vendor"]);
    world.cli("license open real -o no").refused(5, &["S0311"]);
    world.cli("license why 5 --firm bolt").ok();
    for line in ["container show", "license list", "license show 7"] {
        let shown = world.cli(line).ok().stdout;
        assert_eq!(shown.matches("locked by a trap of product 7").count(), 1, "{line}: {shown}");
    }
    let doctor = world.cli("doctor");
    assert!(doctor.code == 10 && doctor.stdout.contains("S0311"), "{doctor:?}");
    world.context("locked");
    world.cli("vendor unlock --vendor acme --context locked -o unlock").ok();
    let preview = world.cli("update preview unlock").ok().stdout;
    assert!(preview.contains("~ licenses that a trap locked open again"), "{preview}");
    world.cli("update apply unlock --yes").ok();
    world.cli("license why 7").ok();
    world.cli("license open real -o again").ok();
    assert_eq!(read(&world, "again"), b"a constant");
}

/// What is only tried needs no keys, so nobody has to type a passphrase for it.
#[test]
fn a_dry_run_leaves_the_key_store_shut() {
    let world = World::new();
    write(&world, "phrase", "correct horse");
    write(&world, "plain", "a constant");
    world.cli("vendor init live --name Live --passphrase-file phrase").ok();
    world.cli("vendor product add 7 --name Editor --vendor live").ok();
    for command in ["vendor encrypt plain", "protect file plain"] {
        let line = format!("{command} -o made --vendor live --product 7");
        world.cli(&line).refused(2, &["passphrase is needed"]);
        world.cli(&format!("{line} --dry-run")).ok();
        assert!(!world.path("made").exists(), "{command}");
    }
    // What can be looked up without keys is looked up all the same.
    let line = "vendor encrypt plain -o made --vendor live --product 7 --key secret:1 --dry-run";
    world.cli(line).refused(2, &["--data"]);
}
