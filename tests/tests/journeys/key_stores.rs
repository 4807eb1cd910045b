//! Where a vendor's keys are: in a token (SoftHSM), in files, in shares of a file.

use std::fs;
use std::path::Path;
use std::process::Command;

use protocol::crypto::ecdsa::{SigningKey, VERIFYING_KEY_LEN};
use protocol::objects::file::{self, FileKind};
use protocol::objects::root::Root;
use protocol::signed::{Role, UnverifiedObject};

use crate::world::{Outcome, World};

pub(crate) const MODULE: &str = "/usr/lib/softhsm/libsofthsm2.so";

/// A world with a token `firm` whose PIN is in the file `pin`, and more lines for its
/// configuration.
pub(crate) fn world_with_token(configuration: &str) -> World {
    let world = World::new();
    fs::create_dir(world.path("tokens")).expect("a folder");
    let tokens = world.path("tokens");
    let text = format!("directories.tokendir = {}\n{configuration}\n", tokens.display());
    fs::write(world.path("softhsm2.conf"), text).expect("room");
    let made = Command::new("/usr/bin/softhsm2-util")
        .args(["--init-token", "--free", "--label", "firm", "--so-pin", "12345678"])
        .args(["--pin", "2468"])
        .env("SOFTHSM2_CONF", world.path("softhsm2.conf"))
        .output();
    let made = made.expect("softhsm2-util is installed");
    assert!(made.status.success(), "{made:?}");
    fs::write(world.path("pin"), "2468\n").expect("room");
    world
}

/// The same with a vendor `vault` whose keys are in the token, with product 7.
fn world_with_vault() -> World {
    let world = world_with_token("");
    vault(&world).ok();
    world.cli("vendor product add 7 --name Editor --vendor vault").ok();
    world
}

fn vault(world: &World) -> Outcome {
    world.cli(&format!(
        "vendor init vault --name Vault --test --store pkcs11 --module {MODULE} --token firm \
         --pin-file pin"
    ))
}

/// Issues by a fresh context.
fn issue(world: &World, from: &str, options: &str) -> Outcome {
    for file in ["context", "update"] {
        let _ = fs::remove_file(world.path(file));
    }
    world.cli("container context --firm vault/root.strgroom -o context").ok();
    world.cli(&format!("vendor issue --vendor {from} --context context {options} -o update"))
}

fn apply(world: &World) {
    world.cli("update apply update --yes").ok();
}

/// Objects in the token: SoftHSM keeps each in a file, and one is the token itself.
fn objects(world: &World) -> usize {
    let is_object = |path: &Path| path.extension().is_some_and(|end| end == "object");
    let files = world.files("tokens");
    files.iter().filter(|(path, _)| is_object(path)).count() - 1
}

/// Replaces a word of the vendor's `store.toml`.
fn edit_store(world: &World, from: &str, to: &str) {
    let path = world.path("vault/store.toml");
    let text = fs::read_to_string(&path).expect("a text");
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).expect("room");
}

/// Label of the token's key for a role.
fn label_of(world: &World, role: &str) -> String {
    let text = fs::read_to_string(world.path("vault/store.toml")).expect("a text");
    let line = text.lines().find(|line| line.contains(&format!("strongroom {role} ")));
    line.and_then(|line| line.split('"').nth(1)).expect("a label").to_owned()
}

/// What another program does that knows the PIN.
fn look_into_token(world: &World, args: &[&str]) -> String {
    let mut tool = Command::new("/usr/bin/pkcs11-tool");
    tool.args(["--module", MODULE, "--token-label", "firm", "--login", "--pin", "2468"]);
    let told = tool.args(args).env("SOFTHSM2_CONF", world.path("softhsm2.conf")).output();
    let told = told.expect("pkcs11-tool is installed");
    assert!(told.status.success(), "{told:?}");
    String::from_utf8(told.stdout).expect("a text")
}

