//! Entries, firms and objects as people and scripts see them.

use protocol::command::{ContainerInfo, FirmInfo, ItemState};
use protocol::limits::DATA_FIELDS_MAX;
use protocol::objects::block::KeySource;
use protocol::objects::data::DataField;
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::license::{
    AccessMode, Checkpoint, ItemOption, LostUnits, Period, ProductItem, Requirement, Status,
    TimeRule, Transfer, TransferWay, UnitRule,
};
use protocol::objects::root::Mode;
use protocol::objects::update::UnitsChange;
use protocol::objects::usage::{UsageEntry, UsageKind};
use serde_json::{Value, json};
use vendor::times;

pub(super) use protocol::ids::hex;

/// [`ContainerInfo::locked`] of a container that is decommissioned.
pub(super) const DECOMMISSIONED: u8 = 2;

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "test",
        _ => "live",
    }
}

/// Clock classes that have names.
pub(super) const CLOCKS: [ClockClass; 4] =
    [ClockClass::Rtc, ClockClass::Signed, ClockClass::Session, ClockClass::Host];

pub(super) fn clock(class: ClockClass) -> &'static str {
    match class {
        ClockClass::Rtc => "rtc",
        ClockClass::Signed => "signed",
        ClockClass::Session => "session",
        _ => "host",
    }
}

pub(super) fn anchor(class: AnchorClass) -> &'static str {
    match class {
        AnchorClass::Hardware => "hardware",
        AnchorClass::Tpm => "tpm",
        AnchorClass::Server => "server",
        _ => "none",
    }
}

pub(super) fn access(access: AccessMode) -> &'static str {
    match access {
        AccessMode::UserLimit => "user limit",
        AccessMode::StationShare => "station share",
        AccessMode::Exclusive => "exclusive",
        _ => "no user limit",
    }
}

pub(super) fn firmware(version: u32) -> String {
    format!("{}.{}.{}", version >> 16, version >> 8 & 0xff, version & 0xff)
}

/// Name, value for scripts, value for people.
pub(super) fn option(option: &ItemOption) -> (&'static str, Value, String) {
    match option {
        ItemOption::Text(text) => ("text", json!(&**text), text.to_string()),
        ItemOption::FeatureMap(map) => ("features", json!(map), format!("{map:#x}")),
        ItemOption::LicenseQuantity(0) => ("quantity", json!(0), "0 (local use)".into()),
        ItemOption::LicenseQuantity(seats) => ("quantity", json!(seats), seats.to_string()),
        ItemOption::ActivationTime(at_s) => ("activates", json!(at_s), times::show(*at_s)),
        ItemOption::ExpirationTime(at_s) => ("expires", json!(at_s), times::show(*at_s)),
        ItemOption::CustomerInfo(text) => ("customer", json!(&**text), text.to_string()),
        ItemOption::DeniedModes(modes) => {
            let names: Vec<_> = ALL_MODES
                .iter()
                .filter(|mode| modes.contains(**mode))
                .map(|mode| access(*mode))
                .collect();
            ("denied", json!(names), names.join(", "))
        }
        ItemOption::MinimumRuntime(least) => {
            ("runtime", json!(least.to_string()), format!("{least} or newer"))
        }
        ItemOption::MaintenancePeriod(Period { from_s, until_s }) => (
            "maintenance",
            json!({ "from": from_s, "until": until_s }),
            format!("releases from {} until {}", times::show(*from_s), times::show(*until_s)),
        ),
        ItemOption::UsagePeriod(period_s) => {
            ("usage", json!(period_s), format!("{} from the first use on", span(*period_s)))
        }
        ItemOption::Checkpoint(at) => ("checkpoint", checkpoint_json(at), checkpoint_text(at)),
        ItemOption::NamedUser(name) => ("user", json!(&**name), name.to_string()),
        ItemOption::Region(countries) => {
            let names: Vec<String> = countries.iter().map(ToString::to_string).collect();
            ("region", json!(names), names.join(", "))
        }
        ItemOption::Status(Status::Enabled) => ("status", json!("enabled"), "enabled".into()),
        ItemOption::LingerTime(linger_s) => {
            ("linger", json!(linger_s), format!("{} after each use", span(*linger_s)))
        }
        ItemOption::Status(_) => ("status", json!("suspended"), "SUSPENDED".into()),
        ItemOption::UnitCounter(rule) => units_rule(rule),
        ItemOption::TimeRule(rule) => time_rule(*rule),
        ItemOption::TransferOptions(how) => transfer(how),
        ItemOption::ModuleOf(parent) => (
            "module of",
            json!({ "product": parent.product.0, "entry": parent.entry.0 }),
            format!("product {} entry {}", parent.product, parent.entry),
        ),
        ItemOption::NamedUserKey(key) => {
            ("user key", json!(format!("{key:?}")), format!("the holder of {key:?}"))
        }
        ItemOption::History(holders) => {
            let data = holders
                .iter()
                .map(|held| json!({ "container": held.by.to_string(), "until": held.until_s }));
            let texts = holders
                .iter()
                .map(|held| format!("{} until {}", held.by, times::show(held.until_s)));
            let texts: Vec<String> = texts.collect();
            ("history", json!(data.collect::<Vec<Value>>()), texts.join(", then "))
        }
    }
}

