//! A folder with a vendor and a simulated dongle, and the commands that one types there.

use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open, pidfd_send_signal};
use serde_json::Value;
use strongroom_tests::folders;
use strongroom_tests::swtpm::{Model, Swtpm};
use strongroom_tests::tree::Tree;
use tempfile::TempDir;

use crate::homes::{Home, SOFT};

/// The ordinary user of these tests.
pub(crate) const NOBODY: u32 = 65534;

/// Whatever takes so long hangs, and its test fails. Nothing is asserted of time.
const HANG_S: i64 = 300;

const HANG: Duration = Duration::from_secs(HANG_S as u64);

/// A world of its own for one test. Everything in it ends with it.
pub(crate) struct World {
    dir: TempDir,
    dongles: Vec<(String, Child)>,
    user: Option<u32>,
    pub(crate) tpm: Option<Swtpm>,
    machine: Option<Tree>,
    /// Name of the folder in which the machine keeps its settings and containers.
    kept_in: String,
    pub(crate) home: Home,
    central: Option<Central>,
    /// URL of the database that its License Central uses; none for the embedded one.
    pub(crate) database: Option<String>,
}

/// A machine with a TPM at which nobody sits.
pub(crate) struct Machine {
    kept_in: String,
    tpm: Swtpm,
}

/// A License Central that runs.
struct Central {
    child: Child,
    /// Where it listens, by the names of the faces.
    at: Value,
}

/// What a command gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    /// Exit code, or 128 and the signal.
    pub(crate) code: i32,
}

impl Outcome {
    /// The `data` of a command with `--json`.
    pub(crate) fn data(&self) -> Value {
        let envelope: Value = serde_json::from_str(&self.stdout).expect("one JSON envelope");
        envelope["data"].clone()
    }

    /// Asserts success.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert_eq!(self.code, 0, "{self:?}");
        self
    }

    /// Asserts an exit code and that the message has all these words.
    #[track_caller]
    pub(crate) fn refused(self, code: i32, words: &[&str]) -> Self {
        assert_eq!(self.code, code, "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not in: {}", self.stderr);
        }
        self
    }
}

impl World {
    /// A vendor `acme` with product 7, and no dongle yet.
    pub(crate) fn new() -> Self {
        Self::of(None)
    }

