//! A PostgreSQL for tests.

use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// A PostgreSQL of its own, on a Unix socket, run by an ordinary user: it refuses root.
pub struct Postgres {
    dir: tempfile::TempDir,
}

const NOBODY: u32 = 65534;

/// Where Debian has what is not on everybody's path.
const POSTGRES_BIN: &str = "/usr/lib/postgresql/15/bin";

/// At once: what it has is thrown away.
const STOP: &[&str] = &["-m", "immediate", "stop"];

/// Seconds until a start has failed: on a machine with much else to do it takes long.
const START_S: &str = "600";

impl Postgres {
    /// One that runs.
    pub fn start() -> Self {
        let postgres = Self::init();
        postgres.run_with("-c listen_addresses=");
        postgres
    }

    /// One that does not run yet.
    pub fn init() -> Self {
        let postgres = Postgres { dir: tempfile::tempdir().unwrap() };
        chown(postgres.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let init = ["-A", "trust", "-U", "strongroom", "-E", "UTF8", "--locale=C", "--no-sync"];
        postgres.run("initdb", &init);
        postgres
    }

    /// Runs it with more options.
    pub fn run_with(&self, options: &str) {
        let options = format!("-k {} -c max_connections=40 {options}", self.dir().display());
        let log = self.dir().join("log");
        self.run(
            "pg_ctl",
            &["-w", "-t", START_S, "-l", log.to_str().unwrap(), "-o", &options, "start"],
        );
    }

    /// Stops it; [`Postgres::run_with`] runs it again.
    pub fn stop(&self) {
        self.run("pg_ctl", STOP);
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("postgres://strongroom@localhost/postgres?host={}", self.dir.path().display())
    }

    fn run(&self, program: &str, args: &[&str]) {
        let ended = self.command(program, args).status().expect("PostgreSQL 15 is installed");
        let log = std::fs::read_to_string(self.dir().join("log")).unwrap_or_default();
        assert!(ended.success(), "{program} {args:?}: {ended}\n{log}");
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(Path::new(POSTGRES_BIN).join(program));
        command.arg("-D").arg(self.dir.path().join("data")).args(args);
        command.uid(NOBODY).gid(NOBODY).current_dir(self.dir.path());
        // Its server would keep the pipes of this test open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // It may have failed to start, or be stopped already.
        let _ = self.command("pg_ctl", STOP).status();
    }
}
