//! `strongroom completions SHELL`: what a shell needs to complete commands.

use clap::CommandFactory;
use serde_json::json;
use vendor::{Result, Shown};

use crate::args::{Args, CompletionsArgs};
use crate::output::Output;

pub(super) fn run(args: &CompletionsArgs, output: &Output) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Args::command(), "strongroom", &mut script);
    let script = String::from_utf8(script)
        .map_err(|error| Shown::conflict(error, "This is a defect of Strongroom."))?;
    let data = json!({ "shell": args.shell.to_string(), "script": script });
    output.data("completions", data, script.trim_end());
    Ok(())
}
