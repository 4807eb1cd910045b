//! The disk under the root file system, and that file system.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::ALIKE_MAX;
use crate::canon::Raw;
use crate::files;
use crate::traits::{Reading, Why};

/// Devices on top of each other that are followed.
const DEPTH_MAX: u8 = 8;

/// Where a disk's serial number may be, in this order: SCSI and SATA, NVMe and MMC, virtio, any.
/// SCSI disks have `device/serial` too since some kernel, so it comes second.
const SERIALS: [&str; 4] = ["device/wwid", "device/serial", "serial", "wwid"];

/// The kernel's name of the block device that holds the root file system.
pub(super) fn root_device(root: &Path) -> Result<String, Why> {
    let mounts = files::text(&root.join("proc/self/mountinfo"))?;
    let (number, source) =
        mounts.lines().filter_map(mount_of_root).next_back().ok_or(Why::Absent)?;
    let devices = files::entries(&root.join("sys/class/block")).unwrap_or_default();
    let has_number = |device: &&PathBuf| {
        files::read(&device.join("dev")).is_ok_and(|dev| dev.trim_ascii() == number.as_bytes())
    };
    let by_number = devices.iter().find(has_number).and_then(|device| files::name(device));
    if let Some(name) = by_number {
        return Ok(name.to_owned());
    }
    // Some file systems on disks, such as Btrfs, have numbers of their own.
    let source = source.strip_prefix("/dev/").ok_or(Why::NotFixed)?;
    let node = files::resolved(&root.join("dev").join(source))?;
    let name = files::name(&node).filter(|name| devices.iter().any(|at| at.ends_with(name)));
    name.map(str::to_owned).ok_or(Why::NotFixed)
}

/// The serial numbers of the first disks under a block device, by their places on the bus.
pub(super) fn serials(root: &Path, device: &str) -> Reading {
    let mut disks = Vec::new();
    find_disks(root, device, DEPTH_MAX, &mut disks)?;
    disks.sort();
    disks.dedup();
    let (mut serials, mut why) = (Vec::new(), Why::Absent);
    for disk in disks.iter().take(ALIKE_MAX) {
        match serial(disk) {
            Ok(serial) => serials.push(serial),
            Err(refused) => why = refused,
        }
    }
    if serials.is_empty() { Err(why) } else { Ok(serials) }
}

/// The UUID of the file system on a block device, as udev keeps it.
pub(super) fn fs_uuid(root: &Path, device: &str) -> Reading {
    let links = files::entries(&root.join("dev/disk/by-uuid")).unwrap_or_default();
    let leads_there =
        |link: &&PathBuf| link.read_link().is_ok_and(|node| files::name(&node) == Some(device));
    if let Some(uuid) = links.iter().find(leads_there).and_then(|link| files::name(link)) {
        return Ok(vec![part(uuid.as_bytes())]);
    }
    let number = files::text(&root.join("sys/class/block").join(device).join("dev"))?;
    let known = files::text(&root.join("run/udev/data").join(format!("b{}", number.trim())))?;
    let uuid = known.lines().find_map(|line| line.strip_prefix("E:ID_FS_UUID="));
    Ok(vec![part(uuid.ok_or(Why::Absent)?.as_bytes())])
}

/// Device number and source of a line of mountinfo (proc_pid_mountinfo(5)) about `/`.
fn mount_of_root(line: &str) -> Option<(&str, &str)> {
    let (mount, file_system) = line.split_once(" - ")?;
    let mut fields = mount.split(' ').skip(2);
    let (number, place) = (fields.next()?, fields.nth(1)?);
    let source = file_system.split(' ').nth(1)?;
    (place == "/").then_some((number, source))
}

/// The disks that a block device is on, as directories without links: of a partition its disk, of
/// a mapped device or an array all that it is made of.
fn find_disks(root: &Path, device: &str, depth: u8, disks: &mut Vec<PathBuf>) -> Result<(), Why> {
    let Some(depth) = depth.checked_sub(1) else { return Ok(()) };
    let mut dir = files::resolved(&root.join("sys/class/block").join(device))?;
    if dir.join("partition").exists() {
        dir.pop();
    }
    let below = files::entries(&dir.join("slaves")).unwrap_or_default();
    for name in below.iter().filter_map(|path| files::name(path)) {
        find_disks(root, name, depth, disks)?;
    }
    if below.is_empty() {
        disks.push(dir);
    }
    Ok(())
}

/// The serial number of a disk, from the first place that has one.
fn serial(disk: &Path) -> Result<Raw, Why> {
    let mut why = Why::Absent;
    for name in SERIALS {
        match files::read(&disk.join(name)) {
            Ok(serial) if !serial.trim_ascii().is_empty() => return Ok(vec![serial]),
            Ok(_) | Err(Why::Absent) => {}
            Err(refused) => why = refused,
        }
    }
    Err(why)
}

fn part(bytes: &[u8]) -> Raw {
    vec![Zeroizing::new(bytes.to_vec())]
}
