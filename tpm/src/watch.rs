//! What a container remembers of its machine, and how long it bears what changed there.

use machine::Tolerance;
use machine::generation::{Known, Mark, Seen};
use protocol::errors::{ErrorCode, Failure};
use serde::{Deserialize, Serialize};

use crate::machine_key::Asked;

/// Seconds of use after a machine changed, until the vendor's allowance comes with a checkpoint.
pub const GRACE_S: u64 = 14 * 24 * 60 * 60;

/// What is remembered, in the sealed state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    tolerance: Option<Tolerance>,
    /// When it was bound to the machine, Unix seconds: certified after a checkpoint, else by the
    /// machine's clock.
    pub bound_s: u64,
    generation: Mark,
    copied: Option<Grace>,
    drifted: Option<Grace>,
}

/// A time in which a container is used although its machine changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grace {
    /// Since when, Unix seconds by the container's clock.
    pub since_s: u64,
    /// Until when.
    pub until_s: u64,
    /// The last checkpoint before.
    checkpoint_s: Option<u64>,
}

/// Why there is a grace. The number is a value of [`ErrorCode::SoftGraceOver`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Why {
    /// The virtual machine has another generation.
    Generation = 0,
    /// More of the machine changed than is tolerated.
    Traits = 1,
}

/// When something is seen.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// By the container's clock, Unix seconds.
    pub clock_s: u64,
    /// Certified time of the last checkpoint.
    pub checkpoint_s: Option<u64>,
}

impl Watch {
    /// Of a container that is bound now.
    pub fn new(asked: Asked, bound_s: u64) -> Self {
        let generation = Mark::Nothing;
        Watch { tolerance: asked.0, bound_s, generation, copied: None, drifted: None }
    }

    /// How much must be the same.
    pub fn asked(&self) -> Asked {
        Asked(self.tolerance)
    }

    /// All that are not over, or were not put right.
    pub fn graces(&self) -> [Option<Grace>; 2] {
        [self.copied, self.drifted]
    }

    /// Takes in what is known of the generation. A grace that a checkpoint ended is over first,
    /// so that a change is never covered by a checkpoint of before.
    pub fn take_generation(&mut self, key: &[u8; 32], known: &Known, now: Now) -> Seen {
        if self.copied.is_some_and(|grace| now.checkpoint_s > grace.checkpoint_s) {
            self.copied = None;
        }
        let seen = self.generation.seen(key, known);
        if seen == Seen::Changed {
            self.copied.get_or_insert(Grace::from(now));
        }
        // Who hides the value for a while is compared with what was there before.
        if seen != Seen::Vanished {
            self.generation = Mark::of(key, known);
        }
        seen
    }

    /// Takes in what of the machine is the same. Its grace goes on where it stood when parts that
    /// came back are taken away again.
    pub fn take_weight(&mut self, same: u8, now: Now) {
        if self.is_too_light(same) {
            self.drifted.get_or_insert(Grace::from(now));
        }
    }

    /// It is bound anew. `by` is the certified time of the checkpoint that allows it; without one,
    /// nothing changed that would have to be allowed.
    pub fn rebind(&mut self, asked: Asked, by: Option<u64>) {
        self.tolerance = asked.0;
        if let Some(checkpoint_s) = by {
            (self.bound_s, self.drifted) = (checkpoint_s, None);
        }
    }

    /// The grace that ends first, where parts of weight `same` are what they were.
    ///
    /// # Errors
    /// [`ErrorCode::SoftGraceOver`].
    pub fn grace(&self, same: u8, clock_s: u64) -> Result<Option<(Why, Grace)>, Failure> {
        let drifted = self.drifted.filter(|_| self.is_too_light(same));
        let all = [(Why::Generation, self.copied), (Why::Traits, drifted)];
        let all = all.into_iter().filter_map(|(why, grace)| Some((why, grace?)));
        match all.min_by_key(|(_, grace)| grace.until_s) {
            Some((why, grace)) if clock_s >= grace.until_s => {
                Err(ErrorCode::SoftGraceOver.with(grace.until_s, why as u64))
            }
            grace => Ok(grace),
        }
    }

    fn is_too_light(&self, same: u8) -> bool {
        same < self.asked().threshold()
    }
}

impl From<Now> for Grace {
    fn from(now: Now) -> Self {
        let (since_s, checkpoint_s) = (now.clock_s, now.checkpoint_s);
        Grace { since_s, until_s: since_s.saturating_add(GRACE_S), checkpoint_s }
    }
}
