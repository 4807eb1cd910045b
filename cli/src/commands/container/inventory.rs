//! `strongroom container inventory`: what a container holds, signed, for each vendor by itself.

use std::path::{Path, PathBuf};

use container::{Container, Error};
use protocol::codec;
use protocol::command::FirmInfo;
use protocol::crypto::hash::sha256;
use protocol::errors::ErrorCode;
use protocol::ids::RootFp;
use protocol::limits::{STATEMENT_BODY_LEN_MAX, UPDATE_IDLE_S};
use protocol::objects::configuration::{Configured, read_configuration};
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::ContextBody;
use serde_json::{Value, json};
use vendor::{Result, files, fresh_nonce};

use crate::args::{Args, InventoryArgs};
use crate::commands::shown;
use crate::output::Output;
use crate::reach;

/// Readings that may be disturbed by updates before it is given up.
const READINGS_MAX: usize = 4;

/// A firm's configuration with the context that its hash stands in.
pub(crate) struct Inventory {
    /// The signed object.
    pub(crate) context: Vec<u8>,
    /// `firm_seq`.
    pub(crate) seq: u64,
    /// `firm_state_hash`.
    pub(crate) state: [u8; 32],
    /// The bytes that are hashed.
    pub(crate) configuration: Vec<u8>,
    /// The same, taken apart.
    pub(crate) records: Vec<Configured>,
}

pub(super) fn run(command: &InventoryArgs, args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let only = command.firm.as_deref();
    let only = only.map(|named| reach::firm(named, Some(&container))).transpose()?;
    let mut firms = container.firms()?;
    firms.retain(|firm| only.is_none_or(|only| only == firm.root_fp));
    if firms.is_empty() {
        return Err(ErrorCode::FirmUnknown.failure().into());
    }
    let mut taken = Vec::new();
    for firm in firms {
        let inventory = fetch(&container, firm.root_fp, fresh_nonce()?)?;
        taken.push((firm, inventory));
    }
    if let Some(folder) = &command.out {
        write(&container, &taken, folder, command.dry_run)?;
    }
    tell(&container, &taken, command, output);
    Ok(())
}

/// Context and configuration of one moment: an update may come in between, and the hash tells.
pub(crate) fn fetch(
    container: &Container,
    firm: RootFp,
    nonce: [u8; 32],
) -> std::result::Result<Inventory, Error> {
    let refused = ErrorCode::ContextRefused.failure();
    for _ in 0..READINGS_MAX {
        let context = container.context(firm, nonce)?;
        let configuration = container.configuration(firm)?;
        let (object, _) = file::next_object(&context, STATEMENT_BODY_LEN_MAX)?;
        let header = *object.header();
        let body = object.body_if_intact().ok_or(refused)?;
        let body: ContextBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).map_err(|_| refused)?;
        if sha256(&configuration) != body.config_hash.0 {
            continue;
        }
        let records =
            read_configuration(&configuration).ok_or(ErrorCode::DeviceGarbage.failure())?;
        let (seq, state) = (header.seq, header.state);
        return Ok(Inventory { context, seq, state, configuration, records });
    }
    Err(ErrorCode::UpdateBusy.with(UPDATE_IDLE_S, 0).into())
}

/// Files of each vendor are checked before the first is written.
fn write(
    container: &Container,
    taken: &[(FirmInfo, Inventory)],
    folder: &Path,
    dry_run: bool,
) -> Result<()> {
    if folder.is_dir() {
        taken.iter().try_for_each(|(firm, _)| files::check_new(&place(folder, firm.root_fp)))?;
    } else {
        files::check_new(folder)?;
    }
    if dry_run {
        return Ok(());
    }
    files::make_folder(folder)?;
    for (firm, inventory) in taken {
        let objects = [container.certificate(), &inventory.context, &inventory.configuration];
        let bytes = file::write(FileKind::Inventory, &objects);
        files::write_new(&place(folder, firm.root_fp), &bytes)?;
    }
    Ok(())
}

/// The file of a vendor in a folder of many.
pub(super) fn place(folder: &Path, firm: RootFp) -> PathBuf {
    folder.join(format!("{firm}.strgroom"))
}

fn tell(
    container: &Container,
    taken: &[(FirmInfo, Inventory)],
    command: &InventoryArgs,
    output: &Output,
) {
    let serial = container.serial().to_string();
    let (mut text, mut rows) = (serial.clone(), Vec::new());
    for (firm, inventory) in taken {
        text.push_str(&format!("\n{} at number {}", &*firm.name, inventory.seq));
        let (lines, data) = records(&inventory.records);
        lines.iter().for_each(|line| text.push_str(&format!("\n  {line}")));
        let path = command.out.as_deref().map(|folder| place(folder, firm.root_fp));
        if let Some(path) = &path {
            let done = if command.dry_run { "would be written" } else { "written" };
            text.push_str(&format!("\n  {done} to {}", path.display()));
        }
        rows.push(json!({
            "firm": shown::firm_json(firm), "number": inventory.seq,
            "state": shown::hex(&inventory.state), "records": data, "file": path,
        }));
    }
    if command.out.is_some() && !command.dry_run {
        text.push_str("\nKeep them where the container is not: a vendor needs his if it is lost");
    }
    let data = json!({ "serial": serial, "vendors": rows, "dry_run": command.dry_run });
    output.data("container-inventory", data, text);
}

/// Records for people and for scripts.
pub(crate) fn records(records: &[Configured]) -> (Vec<String>, Vec<Value>) {
    records.iter().map(record).unzip()
}

fn record(record: &Configured) -> (String, Value) {
    match record {
        Configured::Item(item) => {
            (shown::item_text(item).replace('\n', "\n  "), shown::item_json(item))
        }
        Configured::Key(product, generation) => (
            format!("item key of product {product}, generation {}", generation.0),
            json!({ "key_of": product.0, "generation": generation.0 }),
        ),
        Configured::Data(item, field, bytes) => {
            let (product, name) = (item.product, shown::field(*field));
            let len = bytes.as_ref().map(|bytes| bytes.len());
            let held = len.map_or("sealed".to_owned(), |len| format!("{len} bytes"));
            (
                format!("data {name} of product {product} entry {}: {held}", item.entry.0),
                json!({ "data": name, "product": product.0, "entry": item.entry.0, "bytes": len }),
            )
        }
    }
}
