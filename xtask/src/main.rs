//! Checks and generators of this repository: `cargo xtask` lists them.
#![forbid(unsafe_code)]

mod defeat;
mod deps;
mod errors;
mod firmware;
mod fuzz;
mod header;
mod mirror;
mod mutants;
mod repo;
mod source;
mod spdx;
mod tidy;

use std::error::Error;
use std::process::ExitCode;

/// What a command answers. Its message is all that is printed of an error.
type Outcome<T = ()> = Result<T, Box<dyn Error>>;

/// One command. A new check or generator is one more row of [`COMMANDS`].
struct Command {
    name: &'static str,
    arguments: &'static str,
    about: &'static str,
    run: fn(&[String]) -> Outcome,
}

const COMMANDS: &[Command] = &[
    Command {
        name: "tidy",
        arguments: "[--bless]",
        about: "the rules of style that no compiler checks; --bless records the formats' sources",
        run: tidy::run,
    },
    Command {
        name: "deps",
        arguments: "",
        about: "licenses of all dependencies are allowed ones, banned crates are absent",
        run: deps::run,
    },
    Command {
        name: "defeat",
        arguments: "[--all | --tenth [N]]",
        about: "remove one defense at a time; the test that guards it must turn red",
        run: defeat::run,
    },
    Command {
        name: "errors",
        arguments: "[--check]",
        about: "write the guide's table of error codes from the one in protocol",
        run: errors::run,
    },
    Command {
        name: "header",
        arguments: "[--check]",
        about: "write the C header from the sources of bindings/c",
        run: header::run,
    },
    Command {
        name: "firmware",
        arguments: "",
        about: "build the bare-metal image, print its text and static RAM sizes",
        run: firmware::run,
    },
    Command {
        name: "mutants",
        arguments: "[--go-on] [PART…]",
        about: "change the code that judges, one place at a time; a test must notice",
        run: mutants::run,
    },
    Command {
        name: "fuzz",
        arguments: "[--seconds N] [TARGET]",
        about: "run the fuzz targets (nightly), N seconds each",
        run: fuzz::run,
    },
];

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let name = arguments.next().unwrap_or_default();
    let rest: Vec<String> = arguments.collect();
    let Some(command) = COMMANDS.iter().find(|command| command.name == name) else {
        usage();
        return ExitCode::from(2);
    };
    match (command.run)(&rest) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {name}: {error}");
            ExitCode::FAILURE
        }
    }
}

fn usage() {
    eprintln!("usage: cargo xtask COMMAND");
    for Command { name, arguments, about, .. } in COMMANDS {
        eprintln!("  {:32} {about}", format!("{name} {arguments}"));
    }
}
