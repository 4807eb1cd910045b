//! Reading the traits of a Linux system, below a root directory (`/`, or a tree that stands for
//! it).
//!
//! Only what stays: no name or address in a network, no version of firmware or kernel, no size.

mod cpu;
mod disk;
mod firmware;
mod hypervisor;
mod network;
#[cfg(test)]
mod tests;

use std::path::Path;

use crate::class::TraitClass;
use crate::files;
use crate::traits::Traits;

pub use hypervisor::{VirtualHint, virtual_hints};

/// Things of a kind (network cards, disks under one file system) that are looked at, the first
/// ones by their places on the bus. A trait is bound by the first, and is the same if any of them
/// is that one.
const ALIKE_MAX: usize = 2;

/// All traits of the system below `root`. Some only root may read; else they count as missing.
pub fn traits(root: &Path) -> Traits {
    let device = disk::root_device(root);
    let device = device.as_deref().map_err(|why| *why);
    Traits::new(|class| match class {
        TraitClass::SmbiosUuid => firmware::id(root, "product_uuid"),
        TraitClass::BoardSerial => firmware::id(root, "board_serial"),
        TraitClass::DiskSerial => disk::serials(root, device?),
        TraitClass::NetworkAddress => network::addresses(root),
        TraitClass::MachineId => Ok(vec![vec![files::read(&root.join("etc/machine-id"))?]]),
        TraitClass::CpuModel => cpu::model(root),
        TraitClass::FsUuid => disk::fs_uuid(root, device?),
        TraitClass::MemorySerials => firmware::memory_serials(root),
    })
}
