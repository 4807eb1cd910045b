//! A PostgreSQL for tests.

use std::fs::Permissions;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A PostgreSQL of its own, on a Unix socket, run by an ordinary user: it refuses root.
pub(crate) struct Postgres {
    dir: tempfile::TempDir,
}

const NOBODY: u32 = 65534;

/// Where Debian has what is not on everybody's path.
const POSTGRES_BIN: &str = "/usr/lib/postgresql/15/bin";

impl Postgres {
    pub(crate) fn start() -> Self {
        let postgres = Self::init();
        postgres.run_with("-c listen_addresses=");
        postgres
    }

    /// One that listens on this port of localhost too, encrypted by a certificate of its own: the
    /// file of it, for whoever is to trust it.
    pub(crate) fn start_encrypted(port: u16) -> (Self, PathBuf) {
        let postgres = Self::init();
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let cert = postgres.file("server.pem", &made.cert.pem());
        let key = postgres.file("server.key", &made.signing_key.serialize_pem());
        let (cert_at, key_at) = (cert.display(), key.display());
        postgres.run_with(&format!(
            "-p {port} -c listen_addresses=localhost -c ssl=on -c ssl_cert_file={cert_at} \
             -c ssl_key_file={key_at}"
        ));
        (postgres, cert)
    }

    fn init() -> Self {
        let postgres = Postgres { dir: tempfile::tempdir().unwrap() };
        chown(postgres.dir.path(), Some(NOBODY), Some(NOBODY)).unwrap();
        let init = ["-A", "trust", "-U", "strongroom", "-E", "UTF8", "--locale=C", "--no-sync"];
        postgres.run("initdb", &init);
        postgres
    }

    fn run_with(&self, options: &str) {
        let options = format!("-k {} -c max_connections=40 {options}", self.dir.path().display());
        let log = self.dir.path().join("log");
        self.run("pg_ctl", &["-w", "-l", log.to_str().unwrap(), "-o", &options, "start"]);
    }

    /// Writes a file that only its user can read.
    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        path
    }

    /// Its URL.
    pub(crate) fn url(&self) -> String {
        format!("postgres://strongroom@localhost/postgres?host={}", self.dir.path().display())
    }

    fn run(&self, program: &str, args: &[&str]) {
        let mut command = Command::new(Path::new(POSTGRES_BIN).join(program));
        command.arg("-D").arg(self.dir.path().join("data")).args(args);
        command.uid(NOBODY).gid(NOBODY).current_dir(self.dir.path());
        // Its server would keep the pipes of this test open.
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let ended = command.status().expect("PostgreSQL 15 is installed");
        assert!(ended.success(), "{program} {args:?}: {ended}");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.run("pg_ctl", &["-m", "immediate", "stop"]);
    }
}
