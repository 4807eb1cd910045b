//! `strongroom vendor receipt` and `vendor inventory`: what containers prove to a vendor.

use std::path::Path;

use protocol::errors::ErrorCode;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::{FinalBody, ReceiptBody};
use serde_json::json;
use vendor::{
    Certifiers, Ledger, Point, Result, Shown, Vendor, VerifiedStatement, files, read_inventory,
    read_statement, times,
};

use crate::args::VendorInventoryArgs;
use crate::commands::{container, shown};
use crate::output::Output;

/// Takes in a receipt, or a final statement: the file says which.
pub(super) fn receipt(file: &Path, dir: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let vendor = Vendor::open(dir)?;
    match file::kind(&files::read(file)?) {
        Ok((FileKind::FinalStatement, _)) => last(&vendor, file, dry_run, output),
        _ => applied(&vendor, file, dry_run, output),
    }
}

fn applied(vendor: &Vendor, file: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let certifiers = Certifiers::of(&vendor.root);
    let receipt: VerifiedStatement<ReceiptBody> =
        read_statement(file, FileKind::Receipt, certifiers)?;
    let (mut ledger, serial, point) = ledger(vendor, &receipt)?;
    ledger.settle(point)?;
    if !dry_run {
        ledger.save(&vendor.containers_dir(), receipt.device.id)?;
    }
    let missing = ledger.outstanding.len();
    let data = json!({
        "serial": serial, "number": point.seq, "ops": receipt.body.ops,
        "applied": receipt.body.time.now_s, "outstanding": missing,
        "dry_run": dry_run,
    });
    let text = format!(
        "{serial} proves update {} ({} operations), applied {}; {missing} without a receipt",
        point.seq,
        receipt.body.ops,
        times::show(receipt.body.time.now_s)
    );
    output.data("vendor-receipt", data, text);
    Ok(())
}

fn last(vendor: &Vendor, file: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let certifiers = Certifiers::of(&vendor.root);
    let statement: VerifiedStatement<FinalBody> =
        read_statement(file, FileKind::FinalStatement, certifiers)?;
    let (mut ledger, serial, point) = ledger(vendor, &statement)?;
    let at_s = statement.body.time.now_s;
    let never_applied = ledger.retire(point, at_s)?;
    if !dry_run {
        ledger.save(&vendor.containers_dir(), statement.device.id)?;
    }
    let dead = match never_applied {
        Some(count) => format!("{count} updates were never applied and never will be"),
        None => "what led there was issued elsewhere".to_owned(),
    };
    let would = if dry_run { "would be booked: " } else { "" };
    let data = json!({
        "serial": serial, "number": point.seq, "ended": at_s, "entries": statement.body.entries,
        "never_applied": never_applied, "last_log_entry": statement.body.log_seq,
        "dry_run": dry_run,
    });
    let text = format!(
        "{would}{serial} was decommissioned {} at number {}, with {} entries; {dead}; \
         nothing more is issued for it",
        times::show(at_s),
        point.seq,
        statement.body.entries
    );
    output.data("vendor-final", data, text);
    Ok(())
}

/// The record of the container that made a statement, and where that stands in its chain.
fn ledger<B>(vendor: &Vendor, statement: &VerifiedStatement<B>) -> Result<(Ledger, String, Point)> {
    let (serial, point, id) = (statement.serial(), statement.point(), statement.device.id);
    let ledger = Ledger::load(&vendor.containers_dir(), id, serial.clone(), point)?;
    Ok((ledger, serial, point))
}

/// Says what the container held, and how that stands to what was issued.
pub(super) fn inventory(args: &VendorInventoryArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let certifiers = Certifiers::of(&vendor.root);
    let bytes = files::read_record(&args.file)?;
    let (statement, records) = read_inventory(&bytes, certifiers)
        .map_err(|failure| Shown::from(failure).about(args.file.display()))?;
    let (ledger, serial, point) = ledger(&vendor, &statement)?;
    let (stands, words) = standing(&ledger, point)?;
    let (lines, rows) = container::records(&records);
    let made_s = statement.body.time.now_s;
    let mut text = format!("{serial} at number {}, {}: {words}", point.seq, times::show(made_s));
    lines.iter().for_each(|line| text.push_str(&format!("\n  {line}")));
    if ledger.retired.is_some() {
        text.push_str("\nSince then it was decommissioned: nothing of this is in it any more");
    }
    let data = json!({
        "serial": serial, "number": point.seq, "state": shown::hex(&point.state),
        "made": made_s, "stands": stands, "records": rows, "retired": ledger.retired.is_some(),
    });
    output.data("vendor-inventory", data, text);
    Ok(())
}

/// How a state stands to the record: as proven last, as issued since, or as it was before. One
/// that was never issued is refused, as a context is.
fn standing(ledger: &Ledger, shown: Point) -> Result<(&'static str, String)> {
    let (base, missing) = (ledger.base, ledger.outstanding.len());
    if shown == base {
        let words = match missing {
            0 => "all that was issued".to_owned(),
            _ => format!("as it proved last; {missing} updates issued since are not in it"),
        };
        return Ok(("as-proven", words));
    }
    if let Some(at) = ledger.outstanding.iter().position(|issued| issued.after == shown) {
        let behind = ledger.outstanding[at..].iter().filter(|i| i.after.seq > shown.seq).count();
        let words = format!("update {} is in it, without a receipt; {behind} are not", shown.seq);
        return Ok(("without-receipt", words));
    }
    if shown.seq < base.seq {
        let words = format!("made before number {}, which it proved since", base.seq);
        return Ok(("older", words));
    }
    Err(ErrorCode::ContextDiffers.with(shown.seq, base.seq).into())
}
