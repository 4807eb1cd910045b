//! What the processor says of itself.

use std::path::Path;

use zeroize::Zeroizing;

use crate::files;
use crate::traits::{Reading, Why};

/// Vendor, family and model of the first processor, x86 only. Not its name, which is as good as
/// nothing in a virtual machine, and not its stepping, which microcode may change.
pub(super) fn model(root: &Path) -> Reading {
    let fields = ["vendor_id", "cpu family", "model"].map(|name| field(root, name));
    let [vendor, family, model] = fields;
    let value = format!("{} {} {}", vendor?, family?, model?);
    Ok(vec![vec![Zeroizing::new(value.into_bytes())]])
}

/// Whether the processor has a feature.
pub(super) fn has_flag(root: &Path, flag: &str) -> bool {
    field(root, "flags").is_ok_and(|flags| flags.split(' ').any(|has| has == flag))
}

/// A field of the first processor.
fn field(root: &Path, name: &str) -> Result<String, Why> {
    let text = files::text(&root.join("proc/cpuinfo"))?;
    let mut fields = text.lines().filter_map(|line| line.split_once(':'));
    let found = fields.find(|(of, _)| of.trim() == name);
    found.map(|(_, value)| value.trim().to_owned()).ok_or(Why::Absent)
}
