//! What holds for every command there is: `--json` prints one envelope of a known shape, and
//! `--dry-run` changes nothing. The commands come from the grammar, so that a new one is missed.
//!
//! `STRONGROOM_BLESS=1` writes the shapes anew, into `tests/snapshots/json`.

mod samples;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use self::samples::SAMPLES;
use crate::shape::Shape;
use crate::world::{Outcome, World, built, until};

/// Files whose names begin with the vendor's fingerprint, as they stand in the lines.
const NAMED_BY_VENDOR: [(&str, &str); 2] = [("LISTED", "lists"), ("ENDED", "final")];

/// What a License Central drew, as it stands in the lines, and the file that it is kept in.
const DRAWN: [(&str, &str); 14] = [
    ("AUTHORITY", "authority.id"),
    ("SHOP", "shop.id"),
    ("HOOK", "hook.id"),
    ("MESSAGE", "message.id"),
    ("APIKEY", "api.key"),
    ("USERID", "user.id"),
    ("TICKET", "ticket"),
    ("TICID", "ticket.id"),
    ("GRANT", "grant.id"),
    ("SERIAL", "serial"),
    ("CASE", "case.id"),
    ("SERVED", "served.id"),
    ("SPARE", "spare.id"),
    ("CREDENTIAL", "credential.id"),
];

/// A line with the names of such files, and with what was drawn.
fn with_names(world: &World, line: &str) -> String {
    let line = DRAWN.iter().fold(line.to_owned(), |line, (word, file)| {
        line.replace(word, &fs::read_to_string(world.path(file)).expect("a file"))
    });
    let line = [("ADMIN", "admin"), ("SALES", "sales"), ("GATEWAY", "gateway")]
        .iter()
        .fold(line, |line, (word, face)| line.replace(word, &world.face(face)));
    named_by_vendor(world, &line)
}

fn named_by_vendor(world: &World, line: &str) -> String {
    NAMED_BY_VENDOR.iter().fold(line.to_owned(), |line, (word, folder)| match line.contains(word) {
        true => {
            let shown = world.cli("vendor show --vendor acme --json").ok().data();
            let root_fp = shown["root_fp"].as_str().expect("a fingerprint");
            line.replace(word, &format!("{folder}/{root_fp}.strgroom"))
        }
        false => line,
    })
}

/// A world in which all the samples mean something.
fn world() -> World {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.bring_tpm();
    fs::write(world.path("plain"), "what is protected").expect("room");
    fs::write(world.path("pin"), "1234").expect("room");
    fs::write(world.path("lease"), crate::leases::lease(&world, "acme")).expect("room");
    fs::write(world.path("customers.csv"), "name,reference\nAnna,C1\n").expect("room");
    fs::write(world.path("orders.csv"), "number,sku\n5000,ED-1\n").expect("room");
    fs::create_dir_all(world.path("home")).expect("a folder");
    world.found_central();
    world.cli("central product add --code 7 --name Editor --restore 9/1d --restore-wait 0s").ok();
    world.cli("central item add --sku ED-1 --name Editor --product 7").ok();
    let kept = |file: &str, made: &Value| {
        fs::write(world.path(file), made["id"].as_str().expect("an id")).expect("room");
    };
    let hook = "central webhook add --url https://hooks.example.invalid/ --event order.created";
    let gone = world.cli(&format!("{hook} --out first.hook --json")).ok().data();
    let order = world.cli("central order add --number 4711 --sku ED-1 --json").ok().data();
    // What waits for a webhook that is gone is given up, and nothing moves by itself any more.
    let gone = gone["id"].as_str().expect("an id");
    world.cli(&format!("central webhook remove {gone} --yes")).ok();
    let quiet = hook.replace("order.created", "guess.suspected");
    kept("hook.id", &world.cli(&format!("{quiet} --out second.hook --json")).ok().data());
    until("the message to be given up", || {
        let sent = world.cli("central webhook messages --json").ok().data();
        kept("message.id", &sent["rows"][0]);
        sent["rows"][0]["state"] == "dead"
    });
    let shop = "central shop add --name store --kind woocommerce --out store.secret --json";
    kept("shop.id", &world.cli(shop).ok().data());
    for (file, field) in [("ticket", "code"), ("ticket.id", "ticket")] {
        fs::write(world.path(file), order[field].as_str().expect("a text")).expect("room");
    }
    fs::write(world.path("maker"), world.tpm_makers().remove(0)).expect("room");
    let maker = "central authority add --name Maker maker --json";
    kept("authority.id", &world.cli(maker).ok().data());
    let user = "central user add --name Eve --role support --json";
    kept("user.id", &world.cli(user).ok().data());
    let other = "central key add --name Other --role support --out other.key --json";
    let key = world.cli(other).ok().data();
    fs::write(world.path("api.key"), key["id"].as_str().expect("a text")).expect("room");
    let grants = world.cli("central grant list --json").ok().data();
    let grant = grants["rows"][0]["id"].as_str().expect("a text");
    fs::write(world.path("grant.id"), grant).expect("room");
    world.cli("central product add --code 9 --name Reader --quantity 3").ok();
    world.cli("central item add --sku RE-1 --name Reader --product 9").ok();
    world.cli("central order add --number 4713 --sku RE-1 --quantity 2").ok();
    let grants = world.cli("central grant list --json").ok().data();
    let grants = grants["rows"].as_array().expect("rows").iter();
    let readers: Vec<&Value> = grants.filter(|grant| grant["product"] == 9).collect();
    kept("served.id", readers[0]);
    kept("spare.id", readers[1]);
    let served = readers[0]["id"].as_str().expect("an id");
    world.cli(&format!("central seat serve {served}")).ok();
    let made = format!("central credential add {served} --out first.credential --json");
    kept("credential.id", &world.cli(&made).ok().data());
    let listed = world.cli("container list --json").ok().data();
    let serial = listed["containers"][0]["serial"].as_str().expect("a text");
    fs::write(world.path("serial"), serial).expect("room");
    world.make_case();
    world.unplug();
    let cases = world.cli("central case list --json").ok().data();
    let case = cases["rows"][0]["id"].as_str().expect("a text");
    fs::write(world.path("case.id"), case).expect("room");
    fs::write(world.path("home/config.toml"), "market = \"AT\"").expect("room");
    fs::write(world.path("texts.toml"), "[[text]]\ntext = \"No.\"\nshop = \"s\"").expect("room");
    world
}