/// Public keys of all roles of `vault`.
fn public_keys(world: &World) -> Vec<[u8; VERIFYING_KEY_LEN]> {
    let bytes = fs::read(world.path("vault/root.strgroom")).expect("a root");
    let object = file::expect(&bytes, FileKind::Root).expect("a root");
    let (object, _) = UnverifiedObject::read(object, 4096).expect("an object");
    let root = Root::verify_first(&object).expect("a root");
    let points = Role::ALL.iter().flat_map(|role| root.keys(*role));
    let keys: Vec<_> = points.map(|point| point.0).collect();
    assert_eq!(keys.len(), 7);
    keys
}

#[test]
fn keys_that_never_leave_a_token_do_all_that_a_vendor_needs() {
    let mut world = world_with_vault();
    assert_eq!(objects(&world), 7 * 2 + 1);
    assert!(!world.path("vault/keys.sealed").exists());
    world.plug("usb", "rtc");
    issue(&world, "vault", "--product 7 --quantity 2 --pin-file pin").ok();
    apply(&world);
    let echo = world.path("sealed/echo");
    let protect = "--vendor vault --product 7 --pin-file pin";
    world.cli(&format!("protect app /bin/echo -o {} {protect}", echo.display())).ok();
    assert_eq!(world.run(&echo, &["token"], "").ok().stdout, "token\n");
    // New keys replace old ones, in the root and in the token.
    let rotate = "vendor key rotate --vendor vault --yes --pin-file pin --role";
    for role in ["licensing", "root", "revocation"] {
        world.cli(&format!("{rotate} {role}")).ok();
    }
    world.cli(&format!("{rotate} recovery --keys 2 --threshold 2")).ok();
    assert_eq!(objects(&world), 9 * 2 + 1);
    world.cli("vendor key revoke --vendor vault --key 0102030405060708 --yes --pin-file pin").ok();
    issue(&world, "vault", "--product 7 --quantity 3 --pin-file pin").ok();
    apply(&world);
    assert!(
        world.state().contains("\"quantity\":3") && world.state().contains("\"root_version\":5")
    );
    assert_eq!(world.run(&echo, &["still"], "").ok().stdout, "still\n");
    // A reseller has item keys that the token expanded, and no token.
    let grant = "--name Reseller --product 7 --quantity 5 -o reseller --pin-file pin";
    world.cli(&format!("vendor key delegate --vendor vault {grant}")).ok();
    assert!(!world.path("reseller/store.toml").exists());
    issue(&world, "reseller", "--product 7 --quantity 4").ok();
    apply(&world);
    assert_eq!(world.run(&echo, &["resold"], "").ok().stdout, "resold\n");
    let listed = world.cli("vendor key list --vendor vault").ok().stdout;
    assert!(listed.contains("in the token \"firm\"") && listed.contains("firm key"), "{listed}");
}

/// Neither in the directory, nor out of the token.
#[test]
fn no_private_key_of_a_role_can_be_had() {
    let world = world_with_vault();
    let publics = public_keys(&world);
    let is_secret = |bytes: &[u8]| {
        let scalar = bytes.try_into().expect("32 bytes");
        let key = SigningKey::from_bytes(scalar);
        key.is_ok_and(|key| publics.contains(&key.verifying_key().to_bytes()))
    };
    for (path, bytes) in world.files("vault") {
        let digits: Vec<u8> = bytes
            .iter()
            .filter_map(|byte| char::from(*byte).to_digit(16))
            .map(|d| d as u8)
            .collect();
        let from_hex = |skip: usize| -> Vec<u8> {
            digits[skip.min(digits.len())..].chunks_exact(2).map(|d| d[0] << 4 | d[1]).collect()
        };
        for bytes in [bytes, from_hex(0), from_hex(1)] {
            assert!(!bytes.windows(32).any(is_secret), "{} holds a private key", path.display());
        }
    }
    let listed = look_into_token(&world, &["--list-objects"]);
    let count = |word: &str| listed.matches(word).count();
    assert_eq!(count("Private Key Object; EC") + count("Secret Key Object"), 8, "{listed}");
    let access = "Access:     sensitive, always sensitive, never extractable, local";
    assert_eq!(count(access), 8, "{listed}");
}

