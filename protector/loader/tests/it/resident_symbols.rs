//! The resident part calls nothing that allocates, panics, or wants thread-local storage: seen in
//! the machine code.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Where the resident part is entered: watcher, handler of forked children, hook.
const ENTRIES: [&str; 3] = ["watcher4main", "spawn10after_fork", "strongroom_fork_hook"];

/// All of libc that is meant to be called: what moves bytes. The last one guards C frames against a
/// panic that comes from below, and nothing below can panic.
const ALLOWED: [&str; 5] = ["memcpy", "memset", "memmove", "memcmp", "panic_cannot_unwind"];

/// Parts of names that must not be reached.
const FORBIDDEN: [&str; 7] = ["panic", "alloc", "unwind", "tls", "abort", "fmt", "slice_"];

#[derive(Default)]
struct Function {
    callees: BTreeSet<String>,
    thread_local: bool,
}

fn tool(name: &str, args: &[&str]) -> String {
    let output =
        Command::new(name).args(args).arg(env!("CARGO_BIN_EXE_strongroom-loader")).output();
    String::from_utf8(output.expect("binutils").stdout).expect("ASCII")
}

/// What each slot of the global offset table points to, by the slot's address.
fn slots() -> BTreeMap<String, String> {
    let names: BTreeMap<String, String> = tool("readelf", &["-sW"])
        .lines()
        .filter_map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let kind = fields.get(3).filter(|kind| ["FUNC", "IFUNC"].contains(kind));
            kind.map(|_| (fields[1].trim_start_matches('0').to_owned(), fields[7].to_owned()))
        })
        .collect();
    let relocations = tool("readelf", &["-rW"]);
    let entries = relocations.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = names.get(*fields.get(3)?)?;
        Some((fields[0].trim_start_matches('0').to_owned(), name.clone()))
    });
    entries.collect()
}

/// All functions of the loader with what they call, jump to, or load from the global offset table.
fn functions() -> BTreeMap<String, Function> {
    let slots = slots();
    let mut all: BTreeMap<String, Function> = BTreeMap::new();
    let mut name = String::new();
    for line in tool("objdump", &["-d", "--no-show-raw-insn"]).lines() {
        if let Some(symbol) = line.strip_suffix(">:").and_then(|line| line.split_once('<')) {
            name = symbol.1.to_owned();
            all.entry(name.clone()).or_default();
            continue;
        }
        let Some(function) = all.get_mut(&name) else { continue };
        function.thread_local |= line.contains("%fs:");
        if let Some((_, comment)) = line.split_once("# ") {
            let slot = comment.split_whitespace().next().and_then(|address| slots.get(address));
            function.callees.extend(slot.cloned());
        } else if line.contains("call ") || line.contains("\tj") {
            let target = line.rsplit_once('<').map(|(_, target)| target.trim_end_matches('>'));
            let target = target.and_then(|target| target.split('+').next());
            function.callees.extend(target.map(str::to_owned));
        }
    }
    all
}

#[test]
fn nothing_resident_allocates_panics_or_uses_thread_local_storage() {
    let all = functions();
    let mut open: Vec<&str> = Vec::new();
    for entry in ENTRIES {
        let found = all.keys().find(|name| name.contains(entry));
        open.push(found.unwrap_or_else(|| panic!("no function {entry}")));
    }
    let mut seen = BTreeSet::new();
    while let Some(name) = open.pop() {
        if !seen.insert(name) || ALLOWED.iter().any(|allowed| name.contains(allowed)) {
            continue;
        }
        for bad in FORBIDDEN {
            assert!(!name.contains(bad), "{name} is reached from the resident part");
        }
        let function = all.get(name).unwrap_or_else(|| panic!("{name} is not in the listing"));
        assert!(!function.thread_local, "{name} uses thread-local storage");
        open.extend(function.callees.iter().map(String::as_str));
    }
    println!("reached: {seen:#?}");
    assert!(seen.len() > 5, "the listing was not understood");
}
