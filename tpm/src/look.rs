//! What the helper tells its own user of a container: how it stands, and what of the machine
//! drifted. No value of a trait is in it.

use std::path::Path;

use machine::generation::Seen;
use machine::record::TraitState;
use protocol::errors::{ErrorCode, Failure};
use serde::Serialize;

use crate::binding::Seal;
use crate::directory::Directory;
use crate::guard::Guard;
use crate::machine_key::{Asked, Machine};
use crate::opening;
use crate::rebind::allowed;
use crate::refusal::Refusal;
use crate::state::State;
use crate::vault::AccessOf;
use crate::watch::{Grace, Why};

/// What asks for it, in clear: the first byte is of no version of the channel.
pub(crate) const LOOK: &[u8] = b"\0look";

/// The answer, as JSON.
#[derive(Serialize)]
pub(crate) struct Look {
    standing: Standing,
    /// None of a container that does not open.
    machine: Option<MachineSeen>,
}

#[derive(Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Standing {
    Active,
    Grace { why: Why, since_s: u64, until_s: u64 },
    Locked { code: u16, a: u64, b: u64, detail: String },
}

#[derive(Serialize)]
struct MachineSeen {
    has_tpm: bool,
    tolerance: Asked,
    /// When it was bound.
    bound_s: u64,
    /// Certified time of the last checkpoint.
    checkpoint_s: Option<u64>,
    /// What it is bound to; empty where traits are off.
    traits: Vec<TraitSeen>,
    generation: &'static str,
    /// Whether it may be bound anew, by tolerance.
    rebind: Vec<Rebinding>,
}

#[derive(Serialize)]
struct TraitSeen {
    class: String,
    weight: u8,
    state: &'static str,
    /// Why it is missing.
    why: Option<String>,
}

#[derive(Serialize)]
struct Rebinding {
    tolerance: Asked,
    /// Why it may not.
    refused: Option<Refused>,
}

#[derive(Serialize)]
struct Refused {
    code: u16,
    a: u64,
    b: u64,
}

/// Looks at the container in a folder that nobody serves, and changes nothing.
///
/// # Errors
/// Those of the folder. A container that does not open is no error: it says why.
pub fn look(folder: &Path, access: AccessOf, machine: &Machine) -> Result<Vec<u8>, Refusal> {
    let directory = Directory::open(folder)?;
    let _lock = directory.lock()?.ok_or(ErrorCode::AlreadyThere)?;
    let look = match opening::certified(folder, access, machine) {
        Err(refusal) => Look::shut(&refusal),
        Ok(mut opened) => {
            opened.guard.look(&mut opened.state);
            let has_tpm = matches!(opened.binding.seal, Seal::Tpm(_));
            Look::of(&opened.state, &opened.guard, has_tpm)
        }
    };
    Ok(look.answer())
}

impl Look {
    /// Of a container that opened.
    pub(crate) fn of(state: &State, guard: &Guard, has_tpm: bool) -> Self {
        let standing = match guard.standing(state) {
            Ok(None) => Standing::Active,
            Ok(Some((why, Grace { since_s, until_s, .. }))) => {
                Standing::Grace { why, since_s, until_s }
            }
            Err(failure) => Standing::locked(&failure.into()),
        };
        let (watch, drift) = (&state.watch, guard.drift());
        let rebinding = |tolerance| {
            let refused = allowed(state, drift, tolerance).err().map(Refused::from);
            Rebinding { tolerance, refused }
        };
        let machine = MachineSeen {
            has_tpm,
            tolerance: watch.asked(),
            bound_s: watch.bound_s,
            checkpoint_s: state.checkpoint_s(),
            traits: drift.into_iter().flat_map(|drift| drift.states()).map(TraitSeen::of).collect(),
            generation: word(guard.seen()),
            rebind: Asked::ALL.map(rebinding).into(),
        };
        Look { standing, machine: Some(machine) }
    }

    /// Of one that does not.
    pub(crate) fn shut(refusal: &Refusal) -> Self {
        Look { standing: Standing::locked(refusal), machine: None }
    }

    /// The answer.
    pub(crate) fn answer(&self) -> Vec<u8> {
        serde_json::to_vec(self).unwrap_or_default()
    }
}

impl Standing {
    fn locked(refusal: &Refusal) -> Self {
        let Failure { code, a, b } = refusal.failure;
        Standing::Locked { code, a, b, detail: refusal.detail.clone() }
    }
}

impl TraitSeen {
    fn of((class, state): &(machine::TraitClass, TraitState)) -> Self {
        let (state, why) = match state {
            TraitState::Same => ("same", None),
            TraitState::Changed => ("changed", None),
            TraitState::Missing(why) => ("missing", Some(why.to_string())),
        };
        TraitSeen { class: class.to_string(), weight: class.weight(), state, why }
    }
}

impl From<Failure> for Refused {
    fn from(Failure { code, a, b }: Failure) -> Self {
        Refused { code, a, b }
    }
}

/// In a word: whether a copy of this machine would be noticed.
fn word(seen: Seen) -> &'static str {
    match seen {
        Seen::Same => "same",
        Seen::Changed => "changed",
        Seen::Unknown => "unknown",
        Seen::Appeared => "appeared",
        Seen::Vanished => "vanished",
    }
}
