//! `strongroom vendor time` and `vendor log`: what containers ask for and send between updates.

use protocol::codec;
use protocol::errors::{ErrorCode, Failure};
use protocol::ids::ContainerId;
use protocol::limits::DEVICE_BODY_LEN_MAX;
use protocol::objects::device::Device;
use protocol::objects::file::{self, FileKind};
use protocol::objects::statement::TimeTokenBody;
use protocol::objects::usage::{LoggedEntry, UsageHeadBody, UsageKind, read_entries};
use protocol::signed::{Header, Kind, sign_batch, write_object};
use serde_json::json;
use vendor::{
    KeyRing, Result, Shown, UsageLog, Vendor, VerifiedStatement, certified, files, fresh_nonce,
    times, verify,
};

use crate::args::{VendorLogArgs, VendorTimeArgs};
use crate::output::Output;

pub(super) fn time(args: &VendorTimeArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let bytes = files::read(&args.request)?;
    let (device, nonce) = read_request(&vendor, &bytes)
        .map_err(|failure| Shown::from(failure).about(args.request.display()))?;
    let serial = device.id.serial(device.body.kind).to_string();
    let now_s = crate::clock::now_s();
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
    let body = codec::encode(&TimeTokenBody { time_s: now_s, radius_s: args.radius });
    let header = Header { state: nonce, ..header(&vendor, Kind::TimeToken, device.id, &body) };
    let token = sign(&vendor, &keys, header, &body)?;
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

fn read_request(vendor: &Vendor, bytes: &[u8]) -> std::result::Result<(Device, [u8; 32]), Failure> {
    let rest = file::expect(bytes, FileKind::TimeRequest)?;
    let (certificate, rest) = file::next_object(rest, DEVICE_BODY_LEN_MAX)?;
    let device = certified(&certificate, vendor.root.body.mode)?;
    let request = rest.try_into().map_err(|_| ErrorCode::Malformed.failure())?;
    let (root_fp, nonce) = file::split_time_request(request);
    match root_fp == vendor.root.root_fp {
        true => Ok((device, nonce)),
        false => Err(ErrorCode::ContextRefused.failure()),
    }
}

pub(super) fn log(args: &VendorLogArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let bytes = files::read(&args.file)?;
    let about = |failure: Failure| Shown::from(failure).about(args.file.display());
    let (statement, entries) = read_log(&vendor, &bytes).map_err(about)?;
    let (id, header) = (statement.device.id, statement.header);
    let serial = id.serial(statement.device.body.kind).to_string();
    let mut known = UsageLog::load(&vendor.usage_dir(), vendor.root.root_fp, id, &serial)?;
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
    let ack = Header {
        seq: header.seq,
        state: header.state,
        ..self::header(&vendor, Kind::UsageAck, id, &[])
    };
    let ack = sign(&vendor, &keys, ack, &[])?;
    files::check_new(&args.output)?;
    // Kept first: what is acknowledged is forgotten over there.
    known.save(&vendor.usage_dir(), id)?;
    files::write_new(&args.output, &file::write(FileKind::UsageAck, &[&ack]))?;
    let text = format!("{text}\nacknowledgement written to {}", args.output.display());
    output.data("vendor-log", data, text);
    Ok(())
}

type UploadedLog = (VerifiedStatement<UsageHeadBody>, Vec<LoggedEntry>);

fn read_log(vendor: &Vendor, bytes: &[u8]) -> std::result::Result<UploadedLog, Failure> {
    let (root_fp, mode) = (vendor.root.root_fp, vendor.root.body.mode);
    let (statement, rest) = verify(bytes, FileKind::UsageLog, root_fp, mode)?;
    let entries = read_entries(rest).ok_or(ErrorCode::Malformed.failure())?;
    Ok((statement, entries))
}

/// Units that these entries say were used.
fn used_units(entries: &[LoggedEntry]) -> u64 {
    let used = entries.iter().filter(|logged| {
        let kind = logged.entry.leaf.kind;
        matches!(kind, UsageKind::Taken | UsageKind::Used | UsageKind::Charged)
    });
    used.map(|logged| logged.entry.leaf.units).fold(0, u64::saturating_add)
}

fn header(vendor: &Vendor, kind: Kind, container: ContainerId, body: &[u8]) -> Header {
    Header {
        root_fp: vendor.root.root_fp,
        target: *container.bytes(),
        issued_s: crate::clock::now_s(),
        ..Header::new(kind, body)
    }
}

/// Signs an object with the key of its kind's role.
fn sign(vendor: &Vendor, keys: &KeyRing, header: Header, body: &[u8]) -> Result<Vec<u8>> {
    let mut headers = [header];
    let key = keys.signer(&vendor.root.body, header.kind.role(), &[])?;
    let proofs = sign_batch(&mut headers, key, &fresh_nonce()?);
    let proof = proofs.and_then(|proofs| proofs.into_iter().next());
    let proof = proof.ok_or(ErrorCode::Malformed.failure())?;
    Ok(write_object(&headers[0], &proof, body))
}
