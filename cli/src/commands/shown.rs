//! Entries, firms and objects as people and scripts see them.

use protocol::command::{ContainerInfo, FirmInfo, ItemState};
use protocol::objects::device::{AnchorClass, ClockClass};
use protocol::objects::license::{
    AccessMode, Checkpoint, ItemOption, Period, ProductItem, Requirement, Status,
};
use protocol::objects::root::Mode;
use serde_json::{Value, json};

use crate::times;

pub(super) fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Test => "test",
        _ => "live",
    }
}

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
    }
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
    text
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

pub(super) fn firm_json(firm: &FirmInfo) -> Value {
    json!({
        "root_fp": firm.root_fp.to_string(), "firm_code": firm.firm_code.0, "name": &*firm.name,
        "mode": mode(firm.mode), "updates": firm.seq, "entries": firm.entries,
        "root_version": firm.root_version, "revocation_epoch": firm.revocation_epoch,
    })
}

pub(super) fn info_json(serial: &str, info: &ContainerInfo) -> Value {
    json!({
        "serial": serial, "name": &*info.name, "clock": clock(info.clock),
        "anchor": anchor(info.anchor), "firmware": firmware(info.firmware),
        "time": info.time.now_s, "firms": info.firms, "seats": info.seats, "locked": info.locked,
    })
}

pub(super) fn requirement_text(requirement: &Requirement) -> String {
    let mut text = format!("product {}, {}", requirement.product, access(requirement.access));
    if requirement.features != 0 {
        text.push_str(&format!(", features {:#x}", requirement.features));
    }
    if requirement.certified_age_s != 0 {
        text.push_str(&format!(", certified time at most {} s old", requirement.certified_age_s));
    }
    if requirement.generation.0 != 0 {
        text.push_str(&format!(", key generation {}", requirement.generation));
    }
    text
}
