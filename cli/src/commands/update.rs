//! `strongroom update`: see and apply what a vendor sent.

mod fits;

use std::path::Path;

use container::{Container, UpdateError};
use protocol::command::FirmInfo;
use protocol::errors::ErrorCode;
use protocol::ids::{ContainerId, RootFp};
use protocol::limits::UPDATE_BODY_LEN_MAX;
use protocol::objects::data::{DataContent, DataField};
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::revocation::StalePolicy;
use protocol::objects::update::{UpdateOp, read_ops};
use protocol::signed::{Header, Kind, Role, UnverifiedObject};
use serde_json::{Value, json};
use vendor::files::NewFile;
use vendor::trust::Trust;
use vendor::{Result, Shown, files, times};

use super::shown;
use crate::args::{Args, UpdateCommand};
use crate::output::Output;
use crate::{owner, reach};

pub(super) fn run(command: &UpdateCommand, args: &Args, output: &Output) -> Result<()> {
    match command {
        UpdateCommand::Preview { file } => preview(args, file, output),
        UpdateCommand::Apply { file, receipt, refuse_stale, yes, dry_run } => {
            let updates = UpdateFile::read_all(file)?;
            for update in &updates {
                warn_stale(update, *refuse_stale, output)?;
            }
            apply(args, &updates, (receipt.as_deref(), *yes, *dry_run), output)
        }
        UpdateCommand::Receipt { firm, number, output: path, dry_run } => {
            receipt(args, firm, *number, (path, *dry_run), output)
        }
    }
}

/// An update file, taken apart, or a file of roots and revocations without an update. Whether the
/// vendor signed it is for the container to judge, and for [`UpdateFile::read`] where the file
/// brings the vendor's root v1.
pub(super) struct UpdateFile {
    pub(super) trust: Trust,
    pub(super) update: Option<Update>,
}

/// The update in an update file.
pub(super) struct Update {
    pub(super) header: Header,
    head: Vec<u8>,
    body: Vec<u8>,
    pub(super) ops: Vec<UpdateOp>,
}

impl UpdateFile {
    fn read_all(path: &Path) -> Result<Vec<Self>> {
        Self::parse_all(&files::read(path)?).map_err(|error| error.about(path.display()))
    }

    /// Takes a file's bytes apart that holds one update, or none.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self> {
        let (kind, objects) = file::kind(bytes)?;
        if kind != FileKind::Trust {
            file::expect(bytes, FileKind::Update)?;
        }
        let (trust, rest) = Trust::take(objects)?;
        if kind == FileKind::Trust {
            file::finish(rest)?;
            return Ok(UpdateFile { trust, update: None });
        }
        let (update, behind) = Update::take(rest, &trust)?;
        file::finish(behind)?;
        Ok(UpdateFile { trust, update: Some(update) })
    }

    /// Takes a file's bytes apart that may hold several updates: at least one comes of it.
    pub(super) fn parse_all(bytes: &[u8]) -> Result<Vec<Self>> {
        let (kind, objects) = file::kind(bytes)?;
        if kind != FileKind::Updates {
            return Ok(vec![Self::parse(bytes)?]);
        }
        let (trust, mut rest) = Trust::take(objects)?;
        let mut updates = Vec::new();
        while updates.is_empty() || !rest.is_empty() {
            let (update, behind) = Update::take(rest, &trust)?;
            updates.push(UpdateFile { trust: trust.clone(), update: Some(update) });
            rest = behind;
        }
        Ok(updates)
    }

    /// Whose it is.
    fn root_fp(&self) -> Result<RootFp> {
        let named = self.update.as_ref().map(|update| update.header.root_fp);
        let found = named.or_else(|| self.trust.root_fp());
        Ok(found.ok_or(ErrorCode::Malformed.failure())?)
    }
}

impl Update {
    /// Takes an update off the front.
    fn take<'a>(bytes: &'a [u8], trust: &Trust) -> Result<(Self, &'a [u8])> {
        let (object, behind) = file::next_object(bytes, UPDATE_BODY_LEN_MAX)?;
        let header = *object.header();
        if !matches!(header.kind, Kind::Update | Kind::Recovery) {
            return Err(ErrorCode::Malformed.failure().into());
        }
        let ops = trusted_body(&object, trust)?;
        let own = &bytes[..bytes.len() - behind.len()];
        let (head, body) = own.split_at(own.len() - header.body_len as usize);
        Ok((Update { header, head: head.to_vec(), body: body.to_vec(), ops }, behind))
    }
}

