//! A refusal goes to the support as a bundle, and comes out there as it was here.

use std::fs;

use serde_json::{Value, json};

use crate::world::World;

/// Makes a bundle of a use that is refused.
#[track_caller]
fn bundle(world: &World, options: &str, code: &str) -> Value {
    let product = if options.contains("--product") { "" } else { "--product 7" };
    let _ = fs::remove_file(world.path("bundle"));
    let got = world.cli(&format!("doctor --bundle bundle {product} {options}"));
    assert!(got.code == 10 && got.stdout.contains(code), "{got:?}");
    let text = fs::read_to_string(world.path("bundle")).expect("own file");
    serde_json::from_str(&text).expect("JSON")
}

/// The same in a world that knows neither container nor vendor, in another home.
#[track_caller]
fn comes_out_the_same(world: &World, bundle: &Value, code: &str) {
    let there = World::new();
    fs::copy(world.path("bundle"), there.path("work/carried")).expect("room");
    let told = there.cli("doctor --replay work/carried --json").ok().data();
    let refusal = &bundle["attempts"][0]["refusal"];
    assert_eq!((&told["uses"][0]["refusal"], &refusal["code"]), (refusal, &json!(code)));
    let firm = &bundle["containers"][0]["firms"][0];
    assert_eq!(told["uses"][0]["state_hash"], firm["state_hash"]);
    let spoken = there.cli("doctor --replay work/carried").ok().stdout;
    let (a, b) = (refusal["a"].to_string(), refusal["b"].to_string());
    for word in [code, &a, &b, firm["state_hash"].as_str().expect("a hash")] {
        assert!(spoken.contains(word), "{word} is not in {spoken}");
    }
}

#[test]
fn a_refusal_by_time_is_replayed() {
    let world = World::licensed("rtc", "--quantity 1 --expires +1d");
    world.fault("jump-clock 172800");
    let expired = bundle(&world, "", "S0380");
    comes_out_the_same(&world, &expired, "S0380");
}

#[test]
fn a_refusal_by_units_is_replayed() {
    let world = World::licensed("rtc", "--units 7");
    let cat = world.protect("/bin/cat".as_ref(), "--units 3");
    world.run(&cat, &[], "").ok();
    let refused = bundle(&world, "--units 5", "S03D0");
    let by = &refused["attempts"][0]["judged"][0]["by"];
    assert_eq!((&by["units"], &refused["attempts"][0]["refusal"]["b"]), (&json!(4), &json!(4)));
    comes_out_the_same(&world, &refused, "S03D0");
}

#[test]
fn a_refusal_by_seats_is_replayed() {
    let world = World::licensed("rtc", "--quantity 1");
    let cat = world.protect("/bin/cat".as_ref(), "");
    let mut child = world.spawn(&cat, &[] as &[&str]);
    world.wait_for_seats(1);
    let refused = bundle(&world, "", "S03E0");
    drop(child.stdin.take());
    crate::world::outcome(child).ok();
    comes_out_the_same(&world, &refused, "S03E0");
}

/// Several entries of which none allows the use, a user who is not the one, a module.
#[test]
fn a_refusal_by_several_entries_and_by_who_asks_is_replayed() {
    let world = World::licensed("plain", "--quantity 1 --user anna");
    world.license("--entry 2 --user bert --features 4 --expires +1d");
    world.license("--entry 3 --module-of 7:0 --features 2");
    let refused = bundle(&world, "", "S03C0");
    assert_eq!(refused["attempts"][0]["judged"].as_array().map(Vec::len), Some(3));
    comes_out_the_same(&world, &refused, "S03C0");
    let text = refused.to_string();
    assert!(!text.contains("\"root\""), "who asked is in {text}");
    let unknown = bundle(&world, "--firm acme --features 16", "S0321");
    comes_out_the_same(&world, &unknown, "S0321");
}

