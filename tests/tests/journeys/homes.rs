//! Homes of a world's container: what is the same journey in a simulated dongle and in a container
//! that a TPM seals differs here alone.

use std::fs;
use std::path::{Path, PathBuf};

use protocol::ids::ContainerKind;
use protocol::objects::device::{ClockClass, DeviceBody};
use protocol::objects::file::{self, FileKind};
use rustix::net::sockopt::socket_peercred;
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with};
use rustix::process::{Pid, Signal, kill_process};
use strongroom_tests::swtpm::Swtpm;
use tpm::binding::{self, Binding};
use vendor::Vendor;

use crate::leases::NoSecrets;
use crate::world::{NOBODY, World, built, cc, run_bytes, until};

/// Where a license lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Home {
    /// A simulated dongle.
    Dongle,
    /// A folder that a software TPM seals.
    Tpm,
}

impl Home {
    /// One journey after the other, at each home.
    pub(crate) fn each(journey: fn(Home)) {
        for home in [Home::Dongle, Home::Tpm] {
            println!("{home:?}");
            journey(home);
        }
    }
}

/// A container's folder in a world, below `port/` as the sockets of dongles.
pub(crate) const SOFT: &str = "port/soft";

impl World {
    /// A world with a container at this home, which has heartbeats of a second.
    pub(crate) fn at(home: Home) -> Self {
        World::new().with(home)
    }

    /// The same with a license with these options of `vendor issue`.
    pub(crate) fn licensed_at(home: Home, options: &str) -> Self {
        let world = World::at(home);
        world.license(options);
        world
    }

    /// The same for an ordinary user, who also runs the programs.
    pub(crate) fn licensed_to_nobody_at(home: Home, options: &str) -> Self {
        let world = World::of(Some(NOBODY)).with(home);
        world.license(options);
        world
    }

    fn with(mut self, home: Home) -> Self {
        self.home = home;
        match home {
            Home::Dongle => self.plug("usb", "quick"),
            Home::Tpm => {
                self.tpm = Some(Swtpm::blank());
                self.make_soft();
                self.start_soft("");
            }
        }
        self
    }

    /// So many seconds pass, by the container's clock.
    pub(crate) fn pass(&self, seconds: u32) {
        match self.home {
            Home::Dongle => self.fault(&format!("jump-clock {seconds}")),
            Home::Tpm => {
                let before = fs::read_to_string(self.ahead()).expect("a file");
                let before: u32 = before.parse().expect("a number");
                fs::write(self.ahead(), (before + seconds).to_string()).expect("room");
            }
        }
    }

    /// The container loses what it holds in memory, without a warning, and comes back.
    pub(crate) fn cut_power(&self) {
        match self.home {
            Home::Dongle => {
                self.fault("unplug");
                self.fault("plug");
            }
            Home::Tpm => {
                let killed = self.helper().expect("it is served");
                self.kill(killed);
                until("another helper", || self.helper().is_some_and(|helper| helper != killed));
            }
        }
    }

    /// Kills a helper. Its keeper hears of it when what it left in the TPM is gone: elsewhere the
    /// kernel's resource manager sees to that.
    fn kill(&self, helper: Pid) {
        let keeper = status(helper, "PPid:").and_then(|pid| Pid::from_raw(pid.parse().ok()?));
        let keeper = keeper.expect("it was started by `start`");
        kill_process(keeper, Signal::STOP).expect("the keeper lives");
        until("the keeper's stop", || status(keeper, "State:").is_some_and(|state| state == "T"));
        kill_process(helper, Signal::KILL).expect("the helper lives");
        until("its end", || status(helper, "State:").is_none_or(|state| state == "Z"));
        self.tpm.as_ref().expect("a TPM").flush_all();
        kill_process(keeper, Signal::CONT).expect("the keeper lives");
    }

    /// The container is put away as it should be, and comes back.
    pub(crate) fn put_away(&mut self) {
        match self.home {
            Home::Dongle => {
                self.fault("stop");
                self.restart_as("quick");
            }
            Home::Tpm => {
                self.cli(&format!("tpm stop --dir {SOFT}")).ok();
                self.start_soft("");
            }
        }
    }

    /// The process that serves the folder, if one does.
    pub(crate) fn helper(&self) -> Option<Pid> {
        let address = SocketAddrUnix::new(self.path(SOFT).join("socket")).expect("a short path");
        let (kind, flags) = (SocketType::SEQPACKET, SocketFlags::CLOEXEC);
        let socket = socket_with(AddressFamily::UNIX, kind, flags, None).expect("a socket");
        connect(&socket, &address).ok()?;
        Some(socket_peercred(&socket).expect("Linux").pid)
    }

    /// Starts the helper of the folder, by a clock that goes as [`World::pass`] says.
    pub(crate) fn start_soft(&self, options: &str) {
        let mut command = self.soft("start");
        command.arg("--quick").args(options.split_whitespace());
        command.env("LD_PRELOAD", self.path("ahead.so")).env("STRONGROOM_AHEAD", self.ahead());
        run_bytes(&mut command, b"");
    }

    /// A container that `acme` certifies.
    fn make_soft(&self) {
        let vendor = Vendor::open(&self.path("acme")).expect("a vendor");
        let keys = vendor.keys(&NoSecrets).expect("its own keys");
        let mut request = self.soft("request");
        run_bytes(request.args(["--firm", &vendor.root.root_fp.to_string()]), b"");
        let binding = fs::read(self.path(SOFT).join(binding::NAME)).expect("a container");
        let binding = Binding::read(&binding).expect("a container");
        let body = DeviceBody {
            kind: ContainerKind::Tpm,
            clock: ClockClass::Host,
            anchor: binding.anchor(),
            identity_key: binding.keys.identity,
            channel_key: binding.keys.channel,
            sealing_key: binding.keys.sealing,
            batch: 0,
        };
        let now_s = vendor::clock::now_s();
        let certificate = vendor.issuer().certificate(binding.container, &body, now_s, &keys);
        let objects = [vendor.root_objects(), certificate.expect("it has the role `device`")];
        let file = file::write(FileKind::Certification, &objects.each_ref().map(|one| &one[..]));
        run_bytes(&mut self.soft("certify"), &file);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journeys/ahead.c");
        cc(&source, &self.path("ahead.so"), &["-shared", "-fPIC"]);
        fs::write(self.ahead(), "0").expect("room");
    }

    /// A command of the helper's, by the user who owns the folder.
    fn soft(&self, verb: &str) -> std::process::Command {
        let folder = self.path(SOFT);
        let arguments = [verb.as_ref(), "--dir".as_ref(), folder.as_os_str()];
        self.command(&built("strongroom-tpm"), &arguments)
    }

    /// What says by how much its clock is ahead.
    fn ahead(&self) -> PathBuf {
        self.path("ahead")
    }
}

/// A field of what the system tells of a process; none once it has gone.
fn status(process: Pid, field: &str) -> Option<String> {
    let path = format!("/proc/{}/status", process.as_raw_nonzero());
    let status = fs::read_to_string(path).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(field))?;
    line.split_whitespace().next().map(str::to_owned)
}
