//! A folder with a seat server, programs built for the test, and runs of a program plain and
//! protected.

use std::ffi::OsStr;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use tempfile::TempDir;

use crate::seal::seal;
use crate::seat::SeatServer;

/// The user of attackers and of programs that are not root's.
pub(crate) const NOBODY: u32 = 65534;

/// A fresh world for one test.
pub(crate) struct World {
    dir: TempDir,
    pub(crate) seats: SeatServer,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) status: ExitStatus,
}

impl Outcome {
    /// Exit code, or the signal as 128 + number.
    pub(crate) fn code(&self) -> i32 {
        code(self.status)
    }
}

pub(crate) fn code(status: ExitStatus) -> i32 {
    status.code().unwrap_or_else(|| 128 + status.signal().expect("a code or a signal"))
}

impl World {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a folder");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("own folder");
        for sub in ["origin", "sealed", "work"] {
            fs::create_dir(dir.path().join(sub)).expect("a folder");
        }
        let seats = SeatServer::start(dir.path());
        Self { dir, seats }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Builds a program of `tests/it/probes` by `cc` with `flags`; the result is called `name`.
    pub(crate) fn build(&self, source: &str, name: &str, flags: &[&str]) -> PathBuf {
        let out = self.path("origin").join(name);
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/probes").join(source);
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-g0", "-pthread", "-o"]).arg(&out).arg(source).args(flags);
        let made = cc.output().expect("cc");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        out
    }

    /// Seals `program` under its own name, with a seat; `more` are further settings.
    pub(crate) fn seal(&self, program: &Path, more: &[&str]) -> PathBuf {
        let out = self.path("sealed").join(program.file_name().expect("a file"));
        seal(program, &self.seats.settings(more), &out);
        out
    }

    /// Seals without a seat: no watcher.
    pub(crate) fn seal_without_seat(&self, program: &Path) -> PathBuf {
        let out = self.path("sealed").join(program.file_name().expect("a file"));
        seal(program, &[], &out);
        out
    }

    /// Runs a program in the world's own folder with a fixed environment, `input` on stdin.
    pub(crate) fn run(&self, program: &Path, args: &[&str], input: &str) -> Outcome {
        self.run_with(program, args, input, |_| {})
    }

    /// The same with changes to the command.
    pub(crate) fn run_with(
        &self,
        program: &Path,
        args: &[&str],
        input: &str,
        change: impl FnOnce(&mut Command),
    ) -> Outcome {
        let mut command = self.command(program, args);
        change(&mut command);
        let mut child = command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("a pipe");
        // A program may end without reading.
        let _ = stdin.write_all(input.as_bytes());
        drop(stdin);
        outcome(child)
    }

    /// A command in the world's own folder, all three streams piped.
    pub(crate) fn command(&self, program: &Path, args: &[impl AsRef<OsStr>]) -> Command {
        let mut command = Command::new(program);
        command.arg0(program.file_name().expect("a file")).args(args);
        command.current_dir(self.path("work")).env_clear();
        command.env("PATH", "/usr/bin:/bin").env("LANG", "C.UTF-8").env("HOME", self.path("work"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Runs plain and protected and asserts that nobody can tell them apart by what they print and
    /// how they end.
    pub(crate) fn same(&self, plain: &Path, sealed: &Path, args: &[&str], input: &str) -> Outcome {
        let expected = self.run(plain, args, input);
        let got = self.run(sealed, args, input);
        assert_eq!(got, expected, "{} {args:?}", plain.display());
        self.seats.wait_all_returned();
        got
    }
}

/// Waits for a child and gives all it said. Its input ends only if the caller has ended it.
pub(crate) fn outcome(mut child: Child) -> Outcome {
    let _stdin = child.stdin.take();
    let output = child.wait_with_output().expect("a child of this process");
    Outcome {
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        status: output.status,
    }
}

/// Sends a signal.
pub(crate) fn signal(child: &Child, signal: rustix::process::Signal) {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, signal).expect("the child lives");
}

/// Threads of a process, the first one first.
pub(crate) fn threads(pid: u32) -> Vec<u32> {
    let list = fs::read_dir(format!("/proc/{pid}/task")).expect("the process lives");
    let names = list.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let mut threads: Vec<u32> = names.collect();
    threads.sort_by_key(|&thread| (thread != pid, thread));
    threads
}
