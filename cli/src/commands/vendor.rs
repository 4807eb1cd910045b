//! `strongroom vendor`: keys, products, and licenses by file.

mod answers;
mod evidence;
mod key;
mod upkeep;

use std::path::Path;

use protocol::ids::{EntryNumber, Generation, ProductCode};
use protocol::objects::license::{ItemRef, ProductItem};
use protocol::objects::root::Mode;
use protocol::objects::update::UnitsChange;
use serde_json::json;
use vendor::files::NewFile;
use vendor::{
    Change, Issue, Ledger, OptionArgs, Passphrase, Product, Result, Setting, Shown, Token, Vendor,
    files, parse_template, read_data, times,
};

use super::shown;
use crate::args::{
    IssueArgs, KeyStoreArgs, NewKeyArgs, PerpetuateArgs, ProductCommand, SettleUnits, StoreArg,
    UnlockArgs, VendorCommand,
};
use crate::output::Output;
use crate::{clock, secrets};

pub(super) fn run(command: &VendorCommand, output: &Output) -> Result<()> {
    match command {
        VendorCommand::Init { dir, name, test, dry_run: true, .. } => {
            would_init(dir, name, *test, output)
        }
        VendorCommand::Init { dir, name, firm_code, test, new, keys, .. } => {
            init(dir, (name, *firm_code, *test), new, keys, output)
        }
        VendorCommand::Show { vendor } => show(vendor, output),
        VendorCommand::Product(ProductCommand::Add { code, name, vendor, dry_run }) => {
            let product = Product { code: *code, name: name.clone() };
            Vendor::open(vendor)?.add_product(product, *dry_run)?;
            let would = if *dry_run { "would be" } else { "is" };
            let data = json!({ "code": code, "name": name, "dry_run": dry_run });
            output.data("vendor-product", data, format!("product {code} {would} {name:?}"));
            Ok(())
        }
        VendorCommand::Product(ProductCommand::List { vendor }) => {
            let products = Vendor::open(vendor)?.products()?;
            let lines: Vec<String> =
                products.iter().map(|p| format!("{:>10}  {}", p.code, p.name)).collect();
            output.data("vendor-product-list", &products, lines.join("\n"));
            Ok(())
        }
        VendorCommand::Key(command) => key::run(command, output),
        VendorCommand::Perpetuate(args) => perpetuate(args, output),
        VendorCommand::Time(args) => upkeep::time(args, output),
        VendorCommand::Log(args) => upkeep::log(args, output),
        VendorCommand::Unlock(args) => unlock(args, output),
        VendorCommand::Encrypt(args) => answers::encrypt(args, output),
        VendorCommand::Decrypt(args) => answers::decrypt(args, output),
        VendorCommand::Proof(args) => answers::proof(args, output),
        VendorCommand::Inventory(args) => evidence::inventory(args, output),
        VendorCommand::Issue(issue_args) => issue(issue_args, output),
        VendorCommand::Cancel { vendor, context, number, output: path, dry_run, keys } => {
            let vendor = Vendor::open(vendor)?;
            let issue = Issue::begin(&vendor, context, Some(*number), false)?;
            let about = format!("cancels number {number}, if that was not applied yet");
            let delivery = Delivery { path, keys, dry_run: *dry_run };
            delivery.send(issue, Change::Nothing, 0, &about, output)
        }
        VendorCommand::Receipt { file, vendor, dry_run } => {
            evidence::receipt(file, vendor, *dry_run, output)
        }
    }
}

