//! The server as a program: its folder, its listeners, what it prints.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::JoinHandle;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A Central in a folder of its own.
pub(crate) struct Place {
    dir: TempDir,
}

/// A server that runs. It is killed when it is dropped.
pub(crate) struct Running {
    child: Child,
    stdout: BufReader<ChildStdout>,
    /// Reads its log while it runs, since a full pipe would stop it.
    log: Option<JoinHandle<String>>,
    addresses: Value,
}

/// A signer that no server started. It ends when it is dropped.
pub(crate) struct Signing {
    child: Child,
    socket: String,
}

/// What a server said until it ended.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) text: String,
}

fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_license-central"));
    for name in ["STRONGROOM_LOG", "STRONGROOM_PASSPHRASE", "STRONGROOM_CENTRAL_DATABASE"] {
        command.env_remove(name);
    }
    command
}

impl Place {
    /// A new one, in test mode.
    pub(crate) fn init() -> Self {
        Place::init_on(&[])
    }

    /// The same, with a database that is named.
    pub(crate) fn init_on(database: &[&str]) -> Self {
        Place::init_in(tempfile::tempdir().expect("a folder"), database)
    }

    /// The same in this folder.
    pub(crate) fn init_in(dir: TempDir, database: &[&str]) -> Self {
        let place = Place { dir };
        let mut command = program();
        command.args(["init", "--vendor", "acme", "--name", "Acme", "--test", "--data"]);
        let done = command.arg(place.data()).args(database).output().expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        place
    }

    /// The folder that holds its folder.
    pub(crate) fn above(&self) -> &Path {
        self.dir.path()
    }

    /// Its folder.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("central")
    }

    /// A file of it, without blanks around.
    pub(crate) fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.data().join(name)).expect("text").trim().to_owned()
    }

    /// Records and journal agree.
    pub(crate) fn check(&self, database: &[&str]) {
        let mut command = program();
        let done = command.arg("check").arg("--data").arg(self.data()).args(database).output();
        let done = done.expect("it runs");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    }

    /// Starts a signer for several servers.
    pub(crate) fn signer(&self) -> Signing {
        let mut command = program();
        command.args(["signer", "--json", "--data"]).arg(self.data());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it runs");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("text");
        let said: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        let socket = said["data"]["socket"].as_str().expect("a socket").to_owned();
        Signing { child, socket }
    }

    fn serve(&self, args: &[&str]) -> Command {
        let mut command = program();
        command.current_dir(self.above());
        command.arg("serve").arg("--json").arg("--data").arg(self.data()).args(args);
        for face in ["--sales", "--gateway", "--admin", "--metrics"] {
            if !args.contains(&face) {
                command.args([face, "127.0.0.1:0"]);
            }
        }
        command
    }

    /// Starts a server that is expected to refuse. One that does not is ended at once.
    pub(crate) fn refused(&self, args: &[&str]) -> Said {
        let mut command = self.serve(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("it");
        let mut line = String::new();
        let stdout = child.stdout.as_mut().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        if line.contains("central-serve") {
            child.kill().expect("it ends");
        }
        let done = child.wait_with_output().expect("its end");
        let text = format!("{line}{}", String::from_utf8_lossy(&done.stderr));
        Said { code: done.status.code(), text }
    }

    /// Starts a server.
    pub(crate) fn run(&self, args: &[&str]) -> Running {
        let mut command = self.serve(args);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("it runs");
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut stderr = child.stderr.take().expect("a pipe");
        let log = std::thread::spawn(move || {
            let mut text = String::new();
            stderr.read_to_string(&mut text).expect("text");
            text
        });
        let mut line = String::new();
        stdout.read_line(&mut line).expect("its addresses");
        let addresses = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line:?}"));
        Running { child, stdout, log: Some(log), addresses }
    }
}

impl Running {
    /// Where a face listens.
    pub(crate) fn at(&self, face: &str) -> SocketAddr {
        let url = self.addresses["data"][face].as_str().expect("an address");
        url.split_once("://").expect("an address").1.parse().expect("an address")
    }

    /// Processes that it started.
    pub(crate) fn child_ids(&self) -> Vec<i32> {
        let tasks = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("it runs");
        let children = tasks.flatten().flat_map(|task| {
            let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
            text.split_whitespace().filter_map(|id| id.parse().ok()).collect::<Vec<_>>()
        });
        children.collect()
    }

    /// Ends it as an administrator does; what it said.
    pub(crate) fn end(mut self) -> Said {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("its id");
        kill_process(id, Signal::TERM).expect("a signal");
        let mut text = String::new();
        self.stdout.read_to_string(&mut text).expect("text");
        let log = self.log.take().expect("it is read");
        text.push_str(&log.join().expect("no panic"));
        let code = self.child.wait().expect("its end").code();
        Said { code, text: format!("{}\n{text}", self.addresses) }
    }
}

impl Signing {
    /// Where it listens.
    pub(crate) fn socket(&self) -> String {
        self.socket.clone()
    }
}

impl Drop for Signing {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log.take().and_then(|log| log.join().ok());
            eprintln!("{}", log.unwrap_or_default());
        }
    }
}
