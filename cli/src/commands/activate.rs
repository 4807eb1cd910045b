//! `strongroom activate`, `renew`, `collect`, `release` and `move`: what Central issues, straight
//! into the container, or by files both ways.

mod exchange;
mod restore;
mod wizard;

use base64::Engine;
use base64::prelude::BASE64_STANDARD as BASE64;
use container::Container;
use protocol::errors::{ErrorCode, Shown};
use protocol::ids::RootFp;
use protocol::objects::device::ClockClass;
use protocol::objects::file::{self, FileKind};
use serde::Deserialize;
use serde_json::{Value, json};
use vendor::Result;

use super::container::time;
use super::update::{UpdateFile, apply_one, bring_news, describe};
use crate::args::{ActivateArgs, Args, CollectArgs, DeliverArgs, MoveArgs, ReleaseArgs};
use crate::online::{Client, Firm, decoded};
use crate::output::Output;
use crate::{clock, owner, reach};

/// Seconds after which a container is told the time anew, whatever clock it has.
const TIME_OLD_S: u64 = 86_400;

/// What the container still has to apply.
#[derive(Deserialize)]
struct Updates {
    updates: Vec<OneUpdate>,
    /// Roots and revocations that the container lacks, where no update brings them.
    trust: Option<String>,
}

#[derive(Deserialize)]
struct OneUpdate {
    file: String,
    what: String,
}

pub(super) use restore::run as restore;
pub(super) use wizard::run as wizard;

pub(super) fn activate(command: &ActivateArgs, args: &Args, output: &Output) -> Result<()> {
    let body = json!({ "ticket": command.ticket, "products": command.product });
    ask("/activations", body, &command.deliver, args, output)
}

pub(super) fn collect(command: &CollectArgs, args: &Args, output: &Output) -> Result<()> {
    match &command.receipt {
        Some(path) => exchange::hand_in(path, &command.deliver, output),
        None => ask("/collections", json!({}), &command.deliver, args, output),
    }
}

pub(super) fn release(command: &ReleaseArgs, args: &Args, output: &Output) -> Result<()> {
    let body = json!({ "products": command.product });
    ask("/releases", body, &command.deliver, args, output)
}

/// For the container that is here, or by files for one that is elsewhere.
fn ask(path: &str, body: Value, command: &DeliverArgs, args: &Args, output: &Output) -> Result<()> {
    let done = match (&command.request, &command.response) {
        (Some(request), Some(response)) => {
            exchange::by_files((path, body), (request, response), command)?
        }
        _ => deliver((path, body), &reach::one(args)?, command, args, output)?,
    };
    output.data("deliver", done.data, done.text);
    Ok(())
}

/// Out of one container, then into the other if it is here too.
pub(super) fn relocate(command: &MoveArgs, args: &Args, output: &Output) -> Result<()> {
    let deliver_args = &command.release.deliver;
    if deliver_args.request.is_some() {
        let body = json!({ "products": command.release.product, "to": command.to });
        return ask("/moves", body, deliver_args, args, output);
    }
    let (from, to) = both(args, &command.to)?;
    let serial = to.as_ref().map_or_else(|| command.to.clone(), |to| to.serial().to_string());
    let body = json!({ "products": command.release.product, "to": serial });
    let out = deliver(("/moves", body), &from, deliver_args, args, output)?;
    let into = match &to {
        Some(to) => {
            output.say(&out.text);
            Some(deliver(("/collections", json!({})), to, deliver_args, args, output)?)
        }
        None => None,
    };
    let text = match &into {
        Some(into) => into.text.clone(),
        None => format!("{}\ncollect them there: strongroom collect", out.text),
    };
    let data = json!({ "to": serial, "out": out.data, "into": into.map(|into| into.data) });
    output.data("move", data, text);
    Ok(())
}

/// The container that licenses leave, and the one that gets them if it is here.
fn both(args: &Args, to: &str) -> Result<(Container, Option<Container>)> {
    let mut found = reach::all(args)?.discover().containers;
    let at = found.iter().position(|(_, container)| container.serial().matches(to));
    let to = at.map(|at| found.swap_remove(at).1);
    if let Some(serial) = &args.container {
        let from = found.into_iter().find(|(_, one)| one.serial().matches(serial));
        let missing = || Shown::from(ErrorCode::ContainerUnknown.failure()).about(serial);
        return Ok((from.ok_or_else(missing)?.1, to));
    }
    match found.len() {
        1 => Ok((found.swap_remove(0).1, to)),
        0 => {
            Err(Shown::not_found("the container that has the licenses is not here", "Plug it in."))
        }
        _ => {
            let serials: Vec<String> =
                found.iter().map(|(_, one)| one.serial().to_string()).collect();
            let refused = Shown::from(ErrorCode::SeveralContainers.with(found.len() as u64, 0));
            Err(refused.about(serials.join(", ")))
        }
    }
}