#[test]
fn a_token_that_does_not_open_changes_nothing() {
    let mut world = world_with_vault();
    world.plug("usb", "rtc");
    fs::write(world.path("wrong"), "1111\n").expect("room");
    let before = (world.files("vault"), objects(&world));
    let refuse = |pin: &str, code: i32, words: &[&str]| {
        for line in [
            "vendor key rotate --vendor vault --role licensing --yes",
            "vendor key revoke --vendor vault --key 0102030405060708 --yes",
            "protect file pin -o sealed/none --vendor vault --product 7",
        ] {
            world.cli(&format!("{line} {pin}")).refused(code, words);
        }
        issue(&world, "vault", &format!("--product 7 {pin}")).refused(code, words);
        assert!(!world.path("sealed/none").exists() && !world.path("update").exists());
    };
    refuse("--pin-file wrong", 4, &["S0A0C", "firm", "--pin-file"]);
    refuse("", 2, &["PIN", "--pin-file", "STRONGROOM_PIN"]);
    assert_eq!((world.files("vault"), objects(&world)), before);
    // The token is pulled.
    fs::rename(world.path("tokens"), world.path("pulled")).expect("a folder");
    fs::create_dir(world.path("tokens")).expect("a folder");
    refuse("--pin-file pin", 3, &["S0A0B", "firm"]);
    fs::remove_dir(world.path("tokens")).expect("an empty folder");
    fs::rename(world.path("pulled"), world.path("tokens")).expect("a folder");
    // Its software is gone.
    edit_store(&world, MODULE, "/usr/lib/softhsm/gone.so");
    refuse("--pin-file pin", 3, &["S0A0A", "gone.so", "store.toml"]);
    edit_store(&world, "/usr/lib/softhsm/gone.so", MODULE);
    // It came along with the directory.
    fs::copy(MODULE, world.path("vault/own.so")).expect("room");
    edit_store(&world, MODULE, world.path("vault/own.so").to_str().expect("UTF-8"));
    refuse("--pin-file pin", 2, &["own.so", "no place"]);
    edit_store(&world, world.path("vault/own.so").to_str().expect("UTF-8"), MODULE);
    fs::remove_file(world.path("vault/own.so")).expect("own file");
    assert_eq!((world.files("vault"), objects(&world)), before);
    issue(&world, "vault", "--product 7 --pin-file pin").ok();
    apply(&world);
}

#[test]
fn a_key_that_is_gone_from_the_token_is_named_and_can_be_replaced() {
    let mut world = world_with_vault();
    world.plug("usb", "rtc");
    let label = label_of(&world, "licensing");
    look_into_token(&world, &["--delete-object", "--type", "privkey", "--label", &label]);
    let before = world.files("vault");
    issue(&world, "vault", "--product 7 --pin-file pin").refused(3, &["S0A0E", &label]);
    assert_eq!(world.files("vault"), before);
    world.cli("vendor key rotate --vendor vault --role licensing --yes --pin-file pin").ok();
    issue(&world, "vault", "--product 7 --pin-file pin").ok();
    apply(&world);
    // A key of another role under its label signs what nobody would take.
    edit_store(&world, &label_of(&world, "licensing"), &label_of(&world, "log"));
    issue(&world, "vault", "--product 7 --pin-file pin").refused(3, &["S0A0E", "strongroom log"]);
}

#[test]
fn a_token_that_cannot_hold_the_firm_key_leaves_it_to_a_file() {
    let mut world = world_with_token("slots.mechanisms = CKM_EC_KEY_PAIR_GEN,CKM_ECDSA");
    let made = vault(&world).ok().stdout;
    assert!(made.contains("the firm key in a file"), "{made}");
    assert_eq!(objects(&world), 7 * 2);
    assert!(world.path("vault/keys.sealed").is_file());
    world.cli("vendor product add 7 --name Editor --vendor vault").ok();
    world.plug("usb", "rtc");
    issue(&world, "vault", "--product 7 --pin-file pin").ok();
    apply(&world);
    world.cli("protect file pin -o sealed/pin --vendor vault --product 7 --pin-file pin").ok();
    let opened = world.cli("license open sealed/pin -o -").ok().stdout;
    assert_eq!(opened, "2468\n");
}

