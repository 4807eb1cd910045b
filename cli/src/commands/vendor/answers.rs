//! `strongroom vendor encrypt`, `decrypt` and `proof`: the vendor's side of what only a license in
//! use can answer.

use std::path::Path;

use protocol::errors::ErrorCode;
use protocol::objects::artifact::SecretKey;
use protocol::objects::block::{BLOCK_NONCE_LEN, KeySource, block_key, open_block, seal_block};
use protocol::objects::file::FileKind;
use protocol::objects::license::Requirement;
use protocol::objects::proof::ProofBody;
use serde_json::json;
use vendor::{
    Certifiers, Result, Shown, Vendor, VerifiedStatement, files, fresh_nonce, read_data,
    read_statement, times,
};
use zeroize::Zeroizing;

use crate::args::{KeyStoreArgs, ProofArgs, VendorDecryptArgs, VendorEncryptArgs};
use crate::commands::shown;
use crate::output::Output;
use crate::{blocks, clock};

pub(super) fn encrypt(args: &VendorEncryptArgs, output: &Output) -> Result<()> {
    let source = blocks::source(&args.key)?;
    let plain = blocks::read_plain(&args.input)?;
    let vendor = Vendor::open(&args.vendor)?;
    let product = vendor.product_codes(&[args.product])?.remove(0);
    let requirement = args.conditions.of(vendor.root.root_fp, product)?;
    files::check_new(&args.output)?;
    let field = field(source, args.data.as_deref())?;
    if !args.dry_run {
        let key = key(&vendor, &args.keys, (source, field), &requirement)?;
        let mut nonce = [0; BLOCK_NONCE_LEN];
        nonce.copy_from_slice(&fresh_nonce()?[..BLOCK_NONCE_LEN]);
        let block = seal_block(&key, nonce, &plain);
        files::write_new(&args.output, &blocks::write(requirement, source, &block)?)?;
    }
    let about = shown::requirement_text(&requirement);
    let data = json!({
        "file": args.output, "bytes": plain.len(), "key": shown::key_source(source), "use": about,
        "dry_run": args.dry_run,
    });
    let done = if args.dry_run { "would be encrypted" } else { "encrypted" };
    let path = args.output.display();
    let text = format!("{} bytes {done} into {path}; it opens with: {about}", plain.len());
    output.data("vendor-encrypt", data, text);
    Ok(())
}

pub(super) fn decrypt(args: &VendorDecryptArgs, output: &Output) -> Result<()> {
    let block = blocks::read(&args.input)?;
    let vendor = Vendor::open(&args.vendor)?;
    let refused = || Shown::from(ErrorCode::BlockRefused.failure()).about(args.input.display());
    if block.requirement.root_fp != vendor.root.root_fp {
        return Err(refused());
    }
    files::check_new(&args.output)?;
    let from = (block.source, field(block.source, args.data.as_deref())?);
    let key = key(&vendor, &args.keys, from, &block.requirement)?;
    let plain = open_block(&key, &block.bytes).ok_or_else(refused)?;
    if !args.dry_run {
        files::write_private(&args.output, &plain)?;
    }
    let data = json!({
        "file": args.output, "bytes": plain.len(), "key": shown::key_source(block.source),
        "use": shown::requirement_text(&block.requirement), "dry_run": args.dry_run,
    });
    let done = if args.dry_run { "would be written" } else { "written" };
    let text = format!("{} bytes {done} to {}", plain.len(), args.output.display());
    output.data("vendor-decrypt", data, text);
    Ok(())
}

/// The data field that a key comes from, as the license was issued with it; none for an item key.
fn field(source: KeySource, data: Option<&Path>) -> Result<Option<Zeroizing<Vec<u8>>>> {
    let Some(field) = source.field() else { return Ok(None) };
    let name = shown::field(field);
    let missing = || {
        let hint = "Name the file that the license was issued with, with --data.";
        Shown::usage(format!("the key comes from {name}, which is not given"), hint)
    };
    let fields = read_data(data.ok_or_else(missing)?)?;
    let input = fields.into_iter().find(|input| input.field == field).ok_or_else(missing)?;
    Ok(Some(input.bytes))
}

/// The key of blocks under a requirement, from a data field or the key store.
fn key(
    vendor: &Vendor,
    keys: &KeyStoreArgs,
    (source, field): (KeySource, Option<Zeroizing<Vec<u8>>>),
    requirement: &Requirement,
) -> Result<SecretKey> {
    if let Some(field) = field {
        return Ok(block_key(&field, source, requirement));
    }
    let Requirement { root_fp, product, generation, .. } = *requirement;
    let item_key = vendor.keys(keys)?.item_key(root_fp, product, generation)?;
    Ok(block_key(&item_key[..], source, requirement))
}

pub(super) fn proof(args: &ProofArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let (challenge, purpose) = args.challenge.read()?;
    let product = vendor.product_codes(&[args.product])?.remove(0);
    let requirement = args.conditions.of(vendor.root.root_fp, product)?;
    let certifiers = Certifiers::of(&vendor.root);
    let statement: VerifiedStatement<ProofBody> =
        read_statement(&args.file, FileKind::Proof, certifiers)?;
    let VerifiedStatement { device, header, body } = statement;
    if body.challenge.0 != challenge || body.purpose != purpose {
        let failure = ErrorCode::ProofOther.failure();
        return Err(Shown::from(failure).about(args.file.display()));
    }
    if body.requirement != requirement {
        let (was, asked) =
            (shown::requirement_text(&body.requirement), shown::requirement_text(&requirement));
        let error = Shown::from(ErrorCode::ProofOther.failure());
        return Err(error.about(format!("in use is {was}; asked was {asked}")));
    }
    for warning in vendor.issuer().check(device.id, body.firmware, clock::now_s())? {
        output.say(format!("warning: {warning}"));
    }
    let serial = device.serial().to_string();
    let about = shown::requirement_text(&requirement);
    let ends = (body.ends_s != 0).then(|| times::show(body.ends_s));
    let data = json!({
        "serial": serial, "use": about, "entry": body.item.entry.0, "at": header.issued_s,
        "ends": body.ends_s, "units": body.units, "seats": body.seats, "number": header.seq,
    });
    let mut text = format!(
        "{serial} proves that this is in use: {about}\n  entry    {}\n  at       {}\n  seats    {}",
        body.item.entry,
        times::show(header.issued_s),
        body.seats
    );
    if let Some(ends) = ends {
        text.push_str(&format!("\n  ends     {ends}"));
    }
    output.data("vendor-proof", data, text);
    Ok(())
}