fn units_rule(rule: &UnitRule) -> (&'static str, Value, String) {
    let (name, text) = match rule.lost {
        LostUnits::Charged => ("charged", "lost ones are charged"),
        _ => ("held", "lost ones wait for the vendor"),
    };
    let data = json!({ "reserve_max": rule.reserve_max, "lost": name });
    ("units", data, format!("at most {} set aside at once; {text}", rule.reserve_max))
}

fn time_rule(rule: TimeRule) -> (&'static str, Value, String) {
    let (data, text) = match rule {
        TimeRule::HostOk { slack_s } => (
            json!({ "rule": "host-ok", "slack": slack_s }),
            format!("that of the machine, up to {} ahead of what is certified", span(slack_s)),
        ),
        TimeRule::MustSyncEvery { every_s } => (
            json!({ "rule": "must-sync", "every": every_s }),
            format!("certified at least every {}", span(every_s)),
        ),
        TimeRule::RuntimeOnly => {
            (json!({ "rule": "runtime-only" }), "runs while the container has power".into())
        }
        TimeRule::FreshToken => {
            (json!({ "rule": "fresh-token" }), "certified anew after each power-up".into())
        }
        _ => (json!({ "rule": "unknown" }), "by a rule of a newer version".into()),
    };
    ("time", data, text)
}

fn transfer(how: &Transfer) -> (&'static str, Value, String) {
    let ways: Vec<&str> = TransferWay::ALL
        .into_iter()
        .filter(|way| how.ways.contains(*way))
        .map(|way| match way {
            TransferWay::Push => "push",
            TransferWay::Pull => "pull",
            TransferWay::Return => "return",
            TransferWay::Split => "split",
            TransferWay::Borrow => "borrow",
        })
        .collect();
    let targets: Vec<String> = how.targets.iter().map(ToString::to_string).collect();
    let mut text = format!("{}; passed on {} times at most", ways.join(", "), how.depth);
    if how.borrow_max_s > 0 {
        text.push_str(&format!("; borrowed for {} at most", span(how.borrow_max_s)));
    }
    if !targets.is_empty() {
        text.push_str(&format!("; only to {}", targets.join(", ")));
    }
    let data = json!({
        "ways": ways, "depth": how.depth, "borrow_max": how.borrow_max_s, "targets": targets,
    });
    ("transfer", data, text)
}

const ALL_MODES: [AccessMode; 4] = [
    AccessMode::UserLimit,
    AccessMode::StationShare,
    AccessMode::Exclusive,
    AccessMode::NoUserLimit,
];

fn checkpoint_json(at: &Checkpoint) -> Value {
    json!({
        "lapses": at.lapse_s, "renew_from": at.lapse_s.saturating_sub(at.renew_s.into()),
        "grace_from": at.lapse_s.saturating_sub(at.grace_s.into()), "period": at.period_s,
    })
}

fn checkpoint_text(at: &Checkpoint) -> String {
    let before = |span_s: u32| times::show(at.lapse_s.saturating_sub(span_s.into()));
    let mut text =
        format!("lapses {}; to be renewed from {} on", times::show(at.lapse_s), before(at.renew_s));
    if at.grace_s > 0 {
        text.push_str(&format!(", grace from {} on", before(at.grace_s)));
    }
    text
}