    pub(crate) fn of(user: Option<u32>) -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
        let world = World {
            dir,
            dongles: Vec::new(),
            user,
            tpm: None,
            machine: None,
            kept_in: "home".into(),
            home: Home::Dongle,
            central: None,
            database: None,
        };
        for sub in ["work", "sealed", "port"] {
            fs::create_dir(world.path(sub)).expect("a folder");
            chown(world.path(sub), user, user).expect("root");
        }
        world.cli("vendor init acme --name Acme --firm-code 100 --test").ok();
        world.cli("vendor product add 7 --name Editor --vendor acme").ok();
        world
    }

    /// The same with a dongle of a profile that holds a license with these options of
    /// `vendor issue`.
    pub(crate) fn licensed(profile: &str, options: &str) -> Self {
        let mut world = Self::new();
        world.plug("usb", profile);
        world.license(options);
        world
    }

    /// The same for an ordinary user, who also runs the programs.
    pub(crate) fn licensed_to_nobody(profile: &str, options: &str) -> Self {
        let mut world = Self::of(Some(NOBODY));
        world.plug("usb", profile);
        world.license(options);
        world
    }

    /// Starts a simulated dongle at the socket `port/NAME` and waits until it is ready.
    pub(crate) fn plug(&mut self, name: &str, profile: &str) {
        let mut command = self.strongroom();
        command.args(["sim", "run", "--profile", profile]);
        command.arg("--state").arg(self.path("port").join(format!("{name}.state")));
        command.arg("--socket").arg(self.socket(name)).stdin(Stdio::null());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the simulator starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        self.dongles.push((name.to_owned(), child));
        assert!(line.starts_with("simulated dongle"), "{line}");
    }

    /// Takes the dongle away that was plugged in last.
    pub(crate) fn unplug(&mut self) {
        if let Some((_, mut child)) = self.dongles.pop() {
            signal(&child, Signal::TERM);
            child.wait().expect("a child of this process");
        }
    }

    /// Makes a License Central in `central/`, for a vendor of its own, and logs in as its owner.
    pub(crate) fn found_central(&mut self) {
        self.init_central("--test").ok();
        self.start_central();
    }

    /// Makes one in `central/` and does not start it.
    pub(crate) fn init_central(&mut self, options: &str) -> Outcome {
        self.database = crate::postgresql::new_database();
        let init = format!("init --data central --vendor acme --name Acme {options}");
        run(self.server().args(init.split_whitespace()), "")
    }

    /// Starts the License Central in `central/`, at addresses that are free, and logs in.
    pub(crate) fn start_central(&mut self) {
        self.start_central_with(&[]);
    }

    /// The same with more in its environment.
    pub(crate) fn start_central_with(&mut self, environment: &[(&str, &str)]) {
        self.run_central(environment);
        let faces = format!("--admin {} --sales {}", self.face("admin"), self.face("sales"));
        self.cli(&format!("central login {faces} --key-file central/owner.key")).ok();
    }

    /// The same without logging in.
    pub(crate) fn run_central(&mut self, environment: &[(&str, &str)]) {
        let mut command = self.server();
        command.envs(environment.iter().copied());
        command.args(["serve", "--data", "central", "--json"]);
        for face in ["--sales", "--gateway", "--admin"] {
            command.args([face, "127.0.0.1:0"]);
        }
        let log = fs::File::create(self.path("central.log")).expect("a file");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().expect("the server starts");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let said: Value = serde_json::from_str(&line).expect("its addresses");
        self.central = Some(Central { child, at: said["data"].clone() });
    }

    /// Ends the License Central, and says what it logged.
    pub(crate) fn stop_central(&mut self) -> String {
        if let Some(mut central) = self.central.take() {
            signal(&central.child, Signal::TERM);
            assert!(central.child.wait().expect("a child of this process").success());
        }
        fs::read_to_string(self.path("central.log")).expect("a log")
    }

    /// Plugs in a dongle `other` that Central knows, has a copy of the vendor's records issue to
    /// it, and lets it show that to Central.
    pub(crate) fn make_case(&mut self) {
        self.plug("other", "rtc");
        let other = "--source sim:port/other";
        self.cli(&format!("collect --yes {other}")).ok();
        let firm = "central/vendors/acme";
        self.cli(&format!("vendor product add 99 --name Elsewhere --vendor {firm}")).ok();
        self.cli(&format!("container context --firm {firm} -o other.context {other}")).ok();
        let line = "--context other.context --product 99 -o other.update";
        self.cli(&format!("vendor issue --vendor {firm} {line}")).ok();
        self.cli(&format!("update apply other.update --yes {other}")).ok();
        self.cli(&format!("collect --yes {other}")).refused(7, &["S0B10"]);
        // Until somebody has decided, nothing is tried again.
        self.cli(&format!("collect --yes {other}")).refused(7, &["S0B1A"]);
    }

    /// Kills the License Central.
    pub(crate) fn kill_central(&mut self) {
        let mut central = self.central.take().expect("it runs");
        central.child.kill().expect("a child of this process");
        central.child.wait().expect("a child of this process");
    }

    /// Sends the License Central a signal.
    pub(crate) fn signal_central(&self, what: Signal) {
        signal(&self.central.as_ref().expect("it runs").child, what);
    }

    /// Address of a face of the License Central.
    pub(crate) fn face(&self, name: &str) -> String {
        let central = self.central.as_ref().expect("it runs");
        central.at[name].as_str().expect("an address").to_owned()
    }

    /// The server's program, in the world's own folder.
    pub(crate) fn server(&self) -> Command {
        let mut command = Command::new(built("license-central"));
        command.current_dir(self.dir.path());
        self.environment(&mut command);
        if let Some(url) = &self.database {
            command.env("STRONGROOM_CENTRAL_DATABASE", url);
        }
        command
    }

    /// Waits for the end of the dongle at `usb`, which was told to stop, and starts it again.
    pub(crate) fn restart(&mut self) {
        self.restart_as("rtc");
    }

    /// The same with another profile.
    pub(crate) fn restart_as(&mut self, profile: &str) {
        let name = self.wait_for_end();
        self.plug(&name, profile);
    }

    /// Waits for the end of the first dongle, which was told to stop.
    pub(crate) fn wait_for_end(&mut self) -> String {
        let (name, mut dongle) = self.dongles.remove(0);
        dongle.wait().expect("a child of this process");
        name
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Where a dongle is plugged in.
    pub(crate) fn socket(&self, name: &str) -> PathBuf {
        self.path("port").join(name)
    }

    /// Issues a license for the dongle at `usb` and applies it.
    pub(crate) fn license(&self, options: &str) {
        self.context("license.context");
        self.cli(&format!(
            "vendor issue --vendor acme --context license.context --product 7 {options} \
             -o license.update"
        ))
        .ok();
        self.cli("update apply license.update --yes").ok();
        fs::remove_file(self.path("license.update")).expect("own file");
    }

    /// Writes a new context file of the one dongle for `acme`.
    pub(crate) fn context(&self, file: &str) {
        let _ = fs::remove_file(self.path(file));
        self.cli(&format!("container context --firm acme -o {file}")).ok();
    }

    /// Runs `strongroom` with words between spaces.
    pub(crate) fn cli(&self, line: &str) -> Outcome {
        self.cli_words(&line.split_whitespace().collect::<Vec<_>>())
    }

    /// Runs `strongroom`.
    pub(crate) fn cli_words(&self, words: &[impl AsRef<OsStr>]) -> Outcome {
        let mut command = self.strongroom();
        run(command.args(words), "")
    }

    /// The same with so many bytes of address space.
    pub(crate) fn cli_within(&self, bytes: u64, line: &str) -> Outcome {
        let mut command = Command::new("/usr/bin/prlimit");
        command.current_dir(self.dir.path()).arg(format!("--as={bytes}"));
        command.arg(built("strongroom")).args(line.split_whitespace());
        self.environment(&mut command);
        run(&mut command, "")
    }

    fn strongroom(&self) -> Command {
        let mut command = Command::new(built("strongroom"));
        command.current_dir(self.dir.path());
        self.environment(&mut command);
        command
    }

    /// Does something bad to the dongle at `usb`.
    pub(crate) fn fault(&self, fault: &str) {
        self.cli(&format!("sim fault --socket port/usb {fault}")).ok();
    }

    /// Protects a program under its own name in `sealed/`.
    pub(crate) fn protect(&self, plain: &Path, options: &str) -> PathBuf {
        let out = self.path("sealed").join(plain.file_name().expect("a file"));
        self.protect_as(plain, &out, options);
        out
    }

    /// Protects a program.
    pub(crate) fn protect_as(&self, plain: &Path, out: &Path, options: &str) {
        let line = format!(
            "protect app {} -o {} --vendor acme --product 7 --force {options}",
            plain.display(),
            out.display()
        );
        self.cli(&line).ok();
    }

    /// A command in `work/` with a fixed environment, all streams piped. Its name is that of the
    /// file, and its folder the first to be searched for programs.
    pub(crate) fn command(&self, program: &Path, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.path("work"));
        self.environment(&mut command);
        if let (Some(name), Some(folder)) = (program.file_name(), program.parent()) {
            let folder = folder.display();
            command.arg0(name).env("PATH", format!("{folder}:/usr/bin:/bin"));
        }
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// A command that runs a program on another station: with a network of its own, as in a
    /// container.
    pub(crate) fn elsewhere(&self, program: &Path) -> Command {
        let program = program.to_str().expect("UTF-8");
        self.command("/usr/bin/unshare".as_ref(), &["--net", program])
    }

    /// Starts a program with all streams piped. One that hangs is ended, and with it its test.
    pub(crate) fn spawn(&self, program: &Path, args: &[impl AsRef<OsStr>]) -> Child {
        let child = start(&mut self.command(program, args));
        let pid = Pid::from_child(&child);
        let process = pidfd_open(pid, PidfdFlags::empty()).expect("a child of this process");
        thread::spawn(move || {
            let hang = Timespec { tv_sec: HANG_S, tv_nsec: 0 };
            let mut ends = [PollFd::new(&process, PollFlags::IN)];
            if matches!(poll(&mut ends, Some(&hang)), Ok(0)) {
                // Not by SIGKILL: some tests wait for that one.
                let _ = pidfd_send_signal(&process, Signal::ABORT);
                let _ = pidfd_send_signal(&process, Signal::CONT);
            }
        });
        child
    }

    /// Gives the machine a TPM as it comes from a factory.
    pub(crate) fn bring_tpm(&mut self) {
        self.tpm = Some(Swtpm::manufactured());
    }

    /// A copy of the machine, with its TPM and all that its folder has.
    pub(crate) fn copy_machine(&self) -> Machine {
        let kept_in = format!("{}-copy", self.kept_in);
        folders::copy(&self.path(&self.kept_in), &self.path(&kept_in));
        Machine { kept_in, tpm: self.tpm.as_ref().expect("a TPM").clone_elsewhere() }
    }

    /// Goes over to another machine; the one of before takes its place.
    pub(crate) fn go_to(&mut self, machine: &mut Machine) {
        std::mem::swap(&mut self.kept_in, &mut machine.kept_in);
        std::mem::swap(self.tpm.as_mut().expect("a TPM"), &mut machine.tpm);
    }

    /// Gives the machine traits that can be replaced.
    pub(crate) fn bring_machine(&mut self) -> &Tree {
        self.machine.insert(Tree::new())
    }

    /// The machine, as it was brought.
    pub(crate) fn machine(&self) -> &Tree {
        self.machine.as_ref().expect("a machine")
    }

    /// What a tool of the TPM says.
    pub(crate) fn tools(&self, line: &str) -> Vec<u8> {
        self.tpm.as_ref().expect("a TPM").tools().ok(line)
    }

    /// Certificates of those who certified it, DER: roots, then those below.
    pub(crate) fn tpm_makers(&self) -> Vec<Vec<u8>> {
        let made = self.tpm.as_ref().expect("a TPM").ca_certificates();
        [&made.roots[..], &made.intermediates].concat()
    }

    /// Another one in its place.
    pub(crate) fn bring_another_tpm(&mut self) {
        self.tpm = Some(Swtpm::of(Model { serial: 1, has_p256: true }));
    }

    /// A command on a machine that knows no Gateway.
    pub(crate) fn without_gateway(&self, line: &str) -> Outcome {
        let mut command = self.strongroom();
        run(command.env_remove("STRONGROOM_GATEWAY").args(line.split_whitespace()), "")
    }

    fn environment(&self, command: &mut Command) {
        let ports = self.dongles.iter().map(|(name, _)| self.socket(name));
        let mut sources: Vec<_> = ports.map(|port| format!("sim:{}", port.display())).collect();
        let is_soft = self.tpm.is_some() || self.machine.is_some();
        sources.extend(is_soft.then(|| match self.home {
            Home::Dongle => "tpm".to_owned(),
            Home::Tpm => format!("tpm:{}", self.path(SOFT).display()),
        }));
        let sources = if sources.is_empty() { "sim:/nowhere".into() } else { sources.join(",") };
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8");
        command.env("STRONGROOM_SOURCES", sources).env("STRONGROOM_HOME", self.path(&self.kept_in));
        command.env("HOME", self.path("work")).env("TZ", "UTC");
        command.env("SOFTHSM2_CONF", self.path("softhsm2.conf"));
        if let Some(tpm) = &self.tpm {
            // What a test that failed leaves behind goes soon.
            command.env("STRONGROOM_TCTI", tpm.tcti()).env("STRONGROOM_TPM_IDLE_S", "60");
        }
        if let Some(machine) = &self.machine {
            command.env("STRONGROOM_MACHINE_ROOT", machine.root());
            command.env("STRONGROOM_TPM_IDLE_S", "60");
        }
        if self.central.is_some() {
            command.env("STRONGROOM_GATEWAY", format!("{}/v1/acme", self.face("gateway")));
        }
    }

    /// Runs a program, protected or not.
    pub(crate) fn run(&self, program: &Path, args: &[&str], input: &str) -> Outcome {
        run(&mut self.command(program, args), input)
    }

    /// Seats that the dongle at `usb` counts.
    pub(crate) fn seats(&self) -> u64 {
        let shown = self.cli("container show --json").ok().data();
        shown["container"]["seats"].as_u64().expect("a number")
    }

    /// Waits until the dongle counts so many seats.
    #[track_caller]
    pub(crate) fn wait_for_seats(&self, count: u64) {
        until(&format!("{count} seats"), || self.seats() == count);
    }

    /// All that a user can see of what the containers hold, without the time.
    pub(crate) fn state(&self) -> String {
        let mut shown = self.cli("container show --json").ok().data();
        shown["container"]["time"] = Value::Null;
        let licenses = self.cli("license list --json").stdout;
        format!("{shown}\n{licenses}")
    }

    /// All that the vendor keeps.
    pub(crate) fn vendor_state(&self) -> Vec<(PathBuf, Vec<u8>)> {
        self.files("acme")
    }

    /// All files of a folder.
    pub(crate) fn files(&self, folder: &str) -> Vec<(PathBuf, Vec<u8>)> {
        let mut folders = vec![self.path(folder)];
        let mut files = Vec::new();
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).expect("a folder") {
                let path = entry.expect("an entry").path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.is_file() {
                    // Not a socket.
                    files.push((path.clone(), fs::read(path).expect("a file")));
                }
            }
        }
        files.sort();
        files
    }
}