fn init(
    dir: &Path,
    (name, firm_code, test): (&str, u32, bool),
    new: &NewKeyArgs,
    keys: &KeyStoreArgs,
    output: &Output,
) -> Result<()> {
    if !keys.key_file.is_empty() {
        return Err(Shown::usage("a new vendor makes its own keys", "Leave --key-file out."));
    }
    Vendor::check_new(dir, name)?;
    let mode = if test { Mode::Test } else { Mode::Live };
    if new.store.is_some_and(|store| store != StoreArg::File) && new.token.is_none() {
        let hint = "Name the dongle's serial, or the token's label and its --module, with --token.";
        return Err(Shown::usage("which token must be said", hint));
    }
    let token = secrets::named_token(new, keys, mode)?;
    let in_token = token.as_ref().map(Token::derives).transpose()?;
    let passphrase = match in_token {
        Some(true) => Passphrase::empty(),
        _ => secrets::passphrase(keys, mode, true)?,
    };
    let vendor = Vendor::init(dir, name, firm_code, mode, token, &passphrase)?;
    let root_fp = vendor.root.root_fp.to_string();
    let data = json!({
        "dir": dir, "name": name, "firm_code": firm_code, "mode": shown::mode(mode),
        "root_fp": root_fp, "token": new.token, "firm_key_in_token": in_token == Some(true),
        "dry_run": false,
    });
    let mut text = format!(
        "vendor {name:?} made in {}\n  fingerprint  {root_fp}\n  mode         {}",
        dir.display(),
        shown::mode(mode)
    );
    if let (Some(token), Some(in_token)) = (&new.token, in_token) {
        let firm = if in_token { "it too" } else { "a file, since the token cannot hold it" };
        text.push_str(&format!("\n  keys         in the token {token:?}; the firm key in {firm}"));
    }
    output.data("vendor-init", data, text);
    Ok(())
}

fn would_init(dir: &Path, name: &str, test: bool, output: &Output) -> Result<()> {
    let name = Vendor::check_new(dir, name)?;
    let mode = shown::mode(if test { Mode::Test } else { Mode::Live });
    let data = json!({ "dir": dir, "name": &*name, "mode": mode, "dry_run": true });
    let text = format!("vendor {:?} ({mode}) would be made in {}", &*name, dir.display());
    output.data("vendor-init", data, text);
    Ok(())
}

fn show(dir: &Path, output: &Output) -> Result<()> {
    let vendor = Vendor::open(dir)?;
    let (root, products) = (&vendor.root, vendor.products()?);
    let ledgers = Ledger::all(&vendor.containers_dir())?;
    let mut text = format!(
        "{} (number {}, {})\n  fingerprint  {}\n  root         version {}\n  products     {}",
        &*root.body.name,
        root.body.firm_code,
        shown::mode(root.body.mode),
        root.root_fp,
        root.version,
        products.len()
    );
    for ledger in &ledgers {
        let (serial, seq, missing) = (&ledger.serial, ledger.base.seq, ledger.outstanding.len());
        text.push_str(&match ledger.retired {
            Some(_) => format!("\n  container    {serial} DECOMMISSIONED at number {seq}"),
            None => {
                format!("\n  container    {serial} at number {seq}, {missing} without a receipt")
            }
        });
        for issued in &ledger.outstanding {
            let note = if issued.superseded { " (superseded)" } else { "" };
            text.push_str(&format!(
                "\n                 number {}: {}, {}{note}",
                issued.after.seq,
                issued.what,
                times::show(issued.issued_s)
            ));
        }
    }
    let data = json!({
        "name": &*root.body.name, "firm_code": root.body.firm_code.0,
        "mode": shown::mode(root.body.mode), "root_fp": root.root_fp.to_string(),
        "root_version": root.version, "products": products, "containers": ledgers,
    });
    output.data("vendor-show", data, text);
    Ok(())
}

fn issue(args: &IssueArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let product = vendor.product(args.product)?;
    let item = ItemRef { product: ProductCode(product.code), entry: EntryNumber(args.entry) };
    let change = match args.remove {
        true => Change::Remove(item),
        false => {
            let template = args.template.as_deref().map(read_template).transpose()?;
            let given = args.options.clone().over(template.unwrap_or_default());
            let item = ProductItem { item, options: given.options()? };
            item.check().map_err(|why| Shown::usage(why, "Change the options."))?;
            Change::Set(Box::new(setting(args, item, &given)?))
        }
    };
    let until_s = args.apply_before.as_deref().map(times::parse).transpose()?.unwrap_or(0);
    let issue = Issue::begin(&vendor, &args.context, args.supersede, args.adopt)?;
    let about = match &change {
        Change::Set(setting) => setting_text(setting),
        _ => format!("remove product {} entry {}", args.product, args.entry),
    };
    let delivery = Delivery { path: &args.output, keys: &args.keys, dry_run: args.dry_run };
    delivery.send(issue, change, until_s, &about, output)
}

