//! `strongroom activate`, `renew` and `release`: what Central issues, straight into the container.

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use container::Container;
use protocol::errors::Shown;
use protocol::ids::RootFp;
use protocol::objects::file::{self, FileKind};
use serde::Deserialize;
use serde_json::{Value, json};
use vendor::Result;

use super::update::{UpdateFile, apply_one, describe};
use crate::args::{ActivateArgs, Args, DeliverArgs};
use crate::online::Client;
use crate::output::Output;
use crate::{owner, reach};

/// Whose Gateway it is.
#[derive(Deserialize)]
struct Firm {
    root_fp: String,
    name: String,
}

/// What the container still has to apply.
#[derive(Deserialize)]
struct Updates {
    updates: Vec<OneUpdate>,
}

#[derive(Deserialize)]
struct OneUpdate {
    file: String,
}

pub(super) fn activate(command: &ActivateArgs, args: &Args, output: &Output) -> Result<()> {
    let body = json!({ "ticket": command.ticket, "products": command.deliver.product });
    deliver("/activations", body, &command.deliver, args, output)
}

pub(super) fn renew(command: &DeliverArgs, args: &Args, output: &Output) -> Result<()> {
    deliver("/renewals", json!({ "products": command.product }), command, args, output)
}

pub(super) fn release(command: &DeliverArgs, args: &Args, output: &Output) -> Result<()> {
    deliver("/releases", json!({ "products": command.product }), command, args, output)
}

/// Sends the container's context, shows what comes back, applies it and sends the receipts.
fn deliver(
    path: &str,
    mut body: Value,
    command: &DeliverArgs,
    args: &Args,
    output: &Output,
) -> Result<()> {
    let client = Client::new(&command.gateway.gateway, None)?;
    let container = reach::one(args)?;
    let firm: Firm = client.get("")?;
    let root_fp = RootFp::from_hex(&firm.root_fp).ok_or_else(|| {
        Shown::usage("the Gateway names no vendor", "Check its address: it ends in the vendor.")
    })?;
    if command.dry_run {
        // What Central would issue it issues; so nothing is asked of it.
        let serial = container.serial().to_string();
        let text = format!("{} would be asked for licenses into {serial}", firm.name);
        let data = json!({ "serial": serial, "vendor": firm.name, "dry_run": true });
        output.data("deliver", data, text);
        return Ok(());
    }
    let context = container.context(root_fp, vendor::fresh_nonce()?)?;
    let context = file::write(FileKind::Context, &[container.certificate(), &context]);
    body["context"] = BASE64.encode(&context).into();
    let waiting: Updates = client.post(path, None, &body)?;
    let updates: Result<Vec<UpdateFile>> = waiting.updates.iter().map(read).collect();
    let updates = updates?;
    let mut changes = Vec::new();
    for update in &updates {
        let (text, change) = describe(update, Some(&container))?;
        output.say(&text);
        changes.push(change);
    }
    if !updates.is_empty() {
        output.confirm("apply this?", command.yes)?;
        let known = container.firms()?.iter().any(|own| own.root_fp == root_fp);
        if !known {
            owner::unlock(&container, args)?;
        }
    }
    let mut receipts_sent = 0;
    for update in &updates {
        let receipt = apply_one(update, &container, output)?;
        receipts_sent += u32::from(send_receipt(&client, &container, &receipt, output));
    }
    let serial = container.serial().to_string();
    let text = match updates.len() {
        0 => format!("nothing waits for {serial}"),
        1 => format!("1 update is applied to {serial}"),
        count => format!("{count} updates are applied to {serial}"),
    };
    let data = json!({
        "serial": serial, "vendor": firm.name, "applied": updates.len(),
        "receipts_sent": receipts_sent, "changes": changes,
    });
    output.data("deliver", data, text);
    Ok(())
}

fn read(update: &OneUpdate) -> Result<UpdateFile> {
    let bytes = BASE64.decode(&update.file).map_err(|error| {
        Shown::from(protocol::errors::ErrorCode::Malformed.failure()).detailed(error)
    })?;
    UpdateFile::parse(&bytes)
}

/// Whether Central has it. One that is lost is made good by the next context.
fn send_receipt(client: &Client, container: &Container, receipt: &[u8], output: &Output) -> bool {
    let file = file::write(FileKind::Receipt, &[container.certificate(), receipt]);
    let body = json!({ "receipt": BASE64.encode(file) });
    let sent: Result<Value> = client.post("/receipts", None, &body);
    if let Err(error) = &sent {
        let title = error.title(&vendor::times::show);
        output.say(format!(
            "warning: the vendor does not have the receipt yet ({title}); it will with the next \
             call"
        ));
    }
    sent.is_ok()
}
