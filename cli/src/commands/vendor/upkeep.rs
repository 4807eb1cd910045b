//! `strongroom vendor time` and `vendor log`: what containers ask for and send between updates.

use protocol::errors::Failure;
use protocol::objects::file::{self, FileKind};
use protocol::objects::usage::{LoggedEntry, UsageKind};
use serde_json::json;
use vendor::upkeep::{read_time_request, read_usage_log};
use vendor::{Certifiers, Result, Shown, UsageLog, Vendor, files, times};

use crate::args::{VendorLogArgs, VendorTimeArgs};
use crate::clock;
use crate::output::Output;

pub(super) fn time(args: &VendorTimeArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let bytes = files::read(&args.request)?;
    let certifiers = Certifiers::of(&vendor.root);
    let (device, nonce) = read_time_request(&bytes, certifiers)
        .map_err(|failure| Shown::from(failure).about(args.request.display()))?;
    let serial = device.serial().to_string();
    let now_s = clock::now_s();
    let data = json!({
        "serial": serial, "time": now_s, "radius": args.radius, "file": args.output,
        "dry_run": args.dry_run,
    });
    if args.dry_run {
        files::check_new(&args.output)?;
        output.data("vendor-time", data, format!("{serial} would be told {}", times::show(now_s)));
        return Ok(());
    }
    let keys = vendor.keys(&args.keys)?;
    let time = (now_s, args.radius);
    let token = vendor.issuer().time_token(device.id, nonce, time, &keys)?;
    files::write_new(&args.output, &file::write(FileKind::TimeToken, &[&token]))?;
    let text = format!(
        "token for {serial} written to {}: {}, give or take {} seconds",
        args.output.display(),
        times::show(now_s),
        args.radius
    );
    output.data("vendor-time", data, text);
    Ok(())
}

pub(super) fn log(args: &VendorLogArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let bytes = files::read(&args.file)?;
    let about = |failure: Failure| Shown::from(failure).about(args.file.display());
    let certifiers = Certifiers::of(&vendor.root);
    let (statement, entries) = read_usage_log(&bytes, certifiers).map_err(about)?;
    let (id, header, serial) = (statement.device.id, statement.header, statement.serial());
    let mut known = UsageLog::load(&vendor.usage_dir(), certifiers.firm, id, &serial)?;
    let new =
        known.take(&header, &statement.body, &entries).map_err(|error| about(error.into()))?;
    let used = used_units(&entries[entries.len() - new..]);
    let data = json!({
        "serial": serial, "new": new, "last": header.seq, "used": used, "file": args.output,
        "dry_run": args.dry_run,
    });
    let text = format!(
        "{serial}: {new} new entries up to {}, {used} units used in them; {} are kept",
        header.seq,
        known.seq()
    );
    if args.dry_run {
        files::check_new(&args.output)?;
        output.data("vendor-log", data, text);
        return Ok(());
    }
    let keys = vendor.keys(&args.keys)?;
    let ack = vendor.issuer().usage_ack(id, statement.point(), clock::now_s(), &keys)?;
    files::check_new(&args.output)?;
    // Kept first: what is acknowledged is forgotten over there.
    known.save(&vendor.usage_dir(), id)?;
    files::write_new(&args.output, &file::write(FileKind::UsageAck, &[&ack]))?;
    let text = format!("{text}\nacknowledgement written to {}", args.output.display());
    output.data("vendor-log", data, text);
    Ok(())
}

/// Units that these entries say were used.
fn used_units(entries: &[LoggedEntry]) -> u64 {
    let used = entries.iter().filter(|logged| {
        let kind = logged.entry.leaf.kind;
        matches!(kind, UsageKind::Taken | UsageKind::Used | UsageKind::Charged)
    });
    used.map(|logged| logged.entry.leaf.units).fold(0, u64::saturating_add)
}
