//! What the answers of sources and containers mean: silent, broken or locked ones, clocks apart,
//! entries that end soon or are refused.

use std::time::Duration;

use container::Error;
use protocol::command::ContainerInfo;
use protocol::errors::ErrorCode;
use protocol::objects::device::ClockClass;
use protocol::objects::license::ProductItem;
use vendor::{Shown, times};

use super::machine::failed;
use super::probe::{Answer, FirmProbe, ItemProbe, Probe, Probed};
use crate::commands::shown;
use crate::commands::shown::DECOMMISSIONED;
use crate::support::Finding;

/// What ends within this time is told.
const SOON_S: u64 = 30 * 86_400;
/// Clocks are never quite the same.
const APART_S: u64 = 300;
/// So far apart, licenses begin and end on the wrong day.
const FAR_APART_S: u64 = 86_400;

/// Findings on one source.
pub(super) fn source(probed: &Probed, wait: Duration, now_s: u64) -> Vec<Finding> {
    let name = probed.source.to_string();
    match &probed.answer {
        None => {
            let seen = format!("{name}: no answer within {} s", wait.as_secs());
            let next = "Unplug the container and plug it in again, or restart its simulator or \
                service. A longer time is given by --wait SECONDS.";
            vec![Finding::problem("source", seen, next).coded("S0204")]
        }
        Some(Err(error)) => vec![broken(&name, error)],
        Some(Ok(answer)) => answered(&name, answer, now_s),
    }
}

fn answered(name: &str, answer: &Answer, now_s: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    let count = answer.containers.len();
    if answer.broken.is_empty() {
        findings.push(Finding::ok("source", format!("{name}: {count} containers")));
    }
    // A device that may not be opened is told by the check of devices.
    let told = |error: &&Error| !(name == "usb" && error.is(ErrorCode::NoPermission));
    findings.extend(answer.broken.iter().filter(told).map(|error| broken(name, error)));
    findings.extend(answer.containers.iter().flat_map(|probe| container(probe, now_s)));
    findings
}

fn broken(name: &str, error: &Error) -> Finding {
    failed("source", name, &Shown::from(error.clone()))
}

fn container(probe: &Probe, now_s: u64) -> Vec<Finding> {
    let (serial, info) = (probe.container.serial().to_string(), &probe.info);
    let about = format!("{serial}: {}", shown::mode(probe.container.mode()));
    let mut findings = vec![state(&about, info)];
    findings.extend(apart(&serial, info.time.class, info.time.now_s, now_s));
    let time_s = if info.time.now_s == 0 { now_s } else { info.time.now_s };
    for firm in &probe.firms {
        findings.extend(entries(&serial, firm, time_s));
    }
    findings
}

/// Whether it works.
fn state(about: &str, info: &ContainerInfo) -> Finding {
    let seen = format!(
        "{about}, firmware {}, clock {}, {} vendors, {} seats in use",
        shown::firmware(info.firmware),
        shown::clock(info.clock),
        info.firms,
        info.seats
    );
    match info.locked {
        0 => Finding::ok("container", seen),
        DECOMMISSIONED => {
            let row = ErrorCode::Decommissioned.row();
            let seen = format!("{seen}; decommissioned, nothing is left in it");
            let code = protocol::errors::shown_code(row.number);
            Finding::problem("container", seen, row.next).coded(code)
        }
        reason => {
            let seen = format!("{seen}; LOCKED, reason {reason}");
            let next = ErrorCode::ContainerLocked.row().next;
            Finding::problem("container", seen, next).coded("S0301")
        }
    }
}

/// A container's clock beside the machine's. Only one with a battery goes on by itself; any may be
/// ahead, which no true clock lets it.
fn apart(serial: &str, class: ClockClass, container_s: u64, now_s: u64) -> Option<Finding> {
    let behind = class != ClockClass::Rtc && container_s < now_s;
    let apart_s = container_s.abs_diff(now_s);
    if container_s == 0 || behind {
        return None;
    }
    let side = if container_s > now_s { "ahead of" } else { "behind" };
    let seen =
        format!("{serial} says {}, {apart_s} s {side} this machine", times::show(container_s));
    let next = "Set this machine's clock if it is the wrong one; licenses go by the container's, \
        which only its vendor can put right.";
    Some(match apart_s {
        ..APART_S => Finding::ok("clock", seen),
        APART_S..FAR_APART_S => Finding::note("clock", seen, next),
        _ => Finding::problem("clock", seen, next),
    })
}