/// Licensing moves from a file into a token, the root stays offline, and both work together.
#[test]
fn keys_in_a_token_and_in_files_work_together() {
    let mut world = world_with_token("");
    world.plug("usb", "rtc");
    world.license("--quantity 1");
    let echo = world.protect("/bin/echo".as_ref(), "");
    let rotate = "vendor key rotate --vendor acme --yes";
    let token = format!("--store pkcs11 --module {MODULE} --token firm --pin-file pin");
    world.cli(&format!("{rotate} --role licensing --store pkcs11")).refused(2, &["--module"]);
    world.cli(&format!("{rotate} --role licensing {token}")).ok();
    assert_eq!(objects(&world), 2);
    world.cli(&format!("{rotate} --role log {token}")).refused(7, &["firm", "store.toml"]);
    world
        .cli(&format!("{rotate} --role root --keys 2 --threshold 2 --out offline --pin-file pin"))
        .ok();
    let files = world.files("offline");
    let both = format!("--key-file {} --key-file {}", files[0].0.display(), files[1].0.display());
    // Refused before anything is made in the token.
    world.cli(&format!("{rotate} --role licensing --pin-file pin")).refused(3, &["--key-file"]);
    assert_eq!(objects(&world), 2);
    world.cli(&format!("{rotate} --role protect --store file --pin-file pin {both}")).ok();
    world.cli(&format!("{rotate} --role time --pin-file pin {both}")).ok();
    assert_eq!(objects(&world), 4);
    world.context("context");
    let line = "vendor issue --vendor acme --context context --product 7 --quantity 5 -o update";
    world.cli(&format!("{line} --pin-file pin")).ok();
    apply(&world);
    assert!(world.state().contains("\"quantity\":5"));
    assert_eq!(world.run(&echo, &["mixed"], "").ok().stdout, "mixed\n");
    world.cli(&format!("{rotate} --role time --store file --pin-file pin {both}")).ok();
    assert_eq!(objects(&world), 2);
}

/// A world whose root key is in five shares, each under its own passphrase; three of them sign.
fn world_with_shares() -> World {
    let world = World::new();
    let mut words = String::new();
    for number in 1..=5 {
        fs::write(world.path(format!("word-{number}")), format!("word {number}\n")).expect("room");
        words.push_str(&format!(" --new-passphrase-file word-{number}"));
    }
    let split = "vendor key split --vendor acme --role root --shares 5 --threshold 3 --out kept";
    world.cli(&format!("{split}{words}")).refused(2, &["--yes"]);
    assert!(!world.path("kept").exists());
    world.cli(&format!("{split}{words} --yes")).ok();
    assert_eq!(world.files("kept").len(), 5);
    world.cli(&format!("{split}{words} --yes")).refused(7, &["there already"]);
    world
}

fn share(number: u8) -> String {
    format!("kept/root-1-{number}-of-5.share")
}

/// Flags that name these shares and their passphrases.
fn shares(numbers: &[u8]) -> String {
    let flag = |n: &u8| format!(" --share {} --share-passphrase-file word-{n}", share(*n));
    numbers.iter().map(flag).collect()
}

const ROTATE: &str = "vendor key rotate --vendor acme --role recovery --yes";

#[test]
fn any_three_of_five_shares_sign_and_two_do_not() {
    let world = world_with_shares();
    let state = world.vendor_state();
    // The key has left the directory.
    world.cli(ROTATE).refused(3, &["0 private keys of the role root"]);
    for (few, missing) in
        [(&[1_u8, 4][..], "1 of the 3"), (&[5], "2 of the 3"), (&[2, 2, 2], "2 of the 3")]
    {
        world.cli(&format!("{ROTATE}{}", shares(few))).refused(3, &["S0A10", missing]);
    }
    assert_eq!(world.vendor_state(), state);
    let mut version = 1;
    for a in 1..=5 {
        for b in a + 1..=5 {
            for c in b + 1..=5 {
                // In any order.
                world.cli(&format!("{ROTATE}{}", shares(&[c, a, b]))).ok();
                version += 1;
                assert!(world.path(format!("acme/roots/{version}.strgroom")).is_file());
            }
        }
    }
    assert_eq!(version, 11);
    // Joined for one command each: the key did not come back.
    world.cli(ROTATE).refused(3, &["0 private keys of the role root"]);
    world.cli(&format!("{ROTATE}{}", shares(&[1, 2, 3, 4, 5]))).ok();
}