/// The operations: only of a body whose hash is that of the header, and, where the root v1 is
/// there, whose header a key signed that the newest root allows.
fn trusted_body(update: &UnverifiedObject<'_>, trust: &Trust) -> Result<Vec<UpdateOp>> {
    let header = update.header();
    let refused = ErrorCode::UpdateSignature.failure();
    let body = match &trust.root {
        Some(root) if root.root_fp != header.root_fp => {
            return Err(ErrorCode::UpdateOtherFirm.failure().into());
        }
        Some(root) if header.kind == Kind::Recovery => {
            let signed = root.body.check_signed(header, update.proof(), Role::Recovery);
            signed.map_err(|_| refused)?;
            update.body_if_intact()
        }
        Some(root) => {
            let own = root.key(Role::Licensing, header.key_id);
            let key = own.or(trust.delegate.as_ref().map(|delegate| delegate.key));
            let object = update.verify_role(Role::Licensing, &key.ok_or(refused)?);
            Some(object.map_err(|_| refused)?.body)
        }
        None => update.body_if_intact(),
    };
    let body = body.ok_or(ErrorCode::UpdateBody.failure())?;
    read_ops(body).map_err(|error| {
        let failure = Shown::from(ErrorCode::UpdateOp.failure());
        failure.about(error)
    })
}

fn preview(args: &Args, path: &Path, output: &Output) -> Result<()> {
    // Without the container the old values are not known; the update can still be read.
    let container = reach::one(args).ok();
    let updates = UpdateFile::read_all(path)?;
    for update in &updates {
        warn_stale(update, None, output)?;
    }
    let (text, mut data) = describe_all(&updates, container.as_ref())?;
    let data = if data.len() == 1 { data.remove(0) } else { json!({ "updates": data }) };
    output.data("update-preview", data, text);
    Ok(())
}

/// The same for several updates, each as if it were the next.
fn describe_all(
    updates: &[UpdateFile],
    container: Option<&Container>,
) -> Result<(String, Vec<Value>)> {
    let described: Result<Vec<_>> =
        updates.iter().map(|update| describe(update, container)).collect();
    let (texts, data): (Vec<String>, Vec<Value>) = described?.into_iter().unzip();
    Ok((texts.join("\n"), data))
}

/// Old and new values, field by field.
pub(super) fn describe(
    update: &UpdateFile,
    container: Option<&Container>,
) -> Result<(String, Value)> {
    let root_fp = update.root_fp()?;
    let target = update.update.as_ref().map(|update| update.header.target);
    let is_target =
        |container: &&Container| target.is_none_or(|id| *container.device().id.bytes() == id);
    let here = container.filter(is_target);
    let firms = here.map(Container::firms).transpose()?.unwrap_or_default();
    let known = firms.iter().find(|firm| firm.root_fp == root_fp);
    let old = match (here, known) {
        (Some(container), Some(_)) => container.items(root_fp)?,
        _ => Vec::new(),
    };
    let brought = update.trust.root.as_ref();
    let name = known.map(|firm| firm.name.to_string());
    let name = name.or_else(|| brought.map(|root| root.body.name.to_string()));
    let name = name.unwrap_or_else(|| "a vendor whose root is not in the file".into());
    let what = match &update.update {
        Some(update) => format!("update {}", update.header.seq),
        None => "roots and revocations".into(),
    };
    let mut text = format!("{what} from {name}\n  fingerprint {root_fp}");
    if let (Some(root), None, Some(_)) = (brought, known, &update.update) {
        text.push_str(&format!(
            "\n  NEW VENDOR in this container ({}): compare the fingerprint with what the vendor \
             publishes",
            shown::mode(root.body.mode)
        ));
    }
    text.push_str(&whereabouts(target, container, here));
    let until_s = update.update.as_ref().map_or(0, |update| update.header.until_s);
    if until_s != 0 {
        text.push_str(&format!("\n  to be applied before {}", times::show(until_s)));
    }
    let (lines, mut changes) = update.trust.describe(known);
    lines.iter().for_each(|line| text.push_str(&format!("\n{line}")));
    if update.update.is_none() && changes.is_empty() {
        text.push_str("\n  nothing is new in it");
    }
    for op in update.update.iter().flat_map(|update| &update.ops) {
        let (line, change) = describe_op(op, &old);
        text.push_str(&format!("\n{line}"));
        changes.push(change);
    }
    let data = json!({
        "number": update.update.as_ref().map(|update| update.header.seq), "vendor": name,
        "root_fp": root_fp.to_string(),
        "container": target.map(|id| ContainerId::new(id).to_string()),
        "here": here.is_some(), "apply_before": until_s, "changes": changes,
    });
    Ok((text, data))
}

