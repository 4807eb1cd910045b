//! The grammar as data: for tests that ask something of every command there is.

use clap::{Command, CommandFactory};

use crate::args::Args;

/// A command that does something: no noun with verbs below it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    /// Its words behind the program's name, such as `vendor product add`.
    pub words: String,
    /// Whether it has `--dry-run`.
    pub dry_run: bool,
}

/// Every command, in the order of the help.
pub fn leaves() -> Vec<Leaf> {
    let mut found = Vec::new();
    collect(&Args::command(), "", &mut found);
    found
}

fn collect(command: &Command, words: &str, found: &mut Vec<Leaf>) {
    for sub in command.get_subcommands() {
        let words = format!("{words} {}", sub.get_name()).trim_start().to_owned();
        if sub.has_subcommands() {
            collect(sub, &words, found);
        } else {
            let dry_run = sub.get_arguments().any(|arg| arg.get_id() == "dry_run");
            found.push(Leaf { words, dry_run });
        }
    }
}
