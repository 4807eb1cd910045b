//! `strongroom vendor key`: who may sign what.

mod share;

use std::path::Path;

use protocol::crypto::ecdsa::VerifyingKey;
use protocol::ids::{ContainerId, KeyId, ProductCode};
use protocol::objects::delegation::Scope;
use protocol::objects::file::{self, FileKind};
use protocol::objects::license::Version;
use protocol::objects::revocation::FirmwareRange;
use protocol::objects::root::{RoleKeys, named_key};
use protocol::objects::update::ProductRange;
use protocol::signed::{HYBRID_SUITE, Role, SUITE};
use serde_json::{Value, json};
use vendor::store::TokenPlace;
use vendor::trust::{Part, delegation_text, revocation_lines, role_name};
use vendor::{Grant, Home, Ledger, Result, Revocations, Rotation, Shown, Vendor, files, times};

use crate::args::{DelegateArgs, KeyCommand, RevokeArgs, RotateArgs, StoreArg};
use crate::output::Output;
use crate::secrets;

pub(super) fn run(command: &KeyCommand, output: &Output) -> Result<()> {
    match command {
        KeyCommand::List { vendor } => list(vendor, output),
        KeyCommand::Rotate(args) => rotate(args, output),
        KeyCommand::Delegate(args) => delegate(args, output),
        KeyCommand::Revoke(args) => revoke(args, output),
        KeyCommand::Split(args) => share::split(args, output),
        KeyCommand::Join(args) => share::join(args, output),
        KeyCommand::Export { vendor, output: path, dry_run } => {
            export(vendor, path, *dry_run, output)
        }
    }
}

fn list(dir: &Path, output: &Output) -> Result<()> {
    let vendor = Vendor::open(dir)?;
    let revoked = vendor.trust.revoked_keys();
    let root = &vendor.root;
    let mut text = format!("root version {}{}", root.version, ends(root.until_s));
    let mut roles = Vec::new();
    for role in root.body.roles.iter() {
        let ids = key_ids(role);
        let shown = ids.iter().map(|id| mark(*id, &revoked)).collect::<Vec<_>>().join(", ");
        let name = role_name(role.role);
        let suite = root.body.host_suite(role.role);
        let hosts = if suite == SUITE { "" } else { "; leases in suite 2" };
        let count = ids.len();
        text.push_str(&format!("\n  {name:<11} {} of {count}: {shown}{hosts}", role.threshold));
        roles.push(json!({
            "role": name, "threshold": role.threshold, "suite": suite,
            "keys": ids.iter().map(KeyId::to_string).collect::<Vec<_>>(),
        }));
    }
    let mut delegations = Vec::new();
    for part in vendor.delegations()?.iter().filter_map(|trust| trust.delegations.last()) {
        let (line, row) = delegation(part, &revoked);
        text.push_str(&format!("\n  handed on   {line}"));
        delegations.push(row);
    }
    if let Some(own) = vendor.trust.delegations.last() {
        text.push_str(&format!("\n  this directory issues as {}", delegation(own, &revoked).0));
    }
    let epoch = vendor.trust.revocations().map_or(0, |now| now.epoch);
    if let Some(now) = vendor.trust.revocations() {
        text.push_str(&format!("\nrevocations, epoch {epoch}{}", ends(now.until_s)));
        for line in revocation_lines(&now.body) {
            text.push_str(&format!("\n  {line}"));
        }
    }
    let store = vendor.store()?;
    let token = store.token();
    if let Some(place) = token {
        text.push_str(&format!("\n{}", token_text(place)));
    }
    let data = json!({
        "root_version": root.version, "until": root.until_s, "roles": roles, "token": token,
        "delegations": delegations, "revocation_epoch": epoch,
        "revoked_keys": revoked.iter().map(KeyId::to_string).collect::<Vec<_>>(),
    });
    output.data("vendor-key-list", data, text);
    Ok(())
}

fn token_text(place: &TokenPlace) -> String {
    let roles: Vec<&str> = place.keys.iter().map(|key| key.role.as_str()).collect();
    let firm = if place.firm_key.is_some() { ", the firm key" } else { "" };
    let what = match &place.module {
        Some(module) => format!("token {:?} of {}", place.token, module.display()),
        None => format!("dongle {}", place.token),
    };
    format!("in the {what}: {}{firm}", roles.join(", "))
}

fn key_ids(role: &RoleKeys) -> Vec<KeyId> {
    role.keys.iter().filter_map(named_key).map(|(_, id)| id).collect()
}

