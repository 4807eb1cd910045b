//! Hints that this is a virtual machine, whose traits a copy of it has too.

use std::fmt;
use std::path::Path;

use super::cpu;
use crate::files;

/// What makes a machine look virtual. Each can be made up, and hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum VirtualHint {
    /// The processor says that a hypervisor runs below.
    Processor,
    /// The firmware names a maker of virtual machines.
    Firmware(&'static str),
}

impl fmt::Display for VirtualHint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            VirtualHint::Processor => f.write_str("the processor tells of a hypervisor"),
            VirtualHint::Firmware(maker) => write!(f, "the firmware names {maker}"),
        }
    }
}

/// Why the system below `root` looks virtual; empty where nothing says so.
pub fn virtual_hints(root: &Path) -> Vec<VirtualHint> {
    let processor = cpu::has_flag(root, "hypervisor").then_some(VirtualHint::Processor);
    processor.into_iter().chain(maker(root).map(VirtualHint::Firmware)).collect()
}

/// The first maker of virtual machines that the firmware names.
fn maker(root: &Path) -> Option<&'static str> {
    let read = |name| files::text(&root.join("sys/class/dmi/id").join(name)).ok();
    let told: Vec<_> = ["sys_vendor", "product_name", "board_vendor", "bios_vendor"]
        .into_iter()
        .filter_map(read)
        .collect();
    MAKERS.into_iter().find(|maker| told.iter().any(|text| text.contains(maker)))
}

/// As in their firmware.
const MAKERS: [&str; 12] = [
    "QEMU",
    "KVM",
    "VMware",
    "VirtualBox",
    "innotek GmbH",
    "Virtual Machine",
    "Xen",
    "Bochs",
    "Parallels",
    "BHYVE",
    "KubeVirt",
    "OpenStack",
];
