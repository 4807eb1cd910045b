//! What a helper tells its own user of a container: how it stands, and what of the machine drifted.

use std::path::Path;

use protocol::errors::{Failure, Shown};
use serde::Deserialize;
use serde_json::{Value, json};
use vendor::times;

use super::{helper, status};

/// How a container stands.
#[derive(Deserialize)]
pub(super) struct Look {
    pub(super) standing: Standing,
    pub(super) machine: Option<Machine>,
}

#[derive(Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub(super) enum Standing {
    Active,
    Grace { why: String, since_s: u64, until_s: u64 },
    Locked { code: u16, a: u64, b: u64, detail: String },
}

/// What it is bound to.
#[derive(Deserialize)]
pub(super) struct Machine {
    pub(super) has_tpm: bool,
    pub(super) tolerance: String,
    bound_s: u64,
    checkpoint_s: Option<u64>,
    traits: Vec<Trait>,
    generation: String,
    rebind: Vec<Rebinding>,
}

#[derive(Deserialize)]
struct Trait {
    class: String,
    weight: u8,
    state: String,
    why: Option<String>,
}

#[derive(Deserialize)]
struct Rebinding {
    tolerance: String,
    refused: Option<Refused>,
}

/// A row of the table.
#[derive(Deserialize)]
struct Refused {
    code: u16,
    a: u64,
    b: u64,
}

impl Look {
    /// Asks whoever serves a folder, or looks where nobody does; none where this user may not.
    pub(super) fn at(folder: &Path) -> Option<Look> {
        let answer = match status::is_served(folder) {
            true => backends::look(folder).ok()?,
            false => helper::look(folder).ok()?,
        };
        serde_json::from_slice(&answer).ok()
    }
}

impl Standing {
    /// Why it is locked, if it is.
    pub(super) fn refusal(&self) -> Option<Shown> {
        let Standing::Locked { code, a, b, detail } = self else { return None };
        Some(Shown::from(Failure { code: *code, a: *a, b: *b }).detailed(detail))
    }

    /// In words.
    pub(super) fn text(&self) -> String {
        match self {
            Standing::Grace { why, until_s, .. } => {
                let why = match why.as_str() {
                    "generation" => {
                        "this virtual machine was copied or set back; pass a checkpoint"
                    }
                    _ => {
                        "more of this machine changed than is tolerated; see strongroom tpm rebind"
                    }
                };
                format!("in use until {} only: {why}", times::show(*until_s))
            }
            _ => "active".into(),
        }
    }

    /// The grace as data; null where there is none.
    pub(super) fn grace(&self) -> Value {
        match self {
            Standing::Grace { why, since_s, until_s } => {
                json!({ "why": why, "since": since_s, "until": until_s })
            }
            _ => Value::Null,
        }
    }
}

impl Machine {
    /// Why it may not be bound anew with this tolerance, if so.
    pub(super) fn refuses(&self, tolerance: &str) -> Option<Shown> {
        let asked = self.rebind.iter().find(|one| one.tolerance == tolerance)?;
        let Refused { code, a, b } = asked.refused.as_ref()?;
        Some(Failure { code: *code, a: *a, b: *b }.into())
    }

    /// As data.
    pub(super) fn data(&self) -> Value {
        let of = |one: &Trait| {
            json!({
                "class": one.class, "weight": one.weight, "state": one.state, "why": one.why,
            })
        };
        json!({
            "tpm": self.has_tpm, "tolerance": self.tolerance, "bound": self.bound_s,
            "checkpoint": self.checkpoint_s, "generation": self.generation,
            "traits": self.traits.iter().map(of).collect::<Vec<_>>(),
        })
    }

    /// In words, a line each.
    pub(super) fn lines(&self) -> Vec<String> {
        let by = if self.has_tpm { "the TPM" } else { "traits of this machine" };
        let mut lines = vec![match (self.tolerance.as_str(), self.has_tpm) {
            ("off", _) => format!("  bound to {by} alone"),
            (tolerance, true) => format!("  bound to {by} and traits of this machine, {tolerance}"),
            (tolerance, false) => format!("  bound to {by}, {tolerance}"),
        }];
        let drifted = self.traits.iter().filter(|one| one.state != "same");
        lines.extend(drifted.map(|one| {
            let why = one.why.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
            format!("  {} (counts {}): {}{why}", one.class, one.weight, one.state)
        }));
        if self.generation == "vanished" {
            lines.push("  the generation of this virtual machine is told no more".into());
        }
        lines
    }
}