/// What is to be said of a vendor's entries at the container's time.
fn entries(serial: &str, probe: &FirmProbe, now_s: u64) -> Vec<Finding> {
    let mut findings = Vec::new();
    if let Some(trapped) = probe.firm.trapped {
        let at = times::show(trapped.at_s);
        let seen = format!(
            "{serial}, {}: a trap of product {} locked all licenses, {at}",
            &*probe.firm.name, trapped.product
        );
        let next = ErrorCode::FirmLocked.row().next;
        return vec![Finding::problem("license", seen, next).coded("S0311")];
    }
    let mut judged = None;
    for item in &probe.items {
        let product = item.item.item.product;
        let about = format!(
            "{serial}, {}: product {product} entry {}",
            &*probe.firm.name, item.item.item.entry
        );
        // A refusal is that of the product as a whole, so it is told once.
        let first = judged.replace(product) != Some(product);
        match &item.use_now {
            Err(error) if !allowed_but_for_the_key(error) => {
                findings.extend(first.then(|| refused(&about, error)));
            }
            _ => findings.extend(ending(&about, item, now_s)),
        }
    }
    if findings.is_empty() {
        let (count, name) = (probe.items.len(), &*probe.firm.name);
        let seen = format!("{serial}, {name}: {count} entries, none ends within 30 days");
        findings.push(Finding::ok("license", seen));
    }
    findings
}

/// The key is asked for last, and of which generation it must be depends on the program.
fn allowed_but_for_the_key(error: &Error) -> bool {
    error.is(ErrorCode::KeyMissing)
}

/// What passes by itself, or is meant so, is no problem.
fn refused(about: &str, error: &Error) -> Finding {
    let passes = [
        ErrorCode::NotYetActive,
        ErrorCode::OtherUser,
        ErrorCode::NoSeat,
        ErrorCode::StationBusy,
        ErrorCode::StationUnknown,
    ];
    let finding = failed("license", about, &Shown::from(error.clone()));
    match passes.into_iter().any(|code| error.is(code)) {
        true => Finding { state: crate::support::State::Note, ..finding },
        false => finding,
    }
}

/// An entry that has ended, while others of its product go on, or ends soon.
fn ending(about: &str, probe: &ItemProbe, now_s: u64) -> Option<Finding> {
    let (what, end_s) = end(&probe.item, probe.state.first_use_s)?;
    let next = "Ask the vendor for a renewal: send a new context file, apply the update that \
        comes back.";
    let due = probe
        .item
        .checkpoint()
        .is_some_and(|at| now_s >= at.lapse_s.saturating_sub(at.renew_s.into()));
    let at = times::show(end_s);
    if end_s <= now_s {
        let seen = format!("{about} {what} {at}; another entry allows the use");
        return Some(Finding::note("license", seen, next));
    }
    let left_d = (end_s - now_s) / 86_400;
    (due || end_s - now_s <= SOON_S).then(|| {
        Finding::note("license", format!("{about} {what} {at}, {left_d} days from now"), next)
    })
}