fn mark(id: KeyId, revoked: &[KeyId]) -> String {
    if revoked.contains(&id) { format!("{id} (revoked)") } else { id.to_string() }
}

fn ends(until_s: u64) -> String {
    if until_s == 0 { String::new() } else { format!(", until {}", times::show(until_s)) }
}

fn delegation(part: &Part, revoked: &[KeyId]) -> (String, Value) {
    let Some(body) = part.delegation_body() else { return Default::default() };
    let key = VerifyingKey::from_bytes(&body.key.0).map(|key| key.id()).unwrap_or_default();
    let Scope { products, quantity_max, daily_max, depth } = body.scope;
    let row = json!({
        "name": &*body.name, "key": key.to_string(), "first": products.first.0,
        "last": products.last.0, "quantity": quantity_max, "per_day": daily_max, "depth": depth,
        "until": part.header.until_s, "revoked": revoked.contains(&key),
    });
    let text = delegation_text(&body, part.header.until_s);
    (format!("{}: {text}", mark(key, revoked)), row)
}

fn rotate(args: &RotateArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    vendor.check_own()?;
    let role = Role::from(args.role);
    let until_s = end_of(args.expires.as_deref())?;
    let home = home(&vendor, args)?;
    let times = (until_s, home);
    let rotation = Rotation::of(&vendor.root, role, args.keys, args.threshold, args.suite, times)?;
    let (text, mut data) = rotation_text(&vendor, &rotation, args.out.as_deref())?;
    data["dry_run"] = json!(args.dry_run);
    if args.dry_run {
        output.data("vendor-key-rotate", data, text);
        return Ok(());
    }
    output.say(&text);
    output.confirm("make this root? It cannot be taken back", args.yes)?;
    let passphrase = vendor.passphrase(&args.store, rotation.seals())?;
    let mut keys = vendor.keys_under(&args.store, &passphrase)?;
    if let Some(token) = secrets::named_token(&args.new, &args.store, vendor.root.body.mode)? {
        keys.attach(token);
    }
    let theirs = passphrase.of_file(args.out_passphrase_file.as_deref())?;
    let out = args.out.as_deref().map(|folder| (folder, &theirs));
    let vendor = vendor.rotate(&rotation, keys, &passphrase, out)?;
    let ids = vendor.root.body.role(role).map(key_ids).unwrap_or_default();
    let ids: Vec<String> = ids.iter().map(KeyId::to_string).collect();
    data["keys"] = json!(ids);
    let text = format!(
        "root version {} is made; the role {} has: {}\n  containers get it with their next update, \
         or by: strongroom vendor key export",
        vendor.root.version,
        role_name(role),
        ids.join(", ")
    );
    output.data("vendor-key-rotate", data, text);
    Ok(())
}

/// Where new keys go: where it is said, else into the token that the directory has.
fn home(vendor: &Vendor, args: &RotateArgs) -> Result<Home> {
    let store = vendor.store()?;
    let known = store.token();
    let into_token = args.new.store.is_some_and(|store| store != StoreArg::File);
    match (known, &args.new.token) {
        (Some(place), Some(_)) => Err(Shown::conflict(
            format!("the keys of this directory are in the token {:?} already", place.token),
            "Leave --module and --token out. Another module is written into store.toml.",
        )),
        (None, None) if into_token => Err(Shown::usage(
            "this directory has no token yet",
            "Name it with --token, and the module of one with PKCS#11 with --module.",
        )),
        _ if args.out.is_some() || args.new.store == Some(StoreArg::File) => Ok(Home::File),
        _ if into_token || known.is_some() => Ok(Home::Token),
        _ => Ok(Home::File),
    }
}