/// The envelope that a command printed, and nothing else.
#[track_caller]
fn envelope(line: &str, got: &Outcome) -> Value {
    assert_eq!(got.stderr, "", "{line}");
    let envelope: Value =
        serde_json::from_str(&got.stdout).unwrap_or_else(|_| panic!("{line}: {got:?}"));
    let schema = envelope["schema"].as_str().expect("a schema");
    assert!(schema.starts_with("strongroom.") && schema.ends_with("/v1"), "{line}: {schema}");
    let keys: Vec<&String> = envelope.as_object().expect("an object").keys().collect();
    assert!(keys == ["data", "schema"] || keys == ["error", "schema"], "{line}: {keys:?}");
    envelope
}

#[track_caller]
fn is_error(line: &str, got: &Outcome, envelope: &Value) {
    assert!((1..10).contains(&got.code), "{line}: {got:?}");
    assert_eq!(envelope["schema"], "strongroom.error/v1", "{line}");
    for key in ["code", "title", "hint"] {
        let text = envelope["error"][key].as_str().unwrap_or_default();
        assert!(!text.is_empty(), "{line}: no {key} in {envelope}");
    }
}

#[test]
fn every_command_prints_one_envelope_of_a_known_shape() {
    let world = world();
    let mut shapes: BTreeMap<&str, BTreeMap<String, Shape>> = BTreeMap::new();
    let mut note = |command, envelope: &Value| {
        let schema = envelope["schema"].as_str().expect("a schema").to_owned();
        let shape = shapes.entry(command).or_default().entry(schema).or_default();
        let about = if envelope["error"].is_null() { "data" } else { "error" };
        shape.add(&envelope[about]);
    };
    for (command, rest) in SAMPLES {
        let refused = rest.strip_prefix('!');
        let line = format!("{command} {} --json", refused.unwrap_or(rest));
        let line = with_names(&world, &line);
        let got = world.cli(&line);
        let envelope = envelope(&line, &got);
        match refused {
            Some(_) => is_error(&line, &got, &envelope),
            // What a doctor finds is no failure of his.
            None => assert!(got.code == 0 || (*command == "doctor" && got.code == 10), "{got:?}"),
        }
        note(command, &envelope);
    }
    note("sim run", &simulator(&world));
    note("central serve", &second_server(&world));
    let known: BTreeSet<String> =
        cli::grammar::leaves().into_iter().map(|leaf| leaf.words).collect();
    let sampled: BTreeSet<String> = shapes.keys().map(|command| (*command).to_owned()).collect();
    assert_eq!(sampled, known, "each command needs samples");
    compare(&shapes);
}

