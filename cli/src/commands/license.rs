//! `strongroom license`: entries in a container, why a use is refused, and opening protected files.

mod data;

use std::path::Path;

use container::Container;
use protocol::command::FirmInfo;
use protocol::errors::ErrorCode;
use protocol::ids::{Generation, ProductCode, RootFp};
use protocol::objects::license::{ProductItem, Requirement};
use serde_json::json;

use super::shown;
use crate::args::{Args, LicenseCommand};
use crate::error::{CliError, Result};
use crate::output::Output;
use crate::reach;

pub(super) fn run(command: &LicenseCommand, args: &Args, output: &Output) -> Result<()> {
    match command {
        LicenseCommand::List => list(args, None, output),
        LicenseCommand::Show { product } => list(args, Some(*product), output),
        LicenseCommand::Why {
            product,
            firm,
            features,
            access,
            release,
            certified_age,
            units,
            generation,
        } => {
            let container = reach::one(args)?;
            let root_fp = firm_with(&container, *product, firm.as_deref())?;
            let features = features.as_deref().map(crate::vendor::features).transpose()?;
            let release_s = release.as_deref().map(crate::times::parse).transpose()?;
            let requirement = Requirement {
                root_fp,
                product: ProductCode(*product),
                features: features.unwrap_or(0),
                units: *units,
                release_s: release_s.unwrap_or(0),
                access: (*access).into(),
                certified_age_s: *certified_age,
                generation: Generation(*generation),
            };
            why(&container, &requirement, output)
        }
        LicenseCommand::Data(command) => data::run(command, args, output),
        LicenseCommand::Open { file, output: path } => open(args, file, path, output),
    }
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
        return Err(CliError::from(ErrorCode::ProductUnknown.with(code.into(), 0)));
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
        _ => Err(CliError::usage(
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

fn open(args: &Args, file: &Path, path: &Path, output: &Output) -> Result<()> {
    let registry = reach::all(args)?;
    super::protect::open_file(&registry, args.container.as_deref(), file, path, output)
}
