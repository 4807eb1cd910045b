//! The standard registry: the one place that names all backends.
#![forbid(unsafe_code)]

mod configuration;
mod tpm;

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use container::dongle::hid::{self, HidPipe};
use container::dongle::unix::UnixPipe;
use container::dongle::{DongleLink, PipeError, ReportPipe};
use container::{Address, Backend, Channel, Error, Found, Makers, Registry, Who};
use protocol::errors::ErrorCode;

pub use tpm::{helper, homes, look};

use tpm::Tpm;

pub use configuration::{
    Configuration, configuration_places, configured_market, configured_sources,
    configured_user_key, parse_configuration,
};

/// Where containers are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// Dongles on USB.
    Usb,
    /// A simulated dongle on a Unix socket.
    Sim(PathBuf),
    /// Soft licenses that a TPM seals: those in a folder, or all.
    Tpm(Option<PathBuf>),
}

/// Looked through where nothing else is said.
pub const DEFAULT: [Source; 2] = [Source::Usb, Source::Tpm(None)];

impl FromStr for Source {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        match text.trim().split_once(':') {
            None if text.trim() == "usb" => Ok(Source::Usb),
            None if text.trim() == "tpm" => Ok(Source::Tpm(None)),
            Some(("tpm", path)) if !path.is_empty() => Ok(Source::Tpm(Some(path.into()))),
            Some(("sim", path)) if !path.is_empty() => Ok(Source::Sim(path.into())),
            _ => Err(Error::new(ErrorCode::SourceUnknown, text)),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Usb => f.write_str("usb"),
            Source::Sim(path) => write!(f, "sim:{}", path.display()),
            Source::Tpm(None) => f.write_str("tpm"),
            Source::Tpm(Some(path)) => write!(f, "tpm:{}", path.display()),
        }
    }
}

/// Reads a list of sources, separated by commas.
///
/// # Errors
/// [`ErrorCode::SourceUnknown`] with the one that is not known.
pub fn parse_sources(list: &str) -> Result<Vec<Source>, Error> {
    list.split(',').filter(|part| !part.trim().is_empty()).map(str::parse).collect()
}

/// A registry over these sources, for uses by this process's user in the configured market.
///
/// # Errors
/// [`ErrorCode::Configuration`] where the configuration cannot be used.
pub fn registry(sources: &[Source]) -> Result<Registry, Error> {
    let who = Who::here(configured_market()?).with_key(configured_user_key()?);
    Ok(Registry::new(sources.iter().map(backend).collect(), Makers::standard(), who))
}

/// The backend of a source.
pub fn backend(source: &Source) -> Box<dyn Backend> {
    match source {
        Source::Usb => Box::new(Usb),
        Source::Sim(path) => Box::new(Sim(path.clone())),
        Source::Tpm(folder) => Box::new(Tpm(folder.clone())),
    }
}

/// Dongles on USB.
struct Usb;

impl Backend for Usb {
    fn source(&self) -> String {
        Source::Usb.to_string()
    }

    fn list(&self) -> Result<Vec<Found>, Error> {
        let found = hid::list()?.into_iter().map(|hid| Found {
            hindrance: match hid.access {
                hid::Access::Usable => None,
                hid::Access::Denied => Some(PipeError::Denied(hid.path.clone()).into()),
            },
            address: Address::HidRaw(hid.path),
        });
        Ok(found.collect())
    }

    fn open(&self, found: &Found) -> Result<Box<dyn Channel>, Error> {
        match &found.address {
            Address::HidRaw(path) => link(HidPipe::open(path)?),
            other => Err(elsewhere(other)),
        }
    }
}

/// A simulated dongle.
struct Sim(PathBuf);

impl Backend for Sim {
    fn source(&self) -> String {
        Source::Sim(self.0.clone()).to_string()
    }

    fn list(&self) -> Result<Vec<Found>, Error> {
        let address = Address::ReportSocket(absolute(&self.0));
        Ok(vec![Found { address, hindrance: None }])
    }

    fn open(&self, found: &Found) -> Result<Box<dyn Channel>, Error> {
        match &found.address {
            Address::ReportSocket(path) => link(UnixPipe::connect(path)?),
            other => Err(elsewhere(other)),
        }
    }
}

/// Protected programs may change their directory and still come back to this place.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

fn elsewhere(address: &Address) -> Error {
    Error::new(ErrorCode::SourceFailed, format!("{address:?} is not of this source"))
}

fn link<P: ReportPipe + Send + 'static>(pipe: P) -> Result<Box<dyn Channel>, Error> {
    Ok(Box::new(Link(DongleLink::open(pipe)?)))
}

/// A channel on a dongle.
struct Link<P: ReportPipe>(DongleLink<P>);

impl<P: ReportPipe + Send> Channel for Link<P> {
    fn exchange(&mut self, request: &[u8]) -> Result<Vec<u8>, Error> {
        Ok(self.0.exchange(request)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_as_they_are_written() {
        let sources = parse_sources("usb, sim:/run/a ,sim:b").unwrap();
        assert_eq!(sources, [Source::Usb, Source::Sim("/run/a".into()), Source::Sim("b".into())]);
        assert_eq!(sources[1].to_string().parse(), Ok(sources[1].clone()));
        assert!(parse_sources("").unwrap().is_empty());
        let file = b"sources = [\"sim:a\", \"usb\"]";
        assert_eq!(
            parse_configuration(file).unwrap().sources,
            [Source::Sim("a".into()), Source::Usb]
        );
        assert_eq!(parse_configuration(b"").unwrap().sources, DEFAULT);
        for broken in [&b"sources = \"usb\""[..], b"source = []", b"sources = [\"\xff\"]"] {
            assert!(parse_configuration(broken).unwrap_err().is(ErrorCode::Configuration));
        }
        for unknown in ["sim:", "usbx", "usb:1", "serial:/dev/x"] {
            assert!(parse_sources(unknown).unwrap_err().is(ErrorCode::SourceUnknown));
        }
    }
}
