//! `strongroom license log`: what a container booked for a vendor, on its way to that vendor.

use std::path::Path;

use container::Container;
use protocol::codec;
use protocol::errors::ErrorCode;
use protocol::ids::RootFp;
use protocol::limits::STATEMENT_BODY_LEN_MAX;
use protocol::objects::file::{self, FileKind};
use protocol::objects::usage::{LoggedEntry, UsageHeadBody, chain, check_chain, write_entries};
use protocol::signed::UnverifiedObject;
use serde_json::{Value, json};
use vendor::{Result, Shown, files, fresh_nonce};

use crate::args::{Args, LogArgs};
use crate::commands::shown;
use crate::output::Output;
use crate::reach;

/// The log of a firm as the container tells it.
struct Log {
    object: Vec<u8>,
    seq: u64,
    acked_seq: u64,
    entries: Vec<LoggedEntry>,
}

pub(super) fn run(command: &LogArgs, args: &Args, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    if let Some(path) = &command.acknowledge {
        return acknowledge(&container, path, command.dry_run, output);
    }
    let firm = match &command.firm {
        Some(named) => reach::firm(named, Some(&container))?,
        None => only_firm(&container)?,
    };
    let log = fetch(&container, firm)?;
    match &command.output {
        Some(path) => write(&container, &log, path, command.dry_run, output),
        None => {
            show(&container, &log, output);
            Ok(())
        }
    }
}

fn only_firm(container: &Container) -> Result<RootFp> {
    match container.firms()?.as_slice() {
        [firm] => Ok(firm.root_fp),
        [] => Err(ErrorCode::FirmUnknown.failure().into()),
        firms => Err(Shown::usage(
            format!("{} vendors are in the container", firms.len()),
            "Name one with --firm.",
        )),
    }
}

fn fetch(container: &Container, firm: RootFp) -> Result<Log> {
    let object = container.usage_head(firm, fresh_nonce()?)?;
    let garbage = ErrorCode::DeviceGarbage.failure();
    let (head, _) = UnverifiedObject::read(&object, STATEMENT_BODY_LEN_MAX).map_err(|_| garbage)?;
    let header = *head.header();
    let body = head.body_if_intact().ok_or(garbage)?;
    let body: UsageHeadBody = codec::decode(body, STATEMENT_BODY_LEN_MAX).map_err(|_| garbage)?;
    let entries = container.usage_entries(firm, body.acked_seq, header.seq)?;
    let entries = chain(body.acked_head.0, body.acked_seq, &entries);
    check_chain(body.acked_head.0, body.acked_seq, &entries, &header.state).map_err(|_| garbage)?;
    Ok(Log { seq: header.seq, acked_seq: body.acked_seq, entries, object })
}

fn show(container: &Container, log: &Log, output: &Output) {
    let all = log.entries.iter().map(|logged| shown::usage_entry(&logged.entry));
    let (lines, rows): (Vec<String>, Vec<Value>) = all.unzip();
    let mut text = format!(
        "{}: {} entries, those up to {} are with the vendor",
        container.serial(),
        log.seq,
        log.acked_seq
    );
    lines.iter().for_each(|line| text.push_str(&format!("\n  {line}")));
    let data = json!({
        "serial": container.serial().to_string(), "last": log.seq,
        "acknowledged": log.acked_seq, "entries": rows,
    });
    output.data("license-log", data, text);
}

fn write(
    container: &Container,
    log: &Log,
    path: &Path,
    dry_run: bool,
    output: &Output,
) -> Result<()> {
    let entries = write_entries(&log.entries);
    let bytes = file::write(FileKind::UsageLog, &[container.certificate(), &log.object, &entries]);
    match dry_run {
        true => files::check_new(path)?,
        false => files::write_new(path, &bytes)?,
    }
    let (serial, count) = (container.serial().to_string(), log.entries.len());
    let data = json!({
        "serial": serial, "file": path, "entries": count, "last": log.seq, "dry_run": dry_run,
    });
    let done = if dry_run { "would be written" } else { "written" };
    let text = format!(
        "{count} entries of {serial} {done} to {}: send them to the vendor",
        path.display()
    );
    output.data("license-log-file", data, text);
    Ok(())
}

fn acknowledge(container: &Container, path: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let bytes = files::read(path)?;
    let read = || -> std::result::Result<_, protocol::errors::Failure> {
        let object = file::expect(&bytes, FileKind::UsageAck)?;
        let (ack, rest) = file::next_object(object, STATEMENT_BODY_LEN_MAX)?;
        file::finish(rest)?;
        Ok((object, *ack.header()))
    };
    let (object, header) = read().map_err(|failure| Shown::from(failure).about(path.display()))?;
    let serial = container.serial().to_string();
    if !dry_run {
        container.usage_ack(object)?;
    }
    let done = if dry_run { "would be forgotten" } else { "are forgotten" };
    let data = json!({ "serial": serial, "acknowledged": header.seq, "dry_run": dry_run });
    let text = format!("entries up to {} {done} by {serial}: the vendor has them", header.seq);
    output.data("license-log-acknowledge", data, text);
    Ok(())
}