/// What a simulator says when it is ready.
fn simulator(world: &World) -> Value {
    let strongroom = built("strongroom");
    let run = ["sim", "run", "--json", "--state", "dongle", "--socket", "socket"];
    let mut child = world.spawn(&strongroom, &run);
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    world.cli("sim fault --socket work/socket stop").ok();
    let ended = crate::world::outcome(child);
    let said = Outcome { stdout: line, ..ended.ok() };
    envelope("sim run", &said)
}

/// What a server says when it listens; its log is on standard error.
fn second_server(world: &World) -> Value {
    let strongroom = built("strongroom");
    let any = ["--sales", "--gateway", "--admin"].map(|face| [face, "127.0.0.1:0"]).concat();
    let data = world.path("central2");
    let data = data.to_str().expect("text");
    let words = [&["central", "serve", "--data", data, "--json"][..], &any].concat();
    let mut child = world.spawn(&strongroom, &words);
    let mut line = String::new();
    let stdout = child.stdout.take().expect("a pipe");
    BufReader::new(stdout).read_line(&mut line).expect("a line");
    crate::world::signal(&child, rustix::process::Signal::TERM);
    let ended = crate::world::outcome(child).ok();
    envelope("central serve", &Outcome { stdout: line, stderr: String::new(), ..ended })
}

/// Compares with the files, or writes them. Each command has at least one success and one error,
/// but for those that cannot fail so.
fn compare(shapes: &BTreeMap<&str, BTreeMap<String, Shape>>) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("snapshots/json");
    let bless = std::env::var_os("STRONGROOM_BLESS").is_some_and(|value| value == "1");
    let mut files = BTreeSet::new();
    for (command, by_schema) in shapes {
        // With JSON there is nobody to ask, so the wizard only refuses.
        let least = if *command == "wizard" { 1 } else { 2 };
        assert!(by_schema.len() >= least, "{command} has no success, or no error");
        let all: BTreeMap<&String, Value> =
            by_schema.iter().map(|(schema, shape)| (schema, shape.to_json())).collect();
        let text = serde_json::to_string_pretty(&json!({ "command": command, "prints": all }));
        let text = text.expect("JSON") + "\n";
        let path = folder.join(command.replace(' ', "-") + ".json");
        if bless {
            fs::write(&path, &text).expect("room");
        }
        let kept = fs::read_to_string(&path).unwrap_or_default();
        assert!(kept == text, "{} is not what {command} prints:\n{text}", path.display());
        files.insert(path);
    }
    let there = fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("one").path());
    assert_eq!(there.collect::<BTreeSet<PathBuf>>(), files, "a shape of no command is left");
}

#[test]
fn a_line_that_is_not_understood_is_an_envelope_too() {
    let world = World::new();
    for line in ["--json", "frobnicate --json", "--json container", "explain S0380 x --json"] {
        let got = world.cli(line);
        assert_eq!(got.code, 2, "{line}");
        is_error(line, &got, &envelope(line, &got));
    }
    let spoken = world.cli("frobnicate").refused(2, &["frobnicate", "--help"]);
    assert_eq!(spoken.stdout, "");
    // What stands behind the end of options is no option.
    let got = world.cli("explain -- --json").refused(3, &["--json"]);
    assert_eq!(got.stdout, "");
}

