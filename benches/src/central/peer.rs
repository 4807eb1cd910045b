//! Another open license server, `netviper-talos`: installed under `target/tools` when it is
//! measured for the first time.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use rusqlite::Connection;

use super::load;
use crate::Result;
use crate::clock::until;

const NAME: &str = "netviper-talos";
const VERSION: &str = "0.2.4";

/// Tables of its embedded database, in this order. It brings them, and does not make them itself.
const MIGRATIONS: [&str; 4] = [
    "20241114103315_init.sql",
    "20250103000000_extended_schema.sql",
    "20260103000000_quota_fields.sql",
    "20260103000001_api_tokens.sql",
];

/// It runs, with its default settings on its embedded database. Killed when dropped.
pub(super) struct Server {
    pub at: SocketAddr,
    licenses: usize,
    child: Child,
    _dir: tempfile::TempDir,
}

impl Server {
    /// With so many licenses that no device has.
    pub(super) fn start(licenses: usize) -> Result<Self> {
        let program = installed()?;
        let dir = tempfile::tempdir()?;
        let database = dir.path().join("talos.db");
        fill(&database, licenses)?;
        let at = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let child = Command::new(program)
            .current_dir(dir.path())
            .env("TALOS_SERVER_HOST", "127.0.0.1")
            .env("TALOS_SERVER_PORT", at.port().to_string())
            .env("TALOS_DATABASE_URL", format!("sqlite://{}", database.display()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()?;
        let server = Server { at, licenses, child, _dir: dir };
        until(|| TcpStream::connect(at).is_ok()).ok_or("netviper-talos does not listen")?;
        Ok(server)
    }

    /// Binds the license of this number to a device: what it has instead of a seat.
    pub(super) fn bind(&self, number: usize) -> Vec<u8> {
        let place = number % self.licenses;
        let body =
            format!("{{\"license_key\":\"{}\",\"hardware_id\":\"{number:064x}\"}}", key(place));
        load::post("/api/v1/client/bind", Some("none"), &body)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn key(number: usize) -> String {
    format!("LIC-{:04}-{:04}-0000", number / 10_000, number % 10_000)
}

fn fill(path: &Path, licenses: usize) -> Result<()> {
    let mut database = Connection::open(path)?;
    for name in MIGRATIONS {
        database
            .execute_batch(&std::fs::read_to_string(source()?.join("migrations").join(name))?)?;
    }
    let transaction = database.transaction()?;
    {
        let mut insert = transaction.prepare(
            "INSERT INTO licenses (license_id, license_key, status, issued_at)
             VALUES (?, ?, 'active', CURRENT_TIMESTAMP)",
        )?;
        for number in 0..licenses {
            insert.execute([format!("license-{number}"), key(number)])?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// Its program, installed if it is not there.
fn installed() -> Result<PathBuf> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or("target".into(), PathBuf::from);
    let root = std::path::absolute(target.join("tools"))?;
    let program = root.join("bin/talos_server");
    if !program.exists() {
        eprintln!("installing {NAME} {VERSION} ...");
        let build = root.join("build");
        let mut cargo = Command::new("cargo");
        cargo.args(["install", NAME, "--version", VERSION, "--locked", "--bin", "talos_server"]);
        cargo.args(["--features", "admin-api,background-jobs", "--root"]).arg(&root);
        let done = cargo.env("CARGO_TARGET_DIR", &build).status()?;
        if !done.success() {
            return Err(format!("{NAME} cannot be installed: {done}").into());
        }
        std::fs::remove_dir_all(&build)?;
    }
    Ok(program)
}

/// Where cargo unpacked it.
fn source() -> Result<PathBuf> {
    let home = match std::env::var_os("CARGO_HOME") {
        Some(home) => PathBuf::from(home),
        None => PathBuf::from(std::env::var_os("HOME").ok_or("no HOME")?).join(".cargo"),
    };
    for registry in std::fs::read_dir(home.join("registry/src"))? {
        let path = registry?.path().join(format!("{NAME}-{VERSION}"));
        if path.is_dir() {
            return Ok(path);
        }
    }
    Err(format!("the sources of {NAME} are not unpacked").into())
}
