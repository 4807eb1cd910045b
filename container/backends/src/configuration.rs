//! Which sources are looked through where nobody names any: environment, configuration file,
//! standard.

use std::fs::File;
use std::io::Read;
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
    // What is no text names no source, and is refused as such.
    let list = std::env::var_os("STRONGROOM_SOURCES").unwrap_or_default();
    let list = list.to_string_lossy();
    if !list.trim().is_empty() {
        return parse_sources(&list);
    }
    let Some(path) = places().into_iter().find(|path| path.is_file()) else {
        return Ok(DEFAULT.to_vec());
    };
    read(&path)
}

/// Reads what stands in a configuration file: the sources in order, [`DEFAULT`] if it names none.
///
/// # Errors
/// As [`configured_sources`].
pub fn parse_configuration(bytes: &[u8]) -> Result<Vec<Source>, Error> {
    let broken =
        |why: &dyn std::fmt::Display| Error::new(ErrorCode::Configuration, why.to_string());
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(broken(&"it is too long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| broken(&error))?;
    let configured: Configuration = toml::from_str(text).map_err(|error| broken(&error))?;
    if configured.sources.is_empty() {
        return Ok(DEFAULT.to_vec());
    }
    configured.sources.iter().map(|text| text.parse()).collect()
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

fn read(path: &Path) -> Result<Vec<Source>, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::new(ErrorCode::Configuration, error.to_string()))
        .and_then(|_| parse_configuration(&bytes))
        .map_err(|error| Error { detail: format!("{}: {}", path.display(), error.detail), ..error })
}
