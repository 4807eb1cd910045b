//! `strongroom doctor`: what is wrong on this machine and in its containers, and what to do.

mod bundle;
mod containers;
mod devices;
mod machine;
mod places;
mod probe;
pub(crate) mod replay;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use backends::Source;
use container::dongle::hid;
use protocol::errors::ErrorCode;
use protocol::objects::license::Requirement;
use serde_json::json;

use super::{license, shown};
use crate::args::{Args, DoctorArgs};
use crate::clock;
use crate::output::Output;
use crate::support::{Attempt, Bundle, Finding, State};
use places::Places;
use probe::{Pending, Probe, Probed};
use vendor::{Result, Shown, files};

/// Exit code when there are problems.
const PROBLEMS: u8 = 10;

pub(super) fn run(doctor: &DoctorArgs, args: &Args, output: &Output) -> Result<u8> {
    if let Some(path) = &doctor.replay {
        return replay::run(path, output).map(|()| 0);
    }
    if doctor.udev_rule {
        output.data("udev-rule", json!({ "rule": devices::RULE }), devices::RULE.trim_end());
        return Ok(0);
    }
    if let Some(path) = &doctor.bundle {
        // Known before anything takes its time.
        files::check_new(path)?;
    }
    let examined = examine(doctor, args, output)?;
    let made = doctor.bundle.as_deref().map(|path| (path, examined.bundle()));
    if let (Some((path, bundle)), false) = (&made, doctor.dry_run) {
        files::write_private(path, pretty(bundle).as_bytes())?;
    }
    report(&examined.findings, made.as_ref().map(|(path, bundle)| (*path, bundle)), doctor, output);
    let problems = examined.findings.iter().any(|finding| finding.state == State::Problem);
    Ok(if problems { PROBLEMS } else { 0 })
}

/// All that was found.
struct Examined {
    findings: Vec<Finding>,
    probed: Vec<Probed>,
    attempts: Vec<Attempt>,
}

impl Examined {
    fn bundle(&self) -> Bundle {
        let private = bundle::Private::here();
        bundle::bundle(&self.findings, &self.probed, self.attempts.clone(), &private)
    }
}

fn examine(doctor: &DoctorArgs, args: &Args, output: &Output) -> Result<Examined> {
    let places = Places::here();
    let wait = Duration::from_secs(doctor.wait);
    let now_s = clock::now_s();
    let mut findings = machine::configuration(&places);
    findings.push(machine::clock(now_s));
    findings.extend(machine::disk(&places));
    findings.push(machine::loader(&places));
    let (sources, told) = named(args, &places);
    findings.extend(told);
    let with_usb = sources.contains(&Source::Usb);
    let devices = with_usb.then(|| Pending::ask(hid::list));
    let end = clock::start() + wait;
    let mut probed = probe::sources(sources, wait, output);
    if let Some(devices) = devices {
        findings.extend(devices::devices(devices.answer(end, &mut || ()), &places));
    }
    keep_named(&mut probed, args.container.as_deref());
    findings.extend(probed.iter().flat_map(|probed| containers::source(probed, wait, now_s)));
    findings.extend(nothing(&probed, args.container.as_deref()));
    let mut attempts = Vec::new();
    for probe in doctor.product.iter().flat_map(|_| reached(&probed)) {
        let (finding, attempt) = tried(probe, doctor, wait);
        findings.push(finding);
        attempts.extend(attempt);
    }
    Ok(Examined { findings, probed, attempts })
}

/// The sources, who named them, and the market where it is named wrongly.
fn named(args: &Args, places: &Places) -> (Vec<Source>, Vec<Finding>) {
    const AREA: &str = "configuration";
    let named = |name| std::env::var_os(name).is_some_and(|value: OsString| !value.is_empty());
    let by = match places.configuration.iter().any(|path| path.is_file()) {
        _ if !args.source.is_empty() => "--source",
        _ if named("STRONGROOM_SOURCES") => "STRONGROOM_SOURCES",
        true => "the configuration file",
        false => "the standard",
    };
    let mut findings = Vec::new();
    let sources = match crate::reach::sources(&args.source) {
        Ok(sources) => {
            let all: Vec<String> = sources.iter().map(ToString::to_string).collect();
            findings.push(Finding::ok(AREA, format!("sources {}, by {by}", all.join(","))));
            sources
        }
        Err(error) => {
            findings.push(machine::failed(AREA, &format!("sources, by {by}"), &error));
            Vec::new()
        }
    };
    if let (true, Err(error)) = (named("STRONGROOM_MARKET"), backends::configured_market()) {
        findings.push(machine::failed(AREA, "STRONGROOM_MARKET", &Shown::from(error)));
    }
    (sources, findings)
}

fn reached(probed: &[Probed]) -> impl Iterator<Item = &Probe> {
    let answers = probed.iter().filter_map(|probed| probed.answer.as_ref()?.as_ref().ok());
    answers.flat_map(|answer| &answer.containers)
}

