//! All containers within reach: sources in order, and what is wrong with those that do not work.

use std::sync::Arc;

use protocol::errors::ErrorCode;
use protocol::ids::ArtifactId;
use protocol::objects::artifact::{ArtifactBody, Slot};

use crate::backend::Backend;
use crate::container::{Container, Makers};
use crate::error::Error;
use crate::seat::Seat;
use crate::who::Who;

/// Backends in the order in which they are asked.
pub struct Registry {
    backends: Vec<Box<dyn Backend>>,
    makers: Makers,
    who: Arc<Who>,
}

/// What a search found.
#[derive(Default)]
pub struct Discovery {
    /// Containers that work, in the order of their sources.
    pub containers: Vec<(String, Container)>,
    /// Containers that are there but do not work, and sources that cannot be asked: "mine and
    /// broken". What is no container at all is in neither list.
    pub broken: Vec<(String, Error)>,
}

impl Registry {
    /// A registry of these backends, for uses by `who`.
    pub fn new(backends: Vec<Box<dyn Backend>>, makers: Makers, who: Who) -> Self {
        Registry { backends, makers, who: Arc::new(who) }
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

    /// Takes a seat for an artifact: the first slot that some container allows, container by
    /// container.
    ///
    /// # Errors
    /// The refusal that got furthest in the order of evaluation, since it names what is really
    /// missing.
    pub fn open_artifact(
        &self,
        serial: Option<&str>,
        artifact: ArtifactId,
        body: &ArtifactBody,
    ) -> Result<(Seat, Slot), Error> {
        self.first_allowed(serial, body, |container, slot| {
            container.open_seat(&slot.requirement, artifact)
        })
    }

    /// The container and slot that would open an artifact, without using anything.
    ///
    /// # Errors
    /// See [`Registry::open_artifact`].
    pub fn why_artifact(
        &self,
        serial: Option<&str>,
        body: &ArtifactBody,
    ) -> Result<(Container, Slot), Error> {
        self.first_allowed(serial, body, |container, slot| {
            container.why(&slot.requirement).map(|()| container.clone())
        })
    }

    fn first_allowed<T>(
        &self,
        serial: Option<&str>,
        body: &ArtifactBody,
        ask: impl Fn(&Container, &Slot) -> Result<T, Error>,
    ) -> Result<(T, Slot), Error> {
        let containers = match serial {
            Some(_) => vec![self.find(serial)?],
            None => {
                let Discovery { containers, broken } = self.discover();
                if containers.is_empty() {
                    return Err(nothing(broken));
                }
                containers.into_iter().map(|(_, container)| container).collect()
            }
        };
        let mut refusal = Error::from(ErrorCode::NoContainer.failure());
        for container in &containers {
            for slot in body.slots.iter() {
                let is_meant = container.check_firm(slot.requirement.root_fp, body.mode);
                match is_meant.and_then(|()| ask(container, slot)) {
                    Ok(allowed) => return Ok((allowed, slot.clone())),
                    Err(error) if rank(&error) >= rank(&refusal) => refusal = error,
                    Err(_) => {}
                }
            }
        }
        Err(refusal)
    }

    fn open(&self, backend: &dyn Backend, found: &crate::Found) -> Result<Container, Error> {
        if let Some(hindrance) = &found.hindrance {
            return Err(hindrance.clone());
        }
        let opened = Container::open(backend.open(found)?, found.address.clone(), &self.makers)?;
        Ok(opened.used_by(self.who.clone()))
    }
}

/// How far a use came before it was refused: refusals of use rise in evaluation order, all else
/// comes before them.
fn rank(error: &Error) -> u16 {
    let code = error.failure.code;
    if (0x0300..0x0400).contains(&code) { code } else { 0 }
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
