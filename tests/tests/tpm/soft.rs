//! A soft license's container on a TPM of tests: made, certified and served.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use backends::Source;
use container::{Address, Backend, Container, Makers};
use protocol::codec;
use protocol::errors::{ErrorCode, Failure};
use rustix::process::{Pid, Signal, kill_process};
use strongroom_tests::dice::Dice;
use strongroom_tests::swtpm::Swtpm;
use strongroom_tests::vendor::Vendor;
use tempfile::TempDir;
use tpm::binding::{self, Binding};

use crate::files;

/// A container and the vendor who certified it.
pub(crate) struct Soft {
    pub(crate) vendor: Vendor,
    folder: PathBuf,
    tcti: String,
    /// What its helpers find in their environment.
    environment: Vec<(&'static str, PathBuf)>,
    helper: Option<Child>,
    dir: TempDir,
}

impl Soft {
    /// A folder that has no container yet.
    pub(crate) fn empty(tcti: &str) -> Self {
        Self::empty_in(&std::env::temp_dir(), tcti)
    }

    /// The same on a disk of its own.
    pub(crate) fn empty_in(disk: &Path, tcti: &str) -> Self {
        let dir = tempfile::tempdir_in(disk).expect("a folder");
        let vendor = Vendor::new("Acme", &mut Dice::of(1, 1));
        let folder = dir.path().join("soft");
        let environment = Vec::new();
        Soft { vendor, folder, tcti: tcti.into(), environment, helper: None, dir }
    }

    /// A new container on a TPM, certified, not served yet.
    pub(crate) fn new(tcti: &str) -> Self {
        Self::new_in(&std::env::temp_dir(), tcti)
    }

    /// The same on a disk of its own.
    pub(crate) fn new_in(disk: &Path, tcti: &str) -> Self {
        let soft = Self::empty_in(disk, tcti);
        soft.create().unwrap_or_else(|said| panic!("{said}"));
        soft.certify();
        soft
    }

    /// The same, served.
    pub(crate) fn served(tpm: &Swtpm) -> Self {
        let mut soft = Self::new(&tpm.tcti());
        soft.serve();
        soft
    }

    /// The same container in another folder, as a copy of its files.
    pub(crate) fn copied(&self) -> Self {
        let mut copy = Self::empty(&self.tcti);
        copy.environment.clone_from(&self.environment);
        files::put_back(&copy.folder, &files::read(&self.folder));
        copy
    }

    /// The same container at another TPM.
    pub(crate) fn at(mut self, tcti: &str) -> Self {
        self.tcti = tcti.into();
        self
    }

    /// What makes the container.
    pub(crate) fn creation(&self) -> Command {
        let mut command = self.command("request");
        command.args(["--firm", &self.vendor.fp().to_string()]);
        command
    }

    /// Makes the container, or says why not.
    pub(crate) fn create(&self) -> Result<(), String> {
        self.create_with(&[])
    }

    /// The same, bound as these arguments say.
    pub(crate) fn create_with(&self, how: &[&str]) -> Result<(), String> {
        done(self.creation().args(how))
    }

    /// What binds it anew.
    pub(crate) fn rebinding(&self, how: &[&str]) -> Command {
        let mut command = self.command("rebind");
        command.args(how);
        command
    }

    /// Binds it anew, or says why not.
    pub(crate) fn rebind(&self, how: &[&str]) -> Result<(), String> {
        done(&mut self.rebinding(how))
    }

    /// Its vendor certifies it.
    pub(crate) fn certify(&self) {
        let binding = self.binding();
        let keys = [binding.keys.identity, binding.keys.channel, binding.keys.sealing];
        let certification = self.vendor.certification(binding.container, binding.anchor(), keys);
        tpm::enroll::certify(&self.folder, &certification).expect("our own certificate");
    }

    /// A variable for its helpers.
    pub(crate) fn set_env(&mut self, name: &'static str, value: &Path) {
        self.environment.push((name, value.to_owned()));
    }

    /// No variables for its helpers any more.
    pub(crate) fn unset_env(&mut self) {
        self.environment.clear();
    }

