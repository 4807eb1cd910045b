//! `strongroom container`: see and handle containers.

mod inventory;
mod pin;
mod retire;
pub(super) mod time;

pub(super) use inventory::{Inventory, fetch, records};

use std::path::Path;

use protocol::ids::ContainerKind;
use protocol::objects::file::{self, FileKind};
use serde_json::json;
use vendor::{Result, Shown, files, times};

use super::shown;
use super::shown::DECOMMISSIONED;
use crate::args::{Args, ContainerCommand};
use crate::output::Output;
use crate::{owner, reach};

pub(super) fn run(command: &ContainerCommand, args: &Args, output: &Output) -> Result<()> {
    match command {
        ContainerCommand::List => list(args, output),
        ContainerCommand::Show => show(args, output),
        ContainerCommand::Context { firm, output: path, dry_run } => {
            context(args, firm, path, *dry_run, output)
        }
        ContainerCommand::Pin(command) => pin::run(command, args, output),
        ContainerCommand::Identify { seconds } => identify(args, *seconds, output),
        ContainerCommand::Inventory(command) => inventory::run(command, args, output),
        ContainerCommand::Decommission(command) => retire::run(command, args, output),
        ContainerCommand::Time(command) => time::run(command, args, output),
        ContainerCommand::Rename { name, dry_run } => rename(args, name, *dry_run, output),
    }
}

fn list(args: &Args, output: &Output) -> Result<()> {
    let registry = reach::all(args)?;
    let found = registry.discover();
    if found.containers.is_empty() {
        return registry.find(None).map(drop).map_err(Shown::from);
    }
    let mut lines = Vec::new();
    let mut rows = Vec::new();
    for (source, container) in &found.containers {
        let (serial, info) = (container.serial().to_string(), container.info()?);
        let test = if shown::mode(container.mode()) == "test" { "  (simulated)" } else { "" };
        lines.push(format!("{serial}  {source}  {}{test}", &*info.name).trim_end().to_owned());
        rows.push(json!({
            "serial": serial, "source": source, "name": &*info.name,
            "mode": shown::mode(container.mode()),
        }));
    }
    let broken: Vec<_> =
        found.broken.into_iter().map(|(source, error)| (source, Shown::from(error))).collect();
    for (source, error) in &broken {
        let (title, hint) = (error.title(&times::show), error.hint(&times::show));
        output.say(format!("{source}: [{}] {title}\n  {hint}", error.code()));
    }
    let broken: Vec<_> = broken
        .iter()
        .map(|(source, error)| {
            let title = error.title(&times::show);
            json!({ "source": source, "code": error.code(), "title": title })
        })
        .collect();
    output.data(
        "container-list",
        json!({ "containers": rows, "broken": broken }),
        lines.join("\n"),
    );
    Ok(())
}

fn show(args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let (serial, info) = (container.serial().to_string(), container.info()?);
    let firms = match info.locked == DECOMMISSIONED {
        true => Vec::new(),
        false => container.firms()?,
    };
    let mut text = format!(
        "{serial} {}\n  mode      {}\n  clock     {} ({})\n  anchor    {}\n  firmware  {}\n  \
         seats     {} in use",
        &*info.name,
        shown::mode(container.mode()),
        shown::clock(info.clock),
        if info.time.now_s == 0 { "not known".into() } else { times::show(info.time.now_s) },
        shown::anchor(info.anchor),
        shown::firmware(info.firmware),
        info.seats,
    );
    if info.vendor_keys != 0 {
        text.push_str(&format!("\n  keys      {} of vendors", info.vendor_keys));
    }
    if info.locked == DECOMMISSIONED {
        text.push_str("\n  DECOMMISSIONED: nothing is left in it, see strongroom explain S060B");
    } else if info.locked != 0 {
        text.push_str(&format!(
            "\n  LOCKED    reason {}: see strongroom explain S0301",
            info.locked
        ));
    }
    for firm in &firms {
        text.push_str(&format!(
            "\n  vendor    {} (number {}, {}), {} updates, {} entries\n            {}",
            &*firm.name,
            firm.firm_code,
            shown::mode(firm.mode),
            firm.seq,
            firm.entries,
            firm.root_fp
        ));
        text.push_str(&shown::trapped(firm, "            "));
    }
    let firms: Vec<_> = firms.iter().map(shown::firm_json).collect();
    let data = json!({ "container": shown::info_json(&serial, &info), "firms": firms });
    output.data("container-show", data, text);
    Ok(())
}

fn context(args: &Args, firm: &str, path: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let root_fp = reach::firm(firm, Some(&container))?;
    let context = container.context(root_fp, vendor::fresh_nonce()?)?;
    let bytes = file::write(FileKind::Context, &[container.certificate(), &context]);
    if dry_run {
        files::check_new(path)?;
    } else {
        files::write_new(path, &bytes)?;
    }
    let serial = container.serial().to_string();
    let data = json!({
        "serial": serial, "root_fp": root_fp.to_string(), "file": path, "dry_run": dry_run,
    });
    let text = match dry_run {
        true => format!("the context of {serial} would be written to {}", path.display()),
        false => {
            format!("context of {serial} written to {}: send it to the vendor", path.display())
        }
    };
    output.data("container-context", data, text);
    Ok(())
}

fn identify(args: &Args, seconds: u8, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let serial = container.serial().to_string();
    if container.device().body.kind == ContainerKind::Tpm {
        let title = format!("{serial} has nothing that shows itself: it is a folder on a disk");
        return Err(Shown::usage(title, "See where it lies: strongroom tpm status."));
    }
    container.identify(seconds)?;
    let text = match seconds {
        0 => format!("{serial} is dark again"),
        _ => format!("{serial} shows itself for {seconds} seconds"),
    };
    output.data("container-identify", json!({ "serial": serial, "seconds": seconds }), text);
    Ok(())
}

fn rename(args: &Args, name: &str, dry_run: bool, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let serial = container.serial().to_string();
    if !dry_run {
        owner::unlock(&container, args)?;
        container.rename(name)?;
    }
    let would = if dry_run { "would be" } else { "is" };
    let data = json!({ "serial": serial, "name": name, "dry_run": dry_run });
    output.data("container-rename", data, format!("{serial} {would} called {name:?}"));
    Ok(())
}