impl Drop for World {
    fn drop(&mut self) {
        for (_, mut dongle) in self.dongles.drain(..) {
            // One that has ended already is no loss.
            let _ = dongle.kill();
            let _ = dongle.wait();
        }
        if let Some(mut central) = self.central.take() {
            let _ = central.child.kill();
            let _ = central.child.wait();
        }
        if self.tpm.is_some() && !thread::panicking() {
            let folder = if self.home == Home::Tpm { SOFT } else { "home/tpm" };
            self.cli(&format!("tpm stop --dir {folder}"));
        }
    }
}

/// A built program, in the target folder that this test was built in.
pub(crate) fn built(name: &str) -> PathBuf {
    let this = std::env::current_exe().expect("a running test");
    let folder = this.parent().and_then(Path::parent).expect("target/debug/deps");
    let path = folder.join(name);
    assert!(path.is_file(), "{} is missing: ./dev build makes it", path.display());
    path
}

/// Builds a small C program of the loader's tests, or of these, with `cc`.
pub(crate) fn cc(source: &Path, out: &Path, flags: &[&str]) {
    let mut cc = Command::new("/usr/bin/cc");
    cc.args(["-O1", "-g0", "-pthread", "-o"]).arg(out).arg(source).args(flags);
    let made = cc.output().expect("cc");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

/// A small program that the loader's tests and these share.
pub(crate) fn probe(world: &World, source: &str, name: &str, flags: &[&str]) -> PathBuf {
    let probes = Path::new(env!("CARGO_MANIFEST_DIR")).join("../protector/loader/tests/it/probes");
    let out = world.path(name);
    cc(&probes.join(source), &out, flags);
    out
}

/// Runs a command with all streams piped and `input` on its standard input.
#[track_caller]
pub(crate) fn run(command: &mut Command, input: &str) -> Outcome {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // A program may end without reading.
    let feeder = thread::spawn(move || stdin.write_all(input.as_bytes()).is_ok());
    let outcome = outcome(child);
    feeder.join().expect("no panic");
    outcome
}

/// Runs a command that must succeed, with these bytes on its standard input.
#[track_caller]
pub(crate) fn run_bytes(command: &mut Command, input: &[u8]) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = start(command);
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    outcome(child).ok();
}

