//! Traits of systems that are only trees of files.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::canon::Canon;
use crate::traits::Why;

/// A system.
struct Tree(TempDir);

impl Tree {
    fn new() -> Self {
        Tree(tempfile::tempdir().unwrap())
    }

    fn file(&self, path: &str, text: impl AsRef<[u8]>) -> &Self {
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// A link from one path to another, by a relative way as in sysfs.
    fn link(&self, path: &str, to: &str) -> &Self {
        let up = "../".repeat(path.matches('/').count());
        let path = self.0.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        symlink(format!("{up}{to}"), path).unwrap();
        self
    }

    fn dir(&self, path: &str) -> &Self {
        fs::create_dir_all(self.0.path().join(path)).unwrap();
        self
    }

    /// A block device without links and the kernel's name for it.
    fn block(&self, path: &str, number: &str) -> &Self {
        let name = path.rsplit('/').next().unwrap();
        self.file(&format!("{path}/dev"), format!("{number}\n"))
            .link(&format!("sys/class/block/{name}"), path)
    }

    /// An interface of a device on a bus.
    fn card(&self, name: &str, device: &str, bus: &str, address: &str) -> &Self {
        let interface = format!("{device}/net/{name}");
        self.interface(name, &interface, address)
            .dir(&format!("sys/bus/{bus}"))
            .link(&format!("{interface}/device"), device);
        if !self.0.path().join(device).join("subsystem").exists() {
            self.link(&format!("{device}/subsystem"), &format!("sys/bus/{bus}"));
        }
        self
    }

    fn interface(&self, name: &str, path: &str, address: &str) -> &Self {
        self.file(&format!("{path}/address"), format!("{address}\n"))
            .file(&format!("{path}/addr_assign_type"), "0\n")
            .link(&format!("sys/class/net/{name}"), path)
    }

    fn root_on(&self, number: &str, fs: &str, source: &str) -> &Self {
        let text = format!(
            "21 27 0:20 / /proc rw - proc proc rw\n27 1 0:2 / / rw - rootfs rootfs rw\n\
             27 1 {number} / / rw,relatime shared:1 - {fs} {source} rw\n\
             30 27 9:9 / /home rw - ext4 /dev/sdz1 rw\n"
        );
        self.file("proc/self/mountinfo", text)
    }

    fn cpu(&self, flags: &str) -> &Self {
        let processor = |model| {
            format!(
                "processor\t: 0\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: {model}\n\
                 model name\t: A Processor\nflags\t\t: fpu {flags} sse\n\n"
            )
        };
        self.file("proc/cpuinfo", processor(158) + &processor(1))
    }

    fn firmware(&self, name: &str, text: &str) -> &Self {
        self.file(&format!("sys/class/dmi/id/{name}"), format!("{text}\n"))
    }

    /// A memory module in slot `at`; without a size an empty slot.
    fn memory(&self, at: u8, size_mib: u16, serial: &str) -> &Self {
        let mut table = vec![0_u8; 0x28];
        (table[0], table[1]) = (17, 0x28);
        table[0x0c..0x0e].copy_from_slice(&size_mib.to_le_bytes());
        (table[0x10], table[0x17], table[0x18]) = (1, 2, 3);
        table.extend_from_slice(format!("DIMM {at}\0Maker\0{serial}\0\0").as_bytes());
        self.file(&format!("sys/firmware/dmi/entries/17-{at}/raw"), table)
    }

    fn values(&self, class: TraitClass) -> Result<Vec<String>, Why> {
        let values = traits(self.0.path()).values(class, Canon::V1)?;
        Ok(values.iter().map(|value| value.trim_end().to_owned()).collect())
    }

    fn value(&self, class: TraitClass) -> Result<String, Why> {
        let values = self.values(class)?;
        assert_eq!(values.len(), 1, "{values:?}");
        Ok(values[0].clone())
    }

    fn root(&self) -> &Path {
        self.0.path()
    }
}

const PCI: &str = "sys/devices/pci0000:00";

/// A computer with a SATA disk, a card on the board, one on USB, and containers.
fn physical() -> Tree {
    let tree = Tree::new();
    let sda = format!("{PCI}/0000:00:17.0/ata1/host0/target0:0:0/0:0:0:0/block/sda");
    let lan = format!("{PCI}/0000:00:1f.6");
    let usb = format!("{PCI}/0000:00:14.0/usb2/2-1/2-1:1.0");
    tree.firmware("product_uuid", "4c4c4544-0042-3510-8052-b8c04f563733")
        .firmware("board_serial", "/7XQ2R63/CNWS30095Q00BD/")
        .firmware("sys_vendor", "Dell Inc.")
        .file("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
        .cpu("vmx")
        .block(&sda, "8:0")
        .file(&format!("{sda}/device/wwid"), "t10.ATA     Samsung SSD 860  S4EWNX0M8114\n")
        .block(&format!("{sda}/sda2"), "8:2")
        .file(&format!("{sda}/sda2/partition"), "2\n")
        .root_on("8:2", "ext4", "/dev/sda2")
        .file("dev/sda2", "")
        .link("dev/disk/by-uuid/6d0c2f3e-5a1f-4d7b-9a53-0f2f7d1c9e11", "dev/sda2")
        .link("dev/disk/by-uuid/1111-2222", "dev/sda1")
        .card("eno1", &lan, "pci", "f0:1f:af:65:9c:11")
        .card("enx00e04c680001", &usb, "usb", "00:e0:4c:68:00:01")
        .interface("lo", "sys/devices/virtual/net/lo", "00:00:00:00:00:00")
        .interface("docker0", "sys/devices/virtual/net/docker0", "02:42:ac:11:00:02")
        .interface("veth12", "sys/devices/virtual/net/veth12", "04:00:00:00:00:12")
        .memory(0, 8192, "73A1E4F2")
        .memory(1, 0, "5A5A0001")
        .memory(2, 8192, "09b1c001");
    tree
}

#[test]
fn a_physical_machine_has_all_its_traits() {
    let tree = physical();
    let found = TraitClass::ALL.map(|class| tree.value(class).unwrap());
    let expected = [
        "4C4C4544-0042-3510-8052-B8C04F563733",
        "/7XQ2R63/CNWS30095Q00BD/",
        "T10.ATA SAMSUNG SSD 860 S4EWNX0M8114",
        "F0:1F:AF:65:9C:11",
        "3D1219C7C4C5404AAA1F6D2A48ADFDA4",
        "GENUINEINTEL 6 158",
        "6D0C2F3E-5A1F-4D7B-9A53-0F2F7D1C9E11",
        "09B1C001\n73A1E4F2",
    ];
    assert_eq!(found, expected);
    assert_eq!(virtual_hints(tree.root()), []);
    let report = traits(tree.root()).report();
    assert!(report.classes().iter().all(|(_, state)| state.is_ok()));
    let shown = report.to_string().to_uppercase() + &format!("{report:?}").to_uppercase();
    for value in expected.iter().flat_map(|value| value.lines()) {
        assert!(!shown.contains(value), "{value}");
    }
}

#[test]
fn only_cards_fixed_on_the_bus_count_the_first_two_of_them() {
    let tree = physical();
    let card = |slot: &str| format!("{PCI}/{slot}");
    let addresses = |tree: &Tree| tree.values(TraitClass::NetworkAddress);
    // A card in a slot that sorts first, under a bond that gave it another address.
    tree.card("enp1s0", &card("0000:00:01.0/0000:01:00.0"), "pci", "f0:1f:af:65:9c:11")
        .file("sys/class/net/enp1s0/bonding_slave/perm_hwaddr", "00:1b:21:00:00:01\n")
        .file("sys/class/net/enp1s0/addr_assign_type", "3\n");
    let both = ["00:1B:21:00:00:01".to_owned(), "F0:1F:AF:65:9C:11".to_owned()];
    assert_eq!(addresses(&tree).unwrap(), both);
    // Names of interfaces mean nothing, and a third card is one too many.
    tree.card("a0", &card("0000:00:1f.7"), "pci", "00:1b:21:00:00:03");
    assert_eq!(addresses(&tree).unwrap(), both);
    // What is not fixed, not permanent, not the maker's or no address of six bytes, all in front.
    tree.card("d0", &card("0000:00:00.1"), "pci", "00:1b:21:00:00:04")
        .file(&card("0000:00:00.1/removable"), "removable\n")
        .card("r0", &card("0000:00:00.2"), "pci", "00:1b:21:00:00:05")
        .file("sys/class/net/r0/addr_assign_type", "1\n")
        .card("l0", &card("0000:00:00.3"), "pci", "02:1b:21:00:00:06")
        .card("g0", &card("0000:00:00.4"), "pci", "01:1b:21:00:00:07")
        .card("ib0", &card("0000:00:00.5"), "pci", "00:1b:21:00:00:08:09")
        .card("v0", &card("0000:00:00.6/virtio1"), "virtio", "00:1b:21:00:00:09");
    assert_eq!(addresses(&tree).unwrap(), both);
}

#[test]
fn a_wireless_card_counts_by_the_address_that_it_hides() {
    let tree = Tree::new();
    tree.card("wlan0", &format!("{PCI}/0000:00:14.3"), "pci", "5e:11:22:33:44:55")
        .file("sys/class/net/wlan0/phy80211/macaddress", "5c:e0:c5:00:00:01\n")
        .file("sys/class/net/wlan0/addr_assign_type", "3\n");
    assert_eq!(tree.value(TraitClass::NetworkAddress).unwrap(), "5C:E0:C5:00:00:01");
}

#[test]
fn an_nvme_serial_is_taken_without_its_spaces() {
    let tree = Tree::new();
    let nvme = format!("{PCI}/0000:00:1d.0/0000:02:00.0/nvme/nvme0");
    let disk = format!("{nvme}/nvme0n1");
    tree.block(&disk, "259:0")
        .link(&format!("{disk}/device"), &nvme)
        .file(&format!("{nvme}/serial"), "  S64 ANX0R      \n")
        .file(&format!("{disk}/wwid"), "eui.0025388b01234567\n")
        .block(&format!("{disk}/nvme0n1p2"), "259:2")
        .file(&format!("{disk}/nvme0n1p2/partition"), "2\n")
        .root_on("259:2", "xfs", "/dev/nvme0n1p2");
    assert_eq!(tree.value(TraitClass::DiskSerial).unwrap(), "S64 ANX0R");
}

#[test]
fn under_an_encrypted_array_either_disk_is_the_one() {
    let tree = Tree::new();
    let disk = |at| format!("{PCI}/0000:00:17.0/ata{at}/host{at}/block/sd{at}");
    for at in [1, 2, 3] {
        tree.block(&disk(at), &format!("8:{at}"))
            .file(&format!("{}/device/wwid", disk(at)), format!("naa.50025385a0{at}\n"))
            .block(&format!("{}/sd{at}p1", disk(at)), &format!("8:{at}1"))
            .file(&format!("{}/sd{at}p1/partition", disk(at)), "1\n")
            .link(
                &format!("sys/devices/virtual/block/md0/slaves/sd{at}p1"),
                &format!("{}/sd{at}p1", disk(at)),
            );
    }
    tree.block("sys/devices/virtual/block/md0", "9:0")
        .block("sys/devices/virtual/block/dm-0", "253:0")
        .link("sys/devices/virtual/block/dm-0/slaves/md0", "sys/devices/virtual/block/md0")
        .root_on("253:0", "ext4", "/dev/mapper/root")
        .file("run/udev/data/b253:0", "S:mapper/root\nE:ID_FS_UUID=aa11-bb22\nE:ID_FS_TYPE=ext4\n");
    let serials = ["NAA.50025385A01".to_owned(), "NAA.50025385A02".to_owned()];
    assert_eq!(tree.values(TraitClass::DiskSerial).unwrap(), serials);
    assert_eq!(tree.value(TraitClass::FsUuid).unwrap(), "AA11-BB22");
    // Devices that stand on each other in a circle are no disks.
    let tree = Tree::new();
    tree.block("sys/devices/virtual/block/dm-0", "253:0")
        .link("sys/devices/virtual/block/dm-0/slaves/dm-0", "sys/devices/virtual/block/dm-0")
        .root_on("253:0", "ext4", "/dev/mapper/root");
    assert_eq!(tree.value(TraitClass::DiskSerial), Err(Why::Absent));
}

#[test]
fn a_file_system_with_numbers_of_its_own_is_found_by_its_source() {
    let tree = physical();
    tree.root_on("0:31", "btrfs", "/dev/mapper/root").link("dev/mapper/root", "dev/sda2");
    assert!(tree.value(TraitClass::DiskSerial).unwrap().starts_with("T10.ATA"));
    assert!(tree.value(TraitClass::FsUuid).unwrap().starts_with("6D0C2F3E"));
    // A name that is no block device.
    tree.root_on("0:31", "btrfs", "/dev/null").file("dev/null", "");
    assert_eq!(tree.value(TraitClass::DiskSerial), Err(Why::NotFixed));
}

#[test]
fn a_virtual_machine_is_told_by_what_it_shows() {
    let tree = Tree::new();
    let (disk, card) =
        (format!("{PCI}/0000:00:02.0/virtio1"), format!("{PCI}/0000:00:03.0/virtio2"));
    tree.cpu("hypervisor")
        .firmware("sys_vendor", "QEMU")
        .firmware("product_uuid", "7c1e5c2a-0f0e-4a58-8f0e-6f2d2f0b1a11")
        .file("etc/machine-id", "3d1219c7c4c5404aaa1f6d2a48adfda4\n")
        .block(&format!("{disk}/block/vda"), "254:0")
        .file(&format!("{disk}/block/vda/serial"), "")
        .root_on("254:0", "ext4", "/dev/vda")
        .card("eth0", &card, "virtio", "52:54:00:12:34:56");
    assert_eq!(virtual_hints(tree.root()), [VirtualHint::Processor, VirtualHint::Firmware("QEMU")]);
    assert!(tree.value(TraitClass::SmbiosUuid).is_ok());
    assert_eq!(tree.value(TraitClass::DiskSerial), Err(Why::Absent));
    assert_eq!(tree.value(TraitClass::NetworkAddress), Err(Why::NotFixed));
    assert_eq!(tree.value(TraitClass::FsUuid), Err(Why::Absent));
}

#[test]
fn a_container_has_hardly_a_trait() {
    let tree = Tree::new();
    tree.cpu("vmx")
        .root_on("0:97", "overlay", "overlay")
        .dir("sys/class/block")
        .interface("lo", "sys/devices/virtual/net/lo", "00:00:00:00:00:00")
        .interface("eth0", "sys/devices/virtual/net/eth0", "02:42:ac:11:00:02");
    let report = traits(tree.root()).report();
    let states: Vec<_> = report.classes().iter().map(|(_, state)| *state).collect();
    let (absent, not_fixed) = (Err(Why::Absent), Err(Why::NotFixed));
    let expected = [absent, absent, not_fixed, not_fixed, absent, Ok(()), not_fixed, absent];
    assert_eq!(states, expected);
}

#[test]
fn what_a_maker_left_blank_does_not_count() {
    let tree = physical();
    tree.firmware("product_uuid", "03000200-0400-0500-0006-000700080009")
        .firmware("board_serial", "To be filled by O.E.M.")
        .file("etc/machine-id", "uninitialized\n")
        .memory(0, 8192, "00000000");
    for class in [TraitClass::SmbiosUuid, TraitClass::BoardSerial, TraitClass::MachineId] {
        assert_eq!(tree.value(class), Err(Why::Placeholder), "{class}");
    }
    // Of a set, what is left.
    assert_eq!(tree.value(TraitClass::MemorySerials).unwrap(), "09B1C001");
    tree.memory(2, 8192, "Not Specified");
    assert_eq!(tree.value(TraitClass::MemorySerials), Err(Why::Placeholder));
}

#[test]
fn a_table_cut_short_anywhere_is_no_module() {
    let tree = Tree::new();
    tree.memory(0, 8192, "73A1E4F2");
    let path = "sys/firmware/dmi/entries/17-0/raw";
    let table = fs::read(tree.root().join(path)).unwrap();
    for len in 0..=0x28 {
        tree.file(path, &table[..len]);
        assert_eq!(tree.value(TraitClass::MemorySerials), Err(Why::Absent), "{len}");
    }
    let short = [&[17, 0x15][..], &[0; 0x13], b"Maker\0\0"].concat();
    tree.file(path, short);
    assert_eq!(tree.value(TraitClass::MemorySerials), Err(Why::Absent));
}

#[test]
fn an_empty_tree_has_nothing_and_says_so() {
    let tree = Tree::new();
    for class in TraitClass::ALL {
        assert_eq!(tree.value(class), Err(Why::Absent), "{class}");
    }
    assert_eq!(virtual_hints(tree.root()), []);
}
