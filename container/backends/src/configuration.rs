//! What is configured on this machine: which sources are looked through where nobody names any, and
//! its market, its user's key. Environment, configuration file, standard.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use container::{Error, UserKey};
use protocol::errors::ErrorCode;
use protocol::objects::license::Country;
use serde::Deserialize;

use crate::{DEFAULT, Source, parse_sources};

/// Bytes of the configuration file, at most.
const FILE_LEN_MAX: u64 = 64 * 1024;

/// What stands in a configuration file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Sources in order; [`DEFAULT`] if the file names none.
    pub sources: Vec<Source>,
    /// The market that this machine is in.
    pub market: Option<Country>,
    /// The file that holds the user's key.
    pub user_key: Option<PathBuf>,
}

/// The file as it is written.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
struct Written {
    sources: Vec<String>,
    market: Option<String>,
    user_key: Option<PathBuf>,
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
    Ok(configured()?.map_or_else(|| DEFAULT.to_vec(), |configured| configured.sources))
}

/// The market: `STRONGROOM_MARKET`, else what the configuration file says.
///
/// # Errors
/// [`ErrorCode::Configuration`] for one that is no country.
pub fn configured_market() -> Result<Option<Country>, Error> {
    match std::env::var_os("STRONGROOM_MARKET") {
        Some(text) => market(&text.to_string_lossy()).map(Some),
        None => Ok(configured()?.and_then(|configured| configured.market)),
    }
}

/// The user's key: from the file that `STRONGROOM_USER_KEY` names, else from the one that the
/// configuration file names.
///
/// # Errors
/// [`ErrorCode::UserKeyFile`] for a file that cannot be used.
pub fn configured_user_key() -> Result<Option<UserKey>, Error> {
    let named = std::env::var_os("STRONGROOM_USER_KEY").filter(|path| !path.is_empty());
    let path = match named {
        Some(path) => Some(PathBuf::from(path)),
        None => configured()?.and_then(|configured| configured.user_key),
    };
    path.map(|path| UserKey::read(&path)).transpose()
}

fn configured() -> Result<Option<Configuration>, Error> {
    configuration_places()
        .into_iter()
        .find(|path| path.is_file())
        .map(|path| read(&path))
        .transpose()
}

fn market(text: &str) -> Result<Country, Error> {
    Country::parse(text).ok_or_else(|| {
        let why = format!("the market {text:?} is not a country of two capital letters");
        Error::new(ErrorCode::Configuration, why)
    })
}

/// Reads a configuration file.
///
/// # Errors
/// [`ErrorCode::Configuration`], or [`ErrorCode::SourceUnknown`] for a source that is not known.
pub fn parse_configuration(bytes: &[u8]) -> Result<Configuration, Error> {
    let broken =
        |why: &dyn std::fmt::Display| Error::new(ErrorCode::Configuration, why.to_string());
    if bytes.len() as u64 > FILE_LEN_MAX {
        return Err(broken(&"it is too long"));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| broken(&error))?;
    let written: Written = toml::from_str(text).map_err(|error| broken(&error))?;
    let sources = match written.sources.as_slice() {
        [] => DEFAULT.to_vec(),
        named => named.iter().map(|text| text.parse()).collect::<Result<_, _>>()?,
    };
    let market = written.market.as_deref().map(market).transpose()?;
    Ok(Configuration { sources, market, user_key: written.user_key })
}

/// Where the configuration file may be; the first that is there counts. `STRONGROOM_HOME`
/// overrides all; else the user's file comes before the system's.
pub fn configuration_places() -> Vec<PathBuf> {
    if let Some(home) = std::env::var_os("STRONGROOM_HOME") {
        return vec![PathBuf::from(home).join("config.toml")];
    }
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config"));
    let user = std::env::var_os("XDG_CONFIG_HOME").map(PathBuf::from).or_else(home);
    let user = user.map(|user| user.join("strongroom/config.toml"));
    user.into_iter().chain([PathBuf::from("/etc/strongroom/config.toml")]).collect()
}

fn read(path: &Path) -> Result<Configuration, Error> {
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| file.take(FILE_LEN_MAX + 1).read_to_end(&mut bytes))
        .map_err(|error| Error::new(ErrorCode::Configuration, error.to_string()))
        .and_then(|_| parse_configuration(&bytes))
        .map_err(|error| Error { detail: format!("{}: {}", path.display(), error.detail), ..error })
}