/// Starts a command. A program that was written a moment ago may still be open for writing in a
/// child that another test has forked and that has not become its own program yet.
#[track_caller]
fn start(command: &mut Command) -> Child {
    loop {
        match command.spawn() {
            Ok(child) => return child,
            Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => thread::yield_now(),
            Err(error) => panic!("{command:?}: {error}"),
        }
    }
}

/// Waits for a child and gives all that it said.
#[track_caller]
pub(crate) fn outcome(child: Child) -> Outcome {
    let pid = Pid::from_child(&child);
    let (told, tell) = mpsc::channel();
    thread::spawn(move || told.send(child.wait_with_output()));
    match tell.recv_timeout(HANG) {
        Ok(output) => outcome_of(&output.expect("a child of this process")),
        Err(_) => {
            let _ = kill_process(pid, Signal::KILL);
            panic!("it hangs");
        }
    }
}

fn outcome_of(output: &Output) -> Outcome {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let status = output.status;
    let code = status.code().unwrap_or_else(|| 128 + status.signal().expect("code or signal"));
    Outcome { stdout: text(&output.stdout), stderr: text(&output.stderr), code }
}

/// Asks again and again until something is so.
#[track_caller]
pub(crate) fn until(what: &str, mut so: impl FnMut() -> bool) {
    let start = crate::clock::start();
    while !so() {
        assert!(start.elapsed() < HANG, "waited for {what}");
        thread::yield_now();
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: Signal) {
    kill_process(Pid::from_child(child), signal).expect("the child lives");
}
