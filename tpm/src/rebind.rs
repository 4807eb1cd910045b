//! Binding a container anew to its machine as it is: new shares, and a root key that nothing of
//! before opens.

use std::path::Path;

use machine::rebind::{RebindPolicy, RebindRefused, may_rebind};
use machine::record::Drift;
use protocol::errors::{ErrorCode, Failure};

use crate::binding::{self, Binding};
use crate::directory::Directory;
use crate::machine_key::{Asked, Machine};
use crate::opening::{Opened, certified, put_in_place};
use crate::refusal::Refusal;
use crate::state::State;
use crate::vault::{AccessOf, NotCommitted};

/// Binds the container in a folder anew, with the tolerance that it has or another. Killed at any
/// moment it leaves a container that opens, bound as before or anew.
///
/// # Errors
/// It may not be bound now; the machine has too little of its own; those of opening.
pub fn rebind(
    folder: &Path,
    asked: Option<Asked>,
    access: AccessOf,
    machine: &Machine,
) -> Result<Asked, Refusal> {
    let directory = Directory::open(folder)?;
    let _lock = directory.lock()?.ok_or(ErrorCode::AlreadyThere)?;
    let Opened { mut vault, mut state, mut guard, binding } = certified(folder, access, machine)?;
    guard.look(&mut state);
    guard.clock().check()?;
    // What a copy of the machine is owed is no matter of its parts.
    state.watch.grace(u8::MAX, state.seen_s)?;
    let asked = asked.unwrap_or(state.watch.asked());
    if !asked.fits(&binding.seal) {
        return Err(ErrorCode::SoftNeedsTraits.into());
    }
    let by = allowed(&state, guard.drift(), asked)?;
    let key = machine.bind(asked, matches!(binding.seal, binding::Seal::Tpm(_)))?;
    let resealed = vault.reseal(&key.key)?;
    let next = Binding { seal: resealed.seal.clone(), traits: key.record, ..binding.clone() };
    let written = directory.write(binding::OTHER, &next.write());
    written.map_err(|_| ErrorCode::HelperFailed)?;
    state.watch.rebind(asked, by);
    vault.commit_under(resealed, &state.write()).map_err(uncommitted)?;
    put_in_place(&directory, &next, &binding)?;
    Ok(asked)
}

/// The checkpoint by which a container may be bound anew; none where nothing changed that would
/// have to be allowed: it becomes stricter, and all is the same, or nothing was asked for.
///
/// # Errors
/// [`ErrorCode::SoftRebindUnchecked`], [`ErrorCode::SoftRebindSoon`].
pub(crate) fn allowed(
    state: &State,
    drift: Option<&Drift>,
    asked: Asked,
) -> Result<Option<u64>, Failure> {
    let is_same = drift.is_none_or(|drift| drift.drifted().next().is_none());
    if is_same && asked.threshold() >= state.watch.asked().threshold() {
        return Ok(None);
    }
    let (bound_s, checkpoint_s) = (state.watch.bound_s, state.checkpoint_s());
    // No later time is certified.
    let now_s = checkpoint_s.unwrap_or(0);
    match may_rebind(bound_s, checkpoint_s, now_s, RebindPolicy::default()) {
        Ok(()) => Ok(checkpoint_s),
        Err(RebindRefused::TooSoon { from_s }) => {
            Err(ErrorCode::SoftRebindSoon.with(from_s, now_s))
        }
        Err(_) => Err(ErrorCode::SoftRebindUnchecked.with(bound_s, 0)),
    }
}

fn uncommitted(error: NotCommitted) -> Refusal {
    let code = match error {
        NotCommitted::Kept(_) => ErrorCode::HelperFailed,
        NotCommitted::Lost(_) => ErrorCode::TpmFailed,
    };
    Refusal { failure: code.failure(), detail: error.to_string() }
}

#[cfg(test)]
mod tests {
    use machine::Tolerance;

    use super::*;
    use crate::home::System;
    use crate::state::Secrets;
    use crate::watch::Watch;

    const DAY_S: u64 = 24 * 60 * 60;
    const STRICT: Asked = Asked(Some(Tolerance::Strict));
    const MEDIUM: Asked = Asked(Some(Tolerance::Medium));

    /// A container that was bound on day 100, and passed its last checkpoint on another.
    fn state(bound: Asked, checkpoint: Option<u64>) -> State {
        let secrets = Secrets::draw(&mut System).unwrap();
        let mut state = State::new(secrets, Watch::new(bound, 100 * DAY_S));
        state.answered.at_s = checkpoint.map_or(0, |day| day * DAY_S);
        state
    }

    #[test]
    fn what_becomes_weaker_needs_a_checkpoint_that_is_late_enough() {
        let unchecked = Err(ErrorCode::SoftRebindUnchecked.with(100 * DAY_S, 0));
        let soon = |day| Err(ErrorCode::SoftRebindSoon.with(130 * DAY_S, day * DAY_S));
        let table = [
            (None, unchecked),
            (Some(99), unchecked),
            (Some(100), unchecked),
            (Some(101), soon(101)),
            (Some(129), soon(129)),
            (Some(130), Ok(Some(130 * DAY_S))),
        ];
        for (checkpoint, expected) in table {
            for weaker in [MEDIUM, Asked::OFF] {
                assert_eq!(allowed(&state(STRICT, checkpoint), None, weaker), expected);
            }
        }
    }

    #[test]
    fn what_becomes_no_weaker_needs_none_where_nothing_drifted() {
        for (bound, asked) in [(Asked::OFF, MEDIUM), (MEDIUM, STRICT), (STRICT, STRICT)] {
            assert_eq!(allowed(&state(bound, None), None, asked), Ok(None));
        }
    }

    /// The slow walk: with each checkpoint one rebinding, and none twice.
    #[test]
    fn a_checkpoint_serves_one_rebinding() {
        let mut state = state(STRICT, Some(140));
        let by = allowed(&state, None, MEDIUM).unwrap();
        state.watch.rebind(MEDIUM, by);
        let unchecked = ErrorCode::SoftRebindUnchecked.with(140 * DAY_S, 0);
        assert_eq!(allowed(&state, None, Asked::OFF), Err(unchecked));
        state.answered.at_s = 170 * DAY_S;
        assert_eq!(allowed(&state, None, Asked::OFF), Ok(Some(170 * DAY_S)));
    }
}
