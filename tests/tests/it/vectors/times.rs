//! Vectors: clocks, time rules, and every beginning and end.

use engine::{Stage, TimeView};
use protocol::errors::ErrorCode::*;
use protocol::objects::device::ClockClass;
use protocol::objects::license::{Checkpoint, ItemOption as O, Period, TimeRule};

use super::case::{CERTIFIED_S, Case, NOW_S, OK, Row, Vector};

const END_OF_TIME: u64 = u64::MAX;

#[rustfmt::skip]
const ROWS: &[Row] = &[
    ("time", "nothing asked", "an entry without a rule asks for no time", None, no_time),
    ("time", "age just young enough", "an age is allowed up to and with its limit", None,
        |c| c.need.certified_age_s = 3600),
    ("time", "age one second too old", "age and limit are told",
        Some(CertifiedTimeOld.with(3600, 3599)), |c| c.need.certified_age_s = 3599),
    ("time", "age asked, never certified", "the age is then the whole present",
        Some(CertifiedTimeOld.with(NOW_S, u32::MAX as u64)), |c| {
            c.at.time.certified_s = 0;
            c.need.certified_age_s = u32::MAX;
        }),
    ("time", "age asked, nothing known", "no time at all is never young enough",
        Some(CertifiedTimeOld.with(0, 1)), |c| {
            no_time(c);
            c.need.certified_age_s = 1;
        }),
    ("time", "certified later than now", "its age is 0", None, |c| {
        c.at.time.certified_s = NOW_S + 5;
        c.need.certified_age_s = 1;
    }),
    ("time", "age not asked, never certified", "age 0 asks for none", None,
        |c| c.at.time.certified_s = 0),
    ("time", "age of a use that goes on", "the age is asked when a use begins only", None, |c| {
        c.stage = Stage::GoesOn;
        c.need.certified_age_s = 1;
    }),
    ("time", "age before rule", "where both refuse, the age is told",
        Some(CertifiedTimeOld.with(3600, 1)), |c| {
            c.need.certified_age_s = 1;
            c.set(O::TimeRule(TimeRule::FreshToken));
        }),
    ("time", "sync just in time", "a span is allowed up to and with its limit", None,
        |c| c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: 3600 }))),
    ("time", "sync one second late", "age and span are told",
        Some(SyncOverdue.with(3600, 3599)),
        |c| c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: 3599 }))),
    ("time", "sync never", "never certified is overdue, whatever the span",
        Some(SyncOverdue.with(NOW_S, u32::MAX as u64)), |c| {
            c.at.time.certified_s = 0;
            c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: u32::MAX }));
        }),
    ("time", "sync by a clock with a battery", "the age is counted to the later time",
        Some(SyncOverdue.with(3601, 3600)), |c| {
            (c.at.time.class, c.at.time.clock_s) = (ClockClass::Rtc, NOW_S + 1);
            c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: 3600 }));
        }),
    ("time", "sync of a use that goes on", "a rule holds for as long as the use",
        Some(SyncOverdue.with(3600, 3599)), |c| {
            c.stage = Stage::GoesOn;
            c.set(O::TimeRule(TimeRule::MustSyncEvery { every_s: 3599 }));
        }),
    ("time", "host silent", "the rule wants the host's clock", Some(HostTimeMissing.with(0, 0)),
        |c| c.set(O::TimeRule(TimeRule::HostOk { slack_s: 100 }))),
    ("time", "host as far as the slack", "allowed up to and with its limit", None,
        |c| host(c, NOW_S + 100, 100)),
    ("time", "host one second too far", "the host's time and the limit are told",
        Some(HostTimeFar.with(NOW_S + 101, NOW_S + 100)), |c| host(c, NOW_S + 101, 100)),
    ("time", "host without slack", "exactly what the container reached", None,
        |c| host(c, NOW_S, 0)),
    ("time", "host without slack, one ahead", "not a second further",
        Some(HostTimeFar.with(NOW_S + 1, NOW_S)), |c| host(c, NOW_S + 1, 0)),
    ("time", "host behind", "a host that lags is no reason to refuse", None, |c| host(c, 1, 100)),
    ("time", "host, nothing certified", "the slack then counts from 0",
        Some(HostTimeFar.with(101, 100)), |c| {
            no_time(c);
            host(c, 101, 100);
        }),
    ("time", "host at the end of all time", "the limit does not wrap around", None, |c| {
        c.at.time.reach_s = END_OF_TIME - 1;
        host(c, END_OF_TIME, u32::MAX);
    }),
    ("time", "host silent, clock with a battery", "a container with a clock asks no host", None,
        |c| {
            (c.at.time.class, c.at.time.clock_s) = (ClockClass::Rtc, NOW_S);
            c.set(O::TimeRule(TimeRule::HostOk { slack_s: 0 }));
        }),
    ("time", "host far ahead, clock with a battery", "nor does it mind what the host says", None,
        |c| {
            (c.at.time.class, c.at.time.clock_s) = (ClockClass::Rtc, NOW_S);
            host(c, END_OF_TIME, 0);
        }),
    ("time", "token not fresh", "no token since the power came", Some(TimeNotFresh.with(0, 0)),
        |c| c.set(O::TimeRule(TimeRule::FreshToken))),
    ("time", "token not fresh, clock with a battery", "a clock is no substitute",
        Some(TimeNotFresh.with(0, 0)), |c| {
            (c.at.time.class, c.at.time.clock_s) = (ClockClass::Rtc, NOW_S);
            c.set(O::TimeRule(TimeRule::FreshToken));
        }),
    ("time", "token fresh", "a token answered in this power session", None, |c| {
        c.at.time.is_fresh = true;
        c.set(O::TimeRule(TimeRule::FreshToken));
    }),
    ("time", "runtime only, nothing known", "the rule alone asks for no time", None, |c| {
        no_time(c);
        c.set(O::TimeRule(TimeRule::RuntimeOnly));
    }),
    ("activation", "first second", "the second that is named is in", None,
        |c| c.set(O::ActivationTime(NOW_S))),
    ("activation", "the second before", "beginning and present are told",
        Some(NotYetActive.with(NOW_S + 1, NOW_S)), |c| c.set(O::ActivationTime(NOW_S + 1))),
    ("activation", "never", "the last second there is", Some(NotYetActive.with(u64::MAX, NOW_S)),
        |c| c.set(O::ActivationTime(u64::MAX))),
    ("activation", "zero, no time known", "0 is from the beginning: no time is needed", None,
        |c| {
            no_time(c);
            c.set(O::ActivationTime(0));
        }),
    ("activation", "no time known", "what cannot be judged is refused", Some(NoTime.with(0, 0)),
        |c| {
            no_time(c);
            c.set(O::ActivationTime(1));
        }),
    ("activation", "of a use that goes on", "judged again with each heartbeat",
        Some(NotYetActive.with(NOW_S + 1, NOW_S)), |c| {
            c.stage = Stage::GoesOn;
            c.set(O::ActivationTime(NOW_S + 1));
        }),
    ("expiration", "last second", "the second before the end is in", None,
        |c| c.set(O::ExpirationTime(NOW_S + 1))),
    ("expiration", "first second out", "end and present are told",
        Some(Expired.with(NOW_S, NOW_S)), |c| c.set(O::ExpirationTime(NOW_S))),
    ("expiration", "long ago", "end and present are told", Some(Expired.with(1, NOW_S)),
        |c| c.set(O::ExpirationTime(1))),
    ("expiration", "the end of all time", "the greatest end is an end too", None,
        |c| c.set(O::ExpirationTime(u64::MAX))),
    ("expiration", "no time known", "what cannot be judged is refused", Some(NoTime.with(0, 0)),
        |c| {
            no_time(c);
            c.set(O::ExpirationTime(u64::MAX));
        }),
    ("expiration", "runtime only, a clock but no reach", "the clock does not count",
        Some(NoTime.with(0, 0)), |c| {
            no_time(c);
            (c.at.time.class, c.at.time.clock_s) = (ClockClass::Rtc, NOW_S);
            c.set(O::ExpirationTime(u64::MAX));
            c.set(O::TimeRule(TimeRule::RuntimeOnly));
        }),
    ("expiration", "no rule, a host but no reach", "the host does not count unasked",
        Some(NoTime.with(0, 0)), |c| {
            no_time(c);
            c.at.time.host_s = NOW_S;
            c.set(O::ExpirationTime(u64::MAX));
        }),
    ("expiration", "of a use that goes on", "a license that ends takes its use with it",
        Some(Expired.with(NOW_S, NOW_S)), |c| {
            c.stage = Stage::GoesOn;
            c.set(O::ExpirationTime(NOW_S));
        }),
    ("usage period", "not begun", "it would begin now, be it ever so short", None,
        |c| c.set(O::UsagePeriod(1))),
    ("usage period", "last second", "the second before the end is in", None,
        |c| used(c, NOW_S - 99, 100)),
    ("usage period", "first second out", "end and present are told",
        Some(UsageOver.with(NOW_S, NOW_S)), |c| used(c, NOW_S - 100, 100)),
    ("usage period", "begun, none set", "a first use means nothing without a period", None,
        |c| c.at.first_use_s = 1),
    ("usage period", "begun later than now", "it lasts from its beginning on", None,
        |c| used(c, NOW_S + 50, 1)),
    ("usage period", "not begun, no time known", "its beginning could not be kept",
        Some(NoTime.with(0, 0)), |c| {
            no_time(c);
            c.set(O::UsagePeriod(1));
        }),
    ("usage period", "begun, no time known", "its end could not be judged",
        Some(NoTime.with(0, 0)), |c| {
            no_time(c);
            used(c, NOW_S, 100);
        }),
    ("usage period", "end beyond all time", "the end does not wrap around", None,
        |c| used(c, END_OF_TIME - 1, u32::MAX)),
    ("usage period", "at the end of all time", "even one that begins now is over",
        Some(UsageOver.with(END_OF_TIME, END_OF_TIME)), |c| {
            c.at.time.reach_s = END_OF_TIME;
            c.set(O::UsagePeriod(u32::MAX));
        }),
    ("checkpoint", "last second", "the second before the lapse is in", None,
        |c| lapse(c, NOW_S + 1)),
    ("checkpoint", "first second out", "lapse and present are told",
        Some(Lapsed.with(NOW_S, NOW_S)), |c| lapse(c, NOW_S)),
    ("checkpoint", "renewal due, in grace", "grace is before the lapse: use goes on", None,
        |c| lapse(c, NOW_S + 50)),
    ("checkpoint", "no time known", "what cannot be judged is refused", Some(NoTime.with(0, 0)),
        |c| {
            no_time(c);
            lapse(c, u64::MAX);
        }),
    ("checkpoint", "of a use that goes on", "a lapse takes a running use with it",
        Some(Lapsed.with(NOW_S, NOW_S)), |c| {
            c.stage = Stage::GoesOn;
            lapse(c, NOW_S);
        }),
    ("maintenance", "any release", "without a period every release date is covered", None,
        |c| c.need.release_s = u64::MAX),
    ("maintenance", "not dated", "an undated program is covered by no period",
        Some(MaintenanceUndated.with(1000, 2000)), |c| covered(c, 0)),
    ("maintenance", "first second", "the first second is covered", None, |c| covered(c, 1000)),
    ("maintenance", "the second before", "release and beginning are told",
        Some(MaintenanceNotYet.with(999, 1000)), |c| covered(c, 999)),
    ("maintenance", "last second", "the last second is covered", None, |c| covered(c, 1999)),
    ("maintenance", "first second out", "release and end are told",
        Some(MaintenanceOver.with(2000, 2000)), |c| covered(c, 2000)),
    ("maintenance", "no time known", "the present does not matter", None, |c| {
        no_time(c);
        covered(c, 1500);
    }),
    ("maintenance", "greatest release", "the latest date there is",
        Some(MaintenanceOver.with(u64::MAX, 2000)), |c| covered(c, u64::MAX)),
];

