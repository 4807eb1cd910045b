//! What the firmware's tables say (DMTF DSP0134, "SMBIOS"), as the kernel shows them.

use std::path::Path;

use zeroize::Zeroizing;

use crate::files;
use crate::traits::{Reading, Why};

/// Offset of the size in a memory device (DSP0134, 7.18); 0 there is an empty slot.
const SIZE_AT: usize = 0x0c;
/// Offset of the number of the string with the serial number.
const SERIAL_AT: usize = 0x18;

/// A value of `/sys/class/dmi/id`.
pub(super) fn id(root: &Path, name: &str) -> Reading {
    Ok(vec![vec![files::read(&root.join("sys/class/dmi/id").join(name))?]])
}

/// The serial numbers of all memory modules: a set.
pub(super) fn memory_serials(root: &Path) -> Reading {
    let entries = files::entries(&root.join("sys/firmware/dmi/entries"))?;
    let is_memory = |name: &str| name.starts_with("17-");
    let mut serials = Vec::new();
    for entry in entries.iter().filter(|entry| files::name(entry).is_some_and(is_memory)) {
        serials.extend(memory_serial(&files::read(&entry.join("raw"))?));
    }
    if serials.is_empty() { Err(Why::Absent) } else { Ok(vec![serials]) }
}

/// The serial number in a memory device, unless its slot is empty.
fn memory_serial(table: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (formatted, strings) = table.split_at_checked((*table.get(1)?).into())?;
    if formatted.get(SIZE_AT..SIZE_AT + 2)? == [0, 0] {
        return None;
    }
    // Strings are numbered from 1; 0 is none.
    let at = usize::from(*formatted.get(SERIAL_AT)?).checked_sub(1)?;
    strings.split(|byte| *byte == 0).nth(at).map(|serial| Zeroizing::new(serial.to_vec()))
}
