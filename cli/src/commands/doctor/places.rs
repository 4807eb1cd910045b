//! Where things are on this machine: the one struct that names folders, so that tests name others.

use std::env;
use std::path::{Path, PathBuf};

/// File name of the udev rule.
pub(super) const RULE_FILE: &str = "70-strongroom.rules";

/// Folders and files that are looked at.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Configuration files; the first that is there counts.
    pub(super) configuration: Vec<PathBuf>,
    /// Folders that are written to: configuration and state.
    pub(super) written: Vec<PathBuf>,
    /// Folders of udev rules; the first that has a file of a name counts.
    pub(super) udev: Vec<PathBuf>,
    /// Loaders that `protect app` would take; the first that is there counts.
    pub(super) loader: Vec<PathBuf>,
}

impl Places {
    /// Those of this process.
    pub(super) fn here() -> Self {
        let named = env::var_os("STRONGROOM_LOADER").map(|path| vec![path.into()]);
        let udev = ["/etc/udev/rules.d", "/run/udev/rules.d", "/usr/lib/udev/rules.d"];
        Places {
            configuration: backends::configuration_places(),
            written: written(),
            udev: udev.into_iter().chain(["/lib/udev/rules.d"]).map(PathBuf::from).collect(),
            loader: named.unwrap_or_else(crate::commands::protect::loader_places),
        }
    }
}

/// `STRONGROOM_HOME` overrides all.
fn written() -> Vec<PathBuf> {
    if let Some(home) = env::var_os("STRONGROOM_HOME") {
        return vec![PathBuf::from(home)];
    }
    let below = |variable: &str, standard: &str| {
        let named = env::var_os(variable).map(PathBuf::from).filter(|path| path.is_absolute());
        let home = || env::var_os("HOME").map(|home| Path::new(&home).join(standard));
        named.or_else(home).map(|folder| folder.join("strongroom"))
    };
    let configuration = below("XDG_CONFIG_HOME", ".config");
    configuration.into_iter().chain(below("XDG_STATE_HOME", ".local/state")).collect()
}
