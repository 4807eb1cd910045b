//! Processes of a test: swtpm itself, which ends with it, and programs that are run to their end.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::LazyLock;
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, OFlags, mknodat, open};
use rustix::process::{Pid, PidfdFlags, Signal, kill_process, pidfd_open};

use super::ports::Ports;

/// Whatever takes longer hangs: nothing ever waits for this to pass.
pub(super) const HANG: Duration = Duration::from_secs(HANG_S as u64);
const HANG_S: i64 = 300;

/// The folder of a TPM's state, below its own.
pub(super) const STATE: &str = "state";

/// A swtpm that runs. Dropped, it is stopped hard.
pub(super) struct Process(Child);

impl Process {
    /// Starts swtpm on the state below `dir`, and waits until it has its ports.
    ///
    /// # Errors
    /// It ended before, as it does when somebody else has one of the ports. With what it said.
    pub(super) fn start(dir: &Path, ports: Ports) -> io::Result<Self> {
        // It writes its id when it listens. A mere answer on the port could be somebody else's.
        let id = dir.join("id");
        fs::remove_file(&id).ok();
        mknodat(CWD, &id, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
        let told = open(&id, OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
        let log = dir.join("log");
        let process = Process(spawn(swtpm(dir, ports, &id, File::create(&log)?))?);
        let ended = pidfd_open(process.id(), PidfdFlags::empty())?;
        let mut events = [PollFd::new(&told, PollFlags::IN), PollFd::new(&ended, PollFlags::IN)];
        assert!(wait(&mut events), "swtpm hangs at its start");
        if events[0].revents().contains(PollFlags::IN) {
            return Ok(process);
        }
        Err(io::Error::other(fs::read_to_string(&log)?))
    }

    pub(super) fn id(&self) -> Pid {
        Pid::from_child(&self.0)
    }

    /// Asks it to end, and waits for that.
    pub(super) fn end(self) {
        let process = pidfd_open(self.id(), PidfdFlags::empty()).expect("a child of this process");
        kill_process(self.id(), Signal::TERM).expect("a child of this process");
        assert!(wait(&mut [PollFd::new(&process, PollFlags::IN)]), "swtpm hangs at its end");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Where it has ended already, nobody else has its id before this.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs a program to its end.
#[track_caller]
pub(super) fn run(command: &mut Command) -> Output {
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let pid = Pid::from_child(&child);
    let (told, tell) = mpsc::channel();
    thread::spawn(move || told.send(child.wait_with_output()));
    match tell.recv_timeout(HANG) {
        Ok(output) => output.expect("a child of this process"),
        Err(_) => {
            kill_process(pid, Signal::KILL).ok();
            panic!("{command:?} hangs");
        }
    }
}

fn swtpm(dir: &Path, ports: Ports, id: &Path, log: File) -> Command {
    // The kernel ends it when this process is killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "swtpm", "socket", "--tpm2", "--tpmstate"]);
    command.arg(format!("dir={}", dir.join(STATE).display()));
    command.args(["--server", &format!("type=tcp,port={}", ports.data())]);
    command.args(["--ctrl", &format!("type=tcp,port={}", ports.control())]);
    command.args(["--flags", "not-need-init,startup-clear"]);
    command.args(["--pid", &format!("file={}", id.display())]);
    command.current_dir(dir).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
    command
}

/// Starts a child from a thread that never ends. For the kernel a parent is a thread: a child that
/// ends with its parent would end with the test that asked for it first.
fn spawn(command: Command) -> io::Result<Child> {
    type Order = (Command, Sender<io::Result<Child>>);
    static STARTER: LazyLock<Sender<Order>> = LazyLock::new(|| {
        let (order, orders) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, child) in orders {
                child.send(command.spawn()).ok();
            }
        });
        order
    });
    let (child, started) = mpsc::channel();
    STARTER.send((command, child)).expect("the thread never ends");
    started.recv().expect("the thread never ends")
}

/// Whether anything happened before it hung.
fn wait(events: &mut [PollFd<'_>]) -> bool {
    let hang = Timespec { tv_sec: HANG_S, tv_nsec: 0 };
    loop {
        match poll(events, Some(&hang)) {
            Ok(happened) => return happened > 0,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => panic!("poll: {error}"),
        }
    }
}
