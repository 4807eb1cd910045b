//! Vectors as JSON: one line for each part, 64-bit numbers as text.

use engine::{Circumstances, Stage};
use protocol::codec::{self, Fixed};
use protocol::objects::device::ClockClass;
use protocol::objects::license::{
    AccessMode, Country, ItemOption, LostUnits, ProductItem, Requirement, Status, TimeRule,
};
use serde_json::{Value, json};

use super::case::{Expected, Vector};

/// The access modes and their names.
pub(super) const MODES: [(AccessMode, &str); 4] = [
    (AccessMode::UserLimit, "user_limit"),
    (AccessMode::StationShare, "station_share"),
    (AccessMode::Exclusive, "exclusive"),
    (AccessMode::NoUserLimit, "no_user_limit"),
];

/// The classes of clocks and their names.
pub(super) const CLASSES: [(ClockClass, &str); 4] = [
    (ClockClass::Rtc, "rtc"),
    (ClockClass::Signed, "signed"),
    (ClockClass::Session, "session"),
    (ClockClass::Host, "host"),
];

/// A file of vectors.
pub(super) fn file(about: &str, vectors: &[Vector]) -> String {
    let vectors: Vec<String> = vectors.iter().map(vector).collect();
    let about = json!(about);
    format!("{{\n\"about\": {about},\n\"vectors\": [\n{}\n]\n}}\n", vectors.join(",\n"))
}

/// The name of a value in a table of names.
pub(super) fn name_of<T: PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).expect("a value with a name").1
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn vector(vector: &Vector) -> String {
    let case = &vector.case;
    let stage = if case.stage == Stage::Begins { "begins" } else { "goes_on" };
    let parts = [
        ("name", json!(vector.name)),
        ("shows", json!(vector.shows)),
        ("entry", entry(&case.native())),
        ("parent", case.parent().map_or(Value::Null, |parent| entry(&parent))),
        ("requirement", requirement(&case.need)),
        ("circumstances", circumstances(&case.at)),
        ("stage", json!(stage)),
        ("expected", expected(&vector.expected)),
    ];
    let lines: Vec<String> =
        parts.iter().map(|(name, value)| format!(" \"{name}\": {value}")).collect();
    format!("{{\n{}\n}}", lines.join(",\n"))
}

fn entry(item: &ProductItem) -> Value {
    let options: serde_json::Map<_, _> = item.options.iter().map(option).collect();
    json!({
        "bytes": hex(&codec::encode(item)),
        "product": item.item.product.0,
        "entry": item.item.entry.0,
        "options": options,
    })
}

/// Every option by its name in the document of the format.
fn option(option: &ItemOption) -> (String, Value) {
    let value = match option {
        ItemOption::Text(text) | ItemOption::CustomerInfo(text) => json!(&**text),
        ItemOption::NamedUser(name) => json!(&**name),
        ItemOption::FeatureMap(number)
        | ItemOption::ActivationTime(number)
        | ItemOption::ExpirationTime(number) => wide(*number),
        ItemOption::LicenseQuantity(number)
        | ItemOption::UsagePeriod(number)
        | ItemOption::LingerTime(number) => json!(number),
        ItemOption::DeniedModes(modes) => {
            let denied = MODES.iter().filter(|(mode, _)| modes.contains(*mode));
            denied.map(|(_, name)| *name).collect()
        }
        ItemOption::MinimumRuntime(version) => json!(version.0),
        ItemOption::MaintenancePeriod(period) => {
            json!({"from_s": wide(period.from_s), "until_s": wide(period.until_s)})
        }
        ItemOption::Checkpoint(at) => json!({
            "lapse_s": wide(at.lapse_s),
            "period_s": at.period_s,
            "renew_s": at.renew_s,
            "grace_s": at.grace_s,
        }),
        ItemOption::Region(markets) => markets.iter().map(|market| country(*market)).collect(),
        ItemOption::Status(status) => {
            json!(if *status == Status::Suspended { "suspended" } else { "enabled" })
        }
        ItemOption::UnitCounter(rule) => {
            let lost = if rule.lost == LostUnits::Held { "held" } else { "charged" };
            json!({"reserve_max": rule.reserve_max, "lost": lost})
        }
        ItemOption::TimeRule(rule) => time_rule(*rule),
        ItemOption::ModuleOf(parent) => {
            json!({"product": parent.product.0, "entry": parent.entry.0})
        }
        ItemOption::NamedUserKey(key) => json!(hex(&key.0)),
        // They change no evaluation, so no vector has them.
        ItemOption::TransferOptions(_) | ItemOption::History(_) => Value::Null,
    };
    (format!("{:?}", option.kind()), value)
}

fn time_rule(rule: TimeRule) -> Value {
    match rule {
        TimeRule::HostOk { slack_s } => json!({"rule": "host_ok", "slack_s": slack_s}),
        TimeRule::MustSyncEvery { every_s } => {
            json!({"rule": "must_sync_every", "every_s": every_s})
        }
        TimeRule::RuntimeOnly => json!({"rule": "runtime_only"}),
        TimeRule::FreshToken => json!({"rule": "fresh_token"}),
        _ => panic!("a rule without a name"),
    }
}

fn requirement(need: &Requirement) -> Value {
    json!({
        "bytes": hex(&codec::encode(need)),
        "root_fp": hex(need.root_fp.bytes()),
        "product": need.product.0,
        "features": wide(need.features),
        "units": need.units,
        "release_s": wide(need.release_s),
        "access": name_of(&MODES, need.access),
        "certified_age_s": need.certified_age_s,
        "generation": need.generation.0,
    })
}

fn circumstances(at: &Circumstances) -> Value {
    json!({
        "has": {
            "locked": at.has.locked,
            "firm": at.has.firm,
            "trapped": at.has.trapped.map(|trapped| {
                json!({"product": trapped.product.0, "at_s": wide(trapped.at_s)})
            }),
            "product": at.has.product,
            "parent": at.has.parent,
            "key": at.has.key,
            "log_room": at.has.log_room,
        },
        "time": {
            "class": name_of(&CLASSES, at.time.class),
            "clock_s": wide(at.time.clock_s),
            "reach_s": wide(at.time.reach_s),
            "certified_s": wide(at.time.certified_s),
            "host_s": wide(at.time.host_s),
            "is_fresh": at.time.is_fresh,
        },
        "first_use_s": wide(at.first_use_s),
        "units": wide(at.units),
        "taken": {
            "seats": at.taken.seats,
            "shared_here": at.taken.shared_here,
            "exclusive_here": at.taken.exclusive_here,
        },
        "after_power_up": {
            "quarantine_s": at.after_power_up.quarantine_s,
            "settling_s": at.after_power_up.settling_s,
        },
        "client": {
            "runtime": at.client.runtime.0,
            "market": country(at.client.market),
            "user": hex(&at.client.user.0),
            "station": hex(&at.client.station.0),
        },
        "user_key": at.user_key.map(|Fixed(key)| hex(&key)),
    })
}

fn expected(expected: &Expected) -> Value {
    let Some((step, failure)) = expected else { return json!("ok") };
    let code = failure.known().expect("a number of the table");
    json!({
        "step": step,
        "code": format!("S{:04X}", failure.code),
        "name": code.row().name,
        "a": wide(failure.a),
        "b": wide(failure.b),
    })
}

/// A country's letters; empty for none.
fn country(country: Country) -> Value {
    json!(if country.is_one() { String::from_utf8_lossy(&country.0) } else { "".into() })
}

/// 64 bits: more than a number of JSON surely holds.
fn wide(number: u64) -> Value {
    json!(number.to_string())
}
