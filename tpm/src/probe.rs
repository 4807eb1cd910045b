//! What this machine has to bind licenses to. Nothing is changed.

use machine::collect;
use machine::generation::Known;
use serde::Serialize;

use crate::chip::{Chip, EkKind, Properties, Trouble};
use crate::machine_key::Machine;
use crate::vault::Access;

/// What was found.
#[derive(Serialize)]
pub struct Probe {
    /// The TPM, or why there is none.
    pub tpm: Result<TpmSeen, Unusable>,
    /// What there is of the machine's traits, in words.
    pub traits: Vec<TraitSeen>,
    /// Why this is taken for a virtual machine; empty where nothing says so.
    pub is_virtual: Vec<String>,
    /// Whether a copy of this machine can be noticed by its generation.
    pub tells_generation: bool,
}

/// A TPM.
#[derive(Serialize)]
pub struct TpmSeen {
    /// Who made it, and what its firmware is.
    pub properties: Properties,
    /// Whether it keeps a storage key.
    pub keeps_storage_key: bool,
    /// Kind of its endorsement key.
    pub endorsement: &'static str,
    /// Whether its maker certified that.
    pub is_certified: bool,
}

/// Why a TPM cannot be used.
#[derive(Serialize)]
pub struct Unusable {
    /// The error's number.
    pub code: u16,
    /// What it said.
    pub detail: String,
}

/// A trait.
#[derive(Serialize)]
pub struct TraitSeen {
    /// Which.
    pub class: String,
    /// What it counts.
    pub weight: u8,
    /// Why it counts nothing here, if so.
    pub missing: Option<String>,
}

/// Looks.
pub fn probe(access: Result<Access, Trouble>, machine: &Machine) -> Probe {
    let root = machine.root();
    let tpm = access.and_then(|access| look(&access)).map_err(|trouble| Unusable {
        code: crate::helper::trouble(trouble).code,
        detail: trouble.to_string(),
    });
    let traits = collect::traits(root).report();
    let traits = traits.classes().iter().map(|(class, state)| TraitSeen {
        class: class.to_string(),
        weight: class.weight(),
        missing: state.err().map(|why| why.to_string()),
    });
    let is_virtual = collect::virtual_hints(root);
    let generation = machine.generation().now();
    Probe {
        tpm,
        traits: traits.collect(),
        is_virtual: is_virtual.iter().map(ToString::to_string).collect(),
        tells_generation: !matches!(generation, Known::Nothing),
    }
}

fn look(access: &Access) -> Result<TpmSeen, Trouble> {
    let mut chip = Chip::open(&access.tcti, None, &access.passwords)?;
    let endorsement = chip.endorsement()?;
    Ok(TpmSeen {
        properties: chip.properties()?,
        keeps_storage_key: chip.storage_key().persistent,
        endorsement: match endorsement.kind {
            EkKind::P256 => "P-256",
            EkKind::Rsa2048 => "RSA-2048",
            EkKind::P384 => "P-384",
        },
        is_certified: endorsement.certificate.is_some(),
    })
}
