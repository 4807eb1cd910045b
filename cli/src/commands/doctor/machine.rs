//! What is checked of the machine itself: configuration, clock, disk, loader.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use protocol::errors::ErrorCode;
use rustix::fs::{Access, AtFlags, CWD, accessat, statvfs};
use vendor::{Shown, times};

use super::places::Places;
use crate::support::Finding;

/// Before this, a clock was never set: the beginning of 2025.
const SANE_FROM_S: u64 = 1_735_689_600;
/// From this on, a clock was set wrongly: the beginning of 2100.
const SANE_UNTIL_S: u64 = 4_102_444_800;
/// Less free space than this is soon none.
const ROOM_LEN_MIN: u64 = 16 << 20;

/// An error as a finding.
pub(super) fn failed(area: &str, seen: &str, error: &Shown) -> Finding {
    let (title, hint) = (error.title(&times::show), error.hint(&times::show));
    Finding::problem(area, format!("{seen}: {title}"), hint).coded(error.code())
}

/// The configuration file that counts, and those behind it.
pub(super) fn configuration(places: &Places) -> Vec<Finding> {
    const AREA: &str = "configuration";
    let shown = |path: &Path| path.display().to_string();
    let Some(at) = places.configuration.iter().position(|path| path.is_file()) else {
        let all: Vec<String> = places.configuration.iter().map(|path| shown(path)).collect();
        let blocked = places.configuration.iter().filter_map(|path| blocked(path)).next();
        let none = format!("no file at {}: the standard holds", all.join(" or "));
        return vec![blocked.unwrap_or_else(|| Finding::ok(AREA, none))];
    };
    let path = &places.configuration[at];
    let mut found = vec![match read(path) {
        Ok(seen) => Finding::ok(AREA, format!("{}: {seen}", path.display())),
        Err(error) => failed(AREA, &shown(path), &error),
    }];
    found.extend(places.configuration[at + 1..].iter().filter(|path| path.is_file()).map(|path| {
        let seen = format!("{} is not read: the one before it counts", path.display());
        Finding::note(AREA, seen, "Move what is needed into the file that counts.")
    }));
    found
}

