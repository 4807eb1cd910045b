//! What people need around the tools: the doctor and the bundle for the support, the udev rule,
//! completions, manual pages, codes explained and files shown.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use protocol::codec::{decode, encode};
use protocol::errors::ErrorCode;
use protocol::ids::ProductCode;
use protocol::objects::file::{FileKind, prefix};
use protocol::objects::license::{AccessMode, ItemOption, ProductItem, Requirement};
use serde_json::Value;

use crate::bad_input::Disk;
use crate::world::{NOBODY, Outcome, World, built, run};

/// Findings as area, state and all of their words.
fn findings(got: &Outcome) -> Vec<(String, String, String)> {
    let data = got.data();
    let text = |finding: &Value, key: &str| finding[key].as_str().unwrap_or_default().to_owned();
    let findings = data["findings"].as_array().expect("a list").iter();
    let all = |finding| ["code", "seen", "next"].map(|key| text(finding, key)).join(" | ");
    findings.map(|f| (text(f, "area"), text(f, "state"), all(f))).collect()
}

/// Asserts that there is a finding of this area and state with these words.
#[track_caller]
fn found(got: &Outcome, area: &str, state: &str, words: &[&str]) {
    let findings = findings(got);
    let fits = |(a, s, text): &(String, String, String)| {
        a == area && s == state && words.iter().all(|word| text.contains(word))
    };
    assert!(findings.iter().any(fits), "no {state} {area} with {words:?} in {findings:#?}");
}

#[test]
fn a_machine_on_which_all_is_well_has_no_problems() {
    let world = World::licensed("rtc", "--quantity 2 --expires +1y");
    let got = world.cli("doctor --json").ok();
    found(&got, "configuration", "ok", &["no file", "home/config.toml"]);
    found(&got, "configuration", "ok", &["sources sim:/", "by STRONGROOM_SOURCES"]);
    found(&got, "clock", "ok", &["this machine says 20"]);
    found(&got, "clock", "ok", &["DONGLE-", "0 s"]);
    found(&got, "disk", "ok", &["home can be written", "MiB"]);
    found(&got, "loader", "ok", &["strongroom-loader"]);
    found(&got, "source", "ok", &["port/usb: 1 containers"]);
    found(&got, "container", "ok", &["DONGLE-", "test", "firmware", "clock rtc", "1 vendors"]);
    found(&got, "license", "ok", &["Acme", "1 entries"]);
    assert!(got.data()["problems"] == 0 && got.data()["notes"] == 0, "{got:?}");
    let spoken = world.cli("doctor").ok();
    assert!(spoken.stdout.ends_with("0 problems, 0 notes\n") && spoken.stderr.is_empty());
    // Nothing is used by looking.
    let used = World::licensed("rtc", "--usage-period 30d");
    used.cli("doctor --product 7").ok();
    assert!(used.cli("license show 7").ok().stdout.contains("not yet"));
}

#[test]
fn what_is_wrong_is_found_with_what_to_do() {
    let mut world = World::licensed("rtc", "--expires +10d");
    let got = world.cli("doctor --json").ok();
    found(&got, "license", "note", &["expires", "days from now", "renewal"]);
    world.fault("jump-clock 2678400");
    let got = world.cli("doctor --json");
    assert_eq!(got.code, 10, "{got:?}");
    found(&got, "license", "problem", &["S0380", "Acme: product 7 entry 0", "Renew"]);
    found(&got, "clock", "problem", &["ahead of this machine", "Set this machine's clock"]);
    let got = world.cli("doctor --json --product 7 --generation 3");
    found(&got, "use", "problem", &["S0380", "key generation 3"]);
    world.license("--checkpoint 30d --status suspended");
    found(&world.cli("doctor --json"), "license", "problem", &["S0330"]);
    world.license("--user somebody");
    let got = world.cli("doctor --json");
    found(&got, "license", "note", &["S03C0", "Use it as the user"]);
    world.fault("unplug");
    let got = world.cli("doctor --json");
    assert_eq!(got.code, 10);
    found(&got, "source", "problem", &["S0805", "sim:", "start its simulator"]);
    world.fault("plug");
    let got = world.cli("doctor --json --container DONGLE-2222-2222-2222");
    found(&got, "container", "problem", &["S0803", "container list"]);
    world.plug("other", "plain");
    let got = world.cli("doctor --json --source nonsense");
    found(&got, "configuration", "problem", &["S0804", "--source"]);
    assert_eq!(findings(&world.cli("doctor --json")).iter().filter(|f| f.0 == "source").count(), 2);
}