/// For which container it is, and whether that one is here.
fn whereabouts(
    target: Option<[u8; 16]>,
    container: Option<&Container>,
    here: Option<&Container>,
) -> String {
    match (container, here, target) {
        (_, Some(container), Some(_)) => {
            format!("\n  for {}, which is here", container.serial())
        }
        (_, Some(container), None) => format!("\n  for any container, also {}", container.serial()),
        (Some(other), None, Some(id)) => format!(
            "\n  for ANOTHER CONTAINER (id {}) than {}, which is here",
            ContainerId::new(id),
            other.serial()
        ),
        _ => "\n  its container is not here: old values are not known".into(),
    }
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
        UpdateOp::SetData { item, field, content } => describe_data(*item, *field, content),
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
        UpdateOp::Perpetuate(products) => {
            let mut text =
                format!("~ products {} to {} lapse no more", products.first, products.last);
            let lapsing = old.iter().filter(|item| item.checkpoint().is_some());
            for item in lapsing.filter(|item| products.contains(item.item.product)) {
                let ItemRef { product, entry } = item.item;
                text.push_str(&format!("\n    - checkpoint of product {product} entry {entry}"));
            }
            let (first, last) = (products.first.0, products.last.0);
            (text, json!({ "op": "perpetuate", "first": first, "last": last }))
        }
        UpdateOp::Unlock => {
            ("~ licenses that a trap locked open again".into(), json!({ "op": "unlock" }))
        }
        UpdateOp::Answer(_) => {
            ("  the container's request is answered".into(), json!({ "op": "answer" }))
        }
        _ => ("  an operation of a newer version".into(), json!({ "op": "unknown" })),
    }
}

fn describe_data(item: ItemRef, field: DataField, content: &DataContent) -> (String, Value) {
    let (product, entry, name) = (item.product, item.entry, shown::field(field));
    let (mark, what) = match content {
        DataContent::Plain(bytes) if bytes.is_empty() => ("-", String::new()),
        DataContent::Plain(bytes) => ("+", format!(", {} bytes", bytes.len())),
        _ => ("+", ", sealed".into()),
    };
    let data = json!({
        "op": "set-data", "product": product.0, "entry": entry.0, "field": name,
        "removed": mark == "-",
    });
    (format!("  {mark} data {name} of product {product} entry {entry}{what}"), data)
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

/// Warns of revocations whose time is over, and refuses them where the user says so: somebody may
/// keep newer ones away.
fn warn_stale(update: &UpdateFile, refuse_after_days: Option<u32>, output: &Output) -> Result<()> {
    let refuse_after_s = refuse_after_days.map(|days| u64::from(days) * 86_400);
    if let Some(warning) = update.trust.check_stale(StalePolicy { refuse_after_s })? {
        output.say(format!("warning: {warning}"));
    }
    Ok(())
}

fn apply(
    args: &Args,
    updates: &[UpdateFile],
    (receipt_path, yes, dry_run): (Option<&Path>, bool, bool),
    output: &Output,
) -> Result<()> {
    let container = reach::one(args)?;
    let updates = still_new(updates, &container)?;
    let (text, mut changes) = describe_all(updates, Some(&container))?;
    let changes = if changes.len() == 1 { changes.remove(0) } else { json!(changes) };
    if dry_run {
        fits::check(&updates[0], &container)?;
        receipt_path.map(files::check_new).transpose()?;
        output.data("update-apply", json!({ "dry_run": true, "changes": changes }), text);
        return Ok(());
    }
    if let Some(receipt) = receipt_path.filter(|receipt| receipt.exists()) {
        let hint = "Choose another name for the receipt. Nothing was applied.";
        return Err(Shown::conflict(format!("{} is there already", receipt.display()), hint));
    }
    output.say(&text);
    output.confirm("apply this update?", yes)?;
    let Some(update_in) = updates.last().and_then(|update| update.update.as_ref()) else {
        return apply_trust(&updates[0], &container, changes, output);
    };
    // A vendor that is new here is let in by the owner.
    if container.firms()?.iter().all(|firm| firm.root_fp != update_in.header.root_fp) {
        owner::unlock(&container, args)?;
    }
    let receipt_file = receipt_path.map(NewFile::begin).transpose()?;
    let (receipt, refusal) = apply_each(updates, &container, output);
    let kept = match (receipt_file, &receipt) {
        (Some(file), Some(receipt)) => keep_receipt(file, &container, receipt, output),
        _ => Ok(()),
    };
    if let Some(error) = refusal {
        return Err(error.into());
    }
    kept.map_err(|error| {
        let firm = update_in.header.root_fp;
        error.about("the update is applied, but not its receipt written").hinting(format!(
            "Have it written again: strongroom update receipt --firm {firm} -o FILE"
        ))
    })?;
    let serial = container.serial().to_string();
    let number = update_in.header.seq;
    let data = json!({
        "serial": serial, "number": number, "receipt": receipt_path, "changes": changes,
    });
    output.data("update-apply", data, format!("update {number} is applied to {serial}"));
    Ok(())
}

/// Those of several updates that the container has not applied yet: the last one at least, so that
/// the container itself says what is wrong with it.
fn still_new<'a>(updates: &'a [UpdateFile], container: &Container) -> Result<&'a [UpdateFile]> {
    if updates.len() < 2 {
        return Ok(updates);
    }
    let (context, _) = reach::context(container, updates[0].root_fp()?)?;
    let is_old = |update: &&UpdateFile| {
        update.update.as_ref().is_some_and(|update| update.header.seq <= context.seq)
    };
    let old = updates.iter().take_while(is_old).count();
    Ok(&updates[old.min(updates.len() - 1)..])
}

