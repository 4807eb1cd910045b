//! `strongroom update`: see and apply what a vendor sent.

mod fits;

use std::path::Path;

use container::{Container, UpdateError};
use protocol::errors::ErrorCode;
use protocol::limits::{ROOT_BODY_LEN_MAX, UPDATE_BODY_LEN_MAX};
use protocol::objects::data::DataContent;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::ProductItem;
use protocol::objects::root::Root;
use protocol::objects::update::{UpdateOp, read_ops};
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use serde_json::{Value, json};

use super::shown;
use crate::args::{Args, UpdateCommand};
use crate::error::{CliError, Result};
use crate::files::NewFile;
use crate::output::Output;
use crate::{files, reach, times};

pub(super) fn run(command: &UpdateCommand, args: &Args, output: &Output) -> Result<()> {
    match command {
        UpdateCommand::Preview { file } => preview(args, file, output),
        UpdateCommand::Apply { file, receipt, yes, dry_run } => {
            apply(args, file, receipt.as_deref(), *yes, *dry_run, output)
        }
        UpdateCommand::Receipt { firm, number, output: path, dry_run } => {
            receipt(args, firm, *number, (path, *dry_run), output)
        }
    }
}

/// An update file, taken apart. Whether the vendor signed it is for the container to judge, and for
/// [`UpdateFile::read`] where the file brings the vendor's root.
pub(super) struct UpdateFile {
    bytes: Vec<u8>,
    root_len: usize,
    head_len: usize,
    pub(super) header: Header,
    pub(super) root: Option<Root>,
    pub(super) ops: Vec<UpdateOp>,
}

impl UpdateFile {
    pub(super) fn read(path: &Path) -> Result<Self> {
        let bytes = files::read(path)?;
        Self::parse(bytes).map_err(|error| error.about(path.display()))
    }

    fn parse(bytes: Vec<u8>) -> Result<Self> {
        let rest = file::expect(&bytes, FileKind::Update)?;
        let (first, behind) = file::next_object(rest, UPDATE_BODY_LEN_MAX)?;
        let (root, update, behind) = match first.header().kind {
            Kind::Root => {
                let root =
                    Root::verify_first(&first).map_err(|_| ErrorCode::RootRefused.failure())?;
                let (update, behind) = file::next_object(behind, UPDATE_BODY_LEN_MAX)?;
                (Some(root), update, behind)
            }
            _ => (None, first, behind),
        };
        file::finish(behind)?;
        let header = *update.header();
        if header.kind != Kind::Update {
            return Err(ErrorCode::Malformed.failure().into());
        }
        let ops = trusted_body(&update, root.as_ref())?;
        let body_len = header.body_len as usize;
        let root_len = root.as_ref().map_or(0, |_| root_object_len(rest));
        let head_len = rest.len() - root_len - body_len;
        Ok(UpdateFile { root_len, head_len, header, root, ops, bytes })
    }

    fn root_object(&self) -> &[u8] {
        &self.objects()[..self.root_len]
    }

    fn head(&self) -> &[u8] {
        &self.objects()[self.root_len..self.root_len + self.head_len]
    }

    fn body(&self) -> &[u8] {
        &self.objects()[self.root_len + self.head_len..]
    }

    fn objects(&self) -> &[u8] {
        &self.bytes[file::PREFIX_LEN..]
    }
}

/// Bytes of the root object at the front.
fn root_object_len(objects: &[u8]) -> usize {
    match UnverifiedObject::read(objects, ROOT_BODY_LEN_MAX) {
        Ok((_, behind)) => objects.len() - behind.len(),
        Err(_) => 0,
    }
}

/// The operations: only of a body whose hash is that of the header, and, where the root is there,
/// whose header the root's `licensing` key signed.
fn trusted_body(update: &UnverifiedObject<'_>, root: Option<&Root>) -> Result<Vec<UpdateOp>> {
    let header = update.header();
    let body = match root {
        Some(root) if root.root_fp != header.root_fp => {
            return Err(ErrorCode::UpdateOtherFirm.failure().into());
        }
        Some(root) => {
            let refused = ErrorCode::UpdateSignature.failure();
            let key = root.key(Role::Licensing, header.key_id).ok_or(refused)?;
            update.verify_role(Role::Licensing, &key).map_err(|_| refused)?.body
        }
        None => update.body_if_intact().ok_or(ErrorCode::UpdateBody.failure())?,
    };
    read_ops(body).map_err(|error| {
        let failure = CliError::from(ErrorCode::UpdateOp.failure());
        failure.about(error)
    })
}

