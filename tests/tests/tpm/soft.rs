//! A soft license's container on a TPM of tests: made, certified and served.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use backends::Source;
use container::{Address, Backend, Container, Makers};
use protocol::codec;
use protocol::ids::ContainerKind;
use protocol::objects::device::{ClockClass, DeviceBody};
use protocol::objects::file::{self, FileKind};
use protocol::signed::{Header, Kind, Role, write_object};
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::Swtpm;
use strongroom_tests::vendor::Vendor;
use tempfile::TempDir;
use tpm::binding::{self, Binding};

/// A container and the vendor who certified it.
pub(crate) struct Soft {
    pub(crate) vendor: Vendor,
    folder: PathBuf,
    tcti: String,
    helper: Option<Child>,
    _dir: TempDir,
}

impl Soft {
    /// A new container on a TPM, certified, not served yet.
    pub(crate) fn new(tcti: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = dir.path().join("soft");
        let vendor = Vendor::new("Acme", &mut Dice::new(1));
        let soft = Soft { vendor, folder, tcti: tcti.into(), helper: None, _dir: dir };
        let firm = soft.vendor.fp().to_string();
        let made = soft.command("request").args(["--firm", &firm]).output().expect("the helper");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let certificate = certificate(&soft.vendor, &soft.binding());
        let objects = [&soft.vendor.root_object[..], &certificate];
        let certification = file::write(FileKind::Certification, &objects);
        tpm::enroll::certify(&soft.folder, &certification).expect("our own certificate");
        soft
    }

    /// The same, served.
    pub(crate) fn served(tpm: &Swtpm) -> Self {
        let mut soft = Self::new(&tpm.tcti());
        soft.serve();
        soft
    }

    /// Starts the helper, and waits until it serves.
    pub(crate) fn serve(&mut self) {
        let mut helper = self.command("serve");
        let mut child = helper.stdout(Stdio::piped()).spawn().expect("the helper");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        assert_eq!(line, "ready\n");
        self.helper = Some(child);
    }

    /// Kills the helper.
    pub(crate) fn kill(&mut self) {
        let mut helper = self.helper.take().expect("it is served");
        helper.kill().expect("our own process");
        helper.wait().expect("our own process");
    }

    /// What it is bound to.
    pub(crate) fn binding(&self) -> Binding {
        let file = std::fs::read(self.folder.join(binding::NAME)).expect("a container");
        Binding::read(&file).expect("a container")
    }

    /// The source that names it.
    pub(crate) fn backend(&self) -> Box<dyn Backend> {
        backends::backend(&Source::Tpm(Some(self.folder.clone())))
    }

    /// Opens it.
    pub(crate) fn open(&self) -> Result<Container, container::Error> {
        let backend = self.backend();
        let found = backend.list().expect("the source can be asked").remove(0);
        assert!(matches!(found.address, Address::MessageSocket(_)));
        Container::open(backend.open(&found)?, found.address.clone(), &Makers::standard())
    }

    fn command(&self, verb: &str) -> Command {
        let this = std::env::current_exe().expect("a running test");
        let folder = this.parent().and_then(Path::parent).expect("target/debug/deps");
        let mut command = Command::new(folder.join("strongroom-tpm"));
        command.arg(verb).arg("--dir").arg(&self.folder).env("STRONGROOM_TCTI", &self.tcti);
        command
    }
}

impl Drop for Soft {
    fn drop(&mut self) {
        if self.helper.is_some() {
            self.kill();
        }
    }
}

/// A vendor's certificate for a container's keys.
pub(crate) fn certificate(vendor: &Vendor, binding: &Binding) -> Vec<u8> {
    let body = codec::encode(&DeviceBody {
        kind: ContainerKind::Tpm,
        clock: ClockClass::Host,
        anchor: binding.anchor(),
        identity_key: binding.keys.identity,
        channel_key: binding.keys.channel,
        sealing_key: binding.keys.sealing,
        batch: 0,
    });
    let header = Header {
        root_fp: vendor.fp(),
        target: *binding.container.bytes(),
        ..Header::new(Kind::Device, &body)
    };
    let (header, proof) = vendor.sign(header, Role::Device);
    write_object(&header, &proof, &body)
}