    /// Starts the helper, and waits until it serves.
    pub(crate) fn serve(&mut self) {
        let mut helper = self.command("serve");
        let mut child = self.spawned(helper.stdout(Stdio::piped()));
        let mut line = String::new();
        let stdout = child.stdout.take().expect("piped");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        self.helper = Some(child);
        assert_eq!(line, "ready\n", "{}", self.said());
    }

    /// What the helper says that does not serve it.
    pub(crate) fn is_not_served(&self) -> String {
        let ended = self.command("serve").output().expect("the helper");
        assert!(!ended.status.success(), "it served");
        String::from_utf8(ended.stderr).expect("text")
    }

    /// Starts a command, and keeps what it has to say.
    pub(crate) fn spawned(&self, command: &mut Command) -> Child {
        let log = File::options().append(true).create(true).open(self.log()).expect("room");
        command.stderr(log).spawn().expect("the helper")
    }

    /// Kills the helper.
    pub(crate) fn kill(&mut self) {
        let mut helper = self.helper.take().expect("it is served");
        assert_eq!(helper.try_wait().expect("our own process"), None, "it runs");
        helper.kill().expect("our own process");
        helper.wait().expect("our own process");
    }

    /// Tells the helper to end, and waits until it did.
    pub(crate) fn end(&mut self) {
        let helper = self.helper.as_ref().expect("it is served");
        kill_process(Pid::from_child(helper), Signal::TERM).expect("our own process");
        self.wait();
    }

    /// Waits until the helper ends by itself.
    pub(crate) fn wait(&mut self) {
        let mut helper = self.helper.take().expect("it is served");
        let status = helper.wait().expect("our own process");
        assert!(status.success(), "{status}: {}", self.said());
    }

    /// Its folder.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it is bound to.
    pub(crate) fn binding(&self) -> Binding {
        let file = fs::read(self.folder.join(binding::NAME)).expect("a container");
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

    /// Why it does not open.
    pub(crate) fn refusal(&self) -> ErrorCode {
        let error = self.open().err().expect("it does not open");
        error.failure.known().expect("a row of the table")
    }

    /// Opens it, and reads the number that its name is.
    pub(crate) fn value(&self) -> u64 {
        value(&self.open().unwrap_or_else(|error| panic!("{error}: {}", self.said())))
    }

    /// Opens it, and makes a number its name.
    pub(crate) fn set(&self, value: u64) -> Result<(), container::Error> {
        self.open()?.rename(&value.to_string())
    }

    /// What its helpers had to say.
    pub(crate) fn said(&self) -> String {
        fs::read_to_string(self.log()).unwrap_or_default()
    }

    /// A command of the helper, about its folder.
    pub(crate) fn command(&self, verb: &str) -> Command {
        let this = std::env::current_exe().expect("a running test");
        let folder = this.parent().and_then(Path::parent).expect("target/debug/deps");
        let mut command = Command::new(folder.join("strongroom-tpm"));
        command.arg(verb).arg("--dir").arg(&self.folder).env("STRONGROOM_TCTI", &self.tcti);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }
}

impl Drop for Soft {
    fn drop(&mut self) {
        if let Some(helper) = &mut self.helper {
            helper.kill().ok();
            helper.wait().ok();
        }
        if std::thread::panicking() {
            eprintln!("the helper said: {}", self.said());
        }
    }
}

/// Carries out a command of the helper: the number of the error, or what it said.
fn done(command: &mut Command) -> Result<(), String> {
    let made = command.output().expect("the helper");
    match made.status.success() {
        true => Ok(()),
        false => match codec::decode::<Failure>(&made.stdout, 64) {
            Ok(failure) => Err(failure.shown_code()),
            Err(_) => Err(String::from_utf8_lossy(&made.stderr).trim().into()),
        },
    }
}

/// The number that the name of a container is; 0 where it has none.
pub(crate) fn value(container: &Container) -> u64 {
    let name = container.info().expect("it answers").name;
    if name.is_empty() { 0 } else { name.parse().expect("a number") }
}
