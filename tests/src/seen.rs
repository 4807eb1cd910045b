//! What must have happened sometimes: a simulation in which nothing happens keeps every promise.

use std::collections::BTreeMap;
use std::fmt::Debug;

/// Something that a run must reach.
pub trait Reached: Copy + Ord + Debug + 'static {
    /// All of it.
    const ALL: &'static [Self];
}

/// How often what happened.
pub struct Seen<E>(BTreeMap<E, u64>);

impl<E> Default for Seen<E> {
    fn default() -> Self {
        Seen(BTreeMap::new())
    }
}

impl<E: Reached> Seen<E> {
    /// It happened once more.
    pub fn note(&mut self, event: E) {
        *self.0.entry(event).or_default() += 1;
    }

    /// Takes in what another world saw.
    pub fn add(&mut self, other: Self) {
        for (event, times) in other.0 {
            *self.0.entry(event).or_default() += times;
        }
    }

    /// How often.
    pub fn times(&self, event: E) -> u64 {
        self.0.get(&event).copied().unwrap_or_default()
    }

    /// What a run should have reached and did not.
    pub fn missing(&self) -> Vec<E> {
        E::ALL.iter().copied().filter(|event| !self.0.contains_key(event)).collect()
    }

    /// Shows all of it.
    pub fn print(&self) {
        let line: Vec<String> = self.0.iter().map(|(event, n)| format!("{event:?} {n}")).collect();
        println!("figure: events: {}", line.join(", "));
    }
}

/// Makes an enumeration of events, all of which a run must reach.
#[macro_export]
macro_rules! events {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// Something that happened.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub(super) enum Event {
            $($(#[$doc])* $name,)*
        }

        impl $crate::seen::Reached for Event {
            const ALL: &'static [Event] = &[$(Event::$name),*];
        }
    };
}