fn preview(args: &Args, path: &Path, output: &Output) -> Result<()> {
    let update = UpdateFile::read(path)?;
    // Without the container the old values are not known; the update can still be read.
    let container = reach::one(args).ok();
    let (text, data) = describe(&update, container.as_ref())?;
    output.data("update-preview", data, text);
    Ok(())
}

/// Old and new values, field by field.
fn describe(update: &UpdateFile, container: Option<&Container>) -> Result<(String, Value)> {
    let header = &update.header;
    let here = container.filter(|c| c.device().id.bytes() == &header.target);
    let mut old = Vec::new();
    let mut firm_name = update.root.as_ref().map(|root| root.body.name.to_string());
    let mut known = false;
    if let Some(container) = here
        && let Some(firm) = container.firms()?.into_iter().find(|f| f.root_fp == header.root_fp)
    {
        old = container.items(header.root_fp)?;
        firm_name = Some(firm.name.to_string());
        known = true;
    }
    let name = firm_name.unwrap_or_else(|| "a vendor whose root is not in the file".into());
    let mut text = format!("update {} from {name}\n  fingerprint {}", header.seq, header.root_fp);
    if let (Some(root), false) = (&update.root, known) {
        text.push_str(&format!(
            "\n  NEW VENDOR in this container ({}): compare the fingerprint with what the vendor \
             publishes",
            shown::mode(root.body.mode)
        ));
    }
    match (container, here) {
        (_, Some(container)) => {
            text.push_str(&format!("\n  for {}, which is here", container.serial()))
        }
        (Some(other), None) => text.push_str(&format!(
            "\n  for ANOTHER CONTAINER (id {}) than {}, which is here",
            protocol::ids::ContainerId::new(header.target),
            other.serial()
        )),
        (None, None) => text.push_str("\n  its container is not here: old values are not known"),
    }
    if header.until_s != 0 {
        text.push_str(&format!("\n  to be applied before {}", times::show(header.until_s)));
    }
    let mut changes = Vec::new();
    for op in &update.ops {
        let (line, change) = describe_op(op, &old);
        text.push_str(&format!("\n{line}"));
        changes.push(change);
    }
    let data = json!({
        "number": header.seq, "vendor": name, "root_fp": header.root_fp.to_string(),
        "container": protocol::ids::ContainerId::new(header.target).to_string(),
        "here": here.is_some(), "apply_before": header.until_s, "changes": changes,
    });
    Ok((text, data))
}

pub(super) fn describe_op(op: &UpdateOp, old: &[ProductItem]) -> (String, Value) {
    match op {
        UpdateOp::Nop => ("  nothing is changed".into(), json!({ "op": "nop" })),
        UpdateOp::SetItem(item) => {
            let before = old.iter().find(|known| known.item == item.item);
            (
                diff(before, Some(item)),
                json!({
                    "op": "set", "old": before.map(shown::item_json), "new": shown::item_json(item),
                }),
            )
        }
        UpdateOp::RemoveItem(item) => {
            let before = old.iter().find(|known| known.item == *item);
            let line = match before {
                Some(_) => diff(before, None),
                None => format!("- product {} entry {}", item.product, item.entry),
            };
            (
                line,
                json!({
                    "op": "remove", "product": item.product.0, "entry": item.entry.0,
                    "old": before.map(shown::item_json),
                }),
            )
        }
        UpdateOp::SetKey(key) => (
            format!("  + key of product {}, generation {}", key.product, key.generation),
            json!({ "op": "set-key", "product": key.product.0, "generation": key.generation.0 }),
        ),
        UpdateOp::RemoveKey { product, generation } => (
            format!("  - key of product {product}, generation {generation}"),
            json!({ "op": "remove-key", "product": product.0, "generation": generation.0 }),
        ),
        UpdateOp::SetData { item, field, content } => {
            let (product, entry, name) = (item.product, item.entry, shown::field(*field));
            let (mark, what) = match content {
                DataContent::Plain(bytes) if bytes.is_empty() => ("-", String::new()),
                DataContent::Plain(bytes) => ("+", format!(", {} bytes", bytes.len())),
                _ => ("+", ", sealed".into()),
            };
            (
                format!("  {mark} data {name} of product {product} entry {entry}{what}"),
                json!({
                    "op": "set-data", "product": product.0, "entry": entry.0, "field": name,
                    "removed": mark == "-",
                }),
            )
        }
        UpdateOp::Units { item, change } => {
            let what = shown::units_change(change);
            (
                format!("  {what} of product {} entry {}", item.product, item.entry),
                json!({
                    "op": "units", "product": item.product.0, "entry": item.entry.0,
                    "change": what,
                }),
            )
        }
        _ => ("  an operation of a newer version".into(), json!({ "op": "unknown" })),
    }
}

