//! The command line of Strongroom, for vendors, users and administrators.
#![forbid(unsafe_code)]

mod args;
mod beside;
mod blocks;
mod clock;
mod commands;
pub mod grammar;
mod online;
mod output;
mod owner;
pub mod parsers;
mod reach;
mod secrets;
mod security_box;
mod support;

use std::process::ExitCode;

use clap::Parser;
use vendor::Shown;

use args::Args;
use output::Output;

/// The program: reads its arguments, carries the command out, says how it ended.
pub fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return not_understood(&error),
    };
    let output = Output::new(args.json);
    match commands::run(&args, &output) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit())
        }
    }
}

/// Help and version are no errors; the rest is usage, code 2.
fn not_understood(error: &clap::Error) -> ExitCode {
    let as_json = std::env::args_os().skip(1).take_while(|word| word != "--").any(is_json);
    if error.use_stderr() && as_json {
        let text = error.render().to_string();
        let mut parts = text.trim_start_matches("error: ").splitn(2, "\n\n");
        let title = parts.next().unwrap_or_default().trim();
        let hint = parts.next().unwrap_or("See: strongroom --help.").trim();
        Output::new(true).error(&Shown::usage(title, hint));
    } else {
        // Nothing can be done if stderr is gone.
        let _ = error.print();
    }
    ExitCode::from(if error.use_stderr() { 2 } else { 0 })
}

fn is_json(word: std::ffi::OsString) -> bool {
    word == "--json"
}