#[test]
fn a_machine_set_up_wrongly_is_told_where() {
    let world = World::licensed("rtc", "");
    let home = world.path("home");
    fs::create_dir(&home).expect("a folder");
    for (text, code) in [("sources = 3", "S0807"), ("sources = [\"serial:1\"]", "S0804")] {
        fs::write(home.join("config.toml"), text).expect("room");
        let got = world.cli("doctor --json");
        assert_eq!(got.code, 10);
        found(&got, "configuration", "problem", &[code, "config.toml"]);
    }
    fs::write(home.join("config.toml"), "market = \"AT\"").expect("room");
    found(&world.cli("doctor --json").ok(), "configuration", "ok", &["market AT", "sources usb"]);
    let mut elsewhere = doctor(&world, &["doctor", "--json", "--source", "sim:port/usb"]);
    let got = run(elsewhere.env("STRONGROOM_MARKET", "Austria"), "");
    found(&got, "configuration", "problem", &["S0807", "Austria"]);
    let usb = world.cli("doctor --json --source usb --source sim:port/usb");
    found(&usb, "usb", "ok", &["no dongle"]);
    let disk = Disk::mount(world.path("disk"));
    let mut full = doctor(&world, &["doctor", "--json"]);
    let got = run(full.env("STRONGROOM_HOME", &disk.0), "");
    assert_eq!(got.code, 10, "{got:?}");
    found(&got, "disk", "problem", &["0 MiB are free", "Make room"]);
}

/// A doctor in another environment, in the folder of the world.
fn doctor(world: &World, words: &[impl AsRef<OsStr>]) -> std::process::Command {
    let mut command = world.command(&built("strongroom"), words);
    command.current_dir(world.path(""));
    command
}

#[test]
fn a_user_who_may_not_write_or_read_is_told() {
    let world = World::licensed_to_nobody("rtc", "");
    let home = world.path("home");
    fs::create_dir(&home).expect("a folder");
    fs::write(home.join("config.toml"), "").expect("room");
    fs::set_permissions(home.join("config.toml"), fs::Permissions::from_mode(0o600)).expect("own");
    let got = run(&mut doctor(&world, &["doctor", "--json"]), "");
    assert_eq!(got.code, 10, "{got:?}");
    found(&got, "configuration", "problem", &["config.toml", "ermission denied"]);
    found(&got, "disk", "problem", &["home cannot be written", "STRONGROOM_HOME"]);
    chown(home, Some(NOBODY), Some(NOBODY)).expect("root");
    let got = run(&mut doctor(&world, &["doctor", "--json", "--source", "sim:port/usb"]), "");
    found(&got, "disk", "ok", &["home can be written"]);
}

#[test]
fn a_container_that_says_nothing_is_a_finding_and_never_a_hang() {
    let world = World::licensed("rtc", "");
    world.fault("stall on");
    let got = world.cli("doctor --json");
    assert_eq!(got.code, 10);
    found(&got, "source", "problem", &["S0204", "did not answer"]);
    world.fault("stall off");
    // It gives signs of life and no answer.
    world.fault("slow 20000");
    let got = world.cli("doctor --json --wait 1 --bundle silent");
    assert_eq!(got.code, 10);
    found(&got, "source", "problem", &["S0204", "no answer within 1 s", "--wait"]);
    let bundle = fs::read_to_string(world.path("silent")).expect("own file");
    assert!(bundle.contains("\"S0204\"") && bundle.contains("\"containers\": []"), "{bundle}");
    // Who waits at a terminal is shown that something goes on.
    let python = Path::new("/usr/bin/python3.11");
    let script = "import pty, sys; pty.spawn(sys.argv[1:])";
    let strongroom = built("strongroom");
    let words = ["-c", script, strongroom.to_str().expect("UTF-8"), "doctor", "--wait", "2"];
    let shown = run(world.command(python, &words).env("TERM", "xterm"), "").stdout;
    assert!(shown.contains("asking the containers") && shown.contains("S0204"), "{shown}");
}

