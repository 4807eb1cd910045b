//! P03: whatever a file holds, the tool that reads it ends by itself, says why, and takes little
//! memory for it.

use std::fs;

use strongroom_tests::dice::Dice;

use crate::world::{Outcome, World};

/// Address space of a tool that reads a malformed file.
const MEMORY: u64 = 256 << 20;

const CHALLENGE: &str = "0102030405060708091011121314151617181920212223242526272829303132";

/// Files, and what takes each kind in. Nothing is changed by it, so that each bad file meets the
/// same world.
const TAKING: [(&str, &str); 17] = [
    ("acme/root.strgroom", "container context --firm bad -o out --dry-run"),
    ("context", "vendor issue --vendor acme --context bad --product 7 -o out --dry-run"),
    ("update", "update preview bad"),
    ("update", "update apply bad --yes --dry-run"),
    ("receipt", "vendor receipt bad --vendor acme --dry-run"),
    ("artifact", "protect verify bad"),
    ("artifact", "license open bad -o out --dry-run"),
    ("trust", "update apply bad --yes --dry-run"),
    ("resell/delegation.strgroom", "inspect bad"),
    ("log", "vendor log bad --vendor acme -o out --dry-run"),
    ("ack", "license log --acknowledge bad --dry-run"),
    ("request", "vendor time bad --vendor acme -o out --dry-run"),
    ("token", "container time --apply bad --dry-run"),
    ("proof", "vendor proof bad --vendor acme --product 7 --challenge CHALLENGE"),
    ("block", "license decrypt bad -o out --dry-run"),
    ("block", "vendor decrypt bad --vendor acme -o out --dry-run"),
    ("inventory", "vendor inventory bad --vendor acme"),
];

fn world() -> World {
    let world = World::licensed("rtc", "--units 10");
    fs::write(world.path("plain"), "what nobody else may read\n").expect("room");
    world.context("context");
    for line in [
        "update receipt --firm acme -o receipt",
        "vendor issue --vendor acme --context context --product 7 --units 5 -o update",
        "protect file plain -o artifact --vendor acme --product 7",
        "vendor key revoke --vendor acme --key 0102030405060708 --yes",
        "vendor key export --vendor acme -o trust",
        "vendor key delegate --vendor acme --name R --product 7 --quantity 5 -o resell",
        "license log -o log",
        "vendor log log --vendor acme -o ack",
        "container time --firm acme --ask request",
        "vendor time request --vendor acme -o token",
        "vendor encrypt plain --vendor acme --product 7 -o block",
    ] {
        world.cli(line).ok();
    }
    world.cli(&format!("license prove 7 --challenge {CHALLENGE} -o proof")).ok();
    world.cli("container inventory -o lists").ok();
    let (name, _) = world.files("lists").remove(0);
    fs::copy(name, world.path("inventory")).expect("room");
    world
}

/// One of many ways to be wrong.
fn malformed(whole: &[u8], dice: &mut Dice) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = dice.below(bytes.len());
    match dice.below(7) {
        0 => bytes.truncate(at),
        1 => bytes[at] ^= 1 << dice.below(8),
        // A length that lies, in either way to write one.
        2 => bytes.iter_mut().skip(at).take(4).for_each(|byte| *byte = 0xff),
        3 => bytes.iter_mut().skip(at).take(9).for_each(|byte| *byte = 0x80),
        4 => bytes = bytes.repeat(20),
        5 => {
            let noise = dice.bytes::<64>();
            bytes.splice(at..at, noise);
        }
        _ => {
            bytes.drain(at..(at + 40).min(whole.len()));
        }
    }
    bytes
}

/// Whether a tool ended by itself, and said why where it refused.
fn is_sound(got: &Outcome) -> bool {
    match got.code {
        0 => true,
        1..=10 => got.stderr.contains("error"),
        _ => false,
    }
}

#[test]
fn sec_p03_no_malformed_file_ends_a_tool_or_takes_its_memory() {
    let world = world();
    let mut dice = Dice::new(0x903);
    let (mut read, mut refused) = (0, 0);
    for (file, taking) in TAKING {
        let whole = fs::read(world.path(file)).expect("own file");
        let taking = taking.replace("CHALLENGE", CHALLENGE);
        for line in [taking.as_str(), "inspect bad"] {
            for n in 0..12 {
                // The good one too, which shows that the tool runs.
                let bytes = if n == 0 { whole.clone() } else { malformed(&whole, &mut dice) };
                fs::write(world.path("bad"), bytes).expect("room");
                let got = world.cli_within(MEMORY, line);
                assert!(is_sound(&got) && (n > 0 || got.code == 0), "{file}, {line}: {got:?}");
                // `inspect` may show what it cannot verify.
                if line != "inspect bad" {
                    (read, refused) = (read + 1, refused + u32::from(got.code != 0));
                }
            }
        }
    }
    println!("figure: malformed files read: {read}, refused {refused}");
    assert!(3 * refused > 2 * read);
}