/// What a rotation changes, before it is done.
fn rotation_text(
    vendor: &Vendor,
    rotation: &Rotation,
    out: Option<&Path>,
) -> Result<(String, Value)> {
    let (root, role) = (&vendor.root, rotation.role);
    let old = root.body.role(role).map(key_ids).unwrap_or_default();
    let mut text = format!(
        "root version {} -> {}{}\n  role {}: {} keys -> {} keys, {} must sign",
        root.version,
        root.version + 1,
        ends(rotation.until_s),
        role_name(role),
        old.len(),
        rotation.keys,
        rotation.threshold
    );
    let place = match (out, rotation.home) {
        (Some(out), _) => out.display().to_string(),
        (None, Home::Token) => "the token".into(),
        (None, Home::File) => "the vendor directory".into(),
    };
    text.push_str(&format!("\n  new private keys go to {place}"));
    let (before, after) = (root.body.host_suite(role), rotation.suite);
    if after == HYBRID_SUITE {
        text.push_str(
            "\n  and one of suite 2 (P-256 and ML-DSA-65), which signs leases, to a file",
        );
    }
    if before != after {
        text.push_str(&format!(
            "\n  LEASES ARE OF SUITE {after} from then on: give hosts the new roots first"
        ));
    }
    if role == Role::Licensing {
        for part in vendor.delegations()?.iter().filter_map(|trust| trust.delegations.last()) {
            let line = delegation(part, &[]).0;
            text.push_str(&format!("\n  ENDS what was handed on to {line}"));
        }
    }
    if let Some(now) = vendor.trust.revocations() {
        text.push_str(&format!("\n  revocations are made again, epoch {}", now.epoch + 1));
    }
    if role == Role::Protect {
        text.push_str("\n  what was protected before opens as it did");
    }
    let data = json!({
        "role": role_name(role), "old_version": root.version, "new_version": root.version + 1,
        "old_keys": old.iter().map(KeyId::to_string).collect::<Vec<_>>(),
        "count": rotation.keys, "threshold": rotation.threshold, "until": rotation.until_s,
        "suite": after,
    });
    Ok((text, data))
}

fn delegate(args: &DelegateArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    let scope = Scope {
        products: products(&args.product)?,
        quantity_max: args.quantity,
        daily_max: args.per_day,
        depth: args.depth,
    };
    let until_s = end_of(args.expires.as_deref())?;
    let grant = Grant { name: args.name.clone(), scope, until_s, generation: args.generation };
    vendor.check_grant(&grant)?;
    let ProductRange { first, last } = scope.products;
    let what = format!(
        "{}: products {first}..{last}, {} seats at most{}",
        grant.name,
        scope.quantity_max,
        ends(until_s)
    );
    let mut data = json!({
        "name": grant.name, "first": first.0, "last": last.0, "quantity": scope.quantity_max,
        "per_day": scope.daily_max, "depth": scope.depth, "until": until_s, "dir": args.output,
        "dry_run": args.dry_run,
    });
    if args.dry_run {
        output.data("vendor-key-delegate", data, format!("would hand on to {what}"));
        return Ok(());
    }
    files::check_empty(&args.output)?;
    let passphrase = vendor.passphrase(&args.store, args.new_passphrase_file.is_none())?;
    let keys = vendor.keys_under(&args.store, &passphrase)?;
    let theirs = passphrase.of_file(args.new_passphrase_file.as_deref())?;
    let made = vendor.delegate(&grant, &keys, &args.output, &theirs)?;
    let key = made.trust.delegate.map(|delegate| delegate.key.id().to_string());
    data["key"] = json!(key);
    let text = format!(
        "handed on to {what}\n  key {}\n  {} holds it with the item keys of its products: give it \
         to them over a safe way",
        key.unwrap_or_default(),
        args.output.display()
    );
    output.data("vendor-key-delegate", data, text);
    Ok(())
}

fn revoke(args: &RevokeArgs, output: &Output) -> Result<()> {
    let vendor = Vendor::open(&args.vendor)?;
    vendor.check_own()?;
    let mut next = Revocations::after(&vendor.trust, end_of(args.expires.as_deref())?)?;
    let ledgers = Ledger::all_with_ids(&vendor.containers_dir())?;
    let mut changes = Vec::new();
    let named = [
        (&args.key, Named::Key),
        (&args.serial, Named::Serial),
        (&args.firmware, Named::Firmware),
        (&args.restore, Named::Restored),
    ];
    for (what, kind) in named {
        for text in what {
            if put(&mut next, text, kind, &ledgers)? {
                let sign = if kind == Named::Restored { "-" } else { "+" };
                changes.push(format!("{sign} {text}"));
            }
        }
    }
    let mut text = format!("revocations, epoch {}{}", next.epoch, ends(next.until_s));
    changes.iter().for_each(|change| text.push_str(&format!("\n  {change}")));
    if !vendor.root.body.roles.iter().any(|role| {
        let issues = |(suite, id): (u8, KeyId)| suite == SUITE && !next.body.keys.contains(&id);
        role.role == Role::Licensing && role.keys.iter().filter_map(named_key).any(issues)
    }) {
        text.push_str(
            "\n  NO KEY IS LEFT that issues: strongroom vendor key rotate --role licensing",
        );
    }
    let data = json!({
        "epoch": next.epoch, "until": next.until_s, "changes": changes, "dry_run": args.dry_run,
        "all": revocation_lines(&next.body),
    });
    if args.dry_run {
        output.data("vendor-key-revoke", data, text);
        return Ok(());
    }
    output.say(&text);
    output.confirm("make these revocations?", args.yes)?;
    let keys = vendor.keys(&args.store)?;
    let epoch = next.epoch;
    vendor.revoke(&next, &keys)?;
    let text = format!(
        "revocations of epoch {epoch} are made\n  containers get them with their next update, or \
         by: strongroom vendor key export"
    );
    output.data("vendor-key-revoke", data, text);
    Ok(())
}

