//! A context: where containers are looked for; and what a search there found.

use backends::{Source, configured_sources, parse_sources};
use container::{Container, Discovery, Error, Registry};

/// Sources. The registry over them is made anew for each use: it is not shared between threads.
pub(crate) struct Context {
    sources: Vec<Source>,
}

/// A container that was found, or a source where one should be and is not.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Found {
    /// Its serial; empty where none could be read.
    pub(crate) serial: String,
    /// The name that its owner gave it.
    pub(crate) name: String,
    /// The source in which it was found.
    pub(crate) source: String,
    /// What keeps it from being used.
    pub(crate) hindrance: Option<Error>,
}

impl Context {
    /// A context over a list of sources, or over those that are configured if it is blank.
    ///
    /// # Errors
    /// A source is not known, or the configuration cannot be used.
    pub(crate) fn open(list: Option<&str>) -> Result<Self, Error> {
        let sources = match list.filter(|list| !list.trim().is_empty()) {
            Some(list) => parse_sources(list)?,
            None => configured_sources()?,
        };
        let context = Context { sources };
        // Its errors should be met here.
        context.registry()?;
        Ok(context)
    }

    /// All containers within reach.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub(crate) fn find(&self) -> Result<Vec<Found>, Error> {
        let Discovery { containers, broken } = self.registry()?.discover();
        let usable = containers.iter().map(|(source, container)| found(source, container));
        let broken = broken.into_iter().map(|(source, hindrance)| Found {
            serial: String::new(),
            name: String::new(),
            source,
            hindrance: Some(hindrance),
        });
        Ok(usable.chain(broken).collect())
    }

    pub(crate) fn registry(&self) -> Result<Registry, Error> {
        backends::registry(&self.sources)
    }
}

fn found(source: &str, container: &Container) -> Found {
    let info = container.info();
    let name = info.as_ref().map(|info| info.name.to_string()).unwrap_or_default();
    Found {
        serial: container.serial().to_string(),
        name,
        source: source.to_owned(),
        hindrance: info.err(),
    }
}