/// Whether a command can be asked what it would do.
enum Dry {
    /// It can: a line that writes, and is typed in this order.
    Run(&'static str),
    /// It has no such flag, since…
    Without(&'static str),
}

use Dry::{Run, Without};

/// Every command. Who adds one says here how it is with it.
const DRY: &[(&str, Dry)] = &[
    ("demo", Without("a show in a folder of its own, which it makes and removes")),
    ("doctor", Run("--bundle bundle")),
    ("explain", Without("reads")),
    ("inspect", Without("reads")),
    ("sim run", Without("is a device while it runs, not a change")),
    ("sim fault", Without("does to a simulator what happens to a dongle")),
    ("tpm probe", Without("reads")),
    ("tpm init", Run("--yes --dir soft")),
    ("tpm selftest", Without("measures, and leaves nothing")),
    ("tpm rebind", Run("--yes --dir soft")),
    ("tpm status", Without("reads")),
    ("tpm stop", Without("ends a process, and nothing that is kept")),
    ("container list", Without("reads")),
    ("container show", Without("reads")),
    ("container context", Run("--firm acme -o context")),
    ("container rename", Run("Desk")),
    ("container time", Run("--firm acme --ask request")),
    ("container pin set", Run("--new-pin-file pin --recovery-out code")),
    ("container pin reset", Run("--new-pin-file pin --recovery-file code --recovery-out newer")),
    ("container pin remove", Run("--pin-file pin")),
    ("vendor init", Run("bolt --name Bolt --test")),
    ("vendor show", Without("reads")),
    ("vendor product add", Run("8 --name Viewer --vendor acme")),
    ("vendor product list", Without("reads")),
    ("vendor issue", Run("--vendor acme --context context --product 7 -o update")),
    ("vendor cancel", Run("--vendor acme --context context --number 2 -o cancel")),
    ("vendor time", Run("request --vendor acme -o token")),
    ("vendor encrypt", Run("plain --vendor acme --product 7 -o block")),
    ("license decrypt", Run("block -o unblocked")),
    ("license encrypt", Run("7 plain -o back")),
    ("vendor decrypt", Run("back --vendor acme -o answer")),
    (
        "license prove",
        Run("7 --challenge 0102030405060708091011121314151617181920212223242526272829303132 -o p"),
    ),
    ("vendor proof", Without("reads")),
    ("vendor key list", Without("reads")),
    ("vendor key export", Run("--vendor acme -o trust")),
    ("vendor key rotate", Run("--vendor acme --role recovery --yes")),
    ("vendor key delegate", Run("--vendor acme --name R --product 7 --quantity 5 -o resell")),
    ("vendor key revoke", Run("--vendor acme --key 0102030405060708 --yes")),
    ("update preview", Without("reads")),
    ("update apply", Run("cancel --yes --receipt receipt")),
    ("update receipt", Run("--firm acme -o last")),
    ("vendor receipt", Run("receipt --vendor acme")),
    ("container context", Run("--firm acme -o late")),
    ("vendor unlock", Run("--vendor acme --context late -o unlock")),
    ("vendor perpetuate", Run("--vendor acme --context late --product 7 -o recovery")),
    ("license list", Without("reads")),
    ("license show", Without("reads")),
    ("license why", Without("reads")),
    ("license data", Run("7 user --write plain")),
    ("license lease", Without("reads")),
    ("license log", Run("-o log")),
    ("vendor log", Run("log --vendor acme -o ack")),
    ("vendor key split", Run("--vendor acme --role log --shares 2 --threshold 2 --out kept --yes")),
    (
        "vendor key join",
        Run("--vendor acme --share kept/log-2-1-of-2.share --share kept/log-2-2-of-2.share -o key"),
    ),
    ("user new", Run("user.key")),
    ("user show", Without("reads")),
    ("protect app", Run("/bin/true -o sealed/app --vendor acme --product 7")),
    ("protect file", Run("plain -o sealed/file --vendor acme --product 7")),
    ("protect verify", Without("reads")),
    ("license open", Run("sealed/file -o opened")),
    ("completions", Without("writes to stdout only")),
    ("man", Run("--out man")),
    ("container identify", Without("changes nothing that lasts")),
    ("container inventory", Run("--out lists")),
    ("vendor inventory", Without("reads")),
    ("central login", Run("--admin ADMIN/ --sales SALES/ --key-file central/owner.key")),
    ("central product add", Run("--code 8 --name Viewer")),
    ("central product list", Without("reads")),
    ("central item add", Run("--sku VI-1 --name Viewer --product 8")),
    ("central item list", Without("reads")),
    ("central order add", Run("--number 4712 --sku VI-1")),
    ("central import customers", Run("customers.csv --yes")),
    ("central import orders", Run("orders.csv --out tickets.csv --yes")),
    ("central order list", Without("reads")),
    ("activate", Run("TICKET --yes")),
    ("renew", Run("--yes")),
    ("collect", Run("--yes")),
    ("wizard", Without("asks before it does anything")),
    ("move", Run("--to DONGLE-0000-0000-0000 --yes")),
    ("release", Run("--yes")),
    ("central ticket list", Without("reads")),
    ("central ticket show", Without("reads")),
    ("central grant list", Without("reads")),
    ("central grant show", Without("reads")),
    ("central grant suspend", Run("GRANT --yes")),
    ("central grant reinstate", Run("GRANT --yes")),
    ("central grant assign", Run("GRANT --to SERIAL")),
    ("collect", Run("--yes")),
    ("central grant write-off", Run("GRANT --yes")),
    ("central seat serve", Run("SPARE --timeout 120s")),
    ("central seat show", Without("reads")),
    ("central credential add", Run("SERVED --out credential")),
    ("central credential list", Without("reads")),
    ("central credential revoke", Run("CREDENTIAL --yes")),
    ("central seat unserve", Run("SERVED --yes")),
    ("activate", Run("TICKET --yes")),
    ("restore", Run("--ticket TICKET --lost SERIAL --yes")),
    ("central ticket replace", Run("TICID --yes")),
    ("central grant withdraw", Run("GRANT --yes")),
    ("central ticket withdraw", Run("TICID --yes")),
    ("central device list", Without("reads")),
    ("central device show", Without("reads")),
    ("central device unblock", Run("SERIAL --yes")),
    ("central device block", Run("SERIAL --yes")),
    ("central case list", Without("reads")),
    ("central case decide", Run("CASE block --yes")),
    ("central soft show", Without("reads")),
    ("central soft set", Run("--allow-vm on")),
    ("central authority list", Without("reads")),
    ("central authority remove", Run("AUTHORITY --yes")),
    ("central authority add", Run("--name Maker maker")),
    ("central user list", Without("reads")),
    ("central user add", Run("--name Ada --role admin")),
    ("central user role", Run("USERID auditor")),
    ("central user disable", Run("USERID --yes")),
    ("central user enable", Run("USERID")),
    ("central key list", Without("reads")),
    ("central key add", Run("--name Shop --role integration --out shop.key")),
    ("central key revoke", Run("APIKEY --yes")),
    ("central audit list", Without("reads")),
    ("central report", Without("reads")),
    ("central shop list", Without("reads")),
    ("central shop lines", Without("reads")),
    ("central shop add", Run("--name other --kind shopify --out shop.secret")),
    ("central shop map", Run("SHOP --product sku:X --none")),
    ("central shop replay", Run("SHOP")),
    ("central shop remove", Run("SHOP --yes")),
    ("central webhook list", Without("reads")),
    ("central webhook messages", Without("reads")),
    ("central webhook add", Run("--url https://hooks.example.invalid/ --out hook")),
    ("central webhook remove", Run("HOOK --yes")),
    ("central serve", Without("is a server while it runs")),
    ("central init", Without("license-central's own: makes what is not there, or refuses")),
    ("central migrate", Without("license-central's own: adds tables, and changes no record")),
    ("central backup", Without("license-central's own: makes a new file")),
    ("central restore", Without("license-central's own, which has --dry-run, and is passed on")),
    ("central check", Without("license-central's own: reads; asks before it repairs")),
    // Nothing of the container is left for others.
    ("container decommission", Run("--yes --out final")),
    // The last: the server moves the message on by itself.
    ("central webhook replay", Run("MESSAGE")),
];

#[test]
fn every_command_that_writes_can_be_asked_what_it_would_do() {
    let named: BTreeMap<&str, bool> =
        DRY.iter().map(|(name, dry)| (*name, matches!(dry, Run(_)))).collect();
    let leaves = cli::grammar::leaves();
    let known: BTreeMap<&str, bool> =
        leaves.iter().map(|leaf| (leaf.words.as_str(), leaf.dry_run)).collect();
    assert_eq!(named, known);
    for (name, dry) in DRY {
        if let Without(why) = dry {
            assert!(!why.is_empty(), "{name}");
        }
    }
}

#[test]
fn with_dry_run_nothing_changes_and_without_it_something_does() {
    let world = world();
    // A license to open a file with; its first use is written down.
    world.license("--quantity 1 --usage-period 30d");
    for (name, dry) in DRY {
        let Run(rest) = dry else { continue };
        let line = with_names(&world, &format!("{name} {rest}"));
        let before = everything(&world);
        let would = world.cli(&format!("{line} --dry-run")).ok();
        assert!(!would.stdout.is_empty(), "{line}");
        assert!(everything(&world) == before, "{line} --dry-run changed something");
        world.cli(&line).ok();
        assert!(everything(&world) != before, "{line} changed nothing");
    }
}

#[test]
fn a_dry_run_is_refused_where_the_real_one_would_be() {
    let world = world();
    world.license("--quantity 1");
    world.cli("container context --firm acme -o context").ok();
    world.cli("protect file plain -o sealed/file --vendor acme --product 7").ok();
    let before = everything(&world);
    for (line, code) in [
        ("container context --firm acme -o context", 7),
        ("container context --firm acme -o missing/context", 3),
        ("update receipt --firm acme -o context", 7),
        ("update receipt --firm acme --number 9 -o dry", 3),
        ("vendor init acme --name Acme --test", 7),
        ("vendor product add 7 --name Editor --vendor acme", 7),
        ("vendor issue --vendor acme --context context --product 7 -o context", 7),
        ("vendor cancel --vendor acme --context context --number 1 -o dry", 3),
        ("license open sealed/file -o context", 7),
        ("protect file plain -o context --vendor acme --product 7", 7),
        ("protect file missing -o dry --vendor acme --product 7", 3),
        ("protect file sealed/file -o dry --vendor acme --product 7", 7),
        ("protect app /bin/busybox -o dry --vendor acme --product 7", 2),
        ("protect app plain -o dry --vendor acme --product 7", 2),
        ("doctor --bundle context", 7),
        ("container inventory -o context", 7),
        ("container decommission --yes -o context", 7),
    ] {
        world.cli(&format!("{line} --dry-run")).refused(code, &[]);
        world.cli(line).refused(code, &[]);
        assert!(everything(&world) == before, "{line}");
    }
    world.fault("jump-clock 9999999");
    world.license("--quantity 1 --expires +1d");
    world.cli("license open sealed/file -o dry --dry-run").refused(5, &["S0380"]);
}

/// Updates that are old, early, late, on a dead branch, or for another container.
#[test]
fn a_dry_run_of_an_update_says_what_the_container_would() {
    let mut world = World::new();
    world.plug("usb", "rtc");
    world.cli("container context --firm acme -o context").ok();
    for (options, file) in
        [("--quantity 1", "old"), ("--quantity 2", "behind"), ("--quantity 3 --supersede 1", "new")]
    {
        let line = "vendor issue --vendor acme --context context --product 7";
        world.cli(&format!("{line} {options} -o {file}")).ok();
    }
    world.cli("update apply new --dry-run --receipt context").refused(7, &["context is there"]);
    both(&world, "behind", "", 7, "S0405");
    world.cli("update apply new --yes").ok();
    both(&world, "old", "", 7, "S0404");
    both(&world, "new", "", 7, "S0404");
    both(&world, "behind", "", 7, "S0406");
    world.cli("container context --firm acme -o newer").ok();
    let line = "vendor issue --vendor acme --context newer --product 7 --apply-before +1d -o late";
    world.cli(line).ok();
    world.cli("update apply late --dry-run").ok();
    world.plug("other", "rtc");
    both(&world, "late", "--source sim:port/other", 5, "S0402");
    world.fault("jump-clock 172800");
    both(&world, "late", "--source sim:port/usb", 5, "S0407");
}

/// With and without `--dry-run` an update is refused in the same way.
#[track_caller]
fn both(world: &World, file: &str, options: &str, code: i32, words: &str) {
    let dry = world.cli(&format!("update apply {file} --dry-run {options}"));
    let real = world.cli(&format!("update apply {file} --yes {options}"));
    // The container's clock goes on between the two.
    let error = |got: &Outcome| {
        let line = got.stderr.lines().rev().nth(1)?;
        line.split(" clock says").next().map(str::to_owned)
    };
    assert_eq!(error(&dry), error(&real), "{file}");
    dry.refused(code, &[words]);
}

/// All files of the world with contents and modes, but for those that a running dongle writes by
/// itself, and what can be seen of what it holds and was used for.
fn everything(world: &World) -> (Vec<(PathBuf, u32, Vec<u8>)>, String) {
    // First, since the server moves them on by itself.
    let messages = world.cli("central webhook messages --json").stdout;
    let mut files = Vec::new();
    let mut folders = vec![world.path("")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let mode = fs::symlink_metadata(&path).expect("an entry").permissions().mode();
            if path.is_dir() && !path.ends_with("port") {
                folders.push(path.clone());
                files.push((path, mode, Vec::new()));
            } else if path.is_file() && !is_of_server(&path) {
                let bytes = fs::read(&path).expect("own file");
                files.push((path, mode, bytes));
            }
        }
    }
    files.sort();
    let used = world.cli("license show 7 --json").stdout;
    let lists = ["audit", "device", "user", "key"]
        .map(|noun| world.cli(&format!("central {noun} list --json")).stdout);
    (files, world.state() + &used + &lists.concat() + &messages)
}

/// What a License Central writes now and then by itself; the audit says what it did for somebody.
fn is_of_server(path: &Path) -> bool {
    let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with("central.db") || ["audit-heads.log", "central.log"].contains(&name)
}