/// What a revocation names, by its flag.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Named {
    Key,
    Serial,
    Firmware,
    /// Any of these, which counts again.
    Restored,
}

impl Named {
    fn may_be(self, kind: Named) -> bool {
        self == kind || self == Named::Restored
    }

    fn what(self) -> &'static str {
        match self {
            Named::Key => "no key id, which has 16 hexadecimal digits",
            Named::Serial => "no serial that was issued for, and no id of 32 hexadecimal digits",
            Named::Firmware => "no version of firmware, nor a range FIRST..LAST",
            Named::Restored => "no key id, no version, and no serial that was issued for",
        }
    }
}

/// Puts a key id, a serial or a range of firmware into the lists, or takes it out.
fn put(
    next: &mut Revocations,
    text: &str,
    named: Named,
    ledgers: &[(ContainerId, Ledger)],
) -> Result<bool> {
    let revoked = named != Named::Restored;
    let key = KeyId::from_hex(text).filter(|_| named.may_be(Named::Key));
    let firmware = range(text, Version::parse).filter(|_| named.may_be(Named::Firmware));
    let mut serials = ledgers.iter().filter(|_| named.may_be(Named::Serial));
    let container = serials.find(|(_, ledger)| ledger.serial.eq_ignore_ascii_case(text));
    // License Central has no ledger in files, and shows ids.
    let by_id = ContainerId::from_hex(text).filter(|_| named.may_be(Named::Serial));
    let container = container.map(|(id, _)| *id).or(by_id);
    match (key, firmware, container) {
        (Some(key), ..) => next.put_key(key, revoked),
        (_, Some((first, last)), _) => next.put_firmware(FirmwareRange { first, last }, revoked),
        (.., Some(id)) => next.put_container(id, revoked),
        _ => Err(Shown::not_found(
            format!("{text:?} is {}", named.what()),
            "See the serials with vendor show, and the key ids with vendor key list.",
        )),
    }
}

fn export(dir: &Path, path: &Path, dry_run: bool, output: &Output) -> Result<()> {
    let vendor = Vendor::open(dir)?;
    let objects: Vec<&[u8]> = vendor.trust.roots.iter().map(|part| &part.bytes[..]).collect();
    let revocation = vendor.trust.revocation.iter().map(|part| &part.bytes[..]);
    let all: Vec<&[u8]> = objects.into_iter().chain(revocation).collect();
    match dry_run {
        true => files::check_new(path)?,
        false => files::write_new(path, &file::write(FileKind::Trust, &all))?,
    }
    let epoch = vendor.trust.revocations().map_or(0, |now| now.epoch);
    let version = vendor.root.version;
    let data = json!({
        "file": path, "root_version": version, "revocation_epoch": epoch, "dry_run": dry_run,
    });
    let written = if dry_run { "would be written" } else { "written" };
    let text = format!(
        "root version {version}, revocations of epoch {epoch} {written} to {}: users apply it with \
         update apply",
        path.display()
    );
    output.data("vendor-key-export", data, text);
    Ok(())
}

fn end_of(text: Option<&str>) -> Result<u64> {
    Ok(text.map(times::parse).transpose()?.unwrap_or(0))
}

/// Products: one, or FIRST..LAST.
pub(super) fn products(text: &str) -> Result<ProductRange> {
    let number = |text: &str| text.parse().ok().map(ProductCode);
    range(text, number).map(|(first, last)| ProductRange { first, last }).ok_or_else(|| {
        Shown::usage(
            format!("{text:?} is no range of products"),
            "Give a number, or two of them as in 7..9, the smaller first.",
        )
    })
}

fn range<T: PartialOrd + Copy>(text: &str, one: impl Fn(&str) -> Option<T>) -> Option<(T, T)> {
    let (first, last) = text.split_once("..").unwrap_or((text, text));
    let (first, last) = (one(first)?, one(last)?);
    (first <= last).then_some((first, last))
}
