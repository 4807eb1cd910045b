//! A tree of files that stands for a machine: what it is known by can be replaced.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A machine with a value of each class of traits.
pub struct Tree(TempDir);

/// A part that can be replaced, with what it takes along.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// A network card; weight 2.
    Card,
    /// A disk and all that is on it; weight 6.
    Disk,
    /// A board; weight 7.
    Board,
    /// The processor; weight 1.
    Processor,
    /// The memory; weight 1.
    Memory,
}

const CARD: &str = "sys/devices/pci0000:00/0000:00:1f.6";
const DISK: &str = "sys/devices/pci0000:00/0000:00:17.0/ata1/block/sda";

impl Tree {
    /// One with all of them.
    #[expect(clippy::new_without_default, reason = "makes a folder")]
    pub fn new() -> Self {
        let tree = Tree(tempfile::tempdir().expect("a folder"));
        for part in [Part::Card, Part::Disk, Part::Board, Part::Processor, Part::Memory] {
            tree.replace(part, 1);
        }
        tree.file("proc/self/mountinfo", "27 1 8:2 / / rw shared:1 - ext4 /dev/sda2 rw\n");
        tree.file(&format!("{DISK}/sda2/dev"), "8:2\n");
        tree.file(&format!("{DISK}/sda2/partition"), "2\n");
        tree.link("sys/class/block/sda2", &format!("{DISK}/sda2"));
        tree.file("sys/bus/pci/uevent", "");
        tree.link(&format!("{CARD}/subsystem"), "sys/bus/pci");
        tree.link("sys/class/net/eno1", &format!("{CARD}/net/eno1"));
        tree.link(&format!("{CARD}/net/eno1/device"), CARD);
        tree
    }

    /// What is not there at all: a machine of whom nothing is known but a machine id.
    pub fn bare() -> Self {
        let tree = Tree(tempfile::tempdir().expect("a folder"));
        tree.file("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n");
        tree.file("sys/class/dmi/id/product_uuid", "Default string\n");
        tree
    }

    /// Puts another one in, or with number 1 the first one again.
    pub fn replace(&self, part: Part, number: u8) {
        for (path, value) in self.values(part, number) {
            match path.split_once("by-uuid/") {
                Some((links, _)) => {
                    let links = format!("{links}by-uuid");
                    let _ = fs::remove_dir_all(self.path(&links));
                    let value = String::from_utf8_lossy(&value);
                    self.link(&format!("{links}/{value}"), "dev/sda2");
                }
                None => self.file(&path, value),
            }
        }
    }

    /// The values of all traits, as they are written.
    pub fn secrets(&self) -> Vec<String> {
        let parts = [Part::Card, Part::Disk, Part::Board, Part::Memory];
        let values = parts.into_iter().flat_map(|part| self.values(part, 1));
        let texts = values.map(|(_, value)| String::from_utf8_lossy(&value).trim().to_owned());
        texts.map(|text| text.trim_matches('\0').rsplit('\0').next().unwrap_or("").into()).collect()
    }

    /// What stands for `/`.
    pub fn root(&self) -> &Path {
        self.0.path()
    }

    fn values(&self, part: Part, number: u8) -> Vec<(String, Vec<u8>)> {
        let text = |path: &str, value: String| (path.to_owned(), format!("{value}\n").into_bytes());
        match part {
            Part::Card => {
                let net = format!("{CARD}/net/eno1");
                vec![
                    text(&format!("{net}/address"), format!("f0:1f:af:65:9c:{number:02x}")),
                    text(&format!("{net}/addr_assign_type"), "0".into()),
                ]
            }
            Part::Disk => vec![
                text(&format!("{DISK}/device/wwid"), format!("t10.ATA S4EWNX0M81{number:02}")),
                text("etc/machine-id", format!("3d1219c7c4c5404aaa1f6d2a48adfd{number:02}")),
                (
                    "dev/disk/by-uuid/".into(),
                    format!("6d0c2f3e-5a1f-4d7b-9a53-0f2f7d1c9e{number:02}").into_bytes(),
                ),
            ],
            Part::Board => vec![
                text(
                    "sys/class/dmi/id/product_uuid",
                    format!("4c4c4544-0042-3510-8052-b8c04f5637{number:02}"),
                ),
                text("sys/class/dmi/id/board_serial", format!("/7XQ2R63/CNWS30095Q{number:02}/")),
            ],
            Part::Processor => {
                let model = 157 + u16::from(number);
                let text = format!("vendor_id\t: Intel\ncpu family\t: 6\nmodel\t\t: {model}\n");
                vec![("proc/cpuinfo".into(), text.into_bytes())]
            }
            Part::Memory => vec![("sys/firmware/dmi/entries/17-0/raw".into(), memory(number))],
        }
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("room");
        fs::write(path, text).expect("room");
    }

    /// A link from one path to another, by a relative way as in sysfs.
    fn link(&self, path: &str, to: &str) {
        let up = "../".repeat(path.matches('/').count());
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("below the root")).expect("room");
        symlink(format!("{up}{to}"), path).expect("room");
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }
}

/// A memory module (DMTF DSP0134, type 17).
fn memory(number: u8) -> Vec<u8> {
    let mut table = vec![0_u8; 0x28];
    (table[0], table[1], table[0x0d]) = (17, 0x28, 0x40);
    (table[0x10], table[0x17], table[0x18]) = (1, 2, 3);
    table.extend_from_slice(format!("DIMM 0\0Maker\073A1E4{number:02}\0\0").as_bytes());
    table
}
