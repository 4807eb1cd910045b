//! `strongroom license`: entries in a container, why a use is refused, and opening protected files.

mod answers;
mod data;
mod lease;
mod log;

use container::Container;
use protocol::command::FirmInfo;
use protocol::errors::ErrorCode;
use protocol::ids::{ProductCode, RootFp};
use protocol::objects::license::{ProductItem, Requirement};
use serde_json::json;
use vendor::{Result, Shown};

use super::shown;
use crate::args::{Args, LicenseCommand, UseArgs};
use crate::output::Output;
use crate::reach;

pub(super) fn run(command: &LicenseCommand, args: &Args, output: &Output) -> Result<()> {
    match command {
        LicenseCommand::List => list(args, None, output),
        LicenseCommand::Show { product } => list(args, Some(*product), output),
        LicenseCommand::Why { product, uses } => {
            let container = reach::one(args)?;
            why(&container, &requirement(&container, *product, uses)?, output)
        }
        LicenseCommand::Data(command) => data::run(command, args, output),
        LicenseCommand::Log(command) => log::run(command, args, output),
        LicenseCommand::Lease { file, trust } => lease::run(file, trust, output),
        LicenseCommand::Encrypt(command) => answers::encrypt(command, args, output),
        LicenseCommand::Decrypt(command) => answers::decrypt(command, args, output),
        LicenseCommand::Prove(command) => answers::prove(command, args, output),
        LicenseCommand::Open { file, output: path, dry_run } => {
            let registry = reach::all(args)?;
            let serial = args.container.as_deref();
            match dry_run {
                true => super::protect::would_open(&registry, serial, file, path, output),
                false => super::protect::open_file(&registry, serial, file, path, output),
            }
        }
    }
}

/// A use of a product in this container, as the flags describe it.
pub(super) fn requirement(
    container: &Container,
    product: u32,
    uses: &UseArgs,
) -> Result<Requirement> {
    let firm = firm_with(container, product, uses.firm.as_deref())?;
    uses.conditions.of(firm, ProductCode(product))
}

fn entries(container: &Container) -> Result<Vec<(FirmInfo, Vec<ProductItem>)>> {
    let mut all = Vec::new();
    for firm in container.firms()? {
        let items = container.items(firm.root_fp)?;
        all.push((firm, items));
    }
    Ok(all)
}

fn list(args: &Args, product: Option<u32>, output: &Output) -> Result<()> {
    let container = reach::one(args)?;
    let wanted = |item: &&ProductItem| product.is_none_or(|code| item.item.product.0 == code);
    let mut text = container.serial().to_string();
    let mut rows = Vec::new();
    let mut count = 0;
    for (firm, items) in entries(&container)? {
        let all = items;
        let items: Vec<&ProductItem> = all.iter().filter(wanted).collect();
        if items.is_empty() && product.is_some() {
            continue;
        }
        count += items.len();
        text.push_str(&format!("\n{} ({})", &*firm.name, shown::mode(firm.mode)));
        text.push_str(&shown::trapped(&firm, "  "));
        let mut shown_items = Vec::new();
        for item in items {
            let (mut lines, mut data) = shown::effective(item, &all);
            if product.is_some() {
                let state = container.item_state(firm.root_fp, item.item)?;
                lines.push_str(&shown::state_text(item, &state));
                data["state"] = shown::state_json(&state);
            }
            text.push_str(&format!("\n  {}", lines.replace('\n', "\n  ")));
            shown_items.push(data);
        }
        rows.push(json!({ "firm": shown::firm_json(&firm), "items": shown_items }));
    }
    if let (Some(code), 0) = (product, count) {
        return Err(Shown::from(ErrorCode::ProductUnknown.with(code.into(), 0)));
    }
    let schema = if product.is_some() { "license-show" } else { "license-list" };
    output.data(
        schema,
        json!({ "serial": container.serial().to_string(), "licenses": rows }),
        text,
    );
    Ok(())
}

/// The firm that is named, or the only one with this product.
fn firm_with(container: &Container, product: u32, named: Option<&str>) -> Result<RootFp> {
    if let Some(named) = named {
        return reach::firm(named, Some(container));
    }
    let firms = entries(container)?;
    let with: Vec<&FirmInfo> = firms
        .iter()
        .filter(|(_, items)| items.iter().any(|item| item.item.product.0 == product))
        .map(|(firm, _)| firm)
        .collect();
    match (with.as_slice(), firms.as_slice()) {
        ([firm], _) => Ok(firm.root_fp),
        ([], [(firm, _)]) => Ok(firm.root_fp),
        ([], _) => Err(ErrorCode::ProductUnknown.with(product.into(), 0).into()),
        _ => Err(Shown::usage(
            format!("product {product} of {} vendors is in the container", with.len()),
            "Name the vendor with --firm.",
        )),
    }
}

fn why(container: &Container, requirement: &Requirement, output: &Output) -> Result<()> {
    container.why(requirement)?;
    let about = shown::requirement_text(requirement);
    let data = json!({ "serial": container.serial().to_string(), "allowed": true, "use": about });
    output.data("license-why", data, format!("allowed: {about}"));
    Ok(())
}