/// What ends an entry first, and when.
fn end(item: &ProductItem, first_use_s: u64) -> Option<(&'static str, u64)> {
    let usage_s = item.usage_period_s().filter(|_| first_use_s != 0);
    let ends = [
        item.expiration_s().map(|at_s| ("expires", at_s)),
        item.checkpoint().map(|at| ("lapses", at.lapse_s)),
        usage_s.map(|period_s| ("may be used until", first_use_s.saturating_add(period_s.into()))),
    ];
    ends.into_iter().flatten().min_by_key(|(_, at_s)| *at_s)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::State;
    use protocol::codec::{List, Text};
    use protocol::command::ItemState;
    use protocol::ids::{ContainerId, EntryNumber, ProductCode};
    use protocol::objects::device::AnchorClass;
    use protocol::objects::license::{Checkpoint, ItemOption, ItemRef};
    use protocol::objects::statement::TimeInfo;

    const DAY_S: u64 = 86_400;

    #[test]
    fn a_locked_container_is_a_problem() {
        let class = ClockClass::Rtc;
        let mut info = ContainerInfo {
            id: ContainerId::default(),
            name: Text::default(),
            clock: class,
            anchor: AnchorClass::Hardware,
            firmware: 0x0001_0203,
            time: TimeInfo { floor_s: 0, now_s: 0, class, certified_s: 0 },
            firms: 2,
            seats: 3,
            locked: 0,
            vendor_keys: 0,
            pin_tries: None,
        };
        let free = super::state("D: test", &info);
        let seen = "D: test, firmware 1.2.3, clock rtc, 2 vendors, 3 seats in use";
        assert_eq!((free.state, free.seen.as_str()), (State::Ok, seen));
        info.locked = 4;
        let locked = super::state("D: test", &info);
        assert_eq!((locked.state, locked.code.as_deref()), (State::Problem, Some("S0301")));
        assert!(locked.seen.contains("reason 4"), "{}", locked.seen);
        info.locked = crate::commands::shown::DECOMMISSIONED;
        let ended = super::state("D: test", &info);
        assert_eq!((ended.state, ended.code.as_deref()), (State::Problem, Some("S060B")));
    }

    #[test]
    fn clocks_apart_are_told_by_how_far() {
        let now_s = 2_000 * DAY_S;
        let state = |class, at_s| apart("D", class, at_s, now_s).map(|finding| finding.state);
        assert_eq!(state(ClockClass::Rtc, now_s - 299), Some(State::Ok));
        assert_eq!(state(ClockClass::Rtc, now_s - 300), Some(State::Note));
        assert_eq!(state(ClockClass::Rtc, now_s + DAY_S), Some(State::Problem));
        assert_eq!(state(ClockClass::Session, now_s - DAY_S), None);
        assert_eq!(state(ClockClass::Session, now_s + DAY_S), Some(State::Problem));
        assert_eq!(state(ClockClass::Rtc, 0), None);
    }

    #[test]
    fn the_first_end_counts_and_is_told_thirty_days_before() {
        let now_s = 2_000 * DAY_S;
        let told = |options: Vec<ItemOption>, first_use_s| {
            let item = ItemRef { product: ProductCode(7), entry: EntryNumber(0) };
            let item = ProductItem { item, options: List::new(options).unwrap() };
            let state = ItemState { first_use_s, ..ItemState::default() };
            let probe = ItemProbe { item, state, use_now: Ok(()) };
            ending("it", &probe, now_s).map(|finding| finding.seen)
        };
        let expires = |at_s| ItemOption::ExpirationTime(at_s);
        assert_eq!(told(vec![], 0), None);
        assert_eq!(told(vec![expires(now_s + SOON_S + 1)], 0), None);
        assert!(told(vec![expires(now_s + SOON_S)], 0).unwrap().contains("30 days from now"));
        assert!(told(vec![expires(now_s)], 0).unwrap().contains("another entry"));
        let usage = ItemOption::UsagePeriod(DAY_S as u32);
        assert_eq!(told(vec![usage.clone()], 0), None);
        let both = told(vec![expires(now_s + SOON_S), usage], now_s).unwrap();
        assert!(both.contains("may be used until") && both.contains(" 1 days"), "{both}");
        let lapse_s = now_s + 60 * DAY_S;
        let renew = |days| {
            let renew_s = (days * DAY_S) as u32;
            let period_s = (90 * DAY_S) as u32;
            ItemOption::Checkpoint(Checkpoint { lapse_s, period_s, renew_s, grace_s: 0 })
        };
        assert_eq!(told(vec![renew(59)], 0), None);
        assert!(told(vec![renew(60)], 0).unwrap().contains("lapses"));
    }
}
