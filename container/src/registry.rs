//! All containers within reach: sources in order, and what is wrong with those that do not work.

use protocol::errors::ErrorCode;

use crate::backend::Backend;
use crate::container::{Container, Makers};
use crate::error::Error;

/// Backends in the order in which they are asked.
pub struct Registry {
    backends: Vec<Box<dyn Backend>>,
    makers: Makers,
}

/// What a search found.
#[derive(Default)]
pub struct Discovery {
    /// Containers that work, in the order of their sources.
    pub containers: Vec<(String, Container)>,
    /// Containers that are there but do not work, and sources that cannot be asked: "mine and broken". What is no
    /// container at all is in neither list.
    pub broken: Vec<(String, Error)>,
}

impl Registry {
    /// A registry of these backends.
    pub fn new(backends: Vec<Box<dyn Backend>>, makers: Makers) -> Self {
        Registry { backends, makers }
    }

    /// Opens whatever is there.
    pub fn discover(&self) -> Discovery {
        let mut discovery = Discovery::default();
        for backend in &self.backends {
            let source = backend.source();
            match backend.list() {
                Ok(found) => {
                    for found in found {
                        match self.open(backend.as_ref(), &found) {
                            Ok(container) => discovery.containers.push((source.clone(), container)),
                            Err(error) => discovery.broken.push((source.clone(), error)),
                        }
                    }
                }
                Err(error) => discovery.broken.push((source, error)),
            }
        }
        discovery
    }

    /// The one container, or the one named by `serial`. Refuses to guess among several.
    ///
    /// # Errors
    /// None, several, or only broken ones: then the reason of the first.
    pub fn find(&self, serial: Option<&str>) -> Result<Container, Error> {
        let Discovery { containers, broken } = self.discover();
        let all = containers.len() as u64;
        let Some(serial) = serial else {
            return match containers.len() {
                0 => Err(nothing(broken)),
                1 => containers.into_iter().next().map(|(_, c)| c).ok_or(nothing(broken)),
                _ => {
                    let serials: Vec<String> =
                        containers.iter().map(|(_, c)| c.serial().to_string()).collect();
                    let failure = ErrorCode::SeveralContainers.with(all, 0);
                    Err(Error { failure, detail: serials.join(", ") })
                }
            };
        };
        let named = containers.into_iter().find(|(_, c)| c.serial().matches(serial));
        named.map(|(_, container)| container).ok_or_else(|| match broken.is_empty() {
            true => ErrorCode::ContainerUnknown.with(all, 0).into(),
            false => nothing(broken),
        })
    }

    fn open(&self, backend: &dyn Backend, found: &crate::Found) -> Result<Container, Error> {
        if let Some(hindrance) = &found.hindrance {
            return Err(hindrance.clone());
        }
        Container::open(backend.open(found)?, found.address.clone(), &self.makers)
    }
}

fn nothing(broken: Vec<(String, Error)>) -> Error {
    match broken.into_iter().next() {
        Some((source, error)) => {
            let detail = [source, error.detail].join(": ");
            Error { failure: error.failure, detail }
        }
        None => ErrorCode::NoContainer.failure().into(),
    }
}