#[test]
fn a_bundle_holds_what_the_support_needs() {
    let world = World::licensed("rtc", "--quantity 3 --features 5 --user anna --expires +90d");
    let dry = world.cli("doctor --bundle bundle --product 7 --features 2 --dry-run");
    assert!(dry.code == 10 && !world.path("bundle").exists(), "{dry:?}");
    world.cli("doctor --bundle bundle --product 7 --features 2").refused(10, &[]);
    world.cli("doctor --bundle bundle").refused(7, &["bundle is there already"]);
    let text = fs::read_to_string(world.path("bundle")).expect("own file");
    let mode = fs::metadata(world.path("bundle")).expect("own file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let bundle: Value = serde_json::from_str(&text).expect("JSON");
    let preview: Value = serde_json::from_str(&dry.stdout).expect("JSON");
    let keys = |value: &Value| value.as_object().expect("an object").keys().cloned().collect();
    let all: Vec<String> = keys(&bundle);
    assert_eq!(all, keys(&preview) as Vec<String>);
    assert_eq!(bundle["schema"], "strongroom.support/v1");
    assert_eq!(bundle["versions"]["strongroom"], env!("CARGO_PKG_VERSION"));
    assert_eq!(bundle["asker"]["runtime"], env!("CARGO_PKG_VERSION"));
    let container = &bundle["containers"][0];
    assert_eq!(container["time"]["class"], "rtc");
    the_entry_and_its_context(&world, container);
    let attempt = &bundle["attempts"][0];
    let required: Requirement = decode(&unhex(&attempt["canonical_hex"]), 256).expect("canonical");
    assert_eq!((required.product, required.features), (ProductCode(7), 2));
    assert_eq!(required.access, AccessMode::UserLimit);
    let refusal = &attempt["refusal"];
    assert!(refusal["code"] == "S0321" && refusal["a"] == 2 && refusal["b"] == 5, "{refusal}");
}

/// The entry's bytes are canonical, and the context is one that a vendor takes.
fn the_entry_and_its_context(world: &World, container: &Value) {
    let firm = &container["firms"][0];
    assert!(firm["seq"] == 1 && firm["name"] == "Acme", "{firm}");
    let item = &firm["items"][0];
    assert_eq!(item["options"]["user"], "anna");
    let bytes = unhex(&item["canonical_hex"]);
    let read: ProductItem = decode(&bytes, 4096).expect("canonical");
    assert_eq!(encode(&read), bytes);
    assert!(read.options.contains(&ItemOption::LicenseQuantity(3)));
    let (certificate, context) =
        (unhex(&container["certificate_hex"]), unhex(&firm["context_hex"]));
    let file = [&prefix(FileKind::Context)[..], &certificate, &context].concat();
    fs::write(world.path("from-bundle"), file).expect("room");
    world.cli("vendor issue --vendor acme --context from-bundle --product 7 -o next").ok();
    let shown = world.cli("inspect from-bundle --json").ok().data();
    assert_eq!(shown["objects"][1]["state"], firm["state_hash"]);
    assert_eq!(shown["objects"][1]["nonce"], firm["nonce_hex"]);
}

fn unhex(text: &Value) -> Vec<u8> {
    let text = text.as_str().expect("text");
    let pair = |at| u8::from_str_radix(&text[at..at + 2], 16).expect("hexadecimal");
    (0..text.len()).step_by(2).map(pair).collect()
}

#[test]
fn a_bundle_names_no_secret_no_user_and_no_machine() {
    let mut world = World::licensed_to_nobody("rtc", "--quantity 3 --user anna");
    world.plug("second", "plain");
    fs::create_dir_all(world.path("work/home/place")).expect("a folder");
    let port = world.path("work/port");
    std::os::unix::fs::symlink(world.socket("usb"), &port).expect("a link");
    let source = format!("sim:{}", port.display());
    let lost = format!("sim:{}/nobody/lost", world.path("work").display());
    let words = ["doctor", "--bundle", "bundle", "--product", "7", "--source", &source];
    let words: Vec<&str> = words.into_iter().chain(["--source", &lost]).collect();
    world.cli("container rename Nobody's-desk --source sim:port/usb").ok();
    let mut command = world.command(&built("strongroom"), &words);
    command.env("STRONGROOM_HOME", world.path("work/home/place")).env("USER", "nobody");
    let got = run(&mut command, "");
    assert_eq!(got.code, 10, "{got:?}");
    // What people see of their own machine is whole.
    assert!(got.stdout.contains(lost.as_str()) && got.stdout.contains("\"nobody\""), "{got:?}");
    let text = fs::read_to_string(world.path("work/bundle")).expect("own file");
    assert!(text.contains("\"user\": \"anna\"") && text.contains("sim:~/port"), "{text}");
    let host = fs::read_to_string("/proc/sys/kernel/hostname").expect("a name");
    let home = world.path("work");
    for private in ["nobody", "Nobody", host.trim(), home.to_str().expect("UTF-8")] {
        assert!(!text.contains(private), "{private:?} is in {text}");
    }
    no_keys(&world, &text);
}

/// Keys of the dongles, raw or in hexadecimal, whole or in part; and the vendor's sealed ones.
fn no_keys(world: &World, text: &str) {
    /// Magic and id come first and are public.
    const PUBLIC_LEN: usize = 8 + 16;
    let mut secrets = Vec::new();
    for name in ["usb", "second"] {
        let file = world.path(format!("port/{name}.state/identity"));
        secrets.push(fs::read(file).expect("own file").split_off(PUBLIC_LEN));
    }
    secrets.push(fs::read(world.path("acme/keys.sealed")).expect("own file").split_off(PUBLIC_LEN));
    let mut count = 0;
    for window in secrets.iter().flat_map(|secret| secret.windows(8)) {
        let hex: String = window.iter().map(|byte| format!("{byte:02x}")).collect();
        assert!(!text.contains(&hex) && !text.contains(&hex.to_uppercase()), "{hex}");
        count += 1;
    }
    assert!(count > 300, "{count} places were looked for");
}

#[test]
fn the_udev_rule_comes_out_as_it_is_packaged() {
    let world = World::new();
    let packaged = Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging/udev");
    let rule = fs::read_to_string(packaged.join("70-strongroom.rules")).expect("a file");
    assert_eq!(world.cli("doctor --udev-rule").ok().stdout, rule);
    world.cli("doctor --udev-rule --bundle x").refused(2, &["--bundle"]);
}

#[test]
fn shells_complete_commands() {
    let world = World::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = world.cli(&format!("completions {shell}")).ok().stdout;
        assert!(script.contains("strongroom") && script.contains("product"), "{shell}");
        fs::write(world.path(shell), script).expect("room");
    }
    let bash = Path::new("/bin/bash");
    let file = world.path("bash");
    let file = file.to_str().expect("UTF-8");
    world.run(bash, &["-n", file], "").ok();
    let ask = "source $0; COMP_WORDS=(strongroom \"$@\"); COMP_CWORD=$#; \
               _strongroom strongroom \"${@: -1}\" \"${COMP_WORDS[-2]}\"; \
               echo \"${COMPREPLY[*]}\"";
    for (typed, completed) in [
        (&["vendor", "prod"][..], "product"),
        (&["lic"], "license"),
        (&["license", "why", "--gen"], "--generation"),
        (&["protect", "app", "--los"], "--loss --loss-seconds"),
        (&["license", "why", "7", "--access", "st"], "station-share"),
    ] {
        let words: Vec<&str> = ["-c", ask, file].into_iter().chain(typed.iter().copied()).collect();
        assert_eq!(world.run(bash, &words, "").ok().stdout.trim(), completed, "{typed:?}");
    }
}

