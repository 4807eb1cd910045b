//! The command line of Strongroom, for vendors, users and administrators.
#![forbid(unsafe_code)]

mod args;
mod clock;
mod commands;
mod error;
mod files;
mod output;
pub mod parsers;
mod reach;
mod times;
mod trust;
mod vendor;

use std::process::ExitCode;

use clap::Parser;

use args::Args;
use output::Output;

/// The program: reads its arguments, carries the command out, says how it ended.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => {
            // Help and version are no errors; the rest is usage, code 2. Nothing can be done if
            // stderr is gone.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let output = Output::new(args.json);
    match commands::run(&args, &output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit())
        }
    }
}
