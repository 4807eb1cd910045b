//! Permanent addresses of network cards on the board.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ALIKE_MAX;
use crate::files;
use crate::traits::{Reading, Why};

/// `NET_ADDR_PERM` of Linux: the address is the one that the card came with.
const PERMANENT: &[u8] = b"0";

/// Bits of the first byte (IEEE 802, 8.2): to a group, and made up locally.
const NOT_THE_MAKERS: u8 = 0b11;

/// The addresses of the first cards by their places on the bus, since names of interfaces change.
pub(super) fn addresses(root: &Path) -> Reading {
    let interfaces = files::entries(&root.join("sys/class/net"))?;
    let mut cards: Vec<_> = interfaces.iter().filter_map(|path| card(path)).collect();
    cards.sort_by(|one, other| (&one.0, &one.1[..]).cmp(&(&other.0, &other.1[..])));
    cards.dedup();
    cards.truncate(ALIKE_MAX);
    match cards.is_empty() {
        true => Err(if interfaces.is_empty() { Why::Absent } else { Why::NotFixed }),
        false => Ok(cards.into_iter().map(|(_, address)| vec![address]).collect()),
    }
}

/// The place and the address of an interface that is a card in the machine.
fn card(interface: &Path) -> Option<(PathBuf, Zeroizing<Vec<u8>>)> {
    let device = files::resolved(&interface.join("device")).ok()?;
    let bus = files::resolved(&device.join("subsystem")).ok()?;
    // A dock's cards are on PCI too.
    let is_removable =
        files::read(&device.join("removable")).is_ok_and(|text| text.starts_with(b"removable"));
    let address = permanent_address(interface)?;
    let is_fixed = files::name(&bus) == Some("pci") && !is_removable;
    (is_fixed && is_of_maker(&address)).then_some((device, address))
}

/// The address that a card came with. Under a bond, and where a wireless card hides it, the kernel
/// shows it elsewhere.
fn permanent_address(interface: &Path) -> Option<Zeroizing<Vec<u8>>> {
    let elsewhere = ["bonding_slave/perm_hwaddr", "phy80211/macaddress"];
    let found = elsewhere.iter().find_map(|name| files::read(&interface.join(name)).ok());
    let shown = || {
        let how = files::read(&interface.join("addr_assign_type")).ok()?;
        let address = files::read(&interface.join("address")).ok()?;
        (how.trim_ascii() == PERMANENT).then_some(address)
    };
    found.or_else(shown)
}

/// Whether this is an address of six bytes that a maker gave to one card.
fn is_of_maker(address: &[u8]) -> bool {
    let text = std::str::from_utf8(address).unwrap_or_default().trim();
    let bytes: Option<Vec<u8>> =
        text.split(':').map(|byte| u8::from_str_radix(byte, 16).ok()).collect();
    match bytes.as_deref() {
        Some([first, _, _, _, _, _]) => first & NOT_THE_MAKERS == 0,
        _ => false,
    }
}
