//! What a machine is known by, how much each of it weighs, and how much may drift.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Least number of classes that a key is bound to.
pub const CLASSES_MIN: usize = 3;

/// Number of classes.
pub(crate) const CLASSES: usize = TraitClass::ALL.len();

/// The weight of the heaviest class.
pub(crate) const WEIGHT_MAX: usize = 4;

/// A kind of trait. The discriminant is in records, and goes into keys: never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[repr(u8)]
#[non_exhaustive]
pub enum TraitClass {
    /// The UUID that firmware gives the system (SMBIOS type 1).
    SmbiosUuid = 0,
    /// The serial number of the main board (SMBIOS type 2).
    BoardSerial = 1,
    /// The serial number of the disk under the root file system.
    DiskSerial = 2,
    /// The permanent address of a network card on the board.
    NetworkAddress = 3,
    /// What the operating system drew when it was installed.
    MachineId = 4,
    /// Vendor, family and model of the processor.
    CpuModel = 5,
    /// UUID of the root file system.
    FsUuid = 6,
    /// The serial numbers of all memory modules (SMBIOS type 17).
    MemorySerials = 7,
}

impl TraitClass {
    /// All of them, by rising discriminants and falling weight.
    pub const ALL: [TraitClass; 8] = [
        TraitClass::SmbiosUuid,
        TraitClass::BoardSerial,
        TraitClass::DiskSerial,
        TraitClass::NetworkAddress,
        TraitClass::MachineId,
        TraitClass::CpuModel,
        TraitClass::FsUuid,
        TraitClass::MemorySerials,
    ];

    /// How many shares of the key a trait of this class holds.
    pub const fn weight(self) -> u8 {
        match self {
            TraitClass::SmbiosUuid => WEIGHT_MAX as u8,
            TraitClass::BoardSerial | TraitClass::DiskSerial => 3,
            TraitClass::NetworkAddress | TraitClass::MachineId => 2,
            TraitClass::CpuModel | TraitClass::FsUuid | TraitClass::MemorySerials => 1,
        }
    }

    /// Whether a copy of the disk's contents has it too.
    pub const fn travels(self) -> bool {
        matches!(self, TraitClass::MachineId | TraitClass::FsUuid)
    }

    pub(crate) const fn number(self) -> u8 {
        self as u8
    }
}

impl fmt::Display for TraitClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TraitClass::SmbiosUuid => "system UUID of the firmware",
            TraitClass::BoardSerial => "serial number of the board",
            TraitClass::DiskSerial => "serial number of the system disk",
            TraitClass::NetworkAddress => "address of a network card on the board",
            TraitClass::MachineId => "machine id",
            TraitClass::CpuModel => "processor model",
            TraitClass::FsUuid => "UUID of the root file system",
            TraitClass::MemorySerials => "serial numbers of the memory",
        })
    }
}

/// How much of a machine must still be the same. All traits together weigh 17; those that a machine
/// did not have when it was bound are missing from what may drift.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Tolerance {
    /// Weight 3 may drift: one part.
    Strict,
    /// Weight 7 may drift: a disk with all that is on it, or a board with another's network card.
    #[default]
    Medium,
    /// Weight 10 may drift: a board with its network card, and something small.
    Loose,
}

impl Tolerance {
    /// The weight that must be the same.
    pub const fn threshold(self) -> u8 {
        match self {
            Tolerance::Strict => 14,
            Tolerance::Medium => 10,
            Tolerance::Loose => 7,
        }
    }
}