#[test]
fn a_share_that_is_damaged_or_of_another_split_is_named() {
    let world = world_with_shares();
    let state = world.vendor_state();
    let whole = fs::read(world.path(share(2))).expect("a share");
    let mut changed = whole.clone();
    changed[40] ^= 1;
    for bytes in [&changed[..], &whole[..whole.len() - 1], b""] {
        fs::write(world.path(share(2)), bytes).expect("room");
        world
            .cli(&format!("{ROTATE}{}", shares(&[1, 2, 3])))
            .refused(6, &["S0A11", "root-1-2-of-5.share"]);
    }
    fs::write(world.path(share(2)), whole).expect("room");
    // The right shares, and a passphrase of another.
    let line = shares(&[1, 2, 3]).replace("word-2", "word-3");
    world
        .cli(&format!("{ROTATE}{line}"))
        .refused(4, &["S0A02", "root-1-2-of-5.share", "--share-passphrase-file"]);
    // The same key, split once more.
    let anew =
        "vendor key split --vendor acme --role root --shares 3 --threshold 3 --out anew --yes";
    world.cli(&format!("{anew}{}", shares(&[1, 3, 5]))).ok();
    let mixed = format!("{} --share anew/root-1-3-of-3.share", shares(&[1, 2]));
    world.cli(&format!("{ROTATE}{mixed}")).refused(7, &["S0A12", "anew/root-1-3-of-3.share"]);
    assert_eq!(world.vendor_state(), state);
    let all = "--share anew/root-1-1-of-3.share --share anew/root-1-2-of-3.share \
               --share anew/root-1-3-of-3.share";
    world.cli(&format!("{ROTATE} {all}")).ok();
}

#[test]
fn shares_are_joined_into_a_key_file_and_key_files_are_split() {
    let world = world_with_shares();
    world.cli("vendor key join --vendor acme -o root.key").refused(2, &["--share"]);
    let join = format!("vendor key join --vendor acme -o root.key{}", shares(&[5, 2, 3]));
    world.cli(&format!("{join} --dry-run")).ok();
    assert!(!world.path("root.key").exists());
    world.cli(&join).ok();
    world.cli(&join).refused(7, &["root.key"]);
    world.cli(&format!("{ROTATE} --key-file root.key")).ok();
    let split =
        "vendor key split --vendor acme --role root --shares 2 --threshold 2 --out two --yes";
    world.cli(split).refused(3, &["root", "--key-file"]);
    let made = world.cli(&format!("{split} --key-file root.key --json")).ok().data();
    assert_eq!((made["removed"].as_u64(), made["keys"][0].is_string()), (Some(0), true));
    let two = "--share two/root-2-1-of-2.share --share two/root-2-2-of-2.share";
    world.cli(&format!("{ROTATE} {two}")).ok();
    let more = split.replace("--threshold 2", "--threshold 3");
    world.cli(&more).refused(2, &["more shares"]);
}

#[test]
fn keys_in_a_token_are_in_no_share() {
    let world = world_with_vault();
    let split =
        "vendor key split --vendor vault --role root --shares 2 --threshold 2 --out two --yes";
    world.cli(&format!("{split} --pin-file pin")).refused(3, &["a token gives none"]);
    assert!(world.files("two").is_empty());
}

/// A world with a dongle at `usb` whose PIN is in the file `pin`, and its serial.
fn world_with_box() -> (World, String) {
    let mut world = World::new();
    world.plug("usb", "rtc");
    fs::write(world.path("pin"), "2468\n").expect("room");
    world.cli("container pin set --new-pin-file pin --recovery-out code").ok();
    let shown = world.cli("container show --json").ok().data();
    let serial = shown["container"]["serial"].as_str().expect("a serial").to_owned();
    let init = format!("--test --store dongle --token {serial} --pin-file pin");
    world.cli(&format!("vendor init vault --name Vault {init}")).ok();
    world.cli("vendor product add 7 --name Editor --vendor vault").ok();
    (world, serial)
}