/// Applies updates one after the other, as far as they go. The last receipt that there is, also
/// that of a refusal.
fn apply_each(
    updates: &[UpdateFile],
    container: &Container,
    output: &Output,
) -> (Option<Vec<u8>>, Option<container::Error>) {
    let mut last = None;
    for file in updates {
        let Some(update) = &file.update else { continue };
        let mut progress = output.progress("applying");
        let applied = bring_and_apply(file, update, container, &mut |done, all| {
            progress.update(done as u64, all as u64);
        });
        match applied {
            Ok(receipt) => last = Some(receipt),
            Err(UpdateError { error, receipt }) => return (receipt.or(last), Some(error)),
        }
    }
    (last, None)
}

/// Applies an update that was shown before, and returns its receipt.
pub(super) fn apply_one(
    file: &UpdateFile,
    container: &Container,
    output: &Output,
) -> Result<Vec<u8>> {
    match apply_each(std::slice::from_ref(file), container, output) {
        (_, Some(error)) => Err(error.into()),
        (Some(receipt), None) => Ok(receipt),
        (None, None) => Err(ErrorCode::Malformed.failure().into()),
    }
}

/// Brings what the container does not know, then applies the update. A new vendor that has its
/// first root only comes in by the update itself.
fn bring_and_apply(
    file: &UpdateFile,
    update: &Update,
    container: &Container,
    progress: &mut dyn FnMut(usize, usize),
) -> std::result::Result<Vec<u8>, UpdateError> {
    let firms = container.firms()?;
    let firm = firms.iter().find(|firm| firm.root_fp == update.header.root_fp);
    let mut root: &[u8] = &[];
    // What is for another container says nothing to this one.
    if *container.device().id.bytes() == update.header.target {
        match file.trust.roots.first() {
            Some(first) if file.trust.is_first_root_alone() => root = &first.bytes,
            _ => bring(&file.trust, container, firm)?,
        }
    }
    container.apply_update(root, &update.head, &update.body, progress)
}

/// Brings a container what it does not know of whom to trust. `firm` is what it says of the firm.
fn bring(
    trust: &Trust,
    container: &Container,
    firm: Option<&FirmInfo>,
) -> std::result::Result<(), container::Error> {
    for part in trust.objects().filter(|part| trust.is_new(part, firm)) {
        container.bring(&part.bytes)?;
    }
    Ok(())
}

/// Brings what is new in a file without an update to a container that has the vendor.
pub(super) fn bring_news(file: &UpdateFile, container: &Container) -> Result<()> {
    let (root_fp, firms) = (file.root_fp()?, container.firms()?);
    let firm = firms.iter().find(|firm| firm.root_fp == root_fp);
    let firm = firm.ok_or(ErrorCode::FirmUnknown.failure())?;
    Ok(bring(&file.trust, container, Some(firm))?)
}

/// Roots and revocations alone, for a vendor that is in the container.
fn apply_trust(
    file: &UpdateFile,
    container: &Container,
    changes: Value,
    output: &Output,
) -> Result<()> {
    bring_news(file, container)?;
    let serial = container.serial().to_string();
    let data = json!({ "serial": serial, "number": null, "changes": changes });
    output.data("update-apply", data, format!("{serial} knows them now"));
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