/// Which time counts for which rule and class of clock, in seconds behind [`NOW_S`]: the container
/// reached 200, its clock shows 300, its host says 400.
const CLOCKS: [(ClockClass, &str, u64); 20] = [
    (ClockClass::Rtc, "no rule", 300),
    (ClockClass::Rtc, "host ok", 300),
    (ClockClass::Rtc, "must sync every", 300),
    (ClockClass::Rtc, "runtime only", 200),
    (ClockClass::Rtc, "fresh token", 300),
    (ClockClass::Signed, "no rule", 300),
    (ClockClass::Signed, "host ok", 400),
    (ClockClass::Signed, "must sync every", 300),
    (ClockClass::Signed, "runtime only", 200),
    (ClockClass::Signed, "fresh token", 300),
    (ClockClass::Session, "no rule", 300),
    (ClockClass::Session, "host ok", 400),
    (ClockClass::Session, "must sync every", 300),
    (ClockClass::Session, "runtime only", 200),
    (ClockClass::Session, "fresh token", 300),
    (ClockClass::Host, "no rule", 300),
    (ClockClass::Host, "host ok", 400),
    (ClockClass::Host, "must sync every", 300),
    (ClockClass::Host, "runtime only", 200),
    (ClockClass::Host, "fresh token", 300),
];

