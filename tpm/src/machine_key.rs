//! The machine as containers are bound to it: the key that its traits give, and its generation.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use machine::generation::{Generation, Local, Named};
use machine::record::{self, BindError, Drift, Record, RuleBroken, TraitState};
use machine::{Tolerance, collect};
use protocol::codec::Bytes;
use protocol::crypto::kdf::{self, Prk};
use protocol::errors::ErrorCode;
use serde::{Serialize, Serializer};
use zeroize::Zeroizing;

use crate::binding::{Seal, TRAITS_LEN_MAX};
use crate::home::System;
use crate::refusal::Refusal;

/// A tree that stands for `/`, for tests: builds without debug assertions do not read it.
const ROOT_VARIABLE: &str = "STRONGROOM_MACHINE_ROOT";
/// A file with the generation of this machine, where a hypervisor tells it in a way of its own.
const GENERATION_VARIABLE: &str = "STRONGROOM_VM_GENERATION_FILE";

const LABEL: &[u8] = b"strongroom/soft-key/v1\0";

/// A machine.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
    generation: Option<PathBuf>,
}

/// What a machine gives for a container.
pub struct MachineKey {
    /// Authorization of the sealed blob; without a TPM the root key. Zeros where traits are off.
    pub key: Zeroizing<[u8; 32]>,
    /// What gives it back: a [`Record`], or nothing where traits are off.
    pub record: Bytes<TRAITS_LEN_MAX>,
    /// How the machine differs from the one that was bound; none where traits are off.
    pub drift: Option<Drift>,
}

/// How much of a machine must be the same; none where its traits are not asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Asked(pub Option<Tolerance>);

impl Machine {
    /// This one, or what the environment names in its place.
    pub fn this() -> Self {
        let root = std::env::var_os(ROOT_VARIABLE).filter(|_| cfg!(debug_assertions));
        let generation = std::env::var_os(GENERATION_VARIABLE);
        Machine {
            root: root.map_or_else(|| "/".into(), PathBuf::from),
            generation: generation.map(PathBuf::from),
        }
    }

    /// Where its files begin.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What tells its generation.
    pub fn generation(&self) -> Box<dyn Generation> {
        match &self.generation {
            Some(file) => Box::new(Named::new(file.clone())),
            None => Box::new(Local::new(&self.root)),
        }
    }

    /// Binds a new key to the machine as it is. With a TPM the key comes back as long as the loose
    /// threshold is met, so that what is between that and `asked` can be a grace.
    ///
    /// # Errors
    /// Too little of the machine is its own; randomness or memory failed.
    pub fn bind(&self, asked: Asked, has_tpm: bool) -> Result<MachineKey, BindError> {
        let Some(tolerance) = asked.0 else { return Ok(MachineKey::none()) };
        let traits = collect::traits(&self.root);
        let shared = if has_tpm { Tolerance::Loose } else { tolerance };
        let (record, key) = record::bind(&traits, shared, &mut System)?;
        let (weight, needed) = (record.classes().map(|class| class.weight()).sum(), tolerance);
        let needed = needed.threshold();
        if weight < needed {
            let rule = RuleBroken::TooLight { weight, needed };
            return Err(BindError::Machine { rule, report: traits.report() });
        }
        let record = Bytes::new(record.to_bytes()).expect("RECORD_LEN_MAX is less");
        Ok(MachineKey { key: derived(&key), record, drift: None })
    }

    /// Takes the key back that a record is of.
    ///
    /// # Errors
    /// The machine is another one, or the record is none.
    pub fn open(&self, bytes: &Bytes<TRAITS_LEN_MAX>) -> Result<MachineKey, Refusal> {
        if bytes.is_empty() {
            return Ok(MachineKey::none());
        }
        let record = Record::from_bytes(bytes).map_err(|_| ErrorCode::SoftDamaged)?;
        let opened = record::open(&record, &collect::traits(&self.root))?;
        let record = bytes.clone();
        Ok(MachineKey { key: derived(&opened.key), record, drift: Some(opened.drift) })
    }
}

impl MachineKey {
    /// Of a container that does not ask for traits.
    pub fn none() -> Self {
        MachineKey { key: Zeroizing::new([0; 32]), record: Bytes::default(), drift: None }
    }
}

impl Asked {
    /// Traits are not asked for.
    pub const OFF: Asked = Asked(None);

    /// All, the least first.
    pub const ALL: [Asked; 4] = [
        Asked::OFF,
        Asked(Some(Tolerance::Loose)),
        Asked(Some(Tolerance::Medium)),
        Asked(Some(Tolerance::Strict)),
    ];

    /// Where nothing is said.
    pub fn default_of(has_tpm: bool) -> Self {
        Asked((!has_tpm).then(Tolerance::default))
    }

    /// The weight that must be the same.
    pub fn threshold(self) -> u8 {
        self.0.map_or(0, Tolerance::threshold)
    }

    /// Whether a container of this kind of seal can do with it.
    pub fn fits(self, seal: &Seal) -> bool {
        self != Asked::OFF || matches!(seal, Seal::Tpm(_))
    }
}

impl FromStr for Asked {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = |asked: &Asked| asked.to_string() == text;
        Asked::ALL.into_iter().find(is_named).ok_or("off, loose, medium or strict")
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(Tolerance::Loose) => "loose",
            Some(Tolerance::Medium) => "medium",
            Some(_) => "strict",
            None => "off",
        })
    }
}

impl Serialize for Asked {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The weight of what is the same.
pub fn weight_same(drift: &Drift) -> u8 {
    let same = drift.states().iter().filter(|(_, state)| *state == TraitState::Same);
    same.map(|(class, _)| class.weight()).sum()
}

fn derived(key: &Prk) -> Zeroizing<[u8; 32]> {
    kdf::hkdf(key.as_bytes(), &[], LABEL)
}
