//! The resident part calls nothing that allocates, unwinds, or wants thread-local storage: seen in
//! the machine code.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// Where the resident part is entered: watcher, handler of forked children, hook.
const ENTRIES: [&str; 3] = ["watcher4main", "spawn10after_fork", "strongroom_fork_hook"];

/// All of libc that is meant to be called: what moves bytes. Formatting in `core` neither allocates
/// nor uses thread-local storage; its functions are named where panic messages are put together.
const ALLOWED: [&str; 6] = ["memcpy", "memset", "memmove", "memcmp", "strlen", "4core3fmt"];

/// Where broken invariants lead, in libraries below the seat. They end the process at once: the
/// watcher has no thread pointer, and what comes behind these begins with thread-local storage.
/// Unwinding goes on only from there.
const ENDS: [&str; 6] = ["panicking", "panic_", "_failed", "_fail", "_index_", "_Unwind_Resume"];

/// Parts of names that must not be reached.
const FORBIDDEN: [&str; 7] =
    ["rust_alloc", "rust_realloc", "malloc", "calloc", "5alloc", "tls_get", "std6thread"];

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
fn slots(listing: &str) -> BTreeMap<String, String> {
    let hex = |address: &str| address.trim_start_matches('0').to_owned();
    let labels = listing.lines().filter_map(|line| line.strip_suffix(">:")?.split_once(" <"));
    let labels: BTreeMap<String, &str> = labels.map(|(at, name)| (hex(at), name)).collect();
    let relocations = tool("readelf", &["-rW"]);
    let entries = relocations.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let name = labels.get(*fields.get(3)?)?;
        Some((hex(fields[0]), (*name).to_owned()))
    });
    entries.collect()
}

/// All functions of the loader with what they call, jump to, or load from the global offset table.
fn functions() -> BTreeMap<String, Function> {
    let listing = tool("objdump", &["-d", "--no-show-raw-insn"]);
    let slots = slots(&listing);
    let mut all: BTreeMap<String, Function> = BTreeMap::new();
    let mut name = String::new();
    for line in listing.lines() {
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

/// Every function that is reached from an entry, with the one it was reached from.
fn reached(all: &BTreeMap<String, Function>) -> BTreeMap<&str, &str> {
    let mut open: Vec<(&str, &str)> = Vec::new();
    for entry in ENTRIES {
        let found: Vec<_> = all.keys().filter(|name| name.contains(entry)).collect();
        assert!(!found.is_empty(), "no function {entry}");
        open.extend(found.into_iter().map(|name| (name.as_str(), "nothing")));
    }
    let mut seen = BTreeMap::new();
    while let Some((name, from)) = open.pop() {
        if seen.contains_key(name) {
            continue;
        }
        seen.insert(name, from);
        if ENDS.iter().chain(&ALLOWED).all(|known| !name.contains(known)) {
            let function = all.get(name).unwrap_or_else(|| panic!("{name} is not in the listing"));
            open.extend(function.callees.iter().map(|callee| (callee.as_str(), name)));
        }
    }
    seen
}

fn path<'a>(seen: &BTreeMap<&str, &'a str>, mut name: &'a str) -> String {
    let mut path = name.to_owned();
    while let Some(from) = seen.get(name) {
        path += &format!("\n  from {from}");
        name = from;
    }
    path
}

#[test]
fn nothing_resident_allocates_unwinds_or_uses_thread_local_storage() {
    let all = functions();
    let seen = reached(&all);
    for name in seen.keys() {
        for bad in FORBIDDEN {
            assert!(!name.contains(bad), "{}", path(&seen, name));
        }
        assert!(
            all.get(*name).is_none_or(|function| !function.thread_local),
            "{}",
            path(&seen, name)
        );
    }
    let ends = seen.keys().filter(|name| ENDS.iter().any(|end| name.contains(end)));
    println!("{} functions, {} that end the process", seen.len(), ends.count());
    assert!(seen.len() > 5, "the listing was not understood");
}
