//! Binding a container anew to its machine as it is: new shares, and a root key that nothing of
//! before opens.

use std::path::Path;

use machine::rebind::{RebindPolicy, RebindRefused, may_rebind};
use machine::record::Drift;
use protocol::errors::{ErrorCode, Failure};

use crate::binding::{self, Binding};
use crate::directory::Directory;
use crate::machine_key::{Asked, Machine};
use crate::opening::{Opened, open, put_in_place, read};
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
    let before = read(&directory, binding::NAME)?.ok_or(ErrorCode::SoftDamaged)?;
    if before.certificate.is_empty() {
        return Err(ErrorCode::SoftUncertified.into());
    }
    let Opened { mut vault, mut state, mut guard, binding } = open(folder, access, machine)?;
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
    let (bound_s, checkpoint_s) = (state.watch.bound_s, state.checkpoint_s);
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
