//! A program under a pseudo terminal, stopped by Ctrl-Z and taken up again by `fg`.

use std::path::Path;

use crate::world::{Outcome, World};

/// Shared with the loader's own tests; it says at its head what it does.
const SCRIPT: &str = include_str!("../../../protector/loader/tests/it/probes/terminal.py");

/// Ctrl-D.
const END: &str = "\u{4}";

/// A conversation: a line and what must come back before anything else is done.
pub(crate) type Talk<'a> = [(&'a str, &'a str); 2];

/// Stops and goes on with `line`, a shell's command line in which `PROGRAM` is the program.
pub(crate) fn stop_and_go_on(world: &World, program: &Path, line: &str, talk: Talk<'_>) -> Outcome {
    let line = line.replace("PROGRAM", program.to_str().expect("UTF-8"));
    let [(first, answer), (second, other)] = talk;
    let python = Path::new("/usr/bin/python3.11");
    world.run(python, &["-c", SCRIPT, &line, first, answer, second, other, END], "")
}