/// Seconds in the largest units that fit.
fn span(seconds: u32) -> String {
    let (days, hours) = (seconds / 86_400, seconds % 86_400 / 3600);
    match (days, hours, seconds % 3600) {
        (days, 0, 0) => format!("{days} days"),
        (0, hours, 0) => format!("{hours} hours"),
        (0, 0, rest) if rest % 60 == 0 => format!("{} minutes", rest / 60),
        _ => format!("{seconds} seconds"),
    }
}

/// What the container keeps of an entry, for people.
pub(super) fn state_text(item: &ProductItem, state: &ItemState) -> String {
    let mut text = String::new();
    if item.usage_period_s().is_some() {
        let first_use = match state.first_use_s {
            0 => "not yet".into(),
            at_s => times::show(at_s),
        };
        text.push_str(&format!("\n    first use   {first_use}"));
    }
    text.push_str(&format!("\n    in use      {}", state.seats));
    if let Some(units) = &state.units {
        text.push_str(&format!(
            "\n    units       {} left of {}; {} used, {} set aside, {} taken back",
            units.left, units.granted, units.used, units.reserved, units.removed
        ));
    }
    let fields: Vec<String> = data_fields(state).map(field).collect();
    if !fields.is_empty() {
        text.push_str(&format!("\n    data        {}", fields.join(", ")));
    }
    text
}

/// An entry of a usage log.
pub(super) fn usage_entry(entry: &UsageEntry) -> (String, Value) {
    let leaf = &entry.leaf;
    let kind = match leaf.kind {
        UsageKind::FirstUse => "first-use",
        UsageKind::Taken => "taken",
        UsageKind::Reserved => "reserved",
        UsageKind::Used => "used",
        UsageKind::Charged => "charged",
        UsageKind::Released => "released",
        UsageKind::Added => "added",
        UsageKind::Removed => "removed",
        _ => "other",
    };
    let (product, number) = (leaf.item.product, leaf.item.entry);
    let at = if leaf.at_s == 0 { "at an unknown time".into() } else { times::show(leaf.at_s) };
    let text = format!(
        "{at}  product {product} entry {number}: {kind} {}, {} left",
        leaf.units, leaf.left
    );
    let data = json!({
        "time": leaf.at_s, "kind": kind, "product": product.0, "entry": number.0,
        "units": leaf.units, "left": leaf.left, "op": leaf.op.to_string(),
        "subject": format!("{:?}", leaf.subject),
    });
    (text, data)
}

/// What an update does with units.
pub(super) fn units_change(change: &UnitsChange) -> String {
    match change {
        UnitsChange::Add(units) => format!("+ {units} units"),
        UnitsChange::Remove(units) => format!("- {units} units"),
        UnitsChange::ChargeReserved => "units that are set aside count as used".into(),
        UnitsChange::ReleaseReserved => "units that are set aside are left again".into(),
        _ => "units change as a newer version says".into(),
    }
}

/// The same for scripts.
pub(super) fn state_json(state: &ItemState) -> Value {
    let units = state.units.map(|units| {
        json!({
            "left": units.left, "granted": units.granted, "used": units.used,
            "reserved": units.reserved, "removed": units.removed,
        })
    });
    let fields: Vec<String> = data_fields(state).map(field).collect();
    json!({
        "first_use": state.first_use_s, "seats": state.seats, "units": units, "data": fields,
    })
}

fn data_fields(state: &ItemState) -> impl Iterator<Item = DataField> {
    let many = (0..DATA_FIELDS_MAX).flat_map(|index| {
        [DataField::ExtendedProtected(index), DataField::Hidden(index), DataField::Secret(index)]
    });
    let mut all: Vec<DataField> = [DataField::User, DataField::Protected].into_iter().collect();
    all.extend(many);
    all.sort();
    all.into_iter().filter(|field| state.has_data(*field))
}

/// A data field as people name it.
pub(super) fn field(field: DataField) -> String {
    match field {
        DataField::User => "user".into(),
        DataField::Protected => "protected".into(),
        DataField::ExtendedProtected(index) => format!("extended:{index}"),
        DataField::Hidden(index) => format!("hidden:{index}"),
        DataField::Secret(index) => format!("secret:{index}"),
    }
}

