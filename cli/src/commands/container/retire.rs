//! `strongroom container decommission`: what is lost, then the end, then a proof for each vendor.

use std::path::{Path, PathBuf};

use container::Container;
use protocol::command::ContainerInfo;
use protocol::ids::RootFp;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use serde_json::{Value, json};
use vendor::{Result, files};

use super::inventory::place;
use crate::args::{Args, DecommissionArgs};
use crate::commands::shown::{self, DECOMMISSIONED};
use crate::output::Output;
use crate::{owner, reach};

pub(super) fn run(command: &DecommissionArgs, args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let serial = container.serial().to_string();
    let info = container.info()?;
    let is_retired = info.locked == DECOMMISSIONED;
    let (text, lost) = match is_retired {
        true => (format!("{serial} is decommissioned already"), Vec::new()),
        false => preview(&container, &info)?,
    };
    let lost = Lost { firms: lost, vendor_keys: info.vendor_keys };
    if let Some(folder) = command.out.as_deref() {
        check_folder(folder)?;
    }
    if command.dry_run {
        output.data("container-decommission", lost.told(&serial, Vec::new(), true), text);
        return Ok(());
    }
    if !is_retired {
        output.say(&text);
        output.confirm_by("all of this is lost for good.", &serial, command.yes)?;
        owner::unlock(&container, args)?;
    }
    // Made first: what cannot be written is known before anything is destroyed.
    command.out.as_deref().map(files::make_folder).transpose()?;
    // Repeated where it is done: a power cut may have left something to be erased.
    container.decommission()?;
    let statements = write(&container, command.out.as_deref()).map_err(|error| {
        error
            .about("the container is decommissioned, but not all final statements written")
            .hinting("Have them written again: strongroom container decommission --out FOLDER")
    })?;
    tell(&serial, lost, &statements, output);
    Ok(())
}

/// What goes, as scripts read it.
struct Lost {
    firms: Vec<Value>,
    vendor_keys: u8,
}

impl Lost {
    fn told(self, serial: &str, statements: Vec<Value>, dry_run: bool) -> Value {
        json!({
            "serial": serial, "lost": self.firms, "vendor_keys": self.vendor_keys,
            "statements": statements, "dry_run": dry_run,
        })
    }
}

/// All that goes, firm by firm, with what the container alone knows: units and seats.
fn preview(container: &Container, info: &ContainerInfo) -> Result<(String, Vec<Value>)> {
    let mut text = format!("{} would be decommissioned; it loses", container.serial());
    let mut lost = Vec::new();
    for firm in container.firms()? {
        text.push_str(&format!("\n{} at number {}", &*firm.name, firm.seq));
        text.push_str(&shown::trapped(&firm, "  "));
        let mut items = Vec::new();
        for item in container.items(firm.root_fp)? {
            let state = container.item_state(firm.root_fp, item.item)?;
            let lines = shown::item_text(&item) + &shown::state_text(&item, &state);
            text.push_str(&format!("\n  {}", lines.replace('\n', "\n  ")));
            let mut data = shown::item_json(&item);
            data["state"] = shown::state_json(&state);
            items.push(data);
        }
        lost.push(json!({ "firm": shown::firm_json(&firm), "items": items }));
    }
    if lost.is_empty() {
        text.push_str("\n  no license: it holds none");
    }
    if info.vendor_keys != 0 {
        text.push_str(&format!("\n{} keys of vendors, which are nowhere else", info.vendor_keys));
    }
    text.push_str(&format!("\n{} seats are in use", info.seats));
    Ok((text, lost))
}

/// A folder that is there must take new files; their names are known only at the end.
fn check_folder(folder: &Path) -> Result<()> {
    if folder.is_dir() { Ok(()) } else { files::check_new(folder) }
}

/// Writes each vendor's file. One that is there with the same bytes is as good as written.
fn write(container: &Container, folder: Option<&Path>) -> Result<Vec<(RootFp, Option<PathBuf>)>> {
    let mut written = Vec::new();
    for statement in container.final_statements()? {
        let (object, rest) = file::next_object(&statement, STATEMENT_BODY_LEN_MAX)?;
        file::finish(rest)?;
        let root_fp = object.header().root_fp;
        let path = folder.map(|folder| place(folder, root_fp));
        if let Some(path) = &path {
            let objects = [container.certificate(), &statement];
            let bytes = file::write(FileKind::FinalStatement, &objects);
            let is_there = path.is_file() && files::read(path)? == bytes;
            if !is_there {
                files::write_new(path, &bytes)?;
            }
        }
        written.push((root_fp, path));
    }
    Ok(written)
}

fn tell(serial: &str, lost: Lost, statements: &[(RootFp, Option<PathBuf>)], output: &Output) {
    let mut text = format!("{serial} is decommissioned: nothing is left in it");
    for (root_fp, path) in statements {
        text.push_str(&match path {
            Some(path) => {
                format!("\n  final statement for {root_fp} written to {}", path.display())
            }
            None => format!("\n  final statement for {root_fp}"),
        });
    }
    if statements.iter().any(|(_, path)| path.is_none()) {
        text.push_str("\nTo have them as files: strongroom container decommission --out FOLDER");
    } else if !statements.is_empty() {
        text.push_str("\nSend each to its vendor: it proves that the licenses are gone");
    }
    let rows: Vec<Value> = statements
        .iter()
        .map(|(root_fp, path)| json!({ "root_fp": root_fp.to_string(), "file": path }))
        .collect();
    output.data("container-decommission", lost.told(serial, rows, false), text);
}
