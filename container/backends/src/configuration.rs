//! Which sources are looked through where nobody names any: environment, configuration file,
//! standard.

use std::path::{Path, PathBuf};

use container::Error;
use protocol::errors::ErrorCode;
use serde::Deserialize;

use crate::{DEFAULT, Source, parse_sources};

/// Bytes of the configuration file, at most.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Sources in order.
    #[serde(default)]
    sources: Vec<String>,
}

/// Sources in order: `STRONGROOM_SOURCES`, else the configuration file, else [`DEFAULT`].
///
/// # Errors
/// [`ErrorCode::SourceUnknown`] for one that is not known, [`ErrorCode::Configuration`] for a file
/// that cannot be read.
pub fn configured_sources() -> Result<Vec<Source>, Error> {
    if let Ok(list) = std::env::var("STRONGROOM_SOURCES")
        && !list.trim().is_empty()
    {
        return parse_sources(&list);
    }
    let Some(path) = places().into_iter().find(|path| path.is_file()) else {
        return Ok(DEFAULT.to_vec());
    };
    let configured = read(&path)?.sources;
    if configured.is_empty() {
        return Ok(DEFAULT.to_vec());
    }
    configured.iter().map(|text| text.parse()).collect()
}

/// `STRONGROOM_HOME` overrides all; else the user's file comes before the system's.
fn places() -> Vec<PathBuf> {
    if let Some(home) = std::env::var_os("STRONGROOM_HOME") {
        return vec![PathBuf::from(home).join("config.toml")];
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|user| user.join("strongroom/config.toml"));
    user.into_iter().chain([PathBuf::from("/etc/strongroom/config.toml")]).collect()
}

fn read(path: &Path) -> Result<Configuration, Error> {
    let broken = |why: &dyn std::fmt::Display| {
        Error::new(ErrorCode::Configuration, format!("{}: {why}", path.display()))
    };
    let len = std::fs::metadata(path).map_err(|error| broken(&error))?.len();
    if len > FILE_LEN_MAX {
        return Err(broken(&"it is too long"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| broken(&error))?;
    toml::from_str(&text).map_err(|error| broken(&error))
}
