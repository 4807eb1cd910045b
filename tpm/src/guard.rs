//! What looks after the machine while a container is open.

use machine::generation::{Generation, Seen};
use machine::record::Drift;
use protocol::errors::Failure;

use crate::clock::HostClock;
use crate::machine_key::{Machine, weight_same};
use crate::state::State;
use crate::watch::{GRACE_S, Grace, Now, Why};

/// The machine below an open container.
pub(crate) struct Guard {
    generation: Box<dyn Generation>,
    clock: HostClock,
    drift: Option<Drift>,
    seen: Seen,
}

impl Guard {
    /// Of a container with this state, which opened on a machine with this drift.
    pub(crate) fn new(machine: &Machine, drift: Option<Drift>, state: &State) -> Self {
        let clock = HostClock::new(state.seen_s);
        Guard { generation: machine.generation(), clock, drift, seen: Seen::Unknown }
    }

    /// Time, as the container knows it.
    pub(crate) fn clock(&self) -> &HostClock {
        &self.clock
    }

    /// What drifted until it was opened; none where traits are off.
    pub(crate) fn drift(&self) -> Option<&Drift> {
        self.drift.as_ref()
    }

    /// How the generation was related to the one before when it was asked last.
    pub(crate) fn seen(&self) -> Seen {
        self.seen
    }

    /// Takes what the machine shows into a state that is to be committed.
    pub(crate) fn look(&mut self, state: &mut State) {
        state.seen_s = self.clock.seen_s();
        let (clock_s, checkpoint_s) = (state.seen_s, state.checkpoint_s());
        let grace_s = checkpoint_s.map_or(GRACE_S, |_| state.answered.grace_s.into());
        let now = Now { clock_s, checkpoint_s, grace_s };
        let key = &state.secrets.storage;
        self.seen = state.watch.take_generation(key, &self.generation.now(), now);
        state.watch.take_weight(self.same(), now);
    }

    /// Whether the container may be used, and whether for a while only.
    ///
    /// # Errors
    /// Why it may not.
    pub(crate) fn standing(&self, state: &State) -> Result<Option<(Why, Grace)>, Failure> {
        self.clock.check()?;
        state.watch.grace(self.same(), self.clock.seen_s())
    }

    /// The weight of what is the same. Nothing is missing where nothing is asked for.
    fn same(&self) -> u8 {
        self.drift.as_ref().map_or(u8::MAX, weight_same)
    }
}