/// A place that says neither yes nor no, or holds something else than a file.
fn blocked(path: &Path) -> Option<Finding> {
    let seen = match path.metadata() {
        Ok(_) => format!("{} is no file", path.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => return None,
        Err(error) => format!("{}: {error}", path.display()),
    };
    let row = ErrorCode::Configuration.row();
    Some(Finding::problem("configuration", seen, row.next).coded("S0807"))
}

fn read(path: &Path) -> Result<String, Shown> {
    let bytes = vendor::files::read(path)?;
    let configuration = backends::parse_configuration(&bytes)?;
    let sources: Vec<String> = configuration.sources.iter().map(ToString::to_string).collect();
    let market = configuration.market.map_or("not named".to_owned(), |market| market.to_string());
    Ok(format!("sources {}, market {market}", sources.join(",")))
}

/// Whether the machine's clock can be right.
pub(super) fn clock(now_s: u64) -> Finding {
    let seen = format!("this machine says {}", times::show(now_s));
    if (SANE_FROM_S..SANE_UNTIL_S).contains(&now_s) {
        return Finding::ok("clock", seen);
    }
    Finding::problem("clock", seen, "Set the clock: signed files carry its time.")
}

/// Room and rights where configuration and state go.
pub(super) fn disk(places: &Places) -> Vec<Finding> {
    places.written.iter().map(|folder| room(folder)).collect()
}

fn room(folder: &Path) -> Finding {
    const AREA: &str = "disk";
    // What is not there yet is made in what is.
    let Some(there) = folder.ancestors().find(|path| path.exists()) else {
        let seen = format!("{}: no folder above it can be seen", folder.display());
        return Finding::problem(AREA, seen, "Check the path.");
    };
    let rights = Access::WRITE_OK | Access::EXEC_OK;
    let about = folder.display();
    if !there.is_dir() {
        let seen = format!("{about}: {} is no folder", there.display());
        return Finding::problem(AREA, seen, "Move it away.");
    }
    if let Err(error) = accessat(CWD, there, rights, AtFlags::EACCESS) {
        let seen = format!("{about} cannot be written: {}", std::io::Error::from(error));
        let next = "Give this user the right to write there, or name another folder with \
            STRONGROOM_HOME.";
        return Finding::problem(AREA, seen, next);
    }
    match statvfs(there) {
        Err(error) => {
            let seen = format!("{about}: {}", std::io::Error::from(error));
            Finding::problem(AREA, seen, "Check the disk.")
        }
        Ok(disk) => {
            let free = disk.f_bavail.saturating_mul(disk.f_frsize);
            let seen = format!("{about} can be written, {} MiB are free", free >> 20);
            match free < ROOM_LEN_MIN {
                true => Finding::problem(
                    AREA,
                    seen,
                    "Make room: files are written whole or not at all.",
                ),
                false => Finding::ok(AREA, seen),
            }
        }
    }
}

/// The loader that `protect app` needs.
pub(super) fn loader(places: &Places) -> Finding {
    let found: Option<(&PathBuf, u64)> = places.loader.iter().find_map(|path| {
        let file = path.metadata().ok().filter(|file| file.is_file())?;
        Some((path, file.len()))
    });
    match found {
        Some((path, len)) => Finding::ok("loader", format!("{}, {len} bytes", path.display())),
        None => {
            let row = ErrorCode::LoaderMissing.row();
            let seen = format!("{}; only protect app needs it", row.title);
            Finding::note("loader", seen, row.next).coded("S0909")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::support::State;
    use std::fs;

    fn states(findings: &[Finding]) -> Vec<State> {
        findings.iter().map(|finding| finding.state).collect()
    }

    #[test]
    fn a_clock_that_was_never_set_or_set_wrongly_is_a_problem() {
        for (now_s, state) in [
            (0, State::Problem),
            (SANE_FROM_S - 1, State::Problem),
            (SANE_FROM_S, State::Ok),
            (SANE_UNTIL_S - 1, State::Ok),
            (SANE_UNTIL_S, State::Problem),
        ] {
            assert_eq!(clock(now_s).state, state, "{now_s}");
        }
    }

    #[test]
    fn the_first_configuration_file_counts_and_a_broken_one_is_a_problem() {
        let dir = tempfile::tempdir().unwrap();
        let (user, system) = (dir.path().join("user.toml"), dir.path().join("system.toml"));
        let places =
            Places { configuration: vec![user.clone(), system.clone()], ..Places::default() };
        assert_eq!(states(&configuration(&places)), [State::Ok]);
        fs::write(&system, "sources = [\"sim:a\"]\nmarket = \"AT\"").unwrap();
        let seen = &configuration(&places)[0].seen;
        assert!(seen.contains("sim:a") && seen.contains("AT"), "{seen}");
        fs::write(&user, "sources = []").unwrap();
        assert_eq!(states(&configuration(&places)), [State::Ok, State::Note]);
        for (text, code) in [("source = []", "S0807"), ("sources = [\"serial\"]", "S0804")] {
            fs::write(&user, text).unwrap();
            let found = &configuration(&places)[0];
            assert_eq!((found.state, found.code.as_deref()), (State::Problem, Some(code)));
        }
        fs::remove_file(&user).unwrap();
        fs::remove_file(&system).unwrap();
        fs::create_dir(&user).unwrap();
        assert_eq!(states(&configuration(&places)), [State::Problem]);
    }

    #[test]
    fn folders_that_cannot_be_written_and_loaders_that_are_missing_are_told() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        fs::write(&file, "x").unwrap();
        let written = vec![dir.path().join("a/b"), file.join("c"), "/proc/1/strongroom".into()];
        let places = Places { written, loader: vec![dir.path().join("none")], ..Places::default() };
        let [free, in_file, in_proc] = disk(&places).try_into().unwrap();
        assert!(free.seen.contains("can be written"), "{free:?}");
        assert_eq!(in_file.state, State::Problem);
        assert_eq!(in_proc.state, State::Problem);
        assert_eq!(loader(&places).state, State::Note);
        assert_eq!(loader(&Places { loader: vec![file], ..places }).state, State::Ok);
    }
}