pub(super) fn key_source(source: KeySource) -> String {
    source.field().map_or_else(|| "item-key".into(), field)
}

pub(super) fn item_json(item: &ProductItem) -> Value {
    let options: serde_json::Map<String, Value> =
        item.options.iter().map(option).map(|(name, value, _)| (name.to_owned(), value)).collect();
    json!({ "product": item.item.product.0, "entry": item.item.entry.0, "options": options })
}

pub(super) fn item_text(item: &ProductItem) -> String {
    let mut text = format!("product {} entry {}", item.item.product, item.item.entry);
    if item.options.is_empty() {
        text.push_str("\n    no options: not limited");
    }
    for (name, _, value) in item.options.iter().map(option) {
        text.push_str(&format!("\n    {name:<11} {value}"));
    }
    text
}

/// An entry among all of its firm: what the vendor set, and what it takes over as a module.
pub(super) fn effective(item: &ProductItem, all: &[ProductItem]) -> (String, Value) {
    let (mut text, mut data) = (item_text(item), item_json(item));
    let Some(parent) = item.module_of() else { return (text, data) };
    let Some(parent) = all.iter().find(|other| other.item == parent) else {
        text.push_str("\n    MISSING     the entry that it is a module of");
        return (text, data);
    };
    let effective = item.effective(parent);
    for taken in effective.options.iter().filter(|option| !item.options.contains(option)) {
        let (name, _, value) = option(taken);
        let from = parent.item;
        text.push_str(&format!("\n    {name:<11} {value} (from product {})", from.product));
    }
    data["effective"] = item_json(&effective)["options"].take();
    (text, data)
}

pub(super) fn firm_json(firm: &FirmInfo) -> Value {
    json!({
        "root_fp": firm.root_fp.to_string(), "firm_code": firm.firm_code.0, "name": &*firm.name,
        "mode": mode(firm.mode), "updates": firm.seq, "entries": firm.entries,
        "root_version": firm.root_version, "revocation_epoch": firm.revocation_epoch,
        "trapped": firm.trapped.map(|trapped| json!({
            "product": trapped.product.0, "at": trapped.at_s,
        })),
    })
}

/// That a trap locked a firm's licenses, as a line of its own; nothing where none did.
pub(super) fn trapped(firm: &FirmInfo, indent: &str) -> String {
    firm.trapped.map_or_else(String::new, |trapped| {
        let at = times::show(trapped.at_s);
        format!("\n{indent}locked by a trap of product {}, {at}", trapped.product)
    })
}

pub(super) fn info_json(serial: &str, info: &ContainerInfo) -> Value {
    json!({
        "serial": serial, "name": &*info.name, "clock": clock(info.clock),
        "anchor": anchor(info.anchor), "firmware": firmware(info.firmware),
        "time": info.time.now_s, "firms": info.firms, "seats": info.seats, "locked": info.locked,
        "pin_tries": info.pin_tries, "vendor_keys": info.vendor_keys,
    })
}

pub(super) fn requirement_text(requirement: &Requirement) -> String {
    let mut text = format!("product {}, {}", requirement.product, access(requirement.access));
    if requirement.features != 0 {
        text.push_str(&format!(", features {:#x}", requirement.features));
    }
    if requirement.units != 0 {
        text.push_str(&format!(", {} units", requirement.units));
    }
    if requirement.release_s != 0 {
        text.push_str(&format!(", released {}", times::show(requirement.release_s)));
    }
    if requirement.certified_age_s != 0 {
        text.push_str(&format!(", certified time at most {} s old", requirement.certified_age_s));
    }
    if requirement.units != 0 {
        text.push_str(&format!(", {} units for each use", requirement.units));
    }
    if requirement.generation.0 != 0 {
        text.push_str(&format!(", key generation {}", requirement.generation));
    }
    text
}

pub(super) fn requirement_json(requirement: &Requirement) -> Value {
    json!({
        "root_fp": requirement.root_fp.to_string(), "product": requirement.product.0,
        "features": requirement.features, "units": requirement.units,
        "release": requirement.release_s, "access": access(requirement.access),
        "certified_age": requirement.certified_age_s, "generation": requirement.generation.0,
    })
}