/// Options of an entry before and after, one line each, marked + and -.
fn diff(before: Option<&ProductItem>, after: Option<&ProductItem>) -> String {
    let Some(item) = after.or(before) else { return String::new() };
    let mark = match (before, after) {
        (None, _) => "+",
        (_, None) => "-",
        _ => "~",
    };
    let mut text = format!("{mark} product {} entry {}", item.item.product, item.item.entry);
    let options = |item: Option<&ProductItem>| -> Vec<(&'static str, String)> {
        let options = item.map(|item| item.options.iter().map(shown::option));
        options.into_iter().flatten().map(|(name, _, value)| (name, value)).collect()
    };
    let (old, new) = (options(before), options(after));
    for (name, value) in &old {
        if !new.contains(&(name, value.clone())) {
            text.push_str(&format!("\n    - {name:<11} {value}"));
        }
    }
    for (name, value) in &new {
        let sign = if old.contains(&(name, value.clone())) { ' ' } else { '+' };
        text.push_str(&format!("\n    {sign} {name:<11} {value}"));
    }
    text
}

fn apply(
    args: &Args,
    path: &Path,
    receipt_path: Option<&Path>,
    yes: bool,
    dry_run: bool,
    output: &Output,
) -> Result<()> {
    let update = UpdateFile::read(path)?;
    let container = reach::one(args)?;
    let (text, changes) = describe(&update, Some(&container))?;
    if dry_run {
        fits::check(&update, &container)?;
        receipt_path.map(files::check_new).transpose()?;
        output.data("update-apply", json!({ "dry_run": true, "changes": changes }), text);
        return Ok(());
    }
    if let Some(receipt) = receipt_path.filter(|receipt| receipt.exists()) {
        let hint = "Choose another name for the receipt. Nothing was applied.";
        return Err(CliError::conflict(format!("{} is there already", receipt.display()), hint));
    }
    output.say(&text);
    output.confirm("apply this update?", yes)?;
    let receipt_file = receipt_path.map(NewFile::begin).transpose()?;
    let mut progress = output.progress("applying");
    let applied = container.apply_update(
        update.root_object(),
        update.head(),
        update.body(),
        &mut |done, all| progress.update(done as u64, all as u64),
    );
    drop(progress);
    let (receipt, refusal) = match applied {
        Ok(receipt) => (Some(receipt), None),
        Err(UpdateError { error, receipt }) => (receipt, Some(error)),
    };
    let kept = match (receipt_file, &receipt) {
        (Some(file), Some(receipt)) => keep_receipt(file, &container, receipt, output),
        _ => Ok(()),
    };
    if let Some(error) = refusal {
        return Err(error.into());
    }
    kept.map_err(|error| {
        let firm = update.header.root_fp;
        error.about("the update is applied, but not its receipt written").hinting(format!(
            "Have it written again: strongroom update receipt --firm {firm} -o FILE"
        ))
    })?;
    let serial = container.serial().to_string();
    let number = update.header.seq;
    let data = json!({
        "serial": serial, "number": number, "receipt": receipt_path, "changes": changes,
    });
    output.data("update-apply", data, format!("update {number} is applied to {serial}"));
    Ok(())
}

fn keep_receipt(
    mut file: NewFile,
    container: &Container,
    receipt: &[u8],
    output: &Output,
) -> Result<()> {
    file.write(&file::write(FileKind::Receipt, &[container.certificate(), receipt]))?;
    let path = file.path().display().to_string();
    file.commit()?;
    output.say(format!("receipt written to {path}: send it back to the vendor"));
    Ok(())
}

fn receipt(
    args: &Args,
    firm: &str,
    number: u64,
    (path, dry_run): (&Path, bool),
    output: &Output,
) -> Result<()> {
    let container = reach::one(args)?;
    let root_fp = reach::firm(firm, Some(&container))?;
    let receipt = container.receipt(root_fp, number)?;
    let bytes = file::write(FileKind::Receipt, &[container.certificate(), &receipt]);
    if dry_run {
        files::check_new(path)?;
    } else {
        files::write_new(path, &bytes)?;
    }
    let serial = container.serial().to_string();
    let data = json!({ "serial": serial, "file": path, "dry_run": dry_run });
    let text = match dry_run {
        true => format!("the receipt of {serial} would be written to {}", path.display()),
        false => {
            format!("receipt of {serial} written to {}: send it to the vendor", path.display())
        }
    };
    output.data("update-receipt", data, text);
    Ok(())
}