#[test]
fn a_dongle_keeps_all_keys_of_a_vendor_and_does_all_that_it_needs() {
    let (mut world, serial) = world_with_box();
    assert!(!world.path("vault/keys.sealed").exists());
    let keys = |world: &World| {
        let shown = world.cli(&format!("container show --json --container {serial}")).ok().data();
        shown["container"]["vendor_keys"].as_u64().expect("a number")
    };
    assert_eq!(keys(&world), 8);
    let listed = world.cli("vendor key list --vendor vault").ok().stdout;
    assert!(listed.contains(&format!("in the dongle {serial}")), "{listed}");
    // A customer's dongle beside it.
    world.plug("customer", "rtc");
    let theirs = world.cli("container list --json").ok().data();
    let theirs: Vec<String> = theirs["containers"]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|row| row["serial"].as_str().map(str::to_owned))
        .filter(|other| *other != serial)
        .collect();
    let [customer] = &theirs[..] else { panic!("{theirs:?}") };
    let at = format!("--container {customer}");
    world.cli(&format!("container context --firm vault/root.strgroom -o context {at}")).ok();
    let issue = "vendor issue --vendor vault --context context --product 7 --quantity 2";
    world.cli(&format!("{issue} --pin-file pin -o update")).ok();
    world.cli(&format!("update apply update --yes {at}")).ok();
    fs::write(world.path("plain"), "kept").expect("room");
    let protect = "plain -o sealed/file --vendor vault --product 7 --pin-file pin";
    world.cli(&format!("protect file {protect}")).ok();
    world.cli(&format!("license open sealed/file -o opened {at}")).ok();
    assert_eq!(fs::read(world.path("opened")).expect("opened"), b"kept");
    let rotate = "vendor key rotate --vendor vault --yes --pin-file pin --role licensing";
    world.cli(rotate).ok();
    assert_eq!(keys(&world), 8, "the old key is destroyed");
    world
        .cli(&format!("container pin remove --pin-file pin --container {serial}"))
        .refused(7, &["S0610", "8 keys"]);
}

#[test]
fn without_its_dongle_or_pin_a_vendor_signs_nothing() {
    let (mut world, serial) = world_with_box();
    let show = ["vendor issue --vendor vault --context context --product 7 -o update"];
    world.cli("container context --firm vault/root.strgroom -o context").ok();
    fs::write(world.path("wrong"), "0000").expect("room");
    for line in show {
        world.cli(line).refused(2, &["PIN", "--pin-file"]);
        world.cli(&format!("{line} --pin-file wrong")).refused(4, &["S0607", "7 more"]);
        assert!(!world.path("update").exists());
    }
    // None that is set, another store, no such dongle.
    let init = |name: &str, rest: &str| {
        world.cli(&format!("vendor init {name} --name Other --test --store dongle {rest}"))
    };
    init("none", "").refused(2, &["--token"]);
    init("none", &format!("--token {serial} --module /x --pin-file pin")).refused(2, &["module"]);
    init("none", "--token DONGLE-0000-0000-0000 --pin-file pin").refused(3, &["DONGLE-0000"]);
    init("none", &format!("--token {serial} --pin-file wrong")).refused(4, &["S0607", "6 more"]);
    let live = format!("vendor init live --name Live --store dongle --token {serial}");
    world.cli(&format!("{live} --pin-file pin")).refused(5, &["S0207"]);
    world.fault("stop");
    world.wait_for_end();
    let issue = "vendor issue --vendor vault --context context --product 7 -o update";
    let gone = world.cli(&format!("{issue} --pin-file pin"));
    assert!(gone.code != 0 && !world.path("update").exists(), "{gone:?}");
    world.plug("other", "rtc");
    world.cli(&format!("{issue} --pin-file pin")).refused(3, &[&serial]);
}
