//! Reaching containers: which sources, which container.

use std::path::PathBuf;

use backends::{DEFAULT, Source, parse_sources, registry};
use container::{Container, Registry};
use protocol::ids::{FirmCode, RootFp};
use serde::Deserialize;

use crate::args::Args;
use crate::error::{CliError, Result};
use crate::files;
use crate::vendor::read_root;

/// The configuration file.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Configuration {
    /// Sources in order.
    #[serde(default)]
    sources: Vec<String>,
}

/// Sources in order: `--source`, `STRONGROOM_SOURCES`, the configuration file, the standard ones.
pub(crate) fn sources(args: &Args) -> Result<Vec<Source>> {
    if !args.source.is_empty() {
        return parse_all(&args.source);
    }
    if let Ok(list) = std::env::var("STRONGROOM_SOURCES")
        && !list.trim().is_empty()
    {
        return Ok(parse_sources(&list)?);
    }
    let configured = configuration()?.sources;
    if configured.is_empty() { Ok(DEFAULT.to_vec()) } else { parse_all(&configured) }
}

fn parse_all(list: &[String]) -> Result<Vec<Source>> {
    Ok(list
        .iter()
        .map(|text| text.parse())
        .collect::<std::result::Result<_, container::Error>>()?)
}

/// `STRONGROOM_HOME`, else the user's, else the system's configuration.
fn configuration() -> Result<Configuration> {
    let home = std::env::var_os("STRONGROOM_HOME").map(PathBuf::from);
    let user = std::env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".config")));
    let places = match home {
        Some(home) => vec![home.join("config.toml")],
        None => user
            .map(|user| user.join("strongroom/config.toml"))
            .into_iter()
            .chain([PathBuf::from("/etc/strongroom/config.toml")])
            .collect(),
    };
    let Some(path) = places.into_iter().find(|path| path.is_file()) else {
        return Ok(Configuration::default());
    };
    let text = String::from_utf8_lossy(&files::read(&path)?).into_owned();
    toml::from_str(&text).map_err(|error| {
        CliError::usage(format!("{}: {error}", path.display()), "Mend the configuration file.")
    })
}

/// All containers.
pub(crate) fn all(args: &Args) -> Result<Registry> {
    Ok(registry(&sources(args)?))
}

/// The one container that is meant.
pub(crate) fn one(args: &Args) -> Result<Container> {
    Ok(all(args)?.find(args.container.as_deref())?)
}

/// A firm as it is named on the command line: a root file, a fingerprint, or a name or number found in the container.
pub(crate) fn firm(named: &str, container: Option<&Container>) -> Result<RootFp> {
    if let Some(fp) = RootFp::from_hex(named) {
        return Ok(fp);
    }
    let path = PathBuf::from(named);
    if path.is_file() {
        return Ok(read_root(&path)?.1.root_fp);
    }
    if path.join(crate::vendor::ROOT_FILE).is_file() {
        return Ok(read_root(&path.join(crate::vendor::ROOT_FILE))?.1.root_fp);
    }
    let firms = container.map(Container::firms).transpose()?.unwrap_or_default();
    let code = named.parse().ok().map(FirmCode);
    let named_so: Vec<RootFp> = firms
        .iter()
        .filter(|firm| *firm.name == *named || Some(firm.firm_code) == code)
        .map(|firm| firm.root_fp)
        .collect();
    match named_so.as_slice() {
        [fp] => Ok(*fp),
        [] => Err(CliError::not_found(
            format!("{named:?} names no vendor"),
            "Give the vendor's root file, its fingerprint (32 hexadecimal digits), or a name or number that stands in \
             the container.",
        )),
        _ => Err(CliError::usage(
            format!("{named:?} names {} vendors", named_so.len()),
            "Numbers and names need not be unique: give the fingerprint. See: strongroom container show",
        )),
    }
}