/// Leaves only the container that is meant.
fn keep_named(probed: &mut [Probed], serial: Option<&str>) {
    let Some(serial) = serial else { return };
    for answer in probed.iter_mut().filter_map(|probed| probed.answer.as_mut()?.as_mut().ok()) {
        answer.containers.retain(|probe| probe.container.serial().matches(serial));
    }
}

/// That there is nothing, where no source says why.
fn nothing(probed: &[Probed], serial: Option<&str>) -> Option<Finding> {
    let quiet =
        |probed: &Probed| matches!(&probed.answer, Some(Ok(answer)) if answer.broken.is_empty());
    if reached(probed).next().is_some() || (serial.is_none() && !probed.iter().all(quiet)) {
        return None;
    }
    let (seen, row) = match serial {
        Some(serial) => (format!("{serial} was not found"), ErrorCode::ContainerUnknown.row()),
        None => ("no container was found".to_owned(), ErrorCode::NoContainer.row()),
    };
    let code = protocol::errors::shown_code(row.number);
    Some(Finding::problem("container", seen, row.next).coded(code))
}

/// Tries the use that the flags describe.
fn tried(probe: &Probe, doctor: &DoctorArgs, wait: Duration) -> (Finding, Option<Attempt>) {
    const AREA: &str = "use";
    let (container, product) = (probe.container.clone(), doctor.product.unwrap_or_default());
    let uses = doctor.uses.clone();
    let serial = container.serial().to_string();
    let pending = Pending::ask(move || {
        let required = license::requirement(&container, product, &uses)?;
        let judged = container.judge(&required);
        Ok::<_, Shown>((required, judged))
    });
    let (required, judged) = match pending.answer(clock::start() + wait, &mut || ()) {
        Some(Ok(tried)) => tried,
        Some(Err(error)) => return (machine::failed(AREA, &serial, &error), None),
        None => {
            let error = Shown::from(ErrorCode::DeviceSilent.failure());
            return (machine::failed(AREA, &serial, &error), None);
        }
    };
    let (judged, outcome) = match judged {
        Ok(judged) => {
            let outcome = probe.container.outcome(&required, &judged);
            (judged, outcome)
        }
        Err(error) => (Vec::new(), Err(error)),
    };
    let firm = probe.firms.iter().find(|firm| firm.firm.root_fp == required.root_fp);
    let items: Vec<_> = firm.iter().flat_map(|firm| &firm.items).map(|item| &item.item).collect();
    let attempt = bundle::attempt(&probe.container, &required, &judged, &items, &outcome);
    (verdict(&serial, &required, outcome), Some(attempt))
}

fn verdict(
    serial: &str,
    required: &Requirement,
    outcome: std::result::Result<(), container::Error>,
) -> Finding {
    let about = format!("{serial}, {}", shown::requirement_text(required));
    match outcome {
        Ok(()) => Finding::ok("use", format!("{about}: allowed")),
        Err(error) => machine::failed("use", &about, &Shown::from(error)),
    }
}

fn pretty(bundle: &Bundle) -> String {
    serde_json::to_string_pretty(bundle).unwrap_or_default() + "\n"
}

fn report(
    findings: &[Finding],
    made: Option<(&Path, &Bundle)>,
    doctor: &DoctorArgs,
    output: &Output,
) {
    let count = |state| findings.iter().filter(|finding| finding.state == state).count();
    let (problems, notes) = (count(State::Problem), count(State::Note));
    let mut data = json!({ "findings": findings, "problems": problems, "notes": notes });
    let mut text: String = findings.iter().map(|finding| lines(finding) + "\n").collect();
    text.push_str(&format!("{problems} problems, {notes} notes"));
    if let Some((path, bundle)) = made {
        data["bundle"] = json!({ "file": path, "dry_run": doctor.dry_run });
        let path = path.display();
        if doctor.dry_run {
            data["bundle"]["contents"] = json!(bundle);
            output.say(&text);
            output.say(format!("{path} would hold what follows:"));
            text = pretty(bundle).trim_end().to_owned();
        } else {
            text.push_str(&format!("\n{path} written: read it, then send it to the support"));
        }
    }
    output.data("doctor", data, text);
}

/// One finding for people.
fn lines(finding: &Finding) -> String {
    let state = match finding.state {
        State::Ok => "\x1b[32mok\x1b[0m     ",
        State::Note => "\x1b[33mnote\x1b[0m   ",
        State::Problem => "\x1b[1;31mPROBLEM\x1b[0m",
    };
    let code = finding.code.as_ref().map(|code| format!("[{code}] ")).unwrap_or_default();
    let mut text = format!("{state} {:<13} {code}{}", finding.area, finding.seen);
    if let Some(next) = &finding.next {
        text.push_str(&format!("\n                      {next}"));
    }
    text
}
