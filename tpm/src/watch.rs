//! What a container remembers of its machine, and how long it bears what changed there.

use machine::Tolerance;
use machine::generation::{Known, Mark, Seen};
use protocol::errors::{ErrorCode, Failure};
use serde::{Deserialize, Serialize};

use crate::machine_key::Asked;

/// Seconds of use after a machine changed, where no answer of the vendor said otherwise.
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
    /// For how long a change that is seen now is borne, seconds.
    pub grace_s: u64,
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
        Grace { since_s, until_s: since_s.saturating_add(now.grace_s), checkpoint_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: [u8; 32] = [7; 32];
    const DAY_S: u64 = 24 * 60 * 60;

    fn watch(tolerance: Tolerance) -> Watch {
        Watch::new(Asked(Some(tolerance)), 0)
    }

    fn at(day: u64, checkpoint_s: Option<u64>) -> Now {
        Now { clock_s: day * DAY_S, checkpoint_s, grace_s: GRACE_S }
    }

    /// Generation `id` is seen on a day; how long that may go on from then.
    fn until(watch: &mut Watch, id: u8, now: Now) -> Option<u64> {
        watch.take_generation(&KEY, &Known::Value([id; 16]), now);
        watch.grace(u8::MAX, 0).unwrap().map(|(_, grace)| grace.until_s / DAY_S)
    }

    #[test]
    fn a_checkpoint_after_a_change_ends_its_grace_and_one_before_does_not() {
        let mut watch = watch(Tolerance::Loose);
        assert_eq!(until(&mut watch, 1, at(1, None)), None);
        assert_eq!(until(&mut watch, 2, at(2, Some(5))), Some(16));
        // Its own value again, another one, and the same checkpoint: as it was.
        assert_eq!(until(&mut watch, 1, at(3, Some(5))), Some(16));
        assert_eq!(until(&mut watch, 3, at(4, Some(5))), Some(16));
        assert_eq!(until(&mut watch, 3, at(5, Some(6))), None);
        assert_eq!(until(&mut watch, 3, at(6, Some(6))), None);
        // What changes after the checkpoint is another matter, also where both are seen at once.
        assert_eq!(until(&mut watch, 4, at(7, Some(6))), Some(21));
        assert_eq!(until(&mut watch, 5, at(8, Some(7))), Some(22));
    }

    #[test]
    fn what_was_hidden_is_compared_with_what_was_there_before() {
        let mut watch = watch(Tolerance::Loose);
        until(&mut watch, 1, at(1, None));
        assert_eq!(watch.take_generation(&KEY, &Known::Nothing, at(1, None)), Seen::Vanished);
        assert_eq!(until(&mut watch, 1, at(2, None)), None);
        watch.take_generation(&KEY, &Known::Nothing, at(3, None));
        assert_eq!(until(&mut watch, 2, at(4, None)), Some(18));
    }

    #[test]
    fn traits_are_borne_while_they_are_too_light_and_their_time_runs_once() {
        let mut watch = watch(Tolerance::Medium);
        let end_s = GRACE_S + DAY_S;
        watch.take_weight(10, at(0, None));
        assert_eq!(watch.grace(9, u64::MAX), Ok(None));
        watch.take_weight(9, at(1, None));
        watch.take_weight(17, at(2, None));
        watch.take_weight(7, at(3, None));
        let grace = |same, clock_s| watch.grace(same, clock_s);
        assert_eq!(grace(9, end_s - 1).unwrap().map(|(why, _)| why), Some(Why::Traits));
        assert_eq!(grace(9, end_s).unwrap_err(), ErrorCode::SoftGraceOver.with(end_s, 1));
        assert_eq!(grace(10, end_s), Ok(None));
        // No checkpoint ends it, but that by which it is bound anew.
        let mut bound = watch.clone();
        until(&mut bound, 1, at(4, Some(DAY_S)));
        assert!(bound.grace(9, end_s).is_err());
        bound.rebind(Asked(Some(Tolerance::Medium)), None);
        assert!(bound.grace(9, end_s).is_err());
        bound.rebind(Asked(Some(Tolerance::Strict)), Some(DAY_S));
        assert_eq!((bound.grace(9, end_s), bound.bound_s), (Ok(None), DAY_S));
        assert_eq!(bound.asked().to_string(), "strict");
    }

    #[test]
    fn of_two_graces_the_first_to_end_counts() {
        let mut watch = watch(Tolerance::Strict);
        until(&mut watch, 1, at(0, None));
        watch.take_weight(9, at(1, None));
        until(&mut watch, 2, at(2, None));
        let first = |same, clock_s| watch.grace(same, clock_s).map(|grace| grace.map(|one| one.0));
        assert_eq!(first(9, 0), Ok(Some(Why::Traits)));
        assert_eq!(first(14, 0), Ok(Some(Why::Generation)));
        assert_eq!(first(14, 15 * DAY_S), Ok(Some(Why::Generation)));
        let over = ErrorCode::SoftGraceOver.with(16 * DAY_S, 0);
        assert_eq!(first(14, 16 * DAY_S), Err(over));
    }

    #[test]
    fn where_traits_are_off_none_is_too_light() {
        let mut watch = Watch::new(Asked::OFF, 0);
        watch.take_weight(0, at(0, None));
        assert_eq!(watch.grace(0, u64::MAX), Ok(None));
    }
}