pub(crate) fn vectors() -> Vec<Vector> {
    let clocks = CLOCKS.iter().flat_map(|row| [clock(row, 1), clock(row, 0)]);
    ROWS.iter().copied().map(Vector::of).chain(clocks).collect()
}

/// An entry whose end is so many seconds behind the present that counts.
fn clock(&(class, rule, counts_s): &(ClockClass, &str, u64), left_s: u64) -> Vector {
    let mut case = Case::new();
    case.at.time = TimeView {
        class,
        clock_s: NOW_S + 300,
        reach_s: NOW_S + 200,
        certified_s: CERTIFIED_S,
        host_s: NOW_S + 400,
        is_fresh: true,
    };
    let (now_s, end_s) = (NOW_S + counts_s, NOW_S + counts_s + left_s);
    case.set(O::ExpirationTime(end_s));
    let rule_set = match rule {
        "host ok" => Some(TimeRule::HostOk { slack_s: 200 }),
        "must sync every" => Some(TimeRule::MustSyncEvery { every_s: 7200 }),
        "runtime only" => Some(TimeRule::RuntimeOnly),
        "fresh token" => Some(TimeRule::FreshToken),
        _ => None,
    };
    rule_set.into_iter().for_each(|rule| case.set(O::TimeRule(rule)));
    let (what, expected) = match left_s {
        0 => ("first second out", Some(("expiration", Expired.with(end_s, now_s)))),
        _ => ("last second", OK),
    };
    Vector {
        step: "expiration",
        name: format!("expiration: clock {class:?}, {rule}, {what}"),
        shows: format!("the time that counts is {counts_s} s after that of the other vectors"),
        case,
        expected,
    }
}

fn no_time(case: &mut Case) {
    (case.at.time.reach_s, case.at.time.certified_s) = (0, 0);
}

fn host(case: &mut Case, host_s: u64, slack_s: u32) {
    case.at.time.host_s = host_s;
    case.set(O::TimeRule(TimeRule::HostOk { slack_s }));
}

fn used(case: &mut Case, first_use_s: u64, period_s: u32) {
    case.at.first_use_s = first_use_s;
    case.set(O::UsagePeriod(period_s));
}

fn lapse(case: &mut Case, lapse_s: u64) {
    let at = Checkpoint { lapse_s, period_s: 900, renew_s: 300, grace_s: 100 };
    case.set(O::Checkpoint(at));
}

fn covered(case: &mut Case, release_s: u64) {
    case.set(O::MaintenancePeriod(Period { from_s: 1000, until_s: 2000 }));
    case.need.release_s = release_s;
}