/// Of an entry, and of a product that is not there.
#[test]
fn a_refusal_by_a_trap_is_replayed() {
    let world = World::licensed("rtc", "--quantity 1");
    fs::write(world.path("plain"), b"a constant").expect("room");
    world.cli("protect file plain -o trap --vendor acme --product 7 --trap").ok();
    world.cli("license open trap -o no").refused(5, &["S0311"]);
    let locked = bundle(&world, "", "S0311");
    let by = &locked["attempts"][0]["judged"][0]["by"];
    assert_eq!(by["trapped"], locked["containers"][0]["firms"][0]["trapped"]);
    assert_eq!(by["trapped"]["product"], 7);
    comes_out_the_same(&world, &locked, "S0311");
    let mut opened = locked.clone();
    opened["containers"][0]["firms"][0]["trapped"] = Value::Null;
    fs::write(world.path("wrong"), opened.to_string()).expect("room");
    world.cli("doctor --replay wrong").refused(6, &["S0A20"]);
    let absent = bundle(&world, "--product 9", "S0311");
    comes_out_the_same(&world, &absent, "S0311");
}

#[test]
fn a_bundle_that_was_changed_by_hand_is_noticed() {
    let world = World::licensed("rtc", "--units 7 --quantity 2");
    let good = bundle(&world, "--units 9", "S03D0");
    let changed = |pointer: &str, value: Value| {
        let mut changed = good.clone();
        *changed.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
        changed
    };
    let (firm, attempt) = ("/containers/0/firms/0", "/attempts/0");
    let flipped = |name: &str| {
        let pointer = format!("{firm}/{name}");
        let text = good.pointer(&pointer).and_then(Value::as_str).expect("hexadecimal");
        let middle = text.len() / 2;
        let other = if &text[middle..=middle] == "0" { "1" } else { "0" };
        changed(&pointer, json!([&text[..middle], other, &text[middle + 1..]].concat()))
    };
    for (name, wrong) in [
        ("state hash", flipped("state_hash")),
        ("nonce", flipped("nonce_hex")),
        ("context", flipped("context_hex")),
        ("configuration", flipped("configuration_hex")),
        ("number", changed(&format!("{firm}/seq"), json!(2))),
        ("option", changed(&format!("{firm}/items/0/options/quantity"), json!(3))),
        ("entry", changed(&format!("{firm}/items"), json!([]))),
        ("units", changed(&format!("{attempt}/judged/0/by/units"), json!(70))),
        ("units, and still too few", changed(&format!("{attempt}/judged/0/by/units"), json!(6))),
        ("key", changed(&format!("{attempt}/judged/0/by/has_key"), json!(false))),
        ("clock", changed(&format!("{attempt}/judged/0/by/class"), json!("sun"))),
        ("value", changed(&format!("{attempt}/refusal/a"), json!(8))),
        ("code", changed(&format!("{attempt}/refusal/code"), json!("S03E0"))),
        ("words", changed(&format!("{attempt}/refusal/title"), json!("no units"))),
        ("allowed", changed(&format!("{attempt}/refusal"), Value::Null)),
        ("entry left out", changed(&format!("{attempt}/judged"), json!([]))),
        ("requirement", changed(&format!("{attempt}/requirement/units"), json!(1))),
        ("container", changed(&format!("{attempt}/serial"), json!("DONGLE-0000-0000-0000"))),
        ("runtime", changed("/asker/runtime", json!("latest"))),
        ("nothing tried", changed("/attempts", json!([]))),
        ("schema", changed("/schema", json!("strongroom.support/v2"))),
    ] {
        fs::write(world.path("wrong"), wrong.to_string()).expect("room");
        let got = world.cli("doctor --replay wrong");
        assert_eq!(got.code, 6, "{name}: {got:?}");
        assert!(
            got.stderr.contains("S0A20")
                || got.stderr.contains("S0A21")
                || name == "context"
                || name == "configuration",
            "{name}: {got:?}"
        );
    }
    let mut more = good.clone();
    more["passphrase"] = json!(1);
    fs::write(world.path("wrong"), more.to_string()).expect("room");
    world.cli("doctor --replay wrong").refused(6, &["S0A20"]);
    fs::write(world.path("wrong"), "no bundle").expect("room");
    world.cli("doctor --replay wrong").refused(6, &["S0A20"]);
    world.cli("doctor --replay missing").refused(3, &["missing"]);
    world.cli("doctor --replay bundle").ok();
}