/// An entry with its units and data.
fn setting(args: &IssueArgs, item: ProductItem, given: &OptionArgs) -> Result<Setting> {
    let add = given.units_to_add();
    let settle = args.settle_units.map(|settle| match settle {
        SettleUnits::Charge => UnitsChange::ChargeReserved,
        SettleUnits::Release => UnitsChange::ReleaseReserved,
    });
    let changes = [
        settle,
        (add > 0).then_some(UnitsChange::Add(add)),
        args.take_units.map(UnitsChange::Remove),
    ];
    let units: Vec<UnitsChange> = changes.into_iter().flatten().collect();
    if !units.is_empty() && item.units().is_none() {
        return Err(Shown::usage(
            "units are changed of an entry that has none",
            "Say --units 0 to go on counting.",
        ));
    }
    let data = args.data.as_deref().map(read_data).transpose()?.unwrap_or_default();
    Ok(Setting { item, generation: Generation(args.generation), units, data })
}

fn setting_text(setting: &Setting) -> String {
    let mut text = shown::item_text(&setting.item);
    for change in &setting.units {
        text.push_str(&format!("\n    {}", shown::units_change(change)));
    }
    for input in &setting.data {
        let (name, len) = (shown::field(input.field), input.bytes.len());
        text.push_str(&format!("\n    data {name}: {len} bytes"));
    }
    text
}

fn perpetuate(args: &PerpetuateArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let products = key::products(&args.product)?;
    let issue = Issue::begin(&vendor, &args.context, None, args.adopt)?;
    let about = format!(
        "takes the checkpoint off all entries of products {} to {}: they lapse no more",
        products.first, products.last
    );
    let delivery = Delivery { path: &args.output, keys: &args.store, dry_run: args.dry_run };
    delivery.send(issue, Change::Perpetuate(products), 0, &about, output)
}

fn unlock(args: &UnlockArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let issue = Issue::begin(&vendor, &args.context, None, false)?;
    let about = "opens all licenses again that a trap locked";
    let delivery = Delivery { path: &args.output, keys: &args.keys, dry_run: args.dry_run };
    delivery.send(issue, Change::Unlock, 0, about, output)
}

fn read_template(path: &Path) -> Result<OptionArgs> {
    parse_template(&files::read(path)?).map_err(|error| error.about(path.display()))
}

/// Where an update goes, and how its keys are opened.
struct Delivery<'a> {
    path: &'a Path,
    keys: &'a KeyStoreArgs,
    dry_run: bool,
}

impl Delivery<'_> {
    /// Signs the update and writes it.
    fn send(
        &self,
        mut issue: Issue<'_>,
        change: Change,
        until_s: u64,
        about: &str,
        output: &Output,
    ) -> Result<()> {
        let (path, dry_run) = (self.path, self.dry_run);
        let (serial, id) = (issue.context.serial(), issue.context.device.id);
        let number = issue.before.seq + 1;
        let firmware = issue.context.body.firmware;
        for warning in issue.vendor.issuer().check(id, firmware, clock::now_s())? {
            output.say(format!("warning: {warning}"));
        }
        let data = json!({
            "serial": serial, "number": number, "file": path, "dry_run": dry_run, "about": about,
        });
        if dry_run {
            files::check_new(path)?;
            let text = format!("update {number} for {serial} would hold:\n  {about}");
            output.data("vendor-issue", data, text);
            return Ok(());
        }
        if path.exists() {
            let hint = "Choose another name. Nothing was issued.";
            return Err(Shown::conflict(format!("{} is there already", path.display()), hint));
        }
        let keys = issue.vendor.keys(self.keys)?;
        // Written, then recorded, then in its place: what cannot be written was not issued.
        let mut file = NewFile::begin(path)?;
        file.write(&issue.sign(&[change], until_s, &keys)?)?;
        issue.record()?;
        file.commit()?;
        let text = format!(
            "update {number} for {serial} written to {}: send it to the user\n  {about}",
            path.display()
        );
        output.data("vendor-issue", data, text);
        Ok(())
    }
}
