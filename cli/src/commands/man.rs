//! `strongroom man`: manual pages, one for each command, from the one definition.

use std::path::Path;

use clap::{Command, CommandFactory};
use clap_mangen::Man;
use serde_json::json;
use vendor::{Result, Shown, files};

use crate::args::{Args, ManArgs};
use crate::output::Output;

pub(super) fn run(args: &ManArgs, output: &Output) -> Result<()> {
    let mut command = Args::command().disable_help_subcommand(true);
    command.build();
    match &args.out {
        Some(dir) => write(&command, dir, args.dry_run, output),
        None => {
            let page = page(&command)?;
            let data = json!({ "name": file_name(&command), "page": page });
            output.data("man", data, page.trim_end());
            Ok(())
        }
    }
}

fn write(command: &Command, dir: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let mut pages = Vec::new();
    collect(command, &mut pages)?;
    if !dry_run {
        files::make_folder(dir)?;
        for (name, page) in &pages {
            files::replace(&dir.join(name), page.as_bytes(), 0o644)?;
        }
    }
    let names: Vec<&String> = pages.iter().map(|(name, _)| name).collect();
    let would = if dry_run { "would be" } else { "are" };
    let text = format!("{} pages {would} in {}", names.len(), dir.display());
    output.data("man-out", json!({ "dir": dir, "pages": names, "dry_run": dry_run }), text);
    Ok(())
}

/// The page of a command and those of all commands below it.
fn collect(command: &Command, pages: &mut Vec<(String, String)>) -> Result<()> {
    pages.push((file_name(command), page(command)?));
    command.get_subcommands().try_for_each(|sub| collect(sub, pages))
}

/// `strongroom-vendor-issue.1`: the whole name with dashes, as `man` looks for it.
fn file_name(command: &Command) -> String {
    format!("{}.1", command.get_display_name().unwrap_or(command.get_name()))
}

fn page(command: &Command) -> Result<String> {
    let mut roff = Vec::new();
    let defect = "This is a defect of Strongroom.";
    Man::new(command.clone())
        .source(concat!("strongroom ", env!("CARGO_PKG_VERSION")))
        .render(&mut roff)
        .map_err(|error| Shown::conflict(error, defect))?;
    String::from_utf8(roff).map_err(|error| Shown::conflict(error, defect))
}