#[test]
fn every_command_has_a_manual_page() {
    let world = World::new();
    world.cli("man --out man").ok();
    let main = world.cli("man").ok().stdout;
    assert_eq!(main, fs::read_to_string(world.path("man/strongroom.1")).expect("a page"));
    let mut wanted = vec!["strongroom".to_owned()];
    for leaf in cli::grammar::leaves() {
        // Nouns have pages too.
        let words: Vec<&str> = leaf.words.split(' ').collect();
        wanted.extend((1..=words.len()).map(|n| format!("strongroom {}", words[..n].join(" "))));
    }
    wanted.sort();
    wanted.dedup();
    for command in &wanted {
        let name = format!("{}.1", command.replace(' ', "-"));
        let page = fs::read_to_string(world.path("man").join(&name)).expect(&name);
        let plain = page.replace('\\', "");
        assert!(plain.contains(&format!("\n.SH NAME\n{}", command.replace(' ', "-"))), "{name}");
        assert!(plain.contains(&format!("\n.SH SYNOPSIS\nfB{command}fR")), "{name}: {plain}");
        assert!(plain.contains(".TH ") && plain.contains("\n.SH DESCRIPTION\n"), "{name}");
    }
    assert_eq!(fs::read_dir(world.path("man")).expect("a folder").count(), wanted.len());
    // Again, over what is there.
    world.cli("man --out man").ok();
}