/// What was done, for scripts and for people.
struct Done {
    data: Value,
    text: String,
}

/// Sends the container's context, shows what comes back, applies it and sends the receipts.
fn deliver(
    (path, mut body): (&str, Value),
    container: &Container,
    command: &DeliverArgs,
    args: &Args,
    output: &Output,
) -> Result<Done> {
    let client = Client::of(&command.gateway)?;
    let firm = Firm::of(&client)?;
    let root_fp = firm.root_fp()?;
    let serial = container.serial().to_string();
    if command.dry_run {
        // What Central would issue it issues; so nothing is asked of it.
        let text = format!("{} would be asked what it has for {serial}", firm.name);
        let data = json!({ "serial": serial, "vendor": firm.name, "dry_run": true });
        return Ok(Done { data, text });
    }
    let context = container.context(root_fp, vendor::fresh_nonce()?)?;
    let context = file::write(FileKind::Context, &[container.certificate(), &context]);
    body["context"] = BASE64.encode(&context).into();
    let waiting: Updates = client.post(path, None, &body)?;
    let updates: Result<Vec<UpdateFile>> = waiting.updates.iter().map(read).collect();
    let updates = updates?;
    let mut changes = Vec::new();
    for update in &updates {
        let (text, change) = describe(update, Some(container))?;
        output.say(&text);
        changes.push(change);
    }
    if !updates.is_empty() {
        output.confirm("apply this?", command.yes)?;
        let known = container.firms()?.iter().any(|own| own.root_fp == root_fp);
        if !known {
            owner::unlock(container, args)?;
        }
    }
    let mut receipts_sent = 0;
    for update in &updates {
        let receipt = apply_one(update, container, output)?;
        receipts_sent += u32::from(send_receipt(&client, container, &receipt, output));
    }
    let news = waiting.trust.as_deref().map(|text| take_news(text, container, command, output));
    let news = news.transpose()?;
    let certified = refresh_time(&client, container, root_fp, output)?;
    let text = match updates.len() {
        0 => format!("nothing waits for {serial}"),
        1 => format!("1 update is applied to {serial}"),
        count => format!("{count} updates are applied to {serial}"),
    };
    let data = json!({
        "serial": serial, "vendor": firm.name, "applied": updates.len(),
        "receipts_sent": receipts_sent, "changes": changes, "certified": certified,
        "trust": news,
    });
    Ok(Done { data, text })
}

/// Brings the container roots and revocations that it does not have yet: what is new.
fn take_news(
    text: &str,
    container: &Container,
    command: &DeliverArgs,
    output: &Output,
) -> Result<Value> {
    let news = UpdateFile::parse(&decoded(text)?)?;
    let (text, change) = describe(&news, Some(container))?;
    output.say(&text);
    output.confirm("apply this?", command.yes)?;
    bring_news(&news, container)?;
    Ok(change)
}

/// Has the vendor tell the container the time, where it cannot know it by itself or was told long
/// ago. Whether it was told: licenses that need it say so when they are used.
fn refresh_time(
    client: &Client,
    container: &Container,
    firm: RootFp,
    output: &Output,
) -> Result<bool> {
    if !container.firms()?.iter().any(|own| own.root_fp == firm) {
        return Ok(false);
    }
    let (_, body) = reach::context(container, firm)?;
    let is_old = body.time.certified_s.saturating_add(TIME_OLD_S) < clock::now_s();
    if body.time.class == ClockClass::Rtc && !is_old {
        return Ok(false);
    }
    let told = time::fetch(client, container, firm);
    if let Err(error) = &told {
        let title = error.title(&vendor::times::show);
        output.say(format!("warning: the container was not told the time ({title})"));
    }
    Ok(told.is_ok())
}

fn read(update: &OneUpdate) -> Result<UpdateFile> {
    UpdateFile::parse(&decoded(&update.file)?)
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
