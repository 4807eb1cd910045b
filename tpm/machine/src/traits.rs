//! The traits of a machine as they were read, and the report of what was found.

use std::fmt;

use crate::canon::{Canon, Raw, Value};
use crate::class::TraitClass;

/// What a class has: values of which any one is the trait, the first for choice, or why none.
pub(crate) type Reading = Result<Vec<Raw>, Why>;

/// Why a class has no trait that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Why {
    /// Nothing of the kind is there.
    #[error("not there")]
    Absent,
    /// There, but this process may not read it.
    #[error("not readable without root")]
    Denied,
    /// There, and reading it failed.
    #[error("could not be read")]
    Unreadable,
    /// A maker's stand-in for a value, or a value that many machines are known to have.
    #[error("only a placeholder")]
    Placeholder,
    /// Not printable ASCII, or too long.
    #[error("not plain text")]
    NotPlain,
    /// There, but nothing that belongs to this machine for good: network cards only on USB,
    /// virtual, or with an address that was made up; a root file system on no disk.
    #[error("there, but not fixed to this machine")]
    NotFixed,
}

/// The traits of a machine. Private: wiped when done with, and never shown.
pub struct Traits {
    /// One for each class, by rising classes.
    readings: Vec<(TraitClass, Reading)>,
}

impl Traits {
    /// What `read` makes of each class.
    pub(crate) fn new(mut read: impl FnMut(TraitClass) -> Reading) -> Self {
        Traits { readings: TraitClass::ALL.map(|class| (class, read(class))).into() }
    }

    /// What was found, by the newest rule.
    pub fn report(&self) -> Report {
        self.report_by(Canon::NEWEST)
    }

    /// What was found, by a rule.
    pub(crate) fn report_by(&self, canon: Canon) -> Report {
        let state = |class| self.values(class, canon).map(|_| ());
        Report(TraitClass::ALL.map(|class| (class, state(class))).into())
    }

    /// The values of a class by a rule, at least one.
    pub(crate) fn values(&self, class: TraitClass, canon: Canon) -> Result<Vec<Value>, Why> {
        let found = self.readings.iter().find(|(of, _)| *of == class);
        let raws = match found {
            Some((_, reading)) => reading.as_ref().map_err(|why| *why)?,
            None => return Err(Why::Absent),
        };
        let (mut values, mut why) = (Vec::new(), Why::Absent);
        for raw in raws {
            match canon.value(raw) {
                Ok(value) => values.push(value),
                Err(refused) => why = refused,
            }
        }
        if values.is_empty() { Err(why) } else { Ok(values) }
    }
}

/// Of each class, that a trait was found, or why not. Says nothing of the values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report(Vec<(TraitClass, Result<(), Why>)>);

impl Report {
    /// All classes, in their order.
    pub fn classes(&self) -> &[(TraitClass, Result<(), Why>)] {
        &self.0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, (class, state)) in self.0.iter().enumerate() {
            let separator = if at == 0 { "" } else { "; " };
            match state {
                Ok(()) => write!(f, "{separator}{class}: found")?,
                Err(why) => write!(f, "{separator}{class}: {why}")?,
            }
        }
        Ok(())
    }
}