#[test]
fn every_code_is_listed_in_its_block() {
    let world = World::new();
    let listed = world.cli("explain").ok().stdout;
    let data = world.cli("explain --json").ok().data();
    let blocks = data["blocks"].as_array().expect("a list");
    let codes: Vec<&Value> =
        blocks.iter().flat_map(|block| block["codes"].as_array().expect("a list")).collect();
    assert_eq!(codes.len(), ErrorCode::ALL.len());
    for code in ErrorCode::ALL {
        let shown = protocol::errors::shown_code(code.number());
        assert!(listed.contains(&format!("  {shown} {}", code.row().name)), "{shown}");
        let row = codes.iter().find(|row| row["code"] == *shown).expect("a row");
        assert_eq!(row["exit"], code.row().exit as u8, "{shown}");
    }
    let subjects = blocks.iter().map(|block| block["subject"].as_str().expect("text"));
    assert!(subjects.into_iter().all(|subject| listed.contains(subject)));
}

/// Kinds of file, and words that stand in each kind's fields.
const FILES: [(&str, &[&str]); 6] = [
    ("acme/root.strgroom", &["roles", "licensing: 1 of 0", "firm code        100", "version"]),
    ("context", &["serial", "sealing key", "nonce", "config hash", "revocation epoch", "state"]),
    ("update", &["+ quantity    1", "+ key of product 7", "leaf 0", "until"]),
    ("receipt", &["update hash", "operation count  2", "commits", "certified"]),
    ("sealed/file", &["type             file", "product 7, user limit", "parts"]),
    (
        "sealed/app",
        &["type             program", "loss", "de: \"Nein.\" Shop", "commitment", "chunks"],
    ),
];

#[test]
fn every_kind_of_file_is_shown_with_all_that_it_holds() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    fs::write(
        world.path("texts"),
        "[[text]]\nlanguage = \"de\"\ntext = \"Nein.\"\nshop = \"Shop\"",
    )
    .expect("room");
    for line in [
        "container context --firm acme -o context",
        "vendor issue --vendor acme --context context --product 7 --quantity 1 -o update",
        "update apply update --yes --receipt receipt",
        "protect file texts -o sealed/file --vendor acme --product 7 --release 2026-01-01",
        "protect app /bin/true -o sealed/app --vendor acme --product 7 --texts texts",
    ] {
        world.cli(line).ok();
    }
    for (file, words) in FILES {
        let shown = world.cli(&format!("inspect {file}")).ok().stdout;
        for word in words {
            assert!(shown.contains(word), "{word:?} of {file} is not in {shown}");
        }
        let data = world.cli(&format!("inspect {file} --json")).ok().data();
        for object in data["objects"].as_array().expect("a list") {
            // People see whatever scripts see.
            for key in object.as_object().expect("an object").keys().filter(|k| *k != "object") {
                let line = format!("\n  {}", key.replace('_', " "));
                assert!(shown.contains(&line), "{key} of {file} is not in {shown}");
            }
        }
    }
    let released = world.cli("inspect sealed/file").ok().stdout;
    assert!(released.contains("released 2026-01-01"), "{released}");
    let sealed = read(&world, "sealed/file");
    fs::write(world.path("cut"), &sealed[..sealed.len() - 9]).expect("room");
    for (file, missing) in [("sealed/file", 0), ("sealed/app", 0), ("cut", 9)] {
        let data = world.cli(&format!("inspect {file} --json")).ok().data();
        assert_eq!(data["content"]["missing_bytes"], missing, "{file}");
    }
    let twice = [read(&world, "receipt"), b"xx".to_vec()].concat();
    fs::write(world.path("longer"), twice).expect("room");
    assert!(world.cli("inspect longer").ok().stdout.contains("2 bytes are left over"));
}

fn read(world: &World, name: &str) -> Vec<u8> {
    fs::read(world.path(name)).expect("own file")
}
