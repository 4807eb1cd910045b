//! Dongles on USB: whether this user may open them, and the udev rule that says so.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use container::dongle::PipeError;
use container::dongle::hid::{Access, HidFound};
use protocol::errors::ErrorCode;

use super::places::{Places, RULE_FILE};
use crate::support::{Finding, State};

/// The rule of this version.
pub(super) const RULE: &str = include_str!("../../../../packaging/udev/70-strongroom.rules");

const AREA: &str = "usb";

/// Findings on the devices that the system shows; `None` if it did not answer in time.
pub(super) fn devices(
    found: Option<Result<Vec<HidFound>, PipeError>>,
    places: &Places,
) -> Vec<Finding> {
    let devices = match found {
        None => {
            let next = "Unplug USB devices one by one, and look into the system's log.";
            return vec![Finding::problem(AREA, "the system did not list its devices", next)];
        }
        Some(Err(error)) => {
            let row = ErrorCode::SourceFailed.row();
            return vec![Finding::problem(AREA, error.to_string(), row.next).coded("S0805")];
        }
        Some(Ok(devices)) => devices,
    };
    let mut findings: Vec<Finding> = devices.iter().map(device).collect();
    let denied = findings.iter().any(|finding| finding.state == State::Problem);
    if findings.is_empty() {
        findings.push(Finding::ok(AREA, "the system shows no dongle"));
    }
    findings.push(rule(places, denied));
    findings
}

fn device(device: &HidFound) -> Finding {
    let name = device.product.as_deref().unwrap_or("no product string");
    let seen = format!("{} ({name}){}", device.path.display(), rights(&device.path));
    match device.access {
        Access::Usable => Finding::ok(AREA, seen),
        Access::Denied => {
            let row = ErrorCode::NoPermission.row();
            let seen = format!("{seen}: this user may not open it");
            Finding::problem(AREA, seen, row.next).coded("S0806")
        }
    }
}

/// Mode and owner of a device file, as far as they can be seen.
fn rights(path: &Path) -> String {
    match path.metadata() {
        Ok(file) => {
            let mode = file.mode() & 0o7777;
            format!(", mode {mode:04o}, user {}, group {}", file.uid(), file.gid())
        }
        Err(_) => String::new(),
    }
}

/// The rule that is installed. Missing, it is a problem only where something is denied: on a
/// machine with other rules, or for root, everything may work without.
fn rule(places: &Places, denied: bool) -> Finding {
    let installed = places.udev.iter().map(|folder| folder.join(RULE_FILE));
    let installed = installed.into_iter().find(|path| path.symlink_metadata().is_ok());
    let state = if denied { State::Problem } else { State::Note };
    let Some(path) = installed else {
        let folders: Vec<String> =
            places.udev.iter().map(|folder| folder.display().to_string()).collect();
        let seen = format!("no {RULE_FILE} in {}", folders.join(", "));
        return Finding { state, ..Finding::note(AREA, seen, install(places)) };
    };
    let shown = path.display();
    match std::fs::read_to_string(&path) {
        Ok(text) if text == RULE => Finding::ok(AREA, format!("udev rule {shown}")),
        Ok(text) if text.trim().is_empty() => {
            let seen = format!("{shown} is empty, which switches the rule off");
            Finding { state, ..Finding::note(AREA, seen, install(places)) }
        }
        Ok(_) => {
            let seen = format!("udev rule {shown}, which is not that of this version");
            Finding { state, ..Finding::note(AREA, seen, install(places)) }
        }
        Err(error) => {
            Finding { state, ..Finding::note(AREA, format!("{shown}: {error}"), install(places)) }
        }
    }
}

fn install(places: &Places) -> String {
    let folder = places.udev.first().cloned().unwrap_or_else(|| PathBuf::from("."));
    format!(
        "As root: strongroom doctor --udev-rule > {}, then plug the dongle in again.",
        folder.join(RULE_FILE).display()
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn seen(places: &Places, access: Option<Access>) -> Vec<(State, String)> {
        let device = |access| HidFound {
            path: "/dev/null".into(),
            serial: None,
            product: Some("Strongroom Dongle".into()),
            access,
        };
        let found = devices(Some(Ok(access.map(device).into_iter().collect())), places);
        found.into_iter().map(|finding| (finding.state, finding.seen)).collect()
    }

    #[test]
    fn a_missing_rule_is_a_problem_where_a_dongle_may_not_be_opened() {
        let dir = tempfile::tempdir().unwrap();
        let udev = vec![dir.path().join("etc"), dir.path().join("lib")];
        udev.iter().for_each(|folder| fs::create_dir(folder).unwrap());
        let places = Places { udev: udev.clone(), ..Places::default() };
        assert_eq!(seen(&places, None)[1].0, State::Note);
        let denied = seen(&places, Some(Access::Denied));
        assert!(denied[0].1.contains("Strongroom Dongle") && denied[0].1.contains("mode 0666"));
        assert_eq!([denied[0].0, denied[1].0], [State::Problem; 2]);
        fs::write(udev[1].join(RULE_FILE), RULE).unwrap();
        assert_eq!(seen(&places, Some(Access::Usable))[1].0, State::Ok);
        // The first folder goes before the second, and an empty file there switches the rule off.
        for (text, word) in [("", "switches"), ("# older", "not that of this version")] {
            fs::write(udev[0].join(RULE_FILE), text).unwrap();
            let (state, seen) = seen(&places, None).remove(1);
            assert!(state == State::Note && seen.contains(word), "{seen}");
        }
    }

    #[test]
    fn a_system_that_does_not_answer_is_a_finding() {
        let places = Places::default();
        let refused = Some(Err(PipeError::TimedOut));
        for found in [None, refused] {
            assert_eq!(devices(found, &places)[0].state, State::Problem);
        }
    }

    #[test]
    fn the_rule_says_what_it_must_for_people_and_services() {
        let rule = RULE.lines().find(|line| line.starts_with("KERNEL")).unwrap();
        for word in ["hidraw*", "ATTRS{product}==\"Strongroom*\"", "uaccess", "GROUP=", "0660"] {
            assert!(rule.contains(word), "{word}");
        }
    }
}
